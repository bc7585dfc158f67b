//! What a process and everything it started have used: CPU time to the nanosecond, and resident
//! memory.
//!
//! `sysinfo` knows the tree, the memory and each process's total of CPU time. That total counts in
//! steps of 10 ms, 2 % of the shortest window with two processes, so the time of every thread (the
//! workers of io_uring are threads of their process) is read from `/proc/PID/task/TID/schedstat`,
//! which counts nanoseconds. Threads that ended in between are no longer there; then the total,
//! which keeps them, is the larger one and is taken.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, ensure};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// How far a process's total may be ahead without a thread having ended: user and system time are
/// each cut to 10 ms.
const TOTAL_STEP: Duration = Duration::from_millis(20);

/// The state of a process tree at one moment.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Nanoseconds on a CPU, by thread.
    threads: HashMap<u32, u64>,
    /// Nanoseconds that a thread could have run and another one did, by thread.
    waits: HashMap<u32, u64>,
    /// Milliseconds on a CPU, in steps of 10, by process.
    processes: HashMap<u32, u64>,
    /// Bytes of resident memory. What processes share is counted in each.
    pub resident_bytes: u64,
}

impl Sample {
    /// CPU time that the tree has spent since `earlier`.
    pub fn cpu_since(&self, earlier: &Sample) -> Duration {
        let threads = Duration::from_nanos(growth(&self.threads, &earlier.threads));
        let processes = Duration::from_millis(growth(&self.processes, &earlier.processes));
        let step = TOTAL_STEP * u32::try_from(self.processes.len()).unwrap_or(u32::MAX);
        if processes > threads + step { processes } else { threads }
    }

    /// Time since `earlier` in which threads of the tree had to wait for a CPU that something else
    /// ran on.
    pub fn waited_since(&self, earlier: &Sample) -> Duration {
        Duration::from_nanos(growth(&self.waits, &earlier.waits))
    }
}

/// The sum of what each counter has gained; one that is new, or whose number was used again, has
/// begun at zero.
fn growth(now: &HashMap<u32, u64>, earlier: &HashMap<u32, u64>) -> u64 {
    let gained = |(id, &value): (&u32, &u64)| {
        let before = earlier.get(id).copied().unwrap_or(0);
        value.checked_sub(before).unwrap_or(value)
    };
    now.iter().map(gained).sum()
}

/// Looks at process trees.
pub struct Accountant(System);

impl Accountant {
    /// Fails where there is no `/proc`.
    pub fn new() -> anyhow::Result<Accountant> {
        Ok(Accountant(System::new().context("cannot read /proc; mount it")?))
    }

    /// A sample of each of the trees that begin at `roots`. Fails if one of those has ended.
    pub fn sample(&mut self, roots: &[u32]) -> anyhow::Result<Vec<Sample>> {
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        self.0.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
        roots.iter().map(|&root| self.sample_tree(root)).collect()
    }

    /// `root`, what it has started, and what that has started.
    fn descendants(&self, root: u32) -> Vec<u32> {
        let mut tree = vec![root];
        let mut next = 0;
        while let Some(&parent) = tree.get(next) {
            let children = self
                .0
                .processes()
                .values()
                .filter(|process| process.parent() == Some(Pid::from_u32(parent)));
            tree.extend(children.map(|process| process.pid().as_u32()).filter(|&pid| pid != root));
            next += 1;
        }
        tree
    }

    fn sample_tree(&self, root: u32) -> anyhow::Result<Sample> {
        let mut sample = Sample::default();
        for pid in self.descendants(root) {
            let Some(process) = self.0.process(Pid::from_u32(pid)) else { continue };
            sample.processes.insert(pid, process.accumulated_cpu_time());
            sample.resident_bytes += process.memory();
            for ThreadTimes { id, on_cpu_ns, waiting_ns } in thread_times(pid) {
                sample.threads.insert(id, on_cpu_ns);
                sample.waits.insert(id, waiting_ns);
            }
        }
        ensure!(sample.processes.contains_key(&root), "process {root} has ended");
        Ok(sample)
    }
}

struct ThreadTimes {
    id: u32,
    on_cpu_ns: u64,
    waiting_ns: u64,
}

/// The times of every thread of a process; none where the kernel does not count them.
fn thread_times(pid: u32) -> Vec<ThreadTimes> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let times = |name: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{name}/schedstat")).ok()?;
        let mut numbers = text.split_whitespace().map(str::parse);
        let (on_cpu_ns, waiting_ns) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some(ThreadTimes { id: name.parse().ok()?, on_cpu_ns, waiting_ns })
    };
    tasks.flatten().filter_map(|task| times(task.file_name().to_str()?)).collect()
}
