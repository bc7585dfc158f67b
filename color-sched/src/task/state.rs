//! Who polls a task, and who posts its event? One word a task, so that no wake is lost and one event at most is queued.
//!
//! | state | bits | from, by | what follows |
//! |---|---|---|---|
//! | QUEUED | queued | new; IDLE by a waker; WOKEN by the poller at the end of a poll | who set it posts the one event |
//! | RUNNING | running | QUEUED by the poller, when it gets the event | it polls the future |
//! | WOKEN | running, queued | RUNNING by a waker | nothing: the poller will see it |
//! | IDLE | none | RUNNING by the poller: the future is pending | nothing |
//! | DONE | done | any, by the task's owner | nothing: wakes are no-ops for ever |
//!
//! A wake is one `fetch_or` of `queued`, whatever the state: it posts if it found IDLE. It writes even where nothing
//! changes, for what the waker did before is released by it, and acquired by the next poll's `swap`. An abort is a wake that
//! sets `aborted` too; only the owner, which reads it when a poll begins and when it ends, acts on it.

use crate::atomics::{AtomicU32, Ordering};

const QUEUED: u32 = 1;
const RUNNING: u32 = 1 << 1;
const DONE: u32 = 1 << 2;
const ABORTED: u32 = 1 << 3;

/// What a waker has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Woken {
    /// Post the task's event: nobody else will.
    Post,
    /// Nothing: the event is queued, or the poll in progress will be followed by another, or the task is over.
    Noted,
}

/// What the owner has to do with a task whose event has come, or that has been polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Before a poll: poll. After it: post the event, for the task was woken meanwhile.
    Go,
    /// Nothing before the next wake.
    Rest,
    /// Drop the task: it was aborted.
    Drop,
}

/// The state of one task.
#[derive(Debug)]
pub struct Word(AtomicU32);

impl Default for Word {
    /// QUEUED: a task's first event is posted by whoever makes it.
    fn default() -> Self {
        Self(AtomicU32::new(QUEUED))
    }
}

impl Word {
    /// Told by any waker.
    pub fn wake(&self) -> Woken {
        self.raise(QUEUED)
    }

    /// Told by anyone who wants the task dropped.
    pub fn abort(&self) -> Woken {
        self.raise(QUEUED | ABORTED)
    }

    fn raise(&self, bits: u32) -> Woken {
        match self.0.fetch_or(bits, Ordering::Release) {
            0 => Woken::Post,
            _ => Woken::Noted,
        }
    }

    /// The owner got the event.
    pub fn begin(&self) -> Next {
        match self.0.swap(RUNNING, Ordering::Acquire) & ABORTED {
            0 => Next::Go,
            _ => Next::Drop,
        }
    }

    /// The owner polled the future, and it is pending.
    pub fn end(&self) -> Next {
        let found = self.0.fetch_and(!RUNNING, Ordering::AcqRel);
        match (found & ABORTED, found & QUEUED) {
            (0, 0) => Next::Rest,
            (0, _) => Next::Go,
            _ => Next::Drop,
        }
    }

    /// The future is ready, or gone.
    pub fn finish(&self) {
        self.0.swap(DONE, Ordering::AcqRel);
    }

    /// Is the task over?
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.0.load(Ordering::Acquire) & DONE != 0
    }
}
