//! How does a machine of two cores run a load?
//!
//! Each core's driver registers what the core begins a round with, a slice at each poll, so that the core runs and
//! offers in between, and thieves begin while others are still being registered. Two threads on two CPUs; or, without a
//! clock, one thread that gives turns to both, and time that passes with the work.

use std::any::Any;
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use color_sched::{
    Admission, AfterPanic, Color, ColorQueues, Config, Context, Control, Core, CoreStats, Driver,
    EventSink, Flat, Handler, Machine, Scheduler, StageBatch, StageId, StageInfo, Turn, Wait,
    Waker,
};

use super::policy::{self, Policy, Queues};
use super::rounds::{Gate, News, Rounds};
use super::{StealArgs, Window};
use crate::experiment::worker::clock::Clock;
use crate::load::sys::pin_this_thread;
use crate::wiring::AnyStealer;

/// Colors that are registered between two polls: some ten microseconds of it.
const SLICE: usize = 500;

/// What one core runs.
pub(super) trait Load: Send {
    type Event: Send;
    type State: Send + Default;

    /// Colors that this core begins a round with.
    fn colors(&self) -> usize;

    /// Posts to one of them.
    fn register(
        &mut self,
        sink: &mut impl EventSink<Self::Event, Self::State>,
        index: usize,
        is_changed: bool,
    ) -> io::Result<()>;

    /// How long an event takes that runs without a clock, in nanoseconds.
    fn ns(&self, _event: &Self::Event) -> u64 {
        1_000
    }

    /// Runs an event.
    fn run(
        &mut self,
        cx: &mut Context<'_, Self::Event, Self::State>,
        state: &mut Self::State,
        event: Self::Event,
    );
}

/// A post or an opening was refused.
pub(super) fn refused<T>(_: T) -> io::Error {
    io::Error::other("the machine has been stopped")
}

/// What a window of a machine came to.
#[derive(Debug)]
pub(super) struct Ran<L> {
    /// Events that were measured, or run.
    pub(super) units: u64,
    /// The time that they took, if there was a clock.
    pub(super) time: Option<Duration>,
    /// What each core counted in the whole of its life.
    pub(super) stats: Vec<CoreStats>,
    pub(super) loads: Vec<L>,
}

impl<L> Ran<L> {
    /// Events a second, if there was a clock.
    pub(super) fn rate(&self) -> Option<f64> {
        Some(self.units as f64 / self.time.filter(|time| !time.is_zero())?.as_secs_f64())
    }
}

/// A load on its core.
struct Program<'a, L: Load> {
    load: L,
    gate: Gate<'a>,
    control: Control<L::Event, L::State>,
    /// Colors of this round that have been registered.
    registered: usize,
    is_changed: bool,
    /// The time, where it passes with the work.
    time: Option<Arc<AtomicU64>>,
}

impl<L: Load> Admission for Program<'_, L> {}

impl<L: Load> Driver for Program<'_, L> {
    type Event = L::Event;
    type State = L::State;

    fn poll(
        &mut self,
        sink: &mut impl EventSink<L::Event, L::State>,
        wait: Wait,
    ) -> io::Result<usize> {
        match self.gate.news(wait != Wait::No) {
            News::Round { is_changed } => (self.registered, self.is_changed) = (0, is_changed),
            News::Over => {
                self.control.stop();
                return Ok(1);
            }
            News::Nothing => {}
        }
        let end = self.load.colors().min(self.registered + SLICE);
        let slice = self.registered..end;
        if !slice.is_empty() {
            self.registered = end;
            for index in slice.clone() {
                self.load.register(sink, index, self.is_changed)?;
            }
            return Ok(slice.len());
        }
        match wait {
            Wait::No => {}
            Wait::Forever => thread::park(),
            Wait::Until(_) => thread::park_timeout(wait.timeout(sink.now()).unwrap_or_default()),
        }
        Ok(0)
    }

    fn waker(&self) -> Waker {
        let thread = thread::current();
        self.gate.rounds.wakes(self.gate.core, thread.clone());
        Waker::new(move || thread.unpark())
    }
}

impl<L: Load> Handler for Program<'_, L> {
    type Event = L::Event;
    type State = L::State;

    fn run(
        &mut self,
        cx: &mut Context<'_, L::Event, L::State>,
        state: &mut L::State,
        event: L::Event,
    ) {
        if let Some(time) = &self.time {
            time.fetch_add(self.load.ns(&event), Ordering::Relaxed);
        }
        self.load.run(cx, state, event);
        self.gate.ran += 1;
    }

    /// A round without the lost event would never end: the machine does.
    fn panicked(&mut self, _: Color, _: StageId, payload: Box<dyn Any + Send>) -> AfterPanic {
        resume_unwind(payload)
    }

    fn new_state(&mut self, _: Color) -> Option<L::State> {
        Some(L::State::default())
    }
}

/// Runs a load under the policy of `args`, whose costs may have to be measured before. `stages` and `loads` make what a
/// window needs: its stages; for so many cores the load of each, and the events of a round.
pub(super) fn run_by_policy<L: Load>(
    args: &StealArgs,
    window: Window,
    stages: impl Fn(&StealArgs, Window) -> Vec<StageInfo>,
    loads: impl Fn(&StealArgs, usize) -> (Vec<L>, u64),
) -> anyhow::Result<Ran<L>> {
    let cores = policy::cores(args.by);
    let run = |args: &StealArgs, window, policy: &Policy| {
        run(args, window, policy, &stages(args, window), loads(args, cores))
    };
    let rehearse = |args: &StealArgs, window, policy: &Policy| Ok(run(args, window, policy)?.stats);
    let policy = Policy::new(args, window, rehearse)?;
    run(args, window, &policy)
}

/// Runs rounds of `units` events each; `loads` are those of the cores.
fn run<L: Load>(
    args: &StealArgs,
    window: Window,
    policy: &Policy,
    stages: &[StageInfo],
    (loads, units): (Vec<L>, u64),
) -> anyhow::Result<Ran<L>> {
    match policy.queues {
        Queues::Flat => with(args, window, policy, stages, || Flat::new(stages), (loads, units)),
        Queues::Color => {
            with(args, window, policy, stages, || ColorQueues::new(stages), (loads, units))
        }
        Queues::Stage => {
            with(args, window, policy, stages, || StageBatch::new(stages), (loads, units))
        }
    }
}

fn with<L: Load, C: Scheduler + Send>(
    args: &StealArgs,
    window: Window,
    policy: &Policy,
    stages: &[StageInfo],
    scheduler: impl Fn() -> C,
    (loads, units): (Vec<L>, u64),
) -> anyhow::Result<Ran<L>> {
    let cpus = super::cpus(args, loads.len())?;
    let mut config = Config::new(loads.len(), stages.to_vec());
    config.transient_colors = true;
    config.steal_cost = policy.steal_cost;
    let time = matches!(window.clock, Clock::Rounds(_)).then(Arc::<AtomicU64>::default);
    if let Some(time) = &time {
        config.clock = color_sched::Clock::Manual(Arc::clone(time));
    }
    let (control, cores) = Machine::new(config)?;
    let rounds = Rounds::new(units, window);
    let stealer = policy.stealer(&cpus);
    let on_core = |(load, core): (L, Core<L::Event, L::State>)| {
        let gate = Gate::new(&rounds, core.id().index());
        let (registered, is_changed) = (load.colors(), false);
        let (control, time) = (control.clone(), time.clone());
        let program = Program { load, gate, control, registered, is_changed, time };
        OnCore { core, program, scheduler: scheduler(), stealer: stealer.clone() }
    };
    let all: Vec<_> = loads.into_iter().zip(cores).map(on_core).collect();
    let ran = match window.clock {
        Clock::Rounds(_) => by_turns(all)?,
        Clock::Time(_) => by_threads(all, &cpus)?,
    };
    let (stats, loads): (Vec<CoreStats>, _) = ran.into_iter().unzip();
    let (units, time) = match rounds.measured() {
        Some((units, time)) => (units, Some(time)),
        None => (stats.iter().map(|stats| stats.events).sum(), None),
    };
    Ok(Ran { units, time, stats, loads })
}

/// A core with all it needs.
struct OnCore<'a, L: Load, C> {
    core: Core<L::Event, L::State>,
    program: Program<'a, L>,
    scheduler: C,
    stealer: AnyStealer,
}

/// Gives turns to all cores until they have ended.
fn by_turns<L: Load, C: Scheduler>(
    mut all: Vec<OnCore<'_, L, C>>,
) -> anyhow::Result<Vec<(CoreStats, L)>> {
    loop {
        let mut is_over = true;
        for OnCore { core, program, scheduler, stealer } in &mut all {
            is_over &= core.turn(program, scheduler, stealer)? == Turn::Over;
        }
        if is_over {
            return Ok(all
                .into_iter()
                .map(|on| (on.core.stats().clone(), on.program.load))
                .collect());
        }
    }
}

/// Runs each core in a thread on its CPU.
fn by_threads<'a, L: Load, C: Scheduler + Send>(
    all: Vec<OnCore<'a, L, C>>,
    cpus: &[Option<usize>],
) -> anyhow::Result<Vec<(CoreStats, L)>> {
    let together = &Barrier::new(all.len());
    thread::scope(|scope| {
        let start = |(on, cpu): (OnCore<'a, L, C>, Option<usize>)| {
            let OnCore { core, mut program, scheduler, mut stealer } = on;
            scope.spawn(move || {
                let pinned = cpu.map_or(Ok(()), |cpu| pin_this_thread(&[cpu]));
                together.wait();
                pinned.with_context(|| format!("cannot use CPU {cpu:?}"))?;
                let stats = core.run(&mut program, scheduler, &mut stealer)?;
                anyhow::Ok((stats, program.load))
            })
        };
        let threads: Vec<_> = all.into_iter().zip(cpus.iter().copied()).map(start).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().map_err(|_| anyhow::anyhow!("a core panicked"))?
        };
        threads.into_iter().map(join).collect()
    })
}
