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
use crate::specializer::{Load, Place, Specializer};
use crate::sys;
use crate::trap::Trap;

const WINDOW: Duration = Duration::from_millis(20);
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
}

/// Measures, and asks the policy.
pub(super) struct Meter {
    policy: Specializer,
    mark: Mark,
    /// Time spent on looking for results.
    pub(super) lingered: Duration,
    /// Short calls, by who made them.
    pub(super) made_here: u64,
    pub(super) posted: u64,
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
        };
        Meter {
            policy: Specializer::new(),
            mark,
            lingered: Duration::ZERO,
            made_here: 0,
            posted: 0,
            timed: (0, 0),
            timed_there: (0, 0),
            service_ns: 0,
            asked: now,
            delay: 0,
            delay_ppm: 0,
        }
    }

    /// Makes a short call here, if this is the place; else counts it as posted.
    #[inline]
    pub(super) fn make(&mut self, trap: &Trap) -> Option<i64> {
        if self.policy.place() == Place::Elsewhere {
            self.posted += 1;
            return None;
        }
        let start = self.made_here.is_multiple_of(SAMPLED).then(Instant::now);
        // SAFETY: made by `Op::trap` of a slot that stays as it is over the call.
        let ret = match unsafe { sys::without_waiting(trap.number, &trap.args) } {
            Some(ret) => ret,
            None => {
                self.posted += 1;
                return None;
            }
        };
        self.made_here += 1;
        if let Some(took) = start.map(|start| start.elapsed())
            && took < LONGEST
        {
            self.timed = (self.timed.0 + took.as_nanos() as u64, self.timed.1 + 1);
        }
        Some(ret)
    }

    /// Ends the window if it is over.
    pub(super) fn look(&mut self, shared: &Shared, crew: &Crew) {
        let now = Instant::now();
        let window = now - self.mark.at;
        if window < WINDOW || !shared.seat.has_another() {
            return;
        }
        self.ask_delay(now, crew);
        self.time_service(shared);
        let before = self.mark;
        self.mark = Mark {
            at: now,
            poster: machine::thread_time(),
            lingered: self.lingered,
            waking: crew.waking,
            made_here: self.made_here,
            posted: self.posted,
        };
        let worked = self.mark.poster.saturating_sub(before.poster);
        let worked = worked.saturating_sub(self.mark.lingered - before.lingered);
        let posted = self.posted - before.posted;
        let waking = nanos(crew.waking - before.waking);
        self.policy.observe(&Load {
            window_ns: nanos(window),
            poster_ns: nanos(worked),
            made_here: self.made_here - before.made_here,
            posted,
            service_ns: self.service_ns,
            handover_ns: ENTRY_NS + waking.checked_div(posted).unwrap_or_default(),
            delay_ns: nanos(window) / 1_000 * self.delay_ppm / 1_000,
        });
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
