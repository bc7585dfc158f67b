//! Memory for a slab: huge pages reserved, else huge pages made, else plain pages, and it says which.

use std::io;
use std::ptr::NonNull;

use memmap2::{Advice, MmapOptions, MmapRaw};

use crate::sys::{self, HUGE_PAGE};

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

/// The memory of one slab, unmapped on drop.
///
/// # Invariants
/// 1. `start..start + len` lies within `map`, is zeroed, and starts at a multiple of W.
/// 2. Nothing but this value gives out pointers into it before `base` is called.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: MmapRaw,
    start: usize,
    len: usize,
    /// What it is backed by; never `Auto`.
    pub(crate) backing: Backing,
    /// Whether it cannot be swapped out.
    pub(crate) locked: bool,
    /// Why the better backings were not had.
    pub(crate) refused: Vec<String>,
}

impl Mapping {
    /// Maps and faults `len` bytes, aligned to `way` bytes.
    pub(crate) fn new(len: usize, way: usize, wanted: Backing) -> io::Result<Self> {
        let huge_len = len.next_multiple_of(HUGE_PAGE);
        let align = way.max(HUGE_PAGE);
        let mut refused = Vec::new();
        let mut mapping = None;
        if matches!(wanted, Backing::Auto | Backing::HugeTlb) {
            mapping = Self::hugetlb(huge_len, align)
                .map_err(|e| refused.push(format!("hugetlb: {e}")))
                .ok();
        }
        if mapping.is_none() && matches!(wanted, Backing::Auto | Backing::Thp) {
            mapping =
                Self::thp(huge_len, align).map_err(|e| refused.push(format!("thp: {e}"))).ok();
        }
        let plain = matches!(wanted, Backing::Auto | Backing::Pages);
        let mut mapping = match mapping {
            Some(mapping) => mapping,
            None if plain => Self::pages(len, way)?,
            None => return Err(io::Error::other(refused.join("; "))),
        };
        // A child would share what its parent's other threads are writing; best effort, as locking is.
        if let Err(error) = mapping.map.advise_range(Advice::DontFork, mapping.start, mapping.len) {
            refused.push(format!("dontfork: {error}"));
        }
        mapping.locked = sys::lock(&mapping.map, mapping.start, mapping.len).is_ok();
        mapping.refused = refused;
        Ok(mapping)
    }

    fn hugetlb(len: usize, align: usize) -> io::Result<Self> {
        let bits = HUGE_PAGE.trailing_zeros() as u8;
        let map = MmapRaw::from(MmapOptions::new().len(len).huge(Some(bits)).map_anon()?);
        let mapping = Self::within(map, len, align, Backing::HugeTlb)?;
        // Over the limit of a cgroup the first touch would be a SIGBUS; this returns the error.
        mapping.map.advise_range(Advice::PopulateWrite, mapping.start, len)?;
        Ok(mapping)
    }

    fn thp(len: usize, align: usize) -> io::Result<Self> {
        let map = MmapRaw::from(MmapOptions::new().len(len.saturating_add(align)).map_anon()?);
        let mut mapping = Self::within(map, len, align, Backing::Thp)?;
        // With the system-wide switch at `never` this does nothing, and collapsing may still work.
        let advised = mapping.map.advise_range(Advice::HugePage, mapping.start, len);
        mapping.touch();
        if mapping.huge()? {
            return Ok(mapping);
        }
        sys::collapse(&mapping.map, mapping.start, len)?;
        match mapping.huge()? {
            true => Ok(mapping),
            false => Err(advised
                .err()
                .unwrap_or_else(|| io::Error::other("the kernel made no huge page"))),
        }
    }

    fn pages(len: usize, way: usize) -> io::Result<Self> {
        let map = MmapRaw::from(MmapOptions::new().len(len.saturating_add(way)).map_anon()?);
        let mut mapping = Self::within(map, len, way, Backing::Pages)?;
        // What was asked for is plain pages, also where huge ones are always tried; a kernel
        // without huge pages refuses the advice and needs none.
        let _ = mapping.map.advise_range(Advice::NoHugePage, mapping.start, len);
        mapping.touch();
        Ok(mapping)
    }

    /// The first aligned `len` bytes of a fresh mapping.
    fn within(map: MmapRaw, len: usize, align: usize, backing: Backing) -> io::Result<Self> {
        let start = map.as_ptr().align_offset(align);
        match start.checked_add(len).is_some_and(|end| end <= map.len()) {
            true => Ok(Self { map, start, len, backing, locked: false, refused: Vec::new() }),
            false => Err(io::Error::other("the mapping is not aligned to a way")),
        }
    }

    /// Faults every page.
    fn touch(&mut self) {
        for page in self.bytes_mut().chunks_mut(4096) {
            // A plain store of what is there already could be left out by the compiler.
            std::hint::black_box(page)[0] = 0;
        }
    }

    /// Whether every page is huge now, by the page tables or, failing that, by smaps.
    pub(crate) fn huge(&self) -> io::Result<bool> {
        let bytes = sys::huge_bytes(&self.map, self.start, self.len).or_else(|_| {
            let smaps = std::fs::read_to_string("/proc/self/smaps")?;
            Ok::<_, io::Error>(huge_in_smaps(&smaps, self.map.as_ptr().addr() + self.start))
        })?;
        Ok(bytes >= self.len)
    }

    /// All of it, before any slot is handed out.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: by (1) within the mapping and initialised; by (2) and `&mut self` nobody else's.
        unsafe { std::slice::from_raw_parts_mut(self.map.as_mut_ptr().add(self.start), self.len) }
    }

    /// Its lowest byte; valid for all its bytes as long as the mapping lives.
    pub(crate) fn base(&mut self) -> NonNull<u8> {
        NonNull::from(self.bytes_mut()).cast()
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
