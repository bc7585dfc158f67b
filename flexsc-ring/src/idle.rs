//! Syscall threads that sleep, and how none of them sleeps through a call.
//!
//! A thread that finds nothing sets its bit here, looks once more, and parks. A poster publishes,
//! then looks here. A full fence lies between the two steps on either side, so at least one of them
//! sees the other. Who clears a bit unparks its thread, once.

use crate::atomics::{AtomicU64, Ordering, fence};

/// A bit for each sleeping thread.
#[derive(Debug)]
pub(crate) struct Idle(AtomicU64);

impl Idle {
    /// Nobody sleeps.
    pub(crate) fn new() -> Self {
        Idle(AtomicU64::new(0))
    }

    /// Thread `me` is about to park; it has to look for work once more after this.
    pub(crate) fn enter(&self, me: usize) {
        self.0.fetch_or(1 << me, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Thread `me` does not sleep (any more). If somebody has cleared the bit before, a later park
    /// returns at once, which does no harm.
    pub(crate) fn leave(&self, me: usize) {
        self.0.fetch_and(!(1 << me), Ordering::Relaxed);
    }

    /// A full fence, between publishing and `pick`.
    pub(crate) fn after_publish(&self) {
        fence(Ordering::SeqCst);
    }

    /// Takes one sleeper, which the caller must unpark.
    pub(crate) fn pick(&self) -> Option<usize> {
        let mut bits = self.0.load(Ordering::Relaxed);
        while bits != 0 {
            let lowest = bits & bits.wrapping_neg();
            let before = self.0.fetch_and(!lowest, Ordering::Relaxed);
            if before & lowest != 0 {
                return Some(lowest.trailing_zeros() as usize);
            }
            bits = before;
        }
        None
    }

    /// How many sleep.
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed).count_ones()
    }
}
