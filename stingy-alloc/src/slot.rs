//! An owned buffer, from a slab or from the system allocator: one type for both, `Send` and `'static`.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::home::Home;
use crate::pool::Taken;

/// An owned byte buffer.
///
/// It can go to another thread, be dropped there, and outlive its [`Slab`](crate::Slab): its memory stays
/// mapped until the last slot is gone. Its bytes are always initialised: zero at first, later whatever the
/// last object in the same slot left there. [`clear`](Self::clear) wipes it where that matters.
///
/// Dropping it on the slab's thread is a few plain stores; on another thread it is one compare-and-swap,
/// and the slab takes the slot back when it next looks.
pub struct Slot(Repr);

enum Repr {
    /// A slot of a slab. `start` is no `NonNull`: the one niche, in `home`, keeps this at three words.
    ///
    /// # Invariants
    /// 1. `home` is alive, and `index` is a slot of it that is out and held by this value alone.
    /// 2. `start..start + len` are the bytes of that slot: mapped, initialised, and no other slot's.
    Slab {
        home: NonNull<Home>,
        start: *mut u8,
        index: u32,
        len: u32,
    },
    Heap(Box<[u8]>),
}

// SAFETY: the bytes are this value's alone (2); giving the slot back works from any thread (`Home`).
unsafe impl Send for Slot {}
// SAFETY: a shared slot only gives out shared bytes.
unsafe impl Sync for Slot {}

impl Slot {
    /// A slot of the slab at `base`.
    ///
    /// # Safety
    /// `home` is alive and has just handed out `taken`, whose bytes from `base` are mapped and initialised
    /// and remain so until the slot is given back.
    #[inline]
    pub(crate) unsafe fn in_slab(home: NonNull<Home>, base: *mut u8, taken: Taken) -> Self {
        // SAFETY: inside the mapping.
        let start = unsafe { base.add(taken.offset) };
        Self(Repr::Slab { home, start, index: taken.index, len: taken.size })
    }

    /// `len` zeroed bytes of the system allocator.
    ///
    /// Like `vec![0; len]`, it does not return if the system has no such memory.
    #[inline]
    pub fn heap(len: usize) -> Self {
        Self(Repr::Heap(vec![0; len].into_boxed_slice()))
    }

    /// Whether it lies in a slab.
    pub fn is_slab(&self) -> bool {
        matches!(self.0, Repr::Slab { .. })
    }

    /// Overwrites all bytes with zero.
    pub fn clear(&mut self) {
        self.fill(0);
    }
}

impl From<Box<[u8]>> for Slot {
    fn from(bytes: Box<[u8]>) -> Self {
        Self(Repr::Heap(bytes))
    }
}

impl Drop for Slot {
    #[inline]
    fn drop(&mut self) {
        if let Repr::Slab { home, index, .. } = self.0 {
            // SAFETY: by (1), and nothing uses the bytes after this.
            unsafe { Home::give_back(home, index) };
        }
    }
}

impl Deref for Slot {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            // SAFETY: by (2), borrowed from this value.
            Repr::Slab { start, len, .. } => unsafe {
                std::slice::from_raw_parts(*start, *len as usize)
            },
            Repr::Heap(bytes) => bytes,
        }
    }
}

impl DerefMut for Slot {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            // SAFETY: by (2), borrowed mutably from this value.
            Repr::Slab { start, len, .. } => unsafe {
                std::slice::from_raw_parts_mut(*start, *len as usize)
            },
            Repr::Heap(bytes) => bytes,
        }
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
