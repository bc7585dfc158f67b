//! Libasync-smp's algorithm (Mely §2.2, Fig. 2), the baseline, with its faults.
//!
//! ```text
//! core_set               the core with the most events first, then its successors by number
//! can_be_stolen          events of at least two colors wait
//! choose_color_to_steal  the first color with less than half of the events; there may be none
//! ```
//!
//! It asks neither what a theft costs nor what it brings, nor how far the victim is.
//! Differs: "first" is by slot of the victim's board, as the queue itself isn't visible, and the color being run needs no
//! test, as it is never offered. For any color to be stolen, let the scheduler offer all: `Cost::fixed(0)` as
//! color-sched's steal cost.

use color_sched::{CoreId, Load, LoadView, Offer, Stealer, Theft};

use crate::board;
use crate::refused::Refused;

/// The baseline policy: most loaded victim, first color under half of its events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Libasync {
    refused: Refused,
}

impl Libasync {
    /// The baseline. It has nothing to set.
    #[must_use]
    pub const fn new() -> Self {
        Self { refused: Refused::NOTHING }
    }
}

impl Stealer for Libasync {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        let refused = self.refused.take();
        core_set(view).filter(|&victim| victim != thief).find_map(|victim| {
            let load = view.load(victim);
            if !can_be_stolen(&load) {
                return None;
            }
            board::offers(victim, load.slots, view)
                .find(|(slot, offer)| is_under_half(offer, &load) && !refused.is(victim, *slot))
                .map(|(slot, offer)| Theft { victim, slot, color: offer.color })
        })
    }

    fn refused(&mut self, theft: &Theft) {
        self.refused.note(theft);
    }
}

/// All cores, from the one with the most events on; the lowest number of equals. `construct_core_set` of the paper.
pub fn core_set(view: &impl LoadView) -> impl Iterator<Item = CoreId> {
    let cores = board::cores(view);
    let id = |core| CoreId(core as u16);
    let mut most = (0, 0);
    for core in 0..cores {
        let events = view.load(id(core)).events;
        if events > most.0 {
            most = (events, core);
        }
    }
    (most.1..cores).chain(0..most.1).map(id)
}

/// Do events of two colors wait, so that one is left whichever the core runs?
#[must_use]
pub const fn can_be_stolen(load: &Load) -> bool {
    load.colors >= 2
}

/// Has the color less than half of the core's waiting events?
#[must_use]
pub const fn is_under_half(offer: &Offer, load: &Load) -> bool {
    (offer.events as u64) < load.events.div_ceil(2)
}
