//! What a handler may do: post, go on, open, close, pin, arm.

use crate::desk::{Desk, Origin};
use crate::driver::EventSink;
use crate::event::{Color, CoreId, Nanos, Slot, StageId, Target};
use crate::timer::TimerKey;

/// A timer of a color; names no other timer, ever after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId {
    pub(crate) core: CoreId,
    pub(crate) key: TimerKey,
}

/// A core, for code that runs on it.
#[derive(Debug)]
pub struct Local<'a, E, S> {
    desk: &'a mut Desk<E, S>,
    origin: Origin,
}

impl<'a, E: Send, S: Send> Local<'a, E, S> {
    pub(crate) fn new(desk: &'a mut Desk<E, S>, origin: Origin) -> Self {
        Self { desk, origin }
    }

    /// The core.
    #[must_use]
    pub fn core(&self) -> CoreId {
        self.desk.id
    }

    /// Number of cores of the machine.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.desk.hub.cores()
    }

    /// Has the machine been told to stop?
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.desk.hub.is_stopping()
    }

    /// The open colors whose home is this core, wherever they run: over all cores, each color once.
    #[must_use]
    pub fn colors(&self) -> Vec<Color> {
        self.desk.homed()
    }

    /// Tells the machine to stop.
    pub fn stop(&self) {
        self.desk.hub.stop();
    }
}

impl<E: Send, S: Send> EventSink<E, S> for Local<'_, E, S> {
    fn open(&mut self, color: Color, state: S) -> Result<(), S> {
        self.desk.open(color, state)
    }

    #[inline]
    fn post(&mut self, color: Color, target: impl Into<Target>, event: E) -> Result<(), E> {
        self.desk.refresh_now();
        self.desk.post(self.origin, color, target.into(), event)
    }

    fn now(&self) -> Nanos {
        self.desk.hub.clock.now()
    }
}

/// One event of one color, while its handler runs.
#[derive(Debug)]
pub struct Context<'a, E, S> {
    desk: &'a mut Desk<E, S>,
    color: Color,
    slot: Slot,
    stage: StageId,
    is_closing: &'a mut bool,
}

impl<'a, E: Send, S: Send> Context<'a, E, S> {
    #[inline]
    pub(crate) fn new(
        desk: &'a mut Desk<E, S>,
        color: Color,
        slot: Slot,
        stage: StageId,
        is_closing: &'a mut bool,
    ) -> Self {
        Self { desk, color, slot, stage, is_closing }
    }

    /// The color that runs.
    #[inline]
    #[must_use]
    pub fn color(&self) -> Color {
        self.color
    }

    /// The stage that the event was posted to.
    #[inline]
    #[must_use]
    pub fn stage(&self) -> StageId {
        self.stage
    }

    /// The core that it runs on: the color's home, or a thief.
    #[inline]
    #[must_use]
    pub fn core(&self) -> CoreId {
        self.desk.id
    }

    /// Number of cores of the machine.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.desk.hub.cores()
    }

    /// The time when the core last looked at the clock: after its last poll, or a batch since. Costs nothing.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.desk.now
    }

    /// Appends an event to any color, to be run at a stage.
    ///
    /// # Errors
    /// As [`EventSink::post`].
    #[inline]
    pub fn post(&mut self, color: Color, target: impl Into<Target>, event: E) -> Result<(), E> {
        if color == self.color {
            return self.next(target, event);
        }
        self.desk.post(Origin::Handler, color, target.into(), event)
    }

    /// Appends an event to this color: it runs after what waits already, on the core that the color is on then.
    ///
    /// # Errors
    /// The event comes back if there is no such stage, or if [`Config::queue_limit`](crate::Config::queue_limit) events of
    /// this color wait.
    #[inline]
    pub fn next(&mut self, target: impl Into<Target>, event: E) -> Result<(), E> {
        self.desk.next(self.slot, target.into(), event)
    }

    /// Opens another color.
    ///
    /// # Errors
    /// As [`EventSink::open`].
    pub fn open(&mut self, color: Color, state: S) -> Result<(), S> {
        if color == self.color {
            return Err(state);
        }
        self.desk.open(color, state)
    }

    /// Closes this color when the handler returns. What still waits for it, its timers too, goes to
    /// [`abandoned`](crate::Handler::abandoned), its state to [`closed`](crate::Handler::closed).
    ///
    /// A timer that it armed on another core may fire until that core has heard; its event is abandoned then, or
    /// run if the color has been opened again meanwhile.
    pub fn close(&mut self) {
        *self.is_closing = true;
    }

    /// Keeps the color on this core until it is unpinned as often: it's neither offered to thieves nor sent home. To be
    /// called when something on this core, such as a call in flight on its ring, will post to the color; the driver's
    /// posts then reach it without a detour by its home. Away from home they may overtake what this driver posted before
    /// the pin and is still on that detour; what it posts from one pin to its unpin stays in order.
    pub fn pin(&mut self) {
        let cell = self.desk.colors.cell(self.slot);
        cell.pins = cell.pins.saturating_add(1);
    }

    /// Undoes one [`pin`](Self::pin).
    pub fn unpin(&mut self) {
        let cell = self.desk.colors.cell(self.slot);
        cell.pins = cell.pins.saturating_sub(1);
    }

    /// Posts `event` to this color at `at`: not sooner, and some 2 ms later at most if the core keeps up.
    ///
    /// The timer stays with this core; if the color is elsewhere when it fires, the event follows. Timers of one core fire in
    /// the order in which they are due, those of different cores as each gets to it.
    pub fn arm(&mut self, at: Nanos, target: impl Into<Target>, event: E) -> TimerId {
        self.desk.arm(self.slot, self.color, at, target.into(), event)
    }

    /// Cancels a timer of this color and gives its event. `None`: it has fired, and its event may wait already; or it
    /// was armed on another core, which is told and gives the event to [`abandoned`](crate::Handler::abandoned) unless the
    /// timer fires first.
    pub fn cancel(&mut self, timer: TimerId) -> Option<E> {
        self.desk.cancel(self.slot, timer)
    }

    /// The open colors whose home is this core, this one too if it is.
    #[must_use]
    pub fn colors(&self) -> Vec<Color> {
        self.desk.homed()
    }

    /// Has the machine been told to stop?
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.desk.hub.is_stopping()
    }

    /// Tells the machine to stop.
    pub fn stop(&self) {
        self.desk.hub.stop();
    }
}
