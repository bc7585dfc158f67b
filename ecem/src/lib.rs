#![doc = include_str!("../README.md")]
//!
//! ## Modules
//!
//! | module | the question it answers |
//! |---|---|
//! | [`event`] | what happened to which pair, and what to do about it? |
//! | [`pair`] | is this pair RR, RW, WR or WW? |
//! | [`correlator`] | deliver this event now, or defer it? |
//! | `deferred` | which held event of a pair is the oldest? |
//! | [`ack_clock`] | how many bytes does an acknowledgement release? |
//! | [`splice`] | read ahead, send, or wait? |
#![forbid(unsafe_code)]

pub mod ack_clock;
pub mod correlator;
mod deferred;
pub mod event;
pub mod pair;
pub mod splice;

pub use ack_clock::AckClock;
pub use correlator::{AddError, Correlator, Delivery, Removed, Stats};
pub use event::{Event, Refusal, Verdict};
pub use pair::{Pair, PairId, PairState, Readiness};
pub use splice::{Action, Splice, SpliceError};

/// A time in nanoseconds since any fixed start. The crate reads no clock: time is passed in.
pub type Nanos = u64;
