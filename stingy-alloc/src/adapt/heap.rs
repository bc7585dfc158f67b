//! Any global allocator as an `Allocator`, so that one collection can live in it.

use std::alloc::GlobalAlloc;
use std::num::NonZero;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator, Layout};

/// A global allocator for a single collection. By reference, as some allocators keep their blocks within
/// themselves.
///
/// ```
/// use std::alloc::System;
/// use stingy_alloc::adapt::Heap;
///
/// let mut numbers = allocator_api2::vec::Vec::new_in(Heap(&System));
/// numbers.extend(0..100);
/// assert_eq!(numbers.iter().sum::<i32>(), 4950);
/// ```
#[derive(Debug)]
pub struct Heap<'a, G>(pub &'a G);

impl<G> Clone for Heap<'_, G> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<G> Copy for Heap<'_, G> {}

// SAFETY: a global allocator keeps its blocks until they are freed, and stays where it is while it is
// borrowed. Copies are the same allocator. None is asked for no bytes.
unsafe impl<G: GlobalAlloc> Allocator for Heap<'_, G> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            let align = NonZero::new(layout.align()).unwrap_or(NonZero::<usize>::MIN);
            return Ok(NonNull::slice_from_raw_parts(NonNull::without_provenance(align), 0));
        }
        // SAFETY: not for no bytes.
        let block = NonNull::new(unsafe { self.0.alloc(layout) }).ok_or(AllocError)?;
        Ok(NonNull::slice_from_raw_parts(block, layout.size()))
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if layout.size() > 0 {
            // SAFETY: allocated by it with this layout, as the caller promises.
            unsafe { self.0.dealloc(block.as_ptr(), layout) };
        }
    }
}

/// The same for an allocator without state, such as `System` or mimalloc's: a handle that takes no bytes.
///
/// ```
/// use std::alloc::System;
/// use stingy_alloc::adapt::Stateless;
///
/// let number = allocator_api2::boxed::Box::new_in(7, Stateless::new(System));
/// assert_eq!((*number, size_of_val(&number)), (7, size_of::<usize>()));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stateless<G>(G);

impl<G> Stateless<G> {
    /// A handle. Refused by the compiler if the allocator takes bytes itself: use [`Heap`] then.
    pub const fn new(allocator: G) -> Self {
        const { assert!(size_of::<G>() == 0, "this allocator has state: use Heap") };
        Self(allocator)
    }
}

// SAFETY: an allocator of no bytes has its blocks and all that it knows elsewhere, so it makes no difference
// where it is, nor which of its values is asked.
unsafe impl<G: GlobalAlloc> Allocator for Stateless<G> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        Heap(&self.0).allocate(layout)
    }

    #[inline]
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { Heap(&self.0).deallocate(block, layout) };
    }
}
