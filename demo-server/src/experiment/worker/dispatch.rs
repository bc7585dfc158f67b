//! What does an event cost, here, at another core, and in other schedulers?
//!
//! The hidden sub-command `demo-server dispatch-worker`: one window of `experiment dispatch`.
//!
//! | module | the question it answers |
//! |---|---|
//! | `relay` | what does an event of a color cost at its own core? |
//! | `boxes` | what does a queue of boxed closures cost? |
//! | `futures` | what does an event cost in executors of futures? |
//! | `jobs` | what does a job cost in a pool of threads? |
//! | `polling` | how long does an event take to a core that polls? |
//! | `parked` | how long does an event take to a core that waits, and what does the waker pay? |
//! | `timers` | what do arming and cancelling cost among many timers? |
//! | `sleeps` | the same in tokio |
//! | `election` | what does the choice of a stage cost? |
//! | `memory` | how many bytes has an idle color? |
//! | `cores` | what do two cores do more than one? |
//! | `stall` | how long do others wait for a handler that takes long? |
//! | `makespan` | how long do two cores that steal take for a program? |
//! | `simulated` | and two simulated ones? |
//! | `samples` | what are the quantiles of many times? |
//! | `cycles` | how fast is this core's clock? |

mod boxes;
mod cores;
pub(super) mod cycles;
mod election;
#[cfg(feature = "peers")]
mod futures;
#[cfg(feature = "peers")]
mod jobs;
mod makespan;
mod memory;
mod parked;
mod polling;
mod relay;
pub(super) mod samples;
mod simulated;
#[cfg(feature = "peers")]
mod sleeps;
mod stall;
mod timers;

use std::hint::black_box;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use super::clock::Clock;
use crate::load::sys::pin_this_thread;

/// What a worker of `dispatch` is to do.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct DispatchArgs {
    /// What is measured
    #[arg(value_enum)]
    pub(in super::super) case: Case,
    /// Who does it
    #[arg(long, value_enum)]
    pub(in super::super) by: By,
    /// Colors, tasks or timers that there are
    #[arg(long, default_value_t = 1)]
    pub(in super::super) live: usize,
    /// Stages that there are
    #[arg(long, default_value_t = 1)]
    pub(in super::super) stages: usize,
    /// The CPU to run on
    #[arg(long)]
    pub(in super::super) cpu: Option<usize>,
    /// The CPU of the other core, or of what posts from outside
    #[arg(long)]
    pub(in super::super) other_cpu: Option<usize>,
    /// Milliseconds to measure
    #[arg(long, default_value_t = 200, conflicts_with = "rounds")]
    pub(in super::super) ms: u64,
    /// Rounds to run instead, without a clock
    #[arg(long)]
    pub(in super::super) rounds: Option<u64>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in super::super) enum Case {
    /// An event of a color, or a poll of a task, that is there already.
    Known,
    /// The same at a stage that allocates.
    Admitted,
    /// A task that is made for one event.
    New,
    /// A color that is opened for one event, and closed after it.
    Opened,
    /// A color that opens with its event and closes after it.
    Transient,
    /// To another core that polls, and back.
    Polling,
    /// To another core that waits.
    Parked,
    /// A timer armed and cancelled.
    Timer,
    /// One of many timers cancelled, and armed again.
    Rearm,
    /// A stage chosen, one task of it moved to the next.
    Election,
    /// The bytes of an idle color.
    Memory,
    /// Events of 1 µs of colors that keep to themselves.
    Work,
    /// Events while one color's handler takes long now and then.
    Stall,
    /// The same events without it.
    NoStall,
    /// Events that wait at the core when such a handler begins there.
    StallWaiting,
    /// The same events without it.
    NoStallWaiting,
    /// A program whose colors have one home.
    Unbalanced,
    /// The same program, half of its colors at each home.
    Balanced,
}

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in super::super) enum By {
    /// Cores that elect stages.
    Stage,
    /// Cores with a queue a color.
    Color,
    /// Cores with one queue.
    Fifo,
    /// Cores with one list, whose first color runs several events in a row.
    Flat,
    /// Nothing but a queue of boxed closures.
    Boxes,
    /// A current-thread runtime; with other threads, a multi-thread runtime.
    Tokio,
    /// A multi-thread runtime of one worker.
    TokioWorker,
    AsyncExecutor,
    Rayon,
    /// What the standard library has.
    Std,
    Crossbeam,
    /// The election alone, without queues.
    Bare,
    /// Two cores.
    Two,
    /// Two cores that steal.
    Mely,
    /// Two simulated cores that steal.
    Simulated,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Metric {
    Ns,
    Cycles,
    P50,
    P99,
    P999,
    WakerP50,
    WakerP99,
    Bytes,
    Rate,
    Makespan,
}

impl Metric {
    /// Its name and its unit.
    pub(in super::super) const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Ns => ("ns", "ns"),
            Self::Cycles => ("cycles", "1"),
            Self::P50 => ("p50", "ns"),
            Self::P99 => ("p99", "ns"),
            Self::P999 => ("p999", "ns"),
            Self::WakerP50 => ("waker_p50", "ns"),
            Self::WakerP99 => ("waker_p99", "ns"),
            Self::Bytes => ("bytes", "B"),
            Self::Rate => ("rate", "1/s"),
            Self::Makespan => ("makespan", "ns"),
        }
    }
}

/// What a worker of `dispatch` found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Found {
    /// Events, wakes, timers, elections or colors that were measured, or run.
    pub(in super::super) units: u64,
    /// What they came to; nothing of time if it ran without a clock.
    pub(in super::super) values: Vec<(Metric, f64)>,
}

/// Runs the worker.
pub(in super::super) fn run(args: &DispatchArgs) -> anyhow::Result<Found> {
    ensure!(args.live > 0, "nothing to do: give at least one that is live");
    ensure!(args.stages > 0, "nothing to do: give at least one stage");
    if let Some(cpu) = args.cpu {
        pin_this_thread(&[cpu]).with_context(|| format!("cannot use CPU {cpu}"))?;
    }
    let clock = Clock::new(args.ms, args.rounds);
    match (args.case, args.by) {
        (
            Case::Known | Case::Admitted | Case::Opened | Case::Transient,
            By::Stage | By::Color | By::Fifo | By::Flat,
        ) => relay::run(args, clock),
        (Case::New, By::Boxes) => boxes::run(clock),
        (Case::Polling, _) => polling::run(args, clock),
        (Case::Parked, _) => parked::run(args, clock),
        (Case::Timer | Case::Rearm, By::Stage | By::Std) => timers::run(args, clock),
        (Case::Election, By::Stage | By::Bare) => election::run(args, clock),
        (Case::Memory, By::Stage) => memory::run(args),
        (Case::Work, By::Stage | By::Two) => cores::run(args, clock),
        (
            Case::Stall | Case::NoStall | Case::StallWaiting | Case::NoStallWaiting,
            By::Two | By::Mely,
        ) => stall::run(args, clock),
        (Case::Unbalanced | Case::Balanced, By::Mely) => makespan::run(args, clock),
        (Case::Unbalanced | Case::Balanced, By::Simulated) => simulated::run(args, clock),
        _ => peers(args, clock),
    }
}

#[cfg(feature = "peers")]
fn peers(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    match (args.case, args.by) {
        (Case::Known | Case::New, By::Tokio | By::TokioWorker | By::AsyncExecutor) => {
            futures::run(args, clock)
        }
        (Case::New, By::Rayon) => jobs::run(args, clock),
        (Case::Timer | Case::Rearm, By::Tokio) => sleeps::run(args, clock),
        (case, by) => no_such_pair(case, by),
    }
}

#[cfg(not(feature = "peers"))]
fn peers(args: &DispatchArgs, _: Clock) -> anyhow::Result<Found> {
    match args.by {
        By::Tokio | By::TokioWorker | By::AsyncExecutor | By::Rayon | By::Crossbeam => {
            super::without_peers()
        }
        by => no_such_pair(args.case, by),
    }
}

fn no_such_pair<T>(case: Case, by: By) -> anyhow::Result<T> {
    bail!("{by:?} has nothing to do with {case:?}: choose a pair of experiment dispatch")
}

/// The two CPUs of what needs two.
fn two_cpus(args: &DispatchArgs) -> anyhow::Result<[usize; 2]> {
    let (Some(cpu), Some(other)) = (args.cpu, args.other_cpu) else {
        bail!("{:?} needs two CPUs: give --cpu and --other-cpu", args.case);
    };
    ensure!(cpu != other, "{:?} needs two CPUs that are not the same", args.case);
    Ok([cpu, other])
}

/// The cost of one of the `units` events of a round, in nanoseconds and in cycles of the core's clock.
fn timed(
    clock: Clock,
    units: u64,
    round: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Found> {
    let ghz = cycles::ghz();
    let answer = clock.measure(units, round)?;
    let mut found = Found { units: answer.units, values: Vec::new() };
    if matches!(clock, Clock::Time(_)) {
        found.values.push((Metric::Ns, answer.ns));
        // The clock may have changed under the load: what it was before and after stands for what it was meanwhile.
        let cycles = ghz.zip(cycles::ghz()).map(|(a, b)| answer.ns * (a + b) / 2.0);
        found.values.extend(cycles.map(|cycles| (Metric::Cycles, cycles)));
    }
    Ok(found)
}

/// Keeps a core busy for so many turns of a loop that no compiler and no processor can shorten.
#[inline]
pub(super) fn spin(turns: u64) {
    let mut x = black_box(0x2545_f491_4f6c_dd1d_u64);
    for _ in 0..turns {
        x = shuffled(x);
    }
    black_box(x);
}

/// The next of Marsaglia's 64-bit xorshift numbers (*Xorshift RNGs*, 2003): three shifts and three exclusive ors, each
/// of which needs the one before.
#[inline]
pub(super) const fn shuffled(mut x: u64) -> u64 {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    x
}

/// The numbers below `n` in an order without pattern, the same every time.
pub(super) fn without_pattern(n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for i in (1..order.len()).rev() {
        random = shuffled(random);
        order.swap(i, (random % (i as u64 + 1)) as usize);
    }
    order
}
