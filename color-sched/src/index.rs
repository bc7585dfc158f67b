//! Which entry has this color? Open addressing: a color is looked up in less time than an event takes by a tenth.
//!
//! A place of the table holds an entry and a tag. The tag says where the search for the color begins, and it goes on
//! place by place to the first empty one (linear probing, Knuth vol. 3, §6.4, algorithm L; removal without tombstones,
//! algorithm R).
//!
//! ```text
//! color   turned right by the bits that name its home:  | 61 bits: group | 3 bits: member |
//! tag     | 29 highest bits of group × golden ratio | member |
//! begin   as many of the highest bits of the tag as name a block of 8 places; in the block, the member
//! ```
//!
//! So colors of one home that follow each other, as those of a table of connections do, share a cache line of the
//! table, and groups of them are spread almost without collisions. Groups that a factor does not spread are given
//! another one. At most half of the places are in use: for colors without order a search looks at 1.5 of them on
//! average, and at 2.5 if it finds nothing.

use crate::event::Color;
use crate::prefetch::prefetch;

/// Places of a table, at least.
const LEAST: usize = 16;

/// The golden ratio of 2⁶⁴, and where the next factor comes from.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const NEXT: u64 = 0xd134_2543_de82_ef95;
/// Colors of a group, as a power of two: eight that follow each other, whose places of 8 bytes are a cache line.
const MEMBER_BITS: u32 = 3;
const MEMBERS: u64 = (1 << MEMBER_BITS) - 1;
/// Places of a table that is worth fetching from ahead: 128 KiB.
const LARGE: usize = 1 << 14;
/// Places looked at for a free one before the factor is taken for a bad one. At half load, colors without order do not get
/// there.
const FAR: usize = 64 << MEMBER_BITS;
/// Factors tried for a table of one size: this is no defence against colors that were chosen to collide.
const FACTORS: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    tag: u32,
    entry: u32,
}

const EMPTY: Place = Place { tag: 0, entry: u32::MAX };

/// Entries by color. The colors themselves are the caller's, who is asked for them.
#[derive(Debug)]
pub(crate) struct Index {
    places: Vec<Place>,
    /// 32 less the number of bits of a place's number.
    shift: u32,
    /// Lowest bits of a color, which name its home: the same in all colors of this table if the number of cores is a power
    /// of two.
    home_bits: u32,
    /// Odd, so that no two groups have the same product.
    factor: u64,
    /// Factors that may still be tried at this size.
    factors: u32,
    len: usize,
}

impl Index {
    /// An empty index for the colors of one core of so many.
    pub(crate) fn new(cores: usize) -> Self {
        let (shift, home_bits) = (u32::BITS - LEAST.ilog2(), cores.max(1).ilog2());
        let places = vec![EMPTY; LEAST];
        Self { places, shift, home_bits, factor: GOLDEN, factors: FACTORS, len: 0 }
    }

    #[inline(always)]
    fn tag(&self, color: Color) -> u32 {
        let color = color.0.rotate_right(self.home_bits);
        let product = (color >> MEMBER_BITS).wrapping_mul(self.factor);
        ((product >> 32) & !MEMBERS | color & MEMBERS) as u32
    }

    #[inline(always)]
    fn begin(&self, tag: u32) -> usize {
        (tag >> self.shift & !(MEMBERS as u32) | tag & MEMBERS as u32) as usize
    }

    /// Is the table too large for the nearer caches?
    #[inline(always)]
    pub(crate) fn is_large(&self) -> bool {
        self.places.len() >= LARGE
    }

    /// Fetches the place of `color`, which will be looked up soon.
    #[inline(always)]
    pub(crate) fn fetch(&self, color: Color) {
        if let Some(place) = self.places.get(self.begin(self.tag(color))) {
            prefetch(place);
        }
    }

    /// A new color often is one of many that follow each other, up or down: in the middle of a group, fetches those
    /// beside it.
    #[inline(always)]
    pub(crate) fn fetch_neighbors(&self, color: Color) {
        let place = color.0.rotate_right(self.home_bits);
        if self.is_large() && place & MEMBERS == MEMBERS / 2 {
            for neighbor in [place.wrapping_add(MEMBERS + 1), place.wrapping_sub(MEMBERS + 1)] {
                self.fetch(Color(neighbor.rotate_left(self.home_bits)));
            }
        }
    }

    /// Colors that have an entry.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// All entries.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.places.iter().filter(|place| place.entry != EMPTY.entry).map(|place| place.entry)
    }

    /// The entry of `color`, of which `is_it` says that it is.
    #[inline(always)]
    pub(crate) fn find(&self, color: Color, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = self.tag(color);
        let mask = self.places.len() - 1;
        let mut at = self.begin(tag);
        loop {
            let place = self.places[at & mask];
            if place.entry == EMPTY.entry {
                return None;
            }
            if place.tag == tag && is_it(place.entry) {
                return Some(place.entry);
            }
            at += 1;
        }
    }

    /// Adds the entry of a color that is not in the table; `color_of` tells the color of any other entry.
    #[inline]
    pub(crate) fn insert(&mut self, color: Color, entry: u32, color_of: impl Fn(u32) -> Color) {
        if (self.len + 1) * 2 > self.places.len() {
            self.grow();
        }
        self.len += 1;
        if self.put(Place { tag: self.tag(color), entry }) > FAR && self.factors > 0 {
            self.take_another_factor(&|other| {
                if other == entry { color } else { color_of(other) }
            });
        }
    }

    /// Puts an entry in its place, and tells how many were looked at.
    #[inline]
    fn put(&mut self, place: Place) -> usize {
        let mask = self.places.len() - 1;
        let begin = self.begin(place.tag);
        let mut at = begin;
        while self.places[at & mask].entry != EMPTY.entry {
            at += 1;
        }
        self.places[at & mask] = place;
        at - begin
    }

    #[cold]
    fn grow(&mut self) {
        self.factors = FACTORS;
        let len = self.places.len() * 2;
        self.shift = u32::BITS - len.ilog2();
        for place in std::mem::replace(&mut self.places, vec![EMPTY; len]) {
            if place.entry != EMPTY.entry {
                self.put(place);
            }
        }
    }

    #[cold]
    fn take_another_factor(&mut self, color_of: &dyn Fn(u32) -> Color) {
        self.factors -= 1;
        self.factor = self.factor.wrapping_mul(NEXT);
        let len = self.places.len();
        for Place { entry, .. } in std::mem::replace(&mut self.places, vec![EMPTY; len]) {
            if entry != EMPTY.entry {
                self.put(Place { tag: self.tag(color_of(entry)), entry });
            }
        }
    }

    /// Removes the entry of a color.
    #[inline]
    pub(crate) fn remove(&mut self, color: Color, entry: u32) {
        let mask = self.places.len() - 1;
        let mut hole = self.begin(self.tag(color));
        while self.places[hole].entry != entry {
            if self.places[hole].entry == EMPTY.entry {
                return;
            }
            hole = (hole + 1) & mask;
        }
        self.len -= 1;
        // What follows moves into the hole, unless its search begins behind the hole.
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let place = self.places[at];
            if place.entry == EMPTY.entry {
                break;
            }
            let begins = self.begin(place.tag);
            if at.wrapping_sub(begins) & mask >= at.wrapping_sub(hole) & mask {
                self.places[hole] = place;
                hole = at;
            }
        }
        self.places[hole] = EMPTY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn index_agrees_with_a_hash_map(
            steps in prop::collection::vec((0u64..40, any::<bool>()), 1..400),
            spread in prop_oneof![Just(1u64), Just(1 << 32), Just(GOLDEN), Just(832_040)],
            factor in prop_oneof![Just(GOLDEN), Just(1), Just(u64::MAX)],
            cores in 1usize..20,
        ) {
            // Factors that spread badly: long searches, and such as cross the end of the table.
            let color_of = |entry: u32| Color(u64::from(entry).wrapping_sub(1_000).wrapping_mul(spread));
            let mut index = Index { factor, factors: 1, ..Index::new(cores) };
            let mut oracle = HashMap::new();
            for (number, is_added) in steps {
                let entry = number as u32 + 1_000;
                if is_added && oracle.insert(number, entry).is_none() {
                    index.insert(color_of(entry), entry, color_of);
                } else if !is_added && oracle.remove(&number).is_some() {
                    index.remove(color_of(entry), entry);
                }
                prop_assert_eq!(index.len(), oracle.len());
                for number in 0..40 {
                    let entry = number as u32 + 1_000;
                    let found = index.find(color_of(entry), |found| found == entry);
                    prop_assert_eq!(found, oracle.get(&number).copied());
                }
                let mut all: Vec<_> = index.iter().collect();
                all.sort_unstable();
                let mut expected: Vec<_> = oracle.values().copied().collect();
                expected.sort_unstable();
                prop_assert_eq!(all, expected);
            }
        }
    }

    #[test]
    fn colors_that_the_golden_ratio_does_not_spread_are_spread_by_another_factor() {
        // Fibonacci numbers, whose multiples the golden ratio puts side by side.
        for stride in [1u64, 64, 832_040, 102_334_155, 1_836_311_903] {
            let color_of = |entry: u32| Color(u64::from(entry).wrapping_mul(stride));
            let mut index = Index::new(1);
            (0..20_000).for_each(|entry| index.insert(color_of(entry), entry, color_of));
            let longest = (0..20_000).map(|entry| {
                let mask = index.places.len() - 1;
                let begin = index.begin(index.tag(color_of(entry)));
                let at = (begin..).find(|at| index.places[at & mask].entry == entry);
                at.map_or(usize::MAX, |at| at - begin)
            });
            assert!(longest.max() <= Some(2 * FAR), "stride {stride}");
        }
    }
}
