//! Where is a color? Each core's table of the colors that have their home there, or are held there.
//!
//! | place | the record is | a post by the home's core |
//! |---|---|---|
//! | here | in the table | is appended |
//! | running | in the hands of the loop | (the running handler's own only: it appends to what it holds) |
//! | offered | on the board | takes it back first |
//! | away | at the holder | is forwarded, and counted |
//! | settling | in the table, come home while events were still on their way to the holder | waits beside it |
//!
//! A holder sends a color home with the number of events that it received. What was forwarded beyond that number finds
//! nobody there and comes back, in order; only then is the color complete, and what was posted meanwhile is appended. So
//! no event is overtaken by a later one of the same producer, without the holder and the home having to agree first.

use hashbrown::HashTable;

use crate::event::{Color, CoreId, Slot};
use crate::record::{Queued, Record};

/// Where a color's record is, as its home or holder knows.
#[derive(Debug)]
pub(crate) enum Place<E, S> {
    /// No color in this slot; the next free slot.
    Vacant(Option<Slot>),
    /// In the table.
    Here(Box<Record<E, S>>),
    /// With the loop that runs it.
    Running,
    /// On the board, in this slot of it.
    Offered(u8),
    /// Stolen.
    Away(Box<Away>),
    /// Come home before all of its events.
    Settling(Box<Settling<E, S>>),
}

impl<E, S> Place<E, S> {
    /// Puts a record back that was running. What this overwrites owns nothing, so that nothing has to be dropped.
    #[inline]
    pub(crate) fn put_back(&mut self, record: Box<Record<E, S>>) {
        debug_assert!(matches!(self, Self::Running));
        std::mem::forget(std::mem::replace(self, Self::Here(record)));
    }
}

/// What a home remembers of a color that was stolen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Away {
    pub(crate) holder: CoreId,
    pub(crate) incarnation: u64,
    pub(crate) forwarded: u64,
}

/// A color that is not complete yet.
#[derive(Debug)]
pub(crate) struct Settling<E, S> {
    pub(crate) record: Box<Record<E, S>>,
    /// Events that have yet to come back.
    pub(crate) missing: u64,
    /// What was posted since.
    pub(crate) later: Vec<Queued<E>>,
}

/// A color's entry.
#[derive(Debug)]
pub(crate) struct Entry<E, S> {
    pub(crate) color: Color,
    pub(crate) place: Place<E, S>,
    /// This core is its home, not its holder.
    pub(crate) is_home: bool,
    /// It waits in the scheduler, or is about to be pushed, or has been elected.
    pub(crate) is_queued: bool,
}

/// A core's table of colors.
#[derive(Debug)]
pub(crate) struct Colors<E, S> {
    /// The slot of each color, found by the color's hash; the color itself is read in the slot, which a post needs anyway.
    index: HashTable<Slot>,
    entries: Vec<Entry<E, S>>,
    free: Option<Slot>,
    incarnations: u64,
}

/// Spreads the numbers of colors, which the program chooses, over all bits. It is no defence against numbers that were
/// chosen to collide.
#[inline]
fn hash(color: Color) -> u64 {
    let product = color.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ (product >> 32)
}

impl<E, S> Colors<E, S> {
    pub(crate) fn new() -> Self {
        Self { index: HashTable::new(), entries: Vec::new(), free: None, incarnations: 0 }
    }

    /// Colors that have an entry.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Colors that have an entry.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Color> + '_ {
        self.index.iter().map(|slot| self.entries[slot.index()].color)
    }

    /// Every slot, of colors or vacant.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + use<E, S> {
        (0..self.entries.len() as u32).map(Slot)
    }

    #[inline]
    pub(crate) fn find(&self, color: Color) -> Option<Slot> {
        let is_color = |slot: &Slot| self.entries[slot.index()].color == color;
        self.index.find(hash(color), is_color).copied()
    }

    #[inline]
    pub(crate) fn entry(&mut self, slot: Slot) -> &mut Entry<E, S> {
        &mut self.entries[slot.index()]
    }

    #[inline]
    pub(crate) fn get(&mut self, slot: Slot) -> Option<&mut Entry<E, S>> {
        self.entries.get_mut(slot.index())
    }

    /// A number for a color that opens here.
    pub(crate) fn incarnate(&mut self) -> u64 {
        self.incarnations += 1;
        self.incarnations
    }

    /// Makes an entry for a color that has none.
    pub(crate) fn insert(&mut self, color: Color, is_home: bool, place: Place<E, S>) -> Slot {
        let entry = Entry { color, place, is_home, is_queued: false };
        let slot = match self.free {
            Some(slot) => {
                if let Place::Vacant(next) = self.entries[slot.index()].place {
                    self.free = next;
                }
                self.entries[slot.index()] = entry;
                slot
            }
            None => {
                self.entries.push(entry);
                Slot(self.entries.len() as u32 - 1)
            }
        };
        let entries = &self.entries;
        let hash_of = |slot: &Slot| hash(entries[slot.index()].color);
        self.index.insert_unique(hash(color), slot, hash_of);
        slot
    }

    /// Ends an entry, and gives what was in its place.
    pub(crate) fn remove(&mut self, slot: Slot) -> Place<E, S> {
        let free = self.free.replace(slot);
        let entry = &mut self.entries[slot.index()];
        entry.is_queued = false;
        if let Ok(found) = self.index.find_entry(hash(entry.color), |kept| *kept == slot) {
            found.remove();
        }
        std::mem::replace(&mut entry.place, Place::Vacant(free))
    }
}
