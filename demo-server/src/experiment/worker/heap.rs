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

#[cfg(feature = "peers")]
pub(super) use peers::{Global, MiMalloc, SystemToo};

#[cfg(feature = "peers")]
mod peers {
    use std::alloc::GlobalAlloc;
    use std::marker::PhantomData;

    use allocator_api2::boxed::Box;
    use allocator_api2::vec::Vec;
    use stingy_alloc::adapt::{self, Stateless};

    use super::{Blob, Heap, LINE, Line};

    /// mimalloc.
    pub(in super::super) type MiMalloc = Any<mimalloc::MiMalloc>;
    /// What a program calls that has the slab as its global allocator: the slab in a scope, malloc outside.
    pub(in super::super) type Global = Any<adapt::Global<std::alloc::System>>;
    /// The system's allocator through the same door as the other two.
    pub(in super::super) type SystemToo = Any<std::alloc::System>;

    /// An allocator without state, of which any value is as good as another.
    pub(in super::super) trait Only:
        GlobalAlloc + Send + Sync + Sized + 'static
    {
        const ONLY: Stateless<Self>;
    }

    impl Only for mimalloc::MiMalloc {
        const ONLY: Stateless<Self> = Stateless::new(Self);
    }

    impl Only for std::alloc::System {
        const ONLY: Stateless<Self> = Stateless::new(Self);
    }

    impl Only for adapt::Global<std::alloc::System> {
        const ONLY: Stateless<Self> = Stateless::new(Self(std::alloc::System));
    }

    /// Boxes of a global allocator that is not this program's.
    pub(in super::super) struct Any<G>(PhantomData<G>);

    impl<G: Only> Heap for Any<G> {
        type Lines = Box<[Line], Stateless<G>>;
        type Bytes = Box<[u8], Stateless<G>>;
        type Boxed<const REST: usize> = Box<Blob<REST>, Stateless<G>>;

        #[inline]
        fn lines(bytes: usize, word: u64) -> Self::Lines {
            let mut lines = Vec::with_capacity_in(bytes / LINE, G::ONLY);
            lines.resize(bytes / LINE, Line::new(word));
            lines.into_boxed_slice()
        }

        #[inline]
        fn bytes(bytes: usize, byte: u8) -> Self::Bytes {
            let mut all = Vec::with_capacity_in(bytes, G::ONLY);
            all.resize(bytes, byte);
            all.into_boxed_slice()
        }

        #[inline]
        fn boxed<const REST: usize>(word: u64) -> Self::Boxed<REST> {
            Box::new_in(Blob::new(word), G::ONLY)
        }
    }
}
