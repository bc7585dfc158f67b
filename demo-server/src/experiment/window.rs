//! Running servers, one of them under load at a time, and what it took from the machine meanwhile.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::interrupt::Interrupt;
use super::paired::Measurement;
use super::probe;
use super::process::{Process, spawn_on};
use super::scratch::Scratch;
use super::servers::{Place, Server};
use super::usage::Accountant;
use super::wrk::{self, WrkReport};
use crate::load::{self, LoadOptions, Target};

/// Answered requests for each second of CPU time that the server's whole process tree took.
pub(super) const PER_CPU_SECOND: &str = "requests_per_cpu_second";
/// 99 of 100 answers came within this time, in microseconds.
pub(super) const LATENCY_P99: &str = "latency_p99";

/// How long a server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(10);
/// After the load, so that a server has closed its connections and paid for that within the window that opened them.
const SETTLE: Duration = Duration::from_millis(20);
/// wrk may take this much longer than it was told.
const WRK_LIMIT: Duration = Duration::from_secs(10);

/// Where requests come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// wrk, at this path.
    Wrk(PathBuf),
    /// The load generator of this program.
    Own,
}

/// What a load found.
struct Found {
    requests: u64,
    requests_per_second: f64,
    p50: Duration,
    p99: Duration,
    faults: Vec<String>,
}

/// A running server.
struct Lane {
    name: &'static str,
    process: Process,
    addr: SocketAddr,
    first_answer: Duration,
}

/// Servers that run side by side, of which one is under load at a time.
pub(super) struct Bench {
    lanes: Vec<Lane>,
    accountant: Accountant,
    load: Load,
    load_cpu: usize,
    path: String,
    window: Duration,
    interrupt: Interrupt,
    /// Errors that the load met, by server.
    pub(super) faults: Vec<String>,
    /// The largest part of a CPU that a server took while another one was under load, and which one it was.
    pub(super) disturbance: Option<(f64, &'static str)>,
}

impl Bench {
    pub(super) fn new(
        load: Load,
        load_cpu: usize,
        path: &str,
        window: Duration,
        interrupt: Interrupt,
    ) -> anyhow::Result<Bench> {
        let (accountant, path) = (Accountant::new()?, path.to_string());
        let (lanes, faults) = (Vec::new(), Vec::new());
        Ok(Bench {
            lanes,
            accountant,
            load,
            load_cpu,
            path,
            window,
            interrupt,
            faults,
            disturbance: None,
        })
    }

    /// Starts a server and waits until it answers with the file's bytes.
    pub(super) fn add(
        &mut self,
        name: &'static str,
        server: Server,
        place: &Place<'_>,
        scratch: &Scratch,
        expected: &[u8],
    ) -> anyhow::Result<()> {
        let command = server.command(place, scratch)?;
        let begun = Instant::now();
        let mut process = Process::start(name, &command, &[place.cpu], scratch.path())?;
        let mut last = None;
        let answered = self.interrupt.wait_for(START_LIMIT, Duration::from_millis(1), || {
            if let Some(status) = process.exited()? {
                bail!("{name} ended at once ({status}): {}", process.last_words());
            }
            match probe::get(place.addr, &self.path) {
                Ok((200, body)) if body == expected => return Ok(Some(begun.elapsed())),
                Ok((status, body)) => {
                    last = Some(format!("status {status} with {} bytes", body.len()))
                }
                Err(error) => last = Some(error.to_string()),
            }
            Ok(None)
        })?;
        let Some(first_answer) = answered else {
            bail!(
                "{name} did not serve {} within {START_LIMIT:?}: {}; {}",
                self.path,
                last.unwrap_or_default(),
                process.last_words()
            );
        };
        self.lanes.push(Lane { name, process, addr: place.addr, first_answer });
        Ok(())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.lanes.iter().any(|lane| lane.name == name)
    }

    /// How long each server took from its start to its first answer.
    pub(super) fn first_answers(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        self.lanes.iter().map(|lane| (lane.name, lane.first_answer))
    }

    /// Loads every server for a moment, so that files, code and buffers are where they will be.
    pub(super) fn warm_up(&self, connections: u32, duration: Duration) -> anyhow::Result<()> {
        for lane in &self.lanes {
            self.interrupt.check()?;
            self.own_load(lane.addr, connections, duration)
                .with_context(|| format!("warming up {}", lane.name))?;
        }
        Ok(())
    }

    /// Loads one server for a window. Errors of the load become `faults`; an error is what makes going on pointless.
    pub(super) fn measure(&mut self, name: &str, connections: u64) -> anyhow::Result<Measurement> {
        let under_load = self.lanes.iter().position(|lane| lane.name == name);
        let under_load = under_load.with_context(|| format!("no server {name}"))?;
        let addr = self.lanes[under_load].addr;
        let pids: Vec<u32> = self.lanes.iter().map(|lane| lane.process.pid()).collect();
        let before = self.accountant.sample(&pids)?;
        let begun = Instant::now();
        let found = match &self.load {
            Load::Wrk(program) => self.wrk(program, addr, u32::try_from(connections)?)?,
            Load::Own => self.own_load(addr, u32::try_from(connections)?, self.window)?,
        };
        thread::sleep(SETTLE);
        let elapsed = begun.elapsed().as_secs_f64();
        let after = self.accountant.sample(&pids).context("a server ended under load")?;
        let cpu: Vec<f64> = after
            .iter()
            .zip(&before)
            .map(|(after, before)| after.cpu_since(before).as_secs_f64())
            .collect();
        let faults = found
            .faults
            .iter()
            .map(|fault| format!("{name} at {connections} connections: {fault}"));
        self.faults.extend(faults);
        self.note_disturbance(under_load, &cpu, elapsed);
        let spent = cpu[under_load];
        ensure!(
            found.requests > 0,
            "{name} at {connections} connections answered nothing: {}",
            found.faults.join("; ")
        );
        ensure!(spent > 0.0, "the CPU time of {name} does not advance; is /proc complete?");
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        Ok(Measurement(vec![
            (PER_CPU_SECOND, "1/s", found.requests as f64 / spent),
            ("requests_per_second", "1/s", found.requests_per_second),
            ("latency_p50", "us", micros(found.p50)),
            (LATENCY_P99, "us", micros(found.p99)),
            ("server_cpu", "share", spent / (found.requests as f64 / found.requests_per_second)),
            ("resident", "MiB", after[under_load].resident_bytes as f64 / f64::from(1 << 20)),
        ]))
    }

    fn note_disturbance(&mut self, under_load: usize, cpu: &[f64], elapsed: f64) {
        for (index, (lane, spent)) in self.lanes.iter().zip(cpu).enumerate() {
            let share = spent / elapsed;
            if index != under_load && self.disturbance.is_none_or(|(worst, _)| share > worst) {
                self.disturbance = Some((share, lane.name));
            }
        }
    }

    fn wrk(
        &self,
        program: &std::path::Path,
        addr: SocketAddr,
        connections: u32,
    ) -> anyhow::Result<Found> {
        let url = format!("http://{addr}{}", self.path);
        let mut command = wrk::command(program, &url, connections, self.window.as_secs().max(1));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = self.output_of(&mut command, self.window + WRK_LIMIT)?;
        let report = WrkReport::parse(&output)?;
        Ok(Found {
            requests: report.requests,
            requests_per_second: report.requests_per_second,
            p50: report.p50,
            p99: report.p99,
            faults: report.faults,
        })
    }

    /// Runs a program that prints little on the load's CPU, for at most `limit`.
    fn output_of(&self, command: &mut Command, limit: Duration) -> anyhow::Result<String> {
        let mut child = spawn_on(command, &[self.load_cpu])?;
        let ended =
            self.interrupt.wait_for(limit, Duration::from_millis(5), || Ok(child.try_wait()?));
        if !matches!(ended, Ok(Some(_))) {
            child.kill()?;
        }
        let output = child.wait_with_output()?;
        let status = ended?.with_context(|| format!("wrk did not end within {limit:?}"))?;
        ensure!(
            status.success(),
            "wrk failed ({status}): {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn own_load(
        &self,
        addr: SocketAddr,
        connections: u32,
        duration: Duration,
    ) -> anyhow::Result<Found> {
        let target =
            Target { host: addr.ip().to_string(), port: addr.port(), path: self.path.clone() };
        let report = load::run(&LoadOptions {
            cpus: vec![self.load_cpu],
            ..LoadOptions::closed(addr, target.request(), connections as usize, duration)
        })?;
        let errors = (report.errors.total() > 0).then(|| format!("errors: {}", report.errors));
        Ok(Found {
            requests: report.requests,
            requests_per_second: report.requests_per_second(),
            p50: report.latency.quantile(0.5),
            p99: report.latency.quantile(0.99),
            faults: errors.into_iter().collect(),
        })
    }
}
