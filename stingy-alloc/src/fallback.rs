//! Why something did not come from the slab, counted by reason: nothing falls back silently.

use std::cell::Cell;

/// Why a request was not served by the slab as the map has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// More bytes than the site has: [`Slab::oversize`](crate::Slab::oversize).
    SizeGuard,
    /// An alignment above 64 bytes, which no slot has.
    Align,
    /// The map has no such stage: its tasks were refused.
    NoStage,
    /// An allocation that its permit does not cover: refused.
    NoPermit,
    /// A stage asked for a permit and got none, as the slab was full.
    Exhausted,
    /// A call to the system allocator although the slab is sealed ([`Seal`]).
    Sealed,
    /// An object taken outside of the cache slab so that work goes on: [`Slab::escape`](crate::Slab::escape).
    Escape,
    /// The slab lies on plain pages, as no huge page was to be had.
    Backing,
}

impl Reason {
    /// Every reason, in the order of the reports.
    pub const ALL: &'static [Self] = &[
        Self::SizeGuard,
        Self::Align,
        Self::NoStage,
        Self::NoPermit,
        Self::Exhausted,
        Self::Sealed,
        Self::Escape,
        Self::Backing,
    ];

    /// Its name in tables and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SizeGuard => "size_guard",
            Self::Align => "align",
            Self::NoStage => "no_stage",
            Self::NoPermit => "no_permit",
            Self::Exhausted => "exhausted",
            Self::Sealed => "sealed",
            Self::Escape => "escape",
            Self::Backing => "backing",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What happens when something that was asked of the slab has to come from the system allocator: what the
/// map did not foresee and the high slab has no room for. What a program allocates beside the slab is its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seal {
    /// It is served.
    #[default]
    Open,
    /// It is served, and counted as [`Reason::Sealed`].
    Count,
    /// The process ends, after a line on standard error that names the site.
    Abort,
}

/// A counter a reason.
#[derive(Debug, Default)]
pub(crate) struct Fallbacks([Cell<u64>; Reason::ALL.len()]);

impl Fallbacks {
    pub(crate) fn count(&self, reason: Reason) {
        let counter = &self.0[reason as usize];
        counter.set(counter.get() + 1);
    }

    pub(crate) fn read(&self) -> [u64; Reason::ALL.len()] {
        std::array::from_fn(|i| self.0[i].get())
    }
}
