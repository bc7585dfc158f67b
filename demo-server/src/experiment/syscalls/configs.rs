//! Which configurations are there, and what follows from them?

use flexsc_ring::Engine;

use super::super::paired::Finding;
use super::super::report::Better;
use super::super::worker::{SyscallsBy as By, SyscallsCase as Case, SyscallsMetric as Metric};

/// A configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Config {
    /// The name of its rows.
    name: &'static str,
    pub(super) case: Case,
    pub(super) by: By,
}

impl Config {
    /// The engine that it needs.
    pub(super) fn engine(&self) -> Option<Engine> {
        match self.by {
            By::Traps => None,
            By::Direct => Some(Engine::Direct),
            By::Threads | By::OtherCpu | By::Measured => Some(Engine::Threads),
            By::Uring => Some(Engine::Uring),
            By::Sqpoll => Some(Engine::Sqpoll),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Does it make no sense on one CPU?
    pub(super) fn is_of_two_cpus(&self) -> bool {
        matches!(self.by, By::OtherCpu | By::Measured | By::Sqpoll)
    }

    /// May its kernel work be done on the other CPU?
    pub(super) fn may_use_another_cpu(&self) -> bool {
        self.is_of_two_cpus() || self.by == By::Threads
    }
}

const fn of(name: &'static str, case: Case, by: By) -> Config {
    Config { name, case, by }
}

/// The configurations, by the names of their rows.
static CONFIGS: &[Config] = &[
    of("nop-traps", Case::Nop, By::Traps),
    of("nop-direct", Case::Nop, By::Direct),
    of("nop-threads", Case::Nop, By::Threads),
    of("nop-uring", Case::Nop, By::Uring),
    of("nop-sqpoll", Case::Nop, By::Sqpoll),
    of("stat-traps", Case::Stat, By::Traps),
    of("stat-direct", Case::Stat, By::Direct),
    of("stat-threads", Case::Stat, By::Threads),
    of("stat-uring", Case::Stat, By::Uring),
    of("stat-sqpoll", Case::Stat, By::Sqpoll),
    of("read-traps", Case::Read, By::Traps),
    of("read-direct", Case::Read, By::Direct),
    of("read-threads", Case::Read, By::Threads),
    of("read-uring", Case::Read, By::Uring),
    of("read-sqpoll", Case::Read, By::Sqpoll),
    of("chain-traps", Case::Chain, By::Traps),
    of("chain-traps-again", Case::Chain, By::Traps),
    of("chain-direct", Case::Chain, By::Direct),
    of("chain-threads", Case::Chain, By::Threads),
    of("chain-uring", Case::Chain, By::Uring),
    of("chain-sqpoll", Case::Chain, By::Sqpoll),
    of("user-alone", Case::UserAlone, By::Traps),
    of("user-null-traps", Case::UserNull, By::Traps),
    of("user-write-traps", Case::UserWrite, By::Traps),
    of("user-write-uring", Case::UserWrite, By::Uring),
    of("user-read-traps", Case::UserRead, By::Traps),
    of("user-read-uring", Case::UserRead, By::Uring),
    of("user-read-other-cpu", Case::UserRead, By::OtherCpu),
    of("cancel-posted-threads", Case::CancelPosted, By::Threads),
    of("cancel-posted-uring", Case::CancelPosted, By::Uring),
    of("cancel-running-threads", Case::CancelRunning, By::Threads),
    of("cancel-running-uring", Case::CancelRunning, By::Uring),
    of("offload-traps", Case::Offload, By::Traps),
    of("offload-direct", Case::Offload, By::Direct),
    of("offload-other-cpu", Case::Offload, By::OtherCpu),
    of("offload-measured", Case::Offload, By::Measured),
    of("offload-busy-direct", Case::OffloadBusy, By::Direct),
    of("offload-busy-other-cpu", Case::OffloadBusy, By::OtherCpu),
    of("offload-busy-measured", Case::OffloadBusy, By::Measured),
];

/// The configuration of that name.
pub(super) fn config(name: &str) -> Option<&'static Config> {
    CONFIGS.iter().find(|config| config.name == name)
}

/// Calls of the batch that the ratios are about.
pub(super) const BATCH: u64 = 32;
/// Instructions between calls that the ratios are about: nginx makes one every 1460, memcached every 3750 (Table 1).
pub(super) const INSTRUCTIONS: u64 = 2_000;
/// Bytes of reads of two microseconds and more.
const LARGE_READS: [u64; 2] = [64 << 10, 256 << 10];

const fn ns(id: &'static str, of: &'static str, to: &'static str) -> Finding {
    Finding { id, of, to, x: Some(BATCH), metric: Metric::Ns.names().0, better: Better::Lower }
}

const fn user(id: &'static str, of: &'static str, to: &'static str) -> Finding {
    let metric = Metric::UserNs.names().0;
    Finding { id, of, to, x: Some(INSTRUCTIONS), metric, better: Better::Lower }
}

const fn rate(id: &'static str, of: &'static str, to: &'static str, x: u64) -> Finding {
    Finding { id, of, to, x: Some(x), metric: Metric::Rate.names().0, better: Better::Higher }
}

/// What is said of them.
pub(super) const FINDINGS: &[Finding] = &[
    ns("uring_vs_direct_32", "chain-uring", "chain-direct"),
    ns("threads_vs_direct_32", "chain-threads", "chain-direct"),
    ns("uring_vs_traps_32", "chain-uring", "chain-traps"),
    ns("direct_vs_traps_32", "chain-direct", "chain-traps"),
    ns("threads_vs_traps_32", "chain-threads", "chain-traps"),
    ns("sqpoll_vs_traps_32", "chain-sqpoll", "chain-traps"),
    ns("nop_uring_vs_traps_32", "nop-uring", "nop-traps"),
    ns("stat_uring_vs_traps_32", "stat-uring", "stat-traps"),
    ns("read_uring_vs_traps_32", "read-uring", "read-traps"),
    ns("read_threads_vs_traps_32", "read-threads", "read-traps"),
    ns("read_sqpoll_vs_traps_32", "read-sqpoll", "read-traps"),
    user("user_null_vs_alone_2000", "user-null-traps", "user-alone"),
    user("user_traps_vs_alone_2000", "user-write-traps", "user-alone"),
    user("user_uring_vs_traps_2000", "user-write-uring", "user-write-traps"),
    user("user_read_uring_vs_traps_2000", "user-read-uring", "user-read-traps"),
    user("user_read_other_cpu_vs_traps_2000", "user-read-other-cpu", "user-read-traps"),
    rate("offload_other_cpu_vs_direct", "offload-other-cpu", "offload-direct", LARGE_READS[0]),
    rate("offload_measured_vs_direct", "offload-measured", "offload-direct", LARGE_READS[0]),
    rate(
        "offload_busy_other_cpu_vs_direct",
        "offload-busy-other-cpu",
        "offload-busy-direct",
        LARGE_READS[0],
    ),
    rate(
        "offload_busy_other_cpu_vs_direct_256k",
        "offload-busy-other-cpu",
        "offload-busy-direct",
        LARGE_READS[1],
    ),
    rate(
        "offload_busy_measured_vs_direct_256k",
        "offload-busy-measured",
        "offload-busy-direct",
        LARGE_READS[1],
    ),
    rate("offload_measured_vs_other_cpu", "offload-measured", "offload-other-cpu", LARGE_READS[0]),
    rate(
        "offload_busy_measured_vs_other_cpu_256k",
        "offload-busy-measured",
        "offload-busy-other-cpu",
        LARGE_READS[1],
    ),
    ns("aa_null", "chain-traps", "chain-traps-again"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_one_configuration_each() {
        for (i, one) in CONFIGS.iter().enumerate() {
            assert!(CONFIGS[..i].iter().all(|other| other.name != one.name), "{}", one.name);
        }
        for finding in FINDINGS {
            for name in [finding.of, finding.to] {
                assert!(config(name).is_some(), "{}: no configuration {name}", finding.id);
            }
        }
    }
}
