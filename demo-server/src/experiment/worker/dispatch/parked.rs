//! How long does an event take to a core that waits, and what does the waker pay?
//!
//! A thread on the second CPU posts to a core on the first that has parked, waits until the event has arrived, and lets the
//! core park again. The delay is from before the post to the handler's first instruction; the waker's own share is the time
//! that its post takes. Beside it, with the same two CPUs: a thread that unparks a thread, a crossbeam channel whose
//! receiver blocks, and a channel to a task of a multi-thread tokio of two workers, both on the first CPU.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{hint, thread};

use anyhow::{Context as _, ensure};
use color_sched::{
    Admission, Color, Config, Context, Driver, EventSink, Handler, Local, Machine, NoSteal,
    StageBatch, StageInfo,
};

use super::relay::STAGE;
use super::samples::Samples;
use super::{By, DispatchArgs, Found, Metric, two_cpus};
use crate::experiment::worker::clock::{Clock, WARM_UP};
use crate::load::sys::pin_this_thread;

/// Wakes that are kept.
const ROOM: usize = 1 << 16;
/// Long enough for whoever was woken to find nothing more to do, and to wait again.
const REST: Duration = Duration::from_micros(200);
/// A wake that takes longer has been lost.
const LOST: Duration = Duration::from_secs(5);
const COLOR: Color = Color(1);

/// Runs the worker.
pub(super) fn run(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    let cpus = two_cpus(args)?;
    match args.by {
        By::Stage => core(cpus, clock),
        By::Std => park(cpus, clock),
        #[cfg(feature = "peers")]
        By::Crossbeam => channel(cpus, clock),
        #[cfg(feature = "peers")]
        By::Tokio => task(cpus, clock),
        _ => super::peers(args, clock),
    }
}

/// When the last event arrived.
struct Arrivals {
    base: Instant,
    /// Nanoseconds since `base`; 0: taken note of.
    at: AtomicU64,
}

impl Arrivals {
    fn new() -> Arrivals {
        Arrivals { base: Instant::now(), at: AtomicU64::new(0) }
    }

    fn now(&self) -> u64 {
        self.base.elapsed().as_nanos() as u64
    }

    /// Called by whoever was woken.
    fn arrived(&self) {
        self.at.store(self.now().max(1), Ordering::Release);
    }

    /// Wakes again and again, from the second CPU.
    fn wakes(
        &self,
        cpus: [usize; 2],
        clock: Clock,
        mut post: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Found> {
        pin_this_thread(&[cpus[1]]).with_context(|| format!("cannot use CPU {}", cpus[1]))?;
        let (mut delays, mut shares) = (Samples::new(ROOM), Samples::new(ROOM));
        let (mut begun, mut is_warm) = (Instant::now(), false);
        loop {
            match clock {
                Clock::Time(window) if is_warm && begun.elapsed() >= window => break,
                Clock::Time(window) if !is_warm && begun.elapsed() >= window.mul_f64(WARM_UP) => {
                    (begun, is_warm) = (Instant::now(), true);
                    delays.clear();
                    shares.clear();
                }
                Clock::Rounds(rounds) if delays.len() as u64 >= rounds => break,
                _ => {}
            }
            self.rest();
            let sent = self.now();
            post()?;
            shares.add(self.now() - sent);
            delays.add(self.next()?.saturating_sub(sent));
        }
        let mut found = Found { units: delays.len() as u64, values: Vec::new() };
        if matches!(clock, Clock::Time(_)) {
            found.values = delays.quantiles(1.0, &[(Metric::P50, 0.5), (Metric::P99, 0.99)]);
            let asked = [(Metric::WakerP50, 0.5), (Metric::WakerP99, 0.99)];
            found.values.extend(shares.quantiles(1.0, &asked));
        }
        Ok(found)
    }

    /// Lets the other side wait again, without leaving this CPU to others.
    fn rest(&self) {
        let begun = Instant::now();
        while begun.elapsed() < REST {
            hint::spin_loop();
        }
    }

    /// The next arrival's time.
    fn next(&self) -> anyhow::Result<u64> {
        let begun = Instant::now();
        loop {
            match self.at.swap(0, Ordering::Acquire) {
                0 => ensure!(begun.elapsed() < LOST, "the wake was lost"),
                at => return Ok(at),
            }
            hint::spin_loop();
        }
    }
}

/// A core whose driver has nothing and waits by parking its thread.
struct Woken<'a> {
    arrivals: &'a Arrivals,
}

impl Admission for Woken<'_> {}

impl Driver for Woken<'_> {
    type Event = ();
    type State = ();
}

impl Handler for Woken<'_> {
    type Event = ();
    type State = ();

    fn run(&mut self, cx: &mut Context<'_, (), ()>, (): &mut (), (): ()) {
        if cx.is_stopping() {
            cx.close();
        } else {
            self.arrivals.arrived();
        }
    }

    fn stopping(&mut self, local: &mut Local<'_, (), ()>) {
        for color in local.colors() {
            // If it is closed already there is nothing to close.
            let _ = local.post(color, STAGE, ());
        }
    }
}

fn core(cpus: [usize; 2], clock: Clock) -> anyhow::Result<Found> {
    let stages = vec![StageInfo::new("wake").allocates()];
    let (control, mut cores) = Machine::new(Config::new(1, stages.clone()))?;
    let core = cores.remove(0);
    let arrivals = Arrivals::new();
    control.open(COLOR, ()).ok().context("the machine has been stopped")?;
    thread::scope(|scope| {
        // It begins with this thread's CPU.
        let woken = scope.spawn(|| {
            let mut woken = Woken { arrivals: &arrivals };
            core.run(&mut woken, StageBatch::new(&stages), &mut NoSteal)
        });
        let found = arrivals.wakes(cpus, clock, || {
            control.post(COLOR, STAGE, ()).ok().context("the machine has been stopped")
        });
        control.stop();
        let stats = woken.join().map_err(|_| anyhow::anyhow!("the core panicked"))??;
        let found = found?;
        let (parks, wakes) = (stats.parks, found.units);
        ensure!(parks * 2 >= wakes, "{parks} parks for {wakes} wakes: the core did not wait");
        Ok(found)
    })
}

fn park(cpus: [usize; 2], clock: Clock) -> anyhow::Result<Found> {
    let (arrivals, has_news, is_over) =
        (Arrivals::new(), AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                thread::park();
                if has_news.swap(false, Ordering::Acquire) {
                    arrivals.arrived();
                }
            }
        });
        let found = arrivals.wakes(cpus, clock, || {
            has_news.store(true, Ordering::Release);
            sleeper.thread().unpark();
            Ok(())
        });
        is_over.store(true, Ordering::Release);
        sleeper.thread().unpark();
        found
    })
}

#[cfg(feature = "peers")]
fn channel(cpus: [usize; 2], clock: Clock) -> anyhow::Result<Found> {
    let arrivals = Arrivals::new();
    let (sender, receiver) = crossbeam_channel::unbounded::<()>();
    thread::scope(|scope| {
        let arrivals = &arrivals;
        scope.spawn(move || receiver.iter().for_each(|()| arrivals.arrived()));
        // The sender ends with the wakes, and the receiver with it.
        arrivals.wakes(cpus, clock, move || Ok(sender.send(())?))
    })
}

#[cfg(feature = "peers")]
fn task(cpus: [usize; 2], clock: Clock) -> anyhow::Result<Found> {
    use std::sync::Arc;

    // Its workers begin with this thread's CPU.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let arrivals = Arc::new(Arrivals::new());
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<()>();
    let woken = Arc::clone(&arrivals);
    runtime.spawn(async move {
        while receiver.recv().await.is_some() {
            woken.arrived();
        }
    });
    arrivals.wakes(cpus, clock, move || Ok(sender.send(())?))
}
