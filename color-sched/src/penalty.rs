//! How much longer does a stolen event take?
//!
//! ```text
//! slow-down = time of the first event after a theft / time of such an event at home, as its home estimates it
//! ```
//!
//! The first event is the one that finds nothing of its color in the thief's caches; if more of the same stage run with
//! it in one batch, it is their mean that is compared. The slow-down of a stage is a
//! running estimate for the whole machine: whoever steals moves it by an eighth towards what he has measured, by less
//! if the stage's events differ much among themselves. A machine that steals no events of a stage measures nothing, so
//! that the estimate falls back towards 1, until a theft is tried again. (The paper leaves it to future work to learn
//! penalties, §7.)

use crate::atomics::{AtomicU32, AtomicU64, Ordering};
use crate::event::Nanos;
use crate::learn::LEAP;

/// How much longer events of a stage take on another core than the one that ran their color last (Mely §3.3): learned
/// from the first event of each theft, or pinned by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Penalty {
    pct: u32,
    is_fixed: bool,
}

impl Penalty {
    /// No longer, in percent.
    pub const NONE_PCT: u32 = 100;

    /// Learned; none until the first theft.
    #[must_use]
    pub const fn learned() -> Self {
        Self { pct: Self::NONE_PCT, is_fixed: false }
    }

    /// Pinned: so many times as long. 0 counts as 1.
    #[must_use]
    pub const fn fixed(times: u32) -> Self {
        Self::fixed_pct(times.saturating_mul(Self::NONE_PCT))
    }

    /// Pinned, in percent, as [`CoreStats::stage_penalty_pct`](crate::CoreStats) tells it. Less than 100 counts as 100.
    #[must_use]
    pub const fn fixed_pct(pct: u32) -> Self {
        let pct = if pct < Self::NONE_PCT { Self::NONE_PCT } else { pct };
        Self { pct, is_fixed: true }
    }

    /// What `ns` of events with a penalty of `pct` percent look like to a thief: time left divided by penalty (Mely §4.2).
    /// Less than 100 counts as 100.
    #[inline]
    #[must_use]
    pub const fn left_ns(ns: u64, pct: u32) -> u64 {
        if pct <= Self::NONE_PCT {
            return ns;
        }
        (ns as u128 * Self::NONE_PCT as u128 / pct as u128) as u64
    }

    /// What it is at the beginning, in percent.
    #[must_use]
    pub const fn pct(self) -> u32 {
        self.pct
    }

    /// Is it pinned?
    #[must_use]
    pub const fn is_fixed(self) -> bool {
        self.is_fixed
    }
}

/// Part of the way to what was measured that an estimate moves.
const MOVED: f32 = 0.125;
/// What is left of a slow-down after a time without measurements.
const RELAXED: f32 = 0.9;
/// So long nothing is forgotten anew, however many cores look how often.
const RELAX_NS: Nanos = 100_000_000;
/// No slow-down is believed to be greater.
const MOST: f32 = 10_000.0;

/// The slow-down of one stage, for all cores to read and to move. Two that move it at once may lose one of their moves.
#[derive(Debug)]
pub(crate) struct SlowDown {
    /// How many times as long, as the bits of an `f32`. Below 1 stolen events were faster.
    times: AtomicU32,
    is_fixed: bool,
}

impl SlowDown {
    pub(crate) fn new(penalty: Penalty) -> Self {
        let times = penalty.pct as f32 / Penalty::NONE_PCT as f32;
        Self { times: AtomicU32::new(times.to_bits()), is_fixed: penalty.is_fixed }
    }

    fn times(&self) -> f32 {
        f32::from_bits(self.times.load(Ordering::Relaxed))
    }

    /// The penalty, in percent.
    pub(crate) fn pct(&self) -> u32 {
        (self.times().max(1.0) * Penalty::NONE_PCT as f32 + 0.5) as u32
    }

    /// Learns that a stolen event took `took_ns` that takes `home_ns` at home, give or take `spread_ns`.
    pub(crate) fn observe(&self, took_ns: u64, home_ns: u64, spread_ns: u64) {
        if self.is_fixed || home_ns == 0 {
            return;
        }
        let (before, home_ns) = (self.times(), home_ns as f32);
        let measured = (took_ns as f32 / home_ns).min(before.max(1.0) * LEAP).min(MOST);
        let spread = spread_ns as f32 / home_ns;
        let after = before + (measured - before) * MOVED / (1.0 + spread * spread);
        self.times.store(after.to_bits(), Ordering::Relaxed);
    }

    /// Nothing has been measured for a while.
    pub(crate) fn relax(&self) {
        if !self.is_fixed {
            let after = 1.0 + (self.times() - 1.0) * RELAXED;
            self.times.store(after.to_bits(), Ordering::Relaxed);
        }
    }
}

/// The slow-downs of all stages. Any core makes them fall back when it is time: one alone might sleep for as long as nothing
/// is worth a theft.
#[derive(Debug)]
pub(crate) struct SlowDowns {
    stages: Box<[SlowDown]>,
    relax_at: AtomicU64,
}

impl SlowDowns {
    pub(crate) fn new(penalties: impl Iterator<Item = Penalty>) -> Self {
        Self { stages: penalties.map(SlowDown::new).collect(), relax_at: AtomicU64::new(0) }
    }

    /// By stage.
    pub(crate) fn stages(&self) -> &[SlowDown] {
        &self.stages
    }

    /// Time passes: to be told as often as one likes.
    pub(crate) fn pass(&self, now: Nanos) {
        let due = self.relax_at.load(Ordering::Relaxed);
        let next = now.saturating_add(RELAX_NS);
        let is_due = now >= due
            && self
                .relax_at
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_due {
            self.stages.iter().for_each(SlowDown::relax);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(
        slow_down: &SlowDown,
        times: usize,
        (took_ns, home_ns, spread_ns): (u64, u64, u64),
    ) -> u32 {
        (0..times).for_each(|_| slow_down.observe(took_ns, home_ns, spread_ns));
        slow_down.pct()
    }

    #[test]
    fn slow_down_is_what_was_measured_and_follows_the_load() {
        let slow_down = SlowDown::new(Penalty::learned());
        assert_eq!(slow_down.pct(), 100);
        assert!((295..=300).contains(&after(&slow_down, 60, (3_000, 1_000, 0))));
        assert!((100..=105).contains(&after(&slow_down, 60, (1_000, 1_000, 0))));
        assert_eq!(after(&slow_down, 60, (10, 1_000, 0)), 100, "stolen events that are faster");
    }

    #[test]
    fn one_measurement_moves_it_by_an_eighth_of_four_times_at_most() {
        let slow_down = SlowDown::new(Penalty::learned());
        assert_eq!(after(&slow_down, 1, (u64::MAX, 1, 0)), 138);
        assert_eq!(after(&slow_down, 1, (u64::MAX, 0, 0)), 138, "nothing is known of the home");
        assert!(after(&slow_down, 10_000, (u64::MAX, 1, 0)) <= 1_000_000);
    }

    #[test]
    fn events_that_differ_much_are_believed_less() {
        let [even, uneven] = [0, 2_000].map(|spread_ns| {
            after(&SlowDown::new(Penalty::learned()), 4, (2_000, 1_000, spread_ns))
        });
        assert!(uneven > 100 && even > uneven + 20, "{even}, {uneven}");
    }

    #[test]
    fn without_measurements_it_falls_back_to_none() {
        let slow_down = SlowDown::new(Penalty::learned());
        after(&slow_down, 60, (8_000, 1_000, 0));
        (0..7).for_each(|_| slow_down.relax());
        assert!((400..450).contains(&slow_down.pct()), "{}", slow_down.pct());
        (0..100).for_each(|_| slow_down.relax());
        assert_eq!(slow_down.pct(), 100);
    }

    #[test]
    fn it_falls_back_with_time_and_not_with_the_number_of_looks() {
        let all = SlowDowns::new([Penalty::learned()].into_iter());
        let pct = |all: &SlowDowns| all.stages()[0].pct();
        all.pass(0);
        let learned = after(&all.stages()[0], 60, (8_000, 1_000, 0));
        (0..RELAX_NS).step_by(100_000).for_each(|now| all.pass(now));
        assert_eq!(pct(&all), learned);
        all.pass(RELAX_NS);
        assert!((learned * 8 / 10..learned * 19 / 20).contains(&pct(&all)), "{}", pct(&all));
    }

    #[test]
    fn pinned_penalty_stays() {
        assert_eq!([0, 99, 150].map(|pct| Penalty::fixed_pct(pct).pct()), [100, 100, 150]);
        for (times, pct) in [(0, 100), (1, 100), (1_000, 100_000), (u32::MAX, u32::MAX)] {
            let slow_down = SlowDown::new(Penalty::fixed(times));
            slow_down.relax();
            assert_eq!(after(&slow_down, 9, (1, 1_000, 0)), pct, "{times}");
        }
    }
}
