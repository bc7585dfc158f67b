//! How far is a core, and which are near: threads of its physical core, users of its cache, of its memory?

use color_sched::CoreId;

use super::draft::Core;
use super::{Distance, Topology};

impl Topology {
    /// Number of cores, those included that are gone: a core keeps its number.
    ///
    /// ```
    /// assert_eq!(mely_steal::Topology::uniform(4).cores(), 4);
    /// ```
    #[must_use]
    pub fn cores(&self) -> usize {
        self.cores.len()
    }

    /// The CPU that `core` runs on, or ran on before it was gone.
    ///
    /// ```
    /// use color_sched::CoreId;
    /// let topology: mely_steal::Topology = "pu:2(indexes=0,8)".parse()?;
    /// assert_eq!([0, 1, 2].map(|core| topology.cpu(CoreId(core))), [Some(0), Some(8), None]);
    /// # Ok::<(), mely_steal::topology::TextError>(())
    /// ```
    #[must_use]
    pub fn cpu(&self, core: CoreId) -> Option<usize> {
        self.cores.get(core.index()).map(|core| core.cpu)
    }

    /// How far apart two cores are. A core that is gone is as far from all, itself included, as one that never was.
    ///
    /// ```
    /// use color_sched::CoreId;
    /// use mely_steal::{Distance, Topology};
    /// let topology = Topology::grouped(4, &[(3, 2)]);
    /// assert_eq!(topology.distance(CoreId(0), CoreId(1)), Distance::Cache(3));
    /// assert_eq!(topology.distance(CoreId(0), CoreId(2)), Distance::Memory(10));
    /// ```
    #[must_use]
    pub fn distance(&self, a: CoreId, b: CoreId) -> Distance {
        let (Some(a), Some(b)) = (self.usable(a), self.usable(b)) else { return Distance::Unknown };
        if a.cpu == b.cpu {
            return Distance::Itself;
        }
        if a.physical.is_some() && a.physical == b.physical {
            return Distance::Cache(1);
        }
        if let Some(&(level, _)) = a.caches.iter().find(|cache| b.caches.contains(cache)) {
            return Distance::Cache(level);
        }
        let (Some(a), Some(b)) = (a.node, b.node) else { return Distance::Unknown };
        self.distances[usize::from(a)][usize::from(b)].map_or(Distance::Unknown, Distance::Memory)
    }

    /// The other cores that are at most so far from `core`, by number.
    ///
    /// ```
    /// use color_sched::CoreId;
    /// use mely_steal::{Distance, Topology};
    /// let topology = Topology::grouped(8, &[(2, 2), (3, 4)]);
    /// let near: Vec<_> = topology.neighbors(CoreId(5), Distance::Cache(3)).collect();
    /// assert_eq!(near, [CoreId(4), CoreId(6), CoreId(7)]);
    /// ```
    pub fn neighbors(&self, core: CoreId, within: Distance) -> impl Iterator<Item = CoreId> {
        self.others(core).filter(move |&other| self.distance(core, other) <= within)
    }

    /// The other threads of `core`'s physical core (SMT), as far as they are cores of this topology.
    ///
    /// ```
    /// use color_sched::CoreId;
    /// let topology: mely_steal::Topology = "core:2 pu:2(indexes=0,2,1,3)".parse()?;
    /// assert_eq!(topology.threads(CoreId(0)).collect::<Vec<_>>(), [CoreId(1)]);
    /// # Ok::<(), mely_steal::topology::TextError>(())
    /// ```
    pub fn threads(&self, core: CoreId) -> impl Iterator<Item = CoreId> {
        self.neighbors(core, Distance::Cache(1))
    }

    /// The other cores that share `core`'s cache of this level, be it the nearest they share or not.
    ///
    /// ```
    /// use color_sched::CoreId;
    /// let topology: mely_steal::Topology = "l3:2 l2:2 pu:2".parse()?;
    /// assert_eq!(topology.sharing(CoreId(0), 2).collect::<Vec<_>>(), [CoreId(1)]);
    /// assert_eq!(topology.sharing(CoreId(0), 3).count(), 3);
    /// # Ok::<(), mely_steal::topology::TextError>(())
    /// ```
    pub fn sharing(&self, core: CoreId, level: u8) -> impl Iterator<Item = CoreId> {
        let cache = move |core| {
            self.usable(core)?.caches.iter().find(|&&(of, _)| of == level).map(|&(_, cache)| cache)
        };
        let own = cache(core);
        self.others(core).filter(move |&other| own.is_some() && cache(other) == own)
    }

    /// The number of the NUMA node whose memory is `core`'s own.
    ///
    /// ```
    /// use color_sched::CoreId;
    /// let topology: mely_steal::Topology = "node:2(indexes=0,4) pu:2".parse()?;
    /// assert_eq!(topology.node(CoreId(2)), Some(4));
    /// # Ok::<(), mely_steal::topology::TextError>(())
    /// ```
    #[must_use]
    pub fn node(&self, core: CoreId) -> Option<usize> {
        self.usable(core)?.node.map(|node| self.nodes[usize::from(node)])
    }

    /// The cores whose own memory is that of the NUMA node of this number.
    ///
    /// ```
    /// use color_sched::CoreId;
    /// let topology: mely_steal::Topology = "node:2 pu:2".parse()?;
    /// assert_eq!(topology.of_node(1).collect::<Vec<_>>(), [CoreId(2), CoreId(3)]);
    /// # Ok::<(), mely_steal::topology::TextError>(())
    /// ```
    pub fn of_node(&self, node: usize) -> impl Iterator<Item = CoreId> {
        self.numbers().filter(move |&core| self.node(core) == Some(node))
    }

    /// Whether `core` is in the topology, and its CPU not gone.
    ///
    /// ```
    /// use color_sched::CoreId;
    /// let topology: mely_steal::Topology = "pu:4(offline=3)".parse()?;
    /// assert!(topology.is_usable(CoreId(2)) && !topology.is_usable(CoreId(3)));
    /// # Ok::<(), mely_steal::topology::TextError>(())
    /// ```
    #[must_use]
    pub fn is_usable(&self, core: CoreId) -> bool {
        self.usable(core).is_some()
    }

    fn usable(&self, core: CoreId) -> Option<&Core> {
        self.cores.get(core.index()).filter(|core| !core.is_gone)
    }

    /// The numbers of all cores. No more of them can be named.
    pub(super) fn numbers(&self) -> impl Iterator<Item = CoreId> + use<> {
        (0..=u16::MAX).take(self.cores.len()).map(CoreId)
    }

    fn others(&self, core: CoreId) -> impl Iterator<Item = CoreId> + use<> {
        self.numbers().filter(move |&other| other != core)
    }
}
