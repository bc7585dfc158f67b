//! The direct engine: every call is a trap, made by the poster. The usual event loop, and the
//! baseline of every comparison.

use std::fmt;
use std::io;
use std::time::Duration;

use super::polled::exec::Trapped;
use super::polled::{self, Polled};
use crate::call::{Buffer, Call};
use crate::fallback::{Reason, Stats};
use crate::options::{Engine, Options, Report, RingError};
use crate::result::{Cancelled, Completion, PostError, Ticket};
use crate::ring::Ring;
use crate::waker::Waker;

/// A ring that makes its calls by trap: at once in `submit` if they do not have to wait, else when an
/// epoll says that they can be made. What blocks without being pollable, such as a read of a file
/// that is not in memory, an `fsync`, or a `flock` that somebody else has, blocks the poster.
///
/// With multishot accept and receive it makes the system calls of a hand-written epoll loop: one
/// wait a turn, one receive and one send a message.
pub struct Direct<B: Buffer>(Polled<B, Trapped>);

impl<B: Buffer> Direct<B> {
    /// Makes a ring for this thread.
    ///
    /// # Errors
    ///
    /// If an option is out of bounds, or memory, descriptors or threads are short.
    pub fn new(options: &Options) -> Result<Self, RingError> {
        Polled::new(options, Engine::Direct, |_| Ok(Trapped)).map(Direct)
    }

    /// A handle that ends this ring's `wait` from another thread.
    pub fn waker(&self) -> Waker {
        self.0.waker()
    }

    /// What was chosen, and why not better.
    pub fn report(&self) -> &Report {
        &self.0.report
    }

    pub(crate) fn report_mut(&mut self) -> &mut Report {
        self.0.report_mut()
    }

    pub(crate) fn count(&mut self, reason: Reason) {
        self.0.count(reason);
    }
}

impl<B: Buffer> fmt::Debug for Direct<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Direct").field(&self.0.stats()).finish()
    }
}

impl<B: Buffer> Ring<B> for Direct<B> {
    #[inline]
    fn submit(&mut self, call: Call<B>, user: u64) -> Result<Ticket, PostError<B>> {
        self.0.submit(call, user)
    }

    #[inline]
    fn reap(&mut self, sink: &mut impl FnMut(Completion<B>)) -> usize {
        self.0.reap(sink)
    }

    #[inline]
    fn wait(&mut self, until: Option<Duration>) -> io::Result<()> {
        self.0.wait(until)
    }

    fn cancel(&mut self, ticket: Ticket) -> Cancelled {
        self.0.cancel(ticket)
    }

    fn stats(&self) -> Stats {
        self.0.stats()
    }

    fn in_flight(&self) -> usize {
        self.0.in_flight()
    }
}

impl<B: Buffer> Drop for Direct<B> {
    /// Ends what is in flight; waits for running calls, at most a second. Memory that a call may
    /// still write into after that is never freed.
    fn drop(&mut self) {
        polled::close(&mut self.0);
    }
}
