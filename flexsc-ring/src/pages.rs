//! Which of many syscall pages have something to do, without a look at the others?
//!
//! A word for each 64 pages says which have calls that nobody took, another which have results. They
//! are hints in one direction only, as a page's own words are: a page with something to find has its
//! bit set, or somebody is about to set it who has not told anybody yet.
//!
//! | word | set by | cleared by |
//! |---|---|---|
//! | `posted` | poster, after the page's, Release | the thread that found the page empty, which then looks again |
//! | `done` | the thread that made the page's word non-zero, Release | poster, Acquire, before it takes the page's |

use std::sync::{Arc, OnceLock};

use crate::atomics::{AtomicU64, Ordering};
use crate::page::Page;

/// Pages that a table has room for.
#[cfg(not(loom))]
pub(crate) const MOST_PAGES: usize = 512;
/// Few, so that a model can be searched.
#[cfg(loom)]
pub(crate) const MOST_PAGES: usize = 2;

/// A bit for each page, on a cache line of their own.
#[repr(align(64))]
struct Words([AtomicU64; MOST_PAGES.div_ceil(64)]);

impl Words {
    fn new() -> Self {
        Words(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    fn any(&self) -> bool {
        self.0.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    fn set(&self, page: usize) {
        self.0[page / 64].fetch_or(1 << (page % 64), Ordering::Release);
    }
}

/// Syscall pages, made when they are first used.
pub(crate) struct Pages {
    table: Box<[OnceLock<Arc<Page>>]>,
    posted: Words,
    done: Words,
}

impl Pages {
    /// Room for [`MOST_PAGES`].
    pub(crate) fn new() -> Self {
        let table = (0..MOST_PAGES).map(|_| OnceLock::new()).collect();
        Pages { table, posted: Words::new(), done: Words::new() }
    }

    /// Page `at`.
    #[inline]
    pub(crate) fn page(&self, at: usize) -> &Arc<Page> {
        self.table[at].get_or_init(|| Arc::new(Page::new()))
    }

    /// Poster: these entries of a page are posted.
    pub(crate) fn publish(&self, page: usize, bits: u64) {
        self.page(page).publish(bits);
        self.posted.set(page);
    }

    /// Some entry is posted that no thread has looked at.
    #[inline]
    pub(crate) fn any_unclaimed(&self) -> bool {
        self.posted.any()
    }

    /// How many entries are posted that no thread has looked at.
    pub(crate) fn unclaimed(&self) -> usize {
        let mut sum = 0;
        for (at, word) in self.posted.0.iter().enumerate() {
            let mut bits = word.load(Ordering::Relaxed);
            while bits != 0 {
                let page = at * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                sum += self.page(page).unclaimed().count_ones() as usize;
            }
        }
        sum
    }

    /// Syscall thread: takes one posted entry: its page, and its place there.
    pub(crate) fn claim(&self) -> Option<(usize, usize)> {
        for (at, word) in self.posted.0.iter().enumerate() {
            let mut bits = word.load(Ordering::Relaxed);
            while bits != 0 {
                let lowest = bits & bits.wrapping_neg();
                let page = at * 64 + lowest.trailing_zeros() as usize;
                if let Some(i) = self.page(page).claim() {
                    return Some((page, i));
                }
                bits = word.fetch_and(!lowest, Ordering::Acquire) & !lowest;
                if self.page(page).unclaimed() != 0 {
                    bits = word.fetch_or(lowest, Ordering::Relaxed) | lowest;
                }
            }
        }
        None
    }

    /// Syscall thread: an entry is done.
    pub(crate) fn complete(&self, page: usize, i: usize) {
        if self.page(page).complete(i) {
            self.done.set(page);
        }
    }

    /// Some entry is done.
    #[inline]
    pub(crate) fn any_done(&self) -> bool {
        self.done.any()
    }

    /// Poster: takes the bits of entries that are done, page by page.
    pub(crate) fn take_done(&self, mut take: impl FnMut(usize, u64)) {
        for (at, word) in self.done.0.iter().enumerate() {
            if word.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let mut bits = word.swap(0, Ordering::Acquire);
            while bits != 0 {
                let page = at * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                take(page, self.page(page).take_done());
            }
        }
    }
}
