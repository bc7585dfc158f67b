//! A collection in an object of a site.

use std::alloc::System;
use std::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator, Layout};

use super::Heap;
use crate::layout::LINE;
use crate::map::SiteId;
use crate::permit::Permit;
use crate::{arena, home};

/// A site of a permit as the allocator of collections: each block is an object, as long as one is left and
/// the block fits. What does not comes from the system allocator, and is counted as `size_guard`, `align`
/// or `no_permit`. [`Permit::at`] makes it.
///
/// A collection grows in its object until that is full. The trait is that of allocator-api2 0.4, which its
/// own `vec` and `boxed` take; other versions of that crate have other traits.
#[derive(Clone, Copy, Debug)]
pub struct At<'p> {
    permit: &'p Permit<'p>,
    site: SiteId,
}

impl Permit<'_> {
    /// An allocator for collections in objects of `site`.
    ///
    /// ```
    /// # use stingy_alloc::{MemoryMap, Options, Slab, StageId};
    /// # let map = MemoryMap::builder().site("fields", 512, 8).stage("parse", &[], &[("fields", 1)]).build()?;
    /// # let slab = Slab::new(&map, Options::default())?;
    /// let permit = slab.admit(StageId(0), 1);
    /// let fields = map.site_named("fields").unwrap();
    /// let mut lengths = allocator_api2::vec::Vec::<u32, _>::new_in(permit.at(fields));
    /// lengths.extend(0..128); // 512 bytes
    /// assert_eq!((slab.live(), lengths[127]), (1, 127));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn at(&self, site: SiteId) -> At<'_> {
        At { permit: self, site }
    }
}

// SAFETY: a block is an object of a slab, which is its own until freed, starts on a line and is at least as
// large as was asked for; or it is a block of the system allocator. Its address says which. Copies are the
// same allocator.
unsafe impl Allocator for At<'_> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        if layout.size() == 0 {
            return Heap(&System).allocate(layout);
        }
        if layout.align() <= LINE
            && let Some(object) = self.permit.alloc_bytes(self.site, layout.size())
        {
            return Ok(object);
        }
        self.permit.falls_back_at(self.site, layout);
        Heap(&System).allocate(layout)
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: if it lies in a slab it is an object that is out, which the caller gives up.
        if layout.size() > 0 && unsafe { !home::free(block) } {
            // SAFETY: in no slab, so of the system allocator, with this layout.
            unsafe { Heap(&System).deallocate(block, layout) };
        }
    }

    unsafe fn grow(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: if it lies in a slab it is an object that is out.
        let room = if old.size() > 0 { unsafe { home::room(block) } } else { None };
        if new.align() <= LINE && room.is_some_and(|room| new.size() <= room) {
            return Ok(NonNull::slice_from_raw_parts(block, new.size()));
        }
        let moved = self.allocate(new)?;
        // SAFETY: both have at least as many bytes, and are two blocks.
        unsafe { moved.cast::<u8>().copy_from_nonoverlapping(block, old.size()) };
        // SAFETY: the caller's promise.
        unsafe { self.deallocate(block, old) };
        Ok(moved)
    }

    unsafe fn shrink(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, AllocError> {
        let stays = new.size() > 0 && new.align() <= LINE && arena::contains(block.addr().get());
        if stays && old.size() > 0 {
            return Ok(NonNull::slice_from_raw_parts(block, new.size()));
        }
        if stays || new.align() > old.align() || new.size() == 0 {
            let moved = self.allocate(new)?;
            // SAFETY: both have at least as many bytes, and are two blocks.
            unsafe { moved.cast::<u8>().copy_from_nonoverlapping(block, new.size()) };
            // SAFETY: the caller's promise.
            unsafe { self.deallocate(block, old) };
            return Ok(moved);
        }
        // SAFETY: in no slab, so of the system allocator; the caller's promise.
        unsafe { Heap(&System).shrink(block, old, new) }
    }
}
