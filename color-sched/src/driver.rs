//! Where events come from: a ring, an epoll, a channel.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::event::{Color, Nanos, Target};

/// How long a poll may wait for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: other events are ready to run.
    No,
    /// Until this time, or until woken.
    Until(Nanos),
    /// Until woken.
    Forever,
}

impl Wait {
    /// The time left at `now`; `None` is for ever.
    #[must_use]
    pub fn timeout(self, now: Nanos) -> Option<Duration> {
        match self {
            Self::No => Some(Duration::ZERO),
            Self::Until(at) => Some(Duration::from_nanos(at.saturating_sub(now))),
            Self::Forever => None,
        }
    }
}

/// Where a driver puts what it found.
pub trait EventSink<E, S> {
    /// Makes `color` known, with `state` as its state.
    ///
    /// # Errors
    /// The state comes back if the color is open, or if the machine has been told to stop. A color whose home is
    /// another core is opened there; if it is refused there its state goes to
    /// [`closed`](crate::Handler::closed) of that core's program.
    fn open(&mut self, color: Color, state: S) -> Result<(), S>;

    /// Appends an event to `color`, to be run at a stage.
    ///
    /// # Errors
    /// The event comes back if its color is known not to be open, unless colors are
    /// [transient](crate::Config::transient_colors), if there is no such stage, or if
    /// [`Config::queue_limit`](crate::Config::queue_limit) events of the color wait already. An event that
    /// meets a closed color, or that limit, at another core goes to [`abandoned`](crate::Handler::abandoned) of that core's
    /// program; events on their way there are not limited.
    fn post(&mut self, color: Color, target: impl Into<Target>, event: E) -> Result<(), E>;

    /// The time, read from the clock at each call (some 20 ns).
    fn now(&self) -> Nanos;
}

/// A source of events. One object a core, polled by that core alone.
///
/// The methods that are given are for a program whose events all come from its handlers, its timers and other threads: its
/// driver does nothing but wait.
pub trait Driver {
    /// What happened, with everything the handler needs to know of it.
    type Event;
    /// What a color keeps between its events.
    type State;

    /// Hands what has happened to `sink`, waiting as long as `wait` says if nothing has. Returns the number of events.
    ///
    /// It may return sooner, and must if [`Driver::waker`] was used. Override both or neither.
    ///
    /// # Errors
    /// An error ends the whole machine: [`Core::run`](crate::Core::run) returns it.
    fn poll(
        &mut self,
        sink: &mut impl EventSink<Self::Event, Self::State>,
        wait: Wait,
    ) -> io::Result<usize> {
        match wait {
            Wait::No => {}
            Wait::Until(at) => {
                let time = at.saturating_sub(sink.now());
                thread::park_timeout(Duration::from_nanos(time));
            }
            Wait::Forever => thread::park(),
        }
        Ok(0)
    }

    /// Ends a poll that waits, from another thread. A driver that waits by other means than [`thread::park`] must give its
    /// own, or wakes are lost.
    ///
    /// Asked for once, before the first poll, on the core's own thread. A wake between two polls ends the next one that
    /// would wait.
    fn waker(&self) -> Waker {
        let thread = thread::current();
        Waker::new(move || thread.unpark())
    }
}

/// Ends a [`poll`](Driver::poll) that waits.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    /// A waker that calls `wake`, from any thread. Each call costs the caller what `wake` costs: it is made only when
    /// the core has said that it waits, once a wait.
    #[must_use]
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Wakes.
    pub fn wake(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}
