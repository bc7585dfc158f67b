//! Whose memory is used next? (TCMalloc, §4.3)
//!
//! What a core frees it uses again first; if it has too much of it, a batch of the oldest goes to a common store, from
//! where a core that has none takes a batch.

use super::memory::{CORES, Memory};

/// Objects that move between a core and the store at once.
const BATCH: usize = 32;

/// Objects of one size.
#[derive(Debug)]
pub(super) struct Pool {
    lines: usize,
    own: [Vec<u32>; CORES],
    store: Vec<u32>,
}

impl Pool {
    pub(super) fn new(lines: usize) -> Self {
        Self { lines, own: Default::default(), store: Vec::new() }
    }

    /// The first line of an object.
    pub(super) fn take(&mut self, core: usize, memory: &mut Memory) -> u32 {
        let own = &mut self.own[core];
        if own.is_empty() {
            own.extend(self.store.drain(self.store.len().saturating_sub(BATCH)..));
        }
        own.pop().unwrap_or_else(|| memory.allot(self.lines))
    }

    pub(super) fn give(&mut self, core: usize, object: u32) {
        let own = &mut self.own[core];
        own.push(object);
        if own.len() > 2 * BATCH {
            self.store.extend(own.drain(..BATCH));
        }
    }
}
