#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! | module | the question it answers |
//! |---|---|
//! | [`libasync`] | whom did Libasync-smp rob, and of what? |
//! | [`mely`] | whom does Mely rob, and of what? |
//! | [`locality`] | who is near? |
//! | [`time_left`] | is this color worth the trip? |
//! | [`penalty`] | how much of its memory would go cold? |
//! | [`price`] | what does a theft from there cost? |
//! | [`topology`] | which cores share a cache, or memory? |
#![forbid(unsafe_code)]

mod board;
pub mod libasync;
pub mod locality;
pub mod mely;
pub mod penalty;
pub mod price;
mod sys;
pub mod time_left;
pub mod topology;

pub use libasync::Libasync;
pub use mely::Mely;
pub use topology::{Distance, Topology, TopologyError};
