//! Where do slabs lie, and whose is this address? One range of addresses for the whole process.
//!
//! The range is reserved at the first slab and never given back: `STRIDE` bytes a slab, which begin at a
//! multiple of `STRIDE`. So the home of any address is found by a mask and, for another thread's slab,
//! one table. Address space without memory costs nothing.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::home::Home;
use crate::sys::{self, Pages};

/// Bytes of address space from one slab to the next.
pub(crate) const STRIDE: usize = 16 << 20;

/// Slabs that a process can have at a time, those counted whose last objects are still out.
pub(crate) const MAX_SLABS: usize = 512;

/// Its first address; before there is a range, one that no pointer is less than a range above.
static BASE: AtomicUsize = AtomicUsize::new(1 << 63);

/// The home in each stride. `RESERVED` while one is being made; null if the stride is free.
static HOMES: [AtomicPtr<Home>; MAX_SLABS] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX_SLABS];

/// Stands in for a home that is not there yet. Never followed: no object lies in its stride.
const RESERVED: *mut Home = ptr::without_provenance_mut(1);

/// Address space for one slab, given back on drop.
///
/// # Invariants
/// 1. Its entry in `HOMES` is not null until drop, so nobody else has the same stride.
#[derive(Debug)]
pub(crate) struct Stride {
    pages: Pages,
    number: usize,
}

impl Stride {
    /// A stride that nobody has. `Ok(None)` if there is none left.
    pub(crate) fn take() -> io::Result<Option<Self>> {
        let range = range()?;
        for (number, entry) in HOMES.iter().enumerate() {
            let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
            let free = ptr::null_mut();
            // Acquire: what the last owner unmapped is unmapped before this maps anew.
            if entry.compare_exchange(free, RESERVED, acquire, relaxed).is_ok() {
                let pages = range.part(number * STRIDE..(number + 1) * STRIDE);
                return Ok(Some(Self { pages, number }));
            }
        }
        Ok(None)
    }

    pub(crate) fn pages(&self) -> Pages {
        self.pages
    }

    /// Makes `home` the one that addresses of this stride lead to.
    ///
    /// Whoever holds an object of it reads it from the table: the entry was made before the object.
    /// Release is for a child made by `fork`, which reads all there are: none of them is half made.
    pub(crate) fn settle(&self, home: NonNull<Home>) {
        HOMES[self.number].store(home.as_ptr(), Ordering::Release);
    }

    /// Makes addresses of this stride lead nowhere, before the home is freed: a child made by `fork`
    /// meanwhile must not find it. AcqRel, so that nothing of what follows comes before.
    pub(crate) fn retract(&self) {
        HOMES[self.number].swap(RESERVED, Ordering::AcqRel);
    }
}

impl Drop for Stride {
    fn drop(&mut self) {
        HOMES[self.number].store(ptr::null_mut(), Ordering::Release);
    }
}

/// The whole range, reserved at the first call.
fn range() -> io::Result<Pages> {
    static RANGE: OnceLock<Pages> = OnceLock::new();
    if let Some(range) = RANGE.get() {
        return Ok(*range);
    }
    // One stride more, never used: the lowest slab too has inaccessible memory beneath its stack.
    let bytes = (MAX_SLABS + 1) * STRIDE;
    let refused = |error: io::Error| {
        let text =
            format!("{bytes} bytes of address space are refused ({error}), raise `ulimit -v`");
        io::Error::new(error.kind(), text)
    };
    let reserved = Pages::reserve(bytes, STRIDE).map_err(refused)?.part(STRIDE..bytes);
    // If two threads come here at once, what one of them reserved is never used, and its handler runs
    // to no effect.
    sys::after_fork(Home::all_are_lost)?;
    let range = *RANGE.get_or_init(|| {
        BASE.store(reserved.start().addr().get(), Ordering::Relaxed);
        reserved
    });
    Ok(range)
}

/// The home that an address belongs to; `None` if it lies in no slab.
///
/// For an address of an object that is out, it is the home that handed it out, and alive.
pub(crate) fn home_of(address: usize) -> Option<NonNull<Home>> {
    let offset = address.wrapping_sub(BASE.load(Ordering::Relaxed));
    let home = HOMES.get(offset / STRIDE)?.load(Ordering::Relaxed);
    NonNull::new(home).filter(|home| home.as_ptr() != RESERVED)
}

/// Whether an address lies where only slabs lie.
#[inline]
pub(crate) fn contains(address: usize) -> bool {
    address.wrapping_sub(BASE.load(Ordering::Relaxed)) < MAX_SLABS * STRIDE
}

/// Every home there is, those that are being made or freed left out.
pub(crate) fn homes() -> impl Iterator<Item = NonNull<Home>> {
    let homes = HOMES.iter().filter_map(|entry| NonNull::new(entry.load(Ordering::Acquire)));
    homes.filter(|home| home.as_ptr() != RESERVED)
}
