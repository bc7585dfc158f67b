//! Time-left stealing (Mely §3.2): a color is *worthy* if running its events takes longer than stealing it.
//!
//! The paper keeps worthy colors in three unordered intervals, to insert cheaply; that is the scheduler's part
//! (`color_sched`'s `worthy`). Differs: of the few colors that are on a board, the one with the most time left is taken.

use crate::heuristic::Heuristic;

/// Worthy colors only, and of those the one with the most time left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeLeft;

impl Heuristic for TimeLeft {
    fn is_stealable(&self, left_ns: u64, price_ns: u64) -> Option<bool> {
        Some(is_worthy(left_ns, price_ns))
    }

    fn takes_most(&self) -> bool {
        true
    }
}

/// Is a color with `left_ns` of work worth a theft of `price_ns`? At a price of 0 every color is.
///
/// ```
/// use mely_steal::time_left::is_worthy;
/// assert!(is_worthy(1_200_000, 4_800)); // SFS, Mely Table 1, in cycles
/// assert!(!is_worthy(20_000, 197_000)); // the web server
/// ```
#[must_use]
pub const fn is_worthy(left_ns: u64, price_ns: u64) -> bool {
    left_ns > price_ns || price_ns == 0
}
