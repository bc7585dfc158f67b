//! Slot pools and their accounts: who may take how many, and which slots are free.
//!
//! Accounts are charged when a permit is granted and refunded when an object is freed or the permit
//! is dropped unused; taking an object under a permit only pops an index. Free lists are indices
//! outside the objects: links inside objects of page multiples would all fall into one L1 set.
//!
//! For every site and every region, always: `free account + reserved by permits + live = capacity`.
//! Hence whoever holds a reservation finds a slot in its region's free list. Debug builds check the
//! equation at every step.

use std::cell::Cell;

use crate::layout::Layout;
use crate::map::{Section, SiteId, StageId};

/// The end of a free list.
const END: u32 = u32::MAX;
/// Marks the link of a live slot; the rest is its site.
const LIVE: u32 = 1 << 31;

/// What one task of a stage takes from one site.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    pub(crate) site: u16,
    region: u16,
    /// Bytes of an object.
    size: u32,
    /// Objects of the site that one task takes.
    pub(crate) count: u32,
    /// Slots of the region that one task takes, over all sites that share it; 0 if this site has the
    /// region for itself: its own account is then the narrower one, and that of the region is idle.
    of_region: u32,
}

impl Need {
    /// Objects that so many tasks take, where the pools could grant them.
    #[inline]
    pub(crate) fn of_tasks(&self, tasks: usize) -> u32 {
        tasks as u32 * self.count
    }
}

/// The account of a site or a region.
#[derive(Debug, Default)]
struct Account {
    free: Cell<u32>,
    capacity: u32,
    #[cfg(debug_assertions)]
    reserved: Cell<u32>,
    #[cfg(debug_assertions)]
    live: Cell<u32>,
}

impl Account {
    fn new(capacity: u32) -> Self {
        Self { free: Cell::new(capacity), capacity, ..Self::default() }
    }

    /// Free to reserved; returns what is left.
    #[inline]
    fn charge(&self, n: u32) -> u32 {
        let free = self.free.get() - n;
        self.free.set(free);
        #[cfg(debug_assertions)]
        self.check(self.reserved.get() + n, self.live.get());
        free
    }

    /// Reserved to free.
    #[inline]
    fn refund(&self, n: u32) {
        self.free.set(self.free.get() + n);
        #[cfg(debug_assertions)]
        self.check(self.reserved.get() - n, self.live.get());
    }

    /// One reserved to live.
    #[cfg(debug_assertions)]
    fn take(&self) {
        self.check(self.reserved.get() - 1, self.live.get() + 1);
    }

    /// One live to free.
    #[inline]
    fn give(&self) {
        self.free.set(self.free.get() + 1);
        #[cfg(debug_assertions)]
        self.check(self.reserved.get(), self.live.get() - 1);
    }

    #[cfg(debug_assertions)]
    fn check(&self, reserved: u32, live: u32) {
        self.reserved.set(reserved);
        self.live.set(live);
        let sum = self.free.get() + reserved + live;
        debug_assert_eq!(sum, self.capacity, "an object was lost or made up: {self:?}");
    }
}

/// One site: its account and its counters. What is live is told by the links, so that neither taking
/// nor giving has to count it.
#[derive(Debug, Default)]
struct Site {
    account: Account,
    region: u16,
    /// Whether others take slots of its region too.
    shared: bool,
    size: u32,
    /// The least that was ever free.
    low: Cell<u32>,
    /// Objects ever reserved.
    granted: Cell<u64>,
    /// Tasks ever refused for want of this site.
    refused: Cell<u64>,
}

/// One region: its account and its free list.
#[derive(Debug)]
struct Region {
    account: Account,
    head: Cell<u32>,
    /// Its first slot in the slab, in bytes from the bottom, and in the numbering of all slots.
    offset: usize,
    first: u32,
    slot: usize,
}

/// A slot as it is handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) index: u32,
    /// Bytes from the bottom of the slab.
    pub(crate) offset: usize,
    /// Bytes of the object.
    pub(crate) size: u32,
}

/// The counters of one site.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) live: u32,
    pub(crate) peak: u32,
    pub(crate) granted: u64,
    pub(crate) refused: u64,
}

/// All pools of one slab. For one thread; the cells are its owner's alone.
#[derive(Debug)]
pub(crate) struct Pools {
    /// By id; ids that the map leaves out have no capacity.
    sites: Box<[Site]>,
    regions: Box<[Region]>,
    /// By id; `None` for ids that the map leaves out.
    stages: Box<[Option<Box<[Need]>>]>,
    /// A slot's successor in its free list, or its site while it is live.
    links: Box<[Cell<u32>]>,
}

impl Pools {
    /// Builds the pools of a checked section.
    pub(crate) fn new(section: &Section, layout: &Layout) -> Self {
        let mut first = 0;
        let mut links = Vec::new();
        let mut regions = Vec::new();
        for (spec, range) in section.regions.iter().zip(&layout.regions) {
            let (offset, slot) = (range.start, spec.slot);
            let (account, head) = (Account::new(spec.slots), Cell::new(first));
            regions.push(Region { account, head, offset, first, slot });
            let last = first + spec.slots - 1;
            links.extend((first..=last).map(|i| Cell::new(if i == last { END } else { i + 1 })));
            first = last + 1;
        }
        let place =
            |id| section.regions.iter().position(|r| r.id == id).unwrap_or(usize::MAX) as u16;
        let mut sites = Vec::new();
        for spec in &section.sites {
            let id = usize::from(spec.id.0);
            sites.resize_with(sites.len().max(id + 1), Site::default);
            let (account, region) = (Account::new(spec.cap), place(spec.region));
            let shared = section.sites.iter().filter(|s| s.region == spec.region).count() > 1;
            let (size, low) = (spec.size as u32, Cell::new(spec.cap));
            sites[id] = Site { account, region, shared, size, low, ..Site::default() };
        }
        let mut stages = Vec::new();
        for spec in &section.stages {
            let id = usize::from(spec.id.0);
            stages.resize_with(stages.len().max(id + 1), || None);
            let site = |id: SiteId| &sites[usize::from(id.0)];
            let need = |&(id, count): &(SiteId, u32)| {
                let Site { region, shared, size, .. } = *site(id);
                let mine = spec.alloc.iter().filter(|(other, _)| site(*other).region == region);
                let of_region = if shared { mine.map(|(_, count)| count).sum() } else { 0 };
                Need { site: id.0, region, size, count, of_region }
            };
            stages[id] = Some(spec.alloc.iter().map(need).collect());
        }
        Self {
            sites: sites.into(),
            regions: regions.into(),
            stages: stages.into(),
            links: links.into(),
        }
    }

    /// Slots of all regions.
    pub(crate) fn slots(&self) -> usize {
        self.links.len()
    }

    /// What a task of the stage takes; `None` if the map has no such stage.
    #[inline]
    pub(crate) fn needs(&self, stage: StageId) -> Option<&[Need]> {
        self.stages.get(usize::from(stage.0))?.as_deref()
    }

    /// For how many of `wanted` tasks everything is there.
    #[inline]
    pub(crate) fn grantable(&self, needs: &[Need], wanted: u32) -> u32 {
        needs.iter().fold(wanted, |n, need| n.min(self.grantable_of(need)))
    }

    #[inline]
    fn grantable_of(&self, need: &Need) -> u32 {
        let site = self.sites[usize::from(need.site)].account.free.get();
        // Nearly every count is 1, and a division costs as much as all the rest.
        let site = if need.count == 1 { site } else { site / need.count };
        if need.of_region == 0 {
            return site;
        }
        site.min(self.regions[usize::from(need.region)].account.free.get() / need.of_region)
    }

    /// Reserves for `n` tasks, at most what [`grantable`](Self::grantable) said.
    #[inline]
    pub(crate) fn charge(&self, needs: &[Need], n: u32) {
        for need in needs {
            let objects = n * need.count;
            let site = &self.sites[usize::from(need.site)];
            let free = site.account.charge(objects);
            site.low.set(site.low.get().min(free));
            site.granted.set(site.granted.get() + u64::from(objects));
            if need.of_region > 0 {
                self.regions[usize::from(need.region)].account.charge(objects);
            }
        }
    }

    /// Counts `refused` tasks at the site that is shortest.
    pub(crate) fn count_refusal(&self, needs: &[Need], refused: u32) {
        if let Some(need) = needs.iter().min_by_key(|need| self.grantable_of(need)) {
            let site = &self.sites[usize::from(need.site)];
            site.refused.set(site.refused.get().saturating_add(u64::from(refused)));
        }
    }

    /// Returns reservations that were not used.
    #[inline]
    pub(crate) fn refund(&self, need: &Need, objects: u32) {
        self.sites[usize::from(need.site)].account.refund(objects);
        if need.of_region > 0 {
            self.regions[usize::from(need.region)].account.refund(objects);
        }
    }

    /// Turns one reservation of `need` into a live slot.
    #[inline]
    pub(crate) fn take(&self, need: &Need) -> Taken {
        let region = &self.regions[usize::from(need.region)];
        let index = region.head.get();
        let link = &self.links[index as usize];
        region.head.set(link.get());
        link.set(LIVE | u32::from(need.site));
        #[cfg(debug_assertions)]
        {
            let site = &self.sites[usize::from(need.site)];
            site.account.take();
            if site.shared {
                region.account.take();
            }
        }
        let offset = region.offset + (index - region.first) as usize * region.slot;
        Taken { index, offset, size: need.size }
    }

    /// Takes a live slot back.
    #[inline]
    pub(crate) fn give(&self, index: u32) {
        let link = &self.links[index as usize];
        debug_assert!(link.get() & LIVE != 0, "slot {index} was freed twice");
        let site = &self.sites[(link.get() & !LIVE) as usize];
        let region = &self.regions[usize::from(site.region)];
        link.set(region.head.get());
        region.head.set(index);
        site.account.give();
        if site.shared {
            region.account.give();
        }
    }

    /// Slots handed out and not taken back.
    pub(crate) fn live(&self) -> u32 {
        self.links.iter().filter(|link| link.get() & LIVE != 0 && link.get() != END).count() as u32
    }

    /// The counters of a site of the map.
    pub(crate) fn counters(&self, id: SiteId) -> Counters {
        let Some(site) = self.sites.get(usize::from(id.0)) else { return Counters::default() };
        let mark = LIVE | u32::from(id.0);
        Counters {
            live: self.links.iter().filter(|link| link.get() == mark).count() as u32,
            peak: site.account.capacity - site.low.get(),
            granted: site.granted.get(),
            refused: site.refused.get(),
        }
    }

    /// Bytes of an object of the site, if the map has it.
    pub(crate) fn size(&self, site: SiteId) -> Option<usize> {
        let site = self.sites.get(usize::from(site.0))?;
        (site.account.capacity > 0).then_some(site.size as usize)
    }
}
