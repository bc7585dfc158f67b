//! Which blocks, and in which order?
//!
//! What is asked of the experiment first, so that a quick run on a loaded machine leaves out the rest; and what the
//! narrowest ratios are about again at the end.

use super::super::paired::Comparison;
use super::configs::{FEW, KNOWN_FEW, KNOWN_ONE, MANY, STAGES, TIMERS, WAITING};

/// A stall comes once in 100 ms: this many windows of the others have some of them.
pub(super) const STALL_WINDOWS: u64 = 12;
/// Colors that are posted to during stalls.
const STALL_COLORS: u64 = 16;
/// Colors of a core that are posted to right before it stalls.
const STALL_WAITING_COLORS: u64 = 8;
/// Colors of the program that is simulated too.
const PROGRAM_COLORS: u64 = 2_000;
/// Colors a core that work on one and on two cores.
const WORK_COLORS: u64 = 64;

const fn one(of: &'static str, to: &'static str, x: u64) -> Comparison {
    Comparison { of, to, x }
}

/// All blocks of a run, without those that need two CPUs where there is one, and those that this build has not.
pub(super) fn blocks(quick: bool, has_two: bool, has: impl Fn(&str) -> bool) -> Vec<Comparison> {
    let rounds = if quick { 1 } else { 4 };
    let mut blocks = Vec::new();
    for _ in 0..rounds {
        blocks.extend(same_core());
        if has_two {
            blocks.extend(two_cores());
        }
        blocks.extend(timers());
        blocks.extend(elections());
        if !quick {
            blocks.extend(elections_between());
        }
        blocks.extend(schedulers());
        blocks.extend(empty_tasks());
    }
    blocks.retain(|block| has(block.of) && has(block.to));
    blocks
}

/// Events at the core that posts them.
fn same_core() -> Vec<Comparison> {
    let known = ["tokio-known", "async-executor-known", "tokio-worker-new", "rayon-new"];
    let mut blocks = empty_tasks();
    blocks.extend(known.map(|to| one("stage-known", to, FEW)));
    blocks.push(one("stage-known", "boxes-new", FEW));
    blocks.push(one("stage-admitted", "stage-known", FEW));
    blocks.push(one("stage-transient", "stage-known", FEW));
    blocks.push(one(KNOWN_ONE, "stage-known", FEW));
    blocks.push(one("stage-opened", "tokio-new", FEW));
    blocks.push(one("stage-known", KNOWN_FEW, MANY));
    blocks.push(one("stage-known", "tokio-known", MANY));
    blocks
}

/// An event of a color beside an empty task, which is spawned and runs; and the null.
fn empty_tasks() -> Vec<Comparison> {
    let ours = ["stage-known", KNOWN_ONE, "stage-transient"];
    let tasks = ["tokio-new", "async-executor-new"];
    let beside = |of| tasks.map(|to| one(of, to, FEW));
    let mut blocks: Vec<_> = ours.into_iter().flat_map(beside).collect();
    blocks.push(one("stage-known", "stage-known-again", FEW));
    blocks
}

/// The policies beside each other.
fn schedulers() -> Vec<Comparison> {
    ["color-known", "flat-known", "fifo-known"].map(|to| one("stage-known", to, FEW)).to_vec()
}

/// What takes two CPUs.
fn two_cores() -> Vec<Comparison> {
    vec![
        one("polling-stage", "polling-flags", 2),
        one("polling-stage", "polling-crossbeam", 2),
        one("parked-stage", "parked-thread", 1),
        one("parked-stage", "parked-tokio", 1),
        one("parked-stage", "parked-crossbeam", 1),
        one("work-two-cores", "work-one-core", WORK_COLORS),
        one("two-cores-simulated", "two-cores-real", PROGRAM_COLORS),
        one("two-cores-balanced-simulated", "two-cores-balanced-real", PROGRAM_COLORS),
        one("stall-mely", "stall-none", STALL_COLORS),
        one("stall-no-steal", "stall-none", STALL_COLORS),
        one("stall-waiting-mely", "stall-waiting-none", STALL_WAITING_COLORS),
        one("stall-waiting-no-steal", "stall-waiting-none", STALL_WAITING_COLORS),
    ]
}

fn timers() -> Vec<Comparison> {
    vec![
        one("timer-wheel", "timer-btree", TIMERS),
        one("rearm-wheel", "rearm-btree", TIMERS),
        one("timer-wheel", "timer-tokio", TIMERS),
        one("rearm-wheel", "rearm-tokio", TIMERS),
    ]
}

/// The most stages beside the fewest, then the most colors beside one.
fn elections() -> Vec<Comparison> {
    let mut blocks = Vec::new();
    for (most, fewest) in [("election-4096", "election-4"), ("queues-4096", "queues-4")] {
        blocks.extend(WAITING.map(|x| one(most, fewest, x)));
    }
    let colors = [
        ("election-waiting-1000000", "election-waiting-1"),
        ("queues-waiting-1000000", "queues-waiting-1"),
    ];
    for (many, single) in colors {
        blocks.extend([STAGES[0], STAGES[3]].map(|x| one(many, single, x)));
    }
    blocks
}

/// The points between.
fn elections_between() -> Vec<Comparison> {
    let stages = [("election-64", "election-512"), ("queues-64", "queues-512")];
    stages.into_iter().flat_map(|(of, to)| WAITING.map(|x| one(of, to, x))).collect()
}
