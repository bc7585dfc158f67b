//! Where everything of a map lies in its slab: stack, final globals, the window, then the regions.

use std::cmp::Reverse;
use std::ops::Range;

use crate::map::{GlobalKind, GlobalSpec, Section};

/// Everything in the slab starts on a line, so that no two objects share one.
pub(crate) const LINE: usize = 64;

/// Byte ranges of the slab, each from its bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) stack: Range<usize>,
    /// One a global of the map; an empty range for a temporary one.
    pub(crate) globals: Vec<Range<usize>>,
    /// Where a temporary global is copied to while it is borrowed: whole lines, enough for the largest;
    /// empty if there are none.
    pub(crate) window: Range<usize>,
    /// One a region of the map.
    pub(crate) regions: Vec<Range<usize>>,
}

impl Layout {
    /// Lays a section out. Sums saturate, so that a map with absurd sizes ends beyond any slab.
    pub(crate) fn new(section: &Section) -> Self {
        let mut end = 0usize;
        let mut place = |bytes: usize, align: usize| {
            let start = end.checked_next_multiple_of(align).unwrap_or(usize::MAX);
            end = start.saturating_add(bytes);
            start..end
        };
        let stack = place(section.stack.bytes, LINE);
        let globals = section
            .globals
            .iter()
            .map(|global| match global.kind {
                GlobalKind::Final => place(global.size, LINE),
                GlobalKind::Temporary => place(0, 1),
            })
            .collect();
        let window = match largest_temporary(section) {
            Some((_, size)) => place(size.checked_next_multiple_of(LINE).unwrap_or(size), LINE),
            None => place(0, 1),
        };
        let regions = section
            .regions
            .iter()
            .map(|region| {
                let sites = section.sites.iter().filter(|site| site.region == region.id);
                let align = sites.map(|site| site.align).max().unwrap_or(LINE).max(LINE);
                place(region.slot.saturating_mul(region.slots as usize), align)
            })
            .collect();
        Self { stack, globals, window, regions }
    }

    /// Bytes that the regions may not have: stack, final globals and window.
    pub(crate) fn before_regions(&self) -> usize {
        self.window.end
    }

    /// Bytes of the slab that are laid out.
    pub(crate) fn end(&self) -> usize {
        self.regions.last().map_or(self.before_regions(), |last| last.end)
    }
}

/// The largest temporary global, the first of several: its place in the section, and its bytes.
pub(crate) fn largest_temporary(section: &Section) -> Option<(usize, usize)> {
    let temporary = |(_, global): &(usize, &GlobalSpec)| global.kind == GlobalKind::Temporary;
    let globals = section.globals.iter().enumerate().filter(temporary);
    globals.map(|(i, global)| (i, global.size)).min_by_key(|(_, size)| Reverse(*size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::{GlobalKind::*, MemoryMap};

    #[test]
    fn the_window_lies_between_the_globals_and_the_regions_and_holds_the_largest_temporary() {
        let map = MemoryMap::builder()
            .stack(1000)
            .global(100, Final)
            .global(3000, Temporary)
            .global(5, Final)
            .global(4097, Temporary)
            .site("request", 100, 3)
            .site_aligned("page", 4096, 4096, 2)
            .build()
            .expect("a sound map");
        let layout = Layout::new(map.section());
        assert_eq!(layout.stack, 0..1000);
        assert_eq!((&layout.globals[0], &layout.globals[2]), (&(1024..1124), &(1152..1157)));
        assert!(layout.globals[1].is_empty() && layout.globals[3].is_empty());
        assert_eq!(layout.window, 1216..1216 + 4160);
        assert_eq!(layout.regions, [5376..5376 + 3 * 128, 8192..8192 + 2 * 4096]);
        assert_eq!((layout.before_regions(), layout.end()), (5376, 16384));
    }

    #[test]
    fn a_map_without_temporaries_has_no_window() {
        let map = MemoryMap::builder().stack(1000).global(100, Final).site("request", 64, 1);
        let layout = Layout::new(map.build().expect("a sound map").section());
        assert!(layout.window.is_empty());
        assert_eq!((layout.before_regions(), layout.regions[0].start), (1124, 1152));
    }

    #[test]
    fn every_region_starts_on_a_line_and_overlaps_nothing() {
        let mut builder = MemoryMap::builder().stack(1).global(1, Final).global(1, Temporary);
        for (i, align) in [1, 2, 64, 128, 1024, 64].into_iter().enumerate() {
            builder = builder.site_aligned(&format!("s{i}"), 1 + 100 * i, align, 3);
        }
        let map = builder.build().expect("a sound map");
        let layout = Layout::new(map.section());
        let mut end = 0;
        let ranges = [&layout.stack, &layout.globals[0], &layout.window];
        for range in ranges.into_iter().chain(&layout.regions) {
            assert!(range.start >= end && range.start % LINE == 0, "{range:?} after {end}");
            end = range.end;
        }
        for (site, range) in map.sites().iter().zip(&layout.regions) {
            assert_eq!(range.start % site.align, 0, "{}", site.name);
        }
    }
}
