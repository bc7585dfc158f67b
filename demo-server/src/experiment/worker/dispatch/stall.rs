//! How long do others wait for a handler that takes long?
//!
//! A thread outside posts an event of 5 µs to each of `live` colors every 500 µs, whose homes are two cores by turns; one color
//! of the first core, pinned there, gets an event of 10 ms every 100 ms. The figure is the time from the post of the
//! others' events to their handler. Nothing is paced by the cores themselves, so that a core that stalls is not spared the
//! events of that time. The thread that posts shares the second CPU. What comes from outside for a color that has nothing
//! to do is seen by the color's home only: if that is inside of a handler, no thief can help.
//!
//! Waiting: the color of the first core is told from outside, every 500 µs, to post such events to `live` others of its core,
//! and every 100 ms to take 10 ms right after it. These events wait when that begins, and thieves see them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use color_sched::{
    Admission, Color, Config, Context, Control, Core, CoreId, CoreStats, Driver, EventSink,
    Handler, Local, Machine, NoSteal, StageBatch, StageId, StageInfo,
};
use mely_steal::{Mely, Topology};

use super::cycles::turns_of;
use super::samples::Samples;
use super::{By, Case, DispatchArgs, Found, Metric, spin, two_cpus};
use crate::experiment::worker::clock::{Clock, WARM_UP};
use crate::load::sys::pin_this_thread;

const SHORT: StageId = StageId(0);
const LONG: StageId = StageId(1);
/// The staller posts to the others of its core.
const BURST: StageId = StageId(2);
/// The color that takes long; its home is the first core.
const STALLER: Color = Color::at_home(CoreId(0), 0, 2);
const SHORT_NS: u64 = 5_000;
const LONG_TIME: Duration = Duration::from_millis(10);
const TICK: Duration = Duration::from_micros(500);
/// Ticks from one long event to the next.
const PERIOD: u64 = 200;
/// Times that a core keeps.
const ROOM: usize = 1 << 20;

/// An event: when it was posted, in nanoseconds since the base; of a burst: 1 if a long one follows.
type Posted = u64;

/// What a core runs.
struct Program<'a> {
    base: Instant,
    turns: u64,
    is_warm: &'a AtomicBool,
    /// Whom a burst is for.
    others: &'a [Color],
    samples: Samples,
}

impl Program<'_> {
    fn burst(&self, cx: &mut Context<'_, Posted, ()>, then_long: bool) {
        for &color in self.others {
            let posted = self.base.elapsed().as_nanos() as u64;
            // A color that closes already, as the machine stops, is not waited for.
            let _ = cx.post(color, SHORT, posted);
        }
        if then_long {
            cx.pin();
            let _ = cx.next(LONG, 0);
        }
    }
}

impl Admission for Program<'_> {}

impl Driver for Program<'_> {
    type Event = Posted;
    type State = ();
}

impl Handler for Program<'_> {
    type Event = Posted;
    type State = ();

    fn run(&mut self, cx: &mut Context<'_, Posted, ()>, (): &mut (), posted: Posted) {
        if cx.is_stopping() {
            cx.close();
        } else if cx.stage() == BURST {
            self.burst(cx, posted > 0);
        } else if cx.stage() == LONG {
            cx.pin();
            let begun = Instant::now();
            while begun.elapsed() < LONG_TIME {
                spin(self.turns);
            }
        } else {
            let waited = (self.base.elapsed().as_nanos() as u64).saturating_sub(posted);
            if self.is_warm.load(Ordering::Relaxed) {
                self.samples.add(waited);
            }
            spin(self.turns);
        }
    }

    fn stopping(&mut self, local: &mut Local<'_, Posted, ()>) {
        for color in local.colors() {
            // If it is closed already there is nothing to close.
            let _ = local.post(color, SHORT, 0);
        }
    }
}

/// Runs the worker.
pub(super) fn run(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    let cpus = two_cpus(args)?;
    let turns = turns_of(SHORT_NS);
    let (base, is_warm) = (Instant::now(), AtomicBool::new(false));
    let (control, cores) = Machine::new(Config::new(2, stages()))?;
    let color = |n| if waits(args) { Color::at_home(CoreId(0), n, 2) } else { Color(n + 1) };
    let colors: Vec<_> = (1..=args.live as u64).map(color).collect();
    for &color in colors.iter().chain([&STALLER]) {
        control.open(color, ()).ok().context("the machine has been stopped")?;
    }
    let all = thread::scope(|scope| {
        let run = |(core, cpu)| {
            let samples = Samples::new(ROOM);
            let program = Program { base, turns, is_warm: &is_warm, others: &colors, samples };
            let (control, steals) = (control.clone(), args.by == By::Mely);
            scope.spawn(move || {
                let ran = on_core(core, program, cpu, cpus, steals);
                // If one core fails the other is not to wait for it.
                control.stop();
                ran
            })
        };
        let threads: Vec<_> = cores.into_iter().zip(cpus).map(run).collect();
        let posted = pin_this_thread(&[cpus[1]])
            .context("cannot use the second CPU")
            .and_then(|()| post(args, &control, &colors, clock, base, &is_warm));
        control.stop();
        let mut all = Samples::new(0);
        for thread in threads {
            let samples = thread.join().map_err(|_| anyhow::anyhow!("a core panicked"))??;
            all.append(&samples);
        }
        posted?;
        anyhow::Ok(all)
    });
    let mut all = all?;
    let asked = [(Metric::P50, 0.5), (Metric::P99, 0.99), (Metric::P999, 0.999)];
    let is_timed = matches!(clock, Clock::Time(_));
    let values = if is_timed { all.quantiles(1.0, &asked) } else { Vec::new() };
    Ok(Found { units: all.len() as u64, values })
}

/// Do the others' events wait at the core that stalls?
fn waits(args: &DispatchArgs) -> bool {
    matches!(args.case, Case::StallWaiting | Case::NoStallWaiting)
}

/// One long event is maximal flow already: it runs before the short ones that wait with it.
fn stages() -> Vec<StageInfo> {
    let short = StageInfo::new("short").allocates();
    vec![short, StageInfo::new("long").flow(1), StageInfo::new("burst")]
}

fn on_core(
    core: Core<Posted, ()>,
    mut program: Program<'_>,
    cpu: usize,
    cpus: [usize; 2],
    steals: bool,
) -> anyhow::Result<Samples> {
    pin_this_thread(&[cpu]).with_context(|| format!("cannot use CPU {cpu}"))?;
    let scheduler = StageBatch::new(&stages());
    let _: CoreStats = if steals {
        let topology = Topology::detect(&cpus).unwrap_or_else(|_| Topology::uniform(2));
        core.run(&mut program, scheduler, &mut Mely::new(topology))?
    } else {
        core.run(&mut program, scheduler, &mut NoSteal)?
    };
    Ok(program.samples)
}

/// Posts until the time is over, or as many ticks as there are rounds.
fn post(
    args: &DispatchArgs,
    control: &Control<Posted, ()>,
    colors: &[Color],
    clock: Clock,
    base: Instant,
    is_warm: &AtomicBool,
) -> anyhow::Result<()> {
    let stalls = matches!(args.case, Case::Stall | Case::StallWaiting);
    let begun = Instant::now();
    for tick in 0.. {
        let elapsed = begun.elapsed();
        match clock {
            Clock::Time(window) if elapsed >= window.mul_f64(1.0 + WARM_UP) => break,
            Clock::Time(window) if elapsed < window.mul_f64(WARM_UP) => {}
            Clock::Rounds(rounds) if tick >= rounds => break,
            _ => is_warm.store(true, Ordering::Relaxed),
        }
        let is_long = stalls && tick % PERIOD == 0;
        if waits(args) {
            let posted = control.post(STALLER, BURST, u64::from(is_long));
            posted.ok().context("the machine has been stopped")?;
            thread::sleep(if is_long { LONG_TIME + TICK } else { TICK });
            continue;
        }
        if is_long {
            control.post(STALLER, LONG, 0).ok().context("the machine has been stopped")?;
        }
        for &color in colors {
            let posted = base.elapsed().as_nanos() as u64;
            ensure!(control.post(color, SHORT, posted).is_ok(), "the machine has been stopped");
        }
        thread::sleep(TICK);
    }
    // What was posted last is to be run, not closed, also on a machine that pauses.
    thread::sleep(20 * LONG_TIME);
    Ok(())
}
