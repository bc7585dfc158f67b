//! Where is the call of a slot: in an entry, or in line for one? Answered without a search.

use std::collections::VecDeque;

use crate::slots::NONE;
use crate::trap::Trap;

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Not here.
    Nowhere,
    /// In this entry.
    Entry(u16),
    /// In line, as the so many-th that ever was.
    Line(u64),
}

/// The place of each slot's call, and the calls that wait for an entry, in order.
pub(super) struct Line {
    places: Vec<Place>,
    waiting: VecDeque<(u32, Trap)>,
    /// Calls that have left at the front.
    left: u64,
    /// Calls in line that were not taken out.
    live: usize,
}

impl Line {
    pub(super) fn new() -> Self {
        Line { places: Vec::new(), waiting: VecDeque::new(), left: 0, live: 0 }
    }

    /// Nobody waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// The slots in line.
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        self.waiting.iter().map(|(slot, _)| *slot).filter(|slot| *slot != NONE)
    }

    #[inline]
    pub(super) fn place(&self, slot: u32) -> Place {
        self.places.get(slot as usize).copied().unwrap_or(Place::Nowhere)
    }

    #[inline]
    pub(super) fn set_place(&mut self, slot: u32, place: Place) {
        let at = slot as usize;
        if at >= self.places.len() {
            self.places.resize((at + 1).next_power_of_two(), Place::Nowhere);
        }
        self.places[at] = place;
    }

    /// Puts a call at the end.
    pub(super) fn push(&mut self, slot: u32, trap: Trap) {
        self.set_place(slot, Place::Line(self.left + self.waiting.len() as u64));
        self.waiting.push_back((slot, trap));
        self.live += 1;
    }

    /// Takes the first call out.
    pub(super) fn pop(&mut self) -> Option<(u32, Trap)> {
        while let Some((slot, trap)) = self.waiting.pop_front() {
            self.left += 1;
            if slot != NONE {
                self.live -= 1;
                self.set_place(slot, Place::Nowhere);
                return Some((slot, trap));
            }
        }
        None
    }

    /// Takes a call out that is in line; its room is given back when those before it have left.
    pub(super) fn remove(&mut self, slot: u32, number: u64) {
        let at = number.wrapping_sub(self.left) as usize;
        if let Some(waiting) = self.waiting.get_mut(at).filter(|waiting| waiting.0 == slot) {
            waiting.0 = NONE;
            self.live -= 1;
        }
        self.set_place(slot, Place::Nowhere);
    }
}
