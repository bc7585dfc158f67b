//! A small HTTP/1.1 load generator: closed loop by default, open loop with a rate.
//!
//! | module | the question it answers |
//! |---|---|
//! | `target` | where does a URL point? |
//! | `reply` | where does one reply end and the next begin? |
//! | `connection` | what is a connection still to write and to read? |
//! | `client` | what happens on all connections of a thread? |
//! | `closed` | ask again as soon as there is an answer |
//! | `open` | ask at given times, whatever the answers do |
//! | `histogram` | how long did the answers take? |
//! | `report` | what came out? |
//! | `sys` | the system calls |

mod client;
mod closed;
mod connection;
mod histogram;
mod open;
mod reply;
mod report;
pub(crate) mod sys;
mod target;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use client::{Client, Tally};
pub use histogram::Histogram;
pub use reply::{Reply, ReplyError, ReplyReader};
pub use report::{Errors, LoadReport, Summary};
pub use target::{Target, TargetError};

/// Requests that a connection can have in flight at most.
const MAX_PIPELINE: u32 = 1024;

/// The command line of `demo-server load`.
#[derive(Clone, Debug, clap::Args)]
pub struct LoadArgs {
    /// What to ask for
    #[arg(value_name = "http://HOST[:PORT][/PATH]")]
    pub url: Target,
    /// Connections held open
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,
    /// How long to ask, in seconds
    #[arg(long, value_name = "S", default_value = "10", value_parser = seconds)]
    pub duration: Duration,
    /// Threads that share the connections
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: u32,
    /// Open a new connection after so many requests
    #[arg(long, value_name = "K")]
    pub requests_per_connection: Option<NonZeroU32>,
    /// Requests that a connection has in flight at once
    #[arg(long, value_name = "P", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PIPELINE)))]
    pub pipeline: u32,
    /// Open loop: start so many requests a second, and count latency from when each was to start
    #[arg(long, value_name = "R", value_parser = rate)]
    pub rate: Option<f64>,
    /// CPUs that the threads run on, for example 1 or 2,3
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub cpus: Vec<usize>,
    /// Give up on an answer after so many seconds
    #[arg(long, value_name = "S", default_value = "5", value_parser = seconds)]
    pub timeout: Duration,
    /// Write the figures as JSON too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// What load to put on which server.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The server.
    pub addr: SocketAddr,
    /// The bytes of one request, whose answer may have a body (so GET, not HEAD).
    pub request: Vec<u8>,
    /// Connections held open, at least as many as threads.
    pub connections: usize,
    /// How long requests are started.
    pub duration: Duration,
    /// Threads that share the connections, at least 1.
    pub threads: usize,
    /// Requests after which a connection is closed and another opened; `None`: never.
    pub requests_per_connection: Option<NonZeroU32>,
    /// Requests a connection has in flight at once, 1 to 1024.
    pub pipeline: usize,
    /// Requests started a second, by all threads together; `None`: closed loop.
    pub rate: Option<f64>,
    /// CPUs that the threads run on; empty: wherever the caller may.
    pub cpus: Vec<usize>,
    /// How long an answer, or a connection, is waited for.
    pub timeout: Duration,
}

impl LoadOptions {
    /// A closed loop of one thread, with no pipelining.
    pub fn closed(
        addr: SocketAddr,
        request: Vec<u8>,
        connections: usize,
        duration: Duration,
    ) -> LoadOptions {
        LoadOptions {
            addr,
            request,
            connections,
            duration,
            threads: 1,
            requests_per_connection: None,
            pipeline: 1,
            rate: None,
            cpus: Vec::new(),
            timeout: Duration::from_secs(5),
        }
    }

    fn from_args(args: &LoadArgs) -> anyhow::Result<LoadOptions> {
        let addr = args.url.resolve().with_context(|| format!("cannot find {}", args.url.host))?;
        Ok(LoadOptions {
            threads: args.threads as usize,
            requests_per_connection: args.requests_per_connection,
            pipeline: args.pipeline as usize,
            rate: args.rate,
            cpus: args.cpus.clone(),
            timeout: args.timeout,
            ..LoadOptions::closed(
                addr,
                args.url.request(),
                args.connections as usize,
                args.duration,
            )
        })
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!(self.threads >= 1, "a load needs a thread");
        ensure!(
            self.connections >= self.threads,
            "{} connections do not go round {} threads; ask for fewer threads",
            self.connections,
            self.threads
        );
        ensure!(
            (1..=MAX_PIPELINE as usize).contains(&self.pipeline),
            "a pipeline of {} requests; use 1 to {MAX_PIPELINE}",
            self.pipeline
        );
        ensure!(!self.request.is_empty(), "an empty request");
        if let Some(rate) = self.rate {
            ensure!(
                rate.is_finite() && rate > 0.0,
                "a rate of {rate} requests a second; use a number above 0"
            );
        }
        Ok(())
    }
}

/// Runs `demo-server load`: prints the figures, and fails if there were errors.
pub fn main(args: &LoadArgs) -> anyhow::Result<ExitCode> {
    let options = LoadOptions::from_args(args)?;
    crate::sys::raise_descriptor_limit();
    let report = run(&options)?;
    print!("{report}");
    if let Some(path) = &args.json {
        let json = serde_json::to_vec_pretty(&report.summary())?;
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let good = report.requests > 0 && report.errors.total() == 0 && report.unanswered == 0;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Puts the load on the server and returns what came back.
///
/// It ends by itself: after the options' timeout at most to connect, their duration, and in an open
/// loop two seconds for late answers. The clock starts when the connections are open. Fails if not
/// one of them opens, or if the options contradict each other.
pub fn run(options: &LoadOptions) -> anyhow::Result<LoadReport> {
    options.check()?;
    let until = Instant::now() + options.timeout;
    let (mut clients, mut open) = (Vec::with_capacity(options.threads), 0);
    for thread in 0..options.threads {
        let mut client = Client::new(options, share(options.connections, options.threads, thread))?;
        open += client.connect(until)?;
        clients.push(client);
    }
    if open == 0 {
        bail!(
            "no connection to {}; is the server running, and has this process descriptors left?",
            options.addr
        );
    }
    let start = Instant::now();
    let parts: Vec<anyhow::Result<(Tally, u64)>> = thread::scope(|scope| {
        let started: Vec<_> = clients
            .into_iter()
            .enumerate()
            .map(|(thread, client)| scope.spawn(move || run_thread(client, options, thread, start)))
            .collect();
        let joined = started.into_iter().map(|thread| thread.join());
        joined.map(|part| part.unwrap_or_else(|_| bail!("a load thread panicked"))).collect()
    });
    let mut report = LoadReport::new(options, start.elapsed());
    for part in parts {
        let (tally, unanswered) = part?;
        report.add(&tally, unanswered);
    }
    Ok(report)
}

fn run_thread(
    client: Client<'_>,
    options: &LoadOptions,
    thread: usize,
    start: Instant,
) -> anyhow::Result<(Tally, u64)> {
    if !options.cpus.is_empty() {
        let pinned = sys::pin_this_thread(&options.cpus);
        pinned.with_context(|| {
            format!("cannot run on CPUs {:?}; choose from those this process may use", options.cpus)
        })?;
    }
    Ok(match options.rate {
        Some(rate) => open::run(client, options, rate, thread, start)?,
        None => (closed::run(client, options, start)?, 0),
    })
}

/// The `part`-th of `parts` shares of `whole`, as equal as they can be.
fn share(whole: usize, parts: usize, part: usize) -> usize {
    whole / parts + usize::from(part < whole % parts)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("`{text}` is no time; write seconds, from 0.001 to 86400, such as 10 or 0.5");
    let seconds: f64 = text.parse().map_err(|_| wrong())?;
    if (0.001..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(wrong())
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let wrong =
        || format!("`{text}` is no rate; write requests a second, above 0 and at most 10000000");
    let rate: f64 = text.parse().map_err(|_| wrong())?;
    if rate > 0.0 && rate <= 1e7 { Ok(rate) } else { Err(wrong()) }
}
