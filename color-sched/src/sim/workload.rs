//! What do the simulated cores work on?

use std::collections::BTreeMap;
use std::rc::Rc;

use super::act::Act;
use super::dice::Dice;
use crate::event::{Color, CoreId, Nanos, StageId};
use crate::machine::StageInfo;

/// A program for simulated cores: what each event costs, and what follows from it. One object for all cores; what a
/// color remembers is its state.
pub trait Workload: 'static {
    /// What happens.
    type Event: Send + 'static;
    /// What a color keeps between its events.
    type State: Send + 'static;

    /// The stages.
    fn stages(&self) -> Vec<StageInfo>;

    /// What is open at the beginning, and what arrives from outside, then or later.
    fn start(&self, start: &mut Start<Self::Event, Self::State>);

    /// Runs one event: takes [time](Act::spend), [touches](Act::touch) memory, posts others.
    ///
    /// While it spends time other cores run, and may call this object: what it keeps in cells may have changed then.
    fn run(
        &self,
        act: &mut Act<'_, '_, Self::Event, Self::State>,
        state: &mut Self::State,
        event: Self::Event,
    );

    /// See [`Admission::admit`](crate::Admission::admit).
    fn admit(&self, _core: CoreId, _stage: StageId, wanted: usize) -> usize {
        wanted
    }

    /// See [`Handler::batch_end`](crate::Handler::batch_end).
    fn batch_end(&self, _core: CoreId, _stage: StageId) {}

    /// See [`Handler::abandoned`](crate::Handler::abandoned).
    fn abandoned(&self, _color: Color, _stage: StageId, _event: Self::Event) {}

    /// See [`Handler::closed`](crate::Handler::closed). When nothing is left to do every color is closed.
    fn closed(&self, _color: Color, _state: Self::State) {}
}

impl<W: Workload> Workload for Rc<W> {
    type Event = W::Event;
    type State = W::State;

    fn stages(&self) -> Vec<StageInfo> {
        (**self).stages()
    }

    fn start(&self, start: &mut Start<W::Event, W::State>) {
        (**self).start(start);
    }

    fn run(
        &self,
        act: &mut Act<'_, '_, W::Event, W::State>,
        state: &mut W::State,
        event: W::Event,
    ) {
        (**self).run(act, state, event);
    }

    fn admit(&self, core: CoreId, stage: StageId, wanted: usize) -> usize {
        (**self).admit(core, stage, wanted)
    }

    fn batch_end(&self, core: CoreId, stage: StageId) {
        (**self).batch_end(core, stage);
    }

    fn abandoned(&self, color: Color, stage: StageId, event: W::Event) {
        (**self).abandoned(color, stage, event);
    }

    fn closed(&self, color: Color, state: W::State) {
        (**self).closed(color, state);
    }
}

/// What a driver will find.
#[derive(Debug)]
pub(super) enum Call<E, S> {
    Open {
        color: Color,
        state: S,
    },
    Arrival {
        color: Color,
        stage: StageId,
        event: E,
    },
    /// Ends a call of the color that was opened under this number.
    Completion {
        color: Color,
        serial: u64,
        stage: StageId,
        event: E,
    },
}

/// What the driver of one core will find, by time.
#[derive(Debug)]
pub(super) struct Calls<E, S> {
    by_time: BTreeMap<(Nanos, u64), Call<E, S>>,
    made: u64,
}

impl<E, S> Calls<E, S> {
    pub(super) fn new() -> Self {
        Self { by_time: BTreeMap::new(), made: 0 }
    }

    pub(super) fn push(&mut self, at: Nanos, call: Call<E, S>) {
        self.made += 1;
        self.by_time.insert((at, self.made), call);
    }

    /// When there is something to find.
    pub(super) fn next_at(&self) -> Option<Nanos> {
        self.by_time.first_key_value().map(|(&(at, _), _)| at)
    }

    pub(super) fn pop(&mut self, now: Nanos) -> Option<(Nanos, Call<E, S>)> {
        let ((at, _), call) =
            self.by_time.first_entry().filter(|call| call.key().0 <= now)?.remove_entry();
        Some((at, call))
    }

    pub(super) fn len(&self) -> usize {
        self.by_time.len()
    }
}

/// What comes from outside. Everything comes in at the home of its color, through that core's driver, in order of time.
#[derive(Debug)]
pub struct Start<E, S> {
    pub(super) calls: Vec<Calls<E, S>>,
    pub(super) dice: Dice,
}

impl<E, S> Start<E, S> {
    pub(super) fn new(cores: usize, dice: Dice) -> Self {
        Self { calls: (0..cores).map(|_| Calls::new()).collect(), dice }
    }

    /// Number of cores.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.calls.len()
    }

    /// Dice of the simulation's seed.
    pub fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    /// Opens a color at the beginning.
    pub fn open(&mut self, color: Color, state: S) {
        self.open_at(0, color, state);
    }

    /// Opens a color later.
    pub fn open_at(&mut self, at: Nanos, color: Color, state: S) {
        self.push(at, color, Call::Open { color, state });
    }

    /// An event that is there at the beginning.
    pub fn post(&mut self, color: Color, stage: StageId, event: E) {
        self.post_at(0, color, stage, event);
    }

    /// An event that arrives later.
    pub fn post_at(&mut self, at: Nanos, color: Color, stage: StageId, event: E) {
        self.push(at, color, Call::Arrival { color, stage, event });
    }

    fn push(&mut self, at: Nanos, color: Color, call: Call<E, S>) {
        let home = color.home(self.cores());
        self.calls[home.index()].push(at, call);
    }
}
