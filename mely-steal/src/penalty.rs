//! Penalty-aware stealing (Mely §3.3, §4.2): work on memory that is warm where it is looks smaller to thieves.
//!
//! ```text
//! time left = event time / ws_penalty
//! ```
//!
//! Differs: the paper divides each event's time by its own penalty as it is queued; here the sum is divided by the
//! penalty of the next event, which decides what the thief's first miss is. A penalty of 0 counts as 1.

use color_sched::Offer;

/// How much work a thief sees in a color, in nanoseconds.
///
/// ```
/// use color_sched::{Color, Offer};
/// use mely_steal::penalty::left_ns;
/// let warm = Offer { color: Color(7), queued_ns: 90_000, events: 3, penalty: 1000 };
/// assert_eq!(left_ns(&warm), 90);
/// ```
#[must_use]
pub const fn left_ns(offer: &Offer) -> u64 {
    match offer.queued_ns.checked_div(offer.penalty as u64) {
        Some(left_ns) => left_ns,
        None => offer.queued_ns,
    }
}
