//! How is a worker started, and what did it say?

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::ValueEnum;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Setup;
use super::blocks;
use super::interrupt::Interrupt;
use super::process::{Process, find_program};
use super::report::Report;
use super::scratch::Scratch;
use super::valgrind::{Cache, Counts, net};
use super::worker::{Answer, Bound, Job, Kernel, Source};

/// No window takes longer, valgrind's included.
const LIMIT: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(2);

/// The environment that a worker's allocator is tuned by.
pub(super) type Env = &'static [(&'static str, &'static str)];

/// What every worker says of itself.
#[derive(Deserialize)]
struct Units {
    units: u64,
}

/// A worker's orders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    pub(super) job: Job,
    pub(super) from: Source,
    pub(super) kernel: Kernel,
    pub(super) bound: Bound,
    pub(super) tasks: usize,
    pub(super) size: usize,
    pub(super) sites: usize,
    pub(super) at_once: bool,
    /// The environment that its allocator is tuned by.
    pub(super) env: Env,
}

impl Work {
    pub(super) const fn new(job: Job, from: Source) -> Work {
        Work {
            job,
            from,
            kernel: Kernel::Lines,
            bound: Bound::None,
            tasks: 1,
            size: 4096,
            sites: 1,
            at_once: false,
            env: &[],
        }
    }

    fn args(&self, length: Length) -> Vec<String> {
        let Work { job, from, kernel, bound, tasks, size, sites, at_once, .. } = *self;
        let (flag, length) = match length {
            Length::Ms(ms) => ("--ms", ms),
            Length::Rounds(rounds) => ("--rounds", rounds),
        };
        let mut args = vec!["worker".into(), name_of(job)];
        let options = [
            ("--from", name_of(from)),
            ("--kernel", name_of(kernel)),
            ("--bound", name_of(bound)),
            ("--tasks", tasks.to_string()),
            ("--size", size.to_string()),
            ("--sites", sites.to_string()),
            (flag, length.to_string()),
        ];
        args.extend(options.into_iter().flat_map(|(name, value)| [name.into(), value]));
        args.extend(at_once.then(|| "--at-once".into()));
        args
    }
}

pub(super) fn name_of(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or(String::new(), |value| value.get_name().into())
}

#[derive(Clone, Copy)]
enum Length {
    Ms(u64),
    Rounds(u64),
}

/// Starts workers, one at a time.
pub(super) struct Runner {
    program: PathBuf,
    valgrind: Option<PathBuf>,
    scratch: Scratch,
    cpu: usize,
    other_cpu: usize,
    ms: u64,
    /// No worker runs longer.
    until: Option<Instant>,
    interrupt: Interrupt,
}

impl Runner {
    pub(super) fn new(setup: &Setup, ms: u64) -> anyhow::Result<Runner> {
        Ok(Runner {
            program: std::env::current_exe().context("cannot find this program's file")?,
            valgrind: find_program("valgrind"),
            scratch: Scratch::new().context("cannot make a temporary directory")?,
            cpu: setup.server_cpu,
            other_cpu: setup.load_cpu,
            ms,
            until: blocks::end(setup.quick),
            interrupt: setup.interrupt.clone(),
        })
    }

    /// What a unit of the work costs in time, in nanoseconds.
    pub(super) fn ns(&self, work: &Work) -> anyhow::Result<f64> {
        let mut args: Vec<OsString> =
            work.args(Length::Ms(self.ms)).into_iter().map(OsString::from).collect();
        let mut cpus = vec![self.cpu];
        if work.job == Job::Remote {
            args.extend(["--other-cpu".into(), self.other_cpu.to_string().into()]);
            cpus.push(self.other_cpu);
        }
        let mut command = Command::new(&self.program);
        command.args(args).envs(work.env.iter().copied());
        Ok(self.answer::<Answer>(&command, &cpus)?.ns)
    }

    /// How long a worker measures.
    pub(super) fn window(&self) -> Duration {
        Duration::from_millis(self.ms)
    }

    /// The time that is left for workers.
    pub(super) fn left(&self) -> Duration {
        let until = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        until.unwrap_or(Duration::MAX)
    }

    /// Makes a note of an error that came because no time is left.
    pub(super) fn forgive_if_late(
        &self,
        report: &mut Report,
        what: &str,
        done: anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Err(error) = done else { return Ok(()) };
        self.check()?;
        if !self.left().is_zero() {
            return Err(error);
        }
        report.note(format!("{what} did not fit into the time: {error:#}"));
        Ok(())
    }

    /// An error once a signal has come.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.interrupt.check()
    }

    /// Is valgrind there?
    pub(super) fn can_count(&self) -> bool {
        self.valgrind.is_some()
    }

    /// The data misses of a unit of the work in the cache of level two, of runs of two lengths.
    pub(super) fn misses(&self, work: &Work, rounds: [u64; 2]) -> anyhow::Result<f64> {
        let folder = format!("/sys/devices/system/cpu/cpu{}/cache", self.cpu);
        let folder = Path::new(&folder);
        let (first, second) = (Cache::read(folder, 1)?, Cache::read(folder, 2)?);
        let tool = [
            "--tool=cachegrind".to_string(),
            "--cache-sim=yes".into(),
            format!("--D1={first}"),
            format!("--LL={second}"),
        ];
        let args = |rounds| work.args(Length::Rounds(rounds));
        self.counted(rounds, (work.env, args), &tool, "--cachegrind-out-file", |counts| {
            Ok(counts.data_misses()?)
        })
    }

    /// The instructions of a unit of the work, of runs of two lengths.
    pub(super) fn instructions(&self, work: &Work, rounds: [u64; 2]) -> anyhow::Result<f64> {
        self.instructions_of(rounds, work.env, |rounds| work.args(Length::Rounds(rounds)))
    }

    /// The instructions of a unit of what a worker does that is started with `args`, which depend on the rounds, in
    /// `env`.
    pub(super) fn instructions_of(
        &self,
        rounds: [u64; 2],
        env: Env,
        args: impl Fn(u64) -> Vec<String>,
    ) -> anyhow::Result<f64> {
        let tool = ["--tool=callgrind".to_string()];
        self.counted(rounds, (env, args), &tool, "--callgrind-out-file", |counts| {
            Ok(counts.instructions()?)
        })
    }

    fn counted(
        &self,
        rounds: [u64; 2],
        (env, args_of): (Env, impl Fn(u64) -> Vec<String>),
        tool: &[String],
        out: &str,
        read: impl Fn(&Counts) -> anyhow::Result<u64>,
    ) -> anyhow::Result<f64> {
        let valgrind = self.valgrind.as_ref().context("apt-get install valgrind")?;
        let mut runs = [(0, 0); 2];
        for (run, rounds) in runs.iter_mut().zip(rounds) {
            let file = self.scratch.path().join("counts");
            let mut args: Vec<OsString> = tool.iter().map(OsString::from).collect();
            let mut named = OsString::from(format!("{out}="));
            named.push(&file);
            args.extend([named, self.program.clone().into()]);
            args.extend(args_of(rounds).into_iter().map(OsString::from));
            let mut command = Command::new(valgrind);
            command.args(args).envs(env.iter().copied());
            let answer: Units = self.answer(&command, &[self.cpu])?;
            let text = fs::read_to_string(&file).context("valgrind has written nothing")?;
            *run = (read(&Counts::parse(&text)?)?, answer.units);
        }
        net(runs[0], runs[1]).context(
            "the longer of two runs did no more work, or counted less: chance outweighs the work",
        )
    }

    /// What a worker of this program says that is started with `args` on `cpus`.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        args: &[String],
        cpus: &[usize],
    ) -> anyhow::Result<T> {
        self.answer(Command::new(&self.program).args(args), cpus)
    }

    fn answer<T: DeserializeOwned>(&self, command: &Command, cpus: &[usize]) -> anyhow::Result<T> {
        let process = Process::start("worker", command, cpus, self.scratch.path())?;
        let limit = LIMIT.min(self.left());
        let ended = self.interrupt.wait_for(limit, STEP, || process.ended())?;
        let Some(ended) = ended else { bail!("a worker did not end in time: {command:?}") };
        if !ended.is_success() {
            bail!("a worker ended with {ended}: {}", process.last_words());
        }
        let output = process.output();
        let line = output.lines().rev().find(|line| line.starts_with('{'));
        let line = line.with_context(|| format!("a worker gave no answer: {output}"))?;
        serde_json::from_str(line).with_context(|| format!("a worker's answer: {line}"))
    }
}
