//! An owned buffer, from a slab or from the system allocator: one type for both, `Send` and `'static`.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

use crate::geometry::LARGEST_CACHE;
use crate::home::Home;
use crate::layout::LINE;
use crate::pool::Taken;
use crate::registry::MAX_SLABS;

/// An owned byte buffer.
///
/// It can go to another thread, be dropped there, and outlive its [`Slab`](crate::Slab): its memory stays
/// mapped until the last slot is gone. Its bytes are always initialised: zero at first, later whatever the
/// last object in the same slot left there. [`clear`](Self::clear) wipes it where that matters.
///
/// Dropping it on the slab's thread is a few plain stores; on another thread it is one compare-and-swap,
/// and the slab takes the slot back when it next looks. It is two words, which fit into registers.
///
/// # Invariants
/// 1. If `label` is of a slab, the slab's home is alive, and the slot of that index is out and held by
///    this value alone; `start..start + len` are its bytes: mapped, initialised, and no other slot's.
/// 2. Else `start` and `len` are those of a `Box<[u8]>`, held by this value alone.
pub struct Slot {
    start: NonNull<u8>,
    label: Label,
}

/// Everything about a slot but its place. Heap: 0 and 63 bits of length. Slab: 1, number of the home,
/// index of the slot, length.
#[derive(Clone, Copy)]
pub(crate) struct Label(u64);

const LEN_BITS: u32 = 29;
const INDEX_BITS: u32 = 22;
const HOME_BITS: u32 = 12;
const SLAB: u64 = 1 << 63;

const _: () = assert!(LEN_BITS + INDEX_BITS + HOME_BITS == 63);
const _: () = assert!(LARGEST_CACHE < 1 << LEN_BITS && LARGEST_CACHE / LINE <= 1 << INDEX_BITS);
const _: () = assert!(MAX_SLABS <= 1 << HOME_BITS);

impl Label {
    /// What all slots of one home have in common.
    pub(crate) fn of_home(number: u16) -> Self {
        Self(SLAB | u64::from(number) << (LEN_BITS + INDEX_BITS))
    }

    #[inline]
    fn of_slot(self, index: u32, len: u32) -> Self {
        Self(self.0 | u64::from(index) << LEN_BITS | u64::from(len))
    }

    #[inline]
    fn is_slab(self) -> bool {
        self.0 & SLAB != 0
    }

    #[inline]
    fn len(self) -> usize {
        let mask = if self.is_slab() { (1 << LEN_BITS) - 1 } else { u64::MAX };
        (self.0 & mask) as usize
    }

    #[inline]
    pub(crate) fn home(self) -> u16 {
        (self.0 >> (LEN_BITS + INDEX_BITS)) as u16 & ((1 << HOME_BITS) - 1)
    }

    #[inline]
    fn index(self) -> u32 {
        (self.0 >> LEN_BITS) as u32 & ((1 << INDEX_BITS) - 1)
    }
}

// SAFETY: the bytes are this value's alone (1, 2); giving the slot back works from any thread (`Home`).
unsafe impl Send for Slot {}
// SAFETY: a shared slot only gives out shared bytes.
unsafe impl Sync for Slot {}

impl Slot {
    /// A slot of the slab at `base`.
    ///
    /// # Safety
    /// The home of that label is alive and has just handed out `taken`, whose bytes from `base` are mapped
    /// and initialised and remain so until the slot is given back.
    #[inline]
    pub(crate) unsafe fn in_slab(home: Label, base: NonNull<u8>, taken: Taken) -> Self {
        // SAFETY: inside the mapping.
        let start = unsafe { base.add(taken.offset) };
        Self { start, label: home.of_slot(taken.index, taken.size) }
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
        self.label.is_slab()
    }

    /// Overwrites all bytes with zero.
    pub fn clear(&mut self) {
        self.fill(0);
    }
}

impl From<Box<[u8]>> for Slot {
    #[inline]
    fn from(bytes: Box<[u8]>) -> Self {
        // A box is at most isize::MAX bytes, so the bit that marks a slab is clear.
        let label = Label(bytes.len() as u64);
        Self { start: NonNull::from(Box::leak(bytes)).cast(), label }
    }
}

impl Drop for Slot {
    #[inline]
    fn drop(&mut self) {
        if self.is_slab() {
            // SAFETY: by (1), and nothing uses the bytes after this.
            unsafe { Home::give_back(self.label.home(), self.label.index()) };
        } else {
            let bytes = ptr::slice_from_raw_parts_mut(self.start.as_ptr(), self.label.len());
            // SAFETY: by (2).
            drop(unsafe { Box::from_raw(bytes) });
        }
    }
}

impl Deref for Slot {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: by (1) and (2), borrowed from this value.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.label.len()) }
    }
}

impl DerefMut for Slot {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: by (1) and (2), borrowed mutably from this value.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.label.len()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_keeps_its_parts_at_their_limits() {
        for home in [0, 1, (MAX_SLABS - 1) as u16] {
            for index in [0, 1, (1 << INDEX_BITS) - 1] {
                for len in [1, 64, LARGEST_CACHE as u32] {
                    let label = Label::of_home(home).of_slot(index, len);
                    let parts = (label.is_slab(), label.home(), label.index(), label.len());
                    assert_eq!(parts, (true, home, index, len as usize));
                }
            }
        }
        for len in [0, 1, isize::MAX as usize] {
            assert_eq!((Label(len as u64).is_slab(), Label(len as u64).len()), (false, len));
        }
    }
}
