//! Any global allocator as an `Allocator`, so that one collection can live in it.

use std::alloc::GlobalAlloc;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator, Layout};

/// A global allocator for a single collection.
///
/// ```
/// use std::alloc::System;
/// use stingy_alloc::adapt::Heap;
///
/// let mut numbers = allocator_api2::vec::Vec::new_in(Heap(System));
/// numbers.extend(0..100);
/// assert_eq!(numbers.iter().sum::<i32>(), 4950);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap<G>(pub G);

// SAFETY: a global allocator keeps its blocks until they are freed, wherever it is moved to; none is made
// or freed for no bytes.
unsafe impl<G: GlobalAlloc> Allocator for Heap<G> {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            let dangling = NonNull::without_provenance(layout_align(layout));
            return Ok(NonNull::slice_from_raw_parts(dangling, 0));
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

/// The alignment, which is not zero.
fn layout_align(layout: Layout) -> std::num::NonZero<usize> {
    std::num::NonZero::new(layout.align()).unwrap_or(std::num::NonZero::<usize>::MIN)
}
