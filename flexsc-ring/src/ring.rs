//! The interface of every engine: submit, reap, wait, cancel.

use std::io;
use std::time::Duration;

use crate::call::Call;
use crate::fallback::Stats;
use crate::result::{Cancelled, Completion, PostError, Ticket};

/// Posts system calls and collects their results. One thread uses a ring.
///
/// The loop is `wait`, `reap`, handle, `submit`, and again. Four methods make a ring; those of this
/// crate are [`Uring`](crate::Uring), [`Threads`](crate::Threads), [`Direct`](crate::Direct), and
/// [`AnyRing`](crate::AnyRing) for one of them chosen at run time.
///
/// Dropping one of these cancels what is in flight, and waits a second at most for calls that are
/// running. Nobody hears of them any more: a write that was posted may have been made or not, so
/// reap until [`in_flight`](Ring::in_flight) is 0 before a drop if it matters.
pub trait Ring<B> {
    /// Posts a call. It is made or, to a syscall thread or the poller of `Sqpoll`, handed over in the
    /// next [`wait`](Ring::wait) at the latest; `user` comes back in its completions.
    /// [`Direct`](crate::Direct) makes it here if it need not wait for a descriptor or a time, and so
    /// blocks here with what blocks.
    ///
    /// # Errors
    ///
    /// If as many calls are in flight as may be ([`PostError::Full`]), or the call is one that the kernel
    /// could not be told of ([`Range`](PostError::Range), [`Buffers`](PostError::Buffers),
    /// [`Address`](PostError::Address), [`Chain`](PostError::Chain)). The call is given back.
    fn submit(&mut self, call: Call<B>, user: u64) -> Result<Ticket, PostError<B>>;

    /// Hands every completion at hand to `sink`; the number handed out. It does not look for more in
    /// the kernel, which is `wait`'s part; `Uring` enters it only if a call that it has to post again
    /// finds the submission queue full.
    fn reap(&mut self, sink: &mut impl FnMut(Completion<B>)) -> usize;

    /// Makes what was posted, or hands it over, then sleeps until there is a completion to reap, a
    /// wake, or `until` has passed; `None` sleeps for ever (the paper's `flexsc_wait`), zero does not
    /// sleep. One system call does all of it, and one more each further step of a
    /// [`Chain`](crate::Chain), which goes on here until there is something to reap. It may return
    /// early.
    ///
    /// # Errors
    ///
    /// Only if the kernel refuses the wait itself; calls in flight are not lost.
    fn wait(&mut self, until: Option<Duration>) -> io::Result<()>;

    /// Asks that a call end before its time. It may lose the race; the completion tells: `ECANCELED`
    /// if the call was stopped, else what it has done (§4.2). A call that a syscall thread is running
    /// is interrupted by a signal to that thread, once, wherever it stands. If no real-time signal is
    /// free, or the kernel refuses to send it, the call is awaited instead, and
    /// [`Reason::Uninterrupted`](crate::Reason::Uninterrupted) counts it. A worker of io_uring's that was
    /// just beginning the call may miss the request: asked again, the kernel is told again.
    fn cancel(&mut self, ticket: Ticket) -> Cancelled;

    /// Makes what was posted, or hands it over, and collects what has ended, without sleeping.
    ///
    /// # Errors
    ///
    /// As [`wait`](Ring::wait).
    fn flush(&mut self) -> io::Result<()> {
        self.wait(Some(Duration::ZERO))
    }

    /// The ring's counters; zeros for a ring that keeps none.
    fn stats(&self) -> Stats {
        Stats::default()
    }

    /// Calls whose last completion has not been handed out.
    fn in_flight(&self) -> usize {
        self.stats().in_flight()
    }
}
