//! A program made of closures, for tests.

use std::collections::VecDeque;
use std::io;

use color_sched::{
    Admission, Color, Context, CoreStats, Driver, EventSink, Handler, Local, StageId, Wait, Waker,
};

/// What a test's handler does.
pub(crate) type Run<E, S> = Box<dyn FnMut(&mut Context<'_, E, S>, &mut S, E) + Send>;

/// A program whose driver hands out what `arrivals` holds and then waits like a thread does.
pub(crate) struct Program<E, S> {
    pub(crate) run: Run<E, S>,
    pub(crate) arrivals: VecDeque<(Color, StageId, E)>,
    pub(crate) grants: Box<dyn FnMut(StageId, usize) -> usize + Send>,
    pub(crate) abandoned: Vec<(Color, StageId, E)>,
    pub(crate) closed: Vec<(Color, S)>,
    pub(crate) batch_ends: Vec<StageId>,
    pub(crate) waits: Vec<Wait>,
    pub(crate) stopping: Option<(StageId, fn() -> E)>,
    pub(crate) turns: u64,
    /// Makes the states of colors that open by themselves.
    pub(crate) states: Option<MakeState<S>>,
}

pub(crate) type MakeState<S> = Box<dyn FnMut(Color) -> Option<S> + Send>;

impl<E, S> Program<E, S> {
    pub(crate) fn new(run: impl FnMut(&mut Context<'_, E, S>, &mut S, E) + Send + 'static) -> Self {
        Self {
            run: Box::new(run),
            arrivals: VecDeque::new(),
            grants: Box::new(|_, wanted| wanted),
            abandoned: Vec::new(),
            closed: Vec::new(),
            batch_ends: Vec::new(),
            waits: Vec::new(),
            stopping: None,
            turns: 0,
            states: None,
        }
    }
}

impl<E, S> Admission for Program<E, S> {
    fn admit(&mut self, stage: StageId, wanted: usize) -> usize {
        (self.grants)(stage, wanted)
    }
}

impl<E: Send, S: Send> Handler for Program<E, S> {
    type Event = E;
    type State = S;

    fn run(&mut self, cx: &mut Context<'_, E, S>, state: &mut S, event: E) {
        (self.run)(cx, state, event);
    }

    fn new_state(&mut self, color: Color) -> Option<S> {
        self.states.as_mut()?(color)
    }

    fn batch_end(&mut self, stage: StageId) {
        self.batch_ends.push(stage);
    }

    fn stopping(&mut self, local: &mut Local<'_, E, S>) {
        let Some((stage, event)) = self.stopping else { return };
        for color in local.colors() {
            assert!(local.post(color, stage, event()).is_ok());
        }
    }

    fn abandoned(&mut self, color: Color, stage: StageId, event: E) {
        self.abandoned.push((color, stage, event));
    }

    fn closed(&mut self, color: Color, state: S) {
        self.closed.push((color, state));
    }

    fn turn(&mut self, _stats: &CoreStats) {
        self.turns += 1;
    }
}

impl<E, S> Driver for Program<E, S> {
    type Event = E;
    type State = S;

    fn poll(&mut self, sink: &mut impl EventSink<E, S>, wait: Wait) -> io::Result<usize> {
        self.waits.push(wait);
        let mut events = 0;
        while let Some((color, stage, event)) = self.arrivals.pop_front() {
            if let Err(event) = sink.post(color, stage, event) {
                self.abandoned.push((color, stage, event));
            }
            events += 1;
        }
        if events > 0 {
            return Ok(events);
        }
        match wait.timeout(sink.now()) {
            Some(time) if time.is_zero() => {}
            Some(time) => std::thread::park_timeout(time),
            None => std::thread::park(),
        }
        Ok(0)
    }

    fn waker(&self) -> Waker {
        let thread = std::thread::current();
        Waker::new(move || thread.unpark())
    }
}
