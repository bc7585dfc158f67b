//! Buffers on their way home: pushed by any thread, drained by the owner with one swap.
//!
//! | head | who sets it | ordering | meaning |
//! |---|---|---|---|
//! | EMPTY | owner | Acquire swap | drained |
//! | an id | any thread | Release CAS | top of the stack; `next[id]` is the one below |
//! | HUNGRY | owner | Relaxed CAS from EMPTY | empty, and the owner sleeps for want of a buffer |
//! | CLOSED | owner | Acquire swap | the owner has gone; whoever holds a buffer frees its share |
//!
//! `next[id]` is written only by the thread that holds buffer `id`. As the owner takes all at once
//! and never pops one, an id that comes back while another push is under way does no harm.

use crate::atomics::{AtomicU32, Ordering};

const EMPTY: u32 = u32::MAX;
const HUNGRY: u32 = u32::MAX - 1;
const CLOSED: u32 = u32::MAX - 2;

/// What a push met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Pushed {
    /// The owner will find it.
    Stacked,
    /// The owner sleeps for want of it: wake it.
    Awaited,
    /// The owner has gone; the buffer is still the caller's.
    Closed,
}

/// A stack of returned buffers.
#[derive(Debug)]
pub(crate) struct Returns {
    head: AtomicU32,
    next: Box<[AtomicU32]>,
}

impl Returns {
    /// For ids `0..count`.
    pub(crate) fn new(count: u16) -> Self {
        Returns {
            head: AtomicU32::new(EMPTY),
            next: (0..count).map(|_| AtomicU32::new(EMPTY)).collect(),
        }
    }

    /// Any thread: gives buffer `id` back.
    pub(crate) fn push(&self, id: u16) -> Pushed {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head == CLOSED {
                return Pushed::Closed;
            }
            let below = if head == HUNGRY { EMPTY } else { head };
            self.next[usize::from(id)].store(below, Ordering::Relaxed);
            let new = u32::from(id);
            match self.head.compare_exchange_weak(head, new, Ordering::Release, Ordering::Relaxed) {
                Ok(HUNGRY) => return Pushed::Awaited,
                Ok(_) => return Pushed::Stacked,
                Err(now) => head = now,
            }
        }
    }

    /// Owner: takes all that came back.
    pub(crate) fn drain(&self, take: impl FnMut(u16)) {
        if self.head.load(Ordering::Relaxed) != EMPTY {
            self.unload(EMPTY, take);
        }
    }

    /// Owner: takes all that came back, for the last time.
    pub(crate) fn close(&self, take: impl FnMut(u16)) {
        self.unload(CLOSED, take);
    }

    /// Owner: asks to be woken by the next push. False: something has come already.
    #[must_use]
    pub(crate) fn hunger(&self) -> bool {
        match self.head.compare_exchange(EMPTY, HUNGRY, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => true,
            Err(now) => now == HUNGRY,
        }
    }

    fn unload(&self, new: u32, mut take: impl FnMut(u16)) {
        let mut id = self.head.swap(new, Ordering::Acquire);
        while id < CLOSED {
            let next = self.next[id as usize].load(Ordering::Relaxed);
            take(id as u16);
            id = next;
        }
    }
}
