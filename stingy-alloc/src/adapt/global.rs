//! The slab as the global allocator of a program.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::NonNull;

use super::scope;
use crate::{arena, home};

/// A global allocator that serves [`Permit::scope`](crate::Permit::scope)s from their slab and everything
/// else from `F`.
///
/// Outside of a scope an allocation costs one look at a thread-local, a free one or two comparisons.
///
/// ```
/// use std::alloc::System;
/// use stingy_alloc::{MemoryMap, Options, Slab, StageId, adapt::Global};
///
/// #[global_allocator]
/// static GLOBAL: Global<System> = Global(System);
///
/// let map = MemoryMap::builder().site("line", 256, 8).stage("parse", &[], &[("line", 1)]).build()?;
/// let slab = Slab::new(&map, Options::default())?;
/// let permit = slab.admit(StageId(0), 1);
/// let line = permit.scope(|| String::from("GET / HTTP/1.1")); // an object of `line`
/// assert_eq!(slab.live(), 1);
/// drop(line);
/// assert_eq!(slab.live(), 0);
/// # drop(permit);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Global<F = System>(pub F);

/// Gives an object of a slab back. Not in line, so that what is in line at every free of a program is
/// short; and as `extern "C"`, so that a panic ends the process: the owner's [`Wake`](crate::Wake) may run in here.
///
/// # Safety
/// As for [`home::free`].
#[inline(never)]
unsafe extern "C" fn free(object: NonNull<u8>) {
    // SAFETY: as promised.
    unsafe { home::free(object) };
}

// SAFETY: a block is an object of a slab, which is its own until freed, starts on a line and is at least as
// large as was asked for; or it is a block of `F`. Its address says which. Nothing here allocates
// by this allocator, and no panic leaves.
unsafe impl<F: GlobalAlloc> GlobalAlloc for Global<F> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match scope::alloc(layout) {
            Some(object) => object.as_ptr(),
            // SAFETY: the caller's promise.
            None => unsafe { self.0.alloc(layout) },
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match arena::contains(block.addr()) {
            // SAFETY: in no slab, so of `F`; the caller's promise.
            false => unsafe { self.0.dealloc(block, layout) },
            // SAFETY: a block of this allocator is not null, and the caller gives it up.
            true => unsafe { free(NonNull::new_unchecked(block)) },
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match scope::alloc(layout) {
            Some(object) => {
                // SAFETY: an object of at least that size.
                unsafe { object.write_bytes(0, layout.size()) };
                object.as_ptr()
            }
            // SAFETY: the caller's promise.
            None => unsafe { self.0.alloc_zeroed(layout) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: a block of this allocator is not null, and out.
        let Some(room) = (unsafe { home::room(NonNull::new_unchecked(block)) }) else {
            // SAFETY: in no slab, so of `F`; the caller's promise.
            return unsafe { self.0.realloc(block, layout, new_size) };
        };
        if new_size <= room {
            return block;
        }
        // SAFETY: the caller promises that the new size makes a layout.
        let layout_of = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: not for no bytes, as the new size is above that of an object.
        let moved = unsafe { self.alloc(layout_of) };
        if !moved.is_null() {
            // SAFETY: both have at least as many bytes, and are two blocks.
            unsafe { moved.copy_from_nonoverlapping(block, layout.size()) };
            // SAFETY: the caller's promise.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}
