//! Penalty-aware stealing (Mely §3.3, §4.2): work on memory that is warm where it is looks smaller to thieves.
//!
//! ```text
//! time left = event time / ws_penalty
//! ```
//!
//! Differs: the paper divides each event's time by its own penalty as it is queued; here the sum is divided by the
//! penalty of the next event, which decides what the thief's first miss is. Penalties are learned by the scheduler, or
//! pinned (`color_sched::Penalty`); one below 100 % counts as that.

use color_sched::{Offer, Penalty as Learned};

use crate::heuristic::Heuristic;

/// Time left is divided by the penalty, and the color with the most is taken.
///
/// This is who heeds a penalty; what it is, [`color_sched::Penalty`] says. Import one of them by name if both crates are
/// imported with `*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Penalty;

impl Heuristic for Penalty {
    fn left_ns(&self, offer: &Offer, left_ns: u64) -> u64 {
        self::left_ns(left_ns, offer.penalty_pct)
    }

    fn takes_most(&self) -> bool {
        true
    }
}

/// How much of `left_ns` a thief sees at this penalty.
///
/// ```
/// use mely_steal::penalty::left_ns;
/// assert_eq!(left_ns(90_000, 100_000), 90); // events of type B of the paper: 1000 times as long (§5.2)
/// assert_eq!(left_ns(90_000, 100), 90_000);
/// ```
#[must_use]
pub const fn left_ns(left_ns: u64, penalty_pct: u32) -> u64 {
    Learned::left_ns(left_ns, penalty_pct)
}
