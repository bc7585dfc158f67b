//! What time is it? The machine's clock, or one that a test turns by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::event::Nanos;

/// Where a machine gets its time from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The monotonic clock, from this instant on.
    Real(Instant),
    /// A number that somebody else advances; it may stand still, but not go back.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The monotonic clock, at 0 now.
    #[must_use]
    pub fn real() -> Self {
        Self::Real(Instant::now())
    }

    /// The time.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Nanos {
        match self {
            Self::Real(start) => start.elapsed().as_nanos() as Nanos,
            Self::Manual(nanos) => nanos.load(Ordering::Relaxed),
        }
    }
}
