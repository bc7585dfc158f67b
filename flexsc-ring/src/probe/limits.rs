//! What bounds does the system set to this process?

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::machine;

/// A limit of the process (`getrlimit`); `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What is enforced.
    pub soft: Option<u64>,
    /// What the process may raise it to.
    pub hard: Option<u64>,
}

impl Limit {
    pub(super) fn of(resource: machine::Resource) -> Limit {
        let (soft, hard) = machine::limit(resource);
        Limit { soft, hard }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |value: Option<u64>| value.map_or("unlimited".to_owned(), |n| n.to_string());
        write!(f, "{}", show(self.soft))?;
        if self.hard == self.soft { Ok(()) } else { write!(f, " (at most {})", show(self.hard)) }
    }
}

/// A number that a file of the kernel holds.
pub(super) fn number_in(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A field of this thread's status, such as `Seccomp`.
pub(super) fn status(field: &str) -> Option<String> {
    let text = fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// The fewest tasks that a control group above this process allows.
pub(super) fn most_tasks_of_the_group() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let of_line = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?);
        let top = match controllers {
            "" => PathBuf::from("/sys/fs/cgroup"),
            _ if controllers.split(',').any(|name| name == "pids") => {
                PathBuf::from("/sys/fs/cgroup/pids")
            }
            _ => return None,
        };
        let group = Path::new(group.trim_start_matches('/'));
        group.ancestors().filter_map(|group| number_in(&top.join(group).join("pids.max"))).min()
    };
    groups.lines().filter_map(of_line).min()
}
