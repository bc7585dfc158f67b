//! How is a topology written? As counts if it is the same everywhere, as sets of CPUs if not.

use std::collections::BTreeMap;
use std::fmt;

use super::list::write_list;
use super::{LOCAL, Topology};

/// The kernel's distance between the memories of two nodes of which nothing is known.
const REMOTE: u16 = 20;

/// The distances of node `index` of `count`, if nobody gives any.
pub(super) fn usual_row(index: usize, count: usize) -> Vec<Option<u16>> {
    (0..count).map(|other| Some(if other == index { LOCAL } else { REMOTE })).collect()
}

/// A level, and for each core the first core of its group.
struct Level {
    name: String,
    groups: Vec<Option<u16>>,
}

impl Level {
    /// How many successive cores each group has, if it is always so many and every core has a group.
    fn size(&self) -> Option<usize> {
        let count = self.groups.len();
        let size = self.groups.iter().position(|group| *group != Some(0)).unwrap_or(count);
        let is_in_place =
            |(at, group): (usize, &Option<u16>)| *group == Some((at / size * size) as u16);
        let is_same = size > 0
            && count.is_multiple_of(size)
            && self.groups.iter().enumerate().all(is_in_place);
        is_same.then_some(size)
    }
}

/// Writes what [`str::parse`] reads as the same topology, on one line.
///
/// ```
/// use mely_steal::Topology;
/// assert_eq!(Topology::grouped(8, &[(3, 4)]).to_string(), "l3:2 pu:4");
/// assert_eq!(Topology::grouped(3, &[(3, 2)]).to_string(), "node=0-2 l3=0-1/2 pu=0-2");
/// ```
impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let levels = self.levels();
        match self.sizes(&levels) {
            Some(sizes) => self.write_counts(f, sizes),
            None => self.write_sets(f, &levels),
        }
    }
}

impl Topology {
    /// The levels, those first that are usually the larger.
    fn levels(&self) -> Vec<Level> {
        let mut levels = Vec::new();
        let mut add = |name: &str, groups: Vec<Option<u16>>| {
            if groups.iter().any(Option::is_some) {
                levels.push(Level { name: name.to_owned(), groups });
            }
        };
        let mut first = BTreeMap::new();
        let place = |(index, node): (usize, Option<u16>)| {
            node.map(|node| *first.entry(node).or_insert(index as u16))
        };
        add("node", self.cores.iter().map(|core| core.node).enumerate().map(place).collect());

        let mut caches: BTreeMap<u8, Vec<Option<u16>>> = BTreeMap::new();
        for (index, core) in self.cores.iter().enumerate() {
            for &(level, cache) in &core.caches {
                caches.entry(level).or_insert_with(|| vec![None; self.cores.len()])[index] =
                    Some(cache);
            }
        }
        for (level, groups) in caches.into_iter().rev() {
            add(&format!("l{level}"), groups);
        }
        add("core", self.cores.iter().map(|core| core.physical).collect());
        levels
    }

    /// The levels with the sizes of their groups, largest first, if counts can say all of it.
    fn sizes<'l>(&self, levels: &'l [Level]) -> Option<Vec<(&'l Level, usize)>> {
        let mut cpus: Vec<usize> = self.cores.iter().map(|core| core.cpu).collect();
        cpus.sort_unstable();
        if cpus.is_empty() || cpus.windows(2).any(|pair| pair[0] == pair[1]) || !self.has_nodes() {
            return None;
        }
        let sizes: Option<Vec<_>> =
            levels.iter().map(|level| level.size().map(|size| (level, size))).collect();
        let mut sizes = sizes?;
        sizes.sort_by_key(|&(_, size)| std::cmp::Reverse(size));
        let are_nested = sizes.windows(2).all(|pair| pair[0].1.is_multiple_of(pair[1].1));
        are_nested.then_some(sizes)
    }

    fn has_nodes(&self) -> bool {
        self.cores.iter().all(|core| core.node.is_some())
    }

    fn write_counts(&self, f: &mut fmt::Formatter<'_>, sizes: Vec<(&Level, usize)>) -> fmt::Result {
        let mut parent = self.cores.len();
        let has_one_memory = self.nodes == [0] && self.distances == [usual_row(0, 1)];
        for (level, size) in sizes {
            let is_node = level.name == "node";
            if is_node && has_one_memory {
                continue;
            }
            write!(f, "{}:{}", level.name, parent / size)?;
            if is_node {
                f.write_str(&self.node_attributes())?;
            }
            f.write_str(" ")?;
            parent = size;
        }
        let cpus: Vec<usize> = self.cores.iter().map(|core| core.cpu).collect();
        let is_plain = cpus.iter().copied().eq(0..cpus.len());
        // hwloc knows no ranges here.
        let numbers: Vec<String> = cpus.iter().map(usize::to_string).collect();
        let indexes = (!is_plain).then(|| format!("indexes={}", numbers.join(",")));
        write!(f, "pu:{parent}{}", attributes([indexes, self.offline()]))
    }

    fn write_sets(&self, f: &mut fmt::Formatter<'_>, levels: &[Level]) -> fmt::Result {
        for level in levels {
            let mut sets: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
            for (core, group) in self.cores.iter().zip(&level.groups) {
                if let Some(group) = group {
                    sets.entry(*group).or_default().push(core.cpu);
                }
            }
            let sets: Vec<String> = sets
                .into_values()
                .map(|mut cpus| {
                    cpus.sort_unstable();
                    cpus.dedup();
                    write_list(&cpus)
                })
                .collect();
            write!(f, "{}={}", level.name, sets.join("/"))?;
            if level.name == "node" {
                f.write_str(&self.node_attributes())?;
            }
            f.write_str(" ")?;
        }
        let cpus: Vec<usize> = self.cores.iter().map(|core| core.cpu).collect();
        write!(f, "pu={}{}", write_list(&cpus), attributes([None, self.offline()]))
    }

    /// Numbers and distances of the nodes, in the order in which cores name them.
    fn node_attributes(&self) -> String {
        let mut is_named = vec![false; self.nodes.len()];
        let mut order: Vec<u16> = Vec::with_capacity(self.nodes.len());
        for node in self.cores.iter().filter_map(|core| core.node) {
            if !std::mem::replace(&mut is_named[usize::from(node)], true) {
                order.push(node);
            }
        }
        let numbers: Vec<usize> = order.iter().map(|&node| self.nodes[usize::from(node)]).collect();
        let row =
            |&a: &u16| order.iter().map(move |&b| self.distances[usize::from(a)][usize::from(b)]);
        let is_usual = order
            .iter()
            .enumerate()
            .all(|(index, node)| row(node).eq(usual_row(index, order.len())));
        let indexes = numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let distances: Vec<String> = order
            .iter()
            .flat_map(row)
            .map(|distance| distance.map_or_else(|| "-".to_owned(), |it| it.to_string()))
            .collect();
        let is_plain = numbers.iter().copied().eq(0..numbers.len());
        attributes([
            (!is_plain).then(|| format!("indexes={indexes}")),
            (!is_usual).then(|| format!("distances={}", distances.join(","))),
        ])
    }

    fn offline(&self) -> Option<String> {
        let gone = self.cores.iter().filter(|core| core.is_gone);
        let mut cpus: Vec<usize> = gone.map(|core| core.cpu).collect();
        cpus.sort_unstable();
        cpus.dedup();
        (!cpus.is_empty()).then(|| format!("offline={}", write_list(&cpus)))
    }
}

fn attributes(all: [Option<String>; 2]) -> String {
    let given: Vec<String> = all.into_iter().flatten().collect();
    if given.is_empty() { String::new() } else { format!("({})", given.join(" ")) }
}
