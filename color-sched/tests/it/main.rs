//! All tests of color-sched, in one binary.

#[cfg(not(loom))]
mod basics;
#[cfg(not(loom))]
mod program;
#[cfg(not(loom))]
mod stepped;
