//! Tests of `flexsc-ring` as its users see it. The conformance suite runs every test on every
//! engine: the same calls have the same results.

#[cfg(not(loom))]
mod support;

#[cfg(not(loom))]
mod files;
#[cfg(not(loom))]
mod sockets;
