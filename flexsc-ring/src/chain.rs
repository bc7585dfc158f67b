//! Calls made one after the other as one: what a chain is, and when it may be posted.

use std::ffi::c_int;
use std::fmt;
use std::os::fd::RawFd;

use crate::call::{Buffer, Call};
use crate::op;
use crate::result::PostError;

/// In a call of a [`Chain`]: the descriptor that the chain has opened or accepted last, and not
/// closed since. No descriptor has this number.
pub const OPENED: RawFd = c_int::MIN;

/// Calls that are made in order, each when the one before it has ended; one is posted, one is
/// cancelled, and one completion comes: the looped multi-call that FlexSC §8.3 points to.
///
/// ```
/// use flexsc_ring::{AnyRing, CWD, Call, Chain, OPENED, Options, Ring, Value};
///
/// let mut ring: AnyRing<Vec<u8>> = AnyRing::new(&Options::default())?;
/// let chain = Chain::new()
///     .then(Call::open(CWD, c"/proc/self/comm".into()))
///     .then(Call::stat_fd(OPENED))
///     .then(Call::read(OPENED, vec![0; 64], 0..64, 0))
///     .then(Call::close_opened());
/// ring.submit(Call::chain(chain), 7)?;
/// let mut results = Vec::new();
/// while ring.in_flight() > 0 {
///     ring.wait(None)?;
///     ring.reap(&mut |done| match done.result {
///         Ok(Value::Chain(list)) => results = list,
///         other => panic!("{other:?}"),
///     });
/// }
/// assert_eq!(results.len(), 4);
/// assert!(matches!(&results[2], Ok(Value::Moved { n, .. }) if *n > 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// * The completion is [`Value::Chain`](crate::Value::Chain): one result a call, in their order.
/// * After a call that fails, or a cancellation, the rest are not made: their results are
///   `ECANCELED`, with their buffers. [`Call::close_opened`] alone is made also then, if there is
///   something to close, and has its own result.
/// * A descriptor that the chain closes itself shows as [`Value::Done`](crate::Value::Done) of the
///   call that opened it; one that it does not close is the caller's.
/// * A short read or write is no failure, and ends nothing. Of lengths one flows on: how much
///   [`Call::send_read`] sends.
/// * Cancelling says what it met in the call that is running.
/// * A buffer that panics when the ring asks where it lies is lost, with its call, whose result is
///   `ECANCELED`. The panic passes through the method of the ring that was about to make the call; the
///   chain ends as after a failure, and has its completion.
///
/// A chain counts as its calls, an empty one as one, in [`Stats`](crate::Stats) and against
/// [`Options::in_flight`](crate::Options::in_flight).
#[must_use = "a chain does nothing until it is posted"]
pub struct Chain<B> {
    pub(crate) calls: Vec<Call<B>>,
}

impl<B> Chain<B> {
    /// The most calls that a chain may have.
    pub const MOST_CALLS: usize = 16;

    /// A chain of no calls, which completes with an empty list.
    pub fn new() -> Self {
        Chain { calls: Vec::new() }
    }

    /// The chain with one more call at its end. What may not be in a chain is refused by
    /// [`submit`](crate::Ring::submit).
    // So that the call is made where it stays: it is large to move.
    #[inline(always)]
    pub fn then(mut self, call: Call<B>) -> Self {
        if self.calls.capacity() == 0 {
            self.calls = Vec::with_capacity(4);
        }
        self.calls.push(call);
        self
    }

    /// Number of calls.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// True for a chain of no calls.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// The calls, in order; to have the buffers of a chain back that was refused.
    pub fn into_calls(self) -> Vec<Call<B>> {
        self.calls
    }
}

impl<B> Default for Chain<B> {
    fn default() -> Self {
        Chain::new()
    }
}

impl<B> FromIterator<Call<B>> for Chain<B> {
    fn from_iter<I: IntoIterator<Item = Call<B>>>(calls: I) -> Self {
        Chain { calls: calls.into_iter().collect() }
    }
}

impl<B> fmt::Debug for Chain<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.calls).finish()
    }
}

/// Why a chain, or a call that belongs into one, cannot be posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainFault {
    /// More than [`Chain::MOST_CALLS`] calls.
    #[error("a chain has at most {} calls; post two", Chain::<()>::MOST_CALLS)]
    TooLong,
    /// A chain in a chain.
    #[error("a chain cannot be in a chain; put its calls there")]
    Nested,
    /// A call with many results.
    #[error("a multishot call has no last result to go on from; use the single one")]
    Multishot,
    /// [`OPENED`], or [`Call::close_opened`], where nothing is open.
    #[error("no call of the chain before this one leaves a descriptor open; open one first")]
    NothingOpened,
    /// [`Call::send_read`] without a read before it whose buffer is still there.
    #[error("no call of the chain before this one has read what could be sent; read first")]
    NothingRead,
    /// [`OPENED`], or a call that refers to another one of its chain, in a call that is posted alone.
    #[error(
        "OPENED, close_opened and send_read refer to a chain; put the call into a Call::chain, or \
         give it a descriptor"
    )]
    Outside,
}

/// Why a call cannot be posted.
pub(crate) enum Refusal {
    /// Its place in a chain, or outside of one.
    Chain(usize, ChainFault),
    /// What the kernel would be told.
    Fault(op::Fault),
}

impl Refusal {
    /// Gives the call back.
    #[cold]
    pub(crate) fn of<B>(self, call: Call<B>) -> PostError<B> {
        match self {
            Refusal::Chain(at, fault) => PostError::Chain { call, at, fault },
            Refusal::Fault(fault) => fault.refuse(call),
        }
    }
}

/// Looks for what cannot be posted. The call stays where it is: it is large to move.
#[inline(always)]
pub(crate) fn refusal<B: Buffer>(call: &mut Call<B>) -> Option<Refusal> {
    let plain = match call {
        Call::Nop | Call::Raw(_) | Call::Close(_) => true,
        Call::Recv { fd, .. } | Call::Accept { listener: fd, .. } => *fd != OPENED,
        Call::Read { fd, buf, start, end, .. }
        | Call::Write { fd, buf, start, end, .. }
        | Call::Send { fd, buf, start, end, .. } => {
            *fd != OPENED && start <= end && *end <= buf.as_ref().len()
        }
        _ => false,
    };
    if plain { None } else { refusal_of_any(call) }
}

#[inline(never)]
fn refusal_of_any<B: Buffer>(call: &mut Call<B>) -> Option<Refusal> {
    let Call::Chain(chain) = call else {
        if call.is_of_chains() || names_opened(call) {
            return Some(Refusal::Chain(0, ChainFault::Outside));
        }
        return op::fault_of(call).map(Refusal::Fault);
    };
    if let Some((at, fault)) = fault_of(chain) {
        return Some(Refusal::Chain(at, fault));
    }
    chain.calls.iter().find_map(op::fault_of).map(Refusal::Fault)
}

/// The first call that cannot be in its place, and why.
fn fault_of<B: Buffer>(chain: &mut Chain<B>) -> Option<(usize, ChainFault)> {
    if chain.len() > Chain::<B>::MOST_CALLS {
        return Some((Chain::<B>::MOST_CALLS, ChainFault::TooLong));
    }
    let (mut open, mut read) = (0, false);
    for (at, call) in chain.calls.iter_mut().enumerate() {
        if open == 0 && (matches!(call, Call::CloseOpened) || names_opened(call)) {
            return Some((at, ChainFault::NothingOpened));
        }
        match call {
            Call::Chain(_) => return Some((at, ChainFault::Nested)),
            call if call.is_multishot() => return Some((at, ChainFault::Multishot)),
            Call::CloseOpened => open -= 1,
            Call::SendRead { .. } if !read => return Some((at, ChainFault::NothingRead)),
            Call::SendRead { .. } => read = false,
            Call::Read { .. } => read = true,
            call => open += usize::from(call.opens()),
        }
    }
    None
}

#[inline]
fn names_opened<B>(call: &mut Call<B>) -> bool {
    let mut found = false;
    call.each_fd(|fd| found |= *fd == OPENED);
    found
}
