//! Which object lies below which on its way home? A word an object, apart from what the owner writes.
//!
//! Objects are numbered: those of the first region, of the second and so on, then the lines of the high
//! slab. So the words of objects that are freed together lie together, whatever their sizes, and the
//! thread that frees and the owner that drains pass few lines to each other. An object's entry is not
//! touched by others at all.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::unit::{END, HIGH, PLACE, STEP_OF_LINE, TOP};

/// The slots of one region.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slots {
    /// The place of the first, and from each to the next.
    pub(crate) first: u32,
    pub(crate) step: u32,
    pub(crate) count: u32,
    /// The number of the first.
    number: u32,
}

impl Slots {
    /// The places of all of them.
    pub(crate) fn places(self) -> impl Iterator<Item = u32> {
        (0..self.count).map(move |nth| self.first + nth * self.step)
    }
}

/// The numbers of all objects of a slab, and a word for each.
#[derive(Debug)]
pub(crate) struct Links {
    regions: Box<[Slots]>,
    /// The lines of the high slab.
    high: Slots,
    words: Box<[AtomicU32]>,
}

impl Links {
    /// For regions of so many slots each: the place of the first, the step to the next, their count.
    pub(crate) fn new(regions: impl Iterator<Item = (u32, u32, u32)>) -> Self {
        let mut number = 0;
        let mut next = |(first, step, count)| {
            let slots = Slots { first, step, count, number };
            number += count;
            slots
        };
        let regions = regions.map(&mut next).collect();
        let lines = (END - HIGH) / PLACE / STEP_OF_LINE as usize;
        let high = next(((HIGH / PLACE) as u32, STEP_OF_LINE, lines as u32));
        let words = vec![0u32; number as usize].into_iter().map(AtomicU32::new).collect();
        Self { regions, high, words }
    }

    /// The slots of the regions.
    pub(crate) fn regions(&self) -> &[Slots] {
        &self.regions
    }

    /// The number of the object at a place.
    pub(crate) fn number(&self, place: u32) -> u32 {
        let of = |slots: &&Slots| place.wrapping_sub(slots.first) < slots.step * slots.count;
        let slots = match place as usize * PLACE < TOP {
            true => self.regions.iter().find(of).unwrap_or(&self.high),
            false => &self.high,
        };
        slots.number + place.wrapping_sub(slots.first) / slots.step
    }

    /// The place of the object of that number.
    pub(crate) fn place(&self, number: u32) -> u32 {
        let of = |slots: &&Slots| number - slots.number < slots.count;
        let regions = self.regions.iter().take_while(|slots| slots.number <= number);
        let slots = { regions }.find(of).unwrap_or(&self.high);
        slots.first + (number - slots.number) * slots.step
    }

    /// Notes what lies below an object; for who has the object.
    pub(crate) fn set_below(&self, number: u32, below: u32) {
        self.words[number as usize].store(below, Ordering::Relaxed);
    }

    /// What lies below an object.
    pub(crate) fn below(&self, number: u32) -> u32 {
        self.words[number as usize].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_has_a_number_of_its_own_and_the_way_back() {
        let base = ((TOP - (384 << 10)) / PLACE) as u32;
        let links =
            Links::new([(base, 4, 7), (base + 28, 256, 9), (base + 4000, 12, 1)].into_iter());
        let lines = (HIGH / PLACE..END / PLACE).step_by(STEP_OF_LINE as usize);
        let places: Vec<u32> = links.regions().iter().flat_map(|slots| slots.places()).collect();
        for (number, place) in places.into_iter().chain(lines.map(|line| line as u32)).enumerate() {
            assert_eq!((links.number(place), links.place(number as u32)), (number as u32, place));
        }
        assert_eq!(links.words.len(), 17 + (END - HIGH) / 64);
    }
}
