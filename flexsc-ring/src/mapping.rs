//! Memory that a call has mapped: who owns it, who may look at it, and what may be advised about it?

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::sys;

/// Pages that a [`Call::Mmap`](crate::Call::Mmap) mapped; dropping it, on any thread, unmaps them.
///
/// Memory of the process's own (`Call::map_memory`) is a slice of bytes, zero at first, and can be
/// lent to calls as a buffer. A file's pages are not: anybody may change or cut off the file, so the
/// slice is empty, and only the raw pointer leads to them.
///
/// # Invariants
///
/// 1. `size` bytes from `at` on are mapped until drop, and nobody else unmaps them.
/// 2. If `memory`, they are readable, writable, private and this value's alone.
pub struct Mapping {
    at: NonNull<u8>,
    size: usize,
    memory: bool,
}

// SAFETY: the bytes belong to no thread; access follows the borrows of this value (2).
unsafe impl Send for Mapping {}
// SAFETY: a shared reference reads only, and advice changes no byte.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Takes ownership of what an `mmap` has returned.
    ///
    /// # Safety
    ///
    /// Both invariants hold, and nobody else owns the mapping.
    pub(crate) unsafe fn adopt(at: NonNull<u8>, size: usize, memory: bool) -> Self {
        Mapping { at, size, memory }
    }

    /// The first byte. What a file's pages hold may change at any time, and touching a page beyond
    /// the file's end kills the process (`SIGBUS`).
    pub fn as_ptr(&self) -> *mut u8 {
        self.at.as_ptr()
    }

    /// Bytes that are mapped, as asked for.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Memory of the process's own, not a file's pages.
    pub fn is_memory(&self) -> bool {
        self.memory
    }

    fn visible(&self) -> usize {
        if self.memory { self.size } else { 0 }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: mapped, readable and unshared (1, 2), or no bytes at all.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.visible()) }
    }
}

impl DerefMut for Mapping {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), self.visible()) }
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for Mapping {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = if self.memory { "memory" } else { "a file" };
        write!(f, "Mapping({} bytes of {of})", self.size)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by (1) until now, and this is the owner.
        unsafe { sys::unmap(self.at.as_ptr().expose_provenance() as u64, self.size as u64) };
    }
}

/// What a [`Call::Madvise`](crate::Call::Madvise) says about pages. Only advice that changes no byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// No special use.
    Normal,
    /// Little will be read ahead.
    Random,
    /// Much will be read ahead, and given up behind.
    Sequential,
    /// Read it ahead now.
    WillNeed,
    /// Not used for long: the first to go when memory is short (Linux 5.4 on).
    Cold,
    /// Put it out now (Linux 5.4 on).
    PageOut,
    /// Huge pages, please.
    HugePage,
    /// No huge pages.
    NoHugePage,
    /// Map all pages for reading now (Linux 5.14 on).
    PopulateRead,
    /// Map all pages for writing now (Linux 5.14 on).
    PopulateWrite,
}

impl Advice {
    pub(crate) fn raw(self) -> i32 {
        match self {
            Advice::Normal => libc::MADV_NORMAL,
            Advice::Random => libc::MADV_RANDOM,
            Advice::Sequential => libc::MADV_SEQUENTIAL,
            Advice::WillNeed => libc::MADV_WILLNEED,
            Advice::Cold => libc::MADV_COLD,
            Advice::PageOut => libc::MADV_PAGEOUT,
            Advice::HugePage => libc::MADV_HUGEPAGE,
            Advice::NoHugePage => libc::MADV_NOHUGEPAGE,
            Advice::PopulateRead => libc::MADV_POPULATE_READ,
            Advice::PopulateWrite => libc::MADV_POPULATE_WRITE,
        }
    }

    /// It may wait for a disk, or touch many pages.
    pub(crate) fn takes_long(self) -> bool {
        !matches!(
            self,
            Advice::Normal
                | Advice::Random
                | Advice::Sequential
                | Advice::HugePage
                | Advice::NoHugePage
        )
    }
}
