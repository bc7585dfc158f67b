//! The engines: who makes the calls.

mod any;
mod course;
mod direct;
mod polled;
mod threads;
mod uring;

use std::time::Duration;

pub use any::AnyRing;
pub use direct::Direct;
pub use threads::Threads;
pub use uring::Uring;

pub(crate) use uring::setup;

/// How long a ring that is dropped waits for the calls that are in flight.
const GRACE: Duration = Duration::from_secs(1);
