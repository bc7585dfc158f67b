//! What does an event cost, here and at another core, and what do timers, stages and colors cost?
//!
//! An event handled is one post and one run; in the peers, what their users do instead. A ratio to `tokio`, `async_executor`
//! or `rayon` is one to an empty task, which is spawned and runs; one to `_wake` is to a task that is there and wakes
//! itself, the cheapest event that they have, and the least that it can be told.
//!
//! | ratios | our event |
//! |---|---|
//! | `known_color_` | of one of 64 colors that are open, each of which posts to another |
//! | `lone_color_` | of the only color, which posts to itself |
//! | `admitted_` | of a known color, at a stage whose batches ask for permits |
//! | `new_color_` | of a color that nobody opened: it opens with the event and closes after it, as in Libasync-smp and Mely |
//! | `opened_color_` | of a color that is opened for it, and closed after it |
//! | `colors_50000_` | of one of 50 000 open colors |
//!
//! All times come from A/B/B/A blocks of processes. What each window does stands in its module beneath `worker::dispatch`.
//! The simulated makespans stand beside real ones of the same program to say how far the simulator can be trusted.
//!
//! | module | the question it answers |
//! |---|---|
//! | `configs` | which configurations are there, and what follows from them? |
//! | `plan` | which blocks, and in which order? |

mod configs;
mod plan;

use std::time::Duration;

use anyhow::Context;

use self::configs::{Config, FINDINGS, MEDIANS, is_built_in};
use super::blocks::{self, Time};
use super::paired::{Comparison, Measurement, Paired};
use super::report::{Better, Ratio, Report};
use super::runner::{Runner, name_of};
use super::worker::{Found, Metric};
use super::{Outcome, Setup, WITHOUT_PEERS};

/// A worker's start may set a million timers.
const TIME: Time = Time { overhead: Duration::from_millis(60), spare: Duration::from_secs(3) };
/// Colors that are open while memory is looked at.
const IDLE_COLORS: u64 = 1_000_000;

/// Runs the experiment.
pub(super) fn run(setup: &Setup) -> anyhow::Result<Outcome> {
    let mut report = Report::measured("dispatch");
    let ms = if setup.quick { 60 } else { 500 };
    let runner = Runner::new(setup, ms)?;
    describe(&mut report, setup, ms);
    let windows = Windows { runner: &runner, setup, ms };
    let has_two = setup.can_pin && setup.server_cpu != setup.load_cpu;
    let paired = windows.measure(&mut report, &plan::blocks(setup.quick, has_two, is_built_in))?;
    windows.memory(&mut report, if setup.quick { 2 } else { 5 })?;
    paired.rows(&mut report);
    conclude(&mut report, &paired);
    super::note_null(&mut report);
    Ok(Outcome { report, failure: None })
}

fn describe(report: &mut Report, setup: &Setup, ms: u64) {
    report.note(format!(
        "every window is a process of its own and measures {ms} ms ({} times that for stalls); -known: x colors or tasks that \
         are there (-known-1: one), an event is a post and a run, or a wake and a poll; -admitted: by permit; \
         -new: one empty task for each event, x at a time; -transient: one color for each, that is not opened, but posted to; \
         -opened: one that is opened; cycles: by a chain of dependent operations, timed before and after",
        plan::STALL_WINDOWS
    ));
    report.note(
        "ratios to tokio and async_executor are to an empty task (-new), those to _wake to a task that wakes itself (-known); \
         new_color is -transient, opened_color is -opened, lone_color is -known-1",
    );
    report.note(
        "polling-: half a round trip between two threads that never wait; parked-: from the post to the handler on a CPU that \
         sleeps, and the post itself (waker_); timer-, rearm-: one armed and cancelled, or cancelled and armed, among x; \
         queues-S, election-S: a choice among S stages, x colors waiting, batches of one; -waiting-N: among x stages, N waiting; work-: events of 1 us",
    );
    report.note(
        "stall-: others' delay while a handler takes 10 ms every 100 ms; their events come from outside, and what comes for an \
         idle color whose home is inside of a handler cannot be seen by thieves, as an idle color is private to its home \
         (no lock on the owner's path); stall-waiting-: their events wait at that core already when the handler begins",
    );
    report.note(
        "-simulated: not measured, but simulated with its default costs; -real: the same program on this machine: x colors \
         of 4 events of 5 us, all at home on one core, or half of them (-balanced), both cores steal; a ratio of 1 is an exact simulator",
    );
    let without = "nothing is said of another core (polling, parked, work on two cores, stalls, the simulator)";
    if !setup.can_pin {
        report.note(format!(
            "this process may not bind itself to a CPU, so that windows run anywhere, and {without}"
        ));
    } else if setup.server_cpu == setup.load_cpu {
        report.note(format!("all is on one CPU, {}: {without}", setup.server_cpu));
    } else {
        let Setup { server_cpu, load_cpu, .. } = setup;
        report.note(format!("on CPU {server_cpu}; the other core is on CPU {load_cpu}"));
    }
    if cfg!(debug_assertions) || !cfg!(target_arch = "x86_64") {
        report.note("no cycles: they are known for optimised builds on x86-64 only");
    }
    if !cfg!(feature = "peers") {
        report.note(format!("{WITHOUT_PEERS} dispatch"));
    }
}

/// How the windows are measured.
struct Windows<'a> {
    runner: &'a Runner,
    setup: &'a Setup,
    ms: u64,
}

impl Windows<'_> {
    /// Measures the blocks in turn, as many as there is time for.
    fn measure(&self, report: &mut Report, blocks: &[Comparison]) -> anyhow::Result<Paired> {
        let label = |block: &Comparison| format!("{} and {}, {}", block.of, block.to, block.x);
        blocks::measure(self.runner, report, blocks, TIME, label, |name, x| {
            let config = configs::config(name).context("a block of no configuration")?;
            Ok(measurement(&self.ask(config, x)?))
        })
    }

    /// What one window found.
    fn ask(&self, config: &Config, x: u64) -> anyhow::Result<Found> {
        let (live, stages) = config.counts(x);
        let windows = windows(config);
        let mut args = vec!["dispatch-worker".into(), name_of(config.case)];
        let options = [
            ("--by", name_of(config.by)),
            ("--live", live.to_string()),
            ("--stages", stages.to_string()),
            ("--ms", (self.ms * windows).to_string()),
        ];
        args.extend(options.into_iter().flat_map(|(name, value)| [name.into(), value]));
        let Setup { server_cpu, load_cpu, can_pin, .. } = *self.setup;
        let mut cpus = if can_pin { vec![server_cpu] } else { Vec::new() };
        if config.is_of_two_cpus() {
            let named = [("--cpu", server_cpu), ("--other-cpu", load_cpu)];
            args.extend(named.into_iter().flat_map(|(name, cpu)| [name.into(), cpu.to_string()]));
            cpus.push(load_cpu);
        }
        self.runner.ask(&args, &cpus)
    }

    /// Adds a row for the bytes of an idle color.
    fn memory(&self, report: &mut Report, windows: usize) -> anyhow::Result<()> {
        let config = configs::config("idle-color").context("no configuration of idle colors")?;
        let mut values = Vec::new();
        for _ in 0..windows {
            let found = self.ask(config, IDLE_COLORS).map(|found| {
                values.extend(found.values.iter().map(|&(_, bytes)| bytes));
            });
            self.runner.forgive_if_late(report, "idle-color", found)?;
        }
        if let Some(interval) = crate::interval::bootstrap(&values, 1) {
            let (metric, unit) = Metric::Bytes.names();
            report.row("idle-color", IDLE_COLORS, metric, unit, interval);
        }
        Ok(())
    }
}

/// How long a configuration is measured, in windows.
fn windows(config: &Config) -> u64 {
    if config.is_of_stalls() { plan::STALL_WINDOWS } else { 1 }
}

fn measurement(found: &Found) -> Measurement {
    let named = found.values.iter().map(|&(metric, value)| {
        let (name, unit) = metric.names();
        (name, unit, value)
    });
    Measurement(named.collect())
}

/// Adds the ratios, and the medians that stand among them.
fn conclude(report: &mut Report, paired: &Paired) {
    report.ratios.extend(FINDINGS.iter().filter_map(|finding| paired.ratio(finding)));
    for (id, config, metric) in MEDIANS {
        let metric = metric.names().0;
        let row = report.rows.iter().find(|row| row.config == *config && row.metric == metric);
        let Some(row) = row else { continue };
        let (of, to, metric) = (row.config.clone(), "1 ns".into(), row.metric.clone());
        let (median, low, high) = (row.median, row.low, row.high);
        let better = Better::Lower;
        report.ratios.push(Ratio { id: (*id).into(), of, to, metric, better, median, low, high });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::collections::hash_map::Entry;

    use super::*;
    use crate::experiment::worker::{DispatchArgs, dispatch_found};
    use crate::load::sys::allowed_cpus;

    /// What is promised to whoever reads the JSON: of this core, with peers, of two CPUs.
    const PROMISED: [(&str, bool, bool); 24] = [
        ("known_color_vs_tokio", true, false),
        ("known_color_vs_tokio_wake", true, false),
        ("known_color_vs_async_executor", true, false),
        ("known_color_vs_async_executor_wake", true, false),
        ("new_color_vs_tokio", true, false),
        ("opened_color_vs_tokio", true, false),
        ("lone_color_vs_tokio", true, false),
        ("lone_color_vs_async_executor", true, false),
        ("lone_color_ns", false, false),
        ("admitted_vs_known", false, false),
        ("known_color_vs_rayon", true, false),
        ("colors_50000_vs_known", false, false),
        ("timer_vs_btree", false, false),
        ("election_4096_vs_4", false, false),
        ("election_1e6_vs_1", false, false),
        ("aa_null", false, false),
        ("polling_handover_ns", false, true),
        ("parked_wake_ns", false, true),
        ("parked_waker_ns", false, true),
        ("two_cores_vs_one", false, true),
        ("stall_p999_vs_none", false, true),
        ("stall_waiting_p999_vs_none", false, true),
        ("simulated_vs_real_makespan", false, true),
        ("simulated_vs_real_makespan_balanced", false, true),
    ];

    /// A window of a few milliseconds in this process, with a few colors where there are many.
    fn tiny(name: &str, x: u64, cpus: &[usize]) -> anyhow::Result<Measurement> {
        let config = configs::config(name).context("a block of no configuration")?;
        let (live, stages) = config.counts(x);
        let two = config.is_of_two_cpus();
        let args = DispatchArgs {
            case: config.case,
            by: config.by,
            live: usize::try_from(live.min(1000))?,
            stages: usize::try_from(stages)?,
            cpu: cpus.first().copied().filter(|_| two),
            other_cpu: cpus.last().copied().filter(|_| two),
            ms: 3 * windows(config),
            rounds: None,
        };
        // In a thread of its own, which it may bind to a CPU.
        let found = std::thread::spawn(move || dispatch_found(&args)).join();
        Ok(measurement(&found.map_err(|_| anyhow::anyhow!("{name} panicked"))??))
    }

    #[test]
    fn quick_run_of_tiny_windows_has_what_is_promised() {
        let cpus = allowed_cpus().expect("the kernel says where we may run");
        let has_two = cpus.len() > 1;
        let mut paired = Paired::default();
        let mut windows = HashMap::<_, Measurement>::new();
        for block in plan::blocks(true, has_two, is_built_in) {
            // One window of each, as many times as it is asked for.
            let measured = paired.block(&block, |name, x| match windows.entry((name, x)) {
                Entry::Occupied(entry) => Ok(entry.get().clone()),
                Entry::Vacant(entry) => tiny(name, x, &cpus).map(|it| entry.insert(it).clone()),
            });
            measured.unwrap_or_else(|error| panic!("{block:?}: {error:#}"));
        }
        let mut report = Report::measured("dispatch");
        paired.rows(&mut report);
        conclude(&mut report, &paired);
        let json = report.to_json().expect("plain data");
        let report: Report = serde_json::from_str(&json).expect("its own form");
        for (id, of_peers, of_two) in PROMISED {
            let found = report.ratios.iter().find(|ratio| ratio.id == id);
            let expected = (!of_peers || cfg!(feature = "peers")) && (!of_two || has_two);
            assert_eq!(found.is_some(), expected, "{id}");
            let Some(ratio) = found else { continue };
            let is_sound = ratio.median > 0.0 && ratio.low <= ratio.median;
            assert!(is_sound && ratio.median <= ratio.high, "{ratio:?}");
        }
        let is_sound = |row: &crate::experiment::Row| row.median.is_finite() && row.n > 0;
        assert!(report.rows.iter().all(is_sound), "{json}");
    }

    #[test]
    fn one_cpu_has_no_rows_of_another_core() {
        let blocks = plan::blocks(true, false, |_| true);
        let mut names = blocks.iter().flat_map(|block| [block.of, block.to]);
        assert!(!blocks.is_empty());
        assert!(names.all(|name| configs::config(name).is_some_and(|c| !c.is_of_two_cpus())));
    }

    #[test]
    fn every_ratio_has_its_block_in_a_quick_run() {
        let blocks = plan::blocks(true, true, |_| true);
        for finding in FINDINGS {
            let is_of = |block: &Comparison| {
                let is_at = finding.x.is_none_or(|x| x == block.x);
                (block.of, block.to) == (finding.of, finding.to) && is_at
            };
            assert!(blocks.iter().any(is_of), "{}: nothing measures it", finding.id);
        }
    }
}
