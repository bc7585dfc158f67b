//! What things cost: running estimates, and pins.
//!
//! An estimate moves by a tenth towards each new event's cost; n events of one batch, known only as a sum, move it by
//! 1 - 0.9ⁿ towards their mean (tokio's `stats.rs` does the same).
//!
//! Beside the mean there is the spread: how far events are from it, on average.
//!
//! Now and then the machine takes the CPU away in the middle of what is measured, which then seems a hundred times too
//! long. Believed of a theft, it would stop all further ones, and nothing would ever be learned again; believed of a
//! short event, it would make all like it look worth a theft. So a measurement counts as [`LEAP`] times the estimate at
//! most, and what thefts and wakes cost relaxes while nothing is measured.

/// A cost in nanoseconds: learned while running, or pinned by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    ns: u64,
    is_fixed: bool,
}

impl Cost {
    /// Learned; `start_ns` stands until the first measurement.
    #[must_use]
    pub const fn learned(start_ns: u64) -> Self {
        Self { ns: start_ns, is_fixed: false }
    }

    /// Pinned at `ns`.
    #[must_use]
    pub const fn fixed(ns: u64) -> Self {
        Self { ns, is_fixed: true }
    }
}

/// The longest measurement that is believed: a clock that jumps must not be learned from.
const BELIEVED_NS: u64 = 10_000_000_000;
/// How much of an estimate survives one event.
const KEPT: f32 = 0.9;
/// How many times the estimate a measurement counts as, at most.
pub const LEAP: f32 = 4.0;
/// How much of what an estimate has moved from its start survives one time of idleness.
const RELAXED: f32 = 63.0 / 64.0;

/// A running estimate of a [`Cost`].
#[derive(Clone, Debug)]
pub struct Estimate {
    start_ns: f32,
    mean_ns: f32,
    spread_ns: f32,
    ns: u64,
    is_fixed: bool,
    is_measured: bool,
}

impl Estimate {
    /// An estimate that starts at `cost`, and stays there if it is pinned.
    #[must_use]
    pub fn new(cost: Cost) -> Self {
        let start_ns = cost.ns as f32;
        let is_fixed = cost.is_fixed;
        let (mean_ns, spread_ns) = (start_ns, 0.0);
        Self { start_ns, mean_ns, spread_ns, ns: cost.ns, is_fixed, is_measured: false }
    }

    /// The estimate, in nanoseconds.
    #[inline]
    #[must_use]
    pub fn ns(&self) -> u64 {
        self.ns
    }

    /// The estimate, if anything has been measured.
    #[must_use]
    pub fn measured_ns(&self) -> Option<u64> {
        self.is_measured.then_some(self.ns)
    }

    /// How far single events are from the estimate, on average, in nanoseconds. 0 if it is pinned.
    #[must_use]
    pub fn spread_ns(&self) -> u64 {
        (self.spread_ns + 0.5) as u64
    }

    /// Learns that `n` events took `total_ns` together.
    pub fn observe(&mut self, total_ns: u64, n: usize) {
        if self.is_fixed || n == 0 || total_ns > BELIEVED_NS {
            return;
        }
        let mean_ns = total_ns as f32 / n as f32;
        if self.is_measured {
            let mean_ns = mean_ns.min(self.mean_ns.max(1.0) * LEAP);
            let kept = KEPT.powi(n.min(1 << 10) as i32);
            // The mean of n events is nearer to the truth than one of them, by the root of n.
            let off_ns = (mean_ns - self.mean_ns).abs() * (n as f32).sqrt();
            self.spread_ns = off_ns + (self.spread_ns - off_ns) * kept;
            self.mean_ns = mean_ns + (self.mean_ns - mean_ns) * kept;
        } else {
            self.mean_ns = mean_ns;
            self.is_measured = true;
        }
        self.ns = (self.mean_ns + 0.5) as u64;
    }

    /// Learns that one took `ns`; the first one too counts as [`LEAP`] times where the estimate starts, at most.
    pub fn observe_alone(&mut self, ns: u64) {
        let believed_ns = (ns as f32).min(self.mean_ns.max(1.0) * LEAP);
        self.observe(believed_ns as u64, 1);
    }

    /// Moves a little back to where it started: nothing has been measured for a while.
    pub fn relax(&mut self) {
        if !self.is_fixed {
            self.mean_ns = self.start_ns + (self.mean_ns - self.start_ns) * RELAXED;
            self.ns = (self.mean_ns + 0.5) as u64;
        }
    }
}
