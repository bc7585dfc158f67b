//! Whose memory is used next? (TCMalloc, §4.3)
//!
//! What a core frees it uses again first; if it has too much of it, a batch of the oldest goes to a common store, from
//! where a core that has none takes a batch.

use super::memory::{CORES, Memory};

/// What a core keeps: 2 MB. At most so many objects, or 64 KB of them, move at once.
const KEPT_LINES: usize = (2 << 20) / 64;
const BATCH: usize = 32;
const BATCH_LINES: usize = (64 << 10) / 64;

/// Objects of one size.
#[derive(Debug)]
pub(super) struct Pool {
    lines: usize,
    batch: usize,
    own: [Vec<u32>; CORES],
    store: Vec<u32>,
}

impl Pool {
    pub(super) fn new(lines: usize) -> Self {
        let batch = (BATCH_LINES / lines).clamp(2, BATCH);
        Self { lines, batch, own: Default::default(), store: Vec::new() }
    }

    /// The first line of an object.
    pub(super) fn take(&mut self, core: usize, memory: &mut Memory) -> u32 {
        let own = &mut self.own[core];
        if own.is_empty() {
            own.extend(self.store.drain(self.store.len().saturating_sub(self.batch)..));
        }
        own.pop().unwrap_or_else(|| memory.allot(self.lines))
    }

    pub(super) fn give(&mut self, core: usize, object: u32) {
        let own = &mut self.own[core];
        own.push(object);
        if own.len() * self.lines > KEPT_LINES {
            self.store.extend(own.drain(..self.batch));
        }
    }
}
