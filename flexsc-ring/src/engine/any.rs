//! One of the engines, chosen at run time.

use std::fmt;
use std::io;
use std::time::Duration;

use super::{Direct, Threads, Uring};
use crate::call::{Buffer, Call};
use crate::fallback::{Reason, Stats};
use crate::options::{Engine, Options, Report, RingError, SharedPoller};
use crate::result::{Cancelled, Completion, PostError, Ticket};
use crate::ring::Ring;
use crate::slab::BufferSlab;
use crate::waker::Waker;

/// A ring whose engine was chosen at run time. It stays on the thread that makes it:
///
/// ```compile_fail
/// fn travels<T: Send>() {}
/// travels::<flexsc_ring::AnyRing<Vec<u8>>>();
/// ```
#[allow(clippy::large_enum_variant, reason = "one a thread, and never moved")]
pub enum AnyRing<B: Buffer> {
    /// The kernel makes the calls, through io_uring.
    Uring(Uring<B>),
    /// Syscall threads make the calls.
    Threads(Threads<B>),
    /// The poster makes the calls.
    Direct(Direct<B>),
}

macro_rules! each {
    ($ring:expr, $it:ident => $do:expr) => {
        match $ring {
            AnyRing::Uring($it) => $do,
            AnyRing::Threads($it) => $do,
            AnyRing::Direct($it) => $do,
        }
    };
}

impl<B: Buffer> AnyRing<B> {
    /// Makes a ring for this thread with the engine that `options` names. `Auto` takes the first
    /// that works, and notes in the [`Report`] and the counter [`Reason::Engine`] why not another.
    ///
    /// # Errors
    ///
    /// If the named engine cannot work here; with `Auto`, if none can.
    pub fn new(options: &Options) -> Result<Self, RingError> {
        match options.engine {
            Engine::Uring | Engine::Sqpoll => Uring::new(options).map(AnyRing::Uring),
            Engine::Threads => Threads::new(options).map(AnyRing::Threads),
            Engine::Direct => Direct::new(options).map(AnyRing::Direct),
            Engine::Auto => Self::first_that_works(options),
        }
    }

    fn first_that_works(options: &Options) -> Result<Self, RingError> {
        let mut notes = Vec::new();
        for engine in [Engine::Uring, Engine::Threads] {
            match Self::new(&Options { engine, ..options.clone() }) {
                Ok(ring) => return Ok(ring.chosen(notes)),
                Err(error @ RingError::Option { .. }) => return Err(error),
                Err(error) => notes.push(format!("{engine}: {error}")),
            }
        }
        let last = Self::new(&Options { engine: Engine::Direct, ..options.clone() })?;
        Ok(last.chosen(notes))
    }

    fn chosen(mut self, refused: Vec<String>) -> Self {
        if !refused.is_empty() {
            each!(&mut self, it => it.count(Reason::Engine));
        }
        let report = each!(&mut self, it => it.report_mut());
        report.asked = Engine::Auto;
        report.notes.splice(0..0, refused);
        self
    }

    /// The poller of this ring, if its engine is `Sqpoll`, to be shared with others.
    pub fn poller(&self) -> Option<SharedPoller> {
        match self {
            AnyRing::Uring(ring) => ring.poller(),
            AnyRing::Threads(_) | AnyRing::Direct(_) => None,
        }
    }

    /// Registers the memory of a slab with the kernel, where the engine has a use for that: `Uring`
    /// and `Sqpoll`, see [`Uring::register`].
    ///
    /// # Errors
    ///
    /// As there; none for other engines.
    pub fn register(&mut self, slab: &BufferSlab) -> Result<(), RingError> {
        match self {
            AnyRing::Uring(ring) => ring.register(slab),
            AnyRing::Threads(_) | AnyRing::Direct(_) => Ok(()),
        }
    }

    /// A handle that ends this ring's `wait` from another thread.
    pub fn waker(&self) -> Waker {
        each!(self, it => it.waker())
    }

    /// Which engine serves, and why not another.
    pub fn report(&self) -> &Report {
        each!(self, it => it.report())
    }

    /// Which engine serves.
    pub fn engine(&self) -> Engine {
        self.report().engine
    }
}

impl<B: Buffer> fmt::Debug for AnyRing<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyRing").field(&self.engine()).field(&self.stats()).finish()
    }
}

impl<B: Buffer> Ring<B> for AnyRing<B> {
    #[inline]
    fn submit(&mut self, call: Call<B>, user: u64) -> Result<Ticket, PostError<B>> {
        each!(self, it => it.submit(call, user))
    }

    #[inline]
    fn reap(&mut self, sink: &mut impl FnMut(Completion<B>)) -> usize {
        each!(self, it => it.reap(sink))
    }

    #[inline]
    fn wait(&mut self, until: Option<Duration>) -> io::Result<()> {
        each!(self, it => it.wait(until))
    }

    fn cancel(&mut self, ticket: Ticket) -> Cancelled {
        each!(self, it => it.cancel(ticket))
    }

    fn stats(&self) -> Stats {
        each!(self, it => it.stats())
    }

    fn in_flight(&self) -> usize {
        each!(self, it => it.in_flight())
    }
}
