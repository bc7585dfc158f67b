//! How do callbacks run on a core? The machine's handler and driver for them.

use std::any::Any;
use std::io;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::callback::Once;
use super::calls::{Command, Seated};
use super::descriptors::{Descriptors, Watch};
use super::timers::Timer;
use crate::admission::Admission;
use crate::clock::Clock;
use crate::context::{Context, Local};
use crate::driver::{Driver, EventSink, Wait, Waker};
use crate::event::{Color, CoreId, StageId};
use crate::handler::{AfterPanic, Handler};

/// Where callbacks of descriptors run.
pub(super) const FD: StageId = StageId(0);
/// Where callbacks of timers run.
pub(super) const TIME: StageId = StageId(1);
/// Where the others run.
pub(super) const CPU: StageId = StageId(2);

/// What the cores share.
pub(super) struct Shared {
    pub(super) descriptors: Descriptors,
    pub(super) clock: Clock,
    pub(super) is_exiting: AtomicBool,
}

/// What is to be done in a color.
pub(super) enum Event {
    Call(Once),
    Ready(Arc<Watch>),
    Arm(Arc<Timer>),
    Disarm(Arc<Timer>),
    Due(Arc<Timer>),
    Close,
}

type Cx<'a> = Context<'a, Event, ()>;

/// One core's part.
pub(super) struct Program {
    core: CoreId,
    shared: Arc<Shared>,
    seat: Seated,
    /// Empty between callbacks.
    commands: Vec<Command>,
    /// Empty between polls.
    found: Vec<Arc<Watch>>,
}

impl Program {
    pub(super) fn new(core: CoreId, shared: Arc<Shared>) -> Self {
        let seat = Seated::new(Arc::clone(&shared));
        Self { core, shared, seat, commands: Vec::new(), found: Vec::new() }
    }

    /// Calls a callback, and carries out what it asked for.
    fn call(&mut self, cx: &mut Cx<'_>, callback: impl FnOnce()) -> thread::Result<()> {
        let result = self.seat.call(callback, &mut self.commands);
        for command in self.commands.drain(..) {
            match command {
                Command::Stop => cx.stop(),
                Command::Post(color, _, Event::Arm(timer)) if color == cx.color() => arm(cx, timer),
                Command::Post(color, _, Event::Disarm(timer)) if color == cx.color() => {
                    disarm(cx, &timer);
                }
                // Refused at the end only, when nothing is called any more.
                Command::Post(color, target, event) => drop(cx.post(color, target, event)),
            }
        }
        result
    }

    /// A descriptor's callback is called, and waits again for the descriptor.
    fn ready(&mut self, cx: &mut Cx<'_>, watch: &Arc<Watch>) -> thread::Result<()> {
        let Some(mut callback) = self.shared.descriptors.take(watch) else { return Ok(()) };
        let result = self.call(cx, &mut callback);
        match result {
            Ok(()) => self.shared.descriptors.called(watch, callback),
            Err(_) => self.shared.descriptors.panicked(watch),
        }
        result
    }
}

fn arm(cx: &mut Cx<'_>, timer: Arc<Timer>) {
    if timer.is_waiting() {
        let target = TIME.at(timer.place.priority);
        let armed = cx.arm(timer.at, target, Event::Due(Arc::clone(&timer)));
        timer.armed(armed);
    }
}

fn disarm(cx: &mut Cx<'_>, timer: &Timer) {
    if let Some(armed) = timer.disarm() {
        drop(cx.cancel(armed));
    }
}

impl Handler for Program {
    type Event = Event;
    type State = ();

    fn run(&mut self, cx: &mut Cx<'_>, _state: &mut (), event: Event) {
        if let Event::Close = event {
            return cx.close();
        }
        if self.shared.is_exiting.load(Ordering::Relaxed) {
            return;
        }
        let result = match event {
            Event::Call(callback) => self.call(cx, callback),
            Event::Ready(watch) => self.ready(cx, &watch),
            Event::Due(timer) => match timer.take() {
                Some(callback) => self.call(cx, callback),
                None => Ok(()),
            },
            Event::Arm(timer) => return arm(cx, timer),
            Event::Disarm(timer) => return disarm(cx, &timer),
            Event::Close => return cx.close(),
        };
        if let Err(payload) = result {
            panic::resume_unwind(payload);
        }
    }

    fn panicked(&mut self, _: Color, _: StageId, _: Box<dyn Any + Send>) -> AfterPanic {
        AfterPanic::GoOn
    }

    fn new_state(&mut self, _color: Color) -> Option<()> {
        Some(())
    }

    fn stopping(&mut self, local: &mut Local<'_, Event, ()>) {
        self.shared.is_exiting.store(true, Ordering::Relaxed);
        for color in local.colors() {
            // Refused if it has closed by itself.
            drop(local.post(color, CPU, Event::Close));
        }
    }
}

impl Driver for Program {
    type Event = Event;
    type State = ();

    fn poll(&mut self, sink: &mut impl EventSink<Event, ()>, wait: Wait) -> io::Result<usize> {
        let Self { core, shared, found, .. } = self;
        let descriptors = &shared.descriptors;
        let heard = |token, ready| descriptors.heard(*core, token, ready, found);
        descriptors.epoll(*core).wait(wait.timeout(sink.now()), heard)?;
        let events = self.found.len();
        for watch in self.found.drain(..) {
            let (color, target) = (watch.place.color, FD.at(watch.place.priority));
            // Refused at the end only, when nothing is called any more.
            drop(sink.post(color, target, Event::Ready(watch)));
        }
        Ok(events)
    }

    fn waker(&self) -> Waker {
        let (core, shared) = (self.core, Arc::clone(&self.shared));
        Waker::new(move || shared.descriptors.epoll(core).ring())
    }
}

impl Admission for Program {
    fn admit(&mut self, _stage: StageId, wanted: usize) -> usize {
        wanted
    }
}
