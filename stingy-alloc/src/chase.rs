//! Does memory of this size stay in the cache? A chase of dependent loads in random order tells.
//!
//! Each line holds the place of the next, on one cycle through all lines (Sattolo's shuffle), so that
//! neither prefetcher nor overlap helps. Plain pages that pile up in some sets show as slower loads.

use std::time::Instant;

/// Rounds of one measurement; a low quantile of them is kept, against interrupts.
const ROUNDS: usize = 24;

/// Nanoseconds a load in `memory`, one load a line of `line` bytes, at the tenth percentile.
/// Overwrites the memory. Zero if it has fewer than two lines.
pub(crate) fn ns_per_load(memory: &mut [u8], line: usize) -> f64 {
    let lines = memory.len() / line.max(8);
    if lines < 2 {
        return 0.0;
    }
    link(memory, line, lines);
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(follow(memory, line, lines));
            start.elapsed().as_nanos() as f64 / lines as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 10]
}

/// Writes one random cycle through all lines.
fn link(memory: &mut [u8], line: usize, lines: usize) {
    let mut next: Vec<u32> = (0..lines as u32).collect();
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    for i in (1..lines).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        next.swap(i, (state % i as u64) as usize);
    }
    for (slot, next) in memory.chunks_exact_mut(line).zip(next) {
        slot[..4].copy_from_slice(&next.to_ne_bytes());
    }
}

/// Walks the cycle once; ends where it began.
fn follow(memory: &[u8], line: usize, lines: usize) -> usize {
    let mut at = 0;
    for _ in 0..lines {
        let mut next = [0; 4];
        next.copy_from_slice(&memory[at * line..][..4]);
        at = u32::from_ne_bytes(next) as usize;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chase_visits_every_line_once() {
        for lines in [2, 3, 64, 1000] {
            let mut memory = vec![0; lines * 64];
            link(&mut memory, 64, lines);
            let mut at = 0;
            for step in 1..=lines {
                at = follow_one(&memory, at);
                assert_eq!(at == 0, step == lines, "{lines} lines, step {step}");
            }
        }
    }

    fn follow_one(memory: &[u8], at: usize) -> usize {
        u32::from_ne_bytes(memory[at * 64..][..4].try_into().expect("four bytes")) as usize
    }
}
