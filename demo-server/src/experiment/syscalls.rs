//! What do system calls cost that are posted, next to those that are made? (FlexSC, Fig. 1; Table 1 is its why)
//!
//! | rows | x | what |
//! |---|---|---|
//! | `nop-`, `stat-`, `read-`, `chain-` | calls of a batch | the time of a call, posted and awaited together; a chain is open, stat, read 1 KiB, close |
//! | `user-` | instructions between calls | the time of the program's own code between them |
//! | `cancel-` | 1 | until a cancellation has returned (`-posted-`), or the call's end is reaped (`-running-`) |
//! | `offload-` | bytes of a read | reads a second of one thread; `-busy-`: which computes as long with each |
//!
//! `-traps` makes the calls itself, one by one, without a ring; `-direct`, `-threads`, `-uring`, `-sqpoll` are the
//! engines of `flexsc-ring`, `-other-cpu` and `-measured` are `threads` placed so. All times come from A/B/B/A blocks of
//! processes; what each window does stands in its module beneath `worker::syscalls`.
//!
//! | module | the question it answers |
//! |---|---|
//! | `configs` | which configurations are there, and what follows from them? |
//! | `plan` | which blocks, and in which order? |
//! | `break_even` | from which batch on does an engine pay? |

mod break_even;
mod configs;
mod plan;

use std::time::Duration;

use anyhow::Context;
use flexsc_ring::{AnyRing, Engine, Probe};

use self::configs::{Config, FINDINGS};
use super::blocks::{self, Time};
use super::paired::{Comparison, Measurement, Paired};
use super::report::Report;
use super::runner::{Runner, name_of};
use super::worker::SyscallsFound as Found;
use super::{Outcome, Setup};

/// What the blocks take beside their windows.
const TIME: Time = Time { overhead: Duration::from_millis(40), spare: Duration::from_secs(2) };

/// Runs the experiment.
pub(super) fn run(setup: &Setup) -> anyhow::Result<Outcome> {
    let mut report = Report::measured("syscalls");
    let ms = if setup.quick { 50 } else { 300 };
    let windows = Windows { runner: &Runner::new(setup, ms)?, setup, ms };
    let has_two = setup.can_pin && setup.server_cpu != setup.load_cpu;
    let has = |name: &str| {
        configs::config(name).is_some_and(|it| works(it) && (has_two || !it.is_of_two_cpus()))
    };
    describe(&mut report, setup, ms, has_two);
    let paired = windows.measure(&mut report, &plan::blocks(setup.quick, has))?;
    conclude(&mut report, &paired);
    super::note_null(&mut report);
    Ok(Outcome { report, failure: None })
}

/// Does the configuration's engine work here?
fn works(config: &Config) -> bool {
    config.engine().is_none_or(|engine| {
        AnyRing::<Vec<u8>>::new(&flexsc_ring::Options::with_engine(engine)).is_ok()
    })
}

fn describe(report: &mut Report, setup: &Setup, ms: u64, has_two: bool) {
    report.note(format!(
        "every window is a process of its own and measures {ms} ms; -traps: calls made one by one without a ring; x: calls or \
         chains (open, stat, read 1 KiB, close) that are posted and awaited together; user-: instructions between calls, \
         ns of the program's own code alone; offload-: bytes of a read in memory, 32 in flight; -busy-: the program \
         computes as long with each result as a read takes"
    ));
    report.note(
        "nop-traps: getppid, as a trap that does nothing; cancel-running-threads: a lock that somebody else holds, by signal; \
         cancel-running-uring: a receive; uring_vs_direct_32: chains of both engines, uring_vs_traps_32: without a ring",
    );
    report.note(Probe::run().to_string());
    for engine in [Engine::Uring, Engine::Sqpoll, Engine::Threads] {
        if let Err(error) = AnyRing::<Vec<u8>>::new(&flexsc_ring::Options::with_engine(engine)) {
            report.note(format!("no rows of {engine}: {error}"));
        }
    }
    if has_two {
        let Setup { server_cpu, load_cpu, .. } = setup;
        report.note(format!(
            "the program is on CPU {server_cpu}; -sqpoll, -other-cpu and -measured may use CPU {load_cpu} too, -threads any"
        ));
    } else {
        report.note("one CPU, or none that this process may bind itself to: nothing is said of another core");
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
        let mut args = vec!["syscalls-worker".into(), name_of(config.case)];
        let mut tell = |name: &str, value: String| args.extend([name.into(), value]);
        tell("--by", name_of(config.by));
        tell("--x", x.to_string());
        tell("--ms", self.ms.to_string());
        let Setup { server_cpu, load_cpu, can_pin, .. } = *self.setup;
        let mut cpus = Vec::new();
        if can_pin {
            cpus.push(server_cpu);
        }
        if can_pin && config.may_use_another_cpu() && server_cpu != load_cpu {
            cpus.push(load_cpu);
        }
        if can_pin && config.is_of_two_cpus() {
            tell("--cpu", server_cpu.to_string());
            tell("--other-cpu", load_cpu.to_string());
        }
        self.runner.ask(&args, &cpus)
    }
}

fn measurement(found: &Found) -> Measurement {
    let named = found.values.iter().map(|&(metric, value)| {
        let (name, unit) = metric.names();
        (name, unit, value)
    });
    Measurement(named.collect())
}

/// Adds the rows, the ratios, and from which batch on an engine pays.
fn conclude(report: &mut Report, paired: &Paired) {
    paired.rows(report);
    report.ratios.extend(FINDINGS.iter().filter_map(|finding| paired.ratio(finding)));
    break_even::add(report, paired);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::worker::{SyscallsArgs, syscalls_found};
    use crate::load::sys::allowed_cpus;

    /// What is promised to whoever reads the JSON, and whether it takes two CPUs.
    const PROMISED: [(&str, bool); 8] = [
        ("uring_vs_direct_32", false),
        ("uring_vs_traps_32", false),
        ("threads_vs_direct_32", false),
        ("read_uring_vs_traps_32", false),
        ("user_traps_vs_alone_2000", false),
        ("user_uring_vs_traps_2000", false),
        ("offload_other_cpu_vs_direct", true),
        ("aa_null", false),
    ];

    /// A window of a few milliseconds in this process.
    fn tiny(name: &str, x: u64, cpus: &[usize]) -> anyhow::Result<Measurement> {
        let config = configs::config(name).context("a block of no configuration")?;
        let two = config.is_of_two_cpus() && cpus.len() > 1;
        let args = SyscallsArgs {
            case: config.case,
            by: config.by,
            x: usize::try_from(x)?,
            cpu: cpus.first().copied().filter(|_| two),
            other_cpu: cpus.last().copied().filter(|_| two),
            ms: 3,
        };
        // In a thread of its own, which it may bind to a CPU.
        let found = std::thread::spawn(move || syscalls_found(&args)).join();
        Ok(measurement(&found.map_err(|_| anyhow::anyhow!("{name} panicked"))??))
    }

    #[test]
    fn quick_run_of_tiny_windows_has_what_is_promised() {
        let cpus = allowed_cpus().expect("the kernel says where we may run");
        let has_two = cpus.len() > 1;
        let has = |name: &str| {
            configs::config(name).is_some_and(|it| works(it) && (has_two || !it.is_of_two_cpus()))
        };
        let mut paired = Paired::default();
        for block in plan::blocks(true, has) {
            let mut once = std::collections::HashMap::new();
            let measured = paired.block(&block, |name, x| -> anyhow::Result<Measurement> {
                if let Some(known) = once.get(name) {
                    return Ok(Measurement::clone(known));
                }
                let found = tiny(name, x, &cpus)?;
                once.insert(name, found.clone());
                Ok(found)
            });
            measured.unwrap_or_else(|error| panic!("{block:?}: {error:#}"));
        }
        let mut report = Report::measured("syscalls");
        conclude(&mut report, &paired);
        let uring =
            AnyRing::<Vec<u8>>::new(&flexsc_ring::Options::with_engine(Engine::Uring)).is_ok();
        for (id, of_two) in PROMISED {
            let found = report.ratios.iter().find(|ratio| ratio.id == id);
            let expected = (!of_two || has_two) && (uring || !id.contains("uring"));
            assert_eq!(found.is_some(), expected, "{id}");
            let Some(ratio) = found else { continue };
            assert!(
                ratio.low > 0.0 && ratio.low <= ratio.median && ratio.median <= ratio.high,
                "{ratio:?}"
            );
        }
        let engines = ["direct", "threads"];
        for engine in engines {
            let is_said = |note: &String| note.starts_with(&format!("{engine}: "));
            assert!(report.notes.iter().any(is_said), "{engine}: {:?}", report.notes);
        }
    }

    #[test]
    fn every_ratio_has_its_block_in_a_quick_run() {
        let blocks = plan::blocks(true, |_| true);
        for finding in FINDINGS {
            let is_of = |block: &Comparison| {
                let is_at = finding.x.is_none_or(|x| x == block.x);
                (block.of, block.to) == (finding.of, finding.to) && is_at
            };
            assert!(blocks.iter().any(is_of), "{}: nothing measures it", finding.id);
        }
    }
}
