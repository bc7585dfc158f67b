//! Which cores share a cache, or memory: distances between the cores of a machine, from what sysfs says of its CPUs.
//!
//! Core `i` of a scheduler is the thread pinned to the `i`th CPU of the list it was started with; a [`Topology`] is made
//! for such a list, and speaks of cores. Two CPUs share a cache if sysfs names the same first CPU for both, hence distances
//! are symmetric however odd the text is.
//!
//! Read are, under `devices/system/`: `cpu/online`, `cpu/cpuN/cache/indexK/{level,type,shared_cpu_list}`,
//! `node/online`, `node/nodeN/{cpulist,distance}`. What is missing except the first is unknown, and no error.

use std::io;
use std::path::{Path, PathBuf};

use color_sched::CoreId;

use crate::sys;

/// The kernel's distance of a node's own memory.
pub(crate) const LOCAL: u16 = 10;
/// Caches of one CPU that are looked for: index0 … index15.
const CACHES: usize = 16;
/// CPU numbers are below this; Linux itself stops at 8192.
const CPUS: usize = 1 << 16;

/// How far apart two cores are. A nearer one is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Distance {
    /// The same CPU.
    Itself,
    /// The smallest cache they share is of this level; 1 means that they are threads of one physical core.
    Cache(u8),
    /// They share no cache. The kernel's distance (SLIT) between their memories: 10 is the same memory, 20 is twice as far.
    Memory(u16),
    /// One of them is not in the topology, or nothing is known of it.
    Unknown,
}

/// Why a topology could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// A file could not be read.
    #[error("{path}: {source}; without sysfs use Topology::uniform", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file holds something else than expected.
    #[error("{path}: `{text}` is not {expected}; without a sound sysfs use Topology::uniform", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it holds.
        text: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A CPU was asked for that does not run.
    #[error("CPU {cpu} is not online; choose from {online}")]
    NotOnline {
        /// The CPU.
        cpu: usize,
        /// Those that are online, as the kernel writes them.
        online: String,
    },
}

#[derive(Clone, Debug, Default)]
struct Cpu {
    number: usize,
    /// Level and lowest CPU of each cache, nearest first.
    caches: Vec<(u8, usize)>,
    node: Option<usize>,
}

/// The cores of a machine and the distances between them.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    cores: Vec<Cpu>,
    /// Distances from each node to each.
    nodes: Vec<Vec<u16>>,
}

impl Topology {
    /// This machine, core `i` being the CPU `cpus[i]`.
    ///
    /// # Errors
    /// As [`Topology::from_sysfs_of`].
    pub fn detect(cpus: &[usize]) -> Result<Self, TopologyError> {
        Self::from_sysfs_of(sys::SYSFS, cpus)
    }

    /// The machine described under `root` (`/sys`, or a copy), core `i` being its `i`th CPU that is online.
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
    #[must_use]
    pub fn uniform(cores: usize) -> Self {
        Self::grouped(cores, &[])
    }

    /// A machine with uniform memory and caches of a level shared by so many successive cores: `&[(2, 2)]` is the paper's
    /// Xeon E5410 (pairs share an L2), `&[(3, 4)]` its AMD with four cores to an L3.
    #[must_use]
    pub fn grouped(cores: usize, caches: &[(u8, usize)]) -> Self {
        let mut caches = caches.to_vec();
        caches.sort_unstable();
        let core = |number| Cpu {
            number,
            caches: caches.iter().map(|&(level, size)| (level, number / size.max(1))).collect(),
            node: Some(0),
        };
        Self { cores: (0..cores).map(core).collect(), nodes: vec![vec![LOCAL]] }
    }

    /// Number of cores.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.cores.len()
    }

    /// The CPU that `core` runs on.
    #[must_use]
    pub fn cpu(&self, core: CoreId) -> Option<usize> {
        self.cores.get(core.index()).map(|cpu| cpu.number)
    }

    /// How far apart two cores are.
    #[must_use]
    pub fn distance(&self, a: CoreId, b: CoreId) -> Distance {
        let (Some(a), Some(b)) = (self.cores.get(a.index()), self.cores.get(b.index())) else {
            return Distance::Unknown;
        };
        if a.number == b.number {
            return Distance::Itself;
        }
        if let Some(&(level, _)) = a.caches.iter().find(|cache| b.caches.contains(cache)) {
            return Distance::Cache(level);
        }
        match (a.node, b.node) {
            (Some(a), Some(b)) => self.slit(a, b).map_or(Distance::Unknown, Distance::Memory),
            // A kernel without NUMA has no nodes, and one memory.
            (None, None)
                if self.nodes.is_empty() && !a.caches.is_empty() && !b.caches.is_empty() =>
            {
                Distance::Memory(LOCAL)
            }
            _ => Distance::Unknown,
        }
    }

    /// The distance of two nodes: the longer way, if they differ.
    fn slit(&self, a: usize, b: usize) -> Option<u16> {
        let there = self.nodes.get(a)?.get(b)?;
        let back = self.nodes.get(b)?.get(a)?;
        Some(*there.max(back))
    }
}

/// The files of one sysfs.
struct Sysfs {
    system: PathBuf,
}

impl Sysfs {
    fn new(root: &Path) -> Self {
        Self { system: root.join("devices/system") }
    }

    fn read(&self, path: &Path) -> Result<Option<String>, TopologyError> {
        sys::read(path)
            .map(|text| text.map(|text| text.trim().to_owned()))
            .map_err(|source| TopologyError::Read { path: path.to_owned(), source })
    }

    fn read_as<T>(
        &self,
        path: &Path,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, TopologyError> {
        let Some(text) = self.read(path)? else { return Ok(None) };
        match parse(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(TopologyError::Malformed { path: path.to_owned(), text, expected }),
        }
    }

    fn read_list(&self, path: &Path) -> Result<Option<Vec<usize>>, TopologyError> {
        self.read_as(path, "a list such as 0-3,8", parse_list)
    }

    /// The CPUs that are online, as text and as ascending numbers.
    fn online(&self) -> Result<(String, Vec<usize>), TopologyError> {
        let path = self.system.join("cpu/online");
        let list = self.read_as(&path, "a list such as 0-3,8", |text| {
            parse_list(text).map(|list| (text.to_owned(), list))
        })?;
        list.ok_or_else(|| TopologyError::Read { path, source: io::ErrorKind::NotFound.into() })
    }

    fn topology(&self, cpus: &[usize]) -> Result<Topology, TopologyError> {
        let mut cores = Vec::with_capacity(cpus.len());
        for &number in cpus {
            cores.push(Cpu { number, caches: self.caches(number)?, node: None });
        }
        let nodes = self.nodes(&mut cores)?;
        Ok(Topology { cores, nodes })
    }

    fn caches(&self, cpu: usize) -> Result<Vec<(u8, usize)>, TopologyError> {
        let mut caches = Vec::new();
        for index in 0..CACHES {
            let path = self.system.join(format!("cpu/cpu{cpu}/cache/index{index}"));
            let level =
                self.read_as(&path.join("level"), "a cache level", |text| text.parse().ok())?;
            let Some(level) = level else { continue };
            if self.read(&path.join("type"))?.as_deref() == Some("Instruction") {
                continue;
            }
            let shared = self.read_list(&path.join("shared_cpu_list"))?;
            if let Some(&lowest) = shared.as_deref().and_then(<[usize]>::first) {
                caches.push((level, lowest));
            }
        }
        caches.sort_unstable();
        Ok(caches)
    }

    /// Tells each of `cores` its node, and returns the distances between the nodes.
    fn nodes(&self, cores: &mut [Cpu]) -> Result<Vec<Vec<u16>>, TopologyError> {
        let online = self.read_list(&self.system.join("node/online"))?.unwrap_or_default();
        let mut nodes = Vec::with_capacity(online.len());
        for (node, number) in online.iter().enumerate() {
            let path = self.system.join(format!("node/node{number}"));
            let cpus = self.read_list(&path.join("cpulist"))?.unwrap_or_default();
            for core in cores.iter_mut().filter(|core| cpus.binary_search(&core.number).is_ok()) {
                core.node = Some(node);
            }
            let row = self.read_as(&path.join("distance"), "a row of distances", parse_row)?;
            nodes.push(row.unwrap_or_default());
        }
        Ok(nodes)
    }
}

/// Numbers of a list such as `0-3,8`, ascending. `None` if it is no list, or names a CPU beyond any kernel's.
fn parse_list(text: &str) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for range in text.split(',').filter(|_| !text.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (parse_number(first)?, parse_number(last)?);
        if first > last {
            return None;
        }
        numbers.extend(first..=last);
        if numbers.len() > CPUS {
            return None;
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    Some(numbers)
}

fn parse_number(text: &str) -> Option<usize> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&number| is_plain && number < CPUS)
}

fn parse_row(text: &str) -> Option<Vec<u16>> {
    text.split_ascii_whitespace().map(|slit| slit.parse().ok()).collect()
}
