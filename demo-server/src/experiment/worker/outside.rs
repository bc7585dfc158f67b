//! What does the slab cost a program that has it as its global allocator, and never enters a scope?
//!
//! Bursts of objects of the allocator that it falls back on, with the slab's door in front or without.

use super::clock::Clock;
use super::{Answer, WorkerArgs};

/// Runs the worker.
#[cfg(feature = "peers")]
pub(super) fn run(args: &WorkerArgs, clock: Clock) -> anyhow::Result<Answer> {
    use super::Source;
    use super::heap::{Global, Heap, SystemToo};
    use super::pair::boxes;

    match (args.from, args.size) {
        (Source::Global, 64) => boxes(clock, Global::boxed::<56>),
        (Source::Global, 1024) => boxes(clock, Global::boxed::<1016>),
        (Source::System, 64) => boxes(clock, SystemToo::boxed::<56>),
        (Source::System, 1024) => boxes(clock, SystemToo::boxed::<1016>),
        _ => anyhow::bail!("choose global or system, and 64 or 1024 bytes"),
    }
}

/// The door of a global allocator is opened by one of the peers.
#[cfg(not(feature = "peers"))]
pub(super) fn run(_: &WorkerArgs, _: Clock) -> anyhow::Result<Answer> {
    super::without_peers()
}
