//! Groups of ready colors, in order of priority and then of arrival: a slot is in one group at most, and leaves it in O(1)
//! from wherever it is.
//!
//! Colors and stages are moved one by one, not as a [`Ready`]: a wide load of what was just stored in parts has to wait until
//! the store buffer has drained, which costs more than all the rest of a push and a pop.

use crate::event::{Color, PRIORITIES, Priority, Ready, Slot, StageId};

/// No slot, or no list.
const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    prev: u32,
    next: u32,
    color: Color,
    /// `PRIORITIES` times the group, plus the rank.
    list: u32,
    stage: StageId,
    priority: Priority,
}

const UNLINKED: Node = Node {
    prev: NIL,
    next: NIL,
    color: Color(0),
    list: NIL,
    stage: StageId(0),
    priority: Priority::Normal,
};

#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
}

/// One list a rank.
#[derive(Clone, Copy, Debug)]
struct Group {
    len: u32,
    /// A bit for each rank whose list is not empty.
    ranks: u8,
    ends: [Ends; PRIORITIES],
}

const EMPTY: Group = Group { len: 0, ranks: 0, ends: [Ends { first: NIL, last: NIL }; PRIORITIES] };

/// Doubly linked lists whose nodes are found by slot.
#[derive(Debug)]
pub(crate) struct Groups {
    nodes: Vec<Node>,
    groups: Vec<Group>,
    len: usize,
}

impl Groups {
    /// `groups` empty groups.
    pub(crate) fn new(groups: usize) -> Self {
        Self { nodes: Vec::new(), groups: vec![EMPTY; groups], len: 0 }
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

    /// The group that `slot` is in.
    #[inline]
    pub(crate) fn group_of(&self, slot: Slot) -> Option<usize> {
        let node = self.nodes.get(slot.index())?;
        (node.list != NIL).then_some(node.list as usize / PRIORITIES)
    }

    /// Does `color` wait, in `slot`?
    pub(crate) fn has(&self, color: Color, slot: Slot) -> bool {
        self.nodes.get(slot.index()).is_some_and(|node| node.list != NIL && node.color == color)
    }

    /// Appends a color that is in no group, after those of its priority.
    #[inline(always)]
    pub(crate) fn push_back(&mut self, group: usize, ready: Ready) {
        self.link(group, ready, false);
    }

    /// Puts a color that is in no group before the others of its priority.
    #[inline]
    pub(crate) fn push_front(&mut self, group: usize, ready: Ready) {
        self.link(group, ready, true);
    }

    #[inline(always)]
    fn link(&mut self, group: usize, ready: Ready, is_first: bool) {
        debug_assert!(self.group_of(ready.slot).is_none(), "{ready:?} waits already");
        let slot = ready.slot.index();
        if slot >= self.nodes.len() {
            self.grow(slot + 1);
        }
        let rank = ready.priority.rank();
        let known = &mut self.groups[group];
        known.len += 1;
        known.ranks |= 1 << rank;
        let ends = &mut known.ends[rank];
        let (near, far) = match is_first {
            true => (&mut ends.first, &mut ends.last),
            false => (&mut ends.last, &mut ends.first),
        };
        let neighbour = std::mem::replace(near, ready.slot.0);
        if neighbour == NIL {
            *far = ready.slot.0;
        } else {
            let neighbour = &mut self.nodes[neighbour as usize];
            *(if is_first { &mut neighbour.prev } else { &mut neighbour.next }) = ready.slot.0;
        }
        let node = &mut self.nodes[slot];
        (node.prev, node.next) = if is_first { (NIL, neighbour) } else { (neighbour, NIL) };
        node.color = ready.color;
        node.list = (group * PRIORITIES + rank) as u32;
        node.stage = ready.stage;
        node.priority = ready.priority;
        self.len += 1;
    }

    /// Moves the first `n` colors of `group`, the most urgent ones first, to the end of `to`.
    #[inline]
    pub(crate) fn pop_into(&mut self, group: usize, n: usize, to: &mut Vec<Ready>) {
        let known = &mut self.groups[group];
        let wanted = n.min(known.len as usize);
        let mut left = wanted;
        while left > 0 {
            let rank = known.ranks.trailing_zeros() as usize;
            let ends = &mut known.ends[rank % PRIORITIES];
            let mut next = ends.first;
            while left > 0 && next != NIL {
                let node = &mut self.nodes[next as usize];
                node.list = NIL;
                let (color, slot) = (node.color, Slot(next));
                let (stage, priority) = (node.stage, node.priority);
                to.push(Ready { color, slot, stage, priority });
                next = node.next;
                left -= 1;
            }
            ends.first = next;
            if next == NIL {
                ends.last = NIL;
                known.ranks &= !(1 << rank);
            } else {
                self.nodes[next as usize].prev = NIL;
            }
        }
        known.len -= wanted as u32;
        self.len -= wanted;
    }

    /// Removes the first of the most urgent colors of `group`.
    #[inline]
    pub(crate) fn pop_front(&mut self, group: usize) -> Option<Ready> {
        match self.groups[group].ranks {
            0 => None,
            ranks => self.pop_rank(group, ranks.trailing_zeros() as usize),
        }
    }

    /// Removes the first of the least urgent colors of `group`.
    pub(crate) fn pop_least(&mut self, group: usize) -> Option<Ready> {
        let rank = self.groups[group].ranks.checked_ilog2()? as usize;
        self.pop_rank(group, rank)
    }

    #[inline(always)]
    fn pop_rank(&mut self, group: usize, rank: usize) -> Option<Ready> {
        let known = &mut self.groups[group];
        let ends = &mut known.ends[rank % PRIORITIES];
        let first = ends.first;
        let node = self.nodes.get_mut(first as usize)?;
        node.list = NIL;
        let (next, color) = (node.next, node.color);
        let (stage, priority) = (node.stage, node.priority);
        ends.first = next;
        known.len -= 1;
        if next == NIL {
            ends.last = NIL;
            known.ranks &= !(1 << rank);
        } else {
            self.nodes[next as usize].prev = NIL;
        }
        self.len -= 1;
        Some(Ready { color, slot: Slot(first), stage, priority })
    }

    /// Removes the color in `slot` from the group that it is in.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Ready> {
        let node = self.nodes.get_mut(slot.index())?;
        if node.list == NIL {
            return None;
        }
        let list = std::mem::replace(&mut node.list, NIL) as usize;
        let Node { prev, next, color, stage, priority, .. } = *node;
        let (group, rank) = (&mut self.groups[list / PRIORITIES], list % PRIORITIES);
        group.len -= 1;
        let ends = &mut group.ends[rank];
        match self.nodes.get_mut(prev as usize) {
            Some(node) => node.next = next,
            None => ends.first = next,
        }
        match self.nodes.get_mut(next as usize) {
            Some(node) => node.prev = prev,
            None => ends.last = prev,
        }
        if ends.first == NIL {
            group.ranks &= !(1 << rank);
        }
        self.len -= 1;
        Some(Ready { color, slot, stage, priority })
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        self.nodes.resize(len, UNLINKED);
    }
}
