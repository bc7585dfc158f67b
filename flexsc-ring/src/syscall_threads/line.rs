//! Where is the call of a slot: in an entry, or in line for one? Answered without a search.

use std::collections::VecDeque;

use crate::slots::NONE;
use crate::trap::Trap;

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    /// Nowhere, or in this entry: if the entry is another call's by now, nowhere.
    Entry(u16),
    /// In line.
    Line,
}

/// Below this length a line keeps the places of those who have left.
const FEW: usize = 64;
/// In line: the rest is which that ever was, but for the highest bit.
const LINE: u32 = 1 << 31;

/// The last place of each slot's call, and the calls that wait for an entry, in order.
pub(super) struct Line {
    places: Vec<u32>,
    waiting: VecDeque<(u32, Trap)>,
    /// Calls that have left at the front.
    left: u32,
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

    /// The last place of a slot's call.
    pub(super) fn spot(&self, slot: u32) -> Spot {
        match self.places.get(slot as usize) {
            Some(place) if place & LINE != 0 => Spot::Line,
            place => Spot::Entry(place.map_or(0, |place| *place as u16)),
        }
    }

    /// The call of a slot is in an entry.
    #[inline]
    pub(super) fn entered(&mut self, slot: u32, entry: u16) {
        self.set_place(slot, entry.into());
    }

    #[inline]
    fn set_place(&mut self, slot: u32, place: u32) {
        match self.places.get_mut(slot as usize) {
            Some(at) => *at = place,
            None => self.grow(slot, place),
        }
    }

    #[cold]
    fn grow(&mut self, slot: u32, place: u32) {
        self.places.resize((slot as usize + 1).next_power_of_two(), 0);
        self.places[slot as usize] = place;
    }

    /// Puts a call at the end.
    pub(super) fn push(&mut self, slot: u32, trap: Trap) {
        let number = self.left.wrapping_add(self.waiting.len() as u32);
        self.set_place(slot, LINE | number);
        self.waiting.push_back((slot, trap));
        self.live += 1;
    }

    /// Takes the first call out.
    pub(super) fn pop(&mut self) -> Option<(u32, Trap)> {
        while let Some((slot, trap)) = self.waiting.pop_front() {
            self.left = self.left.wrapping_add(1);
            if slot != NONE {
                self.live -= 1;
                return Some((slot, trap));
            }
        }
        None
    }

    /// Takes a call out that may be in line; its room is given back when those before it have left, or
    /// when more than half of the line is such room. False: it was not there.
    pub(super) fn remove(&mut self, slot: u32) -> bool {
        let number = self.places.get(slot as usize).map_or(0, |place| place & !LINE);
        let at = number.wrapping_sub(self.left) & !LINE;
        let Some(waiting) = self.waiting.get_mut(at as usize).filter(|waiting| waiting.0 == slot)
        else {
            return false;
        };
        waiting.0 = NONE;
        self.live -= 1;
        if self.waiting.len() > FEW.max(2 * self.live) {
            self.close_up();
        }
        true
    }

    /// Those who wait take the places of those who have left: each removal pays for two moves at most.
    fn close_up(&mut self) {
        self.waiting.retain(|(slot, _)| *slot != NONE);
        self.waiting.shrink_to(FEW.max(2 * self.live));
        for (at, (slot, _)) in self.waiting.iter().enumerate() {
            self.places[*slot as usize] = self.left.wrapping_add(at as u32) | LINE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trap::NOTHING;

    fn trap(n: u64) -> Trap {
        Trap { number: NOTHING, makes_fd: false, makes_mapping: false, args: [n; 6] }
    }

    /// Slots of which each is in line once at most.
    fn remove(line: &mut Line, slot: u32) {
        assert_eq!(line.spot(slot), Spot::Line);
        assert!(line.remove(slot));
        assert!(!line.remove(slot), "removed twice");
    }

    #[test]
    fn calls_cancelled_behind_one_that_waits_hold_no_room() {
        let mut line = Line::new();
        line.push(0, trap(0));
        for n in 1..=1_000_000 {
            line.push(1, trap(n));
            remove(&mut line, 1);
            assert!(line.waiting.len() <= 2 * FEW, "after {n}: {}", line.waiting.len());
        }
        assert!(line.waiting.capacity() <= 8 * FEW, "{}", line.waiting.capacity());
        assert_eq!(line.pop().map(|(slot, trap)| (slot, trap.args[0])), Some((0, 0)));
        assert!(line.pop().is_none() && line.is_empty());
    }

    #[test]
    fn a_line_gives_out_in_order_what_was_not_cancelled() {
        for keep in [1, 2, 3, 7, 100] {
            let mut line = Line::new();
            let mut oracle = VecDeque::new();
            let mut seed = 1u64;
            for round in 0..50u32 {
                for slot in (0..200u32).filter(|slot| slot % 50 == round) {
                    line.push(slot, trap(slot.into()));
                    oracle.push_back(slot);
                }
                let mut gone = Vec::new();
                for slot in &oracle {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    if seed >> 33 & 127 > keep {
                        gone.push(*slot);
                    }
                }
                for slot in gone {
                    remove(&mut line, slot);
                    oracle.retain(|other| *other != slot);
                }
                assert!(line.slots().eq(oracle.iter().copied()));
                if round % 5 == 4 {
                    let out = line.pop();
                    assert_eq!(out.map(|(slot, _)| slot), oracle.pop_front());
                    assert!(out.is_none_or(|(slot, trap)| trap.args[0] == u64::from(slot)));
                }
                assert_eq!(line.is_empty(), oracle.is_empty());
            }
        }
    }

    #[test]
    fn a_place_that_is_out_of_date_takes_nobody_else_out() {
        let mut line = Line::new();
        line.push(4, trap(0));
        line.push(5, trap(0));
        assert_eq!(line.pop().map(|(slot, _)| slot), Some(4));
        line.push(6, trap(0));
        assert_eq!(line.spot(4), Spot::Line);
        assert!(!line.remove(4), "it has left");
        assert!(line.remove(5) && !line.remove(5));
        assert_eq!(line.slots().collect::<Vec<_>>(), [6]);
        line.entered(6, 9);
        assert_eq!(line.spot(6), Spot::Entry(9));
        assert_eq!(line.pop().map(|(slot, _)| slot), Some(6));
        assert!(line.is_empty() && line.pop().is_none());
    }

    #[test]
    fn a_line_goes_on_when_its_numbers_begin_again() {
        let mut line = Line::new();
        line.left = LINE - 1;
        (0..4).for_each(|slot| line.push(slot, trap(0)));
        assert!(line.remove(0) && line.remove(2));
        assert_eq!(line.pop().map(|(slot, _)| slot), Some(1));
        assert!(line.remove(3) && line.is_empty());
    }
}
