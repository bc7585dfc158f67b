//! Lists of ready colors: a slot is in one list at most, and leaves it in O(1) from wherever it is.
//!
//! Colors and stages are moved one by one, not as a [`Ready`]: a wide load of what was just stored in parts has to wait until
//! the store buffer has drained, which costs more than all the rest of a push and a pop.

use crate::event::{Color, Ready, Slot, StageId};

/// No slot, or no list.
const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    prev: u32,
    next: u32,
    color: Color,
    list: u32,
    stage: StageId,
}

const UNLINKED: Node = Node { prev: NIL, next: NIL, color: Color(0), list: NIL, stage: StageId(0) };

#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
    len: u32,
}

const EMPTY: Ends = Ends { first: NIL, last: NIL, len: 0 };

/// Doubly linked lists whose nodes are found by slot.
#[derive(Debug)]
pub(crate) struct Lists {
    nodes: Vec<Node>,
    ends: Vec<Ends>,
    len: usize,
}

impl Lists {
    /// `lists` empty lists.
    pub(crate) fn new(lists: usize) -> Self {
        Self { nodes: Vec::new(), ends: vec![EMPTY; lists], len: 0 }
    }

    /// Colors in all lists.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Colors in `list`.
    #[inline]
    pub(crate) fn count(&self, list: usize) -> usize {
        self.ends[list].len as usize
    }

    /// The list that `slot` is in.
    #[inline]
    pub(crate) fn list_of(&self, slot: Slot) -> Option<usize> {
        let node = self.nodes.get(slot.index())?;
        (node.list != NIL).then_some(node.list as usize)
    }

    /// Does `color` wait, in `slot`?
    pub(crate) fn has(&self, color: Color, slot: Slot) -> bool {
        self.nodes.get(slot.index()).is_some_and(|node| node.list != NIL && node.color == color)
    }

    /// Appends a color that is in no list.
    #[inline(always)]
    pub(crate) fn push_back(&mut self, list: usize, ready: Ready) {
        debug_assert!(self.list_of(ready.slot).is_none(), "{ready:?} waits already");
        let slot = ready.slot.0;
        let ends = &mut self.ends[list];
        let last = ends.last;
        ends.last = slot;
        ends.len += 1;
        if last == NIL {
            ends.first = slot;
        } else {
            self.nodes[last as usize].next = slot;
        }
        let node = self.node(slot);
        node.prev = last;
        node.next = NIL;
        node.color = ready.color;
        node.list = list as u32;
        node.stage = ready.stage;
        self.len += 1;
    }

    /// Puts a color that is in no list before all others.
    #[inline]
    pub(crate) fn push_front(&mut self, list: usize, ready: Ready) {
        debug_assert!(self.list_of(ready.slot).is_none(), "{ready:?} waits already");
        let slot = ready.slot.0;
        let ends = &mut self.ends[list];
        let first = ends.first;
        ends.first = slot;
        ends.len += 1;
        if first == NIL {
            ends.last = slot;
        } else {
            self.nodes[first as usize].prev = slot;
        }
        let node = self.node(slot);
        node.prev = NIL;
        node.next = first;
        node.color = ready.color;
        node.list = list as u32;
        node.stage = ready.stage;
        self.len += 1;
    }

    /// Removes the first color of `list`.
    #[inline]
    pub(crate) fn pop_front(&mut self, list: usize) -> Option<Ready> {
        let ends = &mut self.ends[list];
        let first = ends.first;
        if first == NIL {
            return None;
        }
        let node = &mut self.nodes[first as usize];
        node.list = NIL;
        let (next, color, stage) = (node.next, node.color, node.stage);
        ends.first = next;
        ends.len -= 1;
        if next == NIL {
            ends.last = NIL;
        } else {
            self.nodes[next as usize].prev = NIL;
        }
        self.len -= 1;
        Some(Ready { color, stage, slot: Slot(first) })
    }

    /// Removes the color in `slot` from the list that it is in.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Ready> {
        let list = self.list_of(slot)?;
        let Node { prev, next, color, stage, .. } = self.nodes[slot.index()];
        self.nodes[slot.index()].list = NIL;
        let ends = &mut self.ends[list];
        ends.len -= 1;
        if prev == NIL {
            ends.first = next;
        }
        if next == NIL {
            ends.last = prev;
        }
        if prev != NIL {
            self.nodes[prev as usize].next = next;
        }
        if next != NIL {
            self.nodes[next as usize].prev = prev;
        }
        self.len -= 1;
        Some(Ready { color, stage, slot })
    }

    #[inline]
    fn node(&mut self, slot: u32) -> &mut Node {
        let index = slot as usize;
        if index >= self.nodes.len() {
            self.grow(index + 1);
        }
        &mut self.nodes[index]
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        self.nodes.resize(len, UNLINKED);
    }
}
