//! What does a task share with its wakers and its join handle? One allocation: its state, its address, its result.

use std::mem;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake as WakeTask, Waker};

use crate::event::{Color, StageId};
use crate::task::current;
use crate::task::join::JoinError;
use crate::task::port::Port;
use crate::task::state::{Woken, Word};

/// A task as wakers see it, whatever its result.
pub(crate) trait Target: Send + Sync {
    fn header(&self) -> &Header;

    /// Gives `error` as the task's result, unless there is one.
    fn fail(&self, error: JoinError);
}

/// Where a task is.
pub(crate) struct Header {
    pub(crate) word: Word,
    pub(crate) color: Color,
    pub(crate) stage: StageId,
    pub(crate) port: Port,
    /// Its place in the table of its color, which alone reads and writes this.
    index: AtomicU32,
}

impl Header {
    pub(crate) fn index(&self) -> usize {
        self.index.load(Ordering::Relaxed) as usize
    }

    pub(crate) fn set_index(&self, index: usize) {
        self.index.store(index as u32, Ordering::Relaxed);
    }
}

enum Outcome<T> {
    Pending(Option<Waker>),
    Done(Result<T, JoinError>),
    /// Given to the handle; or the handle is gone, and nobody wants it.
    Taken,
}

pub(crate) struct Packet<T> {
    header: Header,
    outcome: Mutex<Outcome<T>>,
    settled: Condvar,
}

impl<T: Send + 'static> Packet<T> {
    pub(crate) fn new(color: Color, stage: StageId, port: Port) -> Self {
        let index = AtomicU32::new(u32::MAX);
        Self {
            header: Header { word: Word::default(), color, stage, port, index },
            outcome: Mutex::new(Outcome::Pending(None)),
            settled: Condvar::new(),
        }
    }

    /// Gives the task's result, if it has none. No user's code runs under the lock: neither a waker's nor a drop.
    pub(crate) fn settle(&self, result: Result<T, JoinError>) {
        let mut outcome = self.lock();
        let Outcome::Pending(waker) = &mut *outcome else {
            drop(outcome);
            return drop(result);
        };
        let waker = waker.take();
        *outcome = Outcome::Done(result);
        drop(outcome);
        self.settled.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn is_settled(&self) -> bool {
        !matches!(*self.lock(), Outcome::Pending(_))
    }

    /// The result, or the waker is kept. Pending for ever once the result has been given.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Result<T, JoinError>> {
        let mut waker = Some(cx.waker().clone());
        let mut outcome = self.lock();
        if let Outcome::Pending(kept) = &mut *outcome {
            mem::swap(kept, &mut waker);
            drop(outcome);
            return Poll::Pending;
        }
        let found = mem::replace(&mut *outcome, Outcome::Taken);
        drop(outcome);
        match found {
            Outcome::Done(result) => Poll::Ready(result),
            _ => Poll::Pending,
        }
    }

    /// Waits for the result. `None`: it has been given.
    pub(crate) fn wait(&self) -> Option<Result<T, JoinError>> {
        let is_pending = |outcome: &mut Outcome<T>| matches!(outcome, Outcome::Pending(_));
        let waited = self.settled.wait_while(self.lock(), is_pending);
        let mut outcome = waited.unwrap_or_else(PoisonError::into_inner);
        match mem::replace(&mut *outcome, Outcome::Taken) {
            Outcome::Done(result) => Some(result),
            _ => None,
        }
    }

    pub(crate) fn abort(self: &Arc<Self>) {
        if self.header.word.abort() == Woken::Post {
            current::deliver(Arc::clone(self) as Arc<dyn Target>);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Outcome<T>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Packet<T> {
    pub(crate) fn color(&self) -> Color {
        self.header.color
    }

    /// Nobody will ask for the result.
    pub(crate) fn detach(&self) {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let unwanted = mem::replace(&mut *outcome, Outcome::Taken);
        drop(outcome);
        drop(unwanted);
    }
}

impl<T: Send + 'static> Target for Packet<T> {
    fn header(&self) -> &Header {
        &self.header
    }

    fn fail(&self, error: JoinError) {
        self.settle(Err(error));
    }
}

impl<T: Send + 'static> WakeTask for Packet<T> {
    fn wake(self: Arc<Self>) {
        if self.header.word.wake() == Woken::Post {
            current::deliver(self);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.header.word.wake() == Woken::Post {
            current::deliver(Arc::clone(self) as Arc<dyn Target>);
        }
    }
}
