//! How does a simulated core live? As a real one, turn by turn, but for the time.

use std::rc::Rc;

use super::act::{Job, Kept};
use super::dice::Dice;
use super::fault::Fault;
use super::program::Program;
use super::thief::Thief;
use super::workload::{Calls, Workload};
use super::world::{Counts, World, Yielder};
use crate::event::Nanos;
use crate::hub::View;
use crate::machine::Control;
use crate::park::is_any_searching;
use crate::scheduler::Scheduler;
use crate::stealer::{LoadView, Stealer};
use crate::worker::{Core, Turn};

/// A core before its life.
pub(super) struct Birth<W: Workload, C, T> {
    pub(super) core: Core<Job<W::Event>, Kept<W::State>>,
    pub(super) control: Control<Job<W::Event>, Kept<W::State>>,
    pub(super) world: Rc<World>,
    pub(super) workload: Rc<W>,
    pub(super) calls: Calls<W::Event, W::State>,
    pub(super) dice: Dice,
    pub(super) scheduler: C,
    pub(super) stealer: T,
    /// Price of a wake, if parked cores are watched.
    pub(super) wake_price_ns: Option<Nanos>,
}

impl<W: Workload, C: Scheduler, T: Stealer> Birth<W, C, T> {
    /// The core's whole life.
    pub(super) fn live(self, fiber: &Yielder) {
        let Self { mut core, control, world, workload, calls, dice, mut scheduler, .. } = self;
        let (id, shared) = (core.id(), Rc::clone(&world));
        let mut program = Program { core: id, fiber, world: shared, workload, calls, dice };
        let mut thief = Thief { inner: self.stealer, world: &world, fiber, plans: Vec::new() };
        let mut watch = Watch { wake_price_ns: self.wake_price_ns, ..Watch::default() };
        let mut before = Counts::default();
        while !world.is_halted() {
            thief.plans.clear();
            let wait = core.begin_turn(&mut program, &mut scheduler, &mut thief, true);
            let stolen = Counts::of(core.stats());
            thief.note(id, stolen.thefts - before.thefts, stolen.misses - before.misses);
            let victim = thief.plans.last().map_or(id, |plan| plan.victim);
            world.pay_for(fiber, id, (&before, &stolen), victim);
            let polled = core.poll(&mut program, wait);
            let began_at = world.now();
            let turn = core.end_turn(&mut program, &mut scheduler, wait, polled);
            before = Counts::of(core.stats());
            world.pay_for(fiber, id, (&stolen, &before), id);
            if world.end_turn(id) {
                control.stop();
            }
            watch.look(&core, &control, &world, began_at);
            if !matches!(turn, Ok(Turn::Busy | Turn::Idle(_))) {
                return;
            }
        }
    }
}

/// Looks after each turn whether others wait though there is work for them on this core's board.
#[derive(Default)]
struct Watch {
    wake_price_ns: Option<Nanos>,
    /// Since when that is so, and how many colors had been stolen from here then.
    since: Option<(Nanos, u64)>,
    longest_turn_ns: Nanos,
}

impl Watch {
    fn look<E: Send, S: Send>(
        &mut self,
        core: &Core<E, S>,
        control: &Control<E, S>,
        world: &World,
        began_at: Nanos,
    ) {
        let Some(price_ns) = self.wake_price_ns else { return };
        let (now, id) = (world.now(), core.id());
        self.longest_turn_ns = self.longest_turn_ns.max(now - began_at);
        let (visible_ns, robbed) = (visible_ns(core, control), world.robbed(id));
        let searching = control.hub.others(id).map(|station| &*station.parker);
        let is_looked_after = visible_ns <= price_ns
            || world.is_any_rising()
            || is_any_searching(searching)
            || control.is_stopping();
        if is_looked_after || self.since.is_some_and(|(_, before)| before != robbed) {
            self.since = None;
        }
        if is_looked_after {
            return;
        }
        let (since_ns, _) = *self.since.get_or_insert((now, robbed));
        let grace_ns = world.costs.wake_latency_ns + self.longest_turn_ns;
        if now - since_ns > grace_ns
            && let Some(parked) = world.waits_since(since_ns)
        {
            world.blame(id, Fault::Parked { visible_ns, since_ns, parked });
        }
    }
}

/// Estimated time of what a core offers.
fn visible_ns<E: Send, S: Send>(core: &Core<E, S>, control: &Control<E, S>) -> Nanos {
    let view = View { hub: &*control.hub, steal_cost_ns: 0, steal_costs: &[] };
    let slots = view.load(core.id()).slots;
    let offers = (0..slots).filter_map(|slot| view.offered(core.id(), slot));
    offers.map(|offer| offer.queued_ns).sum()
}
