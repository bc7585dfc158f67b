//! What is allocated, and how large is it?

use crate::Place;

/// Objects start on a cache line, so that no two share one.
pub const LINE: u64 = 64;

/// An allocation site: all objects that it allocates are of one kind and one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The name in the map.
    pub name: String,
    /// The name of the constant in the source.
    pub constant: String,
    /// Bytes of an object.
    pub size: u64,
    /// Objects that a task never exceeds, as the programmer says: the paper's `stingy_count`.
    pub count: Option<u32>,
    /// Where it is declared.
    pub place: Place,
}

impl Site {
    /// Bytes that an object takes in the slab.
    pub fn slot(&self) -> u64 {
        self.size.checked_next_multiple_of(LINE).unwrap_or(u64::MAX)
    }
}
