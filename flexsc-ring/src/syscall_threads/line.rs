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

/// Below this length a line keeps the places of those who have left.
const FEW: usize = 64;

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

    /// Takes a call out that is in line; its room is given back when those before it have left, or
    /// when more than half of the line is such room.
    pub(super) fn remove(&mut self, slot: u32, number: u64) {
        let at = number.wrapping_sub(self.left) as usize;
        if let Some(waiting) = self.waiting.get_mut(at).filter(|waiting| waiting.0 == slot) {
            waiting.0 = NONE;
            self.live -= 1;
        }
        self.set_place(slot, Place::Nowhere);
        if self.waiting.len() > FEW.max(2 * self.live) {
            self.close_up();
        }
    }

    /// Those who wait take the places of those who have left: each removal pays for two moves at most.
    fn close_up(&mut self) {
        self.waiting.retain(|(slot, _)| *slot != NONE);
        self.waiting.shrink_to(FEW.max(2 * self.live));
        for (at, (slot, _)) in self.waiting.iter().enumerate() {
            self.places[*slot as usize] = Place::Line(self.left + at as u64);
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
        let Place::Line(number) = line.place(slot) else { panic!("{slot} is in line") };
        line.remove(slot, number);
        assert_eq!(line.place(slot), Place::Nowhere);
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
}
