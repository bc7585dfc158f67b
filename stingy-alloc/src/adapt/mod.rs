//! Doors for programs that allocate through the interfaces of others.
//!
//! | module | the question it answers |
//! |---|---|
//! | `global` | how does a whole program allocate from the slab, with no line of it changed? |
//! | `scope` | which permit do its allocations come from? |
//! | `at` | how does a collection live in an object of a site? |
//! | `heap` | how does a collection live in any global allocator? |

mod at;
mod global;
mod heap;
mod scope;

pub use at::At;
pub use global::Global;
pub use heap::{Heap, Stateless};
pub(crate) use scope::leave;
pub use scope::outside;
