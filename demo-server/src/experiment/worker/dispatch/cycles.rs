//! How fast is this core's clock?
//!
//! The time-stamp counter runs at a rate of its own; what a core does in a cycle is one dependent operation. So a chain of them
//! is timed: it takes as many cycles as it has links, whatever else the processor can do at once.

use std::time::Instant;

use super::spin;

/// Dependent operations of one turn of [`spin`]: each shift waits for the exclusive or before it.
pub(in super::super) const CYCLES_A_TURN: u64 = 6;
const TURNS: u64 = 20_000;
/// The fastest of so many is the one that nobody disturbed.
const TRIES: usize = 12;

/// Cycles a nanosecond. `None` where a turn's cycles are not known: other processors shift and combine at once, and
/// without optimisation there is more in the loop than the chain.
pub(in super::super) fn ghz() -> Option<f64> {
    if cfg!(debug_assertions) || !cfg!(target_arch = "x86_64") {
        return None;
    }
    Some((TURNS * CYCLES_A_TURN) as f64 / fastest_ns())
}

/// Turns of [`spin`] that take so many nanoseconds.
pub(super) fn turns_of(ns: u64) -> u64 {
    ((ns as f64 * TURNS as f64 / fastest_ns()) as u64).max(1)
}

/// Nanoseconds that so many turns of [`spin`] take.
pub(in super::super) fn ns_of(turns: u64) -> f64 {
    turns as f64 * fastest_ns() / TURNS as f64
}

/// What [`TURNS`] turns take at best.
fn fastest_ns() -> f64 {
    let times = (0..TRIES).map(|_| {
        let begun = Instant::now();
        spin(TURNS);
        begun.elapsed().as_nanos()
    });
    times.min().unwrap_or_default().max(1) as f64
}
