//! Whom to rob: what a stealing policy sees, and what it may answer.

use crate::event::{Color, CoreId};

/// A color that is offered to thieves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The color.
    pub color: Color,
    /// Estimated time of its waiting events, in nanoseconds.
    pub queued_ns: u64,
    /// Number of its waiting events.
    pub events: u32,
    /// How long its next event takes on another core, in percent of the time that it takes here: 100 is no longer, 300
    /// three times as long (Mely §3.3).
    pub penalty_pct: u32,
}

/// What waits at a core, as of a moment ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Estimated time of all waiting events, in nanoseconds.
    pub queued_ns: u64,
    /// Number of waiting events.
    pub events: u64,
    /// Number of colors with waiting events.
    pub colors: u64,
    /// What may be [offered](LoadView::offered) has a slot below this. 0: nothing is.
    pub slots: usize,
}

/// The machine as a thief may see it. Every figure may be out of date when it is read.
pub trait LoadView {
    /// Number of cores.
    fn cores(&self) -> usize;
    /// What waits at `core`; nothing waits at a core that does not exist.
    fn load(&self, core: CoreId) -> Load;
    /// The color offered in a slot of the board of `core`.
    fn offered(&self, core: CoreId, slot: usize) -> Option<Offer>;
    /// What a theft costs on this machine, in nanoseconds.
    fn steal_cost_ns(&self) -> u64;
    /// What thefts from `victim` have cost this thief, in nanoseconds, if it has measured any.
    fn steal_cost_from_ns(&self, _victim: CoreId) -> Option<u64> {
        None
    }
}

/// A plan: take what is offered in this slot, if it is still that color. (Should the owner change the offer at the very
/// moment of the theft, it may be another color that is stolen.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theft {
    /// The core to rob.
    pub victim: CoreId,
    /// The slot of its board.
    pub slot: usize,
    /// The color seen there.
    pub color: Color,
}

/// A stealing policy. It only plans; a plan that makes no sense is ignored and counted. There is no `dyn Stealer`, as views
/// are of any type: to choose a policy while running, write an enum of those that there are. A policy around another
/// passes on all four methods.
pub trait Stealer {
    /// Whom `thief`, which has nothing to run, should rob of what; `None` to let it be.
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft>;

    /// What to take in the same search, now that `last` has succeeded; `stolen` (at least 1) colors have been taken in
    /// it. `None`, as it is unless a policy says otherwise: run what there is. A search takes as many colors as a board
    /// has slots at most, and ends with the first theft that is refused.
    fn again(
        &mut self,
        _thief: CoreId,
        _view: &impl LoadView,
        _last: &Theft,
        _stolen: usize,
    ) -> Option<Theft> {
        None
    }

    /// `theft` came too late, or made no sense. To be remembered: as long as the view is stale, the same plan is refused
    /// again.
    fn refused(&mut self, _theft: &Theft) {}

    /// Will this policy ever steal? If not, no core spends time on offering.
    fn steals(&self) -> bool {
        true
    }
}

/// Nobody is robbed.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSteal;

impl Stealer for NoSteal {
    fn plan(&mut self, _thief: CoreId, _view: &impl LoadView) -> Option<Theft> {
        None
    }

    fn steals(&self) -> bool {
        false
    }
}
