//! Where is what within a stride? The three slabs, and the books that are kept beside them.
//!
//! ```text
//! 0 ........... low ....... base ............. TOP .................. HIGH ........ END ... STRIDE
//! |  hole       | low slab  |  cache slab, k·W  |  pools  |  entries   | high slab   |  hole  |
//!               | the stack | stack: from the   |  a line |  4 bytes a | objects of  |
//!               | spills    | bottom, downwards |  a site |  line of   | any size    |
//!               | into it   | globals, regions  |         |  the slabs |             |
//! ```
//!
//! Everything that a free needs stands at a distance from the object's stride that the compiler knows,
//! so that it follows no pointer. On huge pages all of it lies on the page that the cache slab lies on,
//! which is larger than any part.
//!
//! A place in the slabs is its offset within the stride divided by 16: that is also four times the number
//! of its line, and so the distance of its entry from the first one.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::arena::STRIDE;
use crate::layout::LINE;
use crate::map::{MAX_IDS, SiteSpec};
use crate::sys::HUGE_PAGE;

/// The end of the cache slab, in bytes from the start of the stride. A multiple of every way size.
pub(crate) const TOP: usize = 9 << 20;
/// Bytes of the largest cache slab there is room for.
pub(crate) const LARGEST_SLAB: usize = 6 << 20;
/// The largest way that `TOP` is a multiple of.
pub(crate) const LARGEST_WAY: usize = 1 << 20;
/// One pool a site, then one a region.
const POOLS: usize = TOP;
/// Entries of every line from the lowest of the largest cache slab to the end of the high slab.
const ENTRIES: usize = POOLS + 2 * MAX_IDS * LINE;
/// Where the entry of place 0 would be.
const ENTRY_0: usize = ENTRIES - (TOP - LARGEST_SLAB) / PLACE;
/// Where the high slab starts, and where everything ends.
pub(crate) const HIGH: usize =
    (ENTRIES + (END - (TOP - LARGEST_SLAB)) / PLACE).next_multiple_of(LINE);
pub(crate) const END: usize = 10 << 20;
/// Bytes that one step of a place stands for, and its steps in a line.
pub(crate) const PLACE: usize = 16;
pub(crate) const STEP_OF_LINE: u32 = (LINE / PLACE) as u32;

const _: () = assert!(
    HIGH < END && END <= STRIDE && END.is_multiple_of(HUGE_PAGE) && TOP.is_multiple_of(LARGEST_WAY)
);
const _: () = assert!(PLACE * size_of::<u32>() == LINE && STRIDE / PLACE == 1 << PLACE_BITS);
const _: () = assert!(size_of::<Pool>() == LINE);

/// An entry: the site in the ten highest bits, two bits of kind, a place in the lowest twenty.
///
/// | kind | of | the place is | written by |
/// |---|---|---|---|
/// | FREE | a free slot, or no slot | the next free one of the same pool | owner |
/// | OWN | a live slot of a site with a region of its own | 0 | owner |
/// | SHARED | a live slot of a region that sites share | 0 | owner |
/// | SHARED, no site | an object of the high slab | 0 | owner |
///
/// Other threads look at the entry of an object that they hold to learn its site; C's door also notes there,
/// by `NOWHERE`, that the object is on its way home, to know one that is freed twice.
///
/// So the distance of a live slot's pool is its entry shifted once, less a constant of its kind.
const PLACE_BITS: u32 = 20;
const SITE_SHIFT: u32 = 22;
const PLACE_MASK: u32 = (1 << PLACE_BITS) - 1;
const OWN: u32 = 1 << PLACE_BITS;
const SHARED: u32 = 2 << PLACE_BITS;
pub(crate) const HIGH_OBJECT: u32 = SHARED;
/// From an entry to 64 times its site.
const POOL_SHIFT: u32 = SITE_SHIFT - LINE.trailing_zeros();

const _: () = assert!(MAX_IDS == 1 << (u32::BITS - SITE_SHIFT));

/// No slot: the end of a free list.
pub(crate) const NOWHERE: u32 = PLACE_MASK;

/// The account, the free list and the counters of one site, or of a region that sites share.
///
/// For each, always: free + reserved by permits + live = capacity. Hence whoever holds a reservation
/// finds a slot in the free list. Debug builds check the equation at every step.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// What may still be reserved.
    pub(crate) free: Cell<u32>,
    /// The first free slot; of the region's pool only, if sites share it.
    head: Cell<u32>,
    /// What the entry of a live slot of this site reads.
    pub(crate) mark: Cell<u32>,
    /// Bytes from the site's pool to the one that has its free list: 0 if it has it itself.
    list: Cell<u32>,
    pub(crate) capacity: Cell<u32>,
    /// Bytes of an object.
    pub(crate) size: Cell<u32>,
    /// The least that was ever free.
    pub(crate) low: Cell<u32>,
    /// Counted by debug builds only.
    reserved: Cell<u32>,
    live: Cell<u32>,
    /// The largest object that did not fit, 0 if all did.
    pub(crate) largest: Cell<u32>,
    /// Objects that did not fit.
    pub(crate) oversized: Cell<u64>,
    /// Tasks refused for want of this site.
    pub(crate) refused: Cell<u64>,
    /// Objects that permits had no more of.
    pub(crate) spent: Cell<u32>,
    /// Not 0 if objects that do not fit may be had elsewhere.
    guard: Cell<u32>,
}

impl Pool {
    /// Free to reserved.
    #[inline]
    pub(crate) fn charge(&self, n: u32) {
        let free = self.free.get() - n;
        self.free.set(free);
        if free < self.low.get() {
            self.low.set(free);
        }
        self.check(n as i32, 0);
    }

    /// Reserved to free.
    #[inline]
    pub(crate) fn refund(&self, n: u32) {
        self.free.set(self.free.get() + n);
        self.check(-(n as i32), 0);
    }

    /// One live to free.
    #[inline]
    fn give(&self) {
        self.free.set(self.free.get() + 1);
        self.check(0, -1);
    }

    #[inline]
    fn check(&self, reserved: i32, live: i32) {
        if !cfg!(debug_assertions) {
            return;
        }
        self.reserved.set(self.reserved.get().wrapping_add_signed(reserved));
        self.live.set(self.live.get().wrapping_add_signed(live));
        let sum = self.free.get().checked_add(self.reserved.get());
        let sum = sum.and_then(|sum| sum.checked_add(self.live.get()));
        assert_eq!(sum, Some(self.capacity.get()), "an object was lost or made up: {self:?}");
    }
}

/// What an object's entry says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lies {
    /// In a slot of this site.
    Slot(u16),
    /// In the high slab.
    High,
    /// Nothing that is out starts there.
    Nothing,
}

/// The mapped part of a stride, by its start. Copies are the same unit.
///
/// # Invariants
/// 1. From the first pool to `END` it is mapped, zeroed at first, until its home is freed.
/// 2. The accounts of pools are touched by the owner's thread only; what `open_site` writes is read by all and
///    written by none after it. An entry is touched by the owner while its slot is free, and by whoever
///    holds the object while it is out; the free protocol hands it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit(NonNull<u8>);

impl Unit {
    /// # Safety
    /// The invariants hold of `start`.
    pub(crate) unsafe fn new(start: NonNull<u8>) -> Self {
        Self(start)
    }

    #[inline]
    pub(crate) fn start(self) -> NonNull<u8> {
        self.0
    }

    /// The address of a place.
    ///
    /// # Safety
    /// It is one: of 20 bits.
    #[inline]
    pub(crate) unsafe fn at(self, place: u32) -> NonNull<u8> {
        debug_assert!(place <= PLACE_MASK);
        // SAFETY: a place lies within the stride, which is one reservation.
        unsafe { self.0.add(place as usize * PLACE) }
    }

    /// The place of an address in this stride.
    #[inline]
    pub(crate) fn place(self, address: usize) -> u32 {
        place(address & (STRIDE - 1))
    }

    /// The pool of a site.
    #[inline]
    pub(crate) fn pool<'u>(self, site: u16) -> &'u Pool {
        self.pool_line(usize::from(site) % MAX_IDS)
    }

    /// The pool of a region that sites share, by its index in the map.
    pub(crate) fn region<'u>(self, index: u16) -> &'u Pool {
        self.pool_line(MAX_IDS + usize::from(index) % MAX_IDS)
    }

    /// The pool at a distance from that of site 0.
    ///
    /// # Safety
    /// The distance is 64 times a number below 2 `MAX_IDS`.
    #[inline]
    pub(crate) unsafe fn pool_at<'u>(self, distance: u32) -> &'u Pool {
        // SAFETY: one of the lines of (1), as in `pool_line`.
        unsafe { self.0.add(POOLS + distance as usize).cast().as_ref() }
    }

    #[inline]
    fn pool_line<'u>(self, line: usize) -> &'u Pool {
        // SAFETY: one of the lines of (1), all of whose bit patterns are pools; by (2) and as `Pool` is
        // made of cells, no reference to it is unique. Callers keep none beyond the home's life.
        unsafe { self.0.add(POOLS + line * LINE).cast().as_ref() }
    }

    /// The pool whose free list the slots of `site` are in.
    #[inline]
    pub(crate) fn list<'u>(self, site: u16) -> &'u Pool {
        let line = usize::from(site) % MAX_IDS;
        self.pool_line((line + self.pool(site).list.get() as usize / LINE) % (2 * MAX_IDS))
    }

    /// The entry of a place in the slabs.
    ///
    /// # Safety
    /// A line of the cache slab or of the high slab starts there.
    #[inline]
    pub(crate) unsafe fn entry<'u>(self, place: u32) -> &'u AtomicU32 {
        debug_assert!(
            place.is_multiple_of(4)
                && (TOP - LARGEST_SLAB..END).contains(&(place as usize * PLACE))
        );
        // SAFETY: within the entries of (1), as promised, aligned, and of a type that takes any bit pattern and any number of references.
        unsafe { self.0.add(ENTRY_0 + place as usize).cast().as_ref() }
    }

    /// Takes the first slot of a free list for the site of that mark; returns its place.
    ///
    /// # Safety
    /// They are a list and a mark of this unit, and the caller has reserved a slot of both, so that by the
    /// equation of [`Pool`] the list is not empty.
    #[inline]
    pub(crate) unsafe fn take(self, list: &Pool, mark: u32) -> u32 {
        if cfg!(debug_assertions) {
            let site = self.pool((mark >> SITE_SHIFT) as u16);
            site.check(-1, 1);
            if !std::ptr::eq(list, site) {
                list.check(-1, 1);
            }
        }
        let place = list.head.get();
        // SAFETY: of a slot, as the list is not empty.
        let entry = unsafe { self.entry(place) };
        list.head.set(entry.load(Ordering::Relaxed));
        entry.store(mark, Ordering::Relaxed);
        place
    }

    /// Takes a live slot back, if the place is one of a site with a region of its own: the short way.
    ///
    /// # Safety
    /// An object that is out starts there, and the caller gives it up.
    #[inline]
    #[must_use]
    pub(crate) unsafe fn give_own(self, place: u32) -> bool {
        // SAFETY: as promised.
        let entry = unsafe { self.entry(place) };
        let mark = entry.load(Ordering::Relaxed);
        if mark & OWN == 0 {
            return false;
        }
        // The place of a live slot is 0, but for one that comes home, and that takes the long way.
        let pool = (mark >> POOL_SHIFT) - (OWN >> POOL_SHIFT);
        // SAFETY: 64 times the site.
        let pool = unsafe { self.pool_at(pool) };
        pool.give();
        entry.store(pool.head.get(), Ordering::Relaxed);
        pool.head.set(place);
        true
    }

    /// Takes a live slot back.
    ///
    /// # Safety
    /// A slot that is out starts there, and the caller gives it up.
    pub(crate) unsafe fn give(self, place: u32) {
        // SAFETY: as promised.
        let entry = unsafe { self.entry(place) };
        let mark = entry.load(Ordering::Relaxed);
        debug_assert!(mark & (OWN | SHARED) != 0, "nothing that is out lies at place {place}");
        let site = (mark >> SITE_SHIFT) as u16;
        let (pool, list) = (self.pool(site), self.list(site));
        pool.give();
        if !std::ptr::eq(pool, list) {
            list.give();
        }
        entry.store(list.head.get(), Ordering::Relaxed);
        list.head.set(place);
    }

    /// What lies at a place of which it is not known that anything does.
    pub(crate) fn lies(self, place: u32) -> Lies {
        let bytes = place as usize * PLACE;
        if !place.is_multiple_of(4)
            || !(TOP - LARGEST_SLAB..TOP).contains(&bytes) && !(HIGH..END).contains(&bytes)
        {
            return Lies::Nothing;
        }
        // SAFETY: of a line of one of the two, as was just seen.
        let mark = unsafe { self.entry(place) }.load(Ordering::Relaxed);
        match mark & (OWN | SHARED) {
            0 => Lies::Nothing,
            _ if bytes < TOP => Lies::Slot((mark >> SITE_SHIFT) as u16),
            _ => Lies::High,
        }
    }

    /// Opens the books of a site: with a region of its own, or with that of `shared`.
    pub(crate) fn open_site(self, spec: &SiteSpec, shared: Option<u16>) {
        let pool = self.pool(spec.id.0);
        let line = usize::from(spec.id.0) % MAX_IDS;
        let kind = if shared.is_some() { SHARED } else { OWN };
        pool.mark.set(kind | (line as u32) << SITE_SHIFT);
        pool.list.set(match shared {
            Some(region) => ((MAX_IDS + usize::from(region) % MAX_IDS - line) * LINE) as u32,
            None => 0,
        });
        pool.size.set(spec.size as u32);
        pool.guard.set(spec.guard.into());
        pool.open(spec.cap);
    }

    /// Opens the books of a region that sites share.
    pub(crate) fn open_region(self, region: u16, slots: u32) {
        self.region(region).open(slots);
    }

    /// Puts slots into the free list of a pool, the lowest first.
    ///
    /// # Safety
    /// They are slots of the cache slab, in no list, and nobody has them.
    pub(crate) unsafe fn fill(self, list: &Pool, first: u32, step: u32, slots: u32) {
        for nth in (0..slots).rev() {
            let place = first + nth * step;
            // SAFETY: as promised.
            unsafe { self.entry(place) }.store(list.head.get(), Ordering::Relaxed);
            list.head.set(place);
        }
    }
}

impl Pool {
    /// Whether objects that do not fit may be had elsewhere.
    pub(crate) fn guard(&self) -> bool {
        self.guard.get() != 0
    }

    fn open(&self, capacity: u32) {
        self.free.set(capacity);
        self.low.set(capacity);
        self.capacity.set(capacity);
        self.head.set(NOWHERE);
    }
}

/// The place of an offset in its stride.
#[inline]
pub(crate) fn place(offset: usize) -> u32 {
    (offset / PLACE) as u32
}

/// The place that an entry names.
pub(crate) fn place_in(entry: u32) -> u32 {
    entry & PLACE_MASK
}
