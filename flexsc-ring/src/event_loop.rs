//! The event loop of `libflexsc` (§4): which callback runs when a call has completed?

mod handlers;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::time::Duration;

use self::handlers::{Found, Handlers, Run, SILENT};
use crate::call::{Buffer, Call};
use crate::engine::AnyRing;
use crate::options::{Options, Report, RingError};
use crate::result::{Cancelled, Completion, PostError, Ticket};
use crate::ring::Ring;
use crate::waker::Waker;

/// Posts calls with callbacks, and runs a call's callback when the call has completed.
///
/// A callback gets the loop itself, whose [`state`](EventLoop::state_mut) is the program's own, and
/// the completion. It may post, cancel, also the call that it runs for, and stop the loop. As in
/// the paper, completions are looked for only when all callbacks of the last look have run, and the
/// loop sleeps (`flexsc_wait`) only when nothing is left to run.
///
/// ```
/// use flexsc_ring::{CWD, Call, EventLoop, Options, Value};
///
/// let mut events = EventLoop::<u64, Vec<u8>>::new(&Options::default(), 0)?;
/// events.post(Call::stat(CWD, c"/etc".into()), |events, done| match done.result {
///     Ok(Value::Stat(stat)) => *events.state_mut() = stat.ino,
///     other => panic!("{other:?}"),
/// })?;
/// events.run()?; // until nothing is in flight
/// assert_ne!(*events.state(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// **Panics.** A callback's panic comes out of [`run`](EventLoop::run) or
/// [`turn`](EventLoop::turn). Whoever catches it may go on with the loop: only the callback that
/// panicked is gone. If it belonged to a multishot call, the call is cancelled.
///
/// **Drop.** The ring goes first and cancels what is in flight; then the callbacks are dropped
/// without being run.
///
/// **Cost.** A callback that captures nothing, such as a function's name, is posted without an
/// allocation; one that captures something costs a small one.
pub struct EventLoop<S, B: Buffer, R: Ring<B> = AnyRing<B>> {
    // Goes before the callbacks: they may own descriptors that calls in flight use.
    ring: R,
    /// Completions of the last look whose callbacks have not run.
    pending: VecDeque<Completion<B>>,
    /// How many of them are the last ones of their calls.
    ended: usize,
    handlers: Handlers<S, B, R>,
    /// The call whose callback is running.
    current: Option<Ticket>,
    stopping: bool,
    stats: LoopStats,
    state: S,
}

/// Counters of one [`EventLoop`] since it was made; those of its calls are
/// [`Ring::stats`](crate::Ring::stats).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoopStats {
    /// Times the loop looked for completions.
    pub looks: u64,
    /// Callbacks run.
    pub callbacks: u64,
    /// Completions of calls that were posted without a callback.
    pub silent: u64,
    /// Those of them that were failures, cancelled calls left out.
    pub silent_errors: u64,
    /// Completions for which there was no callback any more, and numbered ones
    /// ([`EventLoop::submit`]) that came in a turn without a sink.
    pub unheard: u64,
}

impl<S, B: Buffer> EventLoop<S, B> {
    /// Makes a loop with a ring of its own for this thread (`flexsc_init`).
    ///
    /// # Errors
    ///
    /// As [`AnyRing::new`].
    pub fn new(options: &Options, state: S) -> Result<Self, RingError> {
        AnyRing::new(options).map(|ring| EventLoop::with_ring(ring, state))
    }

    /// A handle that makes [`turn`](EventLoop::turn) return from another thread.
    pub fn waker(&self) -> Waker {
        self.ring.waker()
    }

    /// Which engine serves, and why not another.
    pub fn report(&self) -> &Report {
        self.ring.report()
    }
}

impl<S, B: Buffer, R: Ring<B>> EventLoop<S, B, R> {
    /// Makes a loop of a ring that has no calls in flight.
    pub fn with_ring(ring: R, state: S) -> Self {
        EventLoop {
            ring,
            pending: VecDeque::new(),
            ended: 0,
            handlers: Handlers::new(),
            current: None,
            stopping: false,
            stats: LoopStats::default(),
            state,
        }
    }

    /// Posts a call; `callback` runs when it has completed, in this thread and in a later turn.
    ///
    /// # Errors
    ///
    /// As [`Ring::submit`], and [`PostError::Many`] for a multishot call. Call and callback are
    /// given back.
    pub fn post<F>(&mut self, call: Call<B>, callback: F) -> Result<Ticket, Refused<B, F>>
    where
        F: FnOnce(&mut Self, Completion<B>) + 'static,
    {
        if call.is_multishot() {
            return Err(Refused { error: PostError::Many(call), callback });
        }
        match self.ring.submit(call, self.handlers.next_key()) {
            Ok(ticket) => {
                self.handlers.add_once(ticket, Box::new(callback));
                Ok(ticket)
            }
            Err(error) => Err(Refused { error, callback }),
        }
    }

    /// Posts a call that may complete many times; `callback` runs for each completion and is
    /// dropped after the last one.
    ///
    /// # Errors
    ///
    /// As [`Ring::submit`]. Call and callback are given back.
    pub fn post_many<F>(&mut self, call: Call<B>, callback: F) -> Result<Ticket, Refused<B, F>>
    where
        F: FnMut(&mut Self, Completion<B>) + 'static,
    {
        match self.ring.submit(call, self.handlers.next_key()) {
            Ok(ticket) => {
                self.handlers.add_many(ticket, Box::new(callback));
                Ok(ticket)
            }
            Err(error) => Err(Refused { error, callback }),
        }
    }

    /// Posts a call whose result nobody needs to see (§4.1: "not all system calls must provide a
    /// callback"); what it gives is dropped, and if it fails that is counted
    /// ([`LoopStats::silent_errors`]).
    ///
    /// # Errors
    ///
    /// As [`Ring::submit`]. The call is given back.
    pub fn post_silent(&mut self, call: Call<B>) -> Result<Ticket, PostError<B>> {
        self.ring.submit(call, SILENT)
    }

    /// Posts a call whose completions go to the sink of [`turn_with`](EventLoop::turn_with) instead of
    /// to a callback: for programs that know by a number of their own, below 2^63, what follows.
    ///
    /// # Errors
    ///
    /// As [`Ring::submit`], and [`PostError::Number`] from 2^63 on. The call is given back.
    #[inline]
    pub fn submit(&mut self, call: Call<B>, user: u64) -> Result<Ticket, PostError<B>> {
        if handlers::is_ours(user) {
            return Err(PostError::Number(call, user));
        }
        self.ring.submit(call, user)
    }

    /// Asks that a call end before its time (§4.2). Its callback runs in any case, with the result
    /// or with `ECANCELED`.
    pub fn cancel(&mut self, ticket: Ticket) -> Cancelled {
        self.ring.cancel(ticket)
    }

    /// The call whose callback is running: what a multishot callback cancels to end itself.
    pub fn current(&self) -> Option<Ticket> {
        self.current
    }

    /// Runs callbacks until one calls [`stop`](EventLoop::stop), or nothing is in flight.
    ///
    /// # Errors
    ///
    /// As [`turn`](EventLoop::turn).
    pub fn run(&mut self) -> io::Result<()> {
        while self.in_flight() > 0 || !self.pending.is_empty() {
            self.turn(None)?;
            if self.stopping {
                break;
            }
        }
        Ok(())
    }

    /// One turn, for a program that has a loop of its own: looks for completions, sleeping for
    /// `until` at most if there are none (`None`: for ever; zero: not at all), and runs their
    /// callbacks. How many completions it took. It may return early without any, and does so when
    /// the ring's waker is used.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the wait; calls in flight are not lost. If it is called by a callback:
    /// callbacks do not nest.
    pub fn turn(&mut self, until: Option<Duration>) -> io::Result<usize> {
        let mut unheard = 0;
        let turned = self.turn_with(until, &mut |_| unheard += 1);
        self.stats.unheard += unheard;
        turned
    }

    /// A [`turn`](EventLoop::turn) that hands the completions of calls posted by
    /// [`submit`](EventLoop::submit) to `sink`, as they are found and before callbacks run.
    ///
    /// # Errors
    ///
    /// As [`turn`](EventLoop::turn).
    pub fn turn_with(
        &mut self,
        until: Option<Duration>,
        sink: &mut impl FnMut(Completion<B>),
    ) -> io::Result<usize> {
        if self.current.is_some() {
            return Err(io::Error::other(
                "a callback runs inside of the loop's turn; let it post a call and return",
            ));
        }
        self.stopping = false;
        // Some are left after a stop or a panic.
        let mut taken = if self.pending.is_empty() { self.look(until, sink)? } else { 0 };
        while let Some(completion) = self.pending.pop_front() {
            taken += 1;
            self.ended -= usize::from(!completion.more);
            self.dispatch(completion);
            if self.stopping {
                break;
            }
        }
        Ok(taken)
    }

    /// Looks for completions; how many went to `sink`.
    #[inline]
    fn look(
        &mut self,
        until: Option<Duration>,
        sink: &mut impl FnMut(Completion<B>),
    ) -> io::Result<usize> {
        self.stats.looks += 1;
        let waited = self.ring.wait(until);
        let (pending, ended) = (&mut self.pending, &mut self.ended);
        let mut numbered = 0;
        self.ring.reap(&mut |completion| {
            if handlers::is_ours(completion.user) {
                *ended += usize::from(!completion.more);
                pending.push_back(completion);
            } else {
                numbered += 1;
                sink(completion);
            }
        });
        waited.map(|()| numbered)
    }

    #[inline]
    fn dispatch(&mut self, completion: Completion<B>) {
        let (key, more) = (completion.user, completion.more);
        if key == SILENT {
            return self.note_silent(&completion);
        }
        match self.handlers.take(key, more) {
            Found::Last(ticket, run) => {
                let running = Running::begin(self, ticket, None);
                match run {
                    Run::Once(run) => run(&mut *running.events, completion),
                    Run::Many(mut run) => run(&mut *running.events, completion),
                }
            }
            Found::Lent(ticket, mut run) => {
                let mut running = Running::begin(self, ticket, Some(key));
                run(&mut *running.events, completion);
                running.lent = None;
                running.events.handlers.bring_back(key, run);
            }
            Found::Nobody => self.stats.unheard += 1,
        }
    }

    fn note_silent(&mut self, completion: &Completion<B>) {
        self.stats.silent += 1;
        if completion.result.as_ref().is_err_and(|failure| !failure.is_cancelled()) {
            self.stats.silent_errors += 1;
        }
    }

    /// Ends [`run`](EventLoop::run), or this turn, when the callback that calls it has returned.
    /// Callbacks whose calls have completed by then run in the next turn.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// The program's own state.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// The program's own state.
    pub fn state_mut(&mut self) -> &mut S {
        &mut self.state
    }

    /// The ring, for its counters and its report.
    pub fn ring(&self) -> &R {
        &self.ring
    }

    /// The ring. Completions that are reaped from it here run no callback.
    pub fn ring_mut(&mut self) -> &mut R {
        &mut self.ring
    }

    /// Calls whose last completion has not been dealt with, those without a callback included.
    pub fn in_flight(&self) -> usize {
        self.ring.in_flight() + self.ended
    }

    /// The loop's counters.
    pub fn stats(&self) -> LoopStats {
        self.stats
    }
}

impl<S, B: Buffer, R: Ring<B>> fmt::Debug for EventLoop<S, B, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("EventLoop");
        out.field("in_flight", &self.in_flight()).field("stats", &self.stats);
        out.finish_non_exhaustive()
    }
}

/// A callback at work; its end, also by a panic, leaves the loop in order.
struct Running<'a, S, B: Buffer, R: Ring<B>> {
    events: &'a mut EventLoop<S, B, R>,
    ticket: Ticket,
    /// The key that a callback has to be brought back under.
    lent: Option<u64>,
}

impl<'a, S, B: Buffer, R: Ring<B>> Running<'a, S, B, R> {
    #[inline]
    fn begin(events: &'a mut EventLoop<S, B, R>, ticket: Ticket, lent: Option<u64>) -> Self {
        events.current = Some(ticket);
        events.stats.callbacks += 1;
        Running { events, ticket, lent }
    }
}

impl<S, B: Buffer, R: Ring<B>> Drop for Running<'_, S, B, R> {
    #[inline]
    fn drop(&mut self) {
        self.events.current = None;
        if let Some(key) = self.lent {
            self.events.handlers.give_up(key);
            self.events.ring.cancel(self.ticket);
        }
    }
}

/// A call that an [`EventLoop`] could not post, and its callback.
pub struct Refused<B, F> {
    /// Why not; it holds the call.
    pub error: PostError<B>,
    /// The callback, which has not run.
    pub callback: F,
}

impl<B, F> Refused<B, F> {
    /// The call that could not be posted.
    pub fn into_call(self) -> Call<B> {
        self.error.into_call()
    }
}

impl<B, F> From<Refused<B, F>> for PostError<B> {
    fn from(refused: Refused<B, F>) -> Self {
        refused.error
    }
}

impl<B, F> fmt::Debug for Refused<B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<B, F> fmt::Display for Refused<B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<B, F> std::error::Error for Refused<B, F> {}
