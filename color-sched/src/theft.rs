//! How is a theft made, what did it cost, and what did it bring?

use std::sync::Arc;

use crate::board::SLOTS;
use crate::desk::Desk;
use crate::event::{CoreId, Nanos, Ready, StageId};
use crate::hub::{Hub, View};
use crate::learn::Estimate;
use crate::record::HomeCost;
use crate::scheduler::Scheduler;
use crate::stealer::{Stealer, Theft};
use crate::trace::Doing;
use crate::worker::Core;

/// The first event of a stolen color, which finds nothing of it in this core's caches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) of: Ready,
    /// What it takes at home.
    pub(crate) home: HomeCost,
}

impl Trial {
    /// Does the batch run nothing else?
    pub(crate) fn is_alone_in(&self, batch: &[Ready], stage: StageId) -> bool {
        matches!(batch, [ready] if (ready.color, ready.slot) == (self.of.color, self.of.slot))
            && stage == self.of.stage
    }
}

impl<E: Send, S: Send> Core<E, S> {
    /// Plans thefts and makes them, one after the other as long as the policy wants more. True if a color was stolen. A
    /// core whose work was refused would only gather more that it cannot run.
    pub(crate) fn steal<T: Stealer>(
        &mut self,
        scheduler: &mut impl Scheduler,
        stealer: &mut T,
    ) -> bool {
        let desk = &mut self.desk;
        if desk.offers.is_none() || desk.hub.is_stopping() || !scheduler.is_empty() {
            return false;
        }
        let (id, hub) = (desk.id, Arc::clone(&desk.hub));
        let Some(mut theft) = stealer.plan(id, &desk.view(&hub)) else { return false };
        let mut began = hub.clock.now();
        let mut robbed = None;
        for stolen in 1..=SLOTS {
            let Some(loot_ns) = self.desk.take(&theft) else {
                stealer.refused(&theft);
                break;
            };
            if let Some(before) = robbed.replace(theft.victim)
                && before != theft.victim
            {
                self.desk.pass_on(before);
            }
            self.desk.push_fresh(scheduler);
            let now = hub.clock.now();
            self.desk.learn_theft(theft.victim, now.saturating_sub(began), loot_ns);
            self.desk.now = now.max(self.desk.now);
            self.record(began, Doing::Theft(theft.victim));
            let Some(next) = stealer.again(id, &self.desk.view(&hub), &theft, stolen) else {
                break;
            };
            (theft, began) = (next, now);
        }
        // Also after a miss: who relied on this search to find what is left would wake nobody else.
        let Some(victim) = robbed else { return false };
        self.desk.pass_on(victim);
        true
    }
}

impl<E: Send, S: Send> Desk<E, S> {
    /// The machine as this core sees it when it looks for work.
    fn view<'a>(&'a self, hub: &'a Hub<E, S>) -> View<'a, E, S> {
        View { hub, steal_cost_ns: self.steal_cost.ns(), steal_costs: &self.steal_costs }
    }

    /// Takes what a policy has planned to take, and tells how long that will run, as estimated. `None` if it cannot be
    /// taken.
    fn take(&mut self, theft: &Theft) -> Option<Nanos> {
        let Theft { victim, slot, color } = *theft;
        if victim == self.id || victim.index() >= self.hub.cores() || slot >= SLOTS {
            self.stats.nonsense += 1;
            return None;
        }
        let cost_ns = self.steal_costs[victim.index()].measured_ns().unwrap_or(0);
        let cost_ns = u32::try_from(cost_ns).unwrap_or(u32::MAX);
        let Some(record) = self.hub.station(victim).board.take(slot, color, self.id, cost_ns)
        else {
            self.stats.misses += 1;
            return None;
        };
        let loot_ns = record.cell.queued_ns;
        self.adopt(*record);
        Some(loot_ns)
    }

    /// A theft from `victim` took so long, and will run so long.
    fn learn_theft(&mut self, victim: CoreId, took_ns: Nanos, loot_ns: Nanos) {
        self.steal_cost.observe_alone(took_ns);
        self.steal_costs[victim.index()].observe_alone(took_ns);
        self.stats.thefts += 1;
        self.stats.stealing.record(took_ns, 1);
        self.stats.loot.record(loot_ns, 1);
        self.stats.losses += u64::from(took_ns > loot_ns);
    }

    /// Perhaps nothing has been stolen, and nobody woken, for a while.
    pub(crate) fn relax_costs(&mut self) {
        self.wake_cost.relax();
        self.steal_cost.relax();
        self.steal_costs.iter_mut().for_each(Estimate::relax);
    }
}
