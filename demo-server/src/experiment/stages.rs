//! What does a task cost as 8 to 8000 of them are in flight through three stages (Stingy, Fig. 2)?
//!
//! The slab admits as many tasks to a stage as it has objects for; a general allocator serves them all, and
//! the memory that they touch grows with their number. What the bound alone earns is shown beside it: the
//! same allocator under the same bound, and with every task run to its end.

use std::time::Duration;

use super::blocks::{Config, Windows, is_built_in, work};
use super::counted::Counted;
use super::paired::{Comparison, Finding, Paired};
use super::report::{Better, Report};
use super::runner::{Runner, Work};
use super::worker::{Bound, Job, Kernel, Source, mimalloc_version, tasks_at_once};
use super::{Outcome, Setup, WITHOUT_PEERS};

/// The metric of every window.
const COST: &str = "ns_per_task";
/// The metric of every simulation.
const MISSES: &str = "l2_misses";
/// What valgrind takes, of which two runs simulate one configuration.
const SIMULATING: Duration = Duration::from_secs(12);
/// The number of tasks that most ratios are for.
const MANY: u64 = 4000;

/// glibc gives no memory back, and takes none by mmap.
const TUNED: &[(&str, &str)] = &[(
    "GLIBC_TUNABLES",
    "glibc.malloc.trim_threshold=1073741824:glibc.malloc.mmap_threshold=1073741824",
)];
const LARGE_PAGES: &[(&str, &str)] = &[("MIMALLOC_ALLOW_LARGE_OS_PAGES", "1")];

const STINGY: Work = Work::new(Job::Stages, Source::Stingy);
const MIMALLOC: Work = Work::new(Job::Stages, Source::Mimalloc);
const SYSTEM: Work = Work::new(Job::Stages, Source::System);

/// The configurations, by the names of their rows.
static CONFIGS: [Config; 15] = [
    ("stingy", STINGY),
    ("stingy-again", STINGY),
    ("stingy-bytes", bytes(STINGY)),
    // Their points are their own, so that they can be neighbours in time.
    (FLAT_MANY, STINGY),
    (FLAT_FEW, STINGY),
    ("mimalloc", MIMALLOC),
    ("mimalloc-bytes", bytes(MIMALLOC)),
    ("mimalloc-large", Work { env: LARGE_PAGES, ..MIMALLOC }),
    ("bounded-mimalloc", bounded(MIMALLOC)),
    ("bounded-mimalloc-bytes", bounded(bytes(MIMALLOC))),
    ("run-to-completion-mimalloc", Work { bound: Bound::One, ..MIMALLOC }),
    ("system", SYSTEM),
    ("system-tuned", Work { env: TUNED, ..SYSTEM }),
    ("bounded-system-tuned", bounded(Work { env: TUNED, ..SYSTEM })),
    ("bounded-system-tuned-bytes", bounded(bytes(Work { env: TUNED, ..SYSTEM }))),
];

const FLAT_MANY: &str = "stingy-flat-8000";
const FLAT_FEW: &str = "stingy-flat-8";

const fn bytes(work: Work) -> Work {
    Work { kernel: Kernel::Bytes, ..work }
}

const fn bounded(work: Work) -> Work {
    Work { bound: Bound::Slab, ..work }
}

/// What is claimed of the slab, and of its bound.
const CLAIMS: [Finding; 5] = [
    cost("stingy_vs_mimalloc_4000", "stingy", "mimalloc", MANY),
    cost("stingy_vs_mimalloc_4000_bytes", "stingy-bytes", "mimalloc-bytes", MANY),
    cost("stingy_vs_bounded_mimalloc_4000", "stingy", "bounded-mimalloc", MANY),
    cost("stingy_vs_bounded_mimalloc_4000_bytes", "stingy-bytes", "bounded-mimalloc-bytes", MANY),
    cost("flat_8000_vs_8", FLAT_MANY, FLAT_FEW, 8000),
];

/// What else could explain the claims, and how sure they are.
const CONTROLS: [Finding; 9] = [
    cost("bounded_mimalloc_vs_mimalloc_4000", "bounded-mimalloc", "mimalloc", MANY),
    cost("stingy_vs_mimalloc_large_4000", "stingy", "mimalloc-large", MANY),
    cost("stingy_vs_run_to_completion_4000", "stingy", "run-to-completion-mimalloc", MANY),
    cost("stingy_vs_system_4000", "stingy", "system", MANY),
    cost("stingy_vs_system_tuned_4000", "stingy", "system-tuned", MANY),
    cost("stingy_vs_bounded_system_tuned_4000", "stingy", "bounded-system-tuned", MANY),
    cost(
        "stingy_vs_bounded_system_tuned_4000_bytes",
        "stingy-bytes",
        "bounded-system-tuned-bytes",
        MANY,
    ),
    cost("stingy_vs_mimalloc_8", "stingy", "mimalloc", 8),
    cost("aa_null", "stingy", "stingy-again", MANY),
];

const fn cost(id: &'static str, of: &'static str, to: &'static str, x: u64) -> Finding {
    Finding { id, of, to, x: Some(x), metric: COST, better: Better::Lower }
}

/// Runs the experiment.
pub(super) fn run(setup: &Setup) -> anyhow::Result<Outcome> {
    let mut report = Report::measured("stages");
    let ms = if setup.quick { 200 } else { 1000 };
    let runner = Runner::new(setup, ms)?;
    describe(&mut report, setup, ms)?;

    let reserved = if runner.can_count() { SIMULATING } else { Duration::ZERO };
    let windows = Windows { runner: &runner, metric: COST, of: "tasks", reserved };
    let paired = windows.measure(&mut report, &plan(setup.quick), with_tasks)?;
    conclude(&mut report, &paired);
    simulate(&mut report, &runner, setup.quick)?;
    Ok(Outcome { report, failure: None })
}

/// The orders of a configuration at a point.
fn with_tasks(name: &str, x: u64) -> anyhow::Result<Work> {
    let tasks = if name == FLAT_FEW { 8 } else { x };
    Ok(Work { tasks: usize::try_from(tasks)?, ..work(&CONFIGS, name)? })
}

fn describe(report: &mut Report, setup: &Setup, ms: u64) -> anyhow::Result<()> {
    report.note(format!(
        "a task makes a 4 KiB and a 12 KiB object in two stages and reads and frees them in a third, touching a word a line, or every \
         byte (-bytes); x tasks are in flight; every window is a process of its own on CPU {} and measures {ms} ms, in A/B/B/A blocks",
        setup.server_cpu
    ));
    report.note(format!(
        "the slab of this cache admits {} tasks at a time, and bounded- allocators get the same batches",
        tasks_at_once()?
    ));
    report.note(
        "system: malloc of the C library; -tuned: told to trim nothing and to take nothing by mmap; mimalloc-large: \
         MIMALLOC_ALLOW_LARGE_OS_PAGES=1; run-to-completion: a task through all its stages before the next",
    );
    match mimalloc_version() {
        Some(version) => report.note(format!("mimalloc {version}")),
        None => report.note(format!("{WITHOUT_PEERS} stages")),
    }
    Ok(())
}

/// The blocks, those of the claims first and last.
fn plan(quick: bool) -> Vec<Comparison> {
    let claims: Vec<Comparison> = CLAIMS.iter().map(block_of).collect();
    let all: Vec<Comparison> = CLAIMS.iter().chain(&CONTROLS).map(block_of).collect();
    let mut sweep = Vec::new();
    for x in [100, 1000, 8000] {
        sweep.push(Comparison { of: "stingy", to: "mimalloc", x });
    }
    for x in [8, 100, 1000, 8000] {
        sweep.push(Comparison { of: "stingy", to: "bounded-mimalloc", x });
    }
    let mut blocks = Vec::new();
    if quick {
        blocks.extend(claims.iter().chain(&all).chain(&sweep).chain(&claims).cloned());
    } else {
        for _ in 0..4 {
            blocks.extend(claims.iter().chain(&all).cloned());
        }
        blocks.extend(sweep.iter().chain(&sweep).cloned());
    }
    if !is_built_in("mimalloc") {
        // The sweep still shows that the cost stays flat.
        blocks.extend([8, 100, 1000, 8000].map(|x| Comparison {
            of: "stingy",
            to: "system-tuned",
            x,
        }));
    }
    blocks.retain(|block| is_built_in(block.of) && is_built_in(block.to));
    blocks
}

fn block_of(finding: &Finding) -> Comparison {
    Comparison { of: finding.of, to: finding.to, x: finding.x.unwrap_or(MANY) }
}

/// Misses of a simulated cache like this machine's second level.
fn simulate(report: &mut Report, runner: &Runner, quick: bool) -> anyhow::Result<()> {
    let rounds = if quick { [1, 3] } else { [2, 8] };
    let mut counted = Counted::new(MISSES, "misses");
    if !runner.can_count() {
        report
            .note("valgrind is not installed, so no cache was simulated: apt-get install valgrind");
        return Ok(());
    }
    let names = ["stingy", "mimalloc", "bounded-mimalloc", "system"];
    let mut wanted = names.map(|name| (name, MANY)).to_vec();
    wanted.retain(|(name, _)| is_built_in(name));
    counted.all(report, runner, &wanted, |name, x| runner.misses(&with_tasks(name, x)?, rounds))?;
    for to in ["mimalloc", "system", "bounded-mimalloc"] {
        let id = format!("l2_misses_stingy_vs_{}_4000", to.replace('-', "_"));
        counted.ratio(report, &id, ("stingy", to), &[MANY]);
    }
    report.note(format!(
        "{MISSES}: of data, by cachegrind with the first and second level of CPU caches here, a task; a simulation of virtual addresses, \
         {} rounds less {}",
        rounds[1], rounds[0]
    ));
    Ok(())
}

/// Rows, ratios, and what a reader should know about them.
fn conclude(report: &mut Report, paired: &Paired) {
    paired.rows(report);
    for row in report.rows.iter_mut().filter(|row| row.config == FLAT_FEW) {
        row.x = 8;
    }
    let findings = CLAIMS.iter().chain(&CONTROLS);
    report.ratios.extend(findings.filter_map(|finding| paired.ratio(finding)));
    super::note_null(report);
}
