//! The calls that ask about the machine, and that keep a thread on some of its processors.

use std::time::Duration;

/// What a limit of the process bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resource {
    /// Bytes that stay in memory.
    LockedMemory,
    /// Descriptors.
    OpenFiles,
    /// Tasks of the user.
    Tasks,
}

/// A limit as it is enforced, and as it may be raised to; `None` is no limit.
pub(crate) fn limit(resource: Resource) -> (Option<u64>, Option<u64>) {
    let number = match resource {
        Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
        Resource::OpenFiles => libc::RLIMIT_NOFILE,
        Resource::Tasks => libc::RLIMIT_NPROC,
    };
    let none = libc::RLIM_INFINITY;
    let mut limit = libc::rlimit { rlim_cur: none, rlim_max: none };
    // SAFETY: `limit` outlives the call. It fails only for a number that is unknown.
    unsafe { libc::getrlimit(number, &mut limit) };
    let bounded = |value: libc::rlim_t| (value != none).then_some(value);
    (bounded(limit.rlim_cur), bounded(limit.rlim_max))
}

/// Processors that are in operation.
pub(crate) fn processors() -> usize {
    // SAFETY: no pointers.
    let n = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    usize::try_from(n).unwrap_or(1)
}

/// `uname -r`.
pub(crate) fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// The processors that the process's first thread may use, in order: those of the process, as threads
/// that stay on one are rarely the first.
pub(crate) fn allowed_cpus() -> Vec<usize> {
    // SAFETY: no pointers.
    cpus_of(unsafe { libc::getpid() })
}

/// The processors that this thread may use, in order.
pub(crate) fn own_cpus() -> Vec<usize> {
    cpus_of(0)
}

/// The processors that a thread may use, in order; 0: this thread.
fn cpus_of(thread: libc::pid_t) -> Vec<usize> {
    // SAFETY: all bit patterns of a processor set are valid.
    let mut set = unsafe { std::mem::zeroed::<libc::cpu_set_t>() };
    // SAFETY: `set` has the size that is told.
    let asked = unsafe { libc::sched_getaffinity(thread, size_of_val(&set), &mut set) };
    let most = if asked == 0 { libc::CPU_SETSIZE as usize } else { 0 };
    // SAFETY: below the size of the set.
    (0..most).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

/// The kernel lets threads of this process run on that processor: found out by going there and back.
pub(crate) fn can_run_on(cpu: usize) -> bool {
    let here = cpus_of(0);
    here.contains(&cpu) || (stay_on(&[cpu]) && stay_on(&here))
}

/// The processor that this thread is on.
pub(crate) fn current_cpu() -> Option<usize> {
    // SAFETY: no pointers.
    usize::try_from(unsafe { libc::sched_getcpu() }).ok()
}

/// Keeps this thread on some processors. False: the kernel does not let it.
pub(crate) fn stay_on(cpus: &[usize]) -> bool {
    // SAFETY: all bit patterns of a processor set are valid.
    let mut set = unsafe { std::mem::zeroed::<libc::cpu_set_t>() };
    for cpu in cpus.iter().filter(|cpu| **cpu < libc::CPU_SETSIZE as usize) {
        // SAFETY: below the size of the set.
        unsafe { libc::CPU_SET(*cpu, &mut set) };
    }
    // SAFETY: `set` has the size that is told.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) == 0 }
}

/// The time that this thread has run.
pub(crate) fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
