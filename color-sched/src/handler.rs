//! What a program does with its events.

use crate::context::{Context, Local};
use crate::event::{Color, StageId};
use crate::stats::CoreStats;

/// The code of a program: one object a core, called by that core alone and never twice at once.
pub trait Handler {
    /// What happened.
    type Event: Send;
    /// What a color keeps between its events; moves with it to another core.
    type State: Send;

    /// Runs one event of one color at [`cx.stage()`](Context::stage).
    ///
    /// A panic is caught and counted, and closes the color: its state goes to [`closed`](Self::closed), its events go to
    /// [`abandoned`](Self::abandoned).
    fn run(
        &mut self,
        cx: &mut Context<'_, Self::Event, Self::State>,
        state: &mut Self::State,
        event: Self::Event,
    );

    /// The batch of `stage` has been run: what [`admit`](crate::Admission::admit) granted for it can be returned.
    fn batch_end(&mut self, _stage: StageId) {}

    /// [`Control::stop`](crate::Control::stop) was called; told once a core. The core runs on until no color with its home
    /// here is open and it holds none: it is for the program to close them.
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
