//! An owned buffer, from a slab or from the system allocator: one type for both, `Send` and `'static`.

use std::arch::asm;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

use crate::{arena, home};

/// An owned byte buffer.
///
/// It can go to another thread, be dropped there, and outlive its [`Slab`](crate::Slab): its memory stays
/// mapped until the last slot is gone. Its bytes are always initialised: zero at first, later whatever the
/// last object in the same slot left there. [`clear`](Self::clear) wipes it where that matters.
///
/// Dropping it on the slab's thread is a few plain stores; on another thread it is one compare-and-swap,
/// and the slab takes the slot back when it next looks. [`free_all`](crate::free_all) sends many home at once.
/// It is two words, which fit into registers.
///
/// # Invariants
/// 1. `start..start + len` are this value's alone, mapped and initialised: a slot or an object of a slab
///    that is out, or all of a `Box<[u8]>`.
pub struct Slot {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the bytes are this value's alone (1); giving the slot back works from any thread (`Home`).
unsafe impl Send for Slot {}
// SAFETY: a shared slot only gives out shared bytes.
unsafe impl Sync for Slot {}

impl Slot {
    /// # Safety
    /// An object of a slab starts there that has just been handed out, with `len` bytes, mapped for as long as
    /// it is out.
    #[inline]
    pub(crate) unsafe fn in_slab(start: NonNull<u8>, len: usize) -> Self {
        // The last object here may have had bytes without a value, such as the padding of a type. For all
        // the compiler knows this writes them, so that from here on they have one: whatever lies there.
        // SAFETY: no instruction at all.
        unsafe { asm!("/* {0} */", in(reg) start.as_ptr(), options(nostack, preserves_flags)) };
        Self { start, len }
    }

    /// Ends the slot; its memory is the caller's to give back.
    pub(crate) fn into_memory(self) -> NonNull<u8> {
        ManuallyDrop::new(self).start
    }

    /// `len` zeroed bytes of the system allocator.
    ///
    /// Like `vec![0; len]`, it does not return if the system has no such memory.
    #[inline]
    pub fn heap(len: usize) -> Self {
        vec![0; len].into_boxed_slice().into()
    }

    /// Whether it lies in a slab.
    #[inline]
    pub fn is_slab(&self) -> bool {
        arena::contains(self.start.addr().get())
    }

    /// Overwrites all bytes with zero.
    pub fn clear(&mut self) {
        self.fill(0);
    }
}

impl From<Box<[u8]>> for Slot {
    #[inline]
    fn from(bytes: Box<[u8]>) -> Self {
        let len = bytes.len();
        Self { start: NonNull::from(Box::leak(bytes)).cast(), len }
    }
}

impl Drop for Slot {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: by (1), and nothing uses the bytes after this.
        if unsafe { !home::free(self.start) } {
            let bytes = ptr::slice_from_raw_parts_mut(self.start.as_ptr(), self.len);
            // SAFETY: by (1) a box, as it is no slab's.
            drop(unsafe { Box::from_raw(bytes) });
        }
    }
}

impl Deref for Slot {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: by (1), borrowed from this value.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Slot {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: by (1), borrowed mutably from this value.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for Slot {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for Slot {
    #[inline]
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_slab() { "slab" } else { "heap" };
        write!(f, "Slot({kind}, {} bytes)", self.len())
    }
}
