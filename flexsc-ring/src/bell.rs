//! Has a syscall thread heard every signal that was meant for it?
//!
//! A signal that comes late would hit the thread's next call. So each CANCEL mark that a thread
//! finds at the end of a call is one signal due, and it takes no entry until all of them were heard
//! or are known to be lost.
//!
//! | word | set by | ordering | meaning |
//! |---|---|---|---|
//! | `thread` | the thread, before its first entry | Relaxed; RUNNING releases it | whom to signal |
//! | `heard` | the thread's own signal handler | Relaxed | signals of a poster that came |
//! | `foreign` | the thread's own signal handler | Relaxed | signals of somebody else that came |
//! | `lost` | poster | Release | signals that the kernel refused to send |
//!
//! `due` is the thread's own count of the marks that it found.

use crate::atomics::{AtomicU32, Ordering};

/// A syscall thread's signals.
#[derive(Debug)]
pub(crate) struct Bell {
    thread: AtomicU32,
    heard: AtomicU32,
    foreign: AtomicU32,
    lost: AtomicU32,
}

impl Bell {
    /// Nothing was sent.
    pub(crate) fn new() -> Self {
        let zero = || AtomicU32::new(0);
        Bell { thread: zero(), heard: zero(), foreign: zero(), lost: zero() }
    }

    /// Thread: its number in the kernel.
    pub(crate) fn hang(&self, thread: u32) {
        self.thread.store(thread, Ordering::Relaxed);
    }

    /// Poster: whom to signal; it has found this thread's number in a running entry.
    pub(crate) fn thread(&self) -> u32 {
        self.thread.load(Ordering::Relaxed)
    }

    /// Signal handler: a poster's signal, or somebody else's.
    pub(crate) fn ring(&self, ours: bool) {
        let word = if ours { &self.heard } else { &self.foreign };
        word.fetch_add(1, Ordering::Relaxed);
    }

    /// Poster: a signal could not be sent.
    pub(crate) fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Release);
    }

    /// Thread: changes when a signal was handled, whoever sent it.
    pub(crate) fn count(&self) -> u32 {
        self.heard.load(Ordering::Relaxed).wrapping_add(self.foreign.load(Ordering::Relaxed))
    }

    /// Thread: all of `due` signals were heard, or are lost.
    pub(crate) fn is_settled(&self, due: u32) -> bool {
        let heard = self.heard.load(Ordering::Relaxed);
        let lost = self.lost.load(Ordering::Acquire);
        heard.wrapping_add(lost).wrapping_sub(due) as i32 >= 0
    }
}
