//! What can happen to a connection, and how a completion finds its way back to it.

use std::io;

use color_sched::Color;
use flexsc_ring::{Failure, RecvBuf, Value};
use stingy_alloc::Slot;

use crate::stages::Stage;

/// What happened to a connection.
#[derive(Debug)]
pub enum Event {
    /// The stage before asked for the next one.
    Go,
    /// Bytes came.
    Received(RecvBuf),
    /// No more bytes come: the client is done, or there was an error, or the receive was cancelled.
    ReceiveEnded(Option<io::Error>),
    /// A posted call is back, with its object.
    Done(Result<Value<Slot>, Failure<Slot>>),
    /// The connection's timer fired.
    Expired,
    /// The server ends.
    Stop,
}

impl Event {
    /// The object that comes back with a send or a read, and the bytes that it moved.
    pub fn into_moved(self) -> (Option<Slot>, io::Result<usize>) {
        match self {
            Event::Done(Ok(Value::Moved { n, buf })) => (Some(buf), Ok(n)),
            Event::Done(Ok(Value::Sent(n))) => (None, Ok(n)),
            Event::Done(Err(Failure { error, buf, .. })) => (buf, Err(error)),
            _ => (None, Err(io::ErrorKind::InvalidData.into())),
        }
    }

    /// Does the event say that the socket can take more?
    #[must_use]
    pub fn is_readiness(&self) -> bool {
        matches!(self, Event::Done(Ok(Value::Ready(_))))
    }
}

/// The number that a posted call carries: whose call it is, and which stage its completion wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The connection's color.
    pub color: Color,
    /// The stage that goes on.
    pub stage: Stage,
}

/// Bits of a tag that name the stage.
const STAGE_BITS: u32 = 4;
const STAGE_MASK: u64 = (1 << STAGE_BITS) - 1;

impl Tag {
    /// The tag of a call.
    #[must_use]
    pub fn of(color: Color, stage: Stage) -> Self {
        Tag { color, stage }
    }

    /// The tag as the ring carries it: below 2^63, as colors are below 2^56.
    #[must_use]
    pub fn to_user(self) -> u64 {
        self.color.0 << STAGE_BITS | self.stage as u64
    }

    /// Reads back [`Tag::to_user`].
    #[must_use]
    pub fn of_user(user: u64) -> Self {
        let stage = Stage::ALL[(user & STAGE_MASK) as usize % Stage::ALL.len()];
        Tag { color: Color(user >> STAGE_BITS), stage }
    }
}

/// What a completion means to its connection in `stage`: receives go to one stage.
pub fn of_completion(stage: Stage, result: Result<Value<Slot>, Failure<Slot>>) -> Event {
    match (stage, result) {
        (Stage::Receive, Ok(Value::Received(bytes))) if bytes.is_empty() => {
            Event::ReceiveEnded(None)
        }
        (Stage::Receive, Ok(Value::Received(bytes))) => Event::Received(bytes),
        (Stage::Receive, Err(failure)) => Event::ReceiveEnded(Some(failure.error)),
        (_, result) => Event::Done(result),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_survives_the_ring() {
        let colors = [0, 1, 77, (1 << 56) - 1].map(Color);
        for tag in colors.iter().flat_map(|c| Stage::ALL.map(|stage| Tag::of(*c, stage))) {
            assert_eq!(Tag::of_user(tag.to_user()), tag);
            assert!(tag.to_user() < 1 << 63);
        }
    }
}
