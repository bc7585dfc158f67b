//! Which core is next? The one that is furthest behind in time.

use std::fmt;
use std::rc::Rc;

use corosensei::{Coroutine, CoroutineResult};

use super::costs::Costs;
use super::dice::{Dice, mix};
use super::fault::{Fault, SimError};
use super::life::Birth;
use super::report::{Latency, Report};
use super::topology::Topology;
use super::workload::{Start, Workload};
use super::world::{Pause, World};
use crate::clock::Clock;
use crate::event::{CoreId, Nanos};
use crate::learn::Cost;
use crate::machine::{Config, Machine};
use crate::scheduler::Scheduler;
use crate::stealer::Stealer;

/// Cores that a simulated machine can have.
pub const MAX_CORES: usize = 128;
/// Turns that all cores together may take.
pub(super) const MAX_TURNS: u64 = 1 << 32;

/// A machine to simulate: how many cores, how far apart, and what things cost there.
///
/// See the [module](super) for an example.
pub struct Simulation {
    cores: usize,
    seed: u64,
    costs: Costs,
    topology: Topology,
    is_traced: bool,
    is_watched: bool,
    tune: Box<dyn Fn(&mut Config)>,
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("cores", &self.cores)
            .field("seed", &self.seed)
            .field("costs", &self.costs)
            .field("topology", &self.topology)
            .finish_non_exhaustive()
    }
}

impl Simulation {
    /// A machine of 1 to [`MAX_CORES`] cores, with the costs that were measured on real ones, and seed 0.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        Self {
            cores,
            seed: 0,
            costs: Costs::default(),
            topology: Topology::default(),
            is_traced: false,
            is_watched: false,
            tune: Box::new(|_| {}),
        }
    }

    /// Sets the seed: of the workload's dice, and of who goes first when two cores are equally far in time.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets what things cost.
    #[must_use]
    pub fn costs(mut self, costs: Costs) -> Self {
        self.costs = costs;
        self
    }

    /// Sets how far apart cores are.
    #[must_use]
    pub fn topology(mut self, topology: Topology) -> Self {
        self.topology = topology;
        self
    }

    /// Keeps the trace, some 30 bytes for every event.
    #[must_use]
    pub fn trace(mut self, is_traced: bool) -> Self {
        self.is_traced = is_traced;
        self
    }

    /// Fails if a core waits though another one offers more work than a wake costs, for longer than a wake and the
    /// longest turn take. To be used with a stealer that takes whatever it finds: others may have reasons to leave it.
    #[must_use]
    pub fn watch_parked(mut self, is_watched: bool) -> Self {
        self.is_watched = is_watched;
        self
    }

    /// Changes the machine's configuration. Unless this does otherwise the costs of a theft and of a wake are pinned to
    /// the simulated ones; the number of cores and the clock are the simulation's.
    #[must_use]
    pub fn tune(mut self, tune: impl Fn(&mut Config) + 'static) -> Self {
        self.tune = Box::new(tune);
        self
    }

    /// Runs `workload` until nothing is left to do, with a scheduler and a stealer for each core.
    ///
    /// # Errors
    /// [`SimError::Broken`] if something happened that must not; the others if there can be no such machine.
    ///
    /// # Panics
    /// If the workload panics other than while it runs an event: that only closes the event's color.
    pub fn run<W, C, T>(
        &self,
        workload: W,
        mut scheduler: impl FnMut(CoreId) -> C,
        mut stealer: impl FnMut(CoreId) -> T,
    ) -> Result<Report, SimError>
    where
        W: Workload,
        C: Scheduler + 'static,
        T: Stealer + 'static,
    {
        let world = Rc::new(self.world()?);
        let config = self.config(&world, &workload);
        let wake_price_ns = self.is_watched.then_some(self.wake_ns());
        let (control, cores) = Machine::new(config)?;
        let workload = Rc::new(workload);
        let mut start = Start::new(self.cores, Dice::new(mix(self.seed)));
        workload.start(&mut start);
        let Start { calls, mut dice } = start;
        world.ledger().left = calls.iter().map(|calls| calls.len() as u64).sum();
        if world.ledger().left == 0 {
            control.stop();
        }
        let mut stands = Vec::with_capacity(self.cores);
        for (core, calls) in cores.into_iter().zip(calls) {
            let (id, tie) = (core.id(), dice.roll());
            // Boxed: what a fiber starts with has to fit into a page.
            let birth = Box::new(Birth {
                core,
                control: control.clone(),
                world: Rc::clone(&world),
                workload: Rc::clone(&workload),
                calls,
                dice: Dice::new(dice.roll()),
                scheduler: scheduler(id),
                stealer: stealer(id),
                wake_price_ns,
            });
            let fiber = Coroutine::new(|fiber, ()| birth.live(fiber));
            stands.push(Stand { id, fiber, place: Place::Ready(0), tie });
        }
        let mut cores = Cores { stands, world: Rc::clone(&world), dice };
        let last = cores.run();
        drop(cores);
        self.report(&world, last)
    }

    fn world(&self) -> Result<World, SimError> {
        if !(1..=MAX_CORES).contains(&self.cores) {
            return Err(SimError::Cores(self.cores));
        }
        let world = World::new(self.cores, self.costs.clone(), self.topology.clone(), MAX_TURNS);
        world.ledger().trace.text = self.is_traced.then(String::new);
        Ok(world)
    }

    fn wake_ns(&self) -> Nanos {
        self.costs.wake_call_ns + self.costs.wake_latency_ns
    }

    fn config(&self, world: &World, workload: &impl Workload) -> Config {
        let mut config = Config::new(self.cores, workload.stages());
        let far_ns = self.topology.line_ns(CoreId(0), CoreId(self.cores as u16 - 1));
        let theft_ns = self.costs.theft_ns + u64::from(self.costs.theft_lines) * far_ns;
        config.steal_cost = Cost::fixed(theft_ns);
        config.wake_cost = Cost::fixed(self.wake_ns());
        (self.tune)(&mut config);
        config.cores = self.cores;
        config.clock = Clock::Manual(std::sync::Arc::clone(&world.wire.clock));
        config
    }

    fn report(&self, world: &World, last: CoreId) -> Result<Report, SimError> {
        let now = world.now();
        let mut ledger = world.ledger();
        if ledger.fault.is_none() {
            ledger.audit(now, last);
        }
        if let Some((at_ns, core, fault)) = ledger.fault.take() {
            let trace = ledger.trace.text.take();
            return Err(SimError::Broken { seed: self.seed, at_ns, core, fault, trace });
        }
        let (makespan_ns, cores) = world.take_accounts();
        Ok(Report {
            seed: self.seed,
            cores,
            makespan_ns,
            events: ledger.events,
            given_back: ledger.given_back,
            latency: Latency::of(std::mem::take(&mut ledger.waits)),
            trace_hash: ledger.trace.hash,
            trace: ledger.trace.text.take(),
        })
    }
}

/// What a core is doing.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// It goes on at this time.
    Ready(Nanos),
    /// It waits since the first time, until the second or until woken.
    Waits(Nanos, Option<Nanos>),
    /// It has ended.
    Over,
}

/// A core between two of its steps.
struct Stand {
    id: CoreId,
    fiber: Coroutine<(), Pause, ()>,
    place: Place,
    /// Who goes first among those that are equally far.
    tie: u64,
}

/// All cores. One runs at a time, on a stack of its own.
struct Cores {
    stands: Vec<Stand>,
    world: Rc<World>,
    dice: Dice,
}

impl Cores {
    /// Runs all to their end, and tells which one ran last.
    fn run(&mut self) -> CoreId {
        let mut last = CoreId(0);
        while !self.world.is_halted() {
            let Some((next, now, horizon)) = self.next() else { break };
            self.world.wire.turn_to(now, horizon);
            last = self.stands[next].id;
            self.resume(next);
        }
        let left = self.world.ledger().left;
        let is_over = |stand: &Stand| matches!(stand.place, Place::Over);
        if !self.stands.iter().all(is_over) {
            // If the run was halted this is not the first fault, and not told.
            self.world.blame(last, Fault::Stuck { left });
        }
        last
    }

    /// When a core goes on.
    fn ready_at(&self, stand: &Stand) -> Option<Nanos> {
        match stand.place {
            Place::Over => None,
            Place::Ready(at) => Some(at),
            Place::Waits(since, until) => {
                let rises_at = self.world.wire.rises_at(stand.id);
                let at = [until, rises_at].into_iter().flatten().min()?;
                Some(at.max(since))
            }
        }
    }

    /// The core that is next, its time, and the time of the one after it.
    fn next(&self) -> Option<(usize, Nanos, Option<Nanos>)> {
        let mut first: Option<(Nanos, u64, usize)> = None;
        let mut horizon: Option<Nanos> = None;
        for (index, stand) in self.stands.iter().enumerate() {
            let Some(at) = self.ready_at(stand) else { continue };
            let rival = (at, stand.tie, index);
            let later = match first {
                Some(leader) if leader <= rival => at,
                leader => {
                    first = Some(rival);
                    let Some((at, ..)) = leader else { continue };
                    at
                }
            };
            horizon = Some(horizon.map_or(later, |horizon| horizon.min(later)));
        }
        first.map(|(at, _, index)| (index, at, horizon))
    }

    fn resume(&mut self, index: usize) {
        let stand = &mut self.stands[index];
        let result = stand.fiber.resume(());
        let now = self.world.now();
        stand.tie = self.dice.roll();
        stand.place = match result {
            CoroutineResult::Yield(Pause::Turn) => Place::Ready(now),
            CoroutineResult::Yield(Pause::Wait(until)) => Place::Waits(now, until),
            CoroutineResult::Return(()) => Place::Over,
        };
    }
}

impl Drop for Cores {
    /// Lets every core come to its end, so that nobody's stack has to be cut off in the middle of a handler.
    fn drop(&mut self) {
        self.world.halt();
        for stand in &mut self.stands {
            while !stand.fiber.done() {
                let _ = stand.fiber.resume(());
            }
        }
    }
}
