//! Experiments: this server next to its peers and to itself with other policies, on this machine.
//!
//! | module | the question it answers |
//! |---|---|
//! | `nginx` | what does a small request cost here, in nginx, and without the mechanisms? |
//! | `stages` | what does a task cost as more and more are in flight through its stages? |
//! | `allocate` | what do an allocation, a permit and a free on another CPU cost? |
//! | `dispatch` | what does an event cost, here and at another core, and what do timers, stages and colors cost? |
//! | `unbalanced` | what do thefts bring where a few events are long, and cost where there is nothing to steal? |
//! | `penalty` | what does it bring to leave colors where their memory is warm? |
//! | `cache_efficient` | what does it bring to rob near cores first? |
//! | `syscalls` | what does a system call cost that is posted, and what does the program's own code cost between calls? |
//! | `stealing` | how are these three measured? |
//! | `worker` | what does one configuration cost, alone in a fresh process? |
//! | `runner` | how is a worker started, and what did it say? |
//! | `valgrind` | what did valgrind count? |
//! | `harpertown` | what would the tables of Mely's paper say, were its machine built to its own figures? |
//! | `scale` | how far does our own runtime scale, on up to 128 simulated cores? |
//! | `counted` | how are counts taken and written down that are the same every time? |
//! | `blocks` | which of the blocks fit into the time, and what did their workers find? |
//! | `paired` | in which order is what measured, and what follows? |
//! | `servers` | how is each server started? |
//! | `process` | does it run, and is it gone afterwards? |
//! | `usage` | what did it use? |
//! | `probe` | does it answer, and with the right bytes? |
//! | `window` | what did one window of load find? |
//! | `wrk` | what did wrk say? |
//! | `report` | how are figures written down? |
//! | `progress` | how far are we? |
//! | `scratch` | where do files go that must not stay? |
//! | `sys` | the system calls |
//! | `interrupt` | has somebody pressed Ctrl-C? |

mod allocate;
mod blocks;
mod cache_efficient;
mod counted;
mod dispatch;
mod harpertown;
mod interrupt;
mod nginx;
mod paired;
mod penalty;
mod probe;
mod process;
mod progress;
mod report;
mod runner;
mod scale;
mod scratch;
mod servers;
mod stages;
mod stealing;
mod sys;
mod syscalls;
mod unbalanced;
mod usage;
mod valgrind;
mod window;
pub mod worker;
mod wrk;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::load::sys::{allowed_cpus, pin_this_thread};
use interrupt::Interrupt;
pub use paired::{Comparison, Finding, Measurement, Paired};
pub use process::Process;
pub use report::{Better, Ratio, Report, Row};
pub use sys::Ended;
pub use usage::{Accountant, Sample};
pub use valgrind::{Cache, Counts, ValgrindError, net};
pub use wrk::{WrkError, WrkReport};

/// The command line of `demo-server experiment`.
#[derive(Clone, Debug, clap::Args)]
pub struct ExperimentArgs {
    /// Which experiment
    #[arg(value_enum, value_name = "NAME")]
    pub name: Name,
    /// End within 60 seconds: fewer and shorter windows
    #[arg(long)]
    pub quick: bool,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// CPU that the measured server runs on [default: the first that this process may use]
    #[arg(long, value_name = "N")]
    pub server_cpu: Option<usize>,
    /// CPU that the load comes from, or that a second core is on [default: the last that this process
    /// may use]
    #[arg(long, value_name = "N")]
    pub load_cpu: Option<usize>,
}

/// The experiments there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Name {
    /// 1 KiB files over keep-alive connections: this server, nginx, h2o, and this server without
    /// its mechanisms
    Nginx,
    /// A task's objects through three stages, 8 to 8000 tasks in flight: the slab, mimalloc, malloc
    Stages,
    /// Allocating and freeing, permits, frees on another CPU: the slab, mimalloc, malloc
    Allocate,
    /// Events of known and new colors, at this core and another, timers, elections, stalls: the colors,
    /// tokio, async-executor, rayon
    Dispatch,
    /// Short events and a few long ones, all on one core: Mely's thefts, Libasync-smp's, none, rayon, tokio
    Unbalanced,
    /// Events on memory that is warm where they are: thefts that heed it, and thefts that do not
    Penalty,
    /// A merge sort in two halves: thefts from near cores first, or from any
    CacheEfficient,
    /// System calls posted in batches of 1 to 64, and the program's own speed between them: traps, syscall
    /// threads, io_uring
    Syscalls,
}

/// Said where a peer is missing because it was not built in; the experiment's name follows.
const WITHOUT_PEERS: &str =
    "built without peers: cargo run --release --features peers -- experiment";

/// What every experiment is told.
struct Setup {
    quick: bool,
    server_cpu: usize,
    load_cpu: usize,
    /// Can processes and threads be bound to CPUs?
    can_pin: bool,
    interrupt: Interrupt,
}

/// What an experiment has to say, and whether it went well.
struct Outcome {
    report: Report,
    /// What went wrong, if something did; the report then says how far it came.
    failure: Option<String>,
}

/// Runs an experiment: prints its table, writes its JSON, and fails if it could not be carried out
/// or met an error.
pub fn run(args: &ExperimentArgs) -> anyhow::Result<ExitCode> {
    let cpus = allowed_cpus().context("cannot read which CPUs this process may use")?;
    let first = cpus.first().copied().unwrap_or(0);
    let server_cpu = args.server_cpu.unwrap_or(first);
    let load_cpu = args.load_cpu.unwrap_or(cpus.last().copied().unwrap_or(first));
    for cpu in [server_cpu, load_cpu] {
        ensure!(cpus.contains(&cpu), "this process may not run on CPU {cpu}; choose from {cpus:?}");
    }
    if let Some(path) = &args.json {
        // Better said now than after minutes of measuring.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let can_be = !path.is_dir() && folder.is_none_or(Path::is_dir);
        ensure!(can_be, "--json {}: name a file in a folder that exists", path.display());
    }
    let interrupt = Interrupt::install()?;
    // This process mostly sleeps; where it does not, it must not do so beside the server.
    let pinned = pin_this_thread(&[load_cpu]);
    let can_pin = pinned.is_ok();
    let needs_a_cpu = matches!(args.name, Name::Nginx | Name::Stages | Name::Allocate);
    if needs_a_cpu {
        pinned.context("cannot leave the server's CPU")?;
    }
    let setup = Setup { quick: args.quick, server_cpu, load_cpu, can_pin, interrupt };
    let outcome = match args.name {
        Name::Nginx => nginx::run(&setup)?,
        Name::Stages => stages::run(&setup)?,
        Name::Allocate => allocate::run(&setup)?,
        Name::Dispatch => dispatch::run(&setup)?,
        Name::Unbalanced => unbalanced::run(&setup)?,
        Name::Penalty => penalty::run(&setup)?,
        Name::CacheEfficient => cache_efficient::run(&setup)?,
        Name::Syscalls => syscalls::run(&setup)?,
    };
    print!("{}", outcome.report);
    if let Some(path) = &args.json {
        let json = outcome.report.to_json()?;
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(match outcome.failure {
        None => ExitCode::SUCCESS,
        Some(failure) => {
            eprintln!("demo-server: {failure}");
            ExitCode::FAILURE
        }
    })
}

/// A quick run is over by then.
const QUICK_LIMIT: Duration = Duration::from_secs(57);
/// A null further from 1 than this says how little the other ratios mean.
const NULL_TOLERANCE: f64 = 0.03;

/// Says so if two equal configurations differ by more than can be.
fn note_null(report: &mut Report) {
    let null = report.ratios.iter().find(|ratio| ratio.id == "aa_null");
    if let Some(median) = null.map(|ratio| ratio.median)
        && (median - 1.0).abs() > NULL_TOLERANCE
    {
        report.note(format!(
            "two equal configurations differ by a factor of {median:.3}: trust no ratio more finely than that"
        ));
    }
}
