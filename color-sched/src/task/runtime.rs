//! A machine whose events are all tasks' wakes: what runs async code if no handlers are needed.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle as Thread};

use crate::admission::Admission;
use crate::context::{Context, Local};
use crate::driver::{Driver, EventSink};
use crate::event::{Color, CoreId, StageId};
use crate::handler::Handler;
use crate::machine::{Config, ConfigError, Machine, StageInfo};
use crate::scheduler::{Scheduler, StageBatch};
use crate::stats::CoreStats;
use crate::stealer::Stealer;
use crate::task::gate::{Event, Gate};
use crate::task::join::JoinHandle;
use crate::task::port::Port;
use crate::task::tasks::Tasks;
use crate::worker::Core;

/// Starts tasks, from any thread.
#[derive(Clone)]
pub struct Spawner {
    gate: Arc<Gate>,
    port: Port,
}

impl Spawner {
    /// Starts a task of `color`, which opens with its first task and closes with its last. Tasks of one color never run at
    /// once, and those that one thread spawned are first polled in that order. After the end of the runtime the handle says
    /// that the task was cancelled.
    pub fn spawn<F>(&self, color: Color, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.port.spawn(color, StageId(0), future)
    }

    /// Ends the runtime: every task that is not over is dropped, and its handle says that it was cancelled.
    pub fn stop(&self) {
        self.gate.control().stop();
    }

    /// Has the runtime been told to stop?
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.gate.control().is_stopping()
    }
}

impl std::fmt::Debug for Spawner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spawner").field("is_stopping", &self.is_stopping()).finish_non_exhaustive()
    }
}

/// Cores that run tasks, not started yet.
#[derive(Debug)]
pub struct Runtime {
    spawner: Spawner,
    workers: Vec<Worker>,
}

impl Runtime {
    /// A runtime of `config.cores` cores. Its tasks run at the first of `config.stages`, which need not be given, without
    /// admission; [`Config::queue_limit`] does not matter, for a task has one event waiting at most.
    ///
    /// # Errors
    /// What is wrong with `config`.
    pub fn new(mut config: Config) -> Result<Self, ConfigError> {
        config.queue_limit = usize::MAX;
        if config.stages.is_empty() {
            config.stages.push(StageInfo::new("task"));
        }
        let stages: Arc<[StageInfo]> = config.stages.clone().into();
        let (control, cores) = Machine::new(config)?;
        let gate = Gate::new(control);
        let worker = |core| Worker {
            core,
            stages: Arc::clone(&stages),
            program: Program { gate: Arc::clone(&gate) },
        };
        let workers = cores.into_iter().map(worker).collect();
        let port = Port::of(Arc::clone(&gate) as _);
        Ok(Self { spawner: Spawner { gate, port }, workers })
    }

    /// What starts tasks. Those that are spawned before the cores run wait for them.
    #[must_use]
    pub fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    /// The cores, each to be [run](Worker::run) by a thread of the caller's: to pin it, to choose its scheduler.
    #[must_use]
    pub fn into_workers(self) -> Vec<Worker> {
        self.workers
    }

    /// Starts a thread a core, with a [`StageBatch`] and the stealer that `stealer` makes for it.
    ///
    /// # Errors
    /// If a thread cannot be had; the other ones end then.
    pub fn start<T>(self, mut stealer: impl FnMut(CoreId) -> T) -> io::Result<Running>
    where
        T: Stealer + Send + 'static,
    {
        let mut running = Running { spawner: self.spawner, threads: Vec::new() };
        for worker in self.workers {
            let mut stealer = stealer(worker.id());
            let name = format!("task core {}", worker.id().0);
            let run = move || {
                let scheduler = StageBatch::new(worker.stages());
                worker.run(scheduler, &mut stealer)
            };
            running.threads.push(thread::Builder::new().name(name).spawn(run)?);
        }
        Ok(running)
    }
}

/// A core of a runtime.
#[derive(Debug)]
pub struct Worker {
    core: Core<Event, Tasks>,
    stages: Arc<[StageInfo]>,
    program: Program,
}

impl Worker {
    /// Which core it is.
    #[must_use]
    pub fn id(&self) -> CoreId {
        self.core.id()
    }

    /// The machine's stages, for a scheduler.
    #[must_use]
    pub fn stages(&self) -> &[StageInfo] {
        &self.stages
    }

    /// Runs until [`Spawner::stop`] was called and all tasks are gone.
    ///
    /// # Errors
    /// [`io::ErrorKind::Interrupted`], if another core was dropped or its thread panicked. All tasks are cancelled then.
    pub fn run<C, T>(mut self, scheduler: C, stealer: &mut T) -> io::Result<CoreStats>
    where
        C: Scheduler,
        T: Stealer,
    {
        self.core.run(&mut self.program, scheduler, stealer)
    }
}

/// A runtime that runs. Dropped, it stops: every task is dropped too, and all threads have ended.
#[derive(Debug)]
pub struct Running {
    spawner: Spawner,
    threads: Vec<Thread<io::Result<CoreStats>>>,
}

impl Running {
    /// What starts tasks.
    #[must_use]
    pub fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    /// Stops the runtime, as [`Spawner::stop`] does, and waits for the end of all cores.
    ///
    /// # Errors
    /// As [`Worker::run`].
    pub fn stop(self) -> io::Result<Vec<CoreStats>> {
        self.spawner.stop();
        self.join()
    }

    /// Waits until somebody has [stopped](Spawner::stop) the runtime.
    ///
    /// # Errors
    /// As [`Worker::run`].
    pub fn join(mut self) -> io::Result<Vec<CoreStats>> {
        let ended = self.threads.drain(..).map(Thread::join).collect::<Vec<_>>();
        let panicked = |_| io::Error::other("a core's thread panicked, outside of its tasks");
        ended.into_iter().map(|ended| ended.map_err(panicked)?).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.spawner.stop();
        for thread in self.threads.drain(..) {
            // Its error, if any, was to be had by `stop` or `join`.
            let _ = thread.join();
        }
    }
}

/// A core's handler: wakes come from tasks and from other threads, so that its driver only waits.
struct Program {
    gate: Arc<Gate>,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Program")
    }
}

impl Handler for Program {
    type Event = Event;
    type State = Tasks;

    fn run(&mut self, cx: &mut Context<'_, Event, Tasks>, tasks: &mut Tasks, event: Event) {
        let color = cx.color();
        match event {
            Event::Wake(wake) => {
                if wake.is_arrival() {
                    self.gate.arrived(color);
                }
                tasks.poll(cx, wake);
                if tasks.is_empty() && self.gate.close(color) {
                    cx.close();
                }
            }
            Event::Shut => {
                tasks.clear();
                cx.close();
            }
        }
    }

    fn stopping(&mut self, local: &mut Local<'_, Event, Tasks>) {
        for color in local.colors() {
            // Refused: the color has closed meanwhile.
            let _ = local.post(color, StageId(0), Event::Shut);
        }
    }

    fn abandoned(&mut self, color: Color, _stage: StageId, event: Event) {
        if let Event::Wake(wake) = &event
            && wake.is_arrival()
        {
            self.gate.arrived(color);
        }
    }

    fn closed(&mut self, color: Color, tasks: Tasks) {
        drop(tasks);
        self.gate.closed(color);
    }
}

impl Admission for Program {
    fn admit(&mut self, _stage: StageId, wanted: usize) -> usize {
        wanted
    }
}

impl Driver for Program {
    type Event = Event;
    type State = Tasks;
}
