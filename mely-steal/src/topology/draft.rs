//! Two descriptions of the same machine: when are they the same topology?
//!
//! A reader calls a cache by any number that its cores agree on. [`Draft::settle`] calls it by the first core that has
//! it, keeps the nodes that have cores, in the order of their numbers, and takes the longer of two ways.

use std::collections::{BTreeMap, HashMap};

use super::Topology;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Core {
    pub(super) cpu: usize,
    /// Threads of one physical core have the same.
    pub(super) physical: Option<u16>,
    /// Level and number of each cache, nearest first; one a level.
    pub(super) caches: Vec<(u8, u16)>,
    /// Index of the node.
    pub(super) node: Option<u16>,
    /// The CPU is offline, or may not be used.
    pub(super) is_gone: bool,
}

impl Core {
    pub(super) const fn new(cpu: usize) -> Self {
        Self { cpu, physical: None, caches: Vec::new(), node: None, is_gone: false }
    }
}

/// A node as it was read.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) number: usize,
    /// Distances to the nodes of the draft, as far as they are known.
    pub(super) row: Vec<Option<u16>>,
}

/// A topology as it was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) cores: Vec<Core>,
    pub(super) nodes: Vec<Node>,
}

impl Draft {
    pub(super) fn settle(mut self) -> Topology {
        let mut caches = HashMap::new();
        let mut physicals = HashMap::new();
        for (index, core) in self.cores.iter_mut().enumerate() {
            core.caches.sort_by_key(|&(level, _)| level);
            core.caches.dedup_by_key(|&mut (level, _)| level);
            for cache in &mut core.caches {
                cache.1 = *caches.entry(*cache).or_insert(index as u16);
            }
            core.physical = core.physical.map(|it| *physicals.entry(it).or_insert(index as u16));
        }

        let used = self.cores.iter().filter_map(|core| core.node);
        let order: BTreeMap<usize, u16> =
            used.map(|node| (self.nodes[usize::from(node)].number, node)).collect();
        let place: HashMap<u16, u16> =
            order.values().enumerate().map(|(place, &node)| (node, place as u16)).collect();
        for core in &mut self.cores {
            core.node = core.node.and_then(|node| place.get(&node).copied());
        }

        let way = |a: u16, b: u16| *self.nodes[usize::from(a)].row.get(usize::from(b))?;
        let distance = |a, b| Some(way(a, b)?.max(way(b, a)?));
        let rows = |&a| order.values().map(move |&b| distance(a, b)).collect();
        Topology {
            distances: order.values().map(rows).collect(),
            nodes: order.keys().copied().collect(),
            cores: self.cores,
        }
    }
}
