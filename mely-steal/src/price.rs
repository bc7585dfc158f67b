//! What does a theft from there cost?
//!
//! ```text
//! price = steal cost                    from a core that shares a cache or the memory
//! price = steal cost × SLIT / 10        from another NUMA node
//! ```
//!
//! The steal cost is the scheduler's own estimate. The kernel's SLIT says how many tenths of a local access one to that
//! node takes, so a color must be worth as much more. It is a guess for victims that have not been robbed yet: once the
//! thief has measured what thefts from there cost (`LoadView::steal_cost_from_ns`), [`Mely`](crate::Mely) goes by that.
//! (The paper has one price: its machine's memory is uniform, §5.1.)

use crate::topology::{Distance, LOCAL};

/// The price of a theft over `distance` on a machine whose usual theft costs `steal_cost_ns`, in nanoseconds.
///
/// ```
/// use mely_steal::{Distance, price::price_ns};
/// assert_eq!(price_ns(300, Distance::Cache(3)), 300);
/// assert_eq!(price_ns(300, Distance::Memory(21)), 630);
/// ```
#[must_use]
pub const fn price_ns(steal_cost_ns: u64, distance: Distance) -> u64 {
    match distance {
        Distance::Memory(slit) if slit > LOCAL => {
            let price = steal_cost_ns as u128 * slit as u128 / LOCAL as u128;
            if price > u64::MAX as u128 { u64::MAX } else { price as u64 }
        }
        _ => steal_cost_ns,
    }
}
