//! Which entry has this color? Open addressing: a color is looked up in less time than an event takes by a tenth.
//!
//! A place of the table holds an entry and the low half of its color's hash. The highest bits say where the search begins, and it goes on
//! place by place to the first empty one (linear probing, Knuth vol. 3, §6.4, algorithm L; removal without tombstones,
//! algorithm R). The hash is the color times the golden ratio (ibid.), which spreads any arithmetic progression, such as the
//! colors of one home, almost without collisions. At most half of the places are in use, so that for colors without order a
//! search looks at 1.5 of them on average, and at 2.5 if it finds nothing. A place is 8 bytes: one or two cache lines a search,
//! whatever the number of colors.

use crate::event::Color;

/// Places of a table, at least.
const LEAST: usize = 16;

/// The hash of a color. Programs choose their colors: this is no defence against colors that were chosen to collide, nor
/// against colors that strangers choose.
#[inline(always)]
pub(crate) fn hash(color: Color) -> u64 {
    color.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

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
    /// 64 less the number of bits of a place's number.
    shift: u32,
    len: usize,
}

impl Index {
    pub(crate) fn new() -> Self {
        Self { places: vec![EMPTY; LEAST], shift: u64::BITS - LEAST.ilog2(), len: 0 }
    }

    #[inline(always)]
    fn begin(&self, hash: u64) -> usize {
        (hash >> self.shift) as usize
    }

    /// Colors that have an entry.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// All entries.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.places.iter().filter(|place| place.entry != EMPTY.entry).map(|place| place.entry)
    }

    /// The entry of the color with this hash, for which `is_it` says that it is.
    #[inline(always)]
    pub(crate) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.places.len() - 1;
        let mut at = self.begin(hash);
        loop {
            let place = self.places[at & mask];
            if place.entry == EMPTY.entry {
                return None;
            }
            if place.tag == hash as u32 && is_it(place.entry) {
                return Some(place.entry);
            }
            at += 1;
        }
    }

    /// Adds an entry that is not in the table; `hash_of` tells the hash of any other.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64, entry: u32, hash_of: impl Fn(u32) -> u64) {
        if (self.len + 1) * 2 > self.places.len() {
            self.grow(hash_of);
        }
        self.put(hash, entry);
        self.len += 1;
    }

    #[inline]
    fn put(&mut self, hash: u64, entry: u32) {
        let mask = self.places.len() - 1;
        let mut at = self.begin(hash);
        while self.places[at].entry != EMPTY.entry {
            at = (at + 1) & mask;
        }
        self.places[at] = Place { tag: hash as u32, entry };
    }

    #[cold]
    fn grow(&mut self, hash_of: impl Fn(u32) -> u64) {
        let places = vec![EMPTY; self.places.len() * 2];
        self.shift -= 1;
        for place in std::mem::replace(&mut self.places, places) {
            if place.entry != EMPTY.entry {
                self.put(hash_of(place.entry), place.entry);
            }
        }
    }

    /// Removes an entry; `hash_of` tells the hash of any other.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u64, entry: u32, hash_of: impl Fn(u32) -> u64) {
        let mask = self.places.len() - 1;
        let mut hole = self.begin(hash);
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
            let begins = self.begin(hash_of(place.entry));
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
            spread in prop_oneof![Just(1u64), Just(1 << 32), Just(0x9e37_79b9)],
            bits in 1u32..64,
        ) {
            // Few bits of the hash, so that searches are long and cross the end of the table.
            let hash_of = |color: u64| !(hash(Color(color * spread)) >> bits);
            let mut index = Index::new();
            let mut oracle = HashMap::new();
            for (color, is_added) in steps {
                let entry = color as u32 + 1_000;
                let hash_of_entry = |entry: u32| hash_of(u64::from(entry) - 1_000);
                if is_added && oracle.insert(color, entry).is_none() {
                    index.insert(hash_of(color), entry, hash_of_entry);
                } else if !is_added && oracle.remove(&color).is_some() {
                    index.remove(hash_of(color), entry, hash_of_entry);
                }
                prop_assert_eq!(index.len(), oracle.len());
                for color in 0..40 {
                    let found = index.find(hash_of(color), |found| found == color as u32 + 1_000);
                    prop_assert_eq!(found, oracle.get(&color).copied());
                }
                let mut all: Vec<_> = index.iter().collect();
                all.sort_unstable();
                let mut expected: Vec<_> = oracle.values().copied().collect();
                expected.sort_unstable();
                prop_assert_eq!(all, expected);
            }
        }
    }
}
