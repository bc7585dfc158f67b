//! What came out of a load: counts, errors by kind, latency.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::client::Tally;
use super::{Histogram, LoadOptions};

/// Requests that got no answer, by what went wrong, and answers that say no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Errors {
    /// Connections that did not open.
    pub connect: u64,
    /// Requests lost because reading failed or the connection ended too early.
    pub read: u64,
    /// Requests lost because writing failed.
    pub write: u64,
    /// Requests that were given up, or connections that took too long to open.
    pub timeout: u64,
    /// Requests lost because the server answered with something that is no reply, or with one too
    /// many.
    pub protocol: u64,
    /// Answers whose status is not 2xx or 3xx. They are counted as requests too.
    pub status: u64,
}

impl Errors {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.connect + self.read + self.write + self.timeout + self.protocol + self.status
    }

    fn add(&mut self, other: &Errors) {
        self.connect += other.connect;
        self.read += other.read;
        self.write += other.write;
        self.timeout += other.timeout;
        self.protocol += other.protocol;
        self.status += other.status;
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            ("connect", self.connect),
            ("read", self.read),
            ("write", self.write),
            ("timeout", self.timeout),
            ("protocol", self.protocol),
            ("status", self.status),
        ];
        let some: Vec<String> = kinds
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        if some.is_empty() { f.write_str("none") } else { f.write_str(&some.join(", ")) }
    }
}

/// What a load has found.
#[derive(Clone, Debug)]
pub struct LoadReport {
    /// The load.
    pub options: LoadOptions,
    /// Answers received, whatever their status.
    pub requests: u64,
    /// What went wrong.
    pub errors: Errors,
    /// Open loop: requests that were to start and had no answer two seconds after the end.
    pub unanswered: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Connections that were begun.
    pub opened: u64,
    /// From the first request to the end.
    pub elapsed: Duration,
    /// Time from a request's start, or in an open loop from when it was to start, to the last byte
    /// of its answer.
    pub latency: Histogram,
}

/// The figures of a report, as `--json` writes them. Latencies are in nanoseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    mode: &'static str,
    connections: usize,
    threads: usize,
    pipeline: usize,
    rate: Option<f64>,
    seconds: f64,
    requests: u64,
    requests_per_second: f64,
    bytes: u64,
    opened: u64,
    errors: Errors,
    unanswered: u64,
    latency_ns: Latency,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Latency {
    mean: u128,
    p50: u128,
    p90: u128,
    p99: u128,
    p999: u128,
    max: u128,
}

impl LoadReport {
    pub(super) fn new(options: &LoadOptions, elapsed: Duration) -> LoadReport {
        LoadReport {
            options: options.clone(),
            requests: 0,
            errors: Errors::default(),
            unanswered: 0,
            bytes: 0,
            opened: 0,
            elapsed,
            latency: Histogram::default(),
        }
    }

    pub(super) fn add(&mut self, tally: &Tally, unanswered: u64) {
        self.requests += tally.requests;
        self.errors.add(&tally.errors);
        self.unanswered += unanswered;
        self.bytes += tally.bytes;
        self.opened += tally.opened;
        self.latency.merge(&tally.latency);
    }

    /// Answers a second.
    pub fn requests_per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The figures alone, to be serialised.
    pub fn summary(&self) -> Summary {
        let at = |q| self.latency.quantile(q).as_nanos();
        Summary {
            mode: if self.options.rate.is_some() { "open" } else { "closed" },
            connections: self.options.connections,
            threads: self.options.threads,
            pipeline: self.options.pipeline,
            rate: self.options.rate,
            seconds: self.elapsed.as_secs_f64(),
            requests: self.requests,
            requests_per_second: self.requests_per_second(),
            bytes: self.bytes,
            opened: self.opened,
            errors: self.errors,
            unanswered: self.unanswered,
            latency_ns: Latency {
                mean: self.latency.mean().as_nanos(),
                p50: at(0.5),
                p90: at(0.9),
                p99: at(0.99),
                p999: at(0.999),
                max: self.latency.max().as_nanos(),
            },
        }
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let seconds = self.elapsed.as_secs_f64();
        match options.rate {
            Some(rate) => write!(f, "open loop, {rate} requests/s")?,
            None => write!(f, "closed loop")?,
        }
        writeln!(
            f,
            ", {} connections, {} threads, {seconds:.2} s",
            options.connections, options.threads
        )?;
        writeln!(f, "  requests   {:>10}  {:.0}/s", self.requests, self.requests_per_second())?;
        writeln!(
            f,
            "  read       {:>10.1}  MB, {:.1} MB/s",
            self.bytes as f64 / 1e6,
            self.bytes as f64 / 1e6 / seconds
        )?;
        writeln!(f, "  opened     {:>10}  connections", self.opened)?;
        writeln!(f, "  errors     {:>10}  {}", self.errors.total(), self.errors)?;
        if options.rate.is_some() {
            writeln!(f, "  unanswered {:>10}", self.unanswered)?;
        }
        write!(f, "  latency    mean {:.2?}", self.latency.mean())?;
        for (name, q) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
            write!(f, "  {name} {:.2?}", self.latency.quantile(q))?;
        }
        writeln!(f, "  max {:.2?}", self.latency.max())
    }
}
