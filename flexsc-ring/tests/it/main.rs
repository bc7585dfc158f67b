//! Tests of `flexsc-ring` as its users see it. The conformance suite runs every test on every
//! engine: the same calls have the same results.

#[cfg(not(loom))]
mod cancel;
#[cfg(not(loom))]
mod drops;
#[cfg(not(loom))]
mod files;
#[cfg(not(loom))]
mod limits;
#[cfg(not(loom))]
mod pool;
#[cfg(not(loom))]
mod probe;
#[cfg(not(loom))]
mod sockets;
#[cfg(not(loom))]
mod storm;
#[cfg(not(loom))]
mod support;
#[cfg(not(loom))]
mod wake;
