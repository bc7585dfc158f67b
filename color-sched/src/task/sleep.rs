//! How does a task wait for a time? By a timer of its color on the wheel of the core that it runs on.
//!
//! | alarm | set by | the timer's event, when it runs or is dropped | the sleep, when polled |
//! |---|---|---|---|
//! | WAITING | the sleep, when first polled | -> FIRED when run, -> VOID when dropped; wakes | keeps its waker |
//! | FIRED | the event | - | is ready |
//! | VOID | the event: its color has closed; or the sleep, when dropped | does nothing | arms again, where it is now |

use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::context::TimerId;
use crate::event::{Color, Nanos};
use crate::task::current::{self, Command, OutsideTask};
use crate::task::port::Port;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Fired,
    Void,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    waker: Option<Waker>,
    timer: Option<TimerId>,
}

/// What a sleep shares with its timer.
#[derive(Debug)]
pub(crate) struct Alarm {
    at: Nanos,
    color: Color,
    port: Port,
    state: Mutex<State>,
}

impl Alarm {
    fn new(at: Nanos, color: Color, port: Port, waker: Waker) -> Self {
        let state = State { phase: Phase::Waiting, waker: Some(waker), timer: None };
        Self { at, color, port, state: Mutex::new(state) }
    }

    /// Arms the timer, by `arm`, if the sleep still wants it.
    pub(crate) fn arm(self: Arc<Self>, arm: impl FnOnce(Nanos, Ring) -> TimerId) {
        if self.lock().phase == Phase::Waiting {
            let timer = arm(self.at, Ring(Arc::clone(&self)));
            self.lock().timer = Some(timer);
        }
    }

    pub(crate) fn timer(&self) -> Option<TimerId> {
        self.lock().timer
    }

    /// Ends the wait. Wakers are called and dropped without the lock.
    fn end(&self, phase: Phase) -> Option<Waker> {
        let mut state = self.lock();
        if state.phase != Phase::Waiting {
            return None;
        }
        state.phase = phase;
        state.waker.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The event of a timer.
pub(crate) struct Ring(Arc<Alarm>);

impl Ring {
    pub(crate) fn fire(self) {
        if let Some(waker) = self.0.end(Phase::Fired) {
            waker.wake();
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if let Some(waker) = self.0.end(Phase::Void) {
            waker.wake();
        }
    }
}

/// Waits for `time`, from the first poll on; see [`Sleep`].
pub fn sleep(time: Duration) -> Sleep {
    Sleep { time, at: None, alarm: None }
}

/// Ready when its time is over: not sooner, and some 2 ms later if the core keeps up. Dropped, it cancels its timer.
///
/// It gives [`OutsideTask`] if it has to be armed, and no task is being polled. It may move to a task of another color of the
/// same machine; dropped there, its timer fires for nothing.
#[derive(Debug)]
#[must_use = "a sleep does nothing unless awaited"]
pub struct Sleep {
    time: Duration,
    at: Option<Nanos>,
    alarm: Option<Arc<Alarm>>,
}

impl Sleep {
    fn arm(&mut self, waker: &Waker) -> Poll<Result<(), OutsideTask>> {
        let Some((port, color)) = current::with(|current| (current.port.clone(), current.color))
        else {
            return Poll::Ready(Err(OutsideTask));
        };
        let now = port.now();
        let time_ns = Nanos::try_from(self.time.as_nanos()).unwrap_or(Nanos::MAX);
        let at = *self.at.get_or_insert(now.saturating_add(time_ns));
        if at <= now {
            return Poll::Ready(Ok(()));
        }
        let alarm = Arc::new(Alarm::new(at, color, port, waker.clone()));
        self.alarm = Some(Arc::clone(&alarm));
        current::with(|current| current.commands.push(Command::Arm(alarm)));
        Poll::Pending
    }
}

impl Future for Sleep {
    type Output = Result<(), OutsideTask>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(alarm) = &self.alarm else { return self.arm(cx.waker()) };
        let mut waker = Some(cx.waker().clone());
        let mut state = alarm.lock();
        let phase = state.phase;
        if phase == Phase::Waiting {
            mem::swap(&mut state.waker, &mut waker);
        }
        drop(state);
        match phase {
            Phase::Waiting => Poll::Pending,
            Phase::Fired => Poll::Ready(Ok(())),
            Phase::Void => self.arm(cx.waker()),
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Some(alarm) = self.alarm.take() else { return };
        if alarm.end(Phase::Void).is_some() {
            current::with(|current| {
                if current.color == alarm.color && current.port.is(&alarm.port) {
                    current.commands.push(Command::Cancel(alarm));
                }
            });
        }
    }
}
