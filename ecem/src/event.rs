//! What happened to a pair, and what to do about it.

use crate::PairId;

/// A change of one side of a pair. In the paper's file server the pre-event is the disk's read
/// response and the post-event is the network's write request (ECEM §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<E> {
    /// The pre-event happened; `E` is what its receiver gets. The pre side is ready from now on.
    PreReady(PairId, E),
    /// The pre side has nothing more to announce until its next [`Event::PreReady`]. Events that
    /// are held stay held.
    PreWait(PairId),
    /// The post side can be executed without blocking: the socket takes data.
    PostReady(PairId),
    /// The post side would block: the send buffer is full.
    PostWait(PairId),
}

impl<E> Event<E> {
    /// The pair that the event belongs to.
    pub fn pair(&self) -> PairId {
        match self {
            Event::PreReady(id, _)
            | Event::PreWait(id)
            | Event::PostReady(id)
            | Event::PostWait(id) => *id,
        }
    }
}

/// What [`Correlator::on_event`](crate::Correlator::on_event) decided.
#[must_use = "a delivered or refused event is lost if the verdict is dropped"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<E> {
    /// Hand this event to its receiver now. It is the pair's oldest one, which is not always the
    /// one just passed in. More may be due: ask
    /// [`Correlator::deliver_next`](crate::Correlator::deliver_next).
    Deliver(E),
    /// The event is held until its post side is ready.
    Defer,
    /// The state changed, and no event is due.
    Nothing,
    /// The event could not be held; it is given back with the reason.
    Refused(E, Refusal),
}

impl<E> Verdict<E> {
    /// The event to deliver, if the verdict is [`Verdict::Deliver`].
    pub fn delivered(self) -> Option<E> {
        match self {
            Verdict::Deliver(event) => Some(event),
            Verdict::Defer | Verdict::Nothing | Verdict::Refused(..) => None,
        }
    }
}

/// Why an event was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The pair already holds as many events as its limit allows.
    #[error(
        "the pair holds as many events as its limit allows; \
         stop reading until its post side is ready, or raise Correlator::with_limit"
    )]
    Full,
    /// The pair does not exist, or not any more.
    #[error("no such pair; it was deleted, or never added: release the event's resources")]
    NoPair,
}
