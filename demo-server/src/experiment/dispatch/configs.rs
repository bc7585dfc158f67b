//! Which configurations are there, and what follows from them?

use super::super::paired::Finding;
use super::super::report::Better;
use super::super::worker::{By, Case, Metric};

/// Colors or tasks of the main question.
pub(super) const FEW: u64 = 64;
/// Colors of which not all are in the caches.
pub(super) const MANY: u64 = 50_000;
/// Stages that the elections are compared at.
pub(super) const STAGES: [u64; 4] = [4, 64, 512, 4096];
/// Colors that wait there.
pub(super) const WAITING: [u64; 3] = [1, 1_000, 1_000_000];
/// Timers that are armed.
pub(super) const TIMERS: u64 = 1_000_000;

/// A configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Config {
    /// The name of its rows.
    name: &'static str,
    pub(super) case: Case,
    pub(super) by: By,
    axis: Axis,
}

/// What x is the number of.
#[derive(Clone, Copy, Debug)]
enum Axis {
    /// What is live; there is one stage.
    Live,
    /// What waits, at so many stages.
    Waiting { stages: u64 },
    /// Stages, at which so many wait.
    Stages { waiting: u64 },
    /// Nothing: so many are live at every point, for comparison with others there.
    Nothing { live: u64 },
}

impl Config {
    /// How many are live, and how many stages there are, at a point.
    pub(super) fn counts(&self, x: u64) -> (u64, u64) {
        match self.axis {
            Axis::Live => (x, 1),
            Axis::Waiting { stages } => (x, stages),
            Axis::Stages { waiting } => (waiting, x),
            Axis::Nothing { live } => (live, 1),
        }
    }

    /// Does it take two CPUs?
    pub(super) fn is_of_two_cpus(&self) -> bool {
        matches!(self.case, Case::Polling | Case::Parked) || matches!(self.by, By::Two | By::Mely)
    }

    /// Does it take many windows, as what it measures comes now and then?
    pub(super) fn is_of_stalls(&self) -> bool {
        matches!(self.case, Case::Stall | Case::NoStall | Case::StallWaiting | Case::NoStallWaiting)
    }
}

const fn live(name: &'static str, case: Case, by: By) -> Config {
    Config { name, case, by, axis: Axis::Live }
}

const fn known(name: &'static str, live: u64) -> Config {
    Config { name, case: Case::Known, by: By::Stage, axis: Axis::Nothing { live } }
}

const fn at(name: &'static str, by: By, stages: u64) -> Config {
    Config { name, case: Case::Election, by, axis: Axis::Waiting { stages } }
}

const fn of(name: &'static str, by: By, waiting: u64) -> Config {
    Config { name, case: Case::Election, by, axis: Axis::Stages { waiting } }
}

/// The configurations, by the names of their rows.
static CONFIGS: &[Config] = &[
    live("stage-known", Case::Known, By::Stage),
    live("stage-known-again", Case::Known, By::Stage),
    live("stage-admitted", Case::Admitted, By::Stage),
    live("color-known", Case::Known, By::Color),
    live("flat-known", Case::Known, By::Flat),
    live("fifo-known", Case::Known, By::Fifo),
    live("tokio-known", Case::Known, By::Tokio),
    live("async-executor-known", Case::Known, By::AsyncExecutor),
    known(KNOWN_FEW, FEW),
    known(KNOWN_ONE, 1),
    live("stage-transient", Case::Transient, By::Stage),
    live("stage-opened", Case::Opened, By::Stage),
    live("tokio-new", Case::New, By::Tokio),
    live("tokio-worker-new", Case::New, By::TokioWorker),
    live("async-executor-new", Case::New, By::AsyncExecutor),
    live("rayon-new", Case::New, By::Rayon),
    live("boxes-new", Case::New, By::Boxes),
    live("polling-stage", Case::Polling, By::Stage),
    live("polling-flags", Case::Polling, By::Std),
    live("polling-crossbeam", Case::Polling, By::Crossbeam),
    live("parked-stage", Case::Parked, By::Stage),
    live("parked-thread", Case::Parked, By::Std),
    live("parked-tokio", Case::Parked, By::Tokio),
    live("parked-crossbeam", Case::Parked, By::Crossbeam),
    live("timer-wheel", Case::Timer, By::Stage),
    live("timer-btree", Case::Timer, By::Std),
    live("timer-tokio", Case::Timer, By::Tokio),
    live("rearm-wheel", Case::Rearm, By::Stage),
    live("rearm-btree", Case::Rearm, By::Std),
    live("rearm-tokio", Case::Rearm, By::Tokio),
    at("queues-4", By::Stage, 4),
    at("queues-64", By::Stage, 64),
    at("queues-512", By::Stage, 512),
    at("queues-4096", By::Stage, 4096),
    at("election-4", By::Bare, 4),
    at("election-64", By::Bare, 64),
    at("election-512", By::Bare, 512),
    at("election-4096", By::Bare, 4096),
    of("queues-waiting-1", By::Stage, 1),
    of("queues-waiting-1000000", By::Stage, 1_000_000),
    of("election-waiting-1", By::Bare, 1),
    of("election-waiting-1000000", By::Bare, 1_000_000),
    live("idle-color", Case::Memory, By::Stage),
    live("work-one-core", Case::Work, By::Stage),
    live("work-two-cores", Case::Work, By::Two),
    live("stall-none", Case::NoStall, By::Mely),
    live("stall-mely", Case::Stall, By::Mely),
    live("stall-no-steal", Case::Stall, By::Two),
    live("stall-waiting-none", Case::NoStallWaiting, By::Mely),
    live("stall-waiting-mely", Case::StallWaiting, By::Mely),
    live("stall-waiting-no-steal", Case::StallWaiting, By::Two),
    live("two-cores-real", Case::Unbalanced, By::Mely),
    live("two-cores-simulated", Case::Unbalanced, By::Simulated),
    live("two-cores-balanced-real", Case::Balanced, By::Mely),
    live("two-cores-balanced-simulated", Case::Balanced, By::Simulated),
];

/// The known colors of the main question, for comparison with more of them.
pub(super) const KNOWN_FEW: &str = "stage-known-64";
/// A color that is alone, for comparison with tasks of which there are more.
pub(super) const KNOWN_ONE: &str = "stage-known-1";

/// The configuration of that name.
pub(super) fn config(name: &str) -> Option<&'static Config> {
    CONFIGS.iter().find(|config| config.name == name)
}

/// Is the configuration part of this build?
pub(super) fn is_built_in(name: &str) -> bool {
    let is_peer = |config: &Config| {
        matches!(
            config.by,
            By::Tokio | By::TokioWorker | By::AsyncExecutor | By::Rayon | By::Crossbeam
        )
    };
    cfg!(feature = "peers") || !config(name).is_some_and(is_peer)
}

const fn time(
    id: &'static str,
    of: &'static str,
    to: &'static str,
    x: Option<u64>,
    metric: Metric,
) -> Finding {
    Finding { id, of, to, x, metric: metric.names().0, better: Better::Lower }
}

const fn ns(id: &'static str, of: &'static str, to: &'static str, x: Option<u64>) -> Finding {
    time(id, of, to, x, Metric::Ns)
}

const fn stall_waiting(id: &'static str, of: &'static str) -> Finding {
    time(id, of, "stall-waiting-none", None, Metric::P999)
}

const fn makespan(id: &'static str, of: &'static str, to: &'static str) -> Finding {
    time(id, of, to, None, Metric::Makespan)
}

/// What is said of them.
pub(super) const FINDINGS: &[Finding] = &[
    ns("known_color_vs_tokio", "stage-known", "tokio-new", Some(FEW)),
    ns("known_color_vs_tokio_wake", "stage-known", "tokio-known", Some(FEW)),
    ns("known_color_vs_tokio_worker", "stage-known", "tokio-worker-new", Some(FEW)),
    ns("known_color_vs_async_executor", "stage-known", "async-executor-new", Some(FEW)),
    ns("known_color_vs_async_executor_wake", "stage-known", "async-executor-known", Some(FEW)),
    ns("known_color_vs_rayon", "stage-known", "rayon-new", Some(FEW)),
    ns("known_color_vs_boxes", "stage-known", "boxes-new", Some(FEW)),
    ns("known_color_vs_color_queues", "stage-known", "color-known", Some(FEW)),
    ns("known_color_vs_flat", "stage-known", "flat-known", Some(FEW)),
    ns("known_color_vs_fifo", "stage-known", "fifo-known", Some(FEW)),
    ns("admitted_vs_known", "stage-admitted", "stage-known", Some(FEW)),
    ns("lone_color_vs_tokio", KNOWN_ONE, "tokio-new", Some(FEW)),
    ns("lone_color_vs_async_executor", KNOWN_ONE, "async-executor-new", Some(FEW)),
    ns("new_color_vs_tokio", "stage-transient", "tokio-new", Some(FEW)),
    ns("new_color_vs_async_executor", "stage-transient", "async-executor-new", Some(FEW)),
    ns("new_color_vs_known", "stage-transient", "stage-known", Some(FEW)),
    ns("opened_color_vs_tokio", "stage-opened", "tokio-new", Some(FEW)),
    ns("colors_50000_vs_known", "stage-known", KNOWN_FEW, Some(MANY)),
    ns("colors_50000_vs_tokio_wake", "stage-known", "tokio-known", Some(MANY)),
    time("polling_vs_flags", "polling-stage", "polling-flags", None, Metric::P50),
    time("polling_vs_crossbeam", "polling-stage", "polling-crossbeam", None, Metric::P50),
    time("parked_vs_thread", "parked-stage", "parked-thread", None, Metric::P50),
    time("parked_vs_tokio", "parked-stage", "parked-tokio", None, Metric::P50),
    time("parked_vs_crossbeam", "parked-stage", "parked-crossbeam", None, Metric::P50),
    ns("timer_vs_btree", "timer-wheel", "timer-btree", None),
    ns("timer_vs_tokio", "timer-wheel", "timer-tokio", None),
    ns("rearm_vs_btree", "rearm-wheel", "rearm-btree", None),
    ns("rearm_vs_tokio", "rearm-wheel", "rearm-tokio", None),
    ns("election_4096_vs_4", "election-4096", "election-4", None),
    ns("election_1e6_vs_1", "election-waiting-1000000", "election-waiting-1", None),
    ns("queues_4096_vs_4", "queues-4096", "queues-4", None),
    ns("queues_1e6_vs_1", "queues-waiting-1000000", "queues-waiting-1", None),
    Finding {
        better: Better::Higher,
        ..time("two_cores_vs_one", "work-two-cores", "work-one-core", None, Metric::Rate)
    },
    time("stall_p999_vs_none", "stall-mely", "stall-none", None, Metric::P999),
    time("stall_without_stealing_p999_vs_none", "stall-no-steal", "stall-none", None, Metric::P999),
    stall_waiting("stall_waiting_p999_vs_none", "stall-waiting-mely"),
    stall_waiting("stall_waiting_without_stealing_p999_vs_none", "stall-waiting-no-steal"),
    makespan("simulated_vs_real_makespan", "two-cores-simulated", "two-cores-real"),
    makespan(
        "simulated_vs_real_makespan_balanced",
        "two-cores-balanced-simulated",
        "two-cores-balanced-real",
    ),
    ns("aa_null", "stage-known", "stage-known-again", Some(FEW)),
];

/// Medians in nanoseconds that stand among the ratios, of 1 ns: name, configuration, metric.
pub(super) const MEDIANS: &[(&str, &str, Metric)] = &[
    ("lone_color_ns", KNOWN_ONE, Metric::Ns),
    ("polling_handover_ns", "polling-stage", Metric::P50),
    ("polling_handover_p99_ns", "polling-stage", Metric::P99),
    ("parked_wake_ns", "parked-stage", Metric::P50),
    ("parked_wake_p99_ns", "parked-stage", Metric::P99),
    ("parked_waker_ns", "parked-stage", Metric::WakerP50),
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
        for (id, name, _) in MEDIANS {
            assert!(config(name).is_some(), "{id}: no configuration {name}");
        }
    }

    #[test]
    fn counts_are_those_of_the_axis() {
        let counts = |name, x| config(name).map(|config| config.counts(x));
        assert_eq!(counts("stage-known", 50_000), Some((50_000, 1)));
        assert_eq!(counts(KNOWN_FEW, 50_000), Some((64, 1)));
        assert_eq!(counts(KNOWN_ONE, 64), Some((1, 1)));
        assert_eq!(counts("queues-4096", 1000), Some((1000, 4096)));
        assert_eq!(counts("election-waiting-1000000", 512), Some((1_000_000, 512)));
    }
}
