//! When must a wake enter the kernel? Once for each sleep, and only if there is a sleep.
//!
//! | from -> to | who | ordering | meaning |
//! |---|---|---|---|
//! | AWAKE -> ARMED | sleeper | AcqRel CAS | it will sleep; refused if NOTIFIED |
//! | AWAKE -> NOTIFIED | waker | AcqRel swap | no system call: the sleeper will see it |
//! | ARMED -> NOTIFIED | waker | AcqRel swap | this waker, and no other, signals |
//! | NOTIFIED -> NOTIFIED | waker | AcqRel swap | somebody has seen to it |
//! | any -> AWAKE | sleeper | AcqRel swap | it looks at what the wakers left for it |
//!
//! What a waker wrote before `wake` is visible to the sleeper after the call of `arm` or `disarm`
//! that met the notice: every step is a read-modify-write of the one word.

use crate::atomics::{AtomicU32, Ordering};

const AWAKE: u32 = 0;
const ARMED: u32 = 1;
const NOTIFIED: u32 = 2;

/// The word that the sleeper and its wakers share.
#[derive(Debug)]
pub(crate) struct Epoch(AtomicU32);

impl Epoch {
    /// The sleeper is awake.
    pub(crate) fn new() -> Self {
        Epoch(AtomicU32::new(AWAKE))
    }

    /// Sleeper: about to sleep. False: somebody has called; do not sleep, look.
    #[must_use]
    pub(crate) fn arm(&self) -> bool {
        let armed =
            self.0.compare_exchange(AWAKE, ARMED, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !armed {
            self.disarm();
        }
        armed
    }

    /// Sleeper: awake again.
    pub(crate) fn disarm(&self) {
        self.0.swap(AWAKE, Ordering::AcqRel);
    }

    /// Sleeper: not going to sleep this time, so a notice has done its work.
    pub(crate) fn pass(&self) {
        if self.0.load(Ordering::Relaxed) == NOTIFIED {
            self.disarm();
        }
    }

    /// Waker: true if this caller has to signal.
    #[must_use]
    pub(crate) fn wake(&self) -> bool {
        self.0.swap(NOTIFIED, Ordering::AcqRel) == ARMED
    }
}
