//! Locality-aware stealing (Mely §3.1): cores in the order of their distance from the thief.
//!
//! Of equally distant cores the thief's successors by number come first, so that thieves which wake together do not
//! all begin with core 0.

use color_sched::CoreId;

use crate::topology::{Distance, Topology};

/// The core set of one thief, nearest first. Sorted once, then read.
#[derive(Clone, Debug)]
pub struct Nearest {
    topology: Topology,
    sorted_for: Option<(CoreId, usize)>,
    cores: Vec<(Distance, CoreId)>,
}

impl Nearest {
    /// Core sets by the distances of `topology`. Cores it doesn't know are the farthest.
    #[must_use]
    pub fn new(topology: Topology) -> Self {
        Self { topology, sorted_for: None, cores: Vec::new() }
    }

    /// All cores but the thief out of `cores`, nearest first: `construct_core_set` of the paper.
    ///
    /// ```
    /// use color_sched::CoreId;
    /// use mely_steal::{Topology, locality::Nearest};
    /// let mut nearest = Nearest::new(Topology::grouped(4, &[(2, 2)])); // pairs share an L2
    /// let set: Vec<u16> = nearest.core_set(CoreId(3), 4).iter().map(|(_, core)| core.0).collect();
    /// assert_eq!(set, [2, 0, 1]);
    /// ```
    pub fn core_set(&mut self, thief: CoreId, cores: usize) -> &[(Distance, CoreId)] {
        if self.sorted_for != Some((thief, cores)) {
            self.sort(thief, cores);
        }
        &self.cores
    }

    fn sort(&mut self, thief: CoreId, cores: usize) {
        let cores = cores.min(1 << 16);
        let first = (thief.index() + 1).min(cores);
        let others = (first..cores).chain(0..first).map(|core| CoreId(core as u16));
        self.cores.clear();
        self.cores.extend(
            others
                .filter(|&core| core != thief)
                .map(|core| (self.topology.distance(thief, core), core)),
        );
        self.cores.sort_by_key(|&(distance, _)| distance);
        self.sorted_for = Some((thief, cores));
    }
}
