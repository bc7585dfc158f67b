//! What does a task of each stage take? A table that an admission reads from one or two lines.

use std::cell::Cell;

use crate::claim::NOBODY;
use crate::layout::LINE;
use crate::map::{MAX_ALLOCS, MAX_IDS, Section, SiteId, progress};
use crate::unit::{Pool, Unit};

/// What one task of a stage takes from one site.
///
/// # Invariants
/// 1. `pool` and `list` are distances that [`Unit::pool_at`] takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// The distance of the site's pool, and of its region's.
    pub(crate) pool: u32,
    pub(crate) list: u32,
    /// Objects of the site that one task takes.
    pub(crate) count: u32,
    /// Slots of the region that one task takes, over all sites that share it; 0 if this site has the
    /// region for itself.
    pub(crate) of_region: u32,
}

impl Need {
    const NONE: Self = Self { pool: 0, list: 0, count: 0, of_region: 0 };

    /// What a task takes from `site` if it takes all of `alloc`.
    pub(crate) fn of(section: &Section, alloc: &[(SiteId, u32)], site: SiteId, count: u32) -> Self {
        let region = region_of(section, site);
        let mine = alloc.iter().filter(|(other, _)| region_of(section, *other) == region);
        let shared = is_shared(section, site);
        let of_region = if shared { mine.map(|(_, count)| count).sum() } else { 0 };
        let distance = |line: usize| (line * LINE) as u32;
        let pool = distance(usize::from(site.0) % MAX_IDS);
        let list = distance(MAX_IDS + usize::from(region) % MAX_IDS);
        Self { pool, list, count, of_region }
    }

    /// Objects that so many tasks take, where the pools could grant them.
    #[inline]
    pub(crate) fn of_tasks(&self, tasks: usize) -> u32 {
        tasks as u32 * self.count
    }

    /// The pool of the site.
    #[inline]
    pub(crate) fn site_in<'u>(&self, unit: Unit) -> &'u Pool {
        // SAFETY: by (1).
        unsafe { unit.pool_at(self.pool) }
    }

    /// The pool of the region, if sites share it.
    #[inline]
    pub(crate) fn region_in<'u>(&self, unit: Unit) -> &'u Pool {
        // SAFETY: by (1).
        unsafe { unit.pool_at(self.list) }
    }

    /// Whether both take slots of one region that sites share.
    pub(crate) fn shares_region_with(&self, other: &Self) -> bool {
        self.of_region > 0 && other.of_region > 0 && self.list == other.list
    }

    /// The pool that has the free list.
    #[inline]
    pub(crate) fn list_in<'u>(&self, unit: Unit) -> &'u Pool {
        if self.of_region == 0 { self.site_in(unit) } else { self.region_in(unit) }
    }

    /// The site.
    #[inline]
    pub(crate) fn site(&self) -> u16 {
        (self.pool as usize / LINE) as u16
    }
}

/// Needs of a plain stage at most.
const PLAIN: usize = 4;

/// One stage.
///
/// # Invariants
/// 1. `plain` is at most `PLAIN`, and `needs` at most `MAX_ALLOCS`.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct Stage {
    /// False for numbers that the map leaves out, and when the slab's memory is lost.
    pub(crate) known: Cell<bool>,
    needs: Cell<u8>,
    /// The number of needs if a task takes one object of each, and no region is shared; else 0.
    plain: Cell<u8>,
    /// Refusals in a row, and the last request while there was a line (`Claim`).
    pub(crate) refused: Cell<u32>,
    pub(crate) asked: Cell<u32>,
    /// The stage behind it in line, if it is in line.
    pub(crate) next: Cell<u32>,
    /// What was there of the first need that it lacked, and for how many requests it has been that.
    pub(crate) stuck: Cell<(u32, u32)>,
    /// Tasks ever admitted.
    pub(crate) granted: Cell<u64>,
    table: [Need; MAX_ALLOCS],
    /// The places of the needs, the smallest site first.
    by_size: [u8; MAX_ALLOCS],
    /// Objects of each need, and slots of its region, that it keeps from a stage that asks.
    pub(crate) kept: [Cell<(u32, u32)>; MAX_ALLOCS],
}

impl Stage {
    /// A stage that is not in the map.
    pub(crate) const fn none() -> Self {
        Self {
            known: Cell::new(false),
            needs: Cell::new(0),
            plain: Cell::new(0),
            refused: Cell::new(0),
            asked: Cell::new(0),
            next: Cell::new(NOBODY),
            stuck: Cell::new((NOBODY, 0)),
            granted: Cell::new(0),
            table: [Need::NONE; MAX_ALLOCS],
            by_size: [0; MAX_ALLOCS],
            kept: [const { Cell::new((0, 0)) }; MAX_ALLOCS],
        }
    }

    /// The needs, if there are a few and each is one object of a site with a region of its own.
    #[inline]
    pub(crate) fn plain(&self) -> &[Need] {
        let plain = usize::from(self.plain.get());
        // SAFETY: by (1); with it the compiler writes the loops over these out.
        unsafe { std::hint::assert_unchecked(plain <= PLAIN) };
        &self.table[..plain]
    }

    /// The place of a need, the one with the smallest site first.
    #[inline]
    pub(crate) fn by_size(&self, nth: usize) -> usize {
        usize::from(self.by_size[nth % MAX_ALLOCS])
    }

    /// Counts tasks that were admitted.
    #[inline]
    pub(crate) fn count(&self, granted: usize) {
        self.granted.set(self.granted.get() + granted as u64);
    }

    /// Makes the stage one that is never admitted, and whose permits hold nothing.
    pub(crate) fn forget(&self) {
        self.known.set(false);
        self.needs.set(0);
        self.plain.set(0);
    }

    #[inline]
    pub(crate) fn needs(&self) -> &[Need] {
        let needs = usize::from(self.needs.get());
        // SAFETY: by (1).
        unsafe { std::hint::assert_unchecked(needs <= MAX_ALLOCS) };
        &self.table[..needs]
    }
}

/// The stages of a checked section, by number. The needs of each are in the order of the regions that
/// makes progress certain.
pub(crate) fn table(section: &Section) -> Box<[Stage]> {
    let rank = progress::order(section);
    let mut stages = Vec::new();
    for spec in &section.stages {
        let id = usize::from(spec.id.0);
        let mut alloc: Vec<_> = spec.alloc.clone();
        alloc.sort_by_key(|(site, _)| rank.get(usize::from(region_of(section, *site))).copied());
        let needs = alloc.iter().map(|&(site, count)| Need::of(section, &alloc, site, count));
        let mut stage = Stage { needs: Cell::new(needs.len() as u8), ..Stage::none() };
        stage.known.set(true);
        for (have, need) in stage.table.iter_mut().zip(needs) {
            *have = need;
        }
        let mut by_size: Vec<u8> = (0..stage.needs.get()).collect();
        by_size.sort_by_key(|at| section.site(alloc[usize::from(*at)].0).map(|site| site.size));
        for (have, at) in stage.by_size.iter_mut().zip(by_size) {
            *have = at;
        }
        let plain = |need: &Need| need.count == 1 && need.of_region == 0;
        if stage.needs().len() <= PLAIN && stage.needs().iter().all(plain) {
            stage.plain.set(stage.needs.get());
        }
        stages.resize_with(stages.len().max(id + 1), Stage::none);
        stages[id] = stage;
    }
    stages.into()
}

/// The index in the map of a site's region.
pub(crate) fn region_of(section: &Section, site: SiteId) -> u16 {
    let id = section.sites.iter().find(|spec| spec.id == site).map(|spec| spec.region);
    let index = section.regions.iter().position(|region| Some(region.id) == id);
    index.unwrap_or_default() as u16
}

/// Whether other sites take slots of its region too.
pub(crate) fn is_shared(section: &Section, site: SiteId) -> bool {
    let region = region_of(section, site);
    section.sites.iter().filter(|spec| region_of(section, spec.id) == region).count() > 1
}
