//! Calls in flight, or ended and not reaped: one slot each, at an address that never changes.

use std::cell::{Cell, UnsafeCell};

use crate::call::Buffer;
use crate::lent::Lent;
use crate::op::{Op, Room, Shape};
use crate::trap::{Callable, Trap};

/// No slot; ends a list.
pub(crate) const NONE: u32 = u32::MAX;

const CHUNK_BITS: u32 = 6;
const CHUNK: u32 = 1 << CHUNK_BITS;

/// Where a call stands; the engines' own bookkeeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The slot is free.
    Free,
    /// With the kernel, or with a syscall thread.
    Running,
    /// Waiting for its descriptor.
    Parked,
    /// In line to be tried (again).
    Ready,
    /// Waiting for a buffer of the pool.
    Starved,
    /// It has ended; its result was not made yet.
    Ended,
}

/// One call, from `submit` until its last result is taken out.
///
/// # Invariants
///
/// 1. A slot never moves: chunks are boxed and never shrink.
/// 2. From `Vacancy::room` to `Slots::clear`, `buf` is not touched: `ptr` and `len`, or the operation's
///    parts, were taken from its one mutable borrow, which logically lasts until then. So whoever runs
///    the call may use them, whatever the buffer's type does.
/// 3. `op` is not borrowed mutably while the call is `Running`.
pub(crate) struct Slot<B> {
    op: UnsafeCell<Op>,
    buf: UnsafeCell<Lent<B>>,
    ptr: Cell<*mut u8>,
    len: Cell<usize>,
    /// The number given at `submit`.
    pub(crate) user: Cell<u64>,
    generation: Cell<u32>,
    /// Free list, or a list of the engine.
    pub(crate) next: Cell<u32>,
    /// Where the call stands.
    pub(crate) stage: Cell<Stage>,
    /// See [`Op::is_multishot`].
    pub(crate) multishot: Cell<bool>,
    /// See [`Op::is_simple`].
    pub(crate) simple: Cell<bool>,
    /// A cancellation was asked for while it ran.
    pub(crate) cancelled: Cell<bool>,
    /// Engine's mark: its descriptor became ready while it ran (`Direct`, `Threads`), or it only
    /// polls for readiness (`Uring`).
    pub(crate) mark: Cell<bool>,
    /// Engine's mark: it is on its descriptor's list.
    pub(crate) linked: Cell<bool>,
    /// Buffer of the pool that it was given.
    pub(crate) held: Cell<u16>,
    /// Engine's mark: how often the number of its descriptor had been closed when it was posted.
    pub(crate) closings: Cell<u32>,
    /// The chain that it is a call of, or [`NONE`]; `user` is then the call's place in it.
    pub(crate) chain: Cell<u32>,
    /// It cannot be tried again: the close of its descriptor is on its way.
    pub(crate) last_try: Cell<bool>,
    /// The number of the io_uring's own descriptor that it uses, or [`NONE`].
    pub(crate) direct: Cell<u32>,
}

impl<B> Slot<B> {
    fn empty() -> Self {
        Slot {
            op: UnsafeCell::new(Op::Nop),
            buf: UnsafeCell::new(Lent::Nothing),
            ptr: Cell::new(std::ptr::NonNull::dangling().as_ptr()),
            len: Cell::new(0),
            user: Cell::new(0),
            generation: Cell::new(0),
            next: Cell::new(NONE),
            stage: Cell::new(Stage::Free),
            multishot: Cell::new(false),
            simple: Cell::new(false),
            cancelled: Cell::new(false),
            mark: Cell::new(false),
            linked: Cell::new(false),
            held: Cell::new(0),
            closings: Cell::new(0),
            chain: Cell::new(NONE),
            last_try: Cell::new(false),
            direct: Cell::new(NONE),
        }
    }

    /// The call's numbers. Kernel and threads only read what is inside of them while it runs.
    #[inline]
    pub(crate) fn op(&self) -> &Op {
        // SAFETY: slots are used by one thread, and whoever borrows this mutably has no way to here
        // until he is done: `with_op_mut`, `Slots::clear`, and a vacancy, which borrows the slots.
        unsafe { &*self.op.get() }
    }

    /// The call's numbers, to change while it is not running.
    pub(crate) fn with_op_mut<R>(&self, change: impl FnOnce(&mut Op) -> R) -> R {
        debug_assert_ne!(self.stage.get(), Stage::Running);
        // SAFETY: not running, by (3) and by use; the borrow ends here.
        change(unsafe { &mut *self.op.get() })
    }

    /// See [`Slots::ticket`].
    #[inline]
    pub(crate) fn ticket(&self, index: u32) -> u64 {
        u64::from(self.generation.get()) << 32 | u64::from(index)
    }

    /// A call is in it that has not ended.
    #[inline]
    pub(crate) fn is_in_flight(&self) -> bool {
        !matches!(self.stage.get(), Stage::Free | Stage::Ended)
    }

    /// The range of the buffer that the call moves.
    #[inline]
    pub(crate) fn range(&self) -> (*mut u8, usize) {
        (self.ptr.get(), self.len.get())
    }

    /// Sets the memory of a receive.
    pub(crate) fn set_range(&self, ptr: *mut u8, len: usize) {
        self.ptr.set(ptr);
        self.len.set(len);
    }

    /// A call was put into its room.
    #[inline(always)]
    fn begin(&self, shape: Shape, user: u64) {
        self.set_range(shape.ptr, shape.len);
        self.user.set(user);
        self.stage.set(Stage::Ready);
        self.simple.set(shape.simple);
        self.multishot.set(shape.multishot);
        self.cancelled.set(false);
        self.mark.set(false);
        self.linked.set(false);
        self.last_try.set(false);
        self.chain.set(NONE);
        self.direct.set(NONE);
    }

    /// The call as number and arguments, to be made while it is `Running`.
    pub(crate) fn trap(&self) -> Trap {
        let (ptr, len) = self.range();
        self.op().trap(ptr, len)
    }
}

impl<B> Callable for &Slot<B> {
    fn trap(&self) -> Trap {
        Slot::trap(self)
    }

    #[inline(always)]
    fn frequent_trap(&self) -> Option<Trap> {
        let (ptr, len) = self.range();
        self.op().frequent_trap(ptr, len)
    }
}

/// A free slot, which is on the free list until it is filled.
pub(crate) struct Vacancy<'a, B> {
    index: u32,
    slot: &'a Slot<B>,
    free: &'a mut u32,
    live: &'a mut usize,
}

impl<'a, B> Vacancy<'a, B> {
    /// Where the call goes.
    #[inline(always)]
    pub(crate) fn room(&mut self) -> Room<'_, B> {
        debug_assert_eq!(self.slot.stage.get(), Stage::Free);
        // SAFETY: the slot is free, so nothing points into it; there is one vacancy at a time, and it
        // gives out one room at a time.
        unsafe { Room { op: &mut *self.slot.op.get(), buf: &mut *self.slot.buf.get() } }
    }

    /// A call is in the room.
    #[inline(always)]
    pub(crate) fn fill(self, shape: Shape, user: u64) -> (u32, &'a Slot<B>) {
        self.slot.begin(shape, user);
        *self.free = self.slot.next.get();
        *self.live += 1;
        (self.index, self.slot)
    }
}

/// All calls in flight of one ring.
pub(crate) struct Slots<B> {
    chunks: Vec<Box<[Slot<B>; CHUNK as usize]>>,
    free: u32,
    live: usize,
    limit: usize,
}

impl<B: Buffer> Slots<B> {
    /// Room for `limit` calls in flight, and for those that have ended and were not taken out; memory
    /// is taken as it is needed.
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.clamp(1, NONE as usize - 2 * CHUNK as usize);
        Slots { chunks: Vec::new(), free: NONE, live: 0, limit }
    }

    /// Calls in flight.
    #[inline]
    pub(crate) fn live(&self) -> usize {
        self.live
    }

    /// The bound given to `new`.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Slots ever used: indices are below this.
    pub(crate) fn span(&self) -> u32 {
        self.chunks.len() as u32 * CHUNK
    }

    #[inline]
    pub(crate) fn at(&self, index: u32) -> &Slot<B> {
        slot_of(&self.chunks, index)
    }

    /// The slot's name while this call is in it.
    #[inline]
    pub(crate) fn ticket(&self, index: u32) -> u64 {
        self.at(index).ticket(index)
    }

    /// The slot of a ticket whose call is still in flight.
    #[inline]
    pub(crate) fn find(&self, ticket: u64) -> Option<u32> {
        let index = ticket as u32;
        let slot =
            &self.chunks.get((index >> CHUNK_BITS) as usize)?[(index & (CHUNK - 1)) as usize];
        let known = slot.generation.get() == (ticket >> 32) as u32 && slot.is_in_flight();
        known.then_some(index)
    }

    /// The slot of a ticket whose call still stands there.
    #[inline]
    pub(crate) fn find_in(&self, ticket: u64, stage: Stage) -> Option<u32> {
        self.find(ticket).filter(|index| self.at(*index).stage.get() == stage)
    }

    /// A ticket that this table has given out at some time.
    pub(crate) fn knows(&self, ticket: u64) -> bool {
        let index = ticket as u32;
        index < self.span() && (ticket >> 32) as u32 <= self.at(index).generation.get()
    }

    /// A free slot for a call. The caller keeps to the limit.
    #[inline(always)]
    pub(crate) fn vacancy(&mut self) -> Vacancy<'_, B> {
        if self.free == NONE {
            self.grow();
        }
        let index = self.free;
        let slot = slot_of(&self.chunks, index);
        Vacancy { index, slot, free: &mut self.free, live: &mut self.live }
    }

    #[cold]
    fn grow(&mut self) {
        let first = self.span();
        // Not an array first: with large buffers that would be large for the stack.
        let slots: Box<[Slot<B>]> = (0..CHUNK).map(|_| Slot::empty()).collect();
        let Ok(chunk) = <Box<[Slot<B>; CHUNK as usize]>>::try_from(slots) else {
            unreachable!("as many were made");
        };
        for (i, slot) in chunk.iter().enumerate() {
            let next = first + i as u32 + 1;
            slot.next.set(if i as u32 + 1 == CHUNK { NONE } else { next });
        }
        self.chunks.push(chunk);
        self.free = first;
    }

    /// Ends the call of a slot, after its last result: nothing points into it any more. `settle` makes
    /// the result of its numbers and its buffers.
    #[inline]
    pub(crate) fn end<T>(&mut self, index: u32, settle: impl FnOnce(&mut Op, Lent<B>) -> T) -> T {
        self.retire(index);
        self.clear(index, settle)
    }

    /// Ends the call of a slot, as `end` does, but leaves it there until `clear`.
    #[inline]
    pub(crate) fn retire(&mut self, index: u32) -> &Slot<B> {
        self.live -= 1;
        let slot = slot_of(&self.chunks, index);
        debug_assert!(slot.is_in_flight());
        slot.stage.set(Stage::Ended);
        slot.generation.set(slot.generation.get().wrapping_add(1));
        slot
    }

    /// Takes out a call that has ended.
    #[inline]
    pub(crate) fn clear<T>(&mut self, index: u32, settle: impl FnOnce(&mut Op, Lent<B>) -> T) -> T {
        let slot = slot_of(&self.chunks, index);
        debug_assert_eq!(slot.stage.get(), Stage::Ended);
        // SAFETY: whoever ran the call has ended it; the borrow that `Room::take` began ends here.
        let (op, buf) = unsafe {
            (&mut *slot.op.get(), std::mem::replace(&mut *slot.buf.get(), Lent::Nothing))
        };
        let result = settle(op, buf);
        *op = Op::Nop;
        slot.stage.set(Stage::Free);
        slot.next.set(self.free);
        self.free = index;
        result
    }

    /// Gives up the memory of all slots for ever, because somebody may still write into it.
    pub(crate) fn leak(&mut self) {
        std::mem::forget(std::mem::take(&mut self.chunks));
        self.free = NONE;
        self.live = 0;
    }
}

#[inline(always)]
fn slot_of<B>(chunks: &[Box<[Slot<B>; CHUNK as usize]>], index: u32) -> &Slot<B> {
    &chunks[(index >> CHUNK_BITS) as usize][(index & (CHUNK - 1)) as usize]
}
