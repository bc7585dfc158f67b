//! Where do arrays come from, how large are they, and how long does work on them take?

use std::path::PathBuf;
use std::time::Instant;

use super::StealArgs;
use crate::experiment::valgrind::Cache;

/// Arrays that a core keeps for colors to come.
const KEPT: usize = 16;
/// Bytes of that cache if the kernel does not tell.
const UNKNOWN: u64 = 512 << 10;
/// The fastest of so many is the one that nobody disturbed.
const TRIES: usize = 5;

/// Elements of an array that is one `part`th of a core's cache of level two.
pub(super) fn elements<T>(args: &StealArgs, part: u64) -> usize {
    let cpu = args.cpu.unwrap_or(0);
    let folder = PathBuf::from(format!("/sys/devices/system/cpu/cpu{cpu}/cache"));
    let bytes = Cache::read(&folder, 2).map_or(UNKNOWN, |cache| cache.size) / part;
    bytes as usize / size_of::<T>()
}

/// Arrays of one core that no color has.
#[derive(Debug)]
pub(super) struct Pool<T> {
    elements: usize,
    free: Vec<Vec<T>>,
}

impl<T: Copy + Default> Pool<T> {
    /// A pool of arrays of so many elements.
    pub(super) fn new(elements: usize) -> Pool<T> {
        Pool { elements, free: Vec::new() }
    }

    /// An array, whatever stands in it.
    pub(super) fn take(&mut self) -> Vec<T> {
        self.free.pop().unwrap_or_else(|| vec![T::default(); self.elements])
    }

    /// Keeps an array for a color to come.
    pub(super) fn put(&mut self, array: Vec<T>) {
        if self.free.len() < KEPT && array.len() == self.elements {
            self.free.push(array);
        }
    }
}

/// What `work` takes at best, in nanoseconds.
pub(super) fn fastest_ns(mut work: impl FnMut()) -> u64 {
    let times = (0..TRIES).map(|_| {
        let begun = Instant::now();
        work();
        begun.elapsed().as_nanos() as u64
    });
    times.min().unwrap_or_default().max(1)
}
