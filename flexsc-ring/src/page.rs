//! A syscall page: 64 entries, and two words that say where to look. See `pages` for many of them.
//!
//! The papers scan the page; a bit for each entry does away with the scan. Both words are hints in
//! one direction only: an entry that is posted has its bit set, and so has one that is done; who
//! finds a bit still asks the entry's own status.
//!
//! | word | set by | taken by |
//! |---|---|---|
//! | `posted` | poster, a batch at a time, Release | the syscall thread that clears the bit, Acquire |
//! | `done` | syscall thread, Release | poster, all at once, Acquire |

use crate::atomics::{AtomicU64, Ordering};
use crate::entry::Entry;

/// Entries of a page: 4 KiB of them.
#[cfg(not(loom))]
pub(crate) const ENTRIES: usize = 64;
/// Few, so that a model can be searched.
#[cfg(loom)]
pub(crate) const ENTRIES: usize = 2;

/// A word on a cache line of its own.
#[repr(align(64))]
#[derive(Debug)]
struct Line(AtomicU64);

#[repr(C, align(4096))]
struct Entries([Entry; ENTRIES]);

/// A syscall page.
pub(crate) struct Page {
    entries: Box<Entries>,
    posted: Line,
    done: Line,
}

impl Page {
    /// A page of free entries.
    pub(crate) fn new() -> Self {
        Page {
            entries: Box::new(Entries(std::array::from_fn(|_| Entry::new()))),
            posted: Line(AtomicU64::new(0)),
            done: Line(AtomicU64::new(0)),
        }
    }

    /// Entry `i`.
    #[inline]
    pub(crate) fn entry(&self, i: usize) -> &Entry {
        &self.entries.0[i % ENTRIES]
    }

    /// Poster: these entries are posted.
    pub(crate) fn publish(&self, bits: u64) {
        self.posted.0.fetch_or(bits, Ordering::Release);
    }

    /// Entries that are posted and that no thread has looked at.
    pub(crate) fn unclaimed(&self) -> u64 {
        self.posted.0.load(Ordering::Relaxed)
    }

    /// Syscall thread: takes one entry's bit.
    pub(crate) fn claim(&self) -> Option<usize> {
        let mut bits = self.posted.0.load(Ordering::Relaxed);
        while bits != 0 {
            let lowest = bits & bits.wrapping_neg();
            let before = self.posted.0.fetch_and(!lowest, Ordering::Acquire);
            if before & lowest != 0 {
                return Some(lowest.trailing_zeros() as usize);
            }
            bits = before;
        }
        None
    }

    /// Syscall thread: entry `i` is done. True: it is the first since they were taken.
    pub(crate) fn complete(&self, i: usize) -> bool {
        self.done.0.fetch_or(1 << i, Ordering::Release) == 0
    }

    /// Poster: takes the bits of all entries that are done.
    pub(crate) fn take_done(&self) -> u64 {
        self.done.0.swap(0, Ordering::Acquire)
    }
}
