//! Where do the objects of the general allocators come from?
//!
//! Every one is a box whose bytes nobody but the measured work writes.

use std::mem::MaybeUninit;

use super::lines::{LINE, Line, Touch};

/// An object of which one word is used, and which has no other bytes written.
#[repr(C)]
pub(super) struct Blob<const REST: usize> {
    pub(super) word: u64,
    rest: MaybeUninit<[u8; REST]>,
}

impl<const REST: usize> Blob<REST> {
    #[inline]
    pub(super) fn new(word: u64) -> Blob<REST> {
        Blob { word, rest: MaybeUninit::uninit() }
    }
}

/// A general allocator.
pub(super) trait Heap {
    /// `bytes` of memory, of which a word a line is used.
    type Lines: Touch;
    /// `bytes` of memory.
    type Bytes: Touch;
    /// A value in memory of its own.
    type Boxed<const REST: usize>: Send;

    fn lines(bytes: usize, word: u64) -> Self::Lines;
    fn bytes(bytes: usize, byte: u8) -> Self::Bytes;
    fn boxed<const REST: usize>(word: u64) -> Self::Boxed<REST>;
}

/// The allocator that Rust programs have if they choose none: malloc of the C library.
pub(super) struct System;

impl Heap for System {
    type Lines = Box<[Line]>;
    type Bytes = Box<[u8]>;
    type Boxed<const REST: usize> = Box<Blob<REST>>;

    #[inline]
    fn lines(bytes: usize, word: u64) -> Box<[Line]> {
        let mut lines = Vec::with_capacity(bytes / LINE);
        lines.resize(bytes / LINE, Line::new(word));
        lines.into_boxed_slice()
    }

    #[inline]
    fn bytes(bytes: usize, byte: u8) -> Box<[u8]> {
        let mut all = Vec::with_capacity(bytes);
        all.resize(bytes, byte);
        all.into_boxed_slice()
    }

    #[inline]
    fn boxed<const REST: usize>(word: u64) -> Box<Blob<REST>> {
        Box::new(Blob::new(word))
    }
}

/// What mimalloc calls itself.
#[cfg(feature = "peers")]
pub(in super::super) fn mimalloc_version() -> Option<String> {
    let version = mimalloc::MiMalloc.version();
    let (major, minor, patch) = match version {
        // Since version 3 the parts have two digits.
        10_000.. => (version / 10_000, version / 100 % 100, version % 100),
        _ => (version / 100, version / 10 % 10, version % 10),
    };
    Some(format!("{major}.{minor}.{patch}"))
}

/// No peers, no mimalloc.
#[cfg(not(feature = "peers"))]
pub(in super::super) fn mimalloc_version() -> Option<String> {
    None
}

/// mimalloc, through the same door.
#[cfg(feature = "peers")]
pub(super) struct MiMalloc;

#[cfg(feature = "peers")]
mod peers {
    use allocator_api2::boxed::Box;
    use allocator_api2::vec::Vec;
    use stingy_alloc::adapt;

    use super::{Blob, Heap, LINE, Line, MiMalloc};

    type Mi = adapt::Heap<mimalloc::MiMalloc>;
    const MI: Mi = adapt::Heap(mimalloc::MiMalloc);

    impl Heap for MiMalloc {
        type Lines = Box<[Line], Mi>;
        type Bytes = Box<[u8], Mi>;
        type Boxed<const REST: usize> = Box<Blob<REST>, Mi>;

        #[inline]
        fn lines(bytes: usize, word: u64) -> Box<[Line], Mi> {
            let mut lines = Vec::with_capacity_in(bytes / LINE, MI);
            lines.resize(bytes / LINE, Line::new(word));
            lines.into_boxed_slice()
        }

        #[inline]
        fn bytes(bytes: usize, byte: u8) -> Box<[u8], Mi> {
            let mut all = Vec::with_capacity_in(bytes, MI);
            all.resize(bytes, byte);
            all.into_boxed_slice()
        }

        #[inline]
        fn boxed<const REST: usize>(word: u64) -> Box<Blob<REST>, Mi> {
            Box::new_in(Blob::new(word), MI)
        }
    }
}
