//! How long does an event take to a core that polls?
//!
//! Two threads, each on its CPU, take turns without pause. A color of the first posts to a color of the second, which posts
//! back; the figure is half of that round trip, the look at the clock (once a round trip) included. Std: the same by two
//! atomic flags, which is what two cache lines cost. Crossbeam: by two channels that are tried without pause.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{hint, thread};

use anyhow::{Context as _, ensure};
use color_sched::{
    Admission, Color, Config, Context, Core, CoreId, Driver, Handler, Machine, NoSteal, StageBatch,
    StageInfo,
};

use super::relay::STAGE;
use super::samples::Samples;
use super::{By, DispatchArgs, Found, Metric, two_cpus};
use crate::experiment::worker::clock::{Clock, WARM_UP};
use crate::load::sys::pin_this_thread;

/// Round trips that are kept.
const ROOM: usize = 1 << 21;
/// Looks for an answer between two looks at the clock.
const LOOKS: u32 = 1 << 10;
/// An answer that takes longer has been lost.
const LOST: Duration = Duration::from_secs(5);

/// Runs the worker.
pub(super) fn run(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    let cpus = two_cpus(args)?;
    match args.by {
        By::Stage => colors(cpus, clock),
        By::Std => flags(cpus, clock),
        #[cfg(feature = "peers")]
        By::Crossbeam => channels(cpus, clock),
        _ => super::peers(args, clock),
    }
}

/// When to begin to count, and when to end.
struct Course {
    clock: Clock,
    begun: Instant,
    last: Instant,
    samples: Samples,
    is_warm: bool,
}

impl Course {
    fn new(clock: Clock) -> Course {
        let now = Instant::now();
        Course { clock, begun: now, last: now, samples: Samples::new(ROOM), is_warm: false }
    }

    /// A round trip has ended.
    fn came_back(&mut self) {
        let now = Instant::now();
        self.samples.add((now - self.last).as_nanos() as u64);
        self.last = now;
        if let Clock::Time(window) = self.clock
            && !self.is_warm
            && now - self.begun >= window.mul_f64(WARM_UP)
        {
            self.is_warm = true;
            self.begun = now;
            self.samples.clear();
        }
    }

    fn is_over(&self) -> bool {
        match self.clock {
            Clock::Time(window) => self.is_warm && self.last - self.begun >= window,
            Clock::Rounds(rounds) => self.samples.len() as u64 >= rounds,
        }
    }

    fn found(mut self) -> Found {
        let asked = [(Metric::P50, 0.5), (Metric::P99, 0.99)];
        let is_timed = matches!(self.clock, Clock::Time(_));
        let values = if is_timed { self.samples.quantiles(2.0, &asked) } else { Vec::new() };
        Found { units: self.samples.len() as u64, values }
    }
}

/// Posts to the partner when it is posted to.
struct Partner {
    other: Color,
    /// Only one side looks at the clock.
    course: Option<Course>,
}

impl Admission for Partner {}

impl Driver for Partner {
    type Event = ();
    type State = ();
}

impl Handler for Partner {
    type Event = ();
    type State = ();

    fn run(&mut self, cx: &mut Context<'_, (), ()>, (): &mut (), (): ()) {
        if let Some(course) = &mut self.course {
            course.came_back();
        }
        let posted = cx.post(self.other, STAGE, ());
        assert!(posted.is_ok(), "the color is open");
    }
}

fn colors(cpus: [usize; 2], clock: Clock) -> anyhow::Result<Found> {
    let (control, mut cores) = Machine::new(Config::new(2, stages()))?;
    let colors = [0, 1].map(|core| Color::at_home(CoreId(core), 1, 2));
    for color in colors {
        control.open(color, ()).ok().context("the machine has been stopped")?;
    }
    control.post(colors[0], STAGE, ()).ok().context("the machine has been stopped")?;
    let is_over = AtomicBool::new(false);
    let mut second = cores.remove(1);
    let mut first = cores.remove(0);
    thread::scope(|scope| {
        let echo = scope.spawn(|| {
            pin_this_thread(&[cpus[1]])
                .with_context(|| format!("cannot use CPU {}", cpus[1]))
                .inspect_err(|_| is_over.store(true, Ordering::Relaxed))?;
            let mut partner = Partner { other: colors[0], course: None };
            turns(&mut second, &mut partner, |_| is_over.load(Ordering::Relaxed))
        });
        let mut partner = Partner { other: colors[1], course: Some(Course::new(clock)) };
        let turned = turns(&mut first, &mut partner, |partner| {
            let is_done = partner.course.as_ref().is_none_or(Course::is_over);
            is_done || is_over.load(Ordering::Relaxed)
        });
        is_over.store(true, Ordering::Relaxed);
        echo.join().map_err(|_| anyhow::anyhow!("the second core panicked"))??;
        turned?;
        Ok(partner.course.context("the first side has the clock")?.found())
    })
}

fn stages() -> Vec<StageInfo> {
    vec![StageInfo::new("relay").allocates()]
}

/// Takes turns until it is over.
fn turns(
    core: &mut Core<(), ()>,
    partner: &mut Partner,
    is_over: impl Fn(&Partner) -> bool,
) -> anyhow::Result<()> {
    let mut scheduler = StageBatch::new(&stages());
    while !is_over(partner) {
        core.turn(partner, &mut scheduler, &mut NoSteal)?;
    }
    Ok(())
}

/// Sends to the other side and waits for its answer until it is over. `get` is tried without pause.
fn trips(
    clock: Clock,
    mut put: impl FnMut(u64),
    mut get: impl FnMut() -> Option<u64>,
) -> anyhow::Result<Found> {
    let (mut course, mut trip) = (Course::new(clock), 0);
    while !course.is_over() {
        trip += 1;
        put(trip);
        let mut looks = 0_u32;
        while get() != Some(trip) {
            hint::spin_loop();
            looks = looks.wrapping_add(1);
            let is_lost = looks.is_multiple_of(LOOKS) && course.last.elapsed() > LOST;
            ensure!(!is_lost, "the other side does not answer");
        }
        course.came_back();
    }
    Ok(course.found())
}

/// Runs `echo` on the other CPU, which sends back what it gets until it is over, beside `trips`.
fn beside(
    cpu: usize,
    is_over: &AtomicBool,
    echo: impl FnOnce() + Send,
    trips: impl FnOnce() -> anyhow::Result<Found>,
) -> anyhow::Result<Found> {
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            pin_this_thread(&[cpu]).with_context(|| format!("cannot use CPU {cpu}"))?;
            echo();
            anyhow::Ok(())
        });
        let found = trips();
        is_over.store(true, Ordering::Relaxed);
        other.join().map_err(|_| anyhow::anyhow!("the other side panicked"))??;
        found
    })
}

fn flags(cpus: [usize; 2], clock: Clock) -> anyhow::Result<Found> {
    let is_over = AtomicBool::new(false);
    let (there, back) = (Line(AtomicU64::new(0)), Line(AtomicU64::new(0)));
    let echo = || {
        let mut seen = 0;
        while !is_over.load(Ordering::Relaxed) {
            let now = there.0.load(Ordering::Acquire);
            if now == seen {
                hint::spin_loop();
                continue;
            }
            seen = now;
            back.0.store(now, Ordering::Release);
        }
    };
    beside(cpus[1], &is_over, echo, || {
        let put = |trip| there.0.store(trip, Ordering::Release);
        trips(clock, put, || Some(back.0.load(Ordering::Acquire)))
    })
}

/// A number on a cache line, and a neighbour that is fetched along, of its own.
#[repr(align(128))]
struct Line(AtomicU64);

#[cfg(feature = "peers")]
fn channels(cpus: [usize; 2], clock: Clock) -> anyhow::Result<Found> {
    let is_over = AtomicBool::new(false);
    let (there, arrivals) = crossbeam_channel::unbounded::<u64>();
    let (back, answers) = crossbeam_channel::unbounded::<u64>();
    let echo = || {
        while !is_over.load(Ordering::Relaxed) {
            match arrivals.try_recv() {
                Ok(trip) if back.send(trip).is_err() => return,
                Ok(_) => {}
                Err(_) => hint::spin_loop(),
            }
        }
    };
    beside(cpus[1], &is_over, echo, || {
        // If the other side has gone the answer does not come.
        let put = |trip| {
            let _ = there.send(trip);
        };
        trips(clock, put, || answers.try_recv().ok())
    })
}
