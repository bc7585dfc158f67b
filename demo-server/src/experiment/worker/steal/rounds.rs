//! When does a round begin, and what is measured?
//!
//! A round is over when all of its events have run, on whatever core. Each core counts its own, and shows the count
//! when it has nothing to do: a core that works touches no line of another. Whoever then finds that all have run begins
//! the next round, or ends the window; whole rounds are measured.
//!
//! | shown by | before | then reads |
//! |---|---|---|
//! | an idle core, its count | a fence | every core's count |
//!
//! Of two cores that become idle at once at least one sees both counts, as of two stores with a fence and a load after
//! each.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use super::{Change, Window};
use crate::experiment::worker::clock::Clock;

/// Cores at most.
pub(super) const CORES: usize = 2;

/// A core's count, on lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Ran(AtomicU64);

/// What the cores of a window share.
#[derive(Debug)]
pub(super) struct Rounds {
    /// Events of a round.
    units: u64,
    window: Window,
    begun: Instant,
    round: AtomicU64,
    is_changed: AtomicBool,
    /// The rounds that somebody has ended.
    ended: AtomicU64,
    ran: [Ran; CORES],
    threads: [OnceLock<Thread>; CORES],
    marks: Mutex<Marks>,
}

/// When was the first round measured, and the last?
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    first: Option<(u64, Instant)>,
    last: Option<(u64, Instant)>,
}

/// What a core is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A round begins; have stages exchanged what they do?
    Round {
        is_changed: bool,
    },
    /// The window is over: stop the machine.
    Over,
    Nothing,
}

impl Rounds {
    /// Rounds of so many events.
    pub(super) fn new(units: u64, window: Window) -> Rounds {
        Rounds {
            units,
            window,
            begun: Instant::now(),
            round: AtomicU64::new(1),
            is_changed: AtomicBool::new(window.change == Change::AtOnce),
            ended: AtomicU64::new(0),
            ran: Default::default(),
            threads: Default::default(),
            marks: Mutex::default(),
        }
    }

    /// Who is woken when a round begins.
    pub(super) fn wakes(&self, core: usize, thread: Thread) {
        if let Some(place) = self.threads.get(core) {
            // A core asks once.
            let _ = place.set(thread);
        }
    }

    /// Events of the rounds that were measured, and the time that they took; `None` if there was no clock.
    pub(super) fn measured(&self) -> Option<(u64, Duration)> {
        let marks = *self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, last) = (marks.first?, marks.last?);
        Some(((last.0 - first.0) * self.units, last.1 - first.1))
    }

    /// A round has been run: is the window over?
    fn is_over_after(&self, round: u64) -> bool {
        let window = match self.window.clock {
            Clock::Rounds(rounds) => return round >= rounds,
            Clock::Time(window) => window,
        };
        let now = Instant::now();
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now - self.begun;
        if self.window.change == Change::Halfway && elapsed >= self.window.after / 2 {
            self.is_changed.store(true, Ordering::Relaxed);
        }
        match marks.first {
            None if elapsed >= self.window.after => marks.first = Some((round, now)),
            None => {}
            Some((_, first)) => marks.last = Some((round, now)).filter(|_| now - first >= window),
        }
        marks.last.is_some()
    }
}

/// A core's view of the rounds.
#[derive(Debug)]
pub(super) struct Gate<'a> {
    pub(super) rounds: &'a Rounds,
    pub(super) core: usize,
    /// Events that it has run.
    pub(super) ran: u64,
    /// As many had run when it was asked last.
    seen: u64,
    shown: u64,
    round: u64,
}

impl<'a> Gate<'a> {
    pub(super) fn new(rounds: &'a Rounds, core: usize) -> Gate<'a> {
        Gate { rounds, core, ran: 0, seen: 0, shown: 0, round: 0 }
    }

    /// To be asked between batches, and always before the core waits.
    pub(super) fn news(&mut self, will_wait: bool) -> News {
        let rounds = self.rounds;
        let round = rounds.round.load(Ordering::Acquire);
        if round != self.round {
            self.round = round;
            return News::Round { is_changed: rounds.is_changed.load(Ordering::Relaxed) };
        }
        let is_idle = will_wait || self.ran == self.seen;
        self.seen = self.ran;
        if !is_idle {
            return News::Nothing;
        }
        if self.shown != self.ran {
            self.shown = self.ran;
            rounds.ran[self.core].0.store(self.ran, Ordering::Release);
        }
        fence(Ordering::SeqCst);
        let all: u64 = rounds.ran.iter().map(|ran| ran.0.load(Ordering::Acquire)).sum();
        if all < round * rounds.units {
            return News::Nothing;
        }
        self.end(round)
    }

    /// All events of the round have run.
    fn end(&mut self, round: u64) -> News {
        let rounds = self.rounds;
        let claim =
            rounds.ended.compare_exchange(round - 1, round, Ordering::AcqRel, Ordering::Relaxed);
        if claim.is_err() {
            return News::Nothing;
        }
        if rounds.is_over_after(round) {
            return News::Over;
        }
        self.round = round + 1;
        let is_changed = rounds.is_changed.load(Ordering::Relaxed);
        rounds.round.store(self.round, Ordering::Release);
        let others = rounds.threads.iter().enumerate().filter(|&(core, _)| core != self.core);
        others.filter_map(|(_, thread)| thread.get()).for_each(Thread::unpark);
        News::Round { is_changed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(units: u64, rounds: u64) -> Rounds {
        let clock = Clock::Rounds(rounds);
        Rounds::new(units, Window { clock, after: Duration::ZERO, change: Change::Never })
    }

    const BEGINS: News = News::Round { is_changed: false };

    #[test]
    fn round_ends_once_when_the_events_of_all_cores_have_run() {
        let rounds = rounds(10, 2);
        let [mut one, mut other] = [0, 1].map(|core| Gate::new(&rounds, core));
        assert_eq!([one.news(false), other.news(false)], [BEGINS; 2]);
        one.ran = 9;
        other.ran = 1;
        // They have run something since they were asked last: perhaps there is more.
        assert_eq!([one.news(false), other.news(false)], [News::Nothing; 2]);
        assert_eq!(one.news(false), News::Nothing, "the other one has not shown its count");
        assert_eq!(other.news(false), BEGINS);
        assert_eq!([other.news(false), one.news(false)], [News::Nothing, BEGINS]);
        one.ran = 19;
        assert_eq!(one.news(true), News::Over, "who waits has nothing more to run");
        assert_eq!(rounds.measured(), None);
    }

    #[test]
    fn window_begins_and_ends_with_a_round() {
        let clock = Clock::Time(Duration::from_millis(1));
        let after = Duration::from_millis(2);
        let rounds = Rounds::new(5, Window { clock, after, change: Change::Halfway });
        let (mut gate, mut begun) = (Gate::new(&rounds, 0), Vec::new());
        loop {
            match gate.news(true) {
                News::Round { is_changed } => begun.push(is_changed),
                News::Over => break,
                News::Nothing => gate.ran += 5,
            }
        }
        let (units, time) = rounds.measured().expect("a window by the clock");
        assert!(units > 0 && units.is_multiple_of(5) && units <= gate.ran, "{units}");
        assert!(time >= Duration::from_millis(1));
        assert!(!begun[0] && begun.is_sorted() && begun.last() == Some(&true), "{begun:?}");
    }
}
