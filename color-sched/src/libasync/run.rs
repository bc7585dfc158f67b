//! How does the loop begin, and end?

use std::fmt;
use std::io;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use thiserror::Error;

use super::calls::is_inside;
use super::descriptors::Descriptors;
use super::program::{CPU, Event, Program, Shared};
use crate::event::{Color, CoreId};
use crate::machine::{Config, ConfigError, Machine, StageInfo};
use crate::scheduler::{Flat, Scheduler};
use crate::stats::CoreStats;
use crate::stealer::{NoSteal, Stealer};
use crate::worker::Core;

/// Why a loop could not begin, or did not go on.
#[derive(Debug, Error)]
pub enum RunError {
    /// The machine cannot be as it was to be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The kernel refused a thread, an epoll or a wait.
    #[error("the loop has ended: {0}")]
    Io(#[from] io::Error),
    /// A callback is running here, which the new loop would stop.
    #[error("a loop inside of a callback; start it on a thread of its own")]
    Inside,
}

/// What a loop has come to.
#[derive(Debug)]
pub struct Ended {
    /// Each core's counters. `panics` are callbacks that have panicked.
    pub cores: Vec<CoreStats>,
    /// Callbacks that were dropped because their descriptor had been closed before they were removed.
    pub orphans: u64,
}

/// Makes a core's scheduler.
type MakeScheduler<C> = Box<dyn Fn(&[StageInfo]) -> C + Sync>;

/// A loop to be run.
pub struct Libasync<C = Flat, T = NoSteal> {
    config: Config,
    scheduler: MakeScheduler<C>,
    stealer: Box<dyn Fn() -> T + Sync>,
    on_core: Box<dyn Fn(CoreId) + Sync>,
}

impl<C, T> fmt::Debug for Libasync<C, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Libasync").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Libasync {
    /// A loop on so many cores, with the scheduler of Libasync-smp and without stealing.
    ///
    /// # Errors
    /// The number of cores is none that a machine can have.
    pub fn new(cores: usize) -> Result<Self, ConfigError> {
        if !(1..=crate::MAX_CORES).contains(&cores) {
            return Err(ConfigError::Cores(cores));
        }
        Ok(Self {
            config: Config::new(cores, ["fd", "time", "cpu"].map(StageInfo::new).into()),
            scheduler: Box::new(Flat::new),
            stealer: Box::new(|| NoSteal),
            on_core: Box::new(|_| ()),
        })
    }
}

impl<C: Scheduler, T: Stealer> Libasync<C, T> {
    /// Another scheduler, made on each core's thread for the stages that callbacks have here: of descriptors, of timers,
    /// and the others.
    #[must_use]
    pub fn scheduler<D: Scheduler>(
        self,
        make: impl Fn(&[StageInfo]) -> D + Sync + 'static,
    ) -> Libasync<D, T> {
        let Self { config, stealer, on_core, .. } = self;
        Libasync { config, scheduler: Box::new(make), stealer, on_core }
    }

    /// Another stealing policy, made on each core's thread.
    #[must_use]
    pub fn stealer<U: Stealer>(self, make: impl Fn() -> U + Sync + 'static) -> Libasync<C, U> {
        let Self { config, scheduler, on_core, .. } = self;
        Libasync { config, scheduler, stealer: Box::new(make), on_core }
    }

    /// Done on each core's thread before its loop: for [`pin_thread`](crate::pin_thread), for example.
    #[must_use]
    pub fn on_core(mut self, act: impl Fn(CoreId) + Sync + 'static) -> Self {
        self.on_core = Box::new(act);
        self
    }

    /// Changes costs and intervals, for example. Cores, stages, transient colors and the queue limit, which is none, are not
    /// to be chosen here: what is set for them is ignored.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut Config)) -> Self {
        let (cores, stages) = (self.config.cores, self.config.stages.clone());
        change(&mut self.config);
        (self.config.cores, self.config.stages) = (cores, stages);
        self
    }

    /// Calls `first` in color 0, and then whatever there is to be called, until [`aexit`](super::aexit).
    ///
    /// # Errors
    /// See [`RunError`]. A panic of the scheduler, the stealer or [`on_core`](Self::on_core) is passed on.
    pub fn run(self, first: impl FnOnce() + Send + 'static) -> Result<Ended, RunError> {
        if is_inside() {
            return Err(RunError::Inside);
        }
        let limits =
            Config { transient_colors: true, queue_limit: u32::MAX as usize, ..self.config };
        let shared = Arc::new(Shared {
            descriptors: Descriptors::new(limits.cores)?,
            clock: limits.clock.clone(),
            is_exiting: AtomicBool::new(false),
        });
        let stages = limits.stages.clone();
        let (control, cores) = Machine::new(limits)?;
        if control.post(Color::DEFAULT, CPU, Event::Call(Box::new(first))).is_err() {
            return Err(io::Error::other("core 0 takes no events").into());
        }
        let run = |core: Core<Event, ()>| {
            (self.on_core)(core.id());
            let mut program = Program::new(core.id(), Arc::clone(&shared));
            core.run(&mut program, (self.scheduler)(&stages), &mut (self.stealer)())
        };
        let ended = thread::scope(|scope| {
            let spawn = |core: Core<Event, ()>| {
                let name = format!("libasync {}", core.id().0);
                thread::Builder::new().name(name).spawn_scoped(scope, || run(core))
            };
            // If a thread is refused its core is dropped, which ends the others.
            let threads: Vec<_> = cores.into_iter().map(spawn).collect();
            threads.into_iter().map(|thread| Ok(thread?.join())).collect::<Vec<io::Result<_>>>()
        });
        let cores = sum_up(ended)?;
        Ok(Ended { cores, orphans: shared.descriptors.orphans() })
    }
}

/// The counters of all cores, or the error of the one that ended the others.
fn sum_up(
    ended: Vec<io::Result<thread::Result<io::Result<CoreStats>>>>,
) -> io::Result<Vec<CoreStats>> {
    let mut all = Vec::new();
    let mut failed = None;
    for core in ended {
        let result =
            core.and_then(|joined| joined.unwrap_or_else(|panic| panic::resume_unwind(panic)));
        match result {
            Ok(stats) => all.push(stats),
            Err(error) if failed.is_none() || error.kind() != io::ErrorKind::Interrupted => {
                failed = Some(error);
            }
            Err(_) => {}
        }
    }
    failed.map_or(Ok(all), Err)
}

/// Runs the loop on all CPUs of this thread, with the scheduler of Libasync-smp and without stealing: calls `first`, which
/// sets up what the program waits for, and returns after [`aexit`](super::aexit).
///
/// # Errors
/// See [`RunError`].
pub fn amain(first: impl FnOnce() + Send + 'static) -> Result<Ended, RunError> {
    let cores = thread::available_parallelism()?.get().min(crate::MAX_CORES);
    Libasync::new(cores)?.run(first)
}
