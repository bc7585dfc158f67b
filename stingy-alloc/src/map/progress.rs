//! Can tasks end up waiting for each other's objects for ever?
//!
//! The graph: an edge r -> s if some stage holds an object of region r when it starts (its `live`
//! list) and allocates from region s; r -> r included, also where it holds and allocates the same site.
//!
//! **Theorem.** If the graph has no cycle, then whenever tasks have events pending at least one of them
//! can be granted its permit: a scheduler that keeps asking for every stage with tasks runs all of
//! them to their ends.
//!
//! Premises. (1) A stage allocates under a permit only, at most what `alloc` lists, and what is granted
//! for one task is all of it or nothing. (2) A task that waits for a permit holds objects of the `live`
//! list of its stage only, and no other permit. (3) Whoever holds objects gets its next event: a client
//! that never reads is no task with a pending event. (4) A task runs a finite number of stages, and
//! holds nothing after the last.
//!
//! *Proof.* Suppose that every task with a pending event is refused, even alone. One task fits into an
//! empty slab (`check`), so each of them lacks a slot, or a site's count, in some region of which tasks
//! hold objects. Of all the regions that are lacking take the last one, s, in a topological order, and
//! a task u that holds an object of s. By (3) u has a pending event, so it is refused as well, for want
//! of some region t. By (2) its stage lists the object of s as live, so s -> t is an edge, and t comes
//! after s. But s was the last. So some task is not refused; it runs, by (4) that happens a finite
//! number of times, and whatever is held is given back. ∎
//!
//! A batch is a task here, as its permit is at least that of one task, and it waits for nothing while it
//! runs. Nor does it matter on which core an object lies: slabs of one map have the same order, and the
//! proof looks at the last lacking region of any of them.
//!
//! The converse does not hold: a cycle may need more tasks at once than a program ever has.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

use super::{MapError, MapProblem, RegionId, Section, SiteId};

/// Edges that an error shows; a longer cycle is cut there.
const SHOWN: usize = 8;

/// A square table of bits.
struct Bits {
    words: usize,
    bits: Vec<u64>,
}

impl Bits {
    fn new(n: usize) -> Self {
        let words = n.div_ceil(64);
        Self { words, bits: vec![0; n * words] }
    }

    fn set(&mut self, row: usize, column: usize) {
        self.bits[row * self.words + column / 64] |= 1 << (column % 64);
    }

    fn has(&self, row: usize, column: usize) -> bool {
        self.bits[row * self.words + column / 64] >> (column % 64) & 1 == 1
    }

    fn add_row(&mut self, to: usize, from: usize) {
        for word in 0..self.words {
            self.bits[to * self.words + word] |= self.bits[from * self.words + word];
        }
    }
}

/// The graph of a section; a region is its place in the section.
struct Graph {
    regions: usize,
    edges: Bits,
    /// Whether a path of one edge or more leads from the row to the column.
    reach: Bits,
}

impl Graph {
    fn of(section: &Section) -> Self {
        let regions = section.regions.len();
        let place: HashMap<RegionId, usize> =
            section.regions.iter().enumerate().map(|(i, region)| (region.id, i)).collect();
        let region: HashMap<SiteId, usize> = section
            .sites
            .iter()
            .filter_map(|site| Some((site.id, *place.get(&site.region)?)))
            .collect();
        let (mut edges, mut reach) = (Bits::new(regions), Bits::new(regions));
        for stage in &section.stages {
            for from in stage.live.iter().filter_map(|site| region.get(site)) {
                for to in stage.alloc.iter().filter_map(|(site, _)| region.get(site)) {
                    edges.set(*from, *to);
                    reach.set(*from, *to);
                }
            }
        }
        // Warshall: paths that pass through the first, the first two, ... regions only.
        for through in 0..regions {
            for from in 0..regions {
                if reach.has(from, through) {
                    reach.add_row(from, through);
                }
            }
        }
        Self { regions, edges, reach }
    }

    /// The first region that lies on the same cycles, or the region itself.
    fn component(&self, region: usize) -> usize {
        let mutual = |other| self.reach.has(region, other) && self.reach.has(other, region);
        (0..region).find(|other| mutual(*other)).unwrap_or(region)
    }

    /// A shortest cycle through `start` of at most `longest` edges.
    fn cycle_through(&self, start: usize, longest: usize) -> Option<Vec<usize>> {
        if !self.reach.has(start, start) {
            return None;
        }
        let mut before = vec![None; self.regions];
        let mut queue = VecDeque::from([(start, 1)]);
        while let Some((at, edges)) = queue.pop_front() {
            if edges > longest {
                return None;
            }
            if self.edges.has(at, start) {
                let back = |region: &usize| before[*region];
                let mut path: Vec<usize> = std::iter::successors(Some(at), back).collect();
                path.reverse();
                return Some(path);
            }
            for (next, before) in before.iter_mut().enumerate() {
                if self.edges.has(at, next) && next != start && before.is_none() {
                    *before = Some(at);
                    queue.push_back((next, edges + 1));
                }
            }
        }
        None
    }
}

/// The regions of one shortest cycle, by their places in the section; of several the one that starts
/// first in the map.
fn shortest(section: &Section) -> Option<Vec<usize>> {
    let graph = Graph::of(section);
    let mut best: Option<Vec<usize>> = None;
    for start in 0..graph.regions {
        let longest = best.as_ref().map_or(usize::MAX, |best| best.len() - 1);
        best = graph.cycle_through(start, longest).or(best);
    }
    best
}

/// The regions of a shortest cycle, in its direction.
pub(crate) fn cycle(section: &Section) -> Option<Vec<RegionId>> {
    let places = shortest(section)?;
    Some(places.into_iter().map(|place| section.regions[place].id).collect())
}

/// For each region, in the order of the section, its rank in a topological order, from 0. Regions on a
/// common cycle share a rank; no others do.
pub(crate) fn order(section: &Section) -> Vec<u16> {
    let graph = Graph::of(section);
    let component: Vec<usize> = (0..graph.regions).map(|r| graph.component(r)).collect();
    // A region and all beyond it: fewer after each edge between components.
    let onward = |region: usize| {
        let beyond = |other: &usize| *other == region || graph.reach.has(region, *other);
        (0..graph.regions).filter(beyond).count()
    };
    let mut heads: Vec<(Reverse<usize>, usize)> = (0..graph.regions)
        .filter(|region| component[*region] == *region)
        .map(|head| (Reverse(onward(head)), head))
        .collect();
    heads.sort();
    let rank: HashMap<usize, u16> =
        heads.iter().zip(0..).map(|(&(_, head), rank)| (head, rank)).collect();
    component.iter().map(|head| rank.get(head).copied().unwrap_or(0)).collect()
}

/// Refuses a section with a cycle.
pub(crate) fn refuse_cycle(section: &Section) -> Result<(), MapError> {
    let Some(cycle) = cycle(section) else { return Ok(()) };
    let mut regions = cycle.first().map_or(String::new(), |first| format!("region {}", first.0));
    for (i, from) in cycle.iter().enumerate() {
        if i == SHOWN {
            regions += &format!(" -> ... ({} more)", cycle.len() - SHOWN);
            break;
        }
        let to = cycle[(i + 1) % cycle.len()];
        regions += &format!(" -> {}", to.0);
        if let Some(why) = witness(section, *from, to) {
            regions += &format!(" ({why})");
        }
    }
    Err(MapError::in_code(MapProblem::Cycle { regions }))
}

/// The first stage that makes the edge, and its sites.
fn witness(section: &Section, from: RegionId, to: RegionId) -> Option<String> {
    let of = |region: RegionId, id: SiteId| section.site(id).filter(|site| site.region == region);
    section.stages.iter().find_map(|stage| {
        let held = stage.live.iter().find_map(|id| of(from, *id))?;
        let taken = stage.alloc.iter().find_map(|(id, _)| of(to, *id))?;
        let (stage, held, taken) = (&stage.name, &held.name, &taken.name);
        Some(format!("stage `{stage}` holds `{held}` and allocates `{taken}`"))
    })
}
