//! Tests of `flexsc-ring` as its users see it. The conformance suite runs every test on every
//! engine: the same calls have the same results.
//!
//! Under `--cfg loom` the models of the atomic protocols are built instead.

#![cfg_attr(loom, allow(dead_code, reason = "a model uses a part of the file it includes"))]

#[cfg(not(loom))]
mod allocations;
#[cfg(not(loom))]
mod cancel;
#[cfg(not(loom))]
mod chains;
#[cfg(not(loom))]
mod closes;
#[cfg(not(loom))]
mod conformance;
#[cfg(not(loom))]
mod drops;
#[cfg(not(loom))]
mod event_loop;
#[cfg(not(loom))]
mod faults;
#[cfg(not(loom))]
mod files;
#[cfg(not(loom))]
mod fuse;
#[cfg(not(loom))]
mod growth;
#[cfg(not(loom))]
mod hostile;
#[cfg(not(loom))]
mod interrupt;
#[cfg(not(loom))]
mod limits;
#[cfg(not(loom))]
mod mappings;
#[cfg(not(loom))]
mod misuse;
#[cfg(not(loom))]
mod orphans;
#[cfg(not(loom))]
mod placement;
#[cfg(not(loom))]
mod pool;
#[cfg(not(loom))]
mod probe;
#[cfg(not(loom))]
mod properties;
#[cfg(not(loom))]
mod slab;
#[cfg(not(loom))]
mod sockets;
#[cfg(not(loom))]
mod specializer;
#[cfg(not(loom))]
mod sqpoll;
#[cfg(not(loom))]
mod storm;
#[cfg(not(loom))]
mod support;
#[cfg(not(loom))]
mod typed;
#[cfg(not(loom))]
mod unreaped;
#[cfg(not(loom))]
mod vectors;
#[cfg(not(loom))]
mod waits;
#[cfg(not(loom))]
mod wake;

#[cfg(loom)]
mod loom_entry;
#[cfg(loom)]
mod loom_interrupt;
#[cfg(loom)]
mod loom_page;
#[cfg(loom)]
mod loom_returns;
#[cfg(loom)]
mod loom_wake;

// The protocols are private: the models include their files.
#[cfg(loom)]
#[path = "../../src/atomics.rs"]
mod atomics;
#[cfg(loom)]
#[path = "../../src/bell.rs"]
mod bell;
#[cfg(loom)]
#[path = "../../src/entry.rs"]
mod entry;
#[cfg(loom)]
#[path = "../../src/epoch.rs"]
mod epoch;
#[cfg(loom)]
#[path = "../../src/idle.rs"]
mod idle;
#[cfg(loom)]
#[path = "../../src/page.rs"]
mod page;
#[cfg(loom)]
#[path = "../../src/pages.rs"]
mod pages;
#[cfg(loom)]
#[path = "../../src/returns.rs"]
mod returns;
#[cfg(loom)]
#[path = "../../src/trap.rs"]
mod trap;
