//! What cores share: how to reach each other, when to end, and what thieves see.

use std::borrow::Cow;
use std::sync::{Mutex, OnceLock, PoisonError};

use crossbeam_channel::Sender;
use crossbeam_utils::CachePadded;

use crate::atomics::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::board::Board;
use crate::clock::Clock;
use crate::driver::Waker;
use crate::event::{Color, CoreId, StageId, Target};
use crate::learn::Estimate;
use crate::machine::Config;
use crate::park::{Notice, Parker};
use crate::penalty::{SlowDown, SlowDowns};
use crate::record::Record;
use crate::stealer::{Load, LoadView, Offer};
use crate::timer::TimerKey;
use crate::trace::{Span, Tape, Trace};

/// What one core tells another.
#[derive(Debug)]
pub(crate) enum Message<E, S> {
    /// To the home: make this color known.
    Open { color: Color, state: S },
    /// To the home: an event for this color.
    Post { color: Color, target: Target, event: E },
    /// From the home to the holder.
    Forward { color: Color, incarnation: u32, target: Target, event: E },
    /// From a core that no longer holds the color to the home: a forwarded event that met nobody.
    Back { color: Color, incarnation: u32, target: Target, event: E },
    /// From the holder to the home: nothing waits, here it is.
    Return { record: Box<Record<E, S>> },
    /// From the holder to the home: it has closed.
    Closed { color: Color, incarnation: u32 },
    /// To the core on which a timer was armed: its color has closed or wants it no more.
    Cancel { timer: TimerKey },
}

/// Messages that are published together: one entry of an inbox.
#[derive(Debug)]
pub(crate) enum Parcel<E, S> {
    One(Message<E, S>),
    Many(Vec<Message<E, S>>),
}

impl<E, S> Parcel<E, S> {
    /// Its messages, in the order in which they were sent.
    pub(crate) fn into_iter(self) -> impl Iterator<Item = Message<E, S>> {
        let (one, many) = match self {
            Self::One(message) => (Some(message), Vec::new()),
            Self::Many(messages) => (None, messages),
        };
        one.into_iter().chain(many)
    }
}

/// How much waits at a core, for thieves. Written by the core alone.
#[derive(Debug, Default)]
pub(crate) struct LoadWords {
    queued_ns: AtomicU64,
    events: AtomicU64,
    colors: AtomicU64,
    slots: AtomicUsize,
}

impl LoadWords {
    pub(crate) fn publish(&self, load: &Load) {
        self.queued_ns.store(load.queued_ns, Ordering::Relaxed);
        self.events.store(load.events, Ordering::Relaxed);
        self.colors.store(load.colors, Ordering::Relaxed);
        self.slots.store(load.slots, Ordering::Relaxed);
    }
}

/// A core as the others reach it.
#[derive(Debug)]
pub(crate) struct Station<E, S> {
    inbox: Sender<Parcel<E, S>>,
    pub(crate) parker: CachePadded<Parker>,
    waker: OnceLock<Waker>,
    /// When a waker last made the system call for this core; 0 once that has been read.
    woken_at: AtomicU64,
    pub(crate) load: CachePadded<LoadWords>,
    pub(crate) board: Board<Record<E, S>>,
    tape: Option<Mutex<Tape>>,
}

/// A machine's shared part.
#[derive(Debug)]
pub(crate) struct Hub<E, S> {
    stations: Box<[Station<E, S>]>,
    pub(crate) clock: Clock,
    stages: Vec<Cow<'static, str>>,
    slow_downs: SlowDowns,
    is_stopping: AtomicBool,
    is_halted: AtomicBool,
    done: AtomicUsize,
    sealed: AtomicUsize,
}

impl<E: Send, S: Send> Hub<E, S> {
    pub(crate) fn new(inboxes: Vec<Sender<Parcel<E, S>>>, config: &Config) -> Self {
        let station = |inbox| Station {
            inbox,
            parker: CachePadded::default(),
            waker: OnceLock::new(),
            woken_at: AtomicU64::new(0),
            load: CachePadded::default(),
            board: Board::new(),
            tape: (config.trace > 0).then(|| Mutex::new(Tape::new(config.trace))),
        };
        Self {
            stations: inboxes.into_iter().map(station).collect(),
            clock: config.clock.clone(),
            stages: config.stages.iter().map(|stage| stage.name.clone()).collect(),
            slow_downs: SlowDowns::new(config.stages.iter().map(|stage| stage.penalty)),
            is_stopping: AtomicBool::new(false),
            is_halted: AtomicBool::new(false),
            done: AtomicUsize::new(0),
            sealed: AtomicUsize::new(0),
        }
    }

    pub(crate) fn cores(&self) -> usize {
        self.stations.len()
    }

    pub(crate) fn stages(&self) -> usize {
        self.stages.len()
    }

    /// How much longer events of each stage take where they were stolen to.
    pub(crate) fn slow_downs(&self) -> &SlowDowns {
        &self.slow_downs
    }

    /// How much longer events of `stage`, which is one of the machine's, take where they were stolen to.
    pub(crate) fn slow_down(&self, stage: StageId) -> &SlowDown {
        &self.slow_downs.stages()[stage.index()]
    }

    /// Records what `core` did.
    pub(crate) fn record(&self, core: CoreId, span: Span) {
        if let Some(tape) = &self.stations[core.index()].tape {
            tape.lock().unwrap_or_else(PoisonError::into_inner).record(span);
        }
    }

    /// What has been recorded.
    pub(crate) fn trace(&self) -> Trace {
        let mut trace = Trace::new(self.stages.clone());
        for tape in self.stations.iter().filter_map(|station| station.tape.as_ref()) {
            trace.push(&tape.lock().unwrap_or_else(PoisonError::into_inner));
        }
        trace
    }

    pub(crate) fn station(&self, core: CoreId) -> &Station<E, S> {
        &self.stations[core.index()]
    }

    /// The others, as thieves or as victims.
    pub(crate) fn others(&self, than: CoreId) -> impl Iterator<Item = &Station<E, S>> {
        let rotated = (1..self.cores()).map(move |i| (than.index() + i) % self.cores());
        rotated.map(|core| &self.stations[core])
    }

    /// Puts a parcel into the inbox of `core`, which is not woken yet. It comes back from a core that has ended.
    pub(crate) fn send(&self, core: CoreId, parcel: Parcel<E, S>) -> Result<(), Parcel<E, S>> {
        let Some(station) = self.stations.get(core.index()) else { return Err(parcel) };
        station.inbox.send(parcel).map_err(|error| error.into_inner())
    }

    /// Wakes `core` if it waits; to be called after something was published for it. True if that took a system call.
    pub(crate) fn wake(&self, core: CoreId) -> bool {
        self.wake_station(&self.stations[core.index()]) == Notice::Wake
    }

    /// As [`Hub::wake`], and says what the core was doing.
    pub(crate) fn wake_station(&self, station: &Station<E, S>) -> Notice {
        let notice = station.parker.notify();
        if notice == Notice::Wake {
            station.woken_at.store(self.clock.now().max(1), Ordering::Relaxed);
            if let Some(waker) = station.waker.get() {
                waker.wake();
            }
        }
        notice
    }

    /// Told by a core that was woken: when the waker began.
    pub(crate) fn woken_at(&self, core: CoreId) -> Option<u64> {
        let at = self.stations[core.index()].woken_at.swap(0, Ordering::Relaxed);
        (at != 0).then_some(at)
    }

    pub(crate) fn set_waker(&self, core: CoreId, waker: Waker) {
        // A second waker for the same core has nothing to add: the first one is of the same driver.
        let _ = self.stations[core.index()].waker.set(waker);
    }

    pub(crate) fn wake_all(&self) {
        for station in &self.stations {
            let _ = self.wake_station(station);
        }
    }

    /// Tells every core to come to an end.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.wake_all();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Ends every core at its next turn, whatever is open.
    pub(crate) fn halt(&self) {
        self.is_halted.store(true, Ordering::Release);
        self.wake_all();
    }

    pub(crate) fn is_halted(&self) -> bool {
        self.is_halted.load(Ordering::Acquire)
    }

    /// Told once by each core that has nothing open and will never have.
    pub(crate) fn count_done(&self) {
        if self.done.fetch_add(1, Ordering::AcqRel) + 1 == self.cores() {
            self.wake_all();
        }
    }

    /// Has every core counted itself done? Then no color is open anywhere.
    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire) == self.cores()
    }

    /// Told once by each core that knows that all are done, and from then on sends nothing.
    pub(crate) fn count_sealed(&self) {
        if self.sealed.fetch_add(1, Ordering::AcqRel) + 1 == self.cores() {
            self.wake_all();
        }
    }

    /// Has every core sent its last message?
    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire) == self.cores()
    }
}

/// The hub through a thief's eyes.
pub(crate) struct View<'a, E, S> {
    pub(crate) hub: &'a Hub<E, S>,
    pub(crate) steal_cost_ns: u64,
    /// By victim.
    pub(crate) steal_costs: &'a [Estimate],
}

impl<E: Send, S: Send> LoadView for View<'_, E, S> {
    fn cores(&self) -> usize {
        self.hub.cores()
    }

    fn load(&self, core: CoreId) -> Load {
        let Some(station) = self.hub.stations.get(core.index()) else { return Load::default() };
        let words = &station.load;
        Load {
            queued_ns: words.queued_ns.load(Ordering::Relaxed),
            events: words.events.load(Ordering::Relaxed),
            colors: words.colors.load(Ordering::Relaxed),
            slots: words.slots.load(Ordering::Relaxed),
        }
    }

    fn offered(&self, core: CoreId, slot: usize) -> Option<Offer> {
        self.hub.stations.get(core.index())?.board.read(slot)
    }

    fn steal_cost_ns(&self) -> u64 {
        self.steal_cost_ns
    }

    fn steal_cost_from_ns(&self, victim: CoreId) -> Option<u64> {
        self.steal_costs.get(victim.index()).and_then(Estimate::measured_ns)
    }
}
