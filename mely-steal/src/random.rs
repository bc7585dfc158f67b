//! Random stealing, as in Cilk (Blumofe, Leiserson 1999): whoever the dice name first and has something, and of that
//! the first. It asks neither what a theft costs nor what it brings; what schedulers of plain tasks do, to compare
//! with.

use color_sched::{CoreId, LoadView, Stealer, Theft};

use crate::board;
use crate::refused::Refused;

/// A random victim, then its successors by number; the first color that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Random {
    state: u64,
    refused: Refused,
}

impl Random {
    /// The same seed, the same victims. Thieves should have different ones.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed, refused: Refused::NOTHING }
    }

    /// `SplitMix64`.
    const fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Stealer for Random {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        let (cores, refused) = (board::cores(view), self.refused.take());
        let first = self.roll().checked_rem(cores as u64)? as usize;
        let victims = (first..cores).chain(0..first).map(|core| CoreId(core as u16));
        victims.filter(|&victim| victim != thief).find_map(|victim| {
            board::offers(victim, view.load(victim).slots, view)
                .find(|(slot, _)| !refused.is(victim, *slot))
                .map(|(slot, offer)| Theft { victim, slot, color: offer.color })
        })
    }

    fn refused(&mut self, theft: &Theft) {
        self.refused.note(theft);
    }
}
