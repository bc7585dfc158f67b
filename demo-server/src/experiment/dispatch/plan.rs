//! Which blocks, and in which order?
//!
//! What is asked of the experiment first, so that a quick run on a loaded machine leaves out the rest; and what the
//! narrowest ratios are about again at the end.

use super::super::paired::Comparison;
use super::configs::{FEW, KNOWN_FEW, MANY, STAGES, TIMERS, WAITING};

/// A stall comes once in 100 ms: this many windows of the others have some of them.
pub(super) const STALL_WINDOWS: u64 = 12;
/// Colors that are posted to during stalls.
const STALL_COLORS: u64 = 16;
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
        blocks.extend(schedulers());
        blocks.extend(same_core());
    }
    blocks.retain(|block| has(block.of) && has(block.to));
    blocks
}

/// Events at the core that posts them.
fn same_core() -> Vec<Comparison> {
    let known = ["tokio-known", "async-executor-known", "stage-known-again"];
    let other = ["rayon-new", "tokio-worker-new", "tokio-new", "async-executor-new", "boxes-new"];
    let mut blocks: Vec<_> =
        known.iter().chain(&other).map(|to| one("stage-known", to, FEW)).collect();
    blocks.extend(known[..2].iter().map(|to| one("stage-own", to, FEW)));
    let new = ["tokio-new", "async-executor-new", "tokio-worker-new", "stage-known"];
    blocks.extend(new.map(|to| one("stage-new", to, FEW)));
    blocks.extend(["tokio-new", "stage-new"].map(|to| one("stage-transient", to, FEW)));
    blocks.push(one("stage-known", KNOWN_FEW, MANY));
    blocks.push(one("stage-known", "tokio-known", MANY));
    blocks
}

/// The policies beside each other, and one color.
fn schedulers() -> Vec<Comparison> {
    let others = ["color-known", "flat-known", "fifo-known"];
    let points = [FEW, 1].into_iter();
    let mut blocks: Vec<_> =
        points.flat_map(|x| others.map(|to| one("stage-known", to, x))).collect();
    blocks.push(one("stage-known", "tokio-known", 1));
    blocks
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
        one("stall-mely", "stall-none", STALL_COLORS),
        one("stall-no-steal", "stall-none", STALL_COLORS),
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

/// The most stages beside the fewest first, then the most colors beside one, then the points between.
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
    for (of, to) in [("election-64", "election-512"), ("queues-64", "queues-512")] {
        blocks.extend(WAITING.map(|x| one(of, to, x)));
    }
    blocks
}
