#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! | module | the question it answers |
//! |---|---|
//! | [`libasync`] | whom did Libasync-smp rob, and of what? |
//! | [`mely`] | whom does Mely rob, and of what? |
//! | [`heuristic`] | what may a heuristic change? |
//! | [`locality`] | who is near? |
//! | [`time_left`] | is this color worth the trip? |
//! | [`penalty`] | how much of its memory would go cold? |
//! | [`price`] | what does a theft from there cost? |
//! | [`amount`] | how much at once? |
//! | [`back_off`] | how often to look? |
//! | [`random`] | and if nobody thought about it? |
//! | [`topology`] | which cores share a cache or memory, and which can be used? |
#![forbid(unsafe_code)]

pub mod amount;
pub mod back_off;
mod board;
pub mod heuristic;
pub mod libasync;
pub mod locality;
pub mod mely;
pub mod penalty;
pub mod price;
pub mod random;
mod refused;
mod sys;
pub mod time_left;
pub mod topology;

pub use amount::{Batch, Half};
pub use back_off::BackOff;
pub use heuristic::{Heuristic, Switch, Then};
pub use libasync::Libasync;
pub use locality::Locality;
pub use mely::{Mely, Switches};
pub use penalty::Penalty;
pub use random::Random;
pub use time_left::TimeLeft;
pub use topology::{Distance, Topology, TopologyError};
