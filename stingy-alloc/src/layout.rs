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
