//! Groups of ready colors, in order of priority and then of arrival: a ring for each, so that a batch is a copy of
//! neighbours. A color is in one group at most, and leaves it in O(1) from wherever it is: its place stays behind, empty.

use crate::event::{Color, PRIORITIES, Priority, Ready, Slot, StageId};

/// The slot of a place that a color has left.
const GONE: Slot = Slot(u32::MAX);
const NOBODY: Ready =
    Ready { color: Color(0), slot: GONE, stage: StageId(0), priority: Priority::Normal };
/// Places of a ring at first.
const FIRST_LEN: usize = 16;

/// Places are numbered as they are filled; number `n` is at `n & mask`.
#[derive(Clone, Debug)]
struct Ring {
    places: Box<[Ready]>,
    /// The number of the first place.
    head: u32,
    /// The number of the place after the last one.
    tail: u32,
    /// Number of places, which is a power of two, less one. All ones if there is none.
    mask: u32,
    /// Places that colors have left.
    gone: u32,
}

impl Ring {
    fn new() -> Self {
        Self { places: Box::default(), head: 0, tail: 0, mask: u32::MAX, gone: 0 }
    }

    #[inline(always)]
    fn place(&mut self, number: u32) -> &mut Ready {
        &mut self.places[(number & self.mask) as usize]
    }

    #[inline(always)]
    fn len(&self) -> u32 {
        self.tail.wrapping_sub(self.head)
    }

    #[inline(always)]
    fn make_room(&mut self) {
        if self.len() == self.mask.wrapping_add(1) {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        let len = (self.places.len() * 2).max(FIRST_LEN);
        let mut places = vec![NOBODY; len].into_boxed_slice();
        for at in 0..self.len() {
            let number = self.head.wrapping_add(at);
            places[number as usize & (len - 1)] = *self.place(number);
        }
        self.places = places;
        self.mask = (len - 1) as u32;
    }

    /// Gives up empty places at both ends, so that those in between are at most as many as have been pushed since the first
    /// color that is still there.
    fn trim(&mut self) {
        while self.len() > 0 && self.place(self.tail.wrapping_sub(1)).slot == GONE {
            self.tail = self.tail.wrapping_sub(1);
            self.gone -= 1;
        }
        while self.len() > 0 && self.place(self.head).slot == GONE {
            self.head = self.head.wrapping_add(1);
            self.gone -= 1;
        }
    }

    /// Removes the first color, if a color is in the first place.
    #[inline(always)]
    fn pop(&mut self) -> Option<Ready> {
        let number = self.head;
        // One by one: a wide load of what was just stored in parts has to wait for the store buffer.
        let Ready { color, slot, stage, priority } = *self.place(number);
        self.head = number.wrapping_add(1);
        if slot == GONE {
            self.gone -= 1;
            return None;
        }
        Some(Ready { color, slot, stage, priority })
    }

    /// Copies the first `n` places, which colors are in, to the end of `to`.
    #[inline]
    fn pop_into(&mut self, n: usize, to: &mut Vec<Ready>) {
        let first = (self.head & self.mask) as usize;
        let before_end = n.min(self.places.len() - first);
        to.extend_from_slice(&self.places[first..first + before_end]);
        to.extend_from_slice(&self.places[..n - before_end]);
        self.head = self.head.wrapping_add(n as u32);
    }
}

#[derive(Clone, Debug)]
struct Group {
    /// Colors in all of its rings.
    len: u32,
    /// A bit for each rank whose ring has places, of colors or left.
    ranks: u32,
    rings: [Ring; PRIORITIES],
}

impl Group {
    fn new() -> Self {
        Self { len: 0, ranks: 0, rings: [Ring::new(), Ring::new(), Ring::new()] }
    }

    /// Removes the first color of this rank, which has places, if a color is in the first of them.
    #[inline(always)]
    fn pop(&mut self, rank: usize) -> Option<Ready> {
        let ring = &mut self.rings[rank];
        let popped = ring.pop();
        if ring.head == ring.tail {
            self.ranks &= !(1 << rank);
        }
        self.len -= u32::from(popped.is_some());
        popped
    }
}

/// Where a color was put: whether it is still there, the ring knows.
#[derive(Clone, Copy, Debug)]
struct Position {
    /// `PRIORITIES` times the group, plus the rank.
    ring: u32,
    number: u32,
}

/// A group of rings for each stage, or whatever else colors wait for.
#[derive(Debug)]
pub(crate) struct Rings {
    groups: Vec<Group>,
    positions: Vec<Position>,
    len: usize,
}

impl Rings {
    /// `groups` empty groups.
    pub(crate) fn new(groups: usize) -> Self {
        Self { groups: vec![Group::new(); groups], positions: Vec::new(), len: 0 }
    }

    /// Colors in all groups.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Colors in `group`.
    #[inline]
    pub(crate) fn count(&self, group: usize) -> usize {
        self.groups[group].len as usize
    }

    /// Appends a color that is in no group, after those of its priority, and tells how many the group has now.
    #[inline(always)]
    pub(crate) fn push_back(&mut self, group: usize, ready: Ready) -> usize {
        debug_assert!(self.find(ready.color, ready.slot).is_none(), "{ready:?} waits already");
        let rank = ready.priority.rank();
        let known = &mut self.groups[group];
        let ring = &mut known.rings[rank];
        ring.make_room();
        let number = ring.tail;
        *ring.place(number) = ready;
        ring.tail = number.wrapping_add(1);
        known.ranks |= 1 << rank;
        known.len += 1;
        let len = known.len as usize;
        self.note(ready.slot, (group * PRIORITIES + rank) as u32, number);
        len
    }

    /// Puts a color that is in no group before the others of its priority.
    #[inline]
    pub(crate) fn push_front(&mut self, group: usize, ready: Ready) {
        debug_assert!(self.find(ready.color, ready.slot).is_none(), "{ready:?} waits already");
        let rank = ready.priority.rank();
        let known = &mut self.groups[group];
        let ring = &mut known.rings[rank];
        ring.make_room();
        let number = ring.head.wrapping_sub(1);
        ring.head = number;
        *ring.place(number) = ready;
        known.ranks |= 1 << rank;
        known.len += 1;
        self.note(ready.slot, (group * PRIORITIES + rank) as u32, number);
    }

    #[inline(always)]
    fn note(&mut self, slot: Slot, ring: u32, number: u32) {
        self.len += 1;
        match self.positions.get_mut(slot.index()) {
            Some(known) => *known = Position { ring, number },
            None => self.note_new(slot, Position { ring, number }),
        }
    }

    #[cold]
    fn note_new(&mut self, slot: Slot, position: Position) {
        self.positions.resize(slot.index() + 1, Position { ring: u32::MAX, number: 0 });
        self.positions[slot.index()] = position;
    }

    /// Moves the first `n` colors of `group`, the most urgent ones first, to the end of `to`.
    #[inline(always)]
    pub(crate) fn pop_into(&mut self, group: usize, n: usize, to: &mut Vec<Ready>) {
        if n == 1 {
            to.extend(self.pop_front(group));
        } else {
            self.pop_several(group, n, to);
        }
    }

    fn pop_several(&mut self, group: usize, n: usize, to: &mut Vec<Ready>) {
        let mut left = n;
        while left > 0 {
            let known = &mut self.groups[group];
            if known.ranks == 0 {
                return;
            }
            let rank = known.ranks.trailing_zeros() as usize % PRIORITIES;
            let ring = &mut known.rings[rank];
            if ring.gone > 0 {
                let Some(ready) = self.pop_front(group) else { return };
                to.push(ready);
                left -= 1;
                continue;
            }
            let copied = left.min(ring.len() as usize);
            ring.pop_into(copied, to);
            if ring.head == ring.tail {
                known.ranks &= !(1 << rank);
            }
            known.len -= copied as u32;
            self.len -= copied;
            left -= copied;
        }
    }

    /// Removes the first of the most urgent colors of `group`.
    #[inline(always)]
    pub(crate) fn pop_front(&mut self, group: usize) -> Option<Ready> {
        let known = &mut self.groups[group];
        while known.ranks != 0 {
            let rank = known.ranks.trailing_zeros() as usize % PRIORITIES;
            if let Some(ready) = known.pop(rank) {
                self.len -= 1;
                return Some(ready);
            }
        }
        None
    }

    /// Removes the first of the most urgent colors of `group`, if it is as `is_wanted` says.
    #[inline]
    pub(crate) fn pop_front_if(
        &mut self,
        group: usize,
        is_wanted: impl Fn(&Ready) -> bool,
    ) -> Option<Ready> {
        let known = &mut self.groups[group];
        let rank = known.ranks.trailing_zeros() as usize;
        let ring = known.rings.get_mut(rank)?;
        let first = ring.place(ring.head);
        if first.slot != GONE && !is_wanted(first) {
            return None;
        }
        let popped = known.pop(rank)?;
        self.len -= 1;
        Some(popped)
    }

    /// Removes the first of the least urgent colors of `group`.
    pub(crate) fn pop_least(&mut self, group: usize) -> Option<Ready> {
        let known = &mut self.groups[group];
        while let Some(rank) = known.ranks.checked_ilog2() {
            if let Some(ready) = known.pop(rank as usize) {
                self.len -= 1;
                return Some(ready);
            }
        }
        None
    }

    /// The group that `color` waits in, and the rank and the number of its place.
    fn find(&mut self, color: Color, slot: Slot) -> Option<(usize, usize, u32)> {
        let Position { ring, number } = *self.positions.get(slot.index())?;
        let (group, rank) = (ring as usize / PRIORITIES, ring as usize % PRIORITIES);
        let ring = &mut self.groups.get_mut(group)?.rings[rank];
        let is_inside = number.wrapping_sub(ring.head) < ring.len();
        let ready = is_inside.then(|| *ring.place(number))?;
        (ready.slot == slot && ready.color == color).then_some((group, rank, number))
    }

    /// The group that `color` waits in.
    pub(crate) fn group_of(&mut self, color: Color, slot: Slot) -> Option<usize> {
        self.find(color, slot).map(|(group, ..)| group)
    }

    /// Removes `color` from the group that it waits in.
    pub(crate) fn remove(&mut self, color: Color, slot: Slot) -> Option<Ready> {
        let (group, rank, number) = self.find(color, slot)?;
        let known = &mut self.groups[group];
        known.len -= 1;
        let ring = &mut known.rings[rank];
        ring.gone += 1;
        let ready = std::mem::replace(ring.place(number), NOBODY);
        ring.trim();
        if ring.head == ring.tail {
            known.ranks &= !(1 << rank);
        }
        self.len -= 1;
        Some(ready)
    }
}
