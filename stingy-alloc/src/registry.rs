//! Which slab has number n? A table for the whole process, so that a slot names its home in a few bits.

use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::home::Home;

/// Slabs that a process can have at a time, those counted whose last slots are still out.
pub(crate) const MAX_SLABS: usize = 1 << 12;

static HOMES: [AtomicPtr<Home>; MAX_SLABS] = [const { AtomicPtr::new(null_mut()) }; MAX_SLABS];

/// Enters a home; `None` if the table is full.
pub(crate) fn insert(home: NonNull<Home>) -> Option<u16> {
    HOMES.iter().zip(0..).find_map(|(entry, number)| {
        let relaxed = Ordering::Relaxed;
        entry.compare_exchange(null_mut(), home.as_ptr(), relaxed, relaxed).ok().map(|_| number)
    })
}

/// The home of that number; null if there is none.
///
/// Whoever holds one of its slots reads the right one: the entry was made before the slot, and is not
/// made again while the slot is out.
#[inline]
pub(crate) fn get(number: u16) -> *mut Home {
    HOMES[usize::from(number) % MAX_SLABS].load(Ordering::Relaxed)
}

/// Frees the number of a home that is about to be freed itself.
pub(crate) fn remove(number: u16) {
    HOMES[usize::from(number) % MAX_SLABS].store(null_mut(), Ordering::Relaxed);
}
