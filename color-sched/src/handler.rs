//! What a program does with its events.

use std::any::Any;

use crate::context::{Context, Local};
use crate::event::{Color, StageId};
use crate::stats::CoreStats;

/// What becomes of a color whose handler has panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterPanic {
    /// It closes: its state goes to [`closed`](Handler::closed), its events to [`abandoned`](Handler::abandoned).
    Close,
    /// It goes on with its next event, and with its state as the handler left it, unless the handler had closed it.
    GoOn,
}

/// The code of a program: one object a core, called by that core alone and never twice at once.
pub trait Handler {
    /// What happened.
    type Event: Send;
    /// What a color keeps between its events; moves with it to another core.
    type State: Send;

    /// Runs one event of one color at [`cx.stage()`](Context::stage).
    ///
    /// The state is moved out of the core's table for the run and back after it: let it be a few words, or a box.
    /// A panic is caught and counted, and [`panicked`](Self::panicked) is told.
    fn run(
        &mut self,
        cx: &mut Context<'_, Self::Event, Self::State>,
        state: &mut Self::State,
        event: Self::Event,
    );

    /// The handler has panicked, and lost its event. What it posted, armed and pinned before stays; so does the permit
    /// of its batch, until [`batch_end`](Self::batch_end). A panic in here, or in any other callback, ends the machine.
    fn panicked(
        &mut self,
        _color: Color,
        _stage: StageId,
        _payload: Box<dyn Any + Send>,
    ) -> AfterPanic {
        AfterPanic::Close
    }

    /// The state of a color that opens with its first event: see
    /// [`Config::transient_colors`](crate::Config::transient_colors). `None`: it is not to be open, and the event goes to
    /// [`abandoned`](Self::abandoned). Asked on the core that runs the event.
    fn new_state(&mut self, _color: Color) -> Option<Self::State> {
        None
    }

    /// The batch of `stage` has been run: what [`admit`](crate::Admission::admit) granted for it can be returned.
    fn batch_end(&mut self, _stage: StageId) {}

    /// [`Control::stop`](crate::Control::stop) was called; told once a core. The core runs on until no color with its home
    /// here is open and it holds none: it is for the program to close those that it opened.
    fn stopping(&mut self, _local: &mut Local<'_, Self::Event, Self::State>) {}

    /// An event whose color has closed, or that came from another core or from outside while
    /// [`Config::queue_limit`](crate::Config::queue_limit) events of its color waited. Nothing is lost silently.
    fn abandoned(&mut self, _color: Color, _stage: StageId, _event: Self::Event) {}

    /// A color has closed: its state, told once for every color that was open. Also told of a color that was to be
    /// opened here by another core and could not be.
    fn closed(&mut self, _color: Color, _state: Self::State) {}

    /// Counters, for publishing: called every 100 ms or so when busy, and each time before the core goes to sleep.
    fn turn(&mut self, _stats: &CoreStats) {}
}
