//! What does the policy of core specialization have to know, and how is that measured for little?
//!
//! | number | how | cost |
//! |---|---|---|
//! | service | one call of 16 is timed where it is made | 3 ns a call |
//! | poster's work | its thread's clock at the end of a window, without lingering | a call a window |
//! | hand-over | wakes are timed; an entry's filling and taking is a constant | - |
//! | delay of the threads | the kernel's `schedstat` of the first, ten times a second | 10 us each |

use std::time::{Duration, Instant};

use super::crew::Crew;
use super::serve::{LONGEST, SAMPLED, Shared};
use crate::machine;
use crate::page::ENTRIES;
use crate::pages::Pages;
use crate::program;
use crate::specializer::{Load, Place, Specializer};
use crate::sys;
use crate::trap::{self, PROGRAM, Trap};

/// A window is as long at least; longer if it has few calls, but no longer than the second.
const WINDOW: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(5));
/// Calls that make a window: two times what is in flight usually, as results come in batches.
const CALLS: u64 = 64;
/// After a move the calls that are under way end first.
const SETTLING: Duration = Duration::from_micros(250);
/// The kernel is asked for the threads' delay no more often.
const ASK: Duration = Duration::from_millis(100);
/// Filling an entry, taking its result, and the cache lines that travel, in nanoseconds.
const ENTRY_NS: u64 = 60;

/// Counts and clocks at the beginning of a window.
#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    poster: Duration,
    lingered: Duration,
    waking: Duration,
    made_here: u64,
    posted: u64,
    taken_back: u64,
}

/// Measures, and asks the policy.
pub(super) struct Meter {
    policy: Specializer,
    mark: Mark,
    /// Calls have moved, and the window has not begun.
    settling: bool,
    /// Time spent on looking for results.
    pub(super) lingered: Duration,
    /// Short calls, by who made them.
    pub(super) made_here: u64,
    pub(super) posted: u64,
    /// Of those posted, those that the poster has made after all.
    pub(super) taken_back: u64,
    /// System calls made for these: several for a program.
    pub(super) traps_late: u64,
    /// For each page the entries whose calls were posted and could be made here.
    short: Vec<u64>,
    /// Sum of the calls timed here in this window, and their number.
    timed: (u64, u64),
    /// What the threads had timed when the window began.
    timed_there: (u64, u64),
    service_ns: u64,
    /// When the delay was read, what it was then, and how much a second it grows.
    asked: Instant,
    delay: u64,
    delay_ppm: u64,
}

impl Meter {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let mark = Mark {
            at: now,
            poster: machine::thread_time(),
            lingered: Duration::ZERO,
            waking: Duration::ZERO,
            made_here: 0,
            posted: 0,
            taken_back: 0,
        };
        Meter {
            policy: Specializer::new(),
            mark,
            settling: false,
            lingered: Duration::ZERO,
            made_here: 0,
            posted: 0,
            taken_back: 0,
            traps_late: 0,
            short: Vec::new(),
            timed: (0, 0),
            timed_there: (0, 0),
            service_ns: 0,
            asked: now,
            delay: 0,
            delay_ppm: 0,
        }
    }

    /// As after a trial that the other core has won.
    #[cfg(test)]
    pub(super) fn go_elsewhere(&mut self) {
        self.policy = Specializer::elsewhere();
    }

    /// Who makes short calls now.
    pub(super) fn place(&self) -> Place {
        self.policy.place()
    }

    /// How often that has changed.
    pub(super) fn moves(&self) -> u64 {
        self.policy.moves()
    }

    /// Makes a short call here, if this is the place.
    #[inline]
    pub(super) fn make(&mut self, trap: &Trap) -> Option<i64> {
        if self.policy.place() == Place::Elsewhere {
            return None;
        }
        let ret = self.trap(self.made_here, trap)?;
        self.made_here += 1;
        Some(ret)
    }

    /// Makes a short call here that was posted and taken back.
    pub(super) fn make_posted(&mut self, trap: &Trap) -> Option<i64> {
        let ret = self.trap(self.taken_back, trap)?;
        self.taken_back += 1;
        self.traps_late += if trap.number == PROGRAM { ret.unsigned_abs() } else { 1 };
        Some(ret)
    }

    /// Makes a short call, the `nth` of its kind; `None`: it would have to wait.
    #[inline]
    fn trap(&mut self, nth: u64, trap: &Trap) -> Option<i64> {
        let start = nth.is_multiple_of(SAMPLED).then(Instant::now);
        let ret = if trap.number == PROGRAM {
            // SAFETY: made by `Trap::program` of steps that are nobody else's over the call.
            program::run_here(unsafe { &mut *trap::steps(&trap.args) })
        } else {
            // SAFETY: made by `Op::trap` of a slot that stays as it is over the call.
            unsafe { sys::without_waiting(trap.number, &trap.args) }
        }?;
        if let Some(took) = start.map(|start| start.elapsed())
            && took < LONGEST
        {
            self.timed = (self.timed.0 + took.as_nanos() as u64, self.timed.1 + 1);
        }
        Some(ret)
    }

    /// A short call was posted: in this entry, unless it waits for one.
    #[inline]
    pub(super) fn note_posted(&mut self, entry: Option<u16>) {
        self.posted += 1;
        let Some(entry) = entry.map(usize::from) else { return };
        if self.short.len() <= entry / ENTRIES {
            self.short.resize(entry / ENTRIES + 1, 0);
        }
        self.short[entry / ENTRIES] |= 1 << (entry % ENTRIES);
    }

    /// A call has left its entry.
    #[inline]
    pub(super) fn note_ended(&mut self, entry: u16) {
        if let Some(short) = self.short.get_mut(usize::from(entry) / ENTRIES) {
            *short &= !(1 << (usize::from(entry) % ENTRIES));
        }
    }

    /// The entry of a short call that no thread has looked at, of those that threads come to last. It is
    /// not named twice.
    pub(super) fn short_unclaimed(&mut self, pages: &Pages) -> Option<u16> {
        if self.policy.place() == Place::Here {
            return None;
        }
        self.short.iter_mut().enumerate().rev().find_map(|(page, short)| {
            let last =
                (*short != 0).then(|| *short & pages.page(page).unclaimed())?.checked_ilog2()?;
            *short &= !(1 << last);
            Some((page * ENTRIES) as u16 + last as u16)
        })
    }

    /// Ends the window if it is over.
    pub(super) fn look(&mut self, shared: &Shared, crew: &Crew) {
        let now = Instant::now();
        let window = now - self.mark.at;
        if self.settling {
            if window >= SETTLING {
                self.settling = false;
                self.begin(now, crew);
            }
            return;
        }
        let made_here = self.made_here - self.mark.made_here;
        let taken_back = self.taken_back - self.mark.taken_back;
        let posted = (self.posted - self.mark.posted).saturating_sub(taken_back);
        let made_here = made_here + taken_back;
        let calls = made_here + posted;
        let is_over = window >= WINDOW.1 || window >= WINDOW.0 && calls >= CALLS;
        if !is_over || !shared.seat.has_another() {
            return;
        }
        let was = self.place();
        if was == Place::Elsewhere {
            self.ask_delay(now, crew);
        }
        self.time_service(shared);
        let before = self.mark;
        self.begin(now, crew);
        let worked = self.mark.poster.saturating_sub(before.poster);
        let worked = worked.saturating_sub(self.mark.lingered - before.lingered);
        let waking = nanos(crew.waking - before.waking);
        let delay_ppm = if was == Place::Here { 0 } else { self.delay_ppm };
        let is = self.policy.observe(&Load {
            window_ns: nanos(window),
            poster_ns: nanos(worked),
            made_here,
            posted,
            service_ns: self.service_ns,
            handover_ns: ENTRY_NS + waking.checked_div(posted).unwrap_or_default(),
            delay_ns: nanos(window) / 1_000 * delay_ppm / 1_000,
        });
        self.settling = is != was;
    }

    /// Begins a window.
    fn begin(&mut self, now: Instant, crew: &Crew) {
        self.mark = Mark {
            at: now,
            poster: machine::thread_time(),
            lingered: self.lingered,
            waking: crew.waking,
            made_here: self.made_here,
            posted: self.posted,
            taken_back: self.taken_back,
        };
    }

    fn time_service(&mut self, shared: &Shared) {
        use std::sync::atomic::Ordering::Relaxed;
        let there = (shared.samples.nanos.load(Relaxed), shared.samples.calls.load(Relaxed));
        let (here, was) = (std::mem::take(&mut self.timed), self.timed_there);
        self.timed_there = there;
        let calls = here.1 + there.1.wrapping_sub(was.1);
        let sum = here.0 + there.0.wrapping_sub(was.0);
        self.service_ns = sum.checked_div(calls).unwrap_or(self.service_ns);
    }

    /// How long the first thread has waited for a processor.
    fn ask_delay(&mut self, now: Instant, crew: &Crew) {
        let since = now - self.asked;
        if since < ASK {
            return;
        }
        let path = crew.first().map(|thread| format!("/proc/self/task/{thread}/schedstat"));
        let text = path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let delay = text.split_whitespace().nth(1).and_then(|delay| delay.parse().ok());
        let delay: u64 = delay.unwrap_or(self.delay);
        let grown = u128::from(delay.saturating_sub(self.delay)) * 1_000_000;
        self.delay_ppm = (grown / since.as_nanos().max(1)).min(1_000_000) as u64;
        (self.asked, self.delay) = (now, delay);
    }
}

fn nanos(time: Duration) -> u64 {
    time.as_nanos().try_into().unwrap_or(u64::MAX)
}
