//! Running servers, one of them under load at a time, and what it took from the machine meanwhile.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::interrupt::Interrupt;
use super::paired::Measurement;
use super::probe;
use super::process::Process;
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
/// After the load, so that a server has closed its connections and paid for that within the window
/// that opened them.
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
    // Fields are dropped in this order: the servers end before their files go.
    lanes: Vec<Lane>,
    scratch: Scratch,
    accountant: Accountant,
    load: Load,
    load_cpu: usize,
    path: String,
    window: Duration,
    interrupt: Interrupt,
    /// Errors that the load met, by server.
    pub(super) faults: Vec<String>,
    /// The largest part of a CPU that a server took while another one was under load, and which one
    /// it was.
    pub(super) disturbance: Option<(f64, &'static str)>,
    /// Seconds for which servers under load had to wait for their CPU, and seconds that they were
    /// under load.
    pub(super) waited: (f64, f64),
}

impl Bench {
    /// No servers yet. `scratch` is theirs, and is removed when they have ended.
    pub(super) fn new(
        load: Load,
        load_cpu: usize,
        path: &str,
        window: Duration,
        interrupt: Interrupt,
        scratch: Scratch,
    ) -> anyhow::Result<Bench> {
        Ok(Bench {
            lanes: Vec::new(),
            scratch,
            accountant: Accountant::new()?,
            load,
            load_cpu,
            path: path.to_string(),
            window,
            interrupt,
            faults: Vec::new(),
            disturbance: None,
            waited: (0.0, 0.0),
        })
    }

    /// Starts a server and waits until it answers with the file's bytes.
    pub(super) fn add(
        &mut self,
        name: &'static str,
        server: Server,
        place: &Place<'_>,
        expected: &[u8],
    ) -> anyhow::Result<()> {
        let command = server.command(name, place, &self.scratch)?;
        let begun = Instant::now();
        let process = Process::start(name, &command, &[place.cpu], self.scratch.path())?;
        let mut last = None;
        let answered = self.interrupt.wait_for(START_LIMIT, Duration::from_millis(1), || {
            if let Some(ended) = process.ended()? {
                bail!("{name} ended at once ({ended}): {}", process.last_words());
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

    /// Loads one server for a window. Errors of the load become `faults`; an error is what makes
    /// going on pointless.
    pub(super) fn measure(&mut self, name: &str, connections: u64) -> anyhow::Result<Measurement> {
        self.interrupt.check()?;
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
        self.waited.0 += after[under_load].waited_since(&before[under_load]).as_secs_f64();
        self.waited.1 += elapsed;
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

    fn wrk(&self, program: &Path, addr: SocketAddr, connections: u32) -> anyhow::Result<Found> {
        let url = format!("http://{addr}{}", self.path);
        let seconds = self.window.as_secs().max(1);
        let command = wrk::command(program, &url, connections, seconds);
        let process = Process::start("wrk", &command, &[self.load_cpu], self.scratch.path())?;
        let limit = Duration::from_secs(seconds) + WRK_LIMIT;
        let ended = self.interrupt.wait_for(limit, Duration::from_millis(5), || process.ended())?;
        let ended = ended.with_context(|| format!("wrk did not end within {limit:?}"))?;
        ensure!(ended.is_success(), "wrk failed ({ended}): {}", process.last_words());
        let report = WrkReport::parse(&process.output())?;
        Ok(Found {
            requests: report.requests,
            requests_per_second: report.requests_per_second,
            p50: report.p50,
            p99: report.p99,
            faults: report.faults,
        })
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
