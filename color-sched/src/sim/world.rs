//! What does a core pay, and when is it another core's turn?

use std::cell::{Cell, RefCell, RefMut};
use std::sync::Arc;

use super::costs::Costs;
use super::fault::Fault;
use super::ledger::Ledger;
use super::report::CoreReport;
use super::topology::Topology;
use super::trace::What;
use super::wire::Wire;
use crate::event::{Color, CoreId, Nanos};
use crate::stats::CoreStats;

/// Why a core lets others run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pause {
    /// Others are behind it in time.
    Turn,
    /// It waits until woken, or until then.
    Wait(Option<Nanos>),
}

/// The way out of a core, from however deep in its code.
pub(super) type Yielder = corosensei::Yielder<(), Pause>;

/// What time is spent on.
#[derive(Clone, Copy, Debug)]
pub(super) enum On {
    Handlers,
    Transfers,
    Overhead,
    Stealing,
}

/// All that the simulated cores have in common.
#[derive(Debug)]
pub(super) struct World {
    pub(super) costs: Costs,
    pub(super) topology: Topology,
    pub(super) wire: Arc<Wire>,
    ledger: RefCell<Ledger>,
    accounts: RefCell<Vec<CoreReport>>,
    /// Since when each core waits.
    waits_since: RefCell<Vec<Option<Nanos>>>,
    /// How many colors were stolen from each core.
    robbed: RefCell<Vec<u64>>,
    is_halted: Cell<bool>,
    turns_left: Cell<u64>,
    /// The accounts when the last event had run.
    closing: RefCell<Option<(Nanos, Vec<CoreReport>)>>,
}

impl World {
    pub(super) fn new(cores: usize, costs: Costs, topology: Topology, turns: u64) -> Self {
        Self {
            wire: Arc::new(Wire::new(cores, costs.wake_call_ns, costs.wake_latency_ns)),
            costs,
            topology,
            ledger: RefCell::default(),
            accounts: RefCell::new(vec![CoreReport::default(); cores]),
            waits_since: RefCell::new(vec![None; cores]),
            robbed: RefCell::new(vec![0; cores]),
            is_halted: Cell::new(false),
            turns_left: Cell::new(turns),
            closing: RefCell::default(),
        }
    }

    pub(super) fn now(&self) -> Nanos {
        self.wire.now()
    }

    /// The books. Not to be held while a core pays: others look at them then.
    pub(super) fn ledger(&self) -> RefMut<'_, Ledger> {
        self.ledger.borrow_mut()
    }

    pub(super) fn account(&self, core: CoreId) -> RefMut<'_, CoreReport> {
        RefMut::map(self.accounts.borrow_mut(), |accounts| &mut accounts[core.index()])
    }

    /// From now on no core lets another one run, and each ends after its turn.
    pub(super) fn halt(&self) {
        self.is_halted.set(true);
    }

    pub(super) fn is_halted(&self) -> bool {
        self.is_halted.get()
    }

    pub(super) fn blame(&self, core: CoreId, fault: Fault) {
        self.ledger().blame(self.now(), core, fault);
    }

    pub(super) fn note(&self, core: CoreId, what: What, color: Option<Color>) {
        let now = self.now();
        self.ledger().trace.note(now, core, what, color);
    }

    /// Time passes for the core that runs; if others are behind then, they run first.
    pub(super) fn pay(&self, fiber: &Yielder, core: CoreId, on: On, ns: Nanos) {
        if self.is_halted() {
            return;
        }
        let debt_ns = self.wire.take_debt();
        {
            let mut account = self.account(core);
            account.waking_ns += debt_ns;
            match on {
                On::Handlers => account.busy_ns += ns,
                On::Transfers => {
                    account.busy_ns += ns;
                    account.transfer_ns += ns;
                }
                On::Overhead => account.overhead_ns += ns,
                On::Stealing => account.stealing_ns += ns,
            }
        }
        if self.wire.pass(ns + debt_ns) {
            fiber.suspend(Pause::Turn);
        }
        if self.ledger.borrow().fault.is_some() {
            self.halt();
        }
    }

    /// The core waits until woken, or until `until`.
    pub(super) fn wait(&self, fiber: &Yielder, core: CoreId, until: Option<Nanos>) {
        if self.is_halted() {
            return;
        }
        self.account(core).parks += 1;
        self.note(core, What::Park, None);
        self.waits_since.borrow_mut()[core.index()] = Some(self.now());
        fiber.suspend(Pause::Wait(until));
        self.waits_since.borrow_mut()[core.index()] = None;
        self.note(core, What::Rise, None);
    }

    /// A core that waits since before `time`, and that nobody has woken.
    pub(super) fn waits_since(&self, time: Nanos) -> Option<CoreId> {
        let waits_since = self.waits_since.borrow();
        let cores =
            waits_since.iter().enumerate().map(|(core, since)| (CoreId(core as u16), since));
        cores
            .filter(|(_, since)| since.is_some_and(|since| since <= time))
            .map(|(core, _)| core)
            .find(|&core| self.wire.rises_at(core).is_none())
    }

    /// How many colors were stolen from a core, whether it has noticed or not.
    pub(super) fn robbed(&self, core: CoreId) -> u64 {
        self.robbed.borrow()[core.index()]
    }

    /// Is a core on its way up, that was woken while it waited?
    pub(super) fn is_any_rising(&self) -> bool {
        let waits_since = self.waits_since.borrow();
        let mut waiting = (0..waits_since.len()).filter(|&core| waits_since[core].is_some());
        waiting.any(|core| self.wire.rises_at(CoreId(core as u16)).is_some())
    }

    /// Pays for what a core did since `before`, thefts from `victim` among it.
    pub(super) fn pay_for(
        &self,
        fiber: &Yielder,
        core: CoreId,
        (before, after): (&Counts, &Counts),
        victim: CoreId,
    ) {
        let costs = &self.costs;
        let messages = after.messages - before.messages;
        let offers = after.offers - before.offers;
        let overhead_ns = messages * costs.message_ns + offers * costs.rmw_ns;
        let (thefts, misses) = (after.thefts - before.thefts, after.misses - before.misses);
        if let Some(robbed) = self.robbed.borrow_mut().get_mut(victim.index()) {
            *robbed += thefts;
        }
        {
            let mut account = self.account(core);
            account.thefts += thefts;
            account.misses += misses;
            account.wakes += after.wakes - before.wakes;
            account.panics += after.panics - before.panics;
        }
        let line_ns = self.topology.line_ns(victim, core);
        let theft_ns = costs.theft_ns + u64::from(costs.theft_lines) * line_ns;
        let stealing_ns = thefts * theft_ns + misses * (costs.rmw_ns + line_ns);
        if stealing_ns > 0 {
            self.pay(fiber, core, On::Stealing, stealing_ns);
        }
        self.pay(fiber, core, On::Overhead, overhead_ns);
    }

    /// A turn is over. True when everything is done, told once.
    pub(super) fn end_turn(&self, core: CoreId) -> bool {
        let (left, last_at) = {
            let ledger = self.ledger();
            (ledger.left, ledger.last_at)
        };
        let turns_left = self.turns_left.get().saturating_sub(1);
        if turns_left == 0 {
            let limit = super::simulation::MAX_TURNS;
            self.blame(core, Fault::Endless { limit, left });
            self.halt();
        }
        self.turns_left.set(turns_left);
        let mut closing = self.closing.borrow_mut();
        if left > 0 || closing.is_some() {
            return false;
        }
        *closing = Some((last_at, self.accounts.borrow().clone()));
        true
    }

    /// The makespan, and what each core did in it.
    pub(super) fn take_accounts(&self) -> (Nanos, Vec<CoreReport>) {
        let (makespan_ns, mut cores) = self.closing.take().unwrap_or_default();
        for core in &mut cores {
            let worked_ns = core.busy_ns + core.overhead_ns + core.stealing_ns + core.waking_ns;
            core.idle_ns = makespan_ns.saturating_sub(worked_ns);
        }
        (makespan_ns, cores)
    }
}

/// Those of a core's counters that are paid for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    messages: u64,
    offers: u64,
    pub(super) thefts: u64,
    pub(super) misses: u64,
    wakes: u64,
    panics: u64,
}

impl Counts {
    pub(super) fn of(stats: &CoreStats) -> Self {
        Self {
            messages: stats.sent + stats.forwarded + stats.returned,
            offers: stats.offers,
            thefts: stats.thefts,
            misses: stats.misses,
            wakes: stats.wakes,
            panics: stats.panics,
        }
    }
}
