//! How far apart are two cores?

use crate::event::{CoreId, Nanos};

/// Cores in groups, groups in larger groups: the first level that two cores share tells what a line costs between them.
///
/// That is what the simulated machine charges. A stealer does not see it: one that goes by distance, such as `mely-steal`'s
/// `Mely`, is given its own topology. `flat(256).level(4, 75)` and `mely_steal::Topology::grouped(cores, &[(3, 4)])` tell of
/// the same machine.
///
/// ```
/// use color_sched::CoreId;
/// use color_sched::sim::Topology;
/// let two_sockets = Topology::flat(256).level(32, 75).level(2, 20);
/// assert_eq!(two_sockets.line_ns(CoreId(0), CoreId(1)), 20);
/// assert_eq!(two_sockets.line_ns(CoreId(1), CoreId(2)), 75);
/// assert_eq!(two_sockets.line_ns(CoreId(31), CoreId(32)), 256);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    far_ns: Nanos,
    /// Cores of a group and what a line costs inside of it, smallest group first.
    levels: Vec<(usize, Nanos)>,
}

impl Topology {
    /// Every two cores are equally far: a line takes `line_ns` from one to the other. Measured between two virtual cores:
    /// 75, and 256 minutes later.
    #[must_use]
    pub const fn flat(line_ns: Nanos) -> Self {
        Self { far_ns: line_ns, levels: Vec::new() }
    }

    /// Groups of `cores` (at least 1) neighbours that share a cache, between which a line takes `line_ns`. Levels may be
    /// added in any order; among groups of one size the last one counts.
    #[must_use]
    pub fn level(mut self, cores: usize, line_ns: Nanos) -> Self {
        let cores = cores.max(1);
        self.levels.retain(|&(size, _)| size != cores);
        let place = self.levels.partition_point(|&(size, _)| size < cores);
        self.levels.insert(place, (cores, line_ns));
        self
    }

    /// What it costs to bring a cache line from one core to another; nothing if they are one.
    #[must_use]
    pub fn line_ns(&self, from: CoreId, to: CoreId) -> Nanos {
        if from == to {
            return 0;
        }
        let shares = |&&(size, _): &&(usize, Nanos)| from.index() / size == to.index() / size;
        self.levels.iter().find(shares).map_or(self.far_ns, |&(_, line_ns)| line_ns)
    }
}

impl Default for Topology {
    /// Any two cores 75 ns apart.
    fn default() -> Self {
        Self::flat(75)
    }
}
