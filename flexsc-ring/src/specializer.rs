//! Shall another core make the short system calls? Dynamic core specialization (§6.1), decided by trial.
//!
//! A poster that makes a call itself spends the call's time; one that posts it spends the price of the
//! hand-over, and the other core may take longer for the call, or have no time. No model of both tells
//! which is better, so both are tried where posting may be worth while, and the quicker one stays:
//!
//! | all of these, twice in a row | then |
//! |---|---|
//! | service >= 1.25 x hand-over; poster would be busy >= 85 % making all calls itself; no rest | trial |
//!
//! | any of these, eight times in a row, while calls are made elsewhere | then |
//! |---|---|
//! | service < 1.25 x hand-over; poster would be busy < 60 %; threads waited > 25 % for a core | here |
//!
//! A trial is made of windows elsewhere and here in turn, and compares what a call took of the time in
//! the best of either. Calls move elsewhere for 4 % at least, and back for 1 %. After a trial or a move
//! the policy rests before the next trial, each time twice as long, until the calls become other ones.

/// Calls of 20 ms below which nothing is decided.
const FEWEST_CALLS: u64 = 100;
const FEWEST_NS: u64 = 20_000_000;
/// Windows in a row that must agree on a trial, and on a move without one.
const AGREE: (u32, u32) = (2, 8);
/// Windows of rest after a trial, at first and at most.
const RESTS: (u32, u32) = (16, 1_024);
/// Windows of either place in a trial.
const TRIED: usize = 3;
/// What a call must take elsewhere to move there, and to stay there: percent of what it takes here.
const PAYS: (u64, u64) = (96, 101);

/// Who makes short calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// The poster, by trap.
    Here,
    /// Syscall threads on another core; the poster helps them when it has nothing else to do.
    Elsewhere,
}

impl Place {
    fn other(self) -> Self {
        match self {
            Place::Here => Place::Elsewhere,
            Place::Elsewhere => Place::Here,
        }
    }

    /// Its name in figures.
    pub fn name(self) -> &'static str {
        match self {
            Place::Here => "here",
            Place::Elsewhere => "elsewhere",
        }
    }
}

/// What was measured over a window of time, which began after the last move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Length of the window in nanoseconds.
    pub window_ns: u64,
    /// Time that the poster's thread has worked in it, without looking for results in vain.
    pub poster_ns: u64,
    /// Short calls that the poster has made itself.
    pub made_here: u64,
    /// Short calls that it has posted, and not taken back.
    pub posted: u64,
    /// Mean time of such a call in nanoseconds, from entering the kernel to leaving it.
    pub service_ns: u64,
    /// What it costs the poster to post a call and to take its result, wakes included, in nanoseconds.
    pub handover_ns: u64,
    /// Time in the window for which syscall threads could have run and no core had time for them.
    pub delay_ns: u64,
}

/// The policy of [`Placement::Measured`](crate::Placement::Measured). It has no clock and makes no
/// system call: it is told what was measured. Each ring of `Engine::Threads` has one of its own, which
/// cannot be replaced; this type is public so that its decisions can be tried on invented loads:
///
/// ```
/// use flexsc_ring::{Load, Place, Specializer};
///
/// // A busy poster, and calls that take ten times what it costs to post them: worth a trial.
/// let busy = Load {
///     window_ns: 20_000_000,
///     poster_ns: 20_000_000,
///     made_here: 1000,
///     service_ns: 15_000,
///     handover_ns: 1500,
///     ..Load::default()
/// };
/// let mut policy = Specializer::new();
/// assert_eq!(policy.observe(&busy), Place::Here); // two windows must agree
/// assert_eq!(policy.observe(&busy), Place::Elsewhere);
/// ```
#[derive(Debug, Clone)]
pub struct Specializer {
    place: Place,
    agreed: u32,
    trial: Option<Trial>,
    /// Windows left to rest, and how long the next rest is.
    rest: u32,
    next_rest: u32,
    /// Service of the calls that the rest is about.
    known_ns: u64,
    moves: u64,
}

/// What a call took in the windows of a trial, by place.
#[derive(Debug, Clone)]
struct Trial {
    from: Place,
    here: Vec<u64>,
    elsewhere: Vec<u64>,
}

impl Default for Specializer {
    fn default() -> Self {
        Self::new()
    }
}

impl Specializer {
    /// Begins with calls made here.
    pub fn new() -> Self {
        Specializer {
            place: Place::Here,
            agreed: 0,
            trial: None,
            rest: 0,
            next_rest: RESTS.0,
            known_ns: 0,
            moves: 0,
        }
    }

    /// As after a trial that the other core has won.
    #[cfg(test)]
    pub(crate) fn elsewhere() -> Self {
        Specializer { place: Place::Elsewhere, rest: u32::MAX, ..Self::new() }
    }

    /// Who makes short calls now.
    pub fn place(&self) -> Place {
        self.place
    }

    /// How often calls have moved and stayed: trials that left all as it was are not counted.
    pub fn moves(&self) -> u64 {
        self.moves
    }

    /// Takes in a window, and decides for the next.
    pub fn observe(&mut self, load: &Load) -> Place {
        self.rest = self.rest.saturating_sub(1);
        match self.trial.take() {
            Some(trial) => self.tried(trial, load),
            None => self.steady(load),
        }
        self.place
    }

    fn steady(&mut self, load: &Load) {
        if load.is_of_other_calls_than(self.known_ns) {
            self.next_rest = RESTS.0;
            self.rest = self.rest.min(RESTS.0);
            self.known_ns = load.service_ns;
        }
        let leave = self.place == Place::Elsewhere && load.is_lost_elsewhere();
        let compare = self.rest == 0 && load.is_worth_a_trial(self.place);
        self.agreed = if leave || compare { self.agreed + 1 } else { 0 };
        if self.agreed < if leave { AGREE.1 } else { AGREE.0 } {
            return;
        }
        if leave {
            self.settle(Place::Elsewhere, Place::Here);
        } else {
            let (here, elsewhere) = (Vec::with_capacity(TRIED), Vec::with_capacity(TRIED));
            self.trial = Some(Trial { from: self.place, here, elsewhere });
            self.agreed = 0;
            self.place = self.place.other();
        }
    }

    fn tried(&mut self, mut trial: Trial, load: &Load) {
        if load.has_few_calls() {
            return self.settle(trial.from, Place::Here);
        }
        trial.of(self.place).push(load.window_ns / load.calls().max(1));
        if trial.of(self.place.other()).len() == TRIED && trial.of(self.place).len() == TRIED {
            let best = trial.best();
            return self.settle(trial.from, best);
        }
        self.place = self.place.other();
        self.trial = Some(trial);
    }

    /// Calls stay at a place for a while.
    fn settle(&mut self, from: Place, to: Place) {
        self.moves += u64::from(from != to);
        self.place = to;
        self.agreed = 0;
        self.rest = self.next_rest;
        self.next_rest = (self.next_rest * 2).min(RESTS.1);
    }
}

impl Trial {
    fn of(&mut self, place: Place) -> &mut Vec<u64> {
        match place {
            Place::Here => &mut self.here,
            Place::Elsewhere => &mut self.elsewhere,
        }
    }

    /// Where calls take least. Of each place its best window counts: what disturbs others takes time.
    fn best(&self) -> Place {
        let percent = if self.from == Place::Here { PAYS.0 } else { PAYS.1 };
        let least = |times: &[u64]| times.iter().copied().min().unwrap_or_default();
        let (here, elsewhere) = (least(&self.here), least(&self.elsewhere));
        let pays = elsewhere.saturating_mul(100) <= here.saturating_mul(percent);
        if pays { Place::Elsewhere } else { Place::Here }
    }
}

impl Load {
    fn calls(&self) -> u64 {
        self.made_here.saturating_add(self.posted)
    }

    fn has_few_calls(&self) -> bool {
        self.calls().saturating_mul(FEWEST_NS / FEWEST_CALLS) < self.window_ns.max(1)
    }

    fn is_crowded(&self) -> bool {
        self.delay_ns.saturating_mul(4) > self.window_ns
    }

    /// The poster's time if it made all calls itself, in percent of the window.
    fn busy_here(&self) -> u64 {
        let made = self.made_here.saturating_mul(self.service_ns);
        let handed = self.posted.saturating_mul(self.handover_ns);
        let own = self.poster_ns.saturating_sub(made.saturating_add(handed));
        let all = own.saturating_add(self.calls().saturating_mul(self.service_ns));
        all.saturating_mul(100) / self.window_ns.max(1)
    }

    fn is_worth_a_trial(&self, place: Place) -> bool {
        let may_pay = !self.is_short_of(self.handover_ns) && self.busy_here() >= 85;
        place == Place::Elsewhere || may_pay && !self.has_few_calls()
    }

    /// A call takes less than 5/4 of that.
    fn is_short_of(&self, handover_ns: u64) -> bool {
        self.service_ns.saturating_mul(4) < handover_ns.saturating_mul(5)
    }

    fn is_lost_elsewhere(&self) -> bool {
        self.is_crowded()
            || self.has_few_calls()
            || self.is_short_of(self.handover_ns)
            || self.busy_here() < 60
    }

    /// A call takes half as long, or twice.
    fn is_of_other_calls_than(&self, service_ns: u64) -> bool {
        let (less, more) = (self.service_ns.min(service_ns), self.service_ns.max(service_ns));
        more > 0 && more >= less.saturating_mul(2)
    }
}
