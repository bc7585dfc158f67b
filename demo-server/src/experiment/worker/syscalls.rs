//! What do system calls cost that are posted, next to those that are made?
//!
//! The hidden sub-command `demo-server syscalls-worker`: one window of `experiment syscalls`.
//!
//! | module | the question it answers |
//! |---|---|
//! | `files` | which files are hot, and how are they read by hand? |
//! | `batches` | what does a call cost in a batch, in each engine? |
//! | `slowdown` | how much slower is a program's own code between its calls? |
//! | `cancelled` | how long does it take to cancel a call? |
//! | `sys` | the calls that a program makes itself |
//! | `offloaded` | how many calls a second does a thread get done, alone and with another core? |

mod batches;
mod cancelled;
mod files;
mod offloaded;
mod slowdown;
mod sys;

use anyhow::{Context, bail, ensure};
use flexsc_ring::{AnyRing, Completion, Engine, Options, Placement, Ring};
use serde::{Deserialize, Serialize};

use super::clock::Clock;
use crate::load::sys::pin_this_thread;

/// The buffers of these rings.
type Buf = Box<[u8]>;

/// What a worker of `syscalls` is to do.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct SyscallsArgs {
    /// What is measured
    #[arg(value_enum)]
    pub(in super::super) case: Case,
    /// Who makes the calls
    #[arg(long, value_enum)]
    pub(in super::super) by: By,
    /// Calls or chains of a batch, instructions between calls, bytes of a read
    #[arg(long, default_value_t = 1)]
    pub(in super::super) x: usize,
    /// The CPU to run on
    #[arg(long)]
    pub(in super::super) cpu: Option<usize>,
    /// The CPU that the kernel's work may be done on
    #[arg(long)]
    pub(in super::super) other_cpu: Option<usize>,
    /// Milliseconds to measure
    #[arg(long, default_value_t = 200)]
    pub(in super::super) ms: u64,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in super::super) enum Case {
    /// Calls that do nothing.
    Nop,
    /// What is known of a file that is open.
    Stat,
    /// 4 KiB of a file in memory.
    Read,
    /// Open, stat, read 1 KiB, close.
    Chain,
    /// The time of a program's own code between calls that write 4 KiB.
    UserWrite,
    /// Between calls that read 4 KiB.
    UserRead,
    /// Between calls that do nothing but enter the kernel.
    UserNull,
    /// Without calls.
    UserAlone,
    /// Cancelling calls that have not begun.
    CancelPosted,
    /// Cancelling calls that wait inside of the kernel, until their end is reaped.
    CancelRunning,
    /// Reads of `x` bytes, as many as go.
    Offload,
    /// Reads of `x` bytes, each followed by as long a time of the program's own.
    OffloadBusy,
}

/// Who makes the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in super::super) enum By {
    /// The program, one by one, without a ring.
    Traps,
    /// The ring of that name.
    Direct,
    Threads,
    Uring,
    Sqpoll,
    /// Syscall threads on another CPU.
    OtherCpu,
    /// Syscall threads where the measured load says.
    Measured,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Metric {
    Ns,
    UserNs,
    P50,
    P99,
    Rate,
}

impl Metric {
    /// Its name and unit in rows.
    pub(in super::super) const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Ns => ("ns", "ns"),
            Self::UserNs => ("user_ns", "ns"),
            Self::P50 => ("p50", "ns"),
            Self::P99 => ("p99", "ns"),
            Self::Rate => ("rate", "1/s"),
        }
    }
}

/// What a worker of `syscalls` found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Found {
    /// Calls, chains or pieces of the program's own code that were measured.
    pub(in super::super) units: u64,
    /// What they came to.
    pub(in super::super) values: Vec<(Metric, f64)>,
}

/// Runs the worker.
pub(in super::super) fn run(args: &SyscallsArgs) -> anyhow::Result<Found> {
    ensure!(args.x > 0, "nothing to do: give --x at least 1");
    let Some(cpu) = args.cpu else { return work(args) };
    // In a thread of its own, so that those that the kernel's work is done on may run elsewhere.
    let pinned = || {
        pin_this_thread(&[cpu]).with_context(|| format!("cannot use CPU {cpu}"))?;
        work(args)
    };
    std::thread::scope(|scope| scope.spawn(pinned).join())
        .map_err(|_| anyhow::anyhow!("the worker's thread panicked"))?
}

fn work(args: &SyscallsArgs) -> anyhow::Result<Found> {
    let clock = Clock::new(args.ms, None);
    match args.case {
        Case::Nop | Case::Stat | Case::Read | Case::Chain => batches::run(args, clock),
        Case::UserWrite | Case::UserRead | Case::UserNull | Case::UserAlone => {
            slowdown::run(args, clock)
        }
        Case::CancelPosted | Case::CancelRunning => cancelled::run(args),
        Case::Offload | Case::OffloadBusy => offloaded::run(args, clock),
    }
}

/// The ring that makes the calls; nothing if the program does.
fn ring(args: &SyscallsArgs) -> anyhow::Result<Option<AnyRing<Buf>>> {
    let engine = match args.by {
        By::Traps => return Ok(None),
        By::Direct => Engine::Direct,
        By::Threads | By::OtherCpu | By::Measured => Engine::Threads,
        By::Uring => Engine::Uring,
        By::Sqpoll => Engine::Sqpoll,
    };
    let mut options = Options { pool_buffers: 64, ..Options::with_engine(engine) };
    match (args.by, args.other_cpu) {
        (By::OtherCpu, Some(cpu)) => options.placement = Placement::Cpus(vec![cpu]),
        (By::OtherCpu, None) => bail!("the calls are to be made elsewhere: give --other-cpu"),
        (By::Measured, _) => options.placement = Placement::Measured,
        (By::Sqpoll, cpu) => options.sqpoll_cpu = cpu,
        _ => {}
    }
    Ok(Some(AnyRing::new(&options)?))
}

/// Waits until `n` calls have ended, and hands out their completions.
fn reap_all(
    ring: &mut AnyRing<Buf>,
    mut n: usize,
    mut sink: impl FnMut(Completion<Buf>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    while n > 0 {
        ring.wait(None)?;
        let mut outcome = Ok(());
        n -= ring.reap(&mut |done| {
            if let Err(error) = sink(done) {
                outcome = Err(error);
            }
        });
        outcome?;
    }
    Ok(())
}

/// The cost of one of the `units` of a round, in nanoseconds.
fn timed(
    clock: Clock,
    units: u64,
    round: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Found> {
    let answer = clock.measure(units, round)?;
    Ok(Found { units: answer.units, values: vec![(Metric::Ns, answer.ns)] })
}
