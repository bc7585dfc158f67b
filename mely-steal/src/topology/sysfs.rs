//! What does sysfs say of the CPUs?
//!
//! Read are, under `devices/system/`: `cpu/online`, `cpu/cpuN/cache/indexK/{level,type,shared_cpu_list}`,
//! `cpu/cpuN/topology/thread_siblings_list`, `node/online`, `node/nodeN/{cpulist,distance}`. What is missing except the
//! first is unknown, and no error: a CPU that is unplugged meanwhile takes its files with it.

use std::io;
use std::path::{Path, PathBuf};

use super::draft::{Core, Draft, Node};
use super::list::{parse_list, parse_row};
use super::{LOCAL, Topology, TopologyError};
use crate::sys;

/// Caches of one CPU that are looked for: index0 … index15.
const CACHES: usize = 16;

/// The files of one sysfs.
pub(super) struct Sysfs {
    system: PathBuf,
}

impl Sysfs {
    pub(super) fn new(root: &Path) -> Self {
        Self { system: root.join("devices/system") }
    }

    /// The CPUs that are online, as text and as ascending numbers. `None` if there is no sysfs.
    pub(super) fn online_if_any(&self) -> Result<Option<(String, Vec<usize>)>, TopologyError> {
        read_as(&self.system.join("cpu/online"), "a list such as 0-3,8", |text| {
            parse_list(text).map(|list| (text.to_owned(), list))
        })
    }

    /// The CPUs that are online, as text and as ascending numbers.
    pub(super) fn online(&self) -> Result<(String, Vec<usize>), TopologyError> {
        self.online_if_any()?.ok_or_else(|| TopologyError::Read {
            path: self.system.join("cpu/online"),
            source: io::Error::new(io::ErrorKind::NotFound, "there is no such file"),
        })
    }

    /// What is known of these CPUs, be they online or no longer.
    pub(super) fn topology(&self, cpus: &[usize]) -> Result<Topology, TopologyError> {
        let mut draft = Draft::default();
        for &cpu in cpus {
            let core =
                Core { caches: self.caches(cpu)?, physical: self.physical(cpu)?, ..Core::new(cpu) };
            draft.cores.push(core);
        }
        self.nodes(&mut draft)?;
        Ok(draft.settle())
    }

    /// Level and lowest CPU of each cache, one a level.
    fn caches(&self, cpu: usize) -> Result<Vec<(u8, u16)>, TopologyError> {
        let mut caches = Vec::new();
        for index in 0..CACHES {
            let path = self.system.join(format!("cpu/cpu{cpu}/cache/index{index}"));
            let level = read_as(&path.join("level"), "a cache level", |text| text.parse().ok())?;
            let Some(level) = level else { continue };
            if read(&path.join("type"))?.as_deref() == Some("Instruction") {
                continue;
            }
            if let Some(lowest) = lowest(&path.join("shared_cpu_list"))? {
                caches.push((level, lowest));
            }
        }
        Ok(caches)
    }

    /// The lowest thread of the CPU's physical core.
    fn physical(&self, cpu: usize) -> Result<Option<u16>, TopologyError> {
        lowest(&self.system.join(format!("cpu/cpu{cpu}/topology/thread_siblings_list")))
    }

    /// Tells each core its node, and the nodes their distances.
    fn nodes(&self, draft: &mut Draft) -> Result<(), TopologyError> {
        let online = read_list(&self.system.join("node/online"))?.unwrap_or_default();
        for (index, &number) in online.iter().enumerate() {
            let path = self.system.join(format!("node/node{number}"));
            let cpus = read_list(&path.join("cpulist"))?.unwrap_or_default();
            for core in &mut draft.cores {
                if cpus.binary_search(&core.cpu).is_ok() {
                    core.node = Some(index as u16);
                }
            }
            let row = read_as(&path.join("distance"), "a row of distances", parse_row)?;
            draft.nodes.push(Node { number, row: row.unwrap_or_default() });
        }
        if online.is_empty() {
            // A kernel without NUMA has no nodes, and one memory.
            draft.nodes.push(Node { number: 0, row: vec![Some(LOCAL)] });
            let known = |core: &&mut Core| !core.caches.is_empty() || core.physical.is_some();
            draft.cores.iter_mut().filter(known).for_each(|core| core.node = Some(0));
        }
        Ok(())
    }
}

/// The text of a file without the blanks around it.
pub(super) fn read(path: &Path) -> Result<Option<String>, TopologyError> {
    sys::read(path)
        .map(|text| text.map(|text| text.trim().to_owned()))
        .map_err(|source| TopologyError::Read { path: path.to_owned(), source })
}

fn read_as<T>(
    path: &Path,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, TopologyError> {
    let Some(text) = read(path)? else { return Ok(None) };
    match parse(&text) {
        Some(value) => Ok(Some(value)),
        None => Err(TopologyError::Malformed { path: path.to_owned(), text, expected }),
    }
}

fn read_list(path: &Path) -> Result<Option<Vec<usize>>, TopologyError> {
    read_as(path, "a list such as 0-3,8", parse_list)
}

/// The lowest CPU of a list.
fn lowest(path: &Path) -> Result<Option<u16>, TopologyError> {
    let list = read_list(path)?;
    Ok(list.and_then(|list| list.first().map(|&cpu| cpu as u16)))
}
