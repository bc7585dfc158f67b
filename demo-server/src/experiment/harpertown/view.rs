//! What do the policies see of this machine, and what do they look at?
//!
//! Fig. 2 of the paper builds a core set, then locks one core after the other and looks at it. A policy plans in one
//! go. So it is asked once with boards that look empty, to learn in which order it goes through the cores, and again
//! under each lock, with a view of that one core. The policies' unit of time is here the cycle.

use std::cell::RefCell;

use color_sched::{Color, CoreId, Load, LoadView, Offer, Stealer};
use mely_steal::{Libasync, Mely, Topology, penalty};

use super::memory::CORES;
use super::queues::{Queues, Seen};

/// Who decides about thefts.
#[derive(Clone, Debug)]
pub(super) enum Policy {
    Libasync(Libasync),
    Mely(Mely),
}

/// Mely's heuristics, by their sections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Heuristics {
    pub(super) locality: bool,
    pub(super) time_left: bool,
    pub(super) penalty: bool,
}

/// The cores in the order in which a thief locks and looks at them.
#[derive(Debug)]
pub(super) struct CoreSet {
    /// Were all cores' events counted first, without a lock?
    pub(super) is_by_count: bool,
    pub(super) cores: Vec<usize>,
}

impl Policy {
    pub(super) const fn libasync() -> Self {
        Self::Libasync(Libasync::new())
    }

    pub(super) fn mely(on: Heuristics) -> Self {
        let policy = Mely::new(Topology::grouped(CORES, &[(2, 2)]));
        Self::Mely(policy.locality(on.locality).time_left(on.time_left).penalty(on.penalty))
    }

    pub(super) fn core_set(&mut self, thief: usize, queues: &dyn Queues) -> CoreSet {
        let view = Counts { queues, looks: RefCell::default() };
        self.plan(thief, &view);
        let mut looks = view.looks.into_inner();
        let counted = looks.len().saturating_sub(CORES - 1);
        let cores = looks.split_off(counted);
        CoreSet { is_by_count: counted > 0, cores }
    }

    /// The color to steal from `victim`, and the slots that were looked at to find it.
    pub(super) fn choose(
        &mut self,
        thief: usize,
        victim: usize,
        queues: &dyn Queues,
        cost: u64,
    ) -> (Option<u32>, Vec<usize>) {
        let view = OneCore { queues, victim, cost, slots: RefCell::default() };
        let color = self.plan(thief, &view);
        (color, view.slots.into_inner())
    }

    fn plan(&mut self, thief: usize, view: &impl LoadView) -> Option<u32> {
        let thief = CoreId(thief as u16);
        let theft = match self {
            Self::Libasync(policy) => policy.plan(thief, view),
            Self::Mely(policy) => policy.plan(thief, view),
        };
        theft.map(|theft| theft.color.0 as u32)
    }
}

/// How much work thieves see in a color.
pub(super) fn time_left(seen: Seen, by_penalty: bool) -> u64 {
    if by_penalty {
        penalty::left_ns(seen.time, seen.penalty.saturating_mul(100))
    } else {
        seen.time
    }
}

fn offer(seen: Seen) -> Offer {
    Offer {
        color: Color(seen.color.into()),
        queued_ns: seen.time,
        events: seen.events,
        penalty_pct: seen.penalty.saturating_mul(100),
    }
}

fn load(queues: &dyn Queues, core: CoreId) -> Load {
    let shape = queues.shape(core.index());
    Load {
        queued_ns: shape.time,
        events: shape.events as u64,
        colors: shape.colors as u64,
        slots: shape.slots,
    }
}

/// What can be seen without a lock.
struct Counts<'a> {
    queues: &'a dyn Queues,
    looks: RefCell<Vec<usize>>,
}

impl LoadView for Counts<'_> {
    fn cores(&self) -> usize {
        CORES
    }

    fn load(&self, core: CoreId) -> Load {
        self.looks.borrow_mut().push(core.index());
        Load { slots: 0, ..load(self.queues, core) }
    }

    fn offered(&self, _core: CoreId, _slot: usize) -> Option<Offer> {
        None
    }

    fn steal_cost_ns(&self) -> u64 {
        0
    }
}

/// What can be seen under the lock of one core.
struct OneCore<'a> {
    queues: &'a dyn Queues,
    victim: usize,
    cost: u64,
    slots: RefCell<Vec<usize>>,
}

impl LoadView for OneCore<'_> {
    fn cores(&self) -> usize {
        CORES
    }

    fn load(&self, core: CoreId) -> Load {
        if core.index() == self.victim { load(self.queues, core) } else { Load::default() }
    }

    fn offered(&self, core: CoreId, slot: usize) -> Option<Offer> {
        self.slots.borrow_mut().push(slot);
        self.queues.seen(core.index(), slot).map(offer)
    }

    fn steal_cost_ns(&self) -> u64 {
        self.cost
    }
}
