//! Which thread is this, and which slab is its own? Plain words without a destructor, so that they can be
//! asked at any time of a thread's life, and from within an allocator.

use std::cell::Cell;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

/// No thread has this number: it stands for an owner that is gone.
pub(crate) const NOBODY: u64 = u64::MAX;

/// A thread that never asked [`own`] for its number: it owns nothing.
const UNKNOWN: u64 = 0;

/// No stride starts there, and no object lies less than a stride above.
const NOWHERE: *mut u8 = ptr::without_provenance_mut(1 << 63);

#[cfg(not(loom))]
thread_local! {
    static NUMBER: Cell<u64> = const { Cell::new(UNKNOWN) };
    static HERE: Cell<*mut u8> = const { Cell::new(NOWHERE) };
}
#[cfg(loom)]
loom::thread_local! {
    static NUMBER: Cell<u64> = Cell::new(UNKNOWN);
    static HERE: Cell<*mut u8> = Cell::new(NOWHERE);
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

/// Whether this thread is number `owner`. Never allocates: it runs in every free from afar.
#[inline]
pub(crate) fn is(owner: u64) -> bool {
    NUMBER.with(|number| number.get() == owner)
}

/// The stride of this thread's slab, the last one made if it has several; an address of no stride if it
/// has none.
#[inline]
pub(crate) fn here() -> *mut u8 {
    HERE.with(Cell::get)
}

/// Makes a stride the one of this thread.
pub(crate) fn settle(stride: NonNull<u8>) {
    HERE.with(|here| here.set(stride.as_ptr()));
}

/// Forgets the stride of this thread, if it is this one.
pub(crate) fn leave(stride: NonNull<u8>) {
    HERE.with(|here| {
        if here.get() == stride.as_ptr() {
            here.set(NOWHERE);
        }
    });
}
