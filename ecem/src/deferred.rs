//! Held events of all pairs, in order within each pair: lists threaded through one vector, so
//! that a held event costs no allocation once the vector has grown to the highest number of
//! events that were ever held at once.

use crate::Nanos;

const END: u32 = u32::MAX;

/// The waiting line of one pair.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    head: u32,
    tail: u32,
    len: u32,
}

impl Line {
    pub(crate) const EMPTY: Line = Line { head: END, tail: END, len: 0 };

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[derive(Debug, Clone)]
struct Node<E> {
    /// `None` exactly while the node is on the free list.
    event: Option<E>,
    since: Nanos,
    next: u32,
}

/// The nodes of every line, and the free ones.
#[derive(Debug, Clone)]
pub(crate) struct Deferred<E> {
    nodes: Vec<Node<E>>,
    free: u32,
}

impl<E> Deferred<E> {
    pub(crate) fn new() -> Self {
        Deferred { nodes: Vec::new(), free: END }
    }

    /// Appends `event` to `line`; gives it back if 2³² − 1 events are held already.
    pub(crate) fn push(&mut self, line: &mut Line, event: E, since: Nanos) -> Result<(), E> {
        let node = Node { event: Some(event), since, next: END };
        let index = if self.free != END {
            let index = self.free;
            self.free = self.nodes[index as usize].next;
            self.nodes[index as usize] = node;
            index
        } else {
            match u32::try_from(self.nodes.len()) {
                Ok(index) if index != END => {
                    self.nodes.push(node);
                    index
                }
                _ => return node.event.map_or(Ok(()), Err),
            }
        };
        if line.is_empty() {
            line.head = index;
        } else {
            self.nodes[line.tail as usize].next = index;
        }
        line.tail = index;
        line.len += 1;
        Ok(())
    }

    /// Takes the oldest event of `line`, and the time since which it was held.
    pub(crate) fn pop(&mut self, line: &mut Line) -> Option<(E, Nanos)> {
        if line.is_empty() {
            return None;
        }
        let index = line.head;
        let node = &mut self.nodes[index as usize];
        let event = node.event.take()?;
        let since = node.since;
        line.head = node.next;
        line.len -= 1;
        node.next = self.free;
        self.free = index;
        Some((event, since))
    }
}
