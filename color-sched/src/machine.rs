//! Cores that run together: how they are made, and how they are told to end.

use std::borrow::Cow;
use std::sync::Arc;

use crossbeam_channel::unbounded;
use thiserror::Error;

use crate::clock::Clock;
use crate::event::{Color, Nanos, Priority, Target};
use crate::hub::{Hub, Message, Parcel};
use crate::learn::Cost;
use crate::penalty::Penalty;
use crate::trace::Trace;
use crate::worker::Core;

/// Stages that a machine can have: what a scheduler finds in two looks at a word of 64 bits.
pub const MAX_STAGES: usize = 4096;
/// Cores that a machine can have.
pub const MAX_CORES: usize = 1024;

/// What is known of a stage before it has run.
#[derive(Clone, Debug)]
pub struct StageInfo {
    /// Its name, for people.
    pub name: Cow<'static, str>,
    /// Does it allocate? Then its batches need [`Admission`](crate::Admission).
    pub allocates: bool,
    /// Batches a round, next to the other stages: earlier stages should have more (TUX §4.5.2). At least 1.
    pub weight: u32,
    /// Tasks at most that its memory is for: so many waiting are *maximal flow*, which more waiting cannot improve.
    /// 0: as many as fit in a batch.
    pub flow: usize,
    /// What one event costs.
    pub cost: Cost,
    /// How many times as long an event takes away from the core that ran the color last (Mely §3.3).
    pub penalty: Penalty,
    /// What its events have that are posted without a priority. Under [`StageBatch`](crate::StageBatch), where priorities
    /// count inside of a stage, it matters only beside events that are given one.
    pub priority: Priority,
}

impl StageInfo {
    /// A stage that does not allocate, of weight 1, with cost and penalty to be learned.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            allocates: false,
            weight: 1,
            flow: 0,
            cost: Cost::learned(1_000),
            penalty: Penalty::learned(),
            priority: Priority::Normal,
        }
    }

    /// It allocates: its batches need admission.
    #[must_use]
    pub fn allocates(mut self) -> Self {
        self.allocates = true;
        self
    }

    /// Sets [`StageInfo::weight`].
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets [`StageInfo::flow`].
    #[must_use]
    pub fn flow(mut self, flow: usize) -> Self {
        self.flow = flow;
        self
    }

    /// Sets [`StageInfo::cost`].
    #[must_use]
    pub fn cost(mut self, cost: Cost) -> Self {
        self.cost = cost;
        self
    }

    /// Pins [`StageInfo::penalty`]: so many times as long. 1: thieves have nothing to mind.
    #[must_use]
    pub fn penalty(mut self, times: u32) -> Self {
        self.penalty = Penalty::fixed(times);
        self
    }

    /// Sets [`StageInfo::priority`].
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }
}

/// How a machine is to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// Number of cores.
    pub cores: usize,
    /// The stages, by id.
    pub stages: Vec<StageInfo>,
    /// Events run between two polls of the driver, at most: a batch is cut to what is left.
    pub poll_events: usize,
    /// Time between two polls of the driver, as estimated, after which no further batch is begun.
    pub poll_ns: Nanos,
    /// Events of one color that may wait. A post beyond it gets its event back if the color is at the poster's core; at
    /// another core the event goes to [`abandoned`](crate::Handler::abandoned). Events on their way between cores
    /// are not counted, and inboxes have no bound: who posts from elsewhere, or from outside, has to limit itself.
    pub queue_limit: usize,
    /// Colors need not be opened: one that is not open opens with its first event, its state made by
    /// [`Handler::new_state`](crate::Handler::new_state), and closes when nothing waits for it any more: no event, timer or
    /// pin. A color that was opened by hand stays open until it is closed. An event on its way to a core where the color
    /// closes itself is given back, and does not open it again.
    pub transient_colors: bool,
    /// Time at most that an idle core looks around before it waits. It does so only when stealing is on, and as
    /// long as its waits turn out shorter than a wake costs.
    pub spin_ns: Nanos,
    /// Cost of moving one color. A color is worthy when its waiting events take longer (Mely §3.2). 0: every color is.
    pub steal_cost: Cost,
    /// Cost of waking a core that waits, its own delay included. A thief is woken only for more work than this.
    pub wake_cost: Cost,
    /// Spans that are kept of each core for [`Control::trace`], the last ones. Each costs some 100 ns and 40 bytes; 0 keeps
    /// none and costs nothing.
    pub trace: usize,
    /// Where time comes from.
    pub clock: Clock,
}

impl Config {
    /// A machine of `cores` cores with these stages, and everything else as it is good for a server.
    #[must_use]
    pub fn new(cores: usize, stages: Vec<StageInfo>) -> Self {
        Self {
            cores,
            stages,
            poll_events: 127,
            poll_ns: 200_000,
            queue_limit: 1 << 16,
            transient_colors: false,
            spin_ns: 50_000,
            steal_cost: Cost::learned(1_000),
            wake_cost: Cost::learned(30_000),
            trace: 0,
            clock: Clock::real(),
        }
    }
}

/// Why a machine cannot be as it was to be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// Too few or too many cores.
    #[error("{0} cores; a machine has 1 to {MAX_CORES}")]
    Cores(usize),
    /// Too few or too many stages.
    #[error("{0} stages; a machine has 1 to {MAX_STAGES}")]
    Stages(usize),
    /// A limit of zero would stop everything.
    #[error("{0} is 0, so that no event could ever run; it must be at least 1")]
    Zero(&'static str),
}

/// A machine: the handle on it, and its cores in order of their ids.
pub type Parts<E, S> = (Control<E, S>, Vec<Core<E, S>>);

/// Makes machines.
#[derive(Debug)]
pub struct Machine;

impl Machine {
    /// The cores, each to be moved to its thread and [run](Core::run) there, and a handle for everybody else.
    ///
    /// # Errors
    /// What is wrong with `config`.
    #[expect(clippy::new_ret_no_self, reason = "a machine is its cores, and they go separate ways")]
    pub fn new<E: Send, S: Send>(config: Config) -> Result<Parts<E, S>, ConfigError> {
        if !(1..=MAX_CORES).contains(&config.cores) {
            return Err(ConfigError::Cores(config.cores));
        }
        if !(1..=MAX_STAGES).contains(&config.stages.len()) {
            return Err(ConfigError::Stages(config.stages.len()));
        }
        if config.poll_events == 0 {
            return Err(ConfigError::Zero("poll_events"));
        }
        if config.poll_ns == 0 {
            return Err(ConfigError::Zero("poll_ns"));
        }
        if config.queue_limit == 0 {
            return Err(ConfigError::Zero("queue_limit"));
        }
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..config.cores).map(|_| unbounded()).unzip();
        let hub = Arc::new(Hub::new(senders, &config));
        let core = |(id, inbox)| Core::new(id, inbox, Arc::clone(&hub), &config);
        let cores = receivers.into_iter().enumerate().map(core).collect();
        Ok((Control { hub }, cores))
    }
}

/// A handle on a machine, for any thread.
#[derive(Debug)]
pub struct Control<E, S> {
    pub(crate) hub: Arc<Hub<E, S>>,
}

impl<E, S> Clone for Control<E, S> {
    fn clone(&self) -> Self {
        Self { hub: Arc::clone(&self.hub) }
    }
}

impl<E: Send, S: Send> Control<E, S> {
    /// Tells every core to come to an end: see [`Handler::stopping`](crate::Handler::stopping). From then on no color can be
    /// opened, and none is stolen; posts to open colors are still taken.
    pub fn stop(&self) {
        self.hub.stop();
    }

    /// Has the machine been told to stop?
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.hub.is_stopping()
    }

    /// The machine's time.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.hub.clock.now()
    }

    /// What each core has been doing lately, if [`Config::trace`] is not 0. To be asked at any time, also after the end.
    #[must_use]
    pub fn trace(&self) -> Trace {
        self.hub.trace()
    }

    /// Opens a color at its home.
    ///
    /// # Errors
    /// The state comes back once the machine has been told to stop. If the color is open already the state goes to
    /// [`closed`](crate::Handler::closed) of its home's program.
    pub fn open(&self, color: Color, state: S) -> Result<(), S> {
        if self.hub.is_stopping() {
            return Err(state);
        }
        match self.send(color, Message::Open { color, state }) {
            Err(Message::Open { state, .. }) => Err(state),
            _ => Ok(()),
        }
    }

    /// Posts an event to a color, by way of its home.
    ///
    /// # Errors
    /// The event comes back if there is no such stage, or if the home has ended. If the color is not open, and not
    /// [transient](Config::transient_colors), the event goes to [`abandoned`](crate::Handler::abandoned) of its home's program, as it does there or at a thief if
    /// [`Config::queue_limit`] events of the color wait; if the home ends just then, it is dropped. The home's inbox has no
    /// bound: this never waits.
    pub fn post(&self, color: Color, target: impl Into<Target>, event: E) -> Result<(), E> {
        let target = target.into();
        if target.stage.index() >= self.hub.stages() {
            return Err(event);
        }
        match self.send(color, Message::Post { color, target, event }) {
            Err(Message::Post { event, .. }) => Err(event),
            _ => Ok(()),
        }
    }

    fn send(&self, color: Color, message: Message<E, S>) -> Result<(), Message<E, S>> {
        if self.hub.is_sealed() {
            return Err(message);
        }
        let home = color.home(self.hub.cores());
        match self.hub.send(home, Parcel::One(message)) {
            Ok(()) => {
                self.hub.wake(home);
                Ok(())
            }
            Err(Parcel::One(message)) => Err(message),
            Err(Parcel::Many(_)) => Ok(()),
        }
    }
}
