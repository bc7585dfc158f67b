//! The thread engine: syscall pages that syscall threads read (FlexSC §3).

use std::fmt;
use std::io;
use std::time::Duration;

use super::polled::{self, Polled};
use crate::call::{Buffer, Call};
use crate::fallback::{Reason, Stats};
use crate::options::{Engine, Options, Report, RingError};
use crate::result::{Cancelled, Completion, PostError, Ticket};
use crate::ring::Ring;
use crate::syscall_threads::SyscallThreads;
use crate::waker::Waker;

/// A ring whose calls are made by syscall threads. Posting is a few stores; the threads see a batch
/// of calls at a time. A call that would wait for a descriptor holds no thread: it waits in an
/// epoll of the poster (§7), so that idle connections are free.
pub struct Threads<B: Buffer>(Polled<B, SyscallThreads>);

impl<B: Buffer> Threads<B> {
    /// Makes a ring for this thread.
    ///
    /// # Errors
    ///
    /// If an option is out of bounds, or memory, descriptors or threads are short.
    pub fn new(options: &Options) -> Result<Self, RingError> {
        Polled::new(options, Engine::Threads, |waker| {
            SyscallThreads::new(options, waker.clone()).map_err(RingError::Threads)
        })
        .map(Threads)
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

impl<B: Buffer> fmt::Debug for Threads<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Threads").field(&self.0.stats()).finish()
    }
}

impl<B: Buffer> Ring<B> for Threads<B> {
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

impl<B: Buffer> Drop for Threads<B> {
    /// Ends what is in flight: running calls are interrupted, and awaited for a second at most if they
    /// cannot be. Memory that a call may still write into after that is never freed.
    fn drop(&mut self) {
        polled::close(&mut self.0);
    }
}
