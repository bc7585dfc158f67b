//! Which CPUs can be used now, and which cores are gone, or back, since they were last looked for?
//!
//! A CPU can be used if it is online and a thread of this process may run on it. Affinity follows the cpuset: when that
//! shrinks, the kernel takes the CPUs from every thread. Asked is the first thread; only if it may not run on the CPU
//! of some core (it is pinned, or the cpuset shrank) are the others, of which some may.
//!
//! `sys/devices/system/cpu/online`, `proc/self/status`, `proc/self/task/*/status`

use std::path::Path;

use color_sched::CoreId;

use super::list::parse_list;
use super::sysfs::{Sysfs, read};
use super::{Topology, TopologyError};
use crate::sys;

/// What is different since the last look. Cores are in the order of their numbers.
///
/// ```
/// use color_sched::CoreId;
/// use mely_steal::{Topology, topology::Changes};
/// let mut topology = Topology::uniform(4);
/// let changes = topology.update(&[0, 1, 3]);
/// assert_eq!(changes, Changes { gone: vec![CoreId(2)], back: vec![] });
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Cores whose CPU could be used, and no longer can.
    pub gone: Vec<CoreId>,
    /// Cores whose CPU could not be used, and now can.
    pub back: Vec<CoreId>,
}

impl Changes {
    /// Whether all is as it was.
    ///
    /// ```
    /// let mut topology = mely_steal::Topology::uniform(2);
    /// assert!(topology.update(&[0, 1]).is_empty());
    /// ```
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.back.is_empty()
    }
}

impl Topology {
    /// This machine, core `i` being the `i`th CPU that this process may use.
    ///
    /// ```
    /// use mely_steal::Topology;
    /// let topology = Topology::detect_allowed().unwrap_or_else(|_| Topology::uniform(1));
    /// println!("{} cores: {topology}", topology.cores());
    /// ```
    ///
    /// # Errors
    /// The list of CPUs cannot be read, or a file does not hold what it should.
    pub fn detect_allowed() -> Result<Self, TopologyError> {
        Self::detect_allowed_under(sys::ROOT)
    }

    /// As [`Topology::detect_allowed`], of the `sys` and `proc` under `root`.
    ///
    /// ```no_run
    /// let theirs = mely_steal::Topology::detect_allowed_under("copies/epyc")?;
    /// # Ok::<(), mely_steal::TopologyError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Topology::detect_allowed`].
    pub fn detect_allowed_under(root: impl AsRef<Path>) -> Result<Self, TopologyError> {
        let cpus = usable(root.as_ref(), |_| false)?;
        Sysfs::new(&root.as_ref().join("sys")).topology(&cpus)
    }

    /// Looks which CPUs this process can use now. A core whose CPU cannot be used is at [`Distance::Unknown`] from all
    /// until it can again; then it is as near as it was. No core changes its number. CPUs that had no core get none.
    ///
    /// Two small files are read: some 30 µs. While the first thread may not run on every core's CPU (it is pinned, or
    /// the cpuset shrank) as much again for each other thread of the process. Once a second is often enough.
    ///
    /// ```
    /// use mely_steal::Topology;
    /// let mut topology = Topology::detect_allowed().unwrap_or_else(|_| Topology::uniform(1));
    /// if let Ok(changes) = topology.refresh() && !changes.is_empty() {
    ///     println!("{} cores gone, {} back", changes.gone.len(), changes.back.len());
    /// }
    /// ```
    ///
    /// # Errors
    /// Neither sysfs nor procfs can be read, or a file does not hold what it should. Then the topology is as it was.
    ///
    /// [`Distance::Unknown`]: super::Distance::Unknown
    pub fn refresh(&mut self) -> Result<Changes, TopologyError> {
        self.refresh_under(sys::ROOT)
    }

    /// As [`Topology::refresh`], from the `sys` and `proc` under `root`.
    ///
    /// ```no_run
    /// let mut topology = mely_steal::Topology::uniform(4);
    /// let changes = topology.refresh_under("copies/epyc")?;
    /// # Ok::<(), mely_steal::TopologyError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Topology::refresh`].
    pub fn refresh_under(&mut self, root: impl AsRef<Path>) -> Result<Changes, TopologyError> {
        let has_all =
            |cpus: &[usize]| self.cores.iter().all(|core| cpus.binary_search(&core.cpu).is_ok());
        let cpus = usable(root.as_ref(), has_all)?;
        Ok(self.update(&cpus))
    }

    /// As [`Topology::refresh`], where `usable` are the CPUs that can be used now, in any order.
    ///
    /// ```
    /// use color_sched::CoreId;
    /// use mely_steal::{Distance, Topology};
    /// let mut topology = Topology::grouped(4, &[(2, 2)]);
    /// topology.update(&[0, 2, 3]); // CPU 1 goes offline
    /// assert_eq!(topology.distance(CoreId(0), CoreId(1)), Distance::Unknown);
    /// let changes = topology.update(&[0, 1, 2, 3]);
    /// assert_eq!(changes.back, [CoreId(1)]);
    /// assert_eq!(topology.distance(CoreId(0), CoreId(1)), Distance::Cache(2));
    /// ```
    pub fn update(&mut self, usable: &[usize]) -> Changes {
        let mut usable = usable.to_vec();
        usable.sort_unstable();
        let mut changes = Changes::default();
        for (number, core) in self.numbers().zip(&mut self.cores) {
            let is_gone = usable.binary_search(&core.cpu).is_err();
            match (core.is_gone, is_gone) {
                (false, true) => changes.gone.push(number),
                (true, false) => changes.back.push(number),
                _ => {}
            }
            core.is_gone = is_gone;
        }
        changes
    }
}

/// The CPUs that are online and that threads of this process may run on: the first, and if those are not enough, all.
/// Without procfs that is any, without sysfs all are taken to be online.
fn usable(root: &Path, are_enough: impl Fn(&[usize]) -> bool) -> Result<Vec<usize>, TopologyError> {
    let sysfs = Sysfs::new(&root.join("sys"));
    let process = root.join("proc/self");
    let Some(mut allowed) = allowed(&process.join("status"))? else {
        return Ok(sysfs.online()?.1);
    };
    if !are_enough(&allowed) {
        let path = process.join("task");
        let tasks = sys::entries(&path).map_err(|source| TopologyError::Read { path, source })?;
        for task in tasks {
            allowed.extend(self::allowed(&task.join("status"))?.unwrap_or_default());
        }
        allowed.sort_unstable();
        allowed.dedup();
    }
    if let Some((_, online)) = sysfs.online_if_any()? {
        allowed.retain(|cpu| online.binary_search(cpu).is_ok());
    }
    Ok(allowed)
}

/// The CPUs of the line `Cpus_allowed_list:`, ascending. `None` if there is no such file, or it is empty: its thread
/// ended.
fn allowed(path: &Path) -> Result<Option<Vec<usize>>, TopologyError> {
    let Some(text) = read(path)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let line = text.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    match line.and_then(|list| parse_list(list.trim())) {
        Some(cpus) => Ok(Some(cpus)),
        None => Err(TopologyError::Malformed {
            path: path.to_owned(),
            text: line.unwrap_or_default().trim().to_owned(),
            expected: "a list of CPUs such as 0-3,8 after Cpus_allowed_list:",
        }),
    }
}
