//! Syscall threads that sleep or end, and how none of them misses a call.
//!
//! A thread that finds nothing says that it sleeps (or ends), looks once more, and does so. A poster
//! publishes, then looks here. A full fence lies between the two steps on either side, so at least
//! one of them sees the other. Who clears the bit of a sleeper unparks it, once.
//!
//! | bit | set by | cleared by |
//! |---|---|---|
//! | `alive` | poster, before the thread starts; the thread, if it ends not after all | the thread |
//! | `sleeping` | the thread | who wakes it; the thread, if nobody did |

use crate::atomics::{AtomicU64, Ordering, fence};

/// Two bits for each thread.
#[derive(Debug)]
pub(crate) struct Idle {
    alive: AtomicU64,
    sleeping: AtomicU64,
}

impl Idle {
    /// Nobody is there.
    pub(crate) fn new() -> Self {
        Idle { alive: AtomicU64::new(0), sleeping: AtomicU64::new(0) }
    }

    /// Poster: thread `me` is about to start. Thread: it goes on.
    pub(crate) fn arrive(&self, me: usize) {
        self.alive.fetch_or(1 << me, Ordering::Relaxed);
    }

    /// Thread `me` is about to end; it has to look for work once more after this.
    pub(crate) fn retire(&self, me: usize) {
        self.alive.fetch_and(!(1 << me), Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Thread `me` is about to park; it has to look for work once more after this.
    pub(crate) fn enter(&self, me: usize) {
        self.sleeping.fetch_or(1 << me, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Thread `me` does not sleep (any more). False: somebody has picked it, and unparks it; a later
    /// park returns at once, which does no harm.
    pub(crate) fn leave(&self, me: usize) -> bool {
        self.sleeping.fetch_and(!(1 << me), Ordering::Relaxed) & 1 << me != 0
    }

    /// Poster: nobody is awake. After publishing: the fence is here.
    pub(crate) fn nobody_is_awake(&self) -> bool {
        fence(Ordering::SeqCst);
        self.alive.load(Ordering::Relaxed) & !self.sleeping.load(Ordering::Relaxed) == 0
    }

    /// Takes one sleeper, which the caller must unpark.
    pub(crate) fn pick(&self) -> Option<usize> {
        let mut bits = self.sleeping.load(Ordering::Relaxed);
        while bits != 0 {
            let lowest = bits & bits.wrapping_neg();
            let before = self.sleeping.fetch_and(!lowest, Ordering::Relaxed);
            if before & lowest != 0 {
                return Some(lowest.trailing_zeros() as usize);
            }
            bits = before;
        }
        None
    }

    /// Somebody sleeps, who could be picked.
    pub(crate) fn any_asleep(&self) -> bool {
        self.sleeping.load(Ordering::Relaxed) != 0
    }
}
