//! What can be wrong with a simulated run?

use thiserror::Error;

use crate::event::{Color, CoreId, Nanos, StageId};
use crate::machine::ConfigError;

/// Why there is no report of a run.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SimError {
    /// Too few or too many cores.
    #[error("{0} cores; a simulated machine has 1 to {max}", max = super::MAX_CORES)]
    Cores(usize),
    /// The machine cannot be made.
    #[error("no machine to simulate: {0}")]
    Config(#[from] ConfigError),
    /// What must never happen did. With the same seed it happens again.
    #[error("seed {seed}: at {at_ns} ns on core {}: {fault}; run it again with `trace(true)`", core.0)]
    Broken {
        /// The seed of the run.
        seed: u64,
        /// The core's time.
        at_ns: Nanos,
        /// The core that was running.
        core: CoreId,
        /// What happened.
        fault: Fault,
        /// The [trace](super::Report::trace) until then, if it was asked for.
        trace: Option<String>,
    },
}

/// What must never happen.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Fault {
    /// An event has run, or been given back, twice.
    #[error("event {id} of color {} came up a second time", color.0)]
    Twice {
        /// The event's number, in the order in which they were made.
        id: u64,
        /// Its color.
        color: Color,
    },
    /// Events have neither run nor been given back.
    #[error("{count} events are lost, event {first} is one of them")]
    Lost {
        /// How many.
        count: u64,
        /// The first one's number.
        first: u64,
    },
    /// An event ran after one that its producer had posted later to the same color.
    #[error("event {id} of color {} was overtaken by a later one of the same producer", color.0)]
    Overtaken {
        /// The event's number.
        id: u64,
        /// Its color.
        color: Color,
    },
    /// A color ran on two cores at once.
    #[error("color {} runs here, and on core {} until {until_ns} ns or later", color.0, other.0)]
    Overlap {
        /// The color.
        color: Color,
        /// The other core.
        other: CoreId,
        /// The other core's time.
        until_ns: Nanos,
    },
    /// A timer's event ran before the timer was due, or an event before it was posted.
    #[error("event {id} of color {} runs before {due_ns} ns", color.0)]
    Early {
        /// The event's number.
        id: u64,
        /// Its color.
        color: Color,
        /// When it should have run at the soonest.
        due_ns: Nanos,
    },
    /// The end of a call ran on another core than the call was made on, though its color was pinned there.
    #[error("color {} was pinned, and has moved here before event {id}", color.0)]
    Moved {
        /// The event's number.
        id: u64,
        /// Its color.
        color: Color,
    },
    /// An event ran at another stage than it was posted to.
    #[error("event {id} of color {} runs at stage {}", color.0, stage.0)]
    Misled {
        /// The event's number.
        id: u64,
        /// Its color.
        color: Color,
        /// Where it runs.
        stage: StageId,
    },
    /// A color's state was not told of, or more than once, when it closed.
    #[error("{opened} colors were opened, {closed} closed")]
    States {
        /// Colors opened.
        opened: u64,
        /// Colors closed.
        closed: u64,
    },
    /// A core waits though there is work enough for it on a board.
    #[error("{visible_ns} ns of work are offered here since {since_ns} ns, and core {} waits", parked.0)]
    Parked {
        /// The work.
        visible_ns: Nanos,
        /// Since when.
        since_ns: Nanos,
        /// A core that waits.
        parked: CoreId,
    },
    /// Every core waits for ever, and there are events.
    #[error("every core waits, and {left} events have not run")]
    Stuck {
        /// How many.
        left: u64,
    },
    /// It takes too long.
    #[error("no end within {limit} turns, {left} events have not run")]
    Endless {
        /// Turns that were allowed.
        limit: u64,
        /// How many events.
        left: u64,
    },
}
