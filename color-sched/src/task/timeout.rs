//! How long may a future take?

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use thiserror::Error;

use crate::task::current::OutsideTask;
use crate::task::sleep::{Sleep, sleep};

/// Why a future that was given a time has no result.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum TimeoutError {
    /// The time is over.
    #[error("not ready within {0:?}: give it more time, or do without")]
    Elapsed(Duration),
    /// There is no clock here.
    #[error(transparent)]
    Outside(#[from] OutsideTask),
}

pin_project! {
    /// A future with a time; see [`timeout`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        time: Duration,
        sleep: Sleep,
    }
}

/// Polls `future` for `time` at most, from the first poll on. It is dropped with what this returns, and polled before the
/// time is looked at: what is ready in time is never late.
pub fn timeout<F: Future>(time: Duration, future: F) -> Timeout<F> {
    Timeout { future, time, sleep: sleep(time) }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, TimeoutError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let timed = self.project();
        if let Poll::Ready(value) = timed.future.poll(cx) {
            return Poll::Ready(Ok(value));
        }
        Pin::new(timed.sleep).poll(cx).map(|slept| {
            slept?;
            Err(TimeoutError::Elapsed(*timed.time))
        })
    }
}
