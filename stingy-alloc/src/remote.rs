//! Frees from other threads: a stack that anybody pushes to and only the owner empties.
//!
//! A push is one CAS, a drain is one swap of the whole stack, so nothing is ever popped and ABA cannot
//! happen. Head and length share a word: the owner knows the yield before it drains.
//!
//! | word from -> to           | who          | ordering    | the objects then belong to |
//! |---|---|---|---|
//! | EMPTY or (h, n) -> (i, n + m) | any thread that frees m, i the first | Release CAS | the stack |
//! | HUNGRY -> (i, m)          | the same, and it wakes the owner | Release CAS | the stack |
//! | EMPTY -> HUNGRY           | owner, when it refused | Relaxed CAS | – |
//! | any but CLOSED -> EMPTY   | owner        | Acquire swap | the owner |
//! | any but CLOSED -> CLOSED  | owner, once  | AcqRel swap | the owner |
//! | CLOSED                    | a free of m counts `orphans` down by m, AcqRel; who reaches 0 takes the memory down | | nobody |
//!
//! A drain acquires every push below the head, as each CAS continues the release sequence of the last.

use crate::atomics::{AtomicU32, AtomicU64, Ordering};

/// No object: the end of the stack.
const END: u32 = u32::MAX;
const EMPTY: u64 = END as u64;
/// Empty, and the owner wants to be woken by the next push.
const HUNGRY: u64 = 1 << 63 | EMPTY;
/// No owner any more. No stack is that long.
const CLOSED: u64 = u64::MAX;

/// The orderings that matter, apart so that the model check can weaken each and see it fail.
pub(crate) trait Orders {
    const PUSH: Ordering;
    const DRAIN: Ordering;
    const CLOSE: Ordering;
    const SEE_CLOSED: Ordering;
    const ORPHAN: Ordering;
}

/// The orderings of the table.
pub(crate) struct Sound;

impl Orders for Sound {
    const PUSH: Ordering = Ordering::Release;
    const DRAIN: Ordering = Ordering::Acquire;
    const CLOSE: Ordering = Ordering::AcqRel;
    const SEE_CLOSED: Ordering = Ordering::Acquire;
    const ORPHAN: Ordering = Ordering::AcqRel;
}

/// What became of a free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a hungry owner must be woken, and the last orphan takes the memory down"]
pub(crate) enum Pushed {
    /// On its way home. Nothing of the stack may be touched any more.
    Home,
    /// The same, and this push is the one that wakes the owner.
    HomeHungry,
    /// The owner is gone, and others still hold objects.
    Orphan,
    /// The owner is gone and this was the last object.
    Last,
}

/// The stack of one slab. Which object lies below which is written elsewhere (`links`), by whoever has the
/// objects; the stack is told how.
#[derive(Debug)]
pub(crate) struct Remote<O = Sound> {
    word: AtomicU64,
    /// Objects still out when the owner went; meaningful once the word is CLOSED.
    orphans: AtomicU32,
    orders: std::marker::PhantomData<fn() -> O>,
}

impl<O: Orders> Remote<O> {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(EMPTY),
            orphans: AtomicU32::new(0),
            orders: std::marker::PhantomData,
        }
    }

    /// Sends `count` objects home from another thread, chained from `first` to the one of which
    /// `set_below` writes what lies below it. `hungry` may run before the push when the owner is
    /// hungry: what is needed to wake it has to be fetched then, as after the push the owner may take
    /// the stack down. Hence also the pointer: a `&self` would have to stay good until the return.
    ///
    /// # Safety
    /// `this` points to a living stack, and the objects are out and the caller's to free, which keeps
    /// the stack alive until the push.
    pub(crate) unsafe fn push(
        this: *const Self,
        first: u32,
        count: u32,
        mut set_below: impl FnMut(u32),
        mut hungry: impl FnMut(),
    ) -> Pushed {
        // SAFETY: alive, as promised. Another thread may free it once the exchange or the subtraction
        // below has happened, and nothing borrowed is used after that: only these two atomics are
        // borrowed over it, which a shared borrow allows for the bytes of an atomic.
        let (word, orphans) = unsafe { (&(*this).word, &(*this).orphans) };
        let mut seen = word.load(O::SEE_CLOSED);
        loop {
            if seen == CLOSED {
                return match orphans.fetch_sub(count, O::ORPHAN) {
                    left if left == count => Pushed::Last,
                    _ => Pushed::Orphan,
                };
            }
            if seen == HUNGRY {
                hungry();
            }
            set_below(head(seen));
            let next = pack(first, len(seen) + count);
            match word.compare_exchange_weak(seen, next, O::PUSH, O::SEE_CLOSED) {
                Ok(HUNGRY) => return Pushed::HomeHungry,
                Ok(_) => return Pushed::Home,
                Err(now) => seen = now,
            }
        }
    }

    /// Objects that a drain would yield.
    pub(crate) fn len(&self) -> u32 {
        len(self.word.load(Ordering::Relaxed))
    }

    /// Owner only: takes every object on the stack, newest first; returns how many. `take` says what
    /// lies below the one it is given, before it reuses it.
    pub(crate) fn drain(&self, mut take: impl FnMut(u32) -> u32) -> u32 {
        let word = self.word.swap(EMPTY, O::DRAIN);
        let mut at = head(word);
        for _ in 0..len(word) {
            at = take(at);
        }
        len(word)
    }

    /// Owner only: asks to be woken by the next push. False if there is something to drain already.
    pub(crate) fn hunger(&self) -> bool {
        let (relaxed, from) = (Ordering::Relaxed, EMPTY);
        match self.word.compare_exchange(from, HUNGRY, relaxed, relaxed) {
            Ok(_) => true,
            Err(now) => now == HUNGRY,
        }
    }

    /// Owner only, once, as its last act: of `live` objects some are on the stack, the others come
    /// as orphans. True if none is out, so that the caller takes the memory down. Else the last
    /// orphan does, maybe before this returns; so no `&self` here either.
    ///
    /// # Safety
    /// `this` points to a living stack, which is not used again by the caller unless this is true.
    pub(crate) unsafe fn close(this: *const Self, live: u32) -> bool {
        // SAFETY: alive, as promised; while objects that came home are not subtracted from `orphans`,
        // nobody frees it. As in `push`, only atomics are borrowed over the steps that may end it.
        let (word, orphans) = unsafe { (&(*this).word, &(*this).orphans) };
        // Published by the swap below.
        orphans.store(live, Ordering::Relaxed);
        let home = len(word.swap(CLOSED, O::CLOSE));
        live == 0 || (home > 0 && orphans.fetch_sub(home, O::ORPHAN) == home)
    }
}

fn pack(head: u32, len: u32) -> u64 {
    u64::from(len) << 32 | u64::from(head)
}

fn head(word: u64) -> u32 {
    word as u32
}

/// The length, without the bit that says HUNGRY.
fn len(word: u64) -> u32 {
    (word >> 32) as u32 & (u32::MAX >> 1)
}
