//! The command line: what was asked for.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError, Options};
use crate::experiment::ExperimentArgs;
use crate::experiment::worker::{self, DispatchArgs, StealArgs, SyscallsArgs, WorkerArgs};
use crate::load::LoadArgs;
use crate::{experiment, explain, load, serve};

/// A web server built from five papers on event-driven servers.
///
/// Without a subcommand it serves its embedded sample site on 127.0.0.1:8080, with live figures at /-/.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a directory, or the embedded sample site
    Serve(ServeArgs),
    /// Print the cache geometry, the memory map and what the start-up checks found
    Explain(ServeArgs),
    /// Read the configuration and say what is wrong with it
    Check(ServeArgs),
    /// Put load on a server and report what it took
    Load(LoadArgs),
    /// Repeat a measurement: baselines, mechanisms and peers in one run
    Experiment(ExperimentArgs),
    /// One window of an experiment, in a process of its own
    #[command(hide = true)]
    Worker(WorkerArgs),
    /// One window of `dispatch`, in a process of its own
    #[command(hide = true)]
    DispatchWorker(DispatchArgs),
    /// One window of an experiment on stealing, in a process of its own
    #[command(hide = true)]
    StealWorker(StealArgs),
    /// One window of `syscalls`, in a process of its own
    #[command(hide = true)]
    SyscallsWorker(SyscallsArgs),
}

/// `serve`, `explain` and `check` take the same options: they do, print and judge the same configuration.
#[derive(Args, Clone, Debug, Default)]
pub struct ServeArgs {
    #[command(flatten)]
    options: Options,
    /// TOML file with the same options, by their names without dashes
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ServeArgs {
    /// The checked configuration: the command line over the file over the defaults.
    pub fn config(self) -> Result<Config, ConfigError> {
        let file = self.config.as_deref().map(Options::from_file).transpose()?.unwrap_or_default();
        self.options.or(file).check()
    }
}

/// Exit status for a run that failed.
const FAILED: u8 = 1;
/// Exit status for wrong usage or configuration, as clap's own.
const WRONG_USAGE: u8 = 2;

/// Runs what the command line asks for.
#[must_use]
pub fn run() -> ExitCode {
    let command = Cli::parse().command.unwrap_or_else(|| Command::Serve(ServeArgs::default()));
    let outcome = match command {
        Command::Serve(args) => args.config().map_err(Into::into).and_then(|c| serve::run(&c)),
        Command::Explain(args) => args.config().map_err(Into::into).and_then(|c| explain::run(&c)),
        Command::Check(args) => args.config().map_err(Into::into).and_then(|c| explain::check(&c)),
        Command::Load(args) => load::main(&args),
        Command::Experiment(args) => experiment::run(&args),
        Command::Worker(args) => worker::run(&args),
        Command::DispatchWorker(args) => worker::run_dispatch(&args),
        Command::StealWorker(args) => worker::run_steal(&args),
        Command::SyscallsWorker(args) => worker::run_syscalls(&args),
    };
    outcome.unwrap_or_else(|error| {
        let wrong_usage = error.downcast_ref::<ConfigError>().is_some();
        if wrong_usage {
            // Its message holds its source.
            eprintln!("demo-server: {error}");
        } else {
            eprintln!("demo-server: {error:#}");
        }
        ExitCode::from(if wrong_usage { WRONG_USAGE } else { FAILED })
    })
}
