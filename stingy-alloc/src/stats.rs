//! What a slab did: per site, per reason, and frees from other threads.

use crate::fallback::Reason;
use crate::map::SiteId;

/// The counters of one site.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Tasks not admitted because this site was the shortest.
    pub refused: u64,
}

/// The counters of a slab, read at one moment. `Display` writes them as a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// One a site, in the order of the map.
    pub sites: Vec<SiteStats>,
    /// Slots that were freed on other threads and came home.
    pub remote_frees: u64,
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
            "{:width$} {:>8} {:>6} {:>6} {:>6} {:>12} {:>9}",
            "site", "bytes", "cap", "live", "peak", "granted", "refused"
        )?;
        for s in &self.sites {
            writeln!(
                f,
                "{:width$} {:>8} {:>6} {:>6} {:>6} {:>12} {:>9}",
                s.name, s.size, s.cap, s.live, s.peak, s.granted, s.refused
            )?;
        }
        write!(f, "remote_frees {}", self.remote_frees)?;
        for reason in Reason::ALL {
            write!(f, "  {reason} {}", self.fallback(reason))?;
        }
        writeln!(f)
    }
}
