//! What happens to a request: one file a stage, in the order in which a request meets them.
//!
//! ```text
//! open, receive ─► parse ─► lookup ─► respond ───────────► finish ─► (next request)
//!                             │ ▲        ▲
//!                           file i/o     └─ ecem: when the socket can take it
//!                             │                                  ┌─ until the last chunk
//!                             └─► stream ─► ship ─► advance ─────┘
//! ```
//!
//! This folder is read by two readers: the compiler, and `scg stingygen`, which finds the stages, what each
//! allocates and frees, and which stage can follow which, and writes `stages.map` from it. For the second one, a
//! stage's function has the name of its variant of [`Stage`], objects come from `alloc` and go to `free` with the
//! name of their [`Site`], and a stage that follows is named as `Stage::Name` where it is asked for.

mod advance;
mod expire;
mod finish;
mod lookup;
mod open;
mod parse;
mod receive;
pub mod request;
mod respond;
mod ship;
mod stream;

use color_sched::StageId;

use crate::connection::Connection;
use crate::wiring::{Cx, Event};

/// The stages of a request, in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A connection begins.
    Open,
    /// Bytes arrive.
    Receive,
    /// Bytes become a request.
    Parse,
    /// A request becomes an answer: which file, which part of it, or why not.
    Lookup,
    /// A small answer is written and sent.
    Respond,
    /// The next chunk of a large body is read.
    Stream,
    /// A chunk that has been read is sent.
    Ship,
    /// A small answer has been sent.
    Finish,
    /// A chunk has been sent.
    Advance,
    /// A connection has made no progress for a while, or ends.
    Expire,
}

impl Stage {
    /// Every stage, by id.
    pub const ALL: [Self; 10] = [
        Self::Open,
        Self::Receive,
        Self::Parse,
        Self::Lookup,
        Self::Respond,
        Self::Stream,
        Self::Ship,
        Self::Finish,
        Self::Advance,
        Self::Expire,
    ];

    /// The id in the scheduler.
    #[must_use]
    pub const fn id(self) -> StageId {
        StageId(self as u16)
    }

    /// The name in the memory map.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Receive => "receive",
            Self::Parse => "parse",
            Self::Lookup => "lookup",
            Self::Respond => "respond",
            Self::Stream => "stream",
            Self::Ship => "ship",
            Self::Finish => "finish",
            Self::Advance => "advance",
            Self::Expire => "expire",
        }
    }
}

/// A place where stages allocate: what its objects are called, and how large each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// The name in the memory map.
    pub name: &'static str,
    /// Bytes of an object.
    pub size: usize,
}

impl Site {
    /// A site whose objects have `size` bytes.
    #[must_use]
    pub const fn new(name: &'static str, size: usize) -> Self {
        Self { name, size }
    }
}

/// What a request says that is needed until its answer is known.
pub const REQUEST: Site = Site::new("request", 1024);
/// A head, and a body that fits in with it.
pub const RESPONSE: Site = Site::new("response", 2048);
/// A part of a large body.
pub const CHUNK: Site = Site::new("chunk", 16 * 1024);

/// Every site, by id.
pub const SITES: [Site; 3] = [REQUEST, RESPONSE, CHUNK];

/// Batches of `parse` and `respond` serve every request; the rest is for a few.
pub const PARSE_WEIGHT: u32 = 4;
/// See [`PARSE_WEIGHT`].
pub const RESPOND_WEIGHT: u32 = 4;

/// Runs one event of one connection in its stage.
pub fn run(stage: Stage, cx: &mut Cx<'_, '_, '_>, connection: &mut Connection, event: Event) {
    match stage {
        Stage::Open => open::open(cx, connection),
        Stage::Receive => receive::receive(cx, connection, event),
        Stage::Parse => parse::parse(cx, connection),
        Stage::Lookup => lookup::lookup(cx, connection, event),
        Stage::Respond => respond::respond(cx, connection),
        Stage::Stream => stream::stream(cx, connection),
        Stage::Ship => ship::ship(cx, connection, event),
        Stage::Finish => finish::finish(cx, connection, event),
        Stage::Advance => advance::advance(cx, connection, event),
        Stage::Expire => expire::expire(cx, connection, event),
    }
}
