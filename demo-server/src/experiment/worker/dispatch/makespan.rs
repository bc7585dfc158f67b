//! How long do two cores that steal take for a program?
//!
//! `live` colors of [`EVENTS`] events of 5 µs, one after the other, that all arrive at the beginning; each color closes with
//! its last one. Unbalanced: all are at home on the first core. Balanced: half of them on each. Idle cores steal as
//! `mely_steal::Mely` says. The figure is the time from the beginning to the end of the last event, the median of the
//! window's runs. `simulated` runs the same program.

use std::io;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use color_sched::{
    Admission, Color, Config, Context, Control, Core, CoreId, Driver, EventSink, Handler, Machine,
    StageBatch, StageId, StageInfo, Wait, Waker,
};
use mely_steal::{Mely, Topology};

use super::cycles::turns_of;
use super::relay::STAGE;
use super::samples::Samples;
use super::{Case, DispatchArgs, Found, Metric, spin, two_cpus};
use crate::experiment::worker::clock::Clock;
use crate::load::sys::pin_this_thread;

/// Events of a color.
pub(super) const EVENTS: u32 = 4;
/// What an event works.
pub(super) const WORK_NS: u64 = 5_000;
/// Makespans that are kept of a window.
const ROOM: usize = 1 << 12;

/// The program's only stage.
pub(super) fn stages() -> Vec<StageInfo> {
    vec![StageInfo::new("work")]
}

/// The colors, half of them at home on each core if the program is balanced.
pub(super) fn colors(args: &DispatchArgs) -> Vec<Color> {
    let home = |n| if args.case == Case::Balanced { n % 2 } else { 0 };
    (0..args.live as u64).map(|n| Color::at_home(CoreId(home(n) as u16), n, 2)).collect()
}

/// What the cores share.
struct Shared {
    control: Control<u32, u64>,
    /// Colors that have not ended.
    left: AtomicU64,
    ended: OnceLock<Instant>,
}

/// What a core runs.
struct Program<'a> {
    /// Colors that arrive at the core's first poll.
    arrivals: Vec<Color>,
    turns: u64,
    shared: &'a Shared,
}

impl Admission for Program<'_> {
    fn admit(&mut self, _: StageId, wanted: usize) -> usize {
        wanted
    }
}

impl Driver for Program<'_> {
    type Event = u32;
    type State = u64;

    fn poll(&mut self, sink: &mut impl EventSink<u32, u64>, wait: Wait) -> io::Result<usize> {
        let arrivals = mem::take(&mut self.arrivals);
        for &color in &arrivals {
            let is_there = sink.open(color, 0).is_ok() && sink.post(color, STAGE, EVENTS).is_ok();
            if !is_there {
                return Err(io::Error::other("the machine has been stopped"));
            }
        }
        match wait {
            _ if !arrivals.is_empty() => {}
            Wait::No => {}
            Wait::Forever => thread::park(),
            Wait::Until(_) => thread::park_timeout(wait.timeout(sink.now()).unwrap_or_default()),
        }
        Ok(arrivals.len())
    }

    fn waker(&self) -> Waker {
        let thread = thread::current();
        Waker::new(move || thread.unpark())
    }
}

impl Handler for Program<'_> {
    type Event = u32;
    type State = u64;

    fn run(&mut self, cx: &mut Context<'_, u32, u64>, ran: &mut u64, left: u32) {
        spin(self.turns);
        *ran += 1;
        if left > 1 {
            let posted = cx.next(STAGE, left - 1);
            assert!(posted.is_ok(), "the color is open");
            return;
        }
        cx.close();
        if self.shared.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Nobody else is the last one.
            let _ = self.shared.ended.set(Instant::now());
            self.shared.control.stop();
        }
    }
}

/// Runs the worker.
pub(super) fn run(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    let (cpus, colors) = (two_cpus(args)?, colors(args));
    let topology = Topology::detect(&cpus).unwrap_or_else(|_| Topology::uniform(2));
    let turns = turns_of(WORK_NS);
    let run = || makespan(&colors, cpus, turns, &topology);
    let (mut samples, mut units) = (Samples::new(ROOM), 0);
    let mut add = |time: Duration| {
        samples.add(time.as_nanos() as u64);
        units += colors.len() as u64 * u64::from(EVENTS);
    };
    match clock {
        Clock::Rounds(rounds) => {
            for _ in 0..rounds {
                add(run()?);
            }
            return Ok(Found { units, values: Vec::new() });
        }
        Clock::Time(window) => {
            // The first one has page faults that no later one has.
            run()?;
            let begun = Instant::now();
            add(run()?);
            while begun.elapsed() < window {
                add(run()?);
            }
        }
    }
    Ok(Found { units, values: samples.quantiles(1.0, &[(Metric::Makespan, 0.5)]) })
}

/// One run of the program.
fn makespan(
    colors: &[Color],
    cpus: [usize; 2],
    turns: u64,
    topology: &Topology,
) -> anyhow::Result<Duration> {
    let (control, cores) = Machine::new(Config::new(2, stages()))?;
    let (left, ended) = (AtomicU64::new(colors.len() as u64), OnceLock::new());
    let (shared, together) = (Shared { control, left, ended }, Barrier::new(2));
    let begun = thread::scope(|scope| {
        let run = |(core, cpu): (Core<u32, u64>, usize)| {
            let is_at_home = |color: &Color| color.home(2) == core.id();
            let arrivals = colors.iter().copied().filter(is_at_home).collect();
            let program = Program { arrivals, turns, shared: &shared };
            let (mut mely, together) = (Mely::new(topology.clone()), &together);
            scope.spawn(move || on_core(core, program, cpu, &mut mely, together))
        };
        let threads: Vec<_> = cores.into_iter().zip(cpus).map(run).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().map_err(|_| anyhow::anyhow!("a core panicked"))?
        };
        threads.into_iter().map(join).collect::<anyhow::Result<Vec<Instant>>>()
    })?;
    let ended = shared.ended.get().context("the program has not come to its end")?;
    let begun = begun.into_iter().min().context("no core has begun")?;
    ensure!(*ended > begun, "the clock stands still");
    Ok(*ended - begun)
}

/// Runs a core to its end, and tells when it began.
fn on_core(
    core: Core<u32, u64>,
    mut program: Program<'_>,
    cpu: usize,
    mely: &mut Mely,
    together: &Barrier,
) -> anyhow::Result<Instant> {
    let pinned = pin_this_thread(&[cpu]);
    together.wait();
    pinned.with_context(|| format!("cannot use CPU {cpu}"))?;
    let begun = Instant::now();
    core.run(&mut program, StageBatch::new(&stages()), mely)?;
    Ok(begun)
}
