//! Is a core awake? One word a core, so that no wake-up is lost and none costs a system call that is not needed.
//!
//! | state | who sets it, from | the core then reads | a waker, after publishing |
//! |---|---|---|---|
//! | RUNNING | the core, from any | - | does nothing: the core will look |
//! | SEARCHING | the core, from RUNNING | boards, inbox, driver | does nothing: the core will look |
//! | SLEEPY | the core, from RUNNING, SEARCHING or NOTIFIED | boards and inbox once more | CAS -> NOTIFIED, no system call |
//! | PARKED | the core, CAS from SLEEPY; then it waits | - | CAS -> NOTIFIED; the winner alone makes the system call |
//! | NOTIFIED | a waker | - | does nothing: a wake is under way |
//!
//! The waker publishes, fences, and loads the state; the core stores SLEEPY, fences, and loads what was published. One of
//! the two sees the other's store: either side alone would lose wake-ups (Go's `proc.go`, rayon's `sleep/README.md`).

use crate::atomics::{AtomicU32, Ordering, fence};

const RUNNING: u32 = 0;
const SEARCHING: u32 = 1;
const SLEEPY: u32 = 2;
const PARKED: u32 = 3;
const NOTIFIED: u32 = 4;

/// What a waker has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Notice {
    /// Nothing: the core runs, and will look by itself.
    Runs,
    /// Nothing: the core looks for work, or was notified already.
    Looks,
    /// Nothing: the core was about to wait and now will not.
    Kept,
    /// Make the system call that ends its wait. Nobody else will.
    Wake,
}

/// The state of one core.
#[derive(Debug)]
pub struct Parker(AtomicU32);

impl Default for Parker {
    fn default() -> Self {
        Self(AtomicU32::new(RUNNING))
    }
}

impl Parker {
    /// The core has nothing to run and looks around without waiting.
    pub fn search(&self) {
        self.0.store(SEARCHING, Ordering::Relaxed);
    }

    /// Has the core something to run, as far as it has said? A hint.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0.load(Ordering::Relaxed) == RUNNING
    }

    /// Is the core looking around, or notified and on its way to do so? A hint: who has published something and relies on
    /// the core to find it asks [`is_any_searching`].
    #[must_use]
    pub fn is_searching(&self) -> bool {
        matches!(self.0.load(Ordering::Relaxed), SEARCHING | NOTIFIED)
    }

    /// The core is about to wait: after this it looks once more at all that wakers publish.
    pub fn doze(&self) {
        self.0.store(SLEEPY, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Nothing was there: true, and the core may wait until woken. False: it was notified meanwhile and must not.
    #[must_use]
    pub fn park(&self) -> bool {
        self.0.compare_exchange(SLEEPY, PARKED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The core runs again. True if a waker had notified it.
    pub fn rise(&self) -> bool {
        self.0.swap(RUNNING, Ordering::AcqRel) == NOTIFIED
    }

    /// Told by a waker after it has published something for the core.
    pub fn notify(&self) -> Notice {
        fence(Ordering::SeqCst);
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            let notice = match state {
                RUNNING => return Notice::Runs,
                SLEEPY => Notice::Kept,
                PARKED => Notice::Wake,
                _ => return Notice::Looks,
            };
            let swapped =
                self.0.compare_exchange(state, NOTIFIED, Ordering::AcqRel, Ordering::Relaxed);
            match swapped {
                Ok(_) => return notice,
                Err(now) => state = now,
            }
        }
    }
}

/// Asked after offering something to all of `parkers`: will one of them find it without being notified?
///
/// A waker's fence comes first, as in [`Parker::notify`]: a core that is seen searching here sees the offer when it looks
/// once more before it waits.
#[must_use]
pub fn is_any_searching<'a>(mut parkers: impl Iterator<Item = &'a Parker>) -> bool {
    fence(Ordering::SeqCst);
    parkers.any(Parker::is_searching)
}
