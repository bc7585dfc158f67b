//! What does a small request cost in nginx, in this server, and in this server without its
//! mechanisms?
//!
//! A closed loop over kept-alive connections asks for one file of 1 KiB (FlexSC §6.2.1 with `ab`).
//! Every server has one thread of work on one CPU, and the load has another. They all run the whole
//! time, and one is under load at a time, in A/B/B/A blocks.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::paired::{Comparison, Finding, Paired};
use super::process::find_program;
use super::progress::Progress;
use super::report::{Better, Report};
use super::scratch::Scratch;
use super::servers::{H2O, LIGHTTPD, NGINX, NGINX_COPY, Place, Server, free_addresses};
use super::window::{Bench, LATENCY_P99, Load, PER_CPU_SECOND};
use super::{Outcome, QUICK_LIMIT, Setup};

const OURS: &str = "ours";
const AGAIN: &str = "ours-again";
const OFF_DIRECT: &str = "off-direct";
const OFF_URING: &str = "off-uring";

/// Every mechanism off, in front of traps.
const DIRECT: &[&str] = &[
    "--scheduler",
    "fifo",
    "--alloc",
    "system",
    "--steal",
    "none",
    "--ring",
    "direct",
    "--delivery",
    "eager",
];
/// Every mechanism off but a plain io_uring.
const URING: &[&str] = &[
    "--scheduler",
    "fifo",
    "--alloc",
    "system",
    "--steal",
    "none",
    "--ring",
    "uring",
    "--delivery",
    "eager",
];

/// The servers, in the order they are started. The first two are needed, the others are notes where
/// they don't run.
static SERVERS: [(&str, Server); 8] = [
    (OURS, Server::Ours(&[])),
    ("nginx", Server::Peer(&NGINX)),
    (AGAIN, Server::Ours(&[])),
    (OFF_DIRECT, Server::Ours(DIRECT)),
    (OFF_URING, Server::Ours(URING)),
    ("nginx-copy", Server::Peer(&NGINX_COPY)),
    ("h2o", Server::Peer(&H2O)),
    ("lighttpd", Server::Peer(&LIGHTTPD)),
];
const NEEDED: usize = 2;

/// The file's size.
const BYTES: usize = 1024;
const FILE: &str = "1k.txt";
/// What starting wrk, settling and sampling add to a window.
const OVERHEAD: Duration = Duration::from_millis(60);
/// Servers not under load that take more of a CPU than this have disturbed the others.
const DISTURBING: f64 = 0.01;
/// Servers that wait for their CPU for more than this part of the time were not alone on it.
const CROWDED: f64 = 0.03;
/// A server below this share of its CPU waited for the load.
const SATURATED: f64 = 0.9;

/// Ratios over requests per CPU second, and one over latency.
const FINDINGS: [Finding; 11] = [
    rate("ours_vs_nginx", OURS, "nginx", None),
    rate("ours_vs_nginx_64", OURS, "nginx", Some(64)),
    rate("ours_vs_nginx_256", OURS, "nginx", Some(256)),
    rate("aa_null", OURS, AGAIN, None),
    rate("on_vs_off", OURS, OFF_DIRECT, None),
    rate("on_vs_off_uring", OURS, OFF_URING, None),
    rate("ring_vs_epoll", OFF_URING, OFF_DIRECT, None),
    rate("ours_vs_nginx_copy", OURS, "nginx-copy", None),
    rate("ours_vs_h2o", OURS, "h2o", None),
    rate("ours_vs_lighttpd", OURS, "lighttpd", None),
    Finding {
        id: "latency_ours_vs_nginx_256",
        of: OURS,
        to: "nginx",
        x: Some(256),
        metric: LATENCY_P99,
        better: Better::Lower,
    },
];

const fn rate(id: &'static str, of: &'static str, to: &'static str, x: Option<u64>) -> Finding {
    Finding { id, of, to, x, metric: PER_CPU_SECOND, better: Better::Higher }
}

/// Runs the experiment.
pub(super) fn run(setup: &Setup) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    let mut report = Report::measured("nginx");
    if NGINX.path().is_none() {
        let missing = "nginx is not installed, so there is nothing to compare with: apt-get install nginx wrk";
        report.note(missing);
        return Ok(Outcome { report, failure: Some(missing.into()) });
    }
    let load = match find_program("wrk") {
        Some(program) => Load::Wrk(program),
        None => Load::Own,
    };
    let window = Duration::from_secs(if setup.quick { 1 } else { 2 });
    describe(&mut report, setup, &load, window);
    let scratch = Scratch::new().context("cannot make a temporary directory")?;
    let root = scratch.dir("root")?;
    let body: Vec<u8> = (0..BYTES).map(|at| b"0123456789abcdef"[at % 16]).collect();
    std::fs::write(root.join(FILE), &body)?;
    let path = format!("/{FILE}");
    let mut bench =
        Bench::new(load, setup.load_cpu, &path, window, setup.interrupt.clone(), scratch)?;
    start(&mut bench, &root, &body, setup, &mut report)?;
    let blocks = plan(setup.quick, |name| bench.has(name));
    bench.warm_up(256, Duration::from_millis(if setup.quick { 200 } else { 1000 }))?;

    let mut paired = Paired::default();
    let mut progress = Progress::new(blocks.len());
    for (done, comparison) in blocks.iter().enumerate() {
        if setup.quick && begun.elapsed() + (window + OVERHEAD) * 4 > QUICK_LIMIT {
            report.note(format!(
                "{} of {} blocks did not fit into the time",
                blocks.len() - done,
                blocks.len()
            ));
            break;
        }
        progress.step(&format!(
            "{} and {} at {} connections",
            comparison.of, comparison.to, comparison.x
        ));
        paired.block(comparison, |name, connections| bench.measure(name, connections))?;
    }
    drop(progress);
    conclude(&mut report, &paired, &bench);
    let failure = match bench.faults.as_slice() {
        [] => None,
        faults => Some(format!("{} windows met errors, the first was {}", faults.len(), faults[0])),
    };
    Ok(Outcome { report, failure })
}

/// Says how it is measured.
fn describe(report: &mut Report, setup: &Setup, load: &Load, window: Duration) {
    let from = match load {
        Load::Wrk(_) => "wrk -t1",
        Load::Own => {
            "this program's own load generator, because wrk is not installed (apt-get install wrk),"
        }
    };
    report.note(format!(
        "{BYTES} byte file, kept-alive connections (x), closed loop from {from} on CPU {}, servers on CPU {}, windows of {} s in A/B/B/A blocks; \
         CPU time is that of all threads of all the server's processes",
        setup.load_cpu,
        setup.server_cpu,
        window.as_secs()
    ));
    if setup.load_cpu == setup.server_cpu {
        report.note("server and load share a CPU: compare the ratios of CPU time, not the rates and latencies");
    }
    let versions: Vec<String> =
        [&NGINX, &H2O, &LIGHTTPD].iter().filter_map(|peer| peer.version()).collect();
    report.note(format!(
        "peers: {}; nginx sends files as Debian sets it up (sendfile, tcp_nopush), nginx-copy reads and writes them",
        versions.join("; ")
    ));
}

/// Starts every server that can be.
fn start(
    bench: &mut Bench,
    root: &Path,
    body: &[u8],
    setup: &Setup,
    report: &mut Report,
) -> anyhow::Result<()> {
    let addresses = free_addresses(SERVERS.len()).context("no free ports")?;
    for (index, ((name, server), addr)) in SERVERS.into_iter().zip(addresses).enumerate() {
        if setup.quick && name == LIGHTTPD.program {
            continue;
        }
        if let Server::Peer(peer) = server
            && peer.path().is_none()
        {
            report.note(format!(
                "{name} is not installed and was left out: apt-get install {}",
                peer.program
            ));
            continue;
        }
        let place = Place { root, addr, cpu: setup.server_cpu };
        match bench.add(name, server, &place, body) {
            Err(error) if index >= NEEDED => {
                setup.interrupt.check()?;
                report.note(format!("{name} was left out: {error:#}"));
            }
            added => added?,
        }
    }
    Ok(())
}

/// The blocks, those of the main question first in every round.
fn plan(quick: bool, runs: impl Fn(&str) -> bool) -> Vec<Comparison> {
    let at = |of, to, points: &[u64]| {
        points.iter().map(move |&x| Comparison { of, to, x }).collect::<Vec<_>>()
    };
    let both = &[64, 256];
    let mut blocks = Vec::new();
    if quick {
        blocks.extend(at(OURS, "nginx", both));
        blocks.extend(at(OURS, AGAIN, both));
        blocks.extend(at(OURS, OFF_DIRECT, both));
        blocks.extend(at(OURS, "nginx", both));
        blocks.extend(at(OURS, OFF_URING, &[256]));
        blocks.extend(at(OFF_URING, OFF_DIRECT, &[256]));
        blocks.extend(at(OURS, "nginx-copy", &[256]));
        blocks.extend(at(OURS, "h2o", &[256]));
    } else {
        for _ in 0..3 {
            blocks.extend(at(OURS, "nginx", both));
            let others = [
                (OURS, AGAIN),
                (OURS, OFF_DIRECT),
                (OURS, OFF_URING),
                (OFF_URING, OFF_DIRECT),
                (OURS, "nginx-copy"),
                (OURS, "h2o"),
                (OURS, "lighttpd"),
            ];
            blocks.extend(others.iter().flat_map(|&(of, to)| at(of, to, both)));
            blocks.extend(at(OURS, "nginx", both));
        }
    }
    blocks.retain(|block| runs(block.of) && runs(block.to));
    blocks
}

/// Rows, ratios, and what a reader should know about them.
fn conclude(report: &mut Report, paired: &Paired, bench: &Bench) {
    paired.rows(report);
    report.ratios.extend(FINDINGS.iter().filter_map(|finding| paired.ratio(finding)));
    let starts = bench
        .first_answers()
        .map(|(name, time)| format!("{name} {:.0} ms", time.as_secs_f64() * 1e3));
    report.note(format!("start to first answer: {}", starts.collect::<Vec<_>>().join(", ")));
    if let Some((share, name)) = bench.disturbance
        && share > DISTURBING
    {
        report.note(format!(
            "{name} took {:.1} % of a CPU while another server was measured",
            share * 100.0
        ));
    }
    super::note_null(report);
    let crowded = bench.waited.0 / bench.waited.1.max(f64::MIN_POSITIVE);
    if crowded > CROWDED {
        report.note(format!(
            "other processes had the servers' CPU for {:.0} % of the measured time: repeat this on a quiet machine",
            crowded * 100.0
        ));
    } else {
        note_unsaturated(report);
    }
    bench.faults.iter().for_each(|fault| report.note(format!("error: {fault}")));
}

/// Names the servers that waited for the load.
fn note_unsaturated(report: &mut Report) {
    let idle: Vec<String> = report
        .rows
        .iter()
        .filter(|row| row.metric == "server_cpu" && row.median < SATURATED)
        .map(|row| format!("{} at {} ({:.0} %)", row.config, row.x, row.median * 100.0))
        .collect();
    if !idle.is_empty() {
        report.note(format!(
            "the load could not keep these servers busy, so their rate and latency are the load's: {}",
            idle.join(", ")
        ));
    }
}
