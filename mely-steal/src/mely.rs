//! Mely's algorithm (§3, §4.2): Libasync-smp's three questions, each answered better by a heuristic on its own switch.
//!
//! | question of Fig. 2 | all off | locality | time left | penalty |
//! |---|---|---|---|---|
//! | whom to look at | most loaded, then its successors | nearest first | - | - |
//! | can he be robbed? | two colors wait | - | a color is worthy | - |
//! | of which color? | first under half of the events | - | most time left of the worthy | time left ÷ penalty |
//!
//! All off plans exactly what [`Libasync`](crate::Libasync) plans ("Mely - base WS" of Tables 3 to 6). Penalty without
//! time left takes the color with the most time ÷ penalty of those under half of the events, worth the trip or not.

use std::cmp::Reverse;

use color_sched::{CoreId, LoadView, Offer, Stealer, Theft};

use crate::locality::Nearest;
use crate::topology::{Distance, Topology};
use crate::{board, libasync, penalty, price, time_left};

/// Mely's policy. One a core: it remembers its thief's core set, and allocates only when that changes.
///
/// ```
/// use mely_steal::{Mely, Topology};
/// let all = Mely::new(Topology::uniform(2));
/// let only_time_left = all.clone().locality(false).penalty(false);
/// ```
#[derive(Clone, Debug)]
pub struct Mely {
    is_local: bool,
    choice: Choice,
    nearest: Nearest,
}

impl Mely {
    /// All three heuristics on.
    #[must_use]
    pub fn new(topology: Topology) -> Self {
        let choice = Choice { by_time_left: true, by_penalty: true };
        Self { is_local: true, choice, nearest: Nearest::new(topology) }
    }

    /// Nearest victims first (§3.1), and dearer thefts from other memory ([`price`]).
    #[must_use]
    pub const fn locality(mut self, is_on: bool) -> Self {
        self.is_local = is_on;
        self
    }

    /// Only colors that take longer to run than to steal (§3.2).
    #[must_use]
    pub const fn time_left(mut self, is_on: bool) -> Self {
        self.choice.by_time_left = is_on;
        self
    }

    /// Colors whose memory is warm where they are look smaller (§3.3).
    #[must_use]
    pub const fn penalty(mut self, is_on: bool) -> Self {
        self.choice.by_penalty = is_on;
        self
    }
}

impl Stealer for Mely {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        let choice = self.choice;
        if self.is_local {
            let near = self.nearest.core_set(thief, board::cores(view)).iter();
            return near
                .copied()
                .find_map(|(distance, victim)| choice.rob(thief, victim, distance, view));
        }
        libasync::core_set(view)
            .filter(|&victim| victim != thief)
            .find_map(|victim| choice.rob(thief, victim, Distance::Unknown, view))
    }
}

/// The part of the decision that concerns one victim.
#[derive(Clone, Copy, Debug)]
struct Choice {
    by_time_left: bool,
    by_penalty: bool,
}

impl Choice {
    fn rob(
        self,
        thief: CoreId,
        victim: CoreId,
        distance: Distance,
        view: &impl LoadView,
    ) -> Option<Theft> {
        let load = view.load(victim);
        if !self.by_time_left && !libasync::can_be_stolen(&load) {
            return None;
        }
        let slots = load.slots.min(board::MAX_SLOTS);
        let price_ns = price::price_ns(view.steal_cost_ns(), distance);
        let mut stealable = board::offers(victim, slots, view).filter(|(_, offer)| {
            if self.by_time_left {
                time_left::is_worthy(self.left_ns(offer), price_ns)
            } else {
                libasync::is_under_half(offer, &load)
            }
        });
        let chosen = if self.by_time_left || self.by_penalty {
            // Thieves with the same victim count slots from their own number, and of equals take different ones.
            let turn = |slot: usize| (slot + slots - thief.index() % slots) % slots;
            stealable.min_by_key(|(slot, offer)| (Reverse(self.left_ns(offer)), turn(*slot)))
        } else {
            stealable.next()
        };
        chosen.map(|(slot, offer)| Theft { victim, slot, color: offer.color })
    }

    const fn left_ns(self, offer: &Offer) -> u64 {
        if self.by_penalty { penalty::left_ns(offer) } else { offer.queued_ns }
    }
}
