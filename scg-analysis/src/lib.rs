#![doc = include_str!("../README.md")]
//!
//! ## Modules
//!
//! | module | the question it answers |
//! |---|---|
//! | [`source`] | which files? |
//! | [`diagnostic`] | what is wrong, where, and what to do about it? |
//! | [`front`] | what does the source say that matters here? |
//! | [`facts`] | functions, allocations, frees and events, in no language |
//! | [`stage`] | which stage can follow which, and where are the cycles? |
//! | [`site`] | what is allocated, and how large is it? |
//! | `walk` | what does one stage do to the objects of a task, on every path? |
//! | [`lifetime`] | which objects are live where; who is never without whom? |
//! | [`share`] | which objects may share a region? |
//! | [`solve`] | how many of each? |
//! | [`analysis`] | everything found, in one value |
//! | [`emit`] | the memory map |
//! | `print` | the same for people: tables and graphs |
#![forbid(unsafe_code)]

pub mod analysis;
pub mod diagnostic;
pub mod emit;
pub mod facts;
pub mod front;
pub mod lifetime;
mod print;
pub mod share;
pub mod site;
pub mod solve;
pub mod source;
pub mod stage;
mod walk;

pub use analysis::{Analysis, analyse};
pub use diagnostic::{AnalyseError, Diagnostic, Place, Severity};
pub use emit::{Geometry, MapText, Params, PlanError};
pub use source::Source;
