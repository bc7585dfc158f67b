#![doc = include_str!("../README.md")]
//!
//! | module | the question it answers |
//! |---|---|
//! | `geometry` | how large is the cache, and what is one way of it? |
//! | `map` | which sites are there, how many objects of each, which stage takes which? |
//! | `layout` | where in the cache slab does each region lie? |
//! | `arena` | where do slabs lie, and whose is this address? |
//! | `unit` | where is what within one slab and its books? |
//! | `backing` | which memory is under it? |
//! | `verify`, `chase` | is that memory what the layout assumes? |
//! | `slab` | may this batch run? |
//! | `stage` | what does a task of each stage take? |
//! | `claim` | whose turn is it? |
//! | `permit` | what may it allocate? |
//! | `site`, `object`, `slot` | who owns this memory, and as what? |
//! | `home`, `remote`, `links`, `batch` | how does an object freed elsewhere come home? |
//! | `thread` | which thread is this, and which slab is its own? |
//! | `high` | where do objects go that the map did not foresee? |
//! | `globals`, `stack` | how does the rest of the working set come into the slab? |
//! | [`adapt`] | how do programs allocate that call none of this? |
//! | `c_abi` | and programs in C? |
//! | `fallback`, `stats` | what happened, and what did not come from the slab? |
//! | `sys` | what do kernel and processor say? |

pub mod adapt;
mod arena;
mod atomics;
mod backing;
mod batch;
mod c_abi;
mod chase;
mod claim;
mod fallback;
mod geometry;
mod globals;
mod high;
mod home;
mod layout;
mod links;
mod map;
mod object;
mod permit;
mod remote;
mod site;
mod slab;
mod slot;
mod stack;
mod stage;
mod stats;
mod sys;
mod thread;
mod unit;
mod verify;

pub use backing::Backing;
pub use batch::{Release, free_all};
pub use fallback::{Reason, Seal};
pub use geometry::{Geometry, GeometryError};
pub use globals::{GlobalError, GlobalRef};
pub use home::Wake;
pub use map::{
    GlobalKind, GlobalSpec, MAX_ALLOCS, MAX_IDS, MapBuilder, MapError, MapProblem, MemoryMap,
    RegionId, RegionSpec, SiteId, SiteSpec, StackSpec, StageId, StageSpec,
};
pub use object::Object;
pub use permit::{Lane, Permit, PermitError, PutError};
pub use site::{Site, SiteError};
pub use slab::{Cycles, Options, Slab, SlabError};
pub use slot::Slot;
pub use stats::{SiteStats, Stats};
pub use verify::{Level, Verification};
