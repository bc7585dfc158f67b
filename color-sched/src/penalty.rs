//! How much longer does a stolen event take?
//!
//! ```text
//! slow-down = time of the first event after a theft / time of such an event at home, as its home estimates it
//! ```
//!
//! The first event is the one that finds nothing of its color in the thief's caches. The slow-down of a stage is a running
//! estimate for the whole machine: whoever steals moves it by an eighth towards what he has measured, by less if
//! the stage's events differ much among themselves. A machine that steals no events of a stage measures nothing, so that the
//! estimate falls back towards 1, until a theft is tried again. (The paper leaves it to future work to learn penalties, §7.)

use crate::atomics::{AtomicU32, Ordering};

/// How much longer events of a stage take on another core than the one that ran their color last (Mely §3.3): learned from
/// the first event of each theft, or pinned by hand.
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
        let times = if times == 0 { 1 } else { times };
        Self { pct: times.saturating_mul(Self::NONE_PCT), is_fixed: true }
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
/// A measurement counts as so many times the estimate, at most: the machine may have taken the CPU away.
const LEAP: f32 = 4.0;
/// What is left of a slow-down after a time without measurements.
const RELAXED: f32 = 0.9;
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
