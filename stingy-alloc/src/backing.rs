//! Memory for a slab: huge pages reserved, else huge pages made, else plain pages, and it says which.

use std::io;
use std::ops::Range;

use crate::arena::Stride;
use crate::sys::{Advice, HUGE_PAGE, Kind, Pages};
use crate::unit::{END, TOP};

/// What a slab lies on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backing {
    /// The first of the others that can be had, in their order.
    #[default]
    Auto,
    /// Huge pages of the reserved pool (`vm.nr_hugepages`).
    HugeTlb,
    /// Transparent huge pages.
    Thp,
    /// Plain pages, placed as the kernel likes.
    Pages,
}

impl Backing {
    const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::HugeTlb => "hugetlb",
            Self::Thp => "thp",
            Self::Pages => "pages",
        }
    }
}

impl std::fmt::Display for Backing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Bytes of plain pages below the huge ones, for a stack deeper than the rest of those. They take
/// memory only when something reaches them.
const SPILL: usize = 2 << 20;

/// The memory of one slab, unmapped on drop.
///
/// # Invariants
/// 1. `low..END` of the stride is mapped and zeroed at first; below and above it nothing is.
/// 2. Nothing but this value gives out pointers into it before `pages` is called.
#[derive(Debug)]
pub(crate) struct Mapping {
    stride: Stride,
    /// Where the low slab starts, the cache slab, and the pages around it that are meant to be huge.
    low: usize,
    slab: Range<usize>,
    huge: Range<usize>,
    /// What it is backed by; never `Auto`.
    pub(crate) backing: Backing,
    /// Whether the cache slab cannot be swapped out.
    pub(crate) locked: bool,
    /// Why the better backings were not had.
    pub(crate) refused: Vec<String>,
}

impl Mapping {
    /// Maps and faults a cache slab of `len` bytes, and what belongs to it, into a stride. A child made
    /// by `fork` gets a copy if `copied`, else a hole.
    pub(crate) fn new(
        stride: Stride,
        len: usize,
        wanted: Backing,
        copied: bool,
    ) -> io::Result<Self> {
        let slab = TOP - len..TOP;
        let huge = slab.start / HUGE_PAGE * HUGE_PAGE..END;
        let low = huge.start.saturating_sub(SPILL);
        let (backing, locked, refused) = (Backing::Pages, false, Vec::new());
        let mut mapping = Self { stride, low, slab, huge, backing, locked, refused };
        mapping.map(wanted)?;
        if !copied && let Err(error) = mapping.pages(low..END).advise(Advice::DontFork) {
            mapping.refused.push(format!("dontfork: {error}"));
        }
        let keep = if mapping.backing == Backing::Pages { &mapping.slab } else { &mapping.huge };
        mapping.locked = mapping.pages(keep.clone()).lock().is_ok();
        Ok(mapping)
    }

    fn map(&mut self, wanted: Backing) -> io::Result<()> {
        let tried = |backing| wanted == Backing::Auto || wanted == backing;
        self.spill()?;
        if tried(Backing::HugeTlb) {
            match self.hugetlb() {
                Ok(()) => return Ok(()),
                Err(error) => self.refused.push(format!("hugetlb: {error}")),
            }
        }
        if tried(Backing::Thp) {
            match self.thp() {
                Ok(()) => return Ok(()),
                Err(error) => self.refused.push(format!("thp: {error}")),
            }
        }
        match tried(Backing::Pages) {
            true => self.plain(),
            false => Err(io::Error::other(self.refused.join("; "))),
        }
    }

    /// Any part of the mapping.
    pub(crate) fn pages(&self, range: Range<usize>) -> Pages {
        self.stride.pages().part(range)
    }

    /// Where the low slab starts, in bytes from the start of the stride.
    pub(crate) fn low(&self) -> usize {
        self.low
    }

    pub(crate) fn stride(&self) -> &Stride {
        &self.stride
    }

    /// Puts fresh memory into a range.
    fn fresh(&mut self, range: Range<usize>, kind: Kind) -> io::Result<()> {
        // SAFETY: the stride is ours, and by (2) nothing in it is in use yet.
        unsafe { self.pages(range).map(kind) }
    }

    fn spill(&mut self) -> io::Result<()> {
        let spill = self.low..self.huge.start;
        if spill.is_empty() {
            return Ok(());
        }
        self.fresh(spill.clone(), Kind::Plain)?;
        // A kernel without huge pages refuses the advice and needs none.
        let _ = self.pages(spill).advise(Advice::NoHugePage);
        Ok(())
    }

    fn hugetlb(&mut self) -> io::Result<()> {
        self.fresh(self.huge.clone(), Kind::HugeTlb)?;
        // Over the limit of a cgroup the first touch would be a SIGBUS; this returns the error.
        self.pages(self.huge.clone()).advise(Advice::PopulateWrite)?;
        self.backing = Backing::HugeTlb;
        Ok(())
    }

    fn thp(&mut self) -> io::Result<()> {
        self.fresh(self.huge.clone(), Kind::Plain)?;
        let pages = self.pages(self.huge.clone());
        // With the system-wide switch at `never` this does nothing, and collapsing may still work.
        let advised = pages.advise(Advice::HugePage);
        pages.advise(Advice::PopulateWrite)?;
        self.backing = Backing::Thp;
        if self.is_huge()? {
            return Ok(());
        }
        pages.advise(Advice::Collapse)?;
        match self.is_huge()? {
            true => Ok(()),
            false => Err(advised
                .err()
                .unwrap_or_else(|| io::Error::other("the kernel made no huge page"))),
        }
    }

    fn plain(&mut self) -> io::Result<()> {
        self.fresh(self.huge.clone(), Kind::Plain)?;
        // What was asked for is plain pages, also where huge ones are always tried; a kernel
        // without huge pages refuses the advice and needs none.
        let _ = self.pages(self.huge.clone()).advise(Advice::NoHugePage);
        self.backing = Backing::Pages;
        for page in self.slab_mut().chunks_mut(4096) {
            // A plain store of what is there already could be left out by the compiler.
            std::hint::black_box(page)[0] = 0;
        }
        Ok(())
    }

    /// Whether every page around the slab is huge now, by the page tables or, failing that, by smaps.
    pub(crate) fn is_huge(&self) -> io::Result<bool> {
        let pages = self.pages(self.huge.clone());
        let bytes = pages.huge_bytes().or_else(|_| {
            let smaps = std::fs::read_to_string("/proc/self/smaps")?;
            Ok::<_, io::Error>(huge_in_smaps(&smaps, pages.start().addr().get()))
        })?;
        Ok(bytes >= pages.len())
    }

    /// In a child made by `fork` that has no copy: keeps what is not there from becoming the place of
    /// something else, which would then be taken for an object.
    pub(crate) fn leave_a_hole(&self) {
        // SAFETY: where something was mapped since the fork, it stays.
        let _ = unsafe { self.pages(self.low..END).map(Kind::NewHole) };
    }

    /// The cache slab, before any object is handed out.
    pub(crate) fn slab_mut(&mut self) -> &mut [u8] {
        let pages = self.pages(self.slab.clone());
        // SAFETY: by (1) mapped and initialised; by (2) and `&mut self` nobody else's.
        unsafe { std::slice::from_raw_parts_mut(pages.start().as_ptr(), pages.len()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let pages = self.pages(self.low..END);
        // SAFETY: ours, and whoever drops a mapping uses nothing in it any more.
        let unmapped = unsafe { pages.map(Kind::Hole) };
        // Without a hole the memory would stay, which hurts nobody: the next slab maps over it.
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}

/// Bytes on huge pages in the area of smaps that contains `address`.
pub(crate) fn huge_in_smaps(smaps: &str, address: usize) -> usize {
    let mut inside = false;
    let mut kib = 0;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        let bounds = first.split_once('-').and_then(|(low, high)| {
            Some(usize::from_str_radix(low, 16).ok()?..usize::from_str_radix(high, 16).ok()?)
        });
        match bounds {
            Some(area) => inside = area.contains(&address),
            None if inside && matches!(first, "AnonHugePages:" | "Private_Hugetlb:") => {
                kib += words.next().and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
            }
            None => {}
        }
    }
    kib << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaps_tells_the_huge_bytes_of_the_area_around_an_address() {
        let smaps = "\
7f0000000000-7f0000200000 rw-p 00000000 00:00 0 \nSize: 2048 kB\nAnonHugePages: 2048 kB\n\
7f0000200000-7f0000600000 rw-p 00000000 00:00 0 [anon: x]\nAnonHugePages: 0 kB\n\
Private_Hugetlb: 4096 kB\nVmFlags: rd wr\n\
7f0000600000-7f0000601000 r--p 00000000 08:01 12 /usr/lib/x.so\nAnonHugePages: none\n";
        for (address, huge) in [
            (0x7f00_0000_0000, 2 << 20),
            (0x7f00_001f_ffff, 2 << 20),
            (0x7f00_0020_0000, 4 << 20),
            (0x7f00_0060_0000, 0),
            (0x7f00_0060_1000, 0),
        ] {
            assert_eq!(huge_in_smaps(smaps, address), huge, "{address:x}");
        }
        assert_eq!(huge_in_smaps("", 0), 0);
    }
}
