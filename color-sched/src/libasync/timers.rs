//! What is called later, and can still be called off?

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::callback::{Once, Place};
use crate::context::TimerId;
use crate::event::Nanos;

/// A callback that is called at its time: what [`delaycb`](super::delaycb) and [`timecb`](super::timecb) return, for
/// [`timecb_remove`](super::timecb_remove). It may be dropped, and the callback is called all the same.
#[derive(Clone)]
pub struct TimeCb(pub(super) Arc<Timer>);

impl fmt::Debug for TimeCb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeCb").field("at", &self.0.at).finish_non_exhaustive()
    }
}

/// A timer, of the color in which its callback is to run.
pub(super) struct Timer {
    pub(super) place: Place,
    pub(super) at: Nanos,
    waiting: Mutex<Waiting>,
}

/// What is left to do.
struct Waiting {
    /// `None` once it is called, or removed.
    callback: Option<Once>,
    /// The color's timer, from when it has been armed.
    armed: Option<TimerId>,
}

impl Timer {
    pub(super) fn new(place: Place, at: Nanos, callback: Once) -> Arc<Self> {
        let waiting = Waiting { callback: Some(callback), armed: None };
        Arc::new(Self { place, at, waiting: Mutex::new(waiting) })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The callback, for the one who comes first: its time, or who removes it.
    pub(super) fn take(&self) -> Option<Once> {
        self.waiting().callback.take()
    }

    /// Is there something to be called, so that it has to be armed?
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting().callback.is_some()
    }

    /// It has been armed.
    pub(super) fn armed(&self, timer: TimerId) {
        self.waiting().armed = Some(timer);
    }

    /// The timer that is to be cancelled, if it was armed.
    pub(super) fn disarm(&self) -> Option<TimerId> {
        self.waiting().armed.take()
    }
}
