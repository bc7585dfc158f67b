//! What does one configuration cost, alone in a fresh process?
//!
//! The hidden sub-command `demo-server worker`: experiments start it, once a window, so that every window
//! begins with fresh memory, allocators that are tuned by environment variables can be, and valgrind can be
//! put in front. It prints one line of JSON.
//!
//! | module | the question it answers |
//! |---|---|
//! | `clock` | how many rounds, and how long did they take? |
//! | `lines` | how is an object touched, a word a line or every byte? |
//! | `heap` | where do the objects of the general allocators come from? |
//! | `slab` | which map, and how many objects of which size fit? |
//! | `stages` | what does a task cost that goes through three stages? |
//! | `pair` | what does an allocation and its free cost? |
//! | `admit` | what does a permit cost? |
//! | `remote` | what does a free on another CPU cost? |
//! | `oversize` | what does a request cost that is larger than its site? |
//! | `outside` | what does the slab cost a program that never enters a scope? |
//! | `dispatch` | what does an event cost, here, at another core, and in other schedulers? |
//! | `syscalls` | what do system calls cost that are posted? |
//! | `steal` | what does a program come to on two cores under each stealing policy? |

mod admit;
mod clock;
mod dispatch;
mod heap;
mod lines;
mod outside;
mod oversize;
mod pair;
mod remote;
mod slab;
mod stages;
mod steal;
mod syscalls;

use std::process::ExitCode;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

pub(super) use clock::WARM_UP;
pub use dispatch::DispatchArgs;
#[cfg(test)]
pub(super) use dispatch::run as dispatch_found;
pub(super) use dispatch::{By, Case, Found, Metric};
pub(super) use heap::mimalloc_version;
pub(super) use pair::BURST;
pub(super) use remote::SIZE as REMOTE_SIZE;
pub(super) use slab::{largest_burst, tasks_at_once};
pub use steal::StealArgs;
#[cfg(test)]
pub(super) use steal::run as steal_found;
pub(super) use steal::{
    By as StealBy, Case as StealCase, Found as StealFound, Metric as StealMetric,
};
pub use syscalls::SyscallsArgs;
#[cfg(test)]
pub(super) use syscalls::run as syscalls_found;
pub(super) use syscalls::{
    By as SyscallsBy, Case as SyscallsCase, Found as SyscallsFound, Metric as SyscallsMetric,
};

use clock::Clock;

/// What a worker is to do.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct WorkerArgs {
    /// What is measured
    #[arg(value_enum)]
    pub(super) job: Job,
    /// Where the memory comes from
    #[arg(long, value_enum)]
    pub(super) from: Source,
    /// How objects are touched
    #[arg(long, value_enum, default_value_t = Kernel::Lines)]
    pub(super) kernel: Kernel,
    /// How many tasks go through a stage before the next stage runs
    #[arg(long, value_enum, default_value_t = Bound::None)]
    pub(super) bound: Bound,
    /// Tasks in flight, objects of a burst, or tasks that a permit is asked for
    #[arg(long, default_value_t = 1)]
    pub(super) tasks: usize,
    /// Bytes of an object
    #[arg(long, default_value_t = 4096)]
    pub(super) size: usize,
    /// Sites that the admitted stage allocates from
    #[arg(long, default_value_t = 1)]
    pub(super) sites: usize,
    /// The CPU that frees what this one allocates
    #[arg(long)]
    pub(super) other_cpu: Option<usize>,
    /// Free what came together by one call, instead of one by one
    #[arg(long)]
    pub(super) at_once: bool,
    /// Milliseconds to measure
    #[arg(long, default_value_t = 200, conflicts_with = "rounds")]
    pub(super) ms: u64,
    /// Rounds to run instead, without a clock
    #[arg(long)]
    pub(super) rounds: Option<u64>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Job {
    Stages,
    Pair,
    Admit,
    Remote,
    Oversize,
    Outside,
}

/// Where objects come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Source {
    Stingy,
    StingySlot,
    Global,
    Mimalloc,
    System,
}

/// How an object is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kernel {
    Lines,
    Bytes,
}

/// How many tasks go through a stage before the next stage runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Bound {
    None,
    Slab,
    One,
}

/// What a worker found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
    /// Nanoseconds a unit (a task, a pair, a permit, an object); 0 if it ran without a clock.
    pub(super) ns: f64,
    /// How many units were measured, or run.
    pub(super) units: u64,
}

/// Runs a worker and prints what it found.
pub fn run(args: &WorkerArgs) -> anyhow::Result<ExitCode> {
    let answer = work(args).with_context(|| format!("{args:?}"))?;
    println!("{}", serde_json::to_string(&answer)?);
    Ok(ExitCode::SUCCESS)
}

fn work(args: &WorkerArgs) -> anyhow::Result<Answer> {
    if args.tasks == 0 {
        bail!("nothing to do: give at least one task");
    }
    let clock = Clock::new(args.ms, args.rounds);
    match args.job {
        Job::Stages => stages::run(args, clock),
        Job::Pair => pair::run(args, clock),
        Job::Admit => admit::run(args, clock),
        Job::Remote => remote::run(args, clock),
        Job::Oversize => oversize::run(args, clock),
        Job::Outside => outside::run(args, clock),
    }
}

/// Runs a worker of `dispatch` and prints what it found.
pub fn run_dispatch(args: &DispatchArgs) -> anyhow::Result<ExitCode> {
    let found = dispatch::run(args).with_context(|| format!("{args:?}"))?;
    println!("{}", serde_json::to_string(&found)?);
    Ok(ExitCode::SUCCESS)
}

/// Runs a worker of the experiments on stealing and prints what it found.
pub fn run_steal(args: &StealArgs) -> anyhow::Result<ExitCode> {
    let found = steal::run(args).with_context(|| format!("{args:?}"))?;
    println!("{}", serde_json::to_string(&found)?);
    Ok(ExitCode::SUCCESS)
}

/// Runs a worker of `syscalls` and prints what it found.
pub fn run_syscalls(args: &SyscallsArgs) -> anyhow::Result<ExitCode> {
    let found = syscalls::run(args).with_context(|| format!("{args:?}"))?;
    println!("{}", serde_json::to_string(&found)?);
    Ok(ExitCode::SUCCESS)
}

/// This build has no peers.
#[cfg(not(feature = "peers"))]
fn without_peers<T>() -> anyhow::Result<T> {
    bail!("the peers are not built in: cargo build --release --features peers")
}
