//! How does one learn what became of a task?

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use thiserror::Error;

use crate::event::Color;
use crate::task::current;
use crate::task::packet::Packet;

/// Why a task has no result.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// It was aborted, or its color or its machine ended first.
    #[error("a task of color {} was cancelled: aborted, or its color or its machine has ended", color.0)]
    Cancelled {
        /// The task's color.
        color: Color,
    },
    /// It panicked. The other tasks of its color go on.
    #[error("a task of color {} panicked: {message}", color.0)]
    Panicked {
        /// The task's color.
        color: Color,
        /// What the panic said, if it was text.
        message: String,
    },
    /// [`JoinHandle::wait`] was called by a task, which would stop its core; await the handle instead.
    #[error("waiting for a task of color {} would stop this core: await its handle instead", color.0)]
    WaitInTask {
        /// The color of the task that was waited for.
        color: Color,
    },
}

impl JoinError {
    pub(crate) fn panicked(color: Color, payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self::Panicked { color, message: text.unwrap_or("no text").to_owned() }
    }

    /// The color of the task.
    #[must_use]
    pub fn color(&self) -> Color {
        match self {
            Self::Cancelled { color }
            | Self::Panicked { color, .. }
            | Self::WaitInTask { color } => *color,
        }
    }

    /// Was it cancelled?
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }

    /// Did it panic?
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked { .. })
    }
}

/// A task's result: to be awaited by a task or any other future, or [waited](Self::wait) for by a thread.
///
/// Dropping it lets the task run on, and drops the result. A handle that has given its result is pending for ever.
pub struct JoinHandle<T> {
    packet: Arc<Packet<T>>,
}

impl<T: Send + 'static> JoinHandle<T> {
    pub(crate) fn new(packet: Arc<Packet<T>>) -> Self {
        Self { packet }
    }

    /// Has the task a result, if only that it was cancelled?
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.packet.is_settled()
    }

    /// Drops the task's future at its color's next turn, unless it is over by then; a poll in progress is not interrupted.
    pub fn abort(&self) {
        self.packet.abort();
    }

    /// Blocks this thread until the task is over.
    ///
    /// # Errors
    /// Why there is no result; [`JoinError::WaitInTask`] at once when a task calls it before there is one.
    pub fn wait(self) -> Result<T, JoinError> {
        let color = self.packet.color();
        if current::is_inside() && !self.is_finished() {
            return Err(JoinError::WaitInTask { color });
        }
        self.packet.wait().unwrap_or(Err(JoinError::Cancelled { color }))
    }
}

impl<T> JoinHandle<T> {
    /// The color of the task.
    #[must_use]
    pub fn color(&self) -> Color {
        self.packet.color()
    }
}

impl<T: Send + 'static> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.packet.poll(cx)
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        self.packet.detach();
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("color", &self.color()).finish_non_exhaustive()
    }
}
