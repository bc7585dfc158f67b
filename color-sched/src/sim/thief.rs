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
    /// What it planned in this turn, in order.
    pub(super) plans: Vec<Theft>,
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

    fn steal_cost_from_ns(&self, victim: CoreId) -> Option<u64> {
        self.view.steal_cost_from_ns(victim)
    }
}

impl<T: Stealer> Thief<'_, T> {
    /// Lets the policy look, and pays for it.
    fn look<V: LoadView>(
        &mut self,
        thief: CoreId,
        view: &V,
        plan: impl FnOnce(&mut T, &Paid<'_, V>) -> Option<Theft>,
    ) -> Option<Theft> {
        let (seen, sum_ns, farthest_ns) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let paid = Paid { view, world: self.world, thief, seen, sum_ns, farthest_ns };
        let plan = plan(&mut self.inner, &paid);
        // What was seen may be gone when this is over.
        self.world.pay(self.fiber, thief, On::Stealing, paid.price_ns());
        self.plans.extend(plan);
        plan
    }
}

impl<T: Stealer> Stealer for Thief<'_, T> {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        self.look(thief, view, |policy, paid| policy.plan(thief, paid))
    }

    fn again(
        &mut self,
        thief: CoreId,
        view: &impl LoadView,
        last: &Theft,
        stolen: usize,
    ) -> Option<Theft> {
        self.look(thief, view, |policy, paid| policy.again(thief, paid, last, stolen))
    }

    fn refused(&mut self, theft: &Theft) {
        self.inner.refused(theft);
    }

    fn steals(&self) -> bool {
        self.inner.steals()
    }
}

impl<T> Thief<'_, T> {
    /// Tells what became of the plans: the first ones were carried out.
    pub(super) fn note(&self, thief: CoreId, thefts: u64, misses: u64) {
        let fates = (0..thefts).map(|_| What::Steal).chain((0..misses).map(|_| What::Miss));
        for (plan, what) in self.plans.iter().zip(fates) {
            self.world.note(thief, what, Some(plan.color));
        }
    }
}
