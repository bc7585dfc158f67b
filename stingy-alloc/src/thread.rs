//! Which thread is this? A number that no two threads of a process ever share, without a destructor.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// No thread has this number: it stands for an owner that is gone.
pub(crate) const NOBODY: u64 = u64::MAX;

/// A thread that never asked [`own`] for its number: it owns nothing.
const UNKNOWN: u64 = 0;

#[cfg(not(loom))]
thread_local! {
    static NUMBER: Cell<u64> = const { Cell::new(UNKNOWN) };
}
#[cfg(loom)]
loom::thread_local! {
    static NUMBER: Cell<u64> = Cell::new(UNKNOWN);
}

/// The number of this thread, handed out at its first call.
pub(crate) fn own() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(UNKNOWN + 1);
    NUMBER.with(|number| {
        if number.get() == UNKNOWN {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

/// Whether this thread is number `owner`. Never allocates: it runs in every free.
#[inline]
pub(crate) fn is(owner: u64) -> bool {
    NUMBER.with(|number| number.get() == owner)
}
