//! Which blocks, and in which order?
//!
//! What is asked of the experiment first, so that a quick run on a loaded machine leaves out the rest.

use super::super::paired::Comparison;
use super::configs::{FINDINGS, INSTRUCTIONS, config};

/// What is posted in batches.
const KINDS: [&str; 4] = ["chain", "read", "stat", "nop"];
/// Who makes it, next to traps.
pub(super) const ENGINES: [&str; 4] = ["direct", "threads", "uring", "sqpoll"];
/// Calls of a batch.
pub(super) const BATCHES: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Of a quick run, besides the batch that the ratios are about, for chains and reads.
const QUICK_BATCHES: [u64; 4] = [1, 2, 4, 8];
/// Instructions between calls, as in Fig. 1.
const BETWEEN: [u64; 6] = [500, 1_000, 5_000, 20_000, 100_000, 500_000];
/// Of a quick run, besides [`INSTRUCTIONS`].
const QUICK_BETWEEN: [u64; 2] = [500, 20_000];
/// The other sizes of reads: half a microsecond, and ten.
const OTHER_READS: [u64; 2] = [4 << 10, 256 << 10];

/// The names of a kind's rows: by an engine, and by traps.
pub(super) fn names(kind: &str, engine: &str) -> Option<(&'static str, &'static str)> {
    let find = |by: &str| config(&format!("{kind}-{by}")).map(|config| config.name());
    Some((find(engine)?, find("traps")?))
}

/// All blocks of a run, but for those of configurations that cannot run here.
pub(super) fn blocks(quick: bool, has: impl Fn(&str) -> bool) -> Vec<Comparison> {
    let rounds = if quick { 2 } else { 4 };
    let mut blocks = Vec::new();
    for _ in 0..rounds {
        blocks.extend(FINDINGS.iter().filter_map(|finding| {
            Some(Comparison { of: finding.of, to: finding.to, x: finding.x? })
        }));
        blocks.extend(cancellations());
        blocks.extend(batches(quick));
        blocks.extend(between(if quick { &QUICK_BETWEEN } else { &BETWEEN }));
        if !quick {
            blocks.extend(OTHER_READS.into_iter().flat_map(reads));
        }
    }
    blocks.retain(|block| has(block.of) && has(block.to));
    blocks
}

fn cancellations() -> [Comparison; 2] {
    let one = |of, to| Comparison { of, to, x: 1 };
    [
        one("cancel-posted-threads", "cancel-posted-uring"),
        one("cancel-running-threads", "cancel-running-uring"),
    ]
}

/// Every engine beside traps, in batches of every size.
fn batches(quick: bool) -> Vec<Comparison> {
    let mut blocks = Vec::new();
    let kinds = if quick { &KINDS[..2] } else { &KINDS[..] };
    let sizes = if quick { &QUICK_BATCHES[..] } else { &BATCHES[..] };
    for &x in sizes {
        for kind in kinds {
            let engines = ENGINES.iter().filter_map(|engine| names(kind, engine));
            blocks.extend(engines.map(|(of, to)| Comparison { of, to, x }));
        }
    }
    blocks
}

/// The program's own code, next to the same without calls and with calls made.
fn between(points: &[u64]) -> Vec<Comparison> {
    let pairs = [
        ("user-null-traps", "user-alone"),
        ("user-write-traps", "user-alone"),
        ("user-write-uring", "user-write-traps"),
        ("user-read-uring", "user-read-traps"),
        ("user-read-other-cpu", "user-read-traps"),
    ];
    let at = |&x: &u64| pairs.map(|(of, to)| Comparison { of, to, x });
    points.iter().filter(|&&x| x != INSTRUCTIONS).flat_map(at).collect()
}

/// Reads of another size, here and with another core.
fn reads(x: u64) -> [Comparison; 3] {
    let beside = |of| Comparison { of, to: "offload-direct", x };
    ["offload-traps", "offload-other-cpu", "offload-measured"].map(beside)
}
