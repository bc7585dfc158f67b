//! What thieves see: a board of colors that are worth the trip.
//!
//! | slot, from -> to | who | ordering | the item then belongs to |
//! |---|---|---|---|
//! | empty -> item | owner | Release store | the slot |
//! | item -> empty | owner | Acquire CAS | the owner |
//! | item -> taken by c | thief c | Acquire CAS | thief c |
//! | taken by c -> empty | owner | Relaxed store | - |
//!
//! The slot itself is the claim: whoever turns the pointer into something else owns the item. (A bitmap beside the slots
//! would let the owner refill a slot between a thief's claim and its read, and one color would run twice.) A thief reads
//! nothing of an item before it owns it, only the slot's note, which may be stale; hence nothing needs to be reclaimed
//! later, and no epochs are kept.

use std::marker::PhantomData;
use std::ptr;

use crossbeam_utils::CachePadded;

use crate::atomics::{AtomicPtr, AtomicU64, Ordering};
use crate::event::{Color, CoreId};
use crate::stealer::Offer;

/// Slots of a board: their pointers fill one line of 64 bytes.
pub const SLOTS: usize = 8;

/// What is said of the item in a slot. Written before the item is, read without owning it; the time may be said anew.
#[derive(Debug)]
struct Note {
    color: AtomicU64,
    queued_ns: AtomicU64,
    /// Events in the high half, penalty in percent in the low one.
    events_penalty: AtomicU64,
}

impl Note {
    fn tell(&self, offer: &Offer) {
        self.color.store(offer.color.0, Ordering::Relaxed);
        self.queued_ns.store(offer.queued_ns, Ordering::Relaxed);
        let events_penalty = u64::from(offer.events) << 32 | u64::from(offer.penalty_pct);
        self.events_penalty.store(events_penalty, Ordering::Relaxed);
    }
}

/// A slot as its owner finds it.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// Nothing was offered in it.
    Empty,
    /// The item, back in the owner's hands.
    Item(Box<T>),
    /// A thief has it. The slot is free again.
    Taken {
        /// Who.
        thief: CoreId,
        /// What thefts from here have cost that thief so far, in nanoseconds; 0 if there is no telling.
        cost_ns: u32,
    },
}

/// A board of [`SLOTS`] slots. One core, its owner, offers; any other may take.
///
/// # Invariants
/// 1. A slot's pointer is null, or odd (bit 0), or came from `Box::into_raw`. An odd one is the thief's number (16 bits
///    from bit 1 on) and his cost of a theft (from bit 17 on; nothing where pointers have 32 bits).
/// 2. A pointer of the third kind is owned by the slot; who replaces it by a CAS becomes the owner of the box.
#[derive(Debug)]
pub struct Board<T> {
    items: CachePadded<[AtomicPtr<T>; SLOTS]>,
    notes: CachePadded<[Note; SLOTS]>,
    owned: PhantomData<Box<T>>,
}

// SAFETY: a shared board gives out no reference to an item, only the item, to one thread: that needs `T: Send` alone.
unsafe impl<T: Send> Sync for Board<T> {}

/// Where a tag's cost begins.
const COST_BIT: u32 = 17;

fn tag<T>(thief: CoreId, cost_ns: u32) -> *mut T {
    let cost = if usize::BITS >= u64::BITS { (u64::from(cost_ns) << COST_BIT) as usize } else { 0 };
    ptr::without_provenance_mut(cost | thief.index() << 1 | 1)
}

/// The thief and his cost.
fn thief_of<T>(pointer: *mut T) -> Option<(CoreId, u32)> {
    let tag = pointer.addr();
    (tag & 1 == 1).then_some((CoreId((tag >> 1) as u16), (tag as u64 >> COST_BIT) as u32))
}

impl<T: Send> Default for Board<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send> Board<T> {
    /// An empty board.
    #[must_use]
    pub fn new() -> Self {
        const { assert!(align_of::<T>() > 1, "a tag must differ from every item's address") };
        let note = |_| Note {
            color: AtomicU64::new(0),
            queued_ns: AtomicU64::new(0),
            events_penalty: AtomicU64::new(0),
        };
        Self {
            items: CachePadded::new(std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()))),
            notes: CachePadded::new(std::array::from_fn(note)),
            owned: PhantomData,
        }
    }

    /// Offers `item` in an empty slot. Only the owner calls it.
    ///
    /// # Errors
    /// The item comes back if the slot is not empty or does not exist.
    pub fn offer(&self, slot: usize, item: Box<T>, offer: &Offer) -> Result<(), Box<T>> {
        let (Some(place), Some(note)) = (self.items.get(slot), self.notes.get(slot)) else {
            return Err(item);
        };
        if !place.load(Ordering::Relaxed).is_null() {
            return Err(item);
        }
        note.tell(offer);
        place.store(Box::into_raw(item), Ordering::Release);
        Ok(())
    }

    /// Says anew how long what was offered in `slot` takes, here and elsewhere. Only the owner calls it.
    pub fn appraise(&self, slot: usize, offer: &Offer) {
        if let Some(note) = self.notes.get(slot) {
            note.tell(offer);
        }
    }

    /// Takes back what was offered in `slot`, or learns who has it. Only the owner calls it.
    #[must_use]
    pub fn reclaim(&self, slot: usize) -> Found<T> {
        let Some(place) = self.items.get(slot) else { return Found::Empty };
        let mut pointer = place.load(Ordering::Relaxed);
        loop {
            if pointer.is_null() {
                return Found::Empty;
            }
            if let Some((thief, cost_ns)) = thief_of(pointer) {
                place.store(ptr::null_mut(), Ordering::Relaxed);
                return Found::Taken { thief, cost_ns };
            }
            let swapped = place.compare_exchange(
                pointer,
                ptr::null_mut(),
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            match swapped {
                // SAFETY: by (1) neither null nor odd means from `Box::into_raw`; by (2) the CAS made us its owner.
                Ok(item) => return Found::Item(unsafe { Box::from_raw(item) }),
                Err(now) => pointer = now,
            }
        }
    }

    /// Has a thief taken what was offered in `slot`? A plain load: the owner sweeps its board with it.
    #[must_use]
    pub fn is_taken(&self, slot: usize) -> bool {
        self.items.get(slot).is_some_and(|place| thief_of(place.load(Ordering::Relaxed)).is_some())
    }

    /// Takes `color` out of `slot` on behalf of `thief`, if it still is offered there, and leaves word of what thefts
    /// cost him.
    ///
    /// Whoever gets an item has it alone; but it may be of another color than the note said, if the owner meanwhile took it
    /// back and offered another one in the slot. So what was taken is to be known by itself, not by the plan.
    #[must_use]
    pub fn take(&self, slot: usize, color: Color, thief: CoreId, cost_ns: u32) -> Option<Box<T>> {
        let place = self.items.get(slot)?;
        let pointer = place.load(Ordering::Acquire);
        if pointer.is_null() || thief_of(pointer).is_some() {
            return None;
        }
        if self.notes[slot].color.load(Ordering::Relaxed) != color.0 {
            return None;
        }
        place
            .compare_exchange(pointer, tag(thief, cost_ns), Ordering::Acquire, Ordering::Relaxed)
            .ok()
            // SAFETY: by (1) neither null nor odd means from `Box::into_raw`; by (2) the CAS made us its owner.
            .map(|item| unsafe { Box::from_raw(item) })
    }

    /// What is said of the item in `slot`, if one is offered there. May be out of date, or of two items.
    #[must_use]
    pub fn read(&self, slot: usize) -> Option<Offer> {
        let pointer = self.items.get(slot)?.load(Ordering::Acquire);
        if pointer.is_null() || thief_of(pointer).is_some() {
            return None;
        }
        let note = &self.notes[slot];
        let events_penalty = note.events_penalty.load(Ordering::Relaxed);
        Some(Offer {
            color: Color(note.color.load(Ordering::Relaxed)),
            queued_ns: note.queued_ns.load(Ordering::Relaxed),
            events: (events_penalty >> 32) as u32,
            penalty_pct: events_penalty as u32,
        })
    }
}

impl<T> Drop for Board<T> {
    fn drop(&mut self) {
        for place in self.items.iter() {
            let pointer = place.load(Ordering::Acquire);
            if !pointer.is_null() && thief_of(pointer).is_none() {
                // SAFETY: by (1) and (2) the slot owns this box, and nobody else can reach the slot any more.
                drop(unsafe { Box::from_raw(pointer) });
            }
        }
    }
}
