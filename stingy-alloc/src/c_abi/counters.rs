//! What do the counters of a slab look like in C? `struct stingy_stats` and `struct stingy_site_stats`.

use std::ffi::c_uint;

use super::door::Door;
use super::error::Failure;
use crate::fallback::Reason;
use crate::map::SiteId;

/// `struct stingy_stats`, field by field.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SlabCounters {
    slab_bytes: u64,
    live: u64,
    high_live: u64,
    granted: u64,
    refused: u64,
    remote_frees: u64,
    fallbacks: u64,
    size_guard: u64,
    no_permit: u64,
    no_stage: u64,
    exhausted: u64,
    sealed: u64,
    plain_pages: u64,
}

/// `struct stingy_site_stats`, field by field.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SiteCounters {
    size: u64,
    cap: u64,
    live: u64,
    peak: u64,
    granted: u64,
    refused: u64,
    oversized: u64,
    largest: u64,
}

impl SlabCounters {
    pub(super) fn of(door: &Door) -> Self {
        let (stats, map) = (door.slab().stats(), door.slab().map());
        let sum = |of: fn(&crate::SiteStats) -> u64| stats.sites.iter().map(of).sum();
        let (size_guard, no_permit) =
            (stats.fallback(Reason::SizeGuard), stats.fallback(Reason::NoPermit));
        let in_sites: u64 = sum(|site| site.live.into());
        Self {
            slab_bytes: map.geometry().slab_bytes() as u64,
            live: in_sites + u64::from(stats.high),
            high_live: stats.high.into(),
            granted: sum(|site| site.granted),
            refused: sum(|site| site.refused),
            remote_frees: stats.remote_frees,
            fallbacks: size_guard + no_permit,
            size_guard,
            no_permit,
            no_stage: stats.fallback(Reason::NoStage),
            exhausted: stats.fallback(Reason::Exhausted),
            sealed: stats.fallback(Reason::Sealed),
            plain_pages: stats.fallback(Reason::Backing),
        }
    }
}

impl SiteCounters {
    pub(super) fn of(door: &Door, site: c_uint) -> Result<Self, Failure> {
        let stats = door.slab().stats();
        let id = u16::try_from(site).ok().map(SiteId);
        let site = id
            .and_then(|id| stats.site(id))
            .ok_or(Failure::Number { kind: "site", number: site })?;
        Ok(Self {
            size: site.size as u64,
            cap: site.cap.into(),
            live: site.live.into(),
            peak: site.peak.into(),
            granted: site.granted,
            refused: site.refused,
            oversized: site.oversized,
            largest: site.largest as u64,
        })
    }
}
