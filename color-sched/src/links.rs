//! Lists over small numbers: a key is in one list at most, and leaves it in O(1) from wherever it is.

/// No key, or no list.
const NIL: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Node<V> {
    prev: u32,
    next: u32,
    list: u32,
    value: V,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
    len: u32,
}

const EMPTY: Ends = Ends { first: NIL, last: NIL, len: 0 };

/// Doubly linked lists whose nodes are the keys themselves, each with a value.
#[derive(Debug)]
pub(crate) struct Lists<V> {
    nodes: Vec<Node<V>>,
    ends: Vec<Ends>,
    len: usize,
}

impl<V: Copy> Lists<V> {
    /// `lists` empty lists.
    pub(crate) fn new(lists: usize) -> Self {
        Self { nodes: Vec::new(), ends: vec![EMPTY; lists], len: 0 }
    }

    /// Keys in all lists.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Keys in `list`.
    #[inline]
    pub(crate) fn count(&self, list: usize) -> usize {
        self.ends[list].len as usize
    }

    /// The list that `key` is in.
    #[inline]
    pub(crate) fn list_of(&self, key: u32) -> Option<usize> {
        let node = self.nodes.get(key as usize)?;
        (node.list != NIL).then_some(node.list as usize)
    }

    /// Appends `key`, which is in no list.
    #[inline]
    pub(crate) fn push_back(&mut self, list: usize, key: u32, value: V) {
        let last = self.ends[list].last;
        self.put(key, Node { prev: last, next: NIL, list: list as u32, value });
        let ends = &mut self.ends[list];
        ends.last = key;
        ends.len += 1;
        if last == NIL {
            ends.first = key;
        } else {
            self.nodes[last as usize].next = key;
        }
    }

    /// Puts `key`, which is in no list, before all others.
    pub(crate) fn push_front(&mut self, list: usize, key: u32, value: V) {
        let first = self.ends[list].first;
        self.put(key, Node { prev: NIL, next: first, list: list as u32, value });
        let ends = &mut self.ends[list];
        ends.first = key;
        ends.len += 1;
        if first == NIL {
            ends.last = key;
        } else {
            self.nodes[first as usize].prev = key;
        }
    }

    /// The value of `key`, if it is in a list.
    pub(crate) fn get(&self, key: u32) -> Option<V> {
        self.list_of(key).map(|_| self.nodes[key as usize].value)
    }

    /// Moves all keys of `from`, in order, before those of `to`.
    pub(crate) fn prepend(&mut self, from: usize, to: usize) {
        let mut last = self.ends[from].last;
        while last != NIL {
            let Node { prev, value, .. } = self.nodes[last as usize];
            self.remove(last);
            self.push_front(to, last, value);
            last = prev;
        }
    }

    /// Removes the first key of `list`.
    #[inline]
    pub(crate) fn pop_front(&mut self, list: usize) -> Option<(u32, V)> {
        let first = self.ends[list].first;
        if first == NIL {
            return None;
        }
        let node = &mut self.nodes[first as usize];
        node.list = NIL;
        let (next, value) = (node.next, node.value);
        let ends = &mut self.ends[list];
        ends.first = next;
        ends.len -= 1;
        if next == NIL {
            ends.last = NIL;
        } else {
            self.nodes[next as usize].prev = NIL;
        }
        self.len -= 1;
        Some((first, value))
    }

    /// Removes `key` from the list that it is in.
    pub(crate) fn remove(&mut self, key: u32) -> Option<V> {
        let list = self.list_of(key)?;
        let Node { prev, next, value, .. } = self.nodes[key as usize];
        self.nodes[key as usize].list = NIL;
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
        Some(value)
    }

    #[inline]
    fn put(&mut self, key: u32, node: Node<V>) {
        let index = key as usize;
        if let Some(place) = self.nodes.get_mut(index) {
            *place = node;
        } else {
            let gap = Node { prev: NIL, next: NIL, list: NIL, value: node.value };
            self.nodes.resize(index + 1, gap);
            self.nodes[index] = node;
        }
        self.len += 1;
    }
}
