//! The high slab: objects of any size beside the cache slab, for what the map did not foresee (TUX §4.3).
//!
//! It lies on the same huge page, so that an object that outgrows its site, or a task that must go on
//! without a permit, still calls no system allocator. TLSF, by `rlsf`: a constant number of steps.

use std::alloc::Layout;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use rlsf::Tlsf;

use crate::layout::LINE;
use crate::unit::{END, HIGH, HIGH_OBJECT, Unit};

/// Free lists for blocks of up to 2^15 times the least one.
type Blocks = Tlsf<'static, u16, u16, 15, 16>;

/// The allocator of one high slab.
///
/// # Invariants
/// 1. `blocks` manages `HIGH..END` of `unit` and nothing else does.
#[derive(Debug)]
pub(crate) struct High {
    unit: Unit,
    blocks: RefCell<Blocks>,
    live: Cell<u32>,
}

impl High {
    /// # Safety
    /// The high slab of `unit` is mapped for as long as this is used, and nobody else uses it.
    pub(crate) unsafe fn new(unit: Unit) -> Self {
        let mut blocks = Blocks::new();
        // SAFETY: within the unit.
        let start = unsafe { unit.start().add(HIGH) };
        // SAFETY: as promised, these bytes are ours alone and stay mapped.
        unsafe { blocks.insert_free_block_ptr(NonNull::slice_from_raw_parts(start, END - HIGH)) };
        Self { unit, blocks: RefCell::new(blocks), live: Cell::new(0) }
    }

    /// `len` bytes that start on a line; `None` if there is no such block.
    pub(crate) fn alloc(&self, len: usize) -> Option<NonNull<u8>> {
        let layout = Layout::from_size_align(len.max(1), LINE).ok()?;
        let object = self.blocks.borrow_mut().allocate(layout)?;
        let place = self.unit.place(object.addr().get());
        // SAFETY: the block lies in the high slab, and starts on a line.
        unsafe { self.unit.entry(place) }.store(HIGH_OBJECT, Ordering::Relaxed);
        self.live.set(self.live.get() + 1);
        Some(object)
    }

    /// Takes an object back.
    ///
    /// # Safety
    /// `place` is that of an object of [`alloc`](Self::alloc), which is not used any more.
    pub(crate) unsafe fn give(&self, place: u32) {
        self.live.set(self.live.get() - 1);
        // SAFETY: of an object of the high slab.
        unsafe { self.unit.entry(place) }.store(0, Ordering::Relaxed);
        // SAFETY: the same.
        let object = unsafe { self.unit.at(place) };
        // SAFETY: allocated by these blocks, with this alignment; as promised nobody uses it.
        unsafe { self.blocks.borrow_mut().deallocate(object, LINE) };
    }

    /// Objects that are out.
    pub(crate) fn live(&self) -> u32 {
        self.live.get()
    }
}
