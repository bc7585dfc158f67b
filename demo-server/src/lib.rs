#![doc = include_str!("../README.md")]
//! | module | the question it answers |
//! |---|---|
//! | [`cli`] | what was asked for on the command line? |
//! | [`config`] | which policies run, and does the machine have them? |
//! | [`serve`] | how does a server start, run and end? |
//! | [`wiring`] | how do the crates meet? |
//! | [`stages`] | what happens to a request? |
//! | [`connection`] | what is known of a connection between two events? |
//! | [`http`] | what do the bytes mean, and what is the answer? |
//! | [`files`] | which file is meant, and is it in memory? |
//! | [`live_page`] | what has happened so far, for people and for scrapers? |
//! | [`metrics`] | what is counted? |
//! | [`explain`] | what did the start-up checks find? |
//! | [`load`] | how much can a server take? |
//! | [`experiment`] | what do the mechanisms cost and earn, next to their peers? |
//! | [`interval`] | how sure is a figure? |
#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod connection;
pub mod experiment;
pub mod explain;
pub mod files;
pub mod http;
pub mod interval;
pub mod live_page;
pub mod load;
pub mod metrics;
pub mod serve;
pub mod site;
pub mod stages;
pub(crate) mod sys;
pub mod wiring;

/// The workspace's front page: its code is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct WorkspaceReadme;
