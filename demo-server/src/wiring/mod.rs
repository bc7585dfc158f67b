//! How the crates meet: every adaptor between them is in this folder.
//!
//! | module | it connects |
//! |---|---|
//! | [`worker`] | a core's scheduler to its event loop of calls: completions in, events out (`Driver`, `Handler`) |
//! | [`objects`] | the scheduler's admission to the slab's permits |
//! | [`pairs`] | file and socket events to the correlator |
//! | [`cx`] | a stage to all of them |
//! | [`policy`] | switches of the command line to schedulers, stealers and engines |
//! | [`neighborhood`] | the machine's topology, as it changes, to the stealers |
//! | `arrivals` | new connections to the worker |
//! | `any_stealer` | the stealer that a switch chose to the scheduler |
//! | `panic_report` | a handler's panic to a line on stderr |
//! | `publish` | the counters of all crates to the live page |

mod any_stealer;
mod arrivals;
pub mod cx;
pub mod event;
pub mod neighborhood;
pub mod objects;
pub mod pairs;
mod panic_report;
pub mod policy;
mod publish;
pub mod worker;

pub(crate) use any_stealer::AnyStealer;
pub use cx::Cx;
pub use event::Event;
pub use worker::{Root, Worker};
