//! Locality-aware stealing (Mely §3.1): cores in the order of their distance from the thief.
//!
//! Of equally distant cores the thief's successors by number come first, so that thieves which wake together do not
//! all begin with core 0.

use color_sched::CoreId;

use crate::heuristic::Heuristic;
use crate::price;
use crate::topology::{Distance, Topology};

/// Nearest victims first, and dearer thefts from far memory. The core set of a thief is sorted once, then read.
///
/// ```
/// use color_sched::CoreId;
/// use mely_steal::{Heuristic, Locality, Topology};
/// let mut nearest = Locality::new(Topology::grouped(4, &[(2, 2)])); // pairs share an L2
/// nearest.prepare(CoreId(3), 4);
/// assert_eq!(nearest.core_set().unwrap(), [CoreId(2), CoreId(0), CoreId(1)]);
/// ```
#[derive(Clone, Debug)]
pub struct Locality {
    topology: Topology,
    sorted_for: Option<(CoreId, usize)>,
    cores: Vec<CoreId>,
}

impl Locality {
    /// By the distances of `topology`. Cores it doesn't know are the farthest.
    #[must_use]
    pub const fn new(topology: Topology) -> Self {
        Self { topology, sorted_for: None, cores: Vec::new() }
    }

    /// From now on by the distances of another topology: a CPU has gone, or come back.
    pub fn set_topology(&mut self, topology: Topology) {
        self.topology = topology;
        self.sorted_for = None;
    }

    /// The distances.
    #[must_use]
    pub const fn topology(&self) -> &Topology {
        &self.topology
    }

    /// All cores but the thief out of `cores`, nearest first: `construct_core_set` of the paper.
    fn sort(&mut self, thief: CoreId, cores: usize) {
        let cores = cores.min(1 << 16);
        let first = (thief.index() + 1).min(cores);
        let others = (first..cores).chain(0..first).map(|core| CoreId(core as u16));
        let mut set: Vec<(Distance, CoreId)> = others
            .filter(|&core| core != thief)
            .map(|core| (self.topology.distance(thief, core), core))
            .collect();
        set.sort_by_key(|&(distance, _)| distance);
        self.cores.clear();
        self.cores.extend(set.iter().map(|&(_, core)| core));
        self.sorted_for = Some((thief, cores));
    }
}

impl Heuristic for Locality {
    fn prepare(&mut self, thief: CoreId, cores: usize) {
        if self.sorted_for != Some((thief, cores)) {
            self.sort(thief, cores);
        }
    }

    fn core_set(&self) -> Option<&[CoreId]> {
        Some(&self.cores)
    }

    fn price_ns(&self, thief: CoreId, victim: CoreId, price_ns: u64) -> u64 {
        price::price_ns(price_ns, self.topology.distance(thief, victim))
    }
}
