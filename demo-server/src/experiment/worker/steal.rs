//! What does a program come to on two cores under each stealing policy?
//!
//! The hidden sub-command `demo-server steal-worker`: one window of `experiment unbalanced`, `penalty` or
//! `cache-efficient` (Mely §5.2). By `--rounds` there is no clock, and one thread gives turns to both cores, so that
//! counts are the same every time.
//!
//! | module | the question it answers |
//! |---|---|
//! | `unbalanced` | what if a few events of many are long? |
//! | `penalty` | what if memory is warm where a color was? |
//! | `cache_efficient` | what if two colors work on one array? (A merge sort in two halves) |
//! | `bare` | how long does the work of `unbalanced` take without any runtime? |
//! | `peers` | and in rayon and tokio? |
//! | `arrays` | where do arrays come from, how large are they, and how long does work on them take? |
//! | `rounds` | when does a round begin, and what is measured? |
//! | `cores` | how does a machine of two cores run a load? |
//! | `policy` | which queues, which thefts, and which costs? |
//! | `thefts` | what did thefts cost, and what did they bring? |

mod arrays;
mod bare;
mod cache_efficient;
mod cores;
#[cfg(feature = "peers")]
mod peers;
mod penalty;
mod policy;
mod rounds;
mod thefts;
mod unbalanced;

use std::time::Duration;

use anyhow::{bail, ensure};
use serde::{Deserialize, Serialize};

use super::clock::{Clock, WARM_UP};

/// What a worker of the experiments on stealing is to do.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct StealArgs {
    /// What runs
    #[arg(value_enum)]
    pub(in super::super) case: Case,
    /// Under which policy, or in what else
    #[arg(long, value_enum)]
    pub(in super::super) by: By,
    /// Colors that a round begins with [default: as many as in the paper]
    #[arg(long)]
    pub(in super::super) colors: Option<usize>,
    /// The CPU of the first core
    #[arg(long)]
    pub(in super::super) cpu: Option<usize>,
    /// The CPU of the second core
    #[arg(long)]
    pub(in super::super) other_cpu: Option<usize>,
    /// Milliseconds to measure
    #[arg(long, default_value_t = 200, conflicts_with = "rounds")]
    pub(in super::super) ms: u64,
    /// Milliseconds to run before that [default: a fifth of those]
    #[arg(long, conflicts_with = "rounds")]
    pub(in super::super) after: Option<u64>,
    /// Stages exchange what they do: halfway to the measurement, or at once if costs are set by hand
    #[arg(long)]
    pub(in super::super) change: bool,
    /// Rounds to run instead, without a clock
    #[arg(long)]
    pub(in super::super) rounds: Option<u64>,
}

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in super::super) enum Case {
    /// Short events and a few long ones, all at home on the first core.
    Unbalanced,
    /// The same events, half of them at home on each core.
    Balanced,
    /// The short events alone, at home on the first core: nothing is worth a theft.
    IdleThief,
    /// Colors whose events use the same memory one after the other.
    Penalty,
    /// Arrays that are sorted in halves, and merged.
    CacheEfficient,
}

/// Under which policy, or in what else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in super::super) enum By {
    /// The pure work of one thread.
    Bare,
    /// A machine of one core, stage by stage.
    OneCore,
    /// One list a core, no thefts.
    Libasync,
    /// One list a core, thefts as in Libasync-smp.
    LibasyncWs,
    /// A queue a color, no thefts.
    None,
    /// A queue a color, thefts as in Libasync-smp.
    Base,
    /// Thefts that are worth the trip only.
    TimeLeft,
    /// Thefts from near cores first.
    Locality,
    /// Thefts of what has the least warm memory.
    Penalty,
    /// All of Mely, costs and penalties set by hand.
    Hand,
    /// All of Mely, nothing set by hand.
    Learned,
    /// The same, stage by stage.
    StageLearned,
    Rayon,
    Tokio,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Metric {
    /// Events run.
    Rate,
    /// Thefts for each thousand events.
    Thefts,
    /// What half of the thefts took at most, and 99 in 100; a look at the clock included.
    TheftP50,
    TheftP99,
    /// Work of a stolen event: the shortest ones, and the middle.
    StolenP1,
    StolenP50,
    /// Share of the thefts that took longer than what they brought.
    AtALoss,
}

impl Metric {
    /// Its name and its unit.
    pub(in super::super) const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Rate => ("rate", "1/s"),
            Self::Thefts => ("thefts", "1/1000"),
            Self::TheftP50 => ("theft_p50", "cycles"),
            Self::TheftP99 => ("theft_p99", "cycles"),
            Self::StolenP1 => ("stolen_p1", "cycles"),
            Self::StolenP50 => ("stolen_p50", "cycles"),
            Self::AtALoss => ("at_a_loss", "share"),
        }
    }
}

/// What a worker found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Found {
    /// Events that were measured, or run.
    pub(in super::super) units: u64,
    /// What they came to; nothing of time if it ran without a clock.
    pub(in super::super) values: Vec<(Metric, f64)>,
}

/// How long there is a measurement, and what comes before it.
#[derive(Clone, Copy, Debug)]
struct Window {
    clock: Clock,
    /// Before the measurement.
    after: Duration,
    change: Change,
}

/// When do the stages exchange what they do?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Never,
    AtOnce,
    Halfway,
}

impl Window {
    fn new(args: &StealArgs) -> Window {
        let clock = Clock::new(args.ms, args.rounds);
        let after = args.after.map(Duration::from_millis);
        let after = after.unwrap_or(Duration::from_millis(args.ms).mul_f64(WARM_UP));
        let change = match args.change {
            false => Change::Never,
            true if policy::is_set_by_hand(args.by) => Change::AtOnce,
            true => Change::Halfway,
        };
        Window { clock, after, change }
    }
}

/// Runs the worker.
pub(in super::super) fn run(args: &StealArgs) -> anyhow::Result<Found> {
    ensure!(args.colors != Some(0), "nothing to do: give at least one color");
    let window = Window::new(args);
    match (args.case, args.by) {
        (Case::Unbalanced, By::Bare) => bare::run(args, window),
        (Case::Unbalanced, By::Rayon | By::Tokio) => peer(args, window),
        (case, By::Bare | By::Rayon | By::Tokio) => {
            bail!("{:?} has nothing to do with {case:?}: give --by one of the policies", args.by)
        }
        (Case::Unbalanced | Case::Balanced | Case::IdleThief, _) => unbalanced::run(args, window),
        (Case::Penalty, _) => penalty::run(args, window),
        (Case::CacheEfficient, _) => cache_efficient::run(args, window),
    }
}

#[cfg(feature = "peers")]
fn peer(args: &StealArgs, window: Window) -> anyhow::Result<Found> {
    peers::run(args, window)
}

#[cfg(not(feature = "peers"))]
fn peer(_: &StealArgs, _: Window) -> anyhow::Result<Found> {
    super::without_peers()
}

/// The CPUs of so many cores; none are needed without a clock.
fn cpus(args: &StealArgs, cores: usize) -> anyhow::Result<Vec<Option<usize>>> {
    if cores < 2 || args.rounds.is_some() {
        return Ok(vec![args.cpu; cores]);
    }
    let (Some(cpu), Some(other)) = (args.cpu, args.other_cpu) else {
        bail!("{:?} by {:?} needs two CPUs: give --cpu and --other-cpu", args.case, args.by);
    };
    ensure!(cpu != other, "{:?} needs two CPUs that are not the same", args.case);
    Ok(vec![Some(cpu), Some(other)])
}
