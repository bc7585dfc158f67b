//! wrk, the load generator that others will check us with: what to call it with, and what it says.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use thiserror::Error;

/// What one run of `wrk --latency` found.
#[derive(Clone, Debug, PartialEq)]
pub struct WrkReport {
    /// Answers received.
    pub requests: u64,
    /// Answers a second.
    pub requests_per_second: f64,
    /// Half of the answers came within this time.
    pub p50: Duration,
    /// 99 of 100 answers came within this time.
    pub p99: Duration,
    /// Its lines about errors; none if all went well.
    pub faults: Vec<String>,
}

/// The output is not that of `wrk --latency`.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum WrkError {
    /// A line is missing.
    #[error("wrk printed no `{0}`; is this Debian's wrk 4?")]
    Missing(&'static str),
    /// A line is there and cannot be read.
    #[error("wrk printed a `{0}` that is no number")]
    Malformed(&'static str),
}

/// One thread that asks for `url` over `connections` connections, for whole seconds: wrk takes no
/// others.
pub(super) fn command(program: &Path, url: &str, connections: u32, seconds: u64) -> Command {
    let mut command = Command::new(program);
    command
        .args(["-t1", "--latency"])
        .arg(format!("-c{connections}"))
        .arg(format!("-d{seconds}s"))
        .arg(url);
    command
}

impl WrkReport {
    /// Reads what wrk has printed.
    pub fn parse(text: &str) -> Result<WrkReport, WrkError> {
        let line = |what: &'static str, is: fn(&str) -> bool| {
            text.lines().map(str::trim).find(|line| is(line)).ok_or(WrkError::Missing(what))
        };
        let requests = line("requests in", |line| line.contains(" requests in "))?;
        let requests =
            first_word(requests).parse().map_err(|_| WrkError::Malformed("requests in"))?;
        let rate = line("Requests/sec:", |line| line.starts_with("Requests/sec:"))?;
        let rate = rate.split_whitespace().nth(1).and_then(|rate| rate.parse().ok());
        let p50 = time(line("50%", |line| line.starts_with("50% "))?);
        let p99 = time(line("99%", |line| line.starts_with("99% "))?);
        let is_fault =
            |line: &&str| line.starts_with("Socket errors:") || line.starts_with("Non-2xx");
        Ok(WrkReport {
            requests,
            requests_per_second: rate.ok_or(WrkError::Malformed("Requests/sec:"))?,
            p50: p50.ok_or(WrkError::Malformed("50%"))?,
            p99: p99.ok_or(WrkError::Malformed("99%"))?,
            faults: text.lines().map(str::trim).filter(is_fault).map(String::from).collect(),
        })
    }
}

fn first_word(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

/// The time that a line of the distribution ends with, such as `99%    2.10ms`.
fn time(line: &str) -> Option<Duration> {
    let text = line.split_whitespace().last()?;
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}
