//! Lists of slots without order of importance: a slot is in one list at most, and leaves it in O(1) from wherever it is.

use crate::event::Slot;

/// No slot, or no list.
const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node {
    prev: u32,
    next: u32,
    list: u32,
}

const UNLINKED: Node = Node { prev: NIL, next: NIL, list: NIL };

#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
}

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
        Self { nodes: Vec::new(), ends: vec![Ends { first: NIL, last: NIL }; lists], len: 0 }
    }

    /// Slots in all lists.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The list that `slot` is in.
    #[inline]
    pub(crate) fn list_of(&self, slot: Slot) -> Option<usize> {
        let node = self.nodes.get(slot.index())?;
        (node.list != NIL).then_some(node.list as usize)
    }

    /// Appends a slot that is in no list.
    pub(crate) fn push_back(&mut self, list: usize, slot: Slot) {
        debug_assert!(self.list_of(slot).is_none(), "{slot:?} is in a list already");
        if slot.index() >= self.nodes.len() {
            self.nodes.resize(slot.index() + 1, UNLINKED);
        }
        let ends = &mut self.ends[list];
        let prev = std::mem::replace(&mut ends.last, slot.0);
        match self.nodes.get_mut(prev as usize) {
            Some(node) => node.next = slot.0,
            None => ends.first = slot.0,
        }
        self.nodes[slot.index()] = Node { prev, next: NIL, list: list as u32 };
        self.len += 1;
    }

    /// Removes the last slot of `list`.
    pub(crate) fn pop_back(&mut self, list: usize) -> Option<Slot> {
        let last = self.ends[list].last;
        (last != NIL).then(|| {
            self.remove(Slot(last));
            Slot(last)
        })
    }

    /// Removes a slot from the list that it is in, if it is in one.
    pub(crate) fn remove(&mut self, slot: Slot) {
        let Some(node) = self.nodes.get_mut(slot.index()) else { return };
        let Node { prev, next, list } = std::mem::replace(node, UNLINKED);
        let Some(ends) = self.ends.get_mut(list as usize) else { return };
        match self.nodes.get_mut(prev as usize) {
            Some(node) => node.next = next,
            None => ends.first = next,
        }
        match self.nodes.get_mut(next as usize) {
            Some(node) => node.prev = prev,
            None => ends.last = prev,
        }
        self.len -= 1;
    }
}
