//! Which colors are worth a thief's trip?
//!
//! A color is worthy when its events take longer than a theft does (Mely §3.2). As there, worthy colors are kept in
//! three intervals of time left, without order inside of one, so that finding a long one and moving one is O(1).
//! A color's time counts divided by the [penalty](crate::Penalty) of its next stage (§4.2).
//! Differs: an interval is a factor of four of the cost of a theft, so that a color moves only when it crosses one.

use crate::event::Slot;
use crate::links::Lists;

/// Number of intervals: up to 4, up to 16, and more than 16 thefts' worth.
const INTERVALS: usize = 3;

/// The interval of a color with `queued_ns` waiting, or `None` if it isn't worth a theft. A cost of 0 makes every
/// color worthy.
#[must_use]
pub fn interval(queued_ns: u64, steal_cost_ns: u64) -> Option<usize> {
    if queued_ns <= steal_cost_ns && steal_cost_ns > 0 {
        return None;
    }
    let thefts = queued_ns / steal_cost_ns.max(1);
    let power_of_four = thefts.checked_ilog2().unwrap_or(0) as usize / 2;
    Some(power_of_four.min(INTERVALS - 1))
}

/// The worthy colors of a core, by time left: Mely's stealing-queue.
#[derive(Debug)]
pub(crate) struct Worthy {
    lists: Lists,
}

impl Worthy {
    pub(crate) fn new() -> Self {
        Self { lists: Lists::new(INTERVALS) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lists.len() == 0
    }

    /// How long these colors take at least: each longer than a theft.
    pub(crate) fn at_least_ns(&self, steal_cost_ns: u64) -> u64 {
        steal_cost_ns.saturating_mul(self.lists.len() as u64)
    }

    /// Notes what waits for a color. True if it is worth a theft.
    pub(crate) fn note(&mut self, slot: Slot, queued_ns: u64, steal_cost_ns: u64) -> bool {
        let now = interval(queued_ns, steal_cost_ns);
        let was = self.lists.list_of(slot);
        if now != was {
            if was.is_some() {
                self.lists.remove(slot);
            }
            if let Some(interval) = now {
                self.lists.push_back(interval, slot);
            }
        }
        now.is_some()
    }

    /// The color in `slot` is not to be offered.
    pub(crate) fn forget(&mut self, slot: Slot) {
        self.lists.remove(slot);
    }

    /// Takes a color with much time left; of those, the one that became worthy last, whose turn at its own core is farthest
    /// away.
    pub(crate) fn pop(&mut self) -> Option<Slot> {
        if self.is_empty() {
            return None;
        }
        (0..INTERVALS).rev().find_map(|list| self.lists.pop_back(list))
    }
}
