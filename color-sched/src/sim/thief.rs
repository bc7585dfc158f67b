//! A stealing policy under watch: what it looks at, it pays for.

use std::cell::Cell;

use super::trace::What;
use super::world::{On, World, Yielder};
use crate::event::{CoreId, Nanos};
use crate::stealer::{Load, LoadView, Offer, Stealer, Theft};

/// The workload's stealer on one core.
pub(super) struct Thief<'y, T> {
    pub(super) inner: T,
    pub(super) world: &'y World,
    pub(super) fiber: &'y Yielder,
    /// Whom it last planned to rob.
    pub(super) plan: Option<Theft>,
}

/// The machine through the eyes of a thief who pays for each look: a line for a core's load, one for its board. Several
/// lines travel at once, but not faster than the farthest of them.
struct Paid<'v, V> {
    view: &'v V,
    world: &'v World,
    thief: CoreId,
    /// Cores whose board was looked at.
    seen: Cell<u128>,
    sum_ns: Cell<Nanos>,
    farthest_ns: Cell<Nanos>,
}

impl<V> Paid<'_, V> {
    fn pay(&self, core: CoreId) {
        let line_ns = self.world.topology.line_ns(core, self.thief);
        self.sum_ns.set(self.sum_ns.get() + line_ns);
        self.farthest_ns.set(self.farthest_ns.get().max(line_ns));
    }

    fn price_ns(&self) -> Nanos {
        let at_once = u64::from(self.world.costs.looks_at_once.max(1));
        self.farthest_ns.get().max(self.sum_ns.get() / at_once)
    }
}

impl<V: LoadView> LoadView for Paid<'_, V> {
    fn cores(&self) -> usize {
        self.view.cores()
    }

    fn load(&self, core: CoreId) -> Load {
        self.pay(core);
        self.view.load(core)
    }

    fn offered(&self, core: CoreId, slot: usize) -> Option<Offer> {
        let bit = 1 << (core.index() % super::MAX_CORES);
        if self.seen.get() & bit == 0 {
            self.seen.set(self.seen.get() | bit);
            self.pay(core);
        }
        self.view.offered(core, slot)
    }

    fn steal_cost_ns(&self) -> u64 {
        self.view.steal_cost_ns()
    }
}

impl<T: Stealer> Stealer for Thief<'_, T> {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        let (seen, sum_ns, farthest_ns) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let paid = Paid { view, world: self.world, thief, seen, sum_ns, farthest_ns };
        self.plan = self.inner.plan(thief, &paid);
        // What was seen may be gone when this is over.
        self.world.pay(self.fiber, thief, On::Stealing, paid.price_ns());
        self.plan
    }

    fn steals(&self) -> bool {
        self.inner.steals()
    }
}

impl<T> Thief<'_, T> {
    /// Tells what became of the plan.
    pub(super) fn note(&mut self, thief: CoreId, thefts: u64, misses: u64) {
        let Some(plan) = self.plan else { return };
        if thefts > 0 {
            self.world.note(thief, What::Steal, Some(plan.color));
        }
        if misses > 0 {
            self.world.note(thief, What::Miss, Some(plan.color));
        }
    }
}
