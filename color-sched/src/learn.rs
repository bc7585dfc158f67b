//! What things cost: running estimates, and pins.
//!
//! An estimate moves by a tenth towards each new event's cost; n events of one batch, known only as a sum, move it by
//! 1 - 0.9ⁿ towards their mean (tokio's `stats.rs` does the same).

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

/// A running estimate of a [`Cost`].
#[derive(Clone, Debug)]
pub struct Estimate {
    mean_ns: f32,
    ns: u64,
    is_fixed: bool,
    is_measured: bool,
}

impl Estimate {
    /// An estimate that starts at `cost`, and stays there if it is pinned.
    #[must_use]
    pub fn new(cost: Cost) -> Self {
        Self { mean_ns: cost.ns as f32, ns: cost.ns, is_fixed: cost.is_fixed, is_measured: false }
    }

    /// The estimate, in nanoseconds.
    #[inline]
    #[must_use]
    pub fn ns(&self) -> u64 {
        self.ns
    }

    /// Learns that `n` events took `total_ns` together.
    pub fn observe(&mut self, total_ns: u64, n: usize) {
        if self.is_fixed || n == 0 || total_ns > BELIEVED_NS {
            return;
        }
        let mean_ns = total_ns as f32 / n as f32;
        if self.is_measured {
            let kept = KEPT.powi(n.min(1 << 10) as i32);
            self.mean_ns = mean_ns + (self.mean_ns - mean_ns) * kept;
        } else {
            self.mean_ns = mean_ns;
            self.is_measured = true;
        }
        self.ns = (self.mean_ns + 0.5) as u64;
    }
}
