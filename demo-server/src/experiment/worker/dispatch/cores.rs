//! What do two cores do more than one?
//!
//! `live` colors a core, each with an event that works for about 1 µs and posts the next to its own color: nothing is
//! shared, and nobody steals. One core alone on its CPU; or two at once on two CPUs, and the sum of what they do.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use color_sched::{
    Admission, Color, Config, Context, Core, CoreId, Driver, Handler, Machine, NoSteal, StageBatch,
    StageInfo,
};

use super::cycles::turns_of;
use super::relay::STAGE;
use super::{By, DispatchArgs, Found, Metric, spin, two_cpus};
use crate::experiment::worker::clock::{Clock, WARM_UP};
use crate::load::sys::pin_this_thread;

/// What an event works.
const WORK_NS: u64 = 1_000;

/// Works, and posts to itself.
struct Worker {
    turns: u64,
}

impl Admission for Worker {}

impl Driver for Worker {
    type Event = ();
    type State = ();
}

impl Handler for Worker {
    type Event = ();
    type State = ();

    fn run(&mut self, cx: &mut Context<'_, (), ()>, (): &mut (), (): ()) {
        spin(self.turns);
        let posted = cx.next(STAGE, ());
        assert!(posted.is_ok(), "the color is open");
    }
}

/// Runs the worker.
pub(super) fn run(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    let turns = turns_of(WORK_NS);
    let cpus = if args.by == By::Two { two_cpus(args)?.map(Some).to_vec() } else { vec![args.cpu] };
    let (control, cores) = Machine::new(Config::new(cpus.len(), stages()))?;
    for (core, n) in (0..cpus.len()).flat_map(|core| (0..args.live).map(move |n| (core, n))) {
        let color = Color::at_home(CoreId(u16::try_from(core)?), n as u64, cpus.len());
        let is_open = control.open(color, ()).is_ok() && control.post(color, STAGE, ()).is_ok();
        ensure!(is_open, "the machine has been stopped");
    }
    let together = Barrier::new(cpus.len());
    let ran = thread::scope(|scope| {
        let run = |(core, cpu)| {
            let together = &together;
            scope.spawn(move || work(core, cpu, turns, clock, together))
        };
        let threads: Vec<_> = cores.into_iter().zip(cpus).map(run).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().map_err(|_| anyhow::anyhow!("a core panicked"))?
        };
        threads.into_iter().map(join).collect::<anyhow::Result<Vec<_>>>()
    })?;
    let units = ran.iter().map(|ran| ran.events).sum();
    let rate = ran.iter().map(|ran| ran.events as f64 / ran.elapsed.as_secs_f64()).sum();
    let is_timed = matches!(clock, Clock::Time(_));
    let values = if is_timed { vec![(Metric::Rate, rate)] } else { Vec::new() };
    Ok(Found { units, values })
}

fn stages() -> Vec<StageInfo> {
    vec![StageInfo::new("work").allocates()]
}

struct Ran {
    events: u64,
    elapsed: Duration,
    /// Not dropped before the others have ended: they would end with it.
    _core: Core<(), ()>,
}

fn work(
    mut core: Core<(), ()>,
    cpu: Option<usize>,
    turns: u64,
    clock: Clock,
    together: &Barrier,
) -> anyhow::Result<Ran> {
    let pinned = cpu.map_or(Ok(()), |cpu| pin_this_thread(&[cpu]));
    together.wait();
    pinned.with_context(|| format!("cannot use CPU {cpu:?}"))?;
    let (mut worker, mut scheduler) = (Worker { turns }, StageBatch::new(&stages()));
    let mut until = |is_over: &dyn Fn(&Core<(), ()>) -> bool| {
        while !is_over(&core) {
            core.turn(&mut worker, &mut scheduler, &mut NoSteal)?;
        }
        anyhow::Ok((core.stats().events, Instant::now()))
    };
    let (before, after) = match clock {
        Clock::Time(window) => {
            let warm = Instant::now();
            let before = until(&|_| warm.elapsed() >= window.mul_f64(WARM_UP))?;
            (before, until(&|_| before.1.elapsed() >= window)?)
        }
        Clock::Rounds(rounds) => {
            ((0, Instant::now()), until(&|core| core.stats().events >= rounds)?)
        }
    };
    Ok(Ran { events: after.0 - before.0, elapsed: after.1 - before.1, _core: core })
}
