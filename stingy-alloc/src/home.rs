//! What a slab and its objects share: memory, books, the way home. It lives until the last of them goes.

use std::cell::Cell;
use std::io::{self, Write};
use std::ptr::NonNull;
use std::sync::Arc;

use crate::adapt;
use crate::arena::{self, STRIDE};
use crate::atomics::{AtomicU64, Ordering};
use crate::backing::Mapping;
use crate::claim::Claim;
use crate::fallback::{Fallbacks, Reason, Seal};
use crate::high::High;
use crate::layout::Layout;
use crate::links::Links;
use crate::map::{MemoryMap, Section, SiteId};
use crate::remote::{Pushed, Remote};
use crate::slab::Options;
use crate::slot::Slot;
use crate::stage::{self, Need, Stage};
use crate::thread;
use crate::unit::{self, Lies, Pool, TOP, Unit};

/// Called from the thread that freed an object, when the owner had refused a permit for want of one. It may
/// run within a deallocation, so it must not panic: under [`adapt::Global`] that ends the process.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// On lines of its own (two, as processors fetch them in pairs), so that a push does not take away what the
/// owner is using.
#[repr(align(128))]
struct Apart<T>(T);

/// The shared part of one slab.
///
/// # Invariants
/// 1. Allocated by `Box`; freed once: by the owner if no object is out when it goes, else by the last object.
/// 2. An object that is out lies in this home's stride, so this is alive and in the arena's table as long
///    as that object has not been given back.
/// 3. Of this, other threads use `owner`, `remote`, `links` and `wake`, and read `unit` and `lost`, which nobody
///    writes while there are other threads. All the rest is touched by the owner's thread only, while
///    `owner` is its number; after that only by whoever frees this.
/// 4. A place is out at most once: the free list hands it out, and gets it back before it does so again.
///    Slots are disjoint and lie in the cache slab, so the bytes of two objects that are out are disjoint.
pub(crate) struct Home {
    /// The number of the owner's thread, or `NOBODY` once the slab is gone. Stored by the owner only,
    /// so every thread reads either "mine" and is the owner, or "not mine": Relaxed is enough.
    owner: AtomicU64,
    pub(crate) unit: Unit,
    pub(crate) stages: Box<[Stage]>,
    pub(crate) links: Links,
    pub(crate) claim: Claim,
    pub(crate) fallbacks: Fallbacks,
    pub(crate) seal: Cell<Seal>,
    high: High,
    remote: Apart<Remote>,
    wake: Option<Wake>,
    /// Whether a child made by `fork` has a copy of the memory.
    copied: bool,
    /// Set in a child that has not: nothing of the unit can be touched.
    lost: Cell<bool>,
    /// As it was scaled to this cache.
    pub(crate) map: MemoryMap,
    /// Keeps the unit mapped.
    pub(crate) mapping: Mapping,
}

impl Home {
    /// A home owned by this thread.
    pub(crate) fn new(mapping: Mapping, map: MemoryMap, options: &Options) -> NonNull<Self> {
        let start = mapping.stride().pages().start();
        // SAFETY: mapped as long as the home, which owns the mapping; only the home touches it from here on.
        let unit = unsafe { Unit::new(start) };
        let links = open(unit, map.section());
        let stages = stage::table(map.section());
        // SAFETY: as above, and the home makes this one only.
        let high = unsafe { High::new(unit) };
        let home = Box::new(Self {
            owner: AtomicU64::new(thread::own()),
            unit,
            stages,
            links,
            claim: Claim::default(),
            fallbacks: Fallbacks::default(),
            seal: Cell::new(options.seal),
            high,
            remote: Apart(Remote::new()),
            wake: options.wake.clone(),
            copied: options.fork_copies,
            lost: Cell::new(false),
            map,
            mapping,
        });
        let this = NonNull::from(Box::leak(home));
        // SAFETY: just made.
        unsafe { this.as_ref() }.mapping.stride().settle(this);
        thread::settle(start);
        this
    }

    /// Frees it.
    ///
    /// # Safety
    /// By (1) the caller's to free.
    unsafe fn take_down(home: NonNull<Self>) {
        // SAFETY: as promised; made by `Box`.
        let home = unsafe { Box::from_raw(home.as_ptr()) };
        home.mapping.stride().retract();
    }

    /// For how many tasks a need is there.
    #[inline]
    pub(crate) fn grantable(&self, need: &Need) -> u32 {
        let site = self.site(need).free.get();
        // Nearly every count is 1, and a division costs as much as all the rest.
        let site = if need.count == 1 { site } else { site / need.count.max(1) };
        match need.of_region {
            0 => site,
            of_region => site.min(self.region(need).free.get() / of_region),
        }
    }

    /// Reserves objects that are there.
    #[inline]
    pub(crate) fn charge(&self, need: &Need, objects: u32) {
        self.site(need).charge(objects);
        if need.of_region > 0 {
            self.region(need).charge(objects);
        }
    }

    /// Returns objects that were reserved and not used.
    #[inline]
    pub(crate) fn refund(&self, need: &Need, objects: u32) {
        self.site(need).refund(objects);
        if need.of_region > 0 {
            self.region(need).refund(objects);
        }
    }

    /// The pool of the site of a need.
    #[inline]
    pub(crate) fn site(&self, need: &Need) -> &Pool {
        need.site_in(self.unit)
    }

    /// The pool of the region of a need, if sites share it.
    #[inline]
    pub(crate) fn region(&self, need: &Need) -> &Pool {
        need.region_in(self.unit)
    }

    /// What one object of a site takes; `None` if the map has no such site.
    pub(crate) fn need(&self, site: SiteId) -> Option<Need> {
        let section = self.map.section();
        let known = section.sites.iter().any(|spec| spec.id == site) && !self.lost.get();
        known.then(|| Need::of(section, &[(site, 1)], site, 1))
    }

    /// One object of a need.
    ///
    /// # Safety
    /// It is one of this home, and was charged for an object that is not taken yet.
    pub(crate) unsafe fn pop(&self, need: &Need) -> Slot {
        let (unit, pool) = (self.unit, self.site(need));
        // SAFETY: reserved, as promised; and what was just taken is mapped for as long as it is out.
        unsafe {
            let place = unit.take(need.list_in(unit), pool.mark.get());
            Slot::in_slab(unit.at(place), pool.size.get() as usize)
        }
    }

    /// `len` bytes for an object of a site that has fewer.
    #[cold]
    pub(crate) fn oversize(&self, site: SiteId, len: usize) -> Slot {
        self.count_oversize(site, len);
        self.outside(Reason::SizeGuard, site, len)
    }

    /// Counts, at the site, an object that it has not got the bytes for.
    pub(crate) fn count_oversize(&self, site: SiteId, len: usize) {
        if !self.lost.get() {
            let pool = self.unit.pool(site.0);
            pool.oversized.set(pool.oversized.get() + 1);
            let len = u32::try_from(len).unwrap_or(u32::MAX);
            pool.largest.set(pool.largest.get().max(len));
        }
    }

    /// `len` bytes of the high slab, or of the system allocator where it has none.
    #[cold]
    pub(crate) fn outside(&self, reason: Reason, site: SiteId, len: usize) -> Slot {
        match self.outside_in_slab(reason, site, len) {
            // SAFETY: just allocated, of that length, and alive as long as it is out.
            Some(object) => unsafe { Slot::in_slab(object, len) },
            None => Slot::heap(len),
        }
    }

    /// `len` bytes of the high slab; `None` if it has none, and the system allocator is to be called.
    pub(crate) fn outside_in_slab(
        &self,
        reason: Reason,
        site: SiteId,
        len: usize,
    ) -> Option<NonNull<u8>> {
        self.fallbacks.count(reason);
        let high = if self.lost.get() { None } else { self.high.alloc(len) };
        if high.is_none() {
            self.unseal(reason, Some(site), len);
        }
        high
    }

    /// The system allocator is about to be called, for `site` if it is known.
    pub(crate) fn unseal(&self, reason: Reason, site: Option<SiteId>, len: usize) {
        if self.seal.get() == Seal::Open {
            return;
        }
        self.fallbacks.count(Reason::Sealed);
        if self.seal.get() == Seal::Abort {
            let spec = self.map.sites().iter().find(|spec| Some(spec.id) == site);
            let name = spec.map_or("unknown", |spec| spec.name.as_str());
            // What is written may allocate, and must not come here again.
            adapt::outside(|| {
                let _ = writeln!(
                    io::stderr(),
                    "stingy-alloc: the slab is sealed, and site `{name}` asks the system for {len} bytes ({reason}); raise its size or cap in the map, or seal with Seal::Count"
                );
            });
            std::process::abort();
        }
    }

    /// Frees objects that came home; returns how many.
    pub(crate) fn drain(&self) -> u32 {
        if self.lost.get() || self.remote.0.len() == 0 {
            return 0;
        }
        self.remote.0.drain(|number| {
            let below = self.links.below(number);
            // SAFETY: it was out, and who had it sent it home.
            unsafe { self.give(self.links.place(number)) };
            below
        })
    }

    /// Takes an object back on the owner's thread.
    ///
    /// # Safety
    /// The object at `place` is out, and the caller gives it up.
    unsafe fn give(&self, place: u32) {
        match self.unit.lies(place) {
            // SAFETY: as promised, and it is of the high slab.
            Lies::High => unsafe { self.high.give(place) },
            // SAFETY: as promised, and it is a slot.
            _ => unsafe { self.unit.give(place) },
        }
    }

    /// After a refusal: has the next free from another thread wake the owner. True if something came
    /// home meanwhile, so that the refusal must be decided again.
    pub(crate) fn wait_for_frees(&self) -> bool {
        self.wake.is_some() && !self.remote.0.hunger()
    }

    /// Objects that are out, those on their way home counted.
    pub(crate) fn live(&self) -> u32 {
        if self.lost.get() {
            return 0;
        }
        self.high.live() + self.count(|_| true)
    }

    /// Objects of one site that are out.
    pub(crate) fn live_of(&self, site: SiteId) -> u32 {
        self.count(|of| of == site.0)
    }

    fn count(&self, wanted: impl Fn(u16) -> bool) -> u32 {
        let places = self.links.regions().iter().flat_map(|slots| slots.places());
        let live = places.filter(|place| match self.unit.lies(*place) {
            Lies::Slot(site) => wanted(site),
            Lies::High | Lies::Nothing => false,
        });
        live.count() as u32
    }

    /// Objects of the high slab that are out.
    pub(crate) fn live_high(&self) -> u32 {
        self.high.live()
    }

    /// Whether another thread owns it, or nobody any more.
    pub(crate) fn is_elsewhere(&self) -> bool {
        !self.lost.get() && !thread::is(self.owner.load(Ordering::Relaxed))
    }

    /// Whether the memory is that of a parent process.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.get()
    }

    /// The owner goes. Objects that are out stay valid; the last of them frees the memory.
    ///
    /// # Safety
    /// `home` points to a living home; called once, by the owner's thread, which does not use it again.
    pub(crate) unsafe fn close(home: NonNull<Self>) {
        // SAFETY: alive until closed, as promised.
        let this = unsafe { home.as_ref() };
        if this.lost.get() {
            return;
        }
        // From here on this thread's frees take the same way as everybody's.
        this.owner.store(thread::NOBODY, Ordering::Relaxed);
        thread::leave(this.unit.start());
        this.drain();
        let live = this.live();
        // SAFETY: alive until closed; `this` is not used after it, nor `home` unless nobody else can.
        if unsafe { Remote::close(&raw const (*home.as_ptr()).remote.0, live) } {
            // SAFETY: no object is out, so by (1) it is ours to free.
            unsafe { Self::take_down(home) };
        }
    }

    /// After `fork`, in the child: forgets the slabs whose memory it has not got.
    pub(crate) extern "C" fn all_are_lost() {
        for home in arena::homes() {
            // SAFETY: in the table, so neither half made nor half freed; and the child has no other
            // thread that could free it.
            let home = unsafe { home.as_ref() };
            if !home.copied {
                thread::leave(home.unit.start());
                adapt::leave(home);
                home.mapping.leave_a_hole();
                home.lost.set(true);
                home.stages.iter().for_each(Stage::forget);
            }
        }
    }
}

/// Opens the books of a section: what is free is everything.
fn open(unit: Unit, section: &Section) -> Links {
    let layout = Layout::new(section);
    let base = TOP - section.geometry.slab_bytes();
    for site in &section.sites {
        let region = stage::region_of(section, site.id);
        let shared = stage::is_shared(section, site.id).then_some(region);
        unit.open_site(site, shared);
    }
    let regions = section.regions.iter().zip(&layout.regions).zip(0..);
    let slots = regions.map(|((spec, range), index)| {
        let place = |bytes: usize| (bytes / unit::PLACE) as u32;
        let (first, step) = (place(base + range.start), place(spec.slot));
        let of_region = |site: &&crate::map::SiteSpec| site.region == spec.id;
        let list = match section.sites.iter().filter(of_region).count() {
            1 => section.sites.iter().find(of_region).map(|site| unit.pool(site.id.0)),
            _ => None,
        };
        let list = list.unwrap_or_else(|| {
            unit.open_region(index, spec.slots);
            unit.region(index)
        });
        // SAFETY: those of the region, which the check of the map has within the cache slab.
        unsafe { unit.fill(list, first, step, spec.slots) };
        (first, step, spec.slots)
    });
    Links::new(slots)
}

/// Takes an object back, from any thread. False if the address lies in no slab: the object is another
/// allocator's.
///
/// # Safety
/// If it lies in a slab, an object that is out starts there, and the caller gives it up.
#[inline]
pub(crate) unsafe fn free(object: NonNull<u8>) -> bool {
    let address = object.addr().get();
    let here = thread::here();
    let offset = address.wrapping_sub(here.addr());
    if offset < STRIDE {
        // SAFETY: not null, as it is where this thread's home lies or an address of no stride.
        let start = unsafe { NonNull::new_unchecked(here) };
        // SAFETY: the object is out, so its unit is mapped.
        let unit = unsafe { Unit::new(start) };
        // SAFETY: as promised.
        if unsafe { unit.give_own(unit::place(offset)) } {
            return true;
        }
    }
    // SAFETY: as promised.
    arena::contains(address) && unsafe { free_elsewhere(address) }
}

/// Bytes of the slot that starts there, 0 for what is no slot; `None` if the address lies in no slab.
///
/// # Safety
/// If it lies in a slab, an object that is out starts there.
#[inline]
pub(crate) unsafe fn room(object: NonNull<u8>) -> Option<usize> {
    let address = object.addr().get();
    if !arena::contains(address) {
        return None;
    }
    let home = arena::home_of(address)?;
    // SAFETY: alive by (2), as the object is out.
    let this = unsafe { home.as_ref() };
    let place = this.unit.place(address);
    match this.unit.lies(place) {
        // The size in the map is written before the first object, and never after.
        Lies::Slot(site) => Some(this.unit.pool(site).size.get() as usize),
        Lies::High | Lies::Nothing => Some(0),
    }
}

/// # Safety
/// As for [`free`].
#[cold]
#[inline(never)]
unsafe fn free_elsewhere(address: usize) -> bool {
    let Some(home) = arena::home_of(address) else { return false };
    // SAFETY: alive by (2), as the object is still out.
    let this = unsafe { home.as_ref() };
    let place = this.unit.place(address);
    if this.lost.get() {
        return true;
    }
    if thread::is(this.owner.load(Ordering::Relaxed)) {
        // SAFETY: as promised.
        unsafe { this.give(place) };
    } else {
        // SAFETY: as promised.
        unsafe { send_one(home, place) };
    }
    true
}

/// Sends an object home.
///
/// # Safety
/// The object at `place` is out, of this home, and the caller gives it up.
pub(crate) unsafe fn send_one(home: NonNull<Home>, place: u32) {
    // SAFETY: alive by (2), as the object is out.
    let number = unsafe { home.as_ref() }.links.number(place);
    // SAFETY: as promised.
    unsafe { send_home(home, number, number, 1) };
}

/// Sends `count` objects home, linked from number `first` to number `last`.
///
/// # Safety
/// They are out, all of this home, and the caller gives them up.
pub(crate) unsafe fn send_home(home: NonNull<Home>, first: u32, last: u32, count: u32) {
    let mut wake = None;
    // SAFETY: alive by (2), as this runs before the push.
    let fetch = || wake = unsafe { &(*home.as_ptr()).wake }.clone();
    // SAFETY: the same.
    let links = unsafe { &raw const (*home.as_ptr()).links };
    // SAFETY: the same.
    let set_below = |below| unsafe { &*links }.set_below(last, below);
    // SAFETY: alive by (2) until the push has happened, and nothing is borrowed here that would
    // have to last beyond it; the objects are the caller's, as promised.
    let remote = unsafe { &raw const (*home.as_ptr()).remote.0 };
    // SAFETY: the same.
    match unsafe { Remote::push(remote, first, count, set_below, fetch) } {
        Pushed::HomeHungry => {
            if let Some(wake) = wake {
                wake();
            }
        }
        Pushed::Home | Pushed::Orphan => {}
        // SAFETY: the last object, by the count that the owner left: by (1) ours to free.
        Pushed::Last => unsafe { Home::take_down(home) },
    }
}
