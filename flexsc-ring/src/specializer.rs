//! Shall another core make the short system calls? Dynamic core specialization (§6.1), decided by load.
//!
//! A poster that makes a call itself spends the call's time; one that posts it spends the price of the
//! hand-over. So posting is worth while only if a call costs well more than its hand-over, if the
//! poster is what limits the program, and if the other core has time:
//!
//! | all of these, twice in a row | then |
//! |---|---|
//! | service >= 2 x hand-over; poster would be busy >= 85 % making all calls itself | elsewhere |
//!
//! | any of these, twice in a row | then |
//! |---|---|
//! | service < 1.25 x hand-over; poster would be busy < 60 %; threads waited > 25 % for a core | here |
//!
//! Whether the other core has time shows only when calls are there. So a trial that ends for want of
//! time is followed by a rest, which doubles from trial to trial.

/// Calls of a window below which nothing is decided.
const FEWEST_CALLS: u64 = 100;
/// Windows in a row that must agree.
const AGREE: u32 = 2;
/// Windows of rest after a first failed trial, and at most.
const RESTS: (u32, u32) = (8, 128);
/// A trial of so many windows has not failed.
const PROVEN: u32 = 32;

/// Who makes short calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The poster, by trap.
    Here,
    /// Syscall threads on another core.
    Elsewhere,
}

/// What was measured over a window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Length of the window in nanoseconds.
    pub window_ns: u64,
    /// Time that the poster's thread has worked in it, without looking for results in vain.
    pub poster_ns: u64,
    /// Short calls that the poster has made itself.
    pub made_here: u64,
    /// Short calls that it has posted.
    pub posted: u64,
    /// Mean time of such a call in nanoseconds, from entering the kernel to leaving it.
    pub service_ns: u64,
    /// What it costs the poster to post a call and to take its result, wakes included, in nanoseconds.
    pub handover_ns: u64,
    /// Time in the window for which syscall threads could have run and no core had time for them.
    pub delay_ns: u64,
}

/// The policy. It has no clock and makes no system call: it is told what was measured.
#[derive(Debug, Clone)]
pub struct Specializer {
    place: Place,
    agreed: u32,
    /// Windows since the last move.
    stayed: u32,
    /// Windows left to rest, and how long the next rest is.
    rest: u32,
    next_rest: u32,
}

impl Default for Specializer {
    fn default() -> Self {
        Self::new()
    }
}

impl Specializer {
    /// Begins with calls made here.
    pub fn new() -> Self {
        Specializer { place: Place::Here, agreed: 0, stayed: 0, rest: 0, next_rest: RESTS.0 }
    }

    /// Who makes short calls now.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Takes in a window, and decides for the next.
    pub fn observe(&mut self, load: &Load) -> Place {
        self.stayed = self.stayed.saturating_add(1);
        self.rest = self.rest.saturating_sub(1);
        if self.place == Place::Elsewhere && self.stayed == PROVEN {
            self.next_rest = RESTS.0;
        }
        let crowded = load.delay_ns.saturating_mul(4) > load.window_ns;
        let move_on = match self.place {
            Place::Here => self.rest == 0 && load.is_worth_posting(),
            Place::Elsewhere => crowded || load.is_worth_making_here(),
        };
        self.agreed = if move_on { self.agreed + 1 } else { 0 };
        if self.agreed >= AGREE {
            self.turn(crowded);
        }
        self.place
    }

    fn turn(&mut self, crowded: bool) {
        self.place = match self.place {
            Place::Here => Place::Elsewhere,
            Place::Elsewhere => {
                if crowded {
                    self.rest = self.next_rest;
                    self.next_rest = (self.next_rest * 2).min(RESTS.1);
                }
                Place::Here
            }
        };
        (self.agreed, self.stayed) = (0, 0);
    }
}

impl Load {
    fn calls(&self) -> u64 {
        self.made_here.saturating_add(self.posted)
    }

    /// The poster's time if it made all calls itself, in percent of the window.
    fn busy_here(&self) -> u64 {
        let made = self.made_here.saturating_mul(self.service_ns);
        let handed = self.posted.saturating_mul(self.handover_ns);
        let own = self.poster_ns.saturating_sub(made.saturating_add(handed));
        let all = own.saturating_add(self.calls().saturating_mul(self.service_ns));
        all.saturating_mul(100) / self.window_ns.max(1)
    }

    fn is_worth_posting(&self) -> bool {
        self.calls() >= FEWEST_CALLS
            && self.service_ns >= self.handover_ns.saturating_mul(2)
            && self.busy_here() >= 85
    }

    fn is_worth_making_here(&self) -> bool {
        self.calls() < FEWEST_CALLS
            || self.service_ns.saturating_mul(4) < self.handover_ns.saturating_mul(5)
            || self.busy_here() < 60
    }
}
