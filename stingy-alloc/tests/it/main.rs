//! The tests of the crate, as one binary. The model checks run alone, as loom replaces the atomics:
//! `RUSTFLAGS="--cfg loom" cargo test -p stingy-alloc --release --test it loom`.

#[cfg(not(loom))]
mod backing;
#[cfg(not(loom))]
mod batch;
#[cfg(not(loom))]
mod c_abi;
#[cfg(not(loom))]
mod claim;
#[cfg(not(loom))]
mod fork;
#[cfg(not(loom))]
mod geometry;
#[cfg(not(loom))]
mod global;
#[cfg(not(loom))]
mod globals;
#[cfg(not(loom))]
mod limits;
#[cfg(not(loom))]
mod map_builder;
#[cfg(not(loom))]
mod map_random;
#[cfg(not(loom))]
mod map_scale;
#[cfg(not(loom))]
mod map_text;
#[cfg(not(loom))]
mod memory;
#[cfg(not(loom))]
mod no_allocation;
#[cfg(not(loom))]
mod object;
#[cfg(not(loom))]
mod oracle;
#[cfg(not(loom))]
mod permit;
#[cfg(not(loom))]
mod process;
#[cfg(not(loom))]
mod progress;
#[cfg(not(loom))]
mod region_graph;
#[cfg(not(loom))]
mod seal;
#[cfg(not(loom))]
mod slot;
#[cfg(not(loom))]
mod stack;
#[cfg(not(loom))]
mod thread_exit;
#[cfg(not(loom))]
mod threads;

#[cfg(loom)]
#[path = "../../src/atomics.rs"]
mod atomics;
#[cfg(loom)]
mod loom_remote;
#[cfg(loom)]
mod loom_slot;
#[cfg(loom)]
#[path = "../../src/remote.rs"]
mod remote;

#[cfg(not(loom))]
use stingy_alloc::{Backing, Geometry, MemoryMap, Options, Slab};

/// A cache small enough to fill: 16 KiB of 4 ways, a slab of 12 KiB.
#[cfg(not(loom))]
fn small() -> Geometry {
    Geometry::new(16 << 10, 4, 64).expect("a sound geometry")
}

/// A slab for the very counts of `map`, on plain pages, which every machine has.
#[cfg(not(loom))]
fn slab(map: &MemoryMap) -> Slab {
    let geometry = Some(map.geometry());
    let options = Options { geometry, backing: Backing::Pages, ..Options::default() };
    Slab::new(map, options).expect("plain pages")
}
