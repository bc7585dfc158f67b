//! What does an access cost, given who touched the line before? (§5.1 and Table 2 of the paper)
//!
//! | the line is | cycles |
//! |---|---|
//! | in the core's own L1 | 4 |
//! | in the L2 that it shares with its mate | 15 |
//! | in memory, or in an L2 of another pair | 110 |
//!
//! A write takes the line away from all other caches; if another pair had a copy that costs 110 too, and 15 if only the
//! mate's L1 had. Caches are fully associative, forget what was used longest ago, and an L1 holds nothing that its L2
//! does not. Accesses of one core come one after the other: nothing is prefetched, nothing overlaps.

use super::lru::Lru;

pub(super) const CORES: usize = 8;
const PAIRS: usize = CORES / 2;
const LINE_BYTES: usize = 64;
const L1_BYTES: usize = 32 << 10;
const L2_BYTES: usize = 6 << 20;

pub(super) const L1_CYCLES: u64 = 4;
pub(super) const L2_CYCLES: u64 = 15;
pub(super) const MEMORY_CYCLES: u64 = 110;

/// Do two cores share an L2?
pub(super) const fn are_mates(a: usize, b: usize) -> bool {
    a / 2 == b / 2
}

#[derive(Clone, Copy, Debug, Default)]
struct Holders {
    /// One bit a core.
    l1: u8,
    /// One bit a pair.
    l2: u8,
}

/// The caches of all cores.
#[derive(Debug)]
pub(super) struct Memory {
    l1: [Lru; CORES],
    l2: [Lru; PAIRS],
    holders: Vec<Holders>,
    misses: u64,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self::with_lines(L1_BYTES / LINE_BYTES, L2_BYTES / LINE_BYTES)
    }

    pub(super) fn with_lines(l1: usize, l2: usize) -> Self {
        Self {
            l1: std::array::from_fn(|_| Lru::new(l1)),
            l2: std::array::from_fn(|_| Lru::new(l2)),
            holders: Vec::new(),
            misses: 0,
        }
    }

    /// The first of so many new lines, which no cache holds yet.
    pub(super) fn allot(&mut self, lines: usize) -> u32 {
        let first = self.holders.len();
        let end = first + lines;
        self.holders.resize(end, Holders::default());
        self.l1.iter_mut().chain(&mut self.l2).for_each(|cache| cache.grow(end));
        first as u32
    }

    /// Reads that neither cache could answer.
    pub(super) const fn misses(&self) -> u64 {
        self.misses
    }

    pub(super) fn read(&mut self, core: usize, line: u32) -> u64 {
        let pair = core / 2;
        let holders = self.holders[line as usize];
        if holders.l1 & 1 << core != 0 {
            self.l1[core].refresh(line);
            return L1_CYCLES;
        }
        let is_near = holders.l2 & 1 << pair != 0;
        if is_near {
            self.l2[pair].refresh(line);
        } else {
            self.misses += 1;
            if let Some(evicted) = self.l2[pair].insert(line) {
                self.holders[evicted as usize].l2 &= !(1 << pair);
                self.drop_l1(pair * 2, evicted);
                self.drop_l1(pair * 2 + 1, evicted);
            }
            self.holders[line as usize].l2 |= 1 << pair;
        }
        if let Some(evicted) = self.l1[core].insert(line) {
            self.holders[evicted as usize].l1 &= !(1 << core);
        }
        self.holders[line as usize].l1 |= 1 << core;
        if is_near { L2_CYCLES } else { MEMORY_CYCLES }
    }

    pub(super) fn write(&mut self, core: usize, line: u32) -> u64 {
        let mut cycles = self.read(core, line);
        let pair = core / 2;
        let Holders { l1, l2 } = self.holders[line as usize];
        if l1 & !(1 << core) != 0 {
            cycles = cycles.max(L2_CYCLES);
            (0..CORES).filter(|&other| other != core).for_each(|other| self.drop_l1(other, line));
        }
        if l2 & !(1 << pair) != 0 {
            cycles = MEMORY_CYCLES;
            for other in (0..PAIRS).filter(|&other| other != pair && l2 & 1 << other != 0) {
                self.l2[other].remove(line);
            }
            self.holders[line as usize].l2 = 1 << pair;
        }
        cycles
    }

    /// A write that the core does not wait for, as it needs nothing of what was in the line.
    pub(super) fn store(&mut self, core: usize, line: u32) -> u64 {
        self.write(core, line);
        L1_CYCLES
    }

    fn drop_l1(&mut self, core: usize, line: u32) {
        let holders = &mut self.holders[line as usize];
        if holders.l1 & 1 << core != 0 {
            holders.l1 &= !(1 << core);
            self.l1[core].remove(line);
        }
    }
}
