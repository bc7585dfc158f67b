//! Where everything of a map lies in its slab: stack, final globals, then the regions.

use std::ops::Range;

use crate::map::{GlobalKind, Section};

/// Everything in the slab starts on a line, so that no two objects share one.
pub(crate) const LINE: usize = 64;

/// Byte ranges of the slab, each from its bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) stack: Range<usize>,
    /// One a global of the map; an empty range for a temporary one.
    pub(crate) globals: Vec<Range<usize>>,
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
        let regions = section
            .regions
            .iter()
            .map(|region| {
                let sites = section.sites.iter().filter(|site| site.region == region.id);
                let align = sites.map(|site| site.align).max().unwrap_or(LINE).max(LINE);
                place(region.slot.saturating_mul(region.slots as usize), align)
            })
            .collect();
        Self { stack, globals, regions }
    }

    /// Bytes that the regions may share: what stack and final globals leave of a slab.
    pub(crate) fn before_regions(&self) -> usize {
        self.globals.last().map_or(self.stack.end, |last| last.end)
    }

    /// Bytes of the slab that are laid out.
    pub(crate) fn end(&self) -> usize {
        self.regions.last().map_or(self.before_regions(), |last| last.end)
    }
}
