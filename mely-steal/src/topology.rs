//! Which cores share a cache, or memory, and which can be used: distances between the cores of a machine.
//!
//! Core `i` of a scheduler is the thread pinned to the `i`th CPU of the list it was started with; a [`Topology`] is made
//! for such a list, and speaks of cores. It comes from
//!
//! | source | by |
//! |---|---|
//! | the kernel | [`Topology::detect`], [`Topology::detect_allowed`], [`Topology::from_sysfs`] |
//! | a text, after hwloc | [`Topology::from_file`], [`str::parse`] |
//! | nowhere | [`Topology::uniform`], [`Topology::grouped`] |
//!
//! Two CPUs share a cache if both name the same first CPU for it, hence distances are symmetric however odd the source.
//! CPUs that come and go later: [`Topology::refresh`].

mod ask;
mod change;
mod draft;
mod error;
mod list;
mod show;
mod sysfs;
mod text;

use std::path::Path;

pub use change::Changes;
pub use error::{Problem, TextError, TopologyError};

use crate::sys;
use draft::{Core, Draft, Node};
use list::CPUS;
use sysfs::Sysfs;

/// The kernel's distance of a node's own memory.
pub(crate) const LOCAL: u16 = 10;

/// How far apart two cores are. A nearer one is less.
///
/// ```
/// use mely_steal::Distance::{Cache, Itself, Memory, Unknown};
/// assert!(Itself < Cache(1) && Cache(1) < Cache(3) && Cache(3) < Memory(10));
/// assert!(Memory(10) < Memory(21) && Memory(21) < Unknown);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Distance {
    /// The same CPU.
    Itself,
    /// The smallest cache they share is of this level; 1 means that they are threads of one physical core.
    Cache(u8),
    /// They share no cache. The kernel's distance (SLIT) between their memories: 10 is the same memory, 20 is twice as far.
    Memory(u16),
    /// One of them is not in the topology, or cannot be used, or nothing is known of it.
    Unknown,
}

/// The cores of a machine and the distances between them.
///
/// ```
/// use color_sched::CoreId;
/// use mely_steal::{Distance, Topology};
/// let topology: Topology = "node:2 l3:1 core:2 pu:2".parse()?;
/// let from_0 = [1, 2, 4].map(|core| topology.distance(CoreId(0), CoreId(core)));
/// assert_eq!(from_0, [Distance::Cache(1), Distance::Cache(3), Distance::Memory(20)]);
/// # Ok::<(), mely_steal::topology::TextError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    cores: Vec<Core>,
    /// Numbers of the nodes that have cores, ascending.
    nodes: Vec<usize>,
    /// Distances from each of them to each.
    distances: Vec<Vec<Option<u16>>>,
}

impl Topology {
    /// This machine, core `i` being the CPU `cpus[i]`.
    ///
    /// ```
    /// use mely_steal::Topology;
    /// let topology = Topology::detect(&[0, 1]).unwrap_or_else(|_| Topology::uniform(2));
    /// assert_eq!(topology.cores(), 2);
    /// ```
    ///
    /// # Errors
    /// As [`Topology::from_sysfs_of`].
    pub fn detect(cpus: &[usize]) -> Result<Self, TopologyError> {
        Self::from_sysfs_of(sys::SYSFS, cpus)
    }

    /// The machine described under `root` (`/sys`, or a copy), core `i` being its `i`th CPU that is online.
    ///
    /// ```no_run
    /// let theirs = mely_steal::Topology::from_sysfs("copies/epyc/sys")?;
    /// println!("{theirs}");
    /// # Ok::<(), mely_steal::TopologyError>(())
    /// ```
    ///
    /// # Errors
    /// The list of CPUs cannot be read, or a file does not hold what it should.
    pub fn from_sysfs(root: impl AsRef<Path>) -> Result<Self, TopologyError> {
        let sysfs = Sysfs::new(root.as_ref());
        let (_, online) = sysfs.online()?;
        sysfs.topology(&online)
    }

    /// The machine described under `root`, core `i` being the CPU `cpus[i]`.
    ///
    /// ```
    /// use mely_steal::{Topology, TopologyError};
    /// let error = Topology::from_sysfs_of("/sys", &[70_000]).unwrap_err();
    /// assert!(matches!(error, TopologyError::NotOnline { cpu: 70_000, .. } | TopologyError::Read { .. }));
    /// ```
    ///
    /// # Errors
    /// A CPU is not online, the list of CPUs cannot be read, or a file does not hold what it should.
    pub fn from_sysfs_of(root: impl AsRef<Path>, cpus: &[usize]) -> Result<Self, TopologyError> {
        let sysfs = Sysfs::new(root.as_ref());
        let (text, online) = sysfs.online()?;
        if let Some(&cpu) = cpus.iter().find(|cpu| online.binary_search(cpu).is_err()) {
            return Err(TopologyError::NotOnline { cpu, online: text });
        }
        sysfs.topology(cpus)
    }

    /// A machine where each core is as far from each other as memory: what to use if nothing is known.
    ///
    /// ```
    /// assert_eq!(mely_steal::Topology::uniform(8).to_string(), "pu:8");
    /// ```
    #[must_use]
    pub fn uniform(cores: usize) -> Self {
        Self::grouped(cores, &[])
    }

    /// A machine with uniform memory and caches of a level shared by so many successive cores: `&[(2, 2)]` is the
    /// paper's Xeon E5410 (pairs share an L2), `&[(3, 4)]` its AMD with four cores to an L3. Of two caches of one level
    /// the larger counts. Cores beyond 65536, which no [`CoreId`](color_sched::CoreId) names, are left out.
    ///
    /// ```
    /// use mely_steal::Topology;
    /// assert_eq!(Topology::grouped(8, &[(2, 2)]).to_string(), "l2:4 pu:2");
    /// ```
    #[must_use]
    pub fn grouped(cores: usize, caches: &[(u8, usize)]) -> Self {
        let mut caches = caches.to_vec();
        caches.sort_unstable_by_key(|&(level, size)| (level, std::cmp::Reverse(size)));
        caches.dedup_by_key(|&mut (level, _)| level);
        let core = |cpu| Core {
            caches: caches
                .iter()
                .map(|&(level, size)| (level, (cpu / size.max(1)) as u16))
                .collect(),
            node: Some(0),
            ..Core::new(cpu)
        };
        let nodes = vec![Node { number: 0, row: vec![Some(LOCAL)] }];
        Draft { cores: (0..cores.min(CPUS)).map(core).collect(), nodes }.settle()
    }
}
