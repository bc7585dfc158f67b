//! What a slab did: per site, per reason, and frees from other threads.

use crate::fallback::Reason;
use crate::home::Home;
use crate::map::{SiteId, SiteSpec};

/// The counters of one site.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SiteStats {
    /// The site.
    pub id: SiteId,
    /// Its name in the map.
    pub name: String,
    /// Bytes of an object.
    pub size: usize,
    /// Most objects that may exist at a time.
    pub cap: u32,
    /// Objects in existence.
    pub live: u32,
    /// Most objects that ever existed, or were reserved by permits, at a time.
    pub peak: u32,
    /// Objects reserved by permits, ever; used or returned.
    pub granted: u64,
    /// Tasks not admitted because this site was the shortest, counted anew at each request.
    pub refused: u64,
    /// Objects that were larger than the site has them, and lay elsewhere.
    pub oversized: u64,
    /// Bytes of the largest of those, 0 if there was none: what `size=` would have to be.
    pub largest: usize,
    /// Objects that a permit had no more of: the stage's count in `alloc=` is too small.
    pub spent: u32,
}

impl SiteStats {
    pub(crate) fn of(home: &Home, spec: &SiteSpec) -> Self {
        let pool = home.unit.pool(spec.id.0);
        let taken = home.stages.iter().flat_map(|stage| {
            let mine = stage.needs().iter().filter(|need| need.site() == spec.id.0);
            mine.map(|need| stage.granted.get() * u64::from(need.count))
        });
        Self {
            id: spec.id,
            name: spec.name.clone(),
            size: spec.size,
            cap: spec.cap,
            live: home.live_of(spec.id),
            peak: spec.cap - pool.low.get(),
            granted: taken.sum(),
            refused: pool.refused.get(),
            oversized: pool.oversized.get(),
            largest: pool.largest.get() as usize,
            spent: pool.spent.get(),
        }
    }
}

/// The counters of a slab, read at one moment. `Display` writes them as a table, whose last line has totals,
/// but for `high`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// One a site, in the order of the map.
    pub sites: Vec<SiteStats>,
    /// Objects that were freed on other threads and came home.
    pub remote_frees: u64,
    /// Objects of the high slab in existence.
    pub high: u32,
    pub(crate) fallbacks: [u64; Reason::ALL.len()],
}

impl Stats {
    /// How often this happened.
    pub fn fallback(&self, reason: Reason) -> u64 {
        self.fallbacks[reason as usize]
    }

    /// The counters of one site.
    pub fn site(&self, id: SiteId) -> Option<&SiteStats> {
        self.sites.iter().find(|site| site.id == id)
    }
}

impl std::fmt::Display for Stats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = self.sites.iter().map(|site| site.name.len()).max().unwrap_or(0).max(4);
        writeln!(
            f,
            "{:width$} {:>8} {:>6} {:>6} {:>6} {:>12} {:>9} {:>9} {:>8} {:>6}",
            "site",
            "bytes",
            "cap",
            "live",
            "peak",
            "granted",
            "refused",
            "oversized",
            "largest",
            "spent"
        )?;
        for s in &self.sites {
            writeln!(
                f,
                "{:width$} {:>8} {:>6} {:>6} {:>6} {:>12} {:>9} {:>9} {:>8} {:>6}",
                s.name,
                s.size,
                s.cap,
                s.live,
                s.peak,
                s.granted,
                s.refused,
                s.oversized,
                s.largest,
                s.spent
            )?;
        }
        write!(f, "remote_frees {}", self.remote_frees)?;
        write!(f, "  high {}", self.high)?;
        for &reason in Reason::ALL {
            write!(f, "  {reason} {}", self.fallback(reason))?;
        }
        writeln!(f)
    }
}
