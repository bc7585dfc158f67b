#![doc = include_str!("../README.md")]
//!
//! | module | the question it answers |
//! |---|---|
//! | `geometry` | how large is the cache, and what is one way of it? |
//! | `map` | which sites are there, how many objects of each, which stage takes which? |
//! | `layout` | where in the slab does each region lie? |
//! | `backing` | which memory is under it? |
//! | `verify`, `chase` | is that memory what the layout assumes? |
//! | `slab` | may this batch run? |
//! | `permit` | what may it allocate? |
//! | `pool` | which slots are free, and whose are the others? |
//! | `slot` | who owns these bytes? |
//! | `home`, `remote`, `registry`, `thread` | how does a slot freed elsewhere come home? |
//! | `fallback`, `stats` | what happened, and what did not come from the slab? |
//! | `sys` | what do kernel and processor say? |

mod atomics;
mod backing;
mod chase;
mod fallback;
mod geometry;
mod home;
mod layout;
mod map;
mod permit;
mod pool;
mod registry;
mod remote;
mod slab;
mod slot;
mod stats;
mod sys;
mod thread;
mod verify;

pub use backing::Backing;
pub use fallback::Reason;
pub use geometry::{Geometry, GeometryError};
pub use home::Wake;
pub use map::{
    GlobalKind, GlobalSpec, MAX_ALLOCS, MAX_IDS, MapBuilder, MapError, MapProblem, MemoryMap,
    RegionId, RegionSpec, SiteId, SiteSpec, StackSpec, StageId, StageSpec,
};
pub use permit::{Permit, PermitError};
pub use slab::{Options, Slab, SlabError};
pub use slot::Slot;
pub use stats::{SiteStats, Stats};
pub use verify::{Level, Verification};
