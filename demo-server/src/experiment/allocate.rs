//! What do an allocation, a permit and a free on another CPU cost, in time and in instructions?
//!
//! Bursts of 32 objects of one size, next to mimalloc and to malloc of the C library. Times come from A/B/B/A
//! blocks of processes, instructions from callgrind: two runs of different lengths, and their difference.

use std::time::Duration;

use super::blocks::{Config, Windows, is_built_in, work};
use super::counted::Counted;
use super::paired::{Comparison, Finding};
use super::report::{Better, Report};
use super::runner::{Runner, Work};
use super::worker::{BURST, Job, REMOTE_SIZE, Source, largest_burst, mimalloc_version};
use super::{Outcome, Setup, WITHOUT_PEERS};

const TIME: &str = "ns";
const INSTRUCTIONS: &str = "instructions";
const SIZES: [u64; 3] = [64, 4096, 12288];
/// Larger than the objects of the only site.
const TOO_LARGE: u64 = 4160;
/// Objects of a program that never enters a scope.
const OUTSIDE: [u64; 2] = [64, 1024];
/// What valgrind takes, of which two runs count one configuration at one size.
const COUNTING: Duration = Duration::from_secs(24);
/// Bursts of the two runs that are counted.
const ROUNDS: [u64; 2] = [250, 1250];

/// The configurations, by the names of their rows.
static CONFIGS: [Config; 15] = [
    ("stingy", Work::new(Job::Pair, Source::Stingy)),
    ("stingy-again", Work::new(Job::Pair, Source::Stingy)),
    ("stingy-slot", Work::new(Job::Pair, Source::StingySlot)),
    ("global", Work::new(Job::Pair, Source::Global)),
    ("mimalloc", Work::new(Job::Pair, Source::Mimalloc)),
    ("system", Work::new(Job::Pair, Source::System)),
    ("remote-stingy", Work::new(Job::Remote, Source::Stingy)),
    ("remote-stingy-at-once", Work { at_once: true, ..Work::new(Job::Remote, Source::Stingy) }),
    ("remote-mimalloc", Work::new(Job::Remote, Source::Mimalloc)),
    ("remote-system", Work::new(Job::Remote, Source::System)),
    ("oversize-stingy", Work::new(Job::Oversize, Source::Stingy)),
    ("oversize-system", Work::new(Job::Oversize, Source::System)),
    ("outside-global", Work::new(Job::Outside, Source::Global)),
    ("outside-system", Work::new(Job::Outside, Source::System)),
    ("outside-again", Work::new(Job::Outside, Source::System)),
];

/// Permits that are asked for: name, sites of the stage.
const ADMITS: [(&str, usize); 3] =
    [("admit-1-site", 1), ("admit-2-sites", 2), ("admit-4-sites", 4)];
/// Tasks that a permit is for.
const BATCHES: [u64; 2] = [1, 32];

const FINDINGS: [Finding; 20] = [
    time("pair_vs_mimalloc", "stingy", "mimalloc", None),
    time("pair_vs_mimalloc_64", "stingy", "mimalloc", Some(64)),
    time("pair_vs_mimalloc_4096", "stingy", "mimalloc", Some(4096)),
    time("pair_vs_mimalloc_12288", "stingy", "mimalloc", Some(12288)),
    time("pair_vs_system", "stingy", "system", None),
    time("global_vs_mimalloc", "global", "mimalloc", None),
    time("global_vs_mimalloc_64", "global", "mimalloc", Some(64)),
    time("global_vs_mimalloc_4096", "global", "mimalloc", Some(4096)),
    time("global_vs_mimalloc_12288", "global", "mimalloc", Some(12288)),
    time("slot_vs_mimalloc", "stingy-slot", "mimalloc", None),
    time("slot_vs_mimalloc_64", "stingy-slot", "mimalloc", Some(64)),
    time("slot_vs_mimalloc_4096", "stingy-slot", "mimalloc", Some(4096)),
    time("slot_vs_mimalloc_12288", "stingy-slot", "mimalloc", Some(12288)),
    time("remote_vs_mimalloc", "remote-stingy", "remote-mimalloc", None),
    time("remote_at_once_vs_mimalloc", "remote-stingy-at-once", "remote-mimalloc", None),
    time("remote_vs_system", "remote-stingy", "remote-system", None),
    time("fallback_vs_system", "outside-global", "outside-system", None),
    time("fallback_aa_null", "outside-system", "outside-again", None),
    time("oversize_vs_system", "oversize-stingy", "oversize-system", None),
    time("aa_null", "stingy", "stingy-again", None),
];

const fn time(id: &'static str, of: &'static str, to: &'static str, x: Option<u64>) -> Finding {
    Finding { id, of, to, x, metric: TIME, better: Better::Lower }
}

/// Runs the experiment.
pub(super) fn run(setup: &Setup) -> anyhow::Result<Outcome> {
    let mut report = Report::measured("allocate");
    let ms = if setup.quick { 100 } else { 500 };
    let runner = Runner::new(setup, ms)?;
    let sizes = describe(&mut report, setup, ms)?;
    admit(&mut report, &runner, if setup.quick { 2 } else { 8 })?;

    let reserved = if runner.can_count() { COUNTING } else { Duration::ZERO };
    let windows = Windows { runner: &runner, metric: TIME, of: "bytes", reserved };
    let paired = windows.measure(&mut report, &plan(setup, &sizes), of_size)?;
    paired.rows(&mut report);
    report.ratios.extend(FINDINGS.iter().filter_map(|finding| paired.ratio(finding)));
    super::note_null(&mut report);
    count(&mut report, &runner, &sizes)?;
    Ok(Outcome { report, failure: None })
}

/// The orders of a configuration for objects of a size.
fn of_size(name: &str, size: u64) -> anyhow::Result<Work> {
    Ok(Work { size: usize::try_from(size)?, ..work(&CONFIGS, name)? })
}

/// Says how it is measured, and returns the sizes of which a burst fits into the slab.
fn describe(report: &mut Report, setup: &Setup, ms: u64) -> anyhow::Result<Vec<u64>> {
    report.note(format!(
        "x bytes an object, a word of it written, bursts of {BURST} (a pair is an allocation and its free, the loop included); stingy: \
         objects of a type, one permit a burst; -slot: buffers of bytes; global: by the slab's GlobalAlloc, in the permit's scope; every \
         window is a process of its own on CPU {} and measures {ms} ms",
        setup.server_cpu
    ));
    report.note(format!(
        "remote-: made on CPU {} and freed on CPU {}, the time both spend on that, 32 at a time, freed one by one or by one call \
         (-at-once); outside-: malloc, with the slab's GlobalAlloc in front (-global) or without; oversize-: zeroed buffers that the \
         slab's site is too small for, which it then has elsewhere; admit-: x tasks, asked for and given back, net of the loop",
        setup.server_cpu, setup.load_cpu
    ));
    match mimalloc_version() {
        Some(version) => report.note(format!(
            "mimalloc {version}, by its GlobalAlloc, which calls mi_malloc_aligned and not mi_malloc"
        )),
        None => report.note(format!("{WITHOUT_PEERS} allocate")),
    }
    let mut sizes = Vec::new();
    for size in SIZES {
        if largest_burst(usize::try_from(size)?, BURST)? == BURST {
            sizes.push(size);
        } else {
            report.note(format!("the slab of this cache has no {BURST} objects of {size} bytes"));
        }
    }
    Ok(sizes)
}

/// The blocks, those of the main question in every round.
fn plan(setup: &Setup, sizes: &[u64]) -> Vec<Comparison> {
    let of_sizes = |of, to| sizes.iter().map(move |&x| Comparison { of, to, x });
    let one = |of, to, x| Comparison { of, to, x };
    let remote = REMOTE_SIZE as u64;
    let mut blocks = Vec::new();
    for round in 0..if setup.quick { 2 } else { 5 } {
        blocks.extend(of_sizes("stingy", "mimalloc"));
        blocks.extend(of_sizes("stingy", "stingy-again"));
        blocks.extend(OUTSIDE.map(|x| one("outside-global", "outside-system", x)));
        blocks.extend(of_sizes("global", "mimalloc"));
        if setup.load_cpu != setup.server_cpu {
            blocks.push(one("remote-stingy", "remote-mimalloc", remote));
        }
        if round > 0 && setup.quick {
            continue;
        }
        blocks.extend(of_sizes("stingy-slot", "mimalloc"));
        blocks.extend(of_sizes("stingy", "system"));
        blocks.extend(OUTSIDE.map(|x| one("outside-system", "outside-again", x)));
        blocks.push(one("oversize-stingy", "oversize-system", TOO_LARGE));
        if setup.load_cpu != setup.server_cpu {
            blocks.push(one("remote-stingy-at-once", "remote-mimalloc", remote));
            blocks.push(one("remote-stingy", "remote-system", remote));
        }
    }
    blocks.retain(|block| is_built_in(block.of) && is_built_in(block.to));
    blocks
}

/// Instructions of a pair, those of the main question first.
fn count(report: &mut Report, runner: &Runner, sizes: &[u64]) -> anyhow::Result<()> {
    if !runner.can_count() {
        report.note(
            "valgrind is not installed, so no instructions were counted: apt-get install valgrind",
        );
        return Ok(());
    }
    let of_sizes = |name| sizes.iter().map(move |&size| (name, size));
    let pairs = ["stingy", "mimalloc", "global", "stingy-slot", "system"];
    let outside = ["outside-global", "outside-system"];
    let mut wanted: Vec<_> = pairs.into_iter().flat_map(of_sizes).collect();
    wanted.extend(OUTSIDE.iter().flat_map(|&size| outside.map(|name| (name, size))));
    wanted.retain(|(name, _)| is_built_in(name));

    let mut counted = Counted::new(INSTRUCTIONS, "1");
    counted.all(report, runner, &wanted, |name, size| {
        runner.instructions(&of_size(name, size)?, ROUNDS)
    })?;
    ratios_of_counts(report, &counted, sizes);
    report.note(format!(
        "instructions: of a pair, by callgrind, {} bursts less {}, the same every time, so that low and high are the median; a ratio \
         without a size is the largest of those of the sizes",
        ROUNDS[1], ROUNDS[0]
    ));
    Ok(())
}

fn ratios_of_counts(report: &mut Report, counted: &Counted, sizes: &[u64]) {
    let ratios = [
        ("instructions", "stingy"),
        ("slot_instructions", "stingy-slot"),
        ("global_instructions", "global"),
    ];
    for (id, of) in ratios {
        let pair = (of, "mimalloc");
        for &size in sizes {
            counted.ratio(report, &format!("{id}_vs_mimalloc_{size}"), pair, &[size]);
        }
        counted.ratio(report, &format!("{id}_vs_mimalloc"), pair, sizes);
    }
    for size in OUTSIDE {
        let id = format!("fallback_instructions_vs_system_{size}");
        counted.ratio(report, &id, ("outside-global", "outside-system"), &[size]);
    }
}

/// Nanoseconds of a permit.
fn admit(report: &mut Report, runner: &Runner, windows: usize) -> anyhow::Result<()> {
    for (name, sites) in ADMITS {
        for batch in BATCHES {
            let tasks = usize::try_from(batch)?;
            let work = Work { sites, tasks, ..Work::new(Job::Admit, Source::Stingy) };
            let values = (0..windows).map(|_| runner.ns(&work)).collect::<Result<Vec<_>, _>>()?;
            if let Some(interval) = crate::interval::bootstrap(&values, 1) {
                report.row(name, batch, TIME, "ns", interval);
            }
        }
    }
    Ok(())
}
