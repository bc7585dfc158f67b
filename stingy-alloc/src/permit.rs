//! The right to allocate: everything that a batch of one stage needs, reserved before it starts.

use std::any::type_name;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use crate::fallback::Reason;
use crate::home::Home;
use crate::map::{MAX_ALLOCS, SiteId, StageId};
use crate::object::Object;
use crate::site::Site;
use crate::slot::Slot;
use crate::stage::{Need, Stage};
use crate::unit::{Pool, Unit};

/// A permit allocates without fail for [`granted`](Self::granted) tasks of one stage.
///
/// What is not used goes back when it is dropped. A permit that is leaked costs its capacity, nothing else.
/// Permits may be held side by side; but never wait for one while holding another.
///
/// It ends before its slab, and stays on its thread; its objects need neither:
///
/// ```compile_fail
/// # use stingy_alloc::{GlobalKind, MemoryMap, Options, Slab, StageId};
/// # let builder = MemoryMap::builder().global(64, GlobalKind::Final).site("request", 64, 8);
/// # let map = builder.stage("parse", &[], &[("request", 1)]).build().unwrap();
/// let slab = Slab::new(&map, Options::default()).unwrap();
/// let permit = slab.admit(StageId(0), 1);
/// drop(slab);
/// let granted = permit.granted();
/// ```
///
/// ```compile_fail
/// # use stingy_alloc::{GlobalKind, MemoryMap, Options, Slab, StageId};
/// # let builder = MemoryMap::builder().global(64, GlobalKind::Final).site("request", 64, 8);
/// # let map = builder.stage("parse", &[], &[("request", 1)]).build().unwrap();
/// let slab = Slab::new(&map, Options::default()).unwrap();
/// let permit = slab.admit(StageId(0), 1);
/// std::thread::scope(|scope| {
///     scope.spawn(|| permit.granted());
/// });
/// ```
#[must_use = "dropping a permit returns what it reserved"]
pub struct Permit<'s> {
    home: &'s Home,
    table: &'s Stage,
    /// Objects of each need that were taken, or are a lane's.
    used: [Cell<u32>; MAX_ALLOCS],
    granted: usize,
    stage: StageId,
}

/// An allocation that the permit does not cover. Nothing was allocated; it counts as `no_permit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PermitError {
    /// The map lists no such site for the stage.
    #[error("stage {} allocates nothing at site {}; list it in alloc= of the stage in the map", .stage.0, .site.0)]
    NotInStage {
        /// The stage of the permit.
        stage: StageId,
        /// The site asked for.
        site: SiteId,
    },
    /// The permit is a refusal: it admits no task.
    #[error("stage {} was refused: no task may run, so look at granted() first, and ask again later", .stage.0)]
    Refused {
        /// The stage of the permit.
        stage: StageId,
    },
    /// Everything reserved at the site is used.
    #[error("the tasks admitted to stage {} have used all they may of site {}; raise its count in alloc= of the stage, or admit more tasks", .stage.0, .site.0)]
    Spent {
        /// The stage of the permit.
        stage: StageId,
        /// The site asked for.
        site: SiteId,
    },
    /// The [`Site`] is one of another slab.
    #[error("site {} is one of another slab; look it up in the slab of the permit", .site.0)]
    OtherSlab {
        /// The site asked for.
        site: SiteId,
    },
    /// More bytes than the site has, and the map says `guard=off`: that this never happens.
    #[error("{wanted} bytes at site {}, which has fewer and no guard; write guard=on in the map, or size={wanted}", .site.0)]
    TooLarge {
        /// The site asked for.
        site: SiteId,
        /// Bytes asked for; `u32::MAX` stands for more as well.
        wanted: u32,
    },
}

/// A value that found no place, and why.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct PutError<T> {
    /// The value.
    pub value: T,
    /// What the permit does not cover.
    pub why: PermitError,
}

impl<'s> Permit<'s> {
    /// A permit for what was reserved for `granted` tasks.
    #[inline]
    pub(crate) fn new(home: &'s Home, table: &'s Stage, granted: usize, stage: StageId) -> Self {
        Self { home, table, used: [const { Cell::new(0) }; MAX_ALLOCS], granted, stage }
    }

    /// Tasks that may run; 0 is a refusal.
    #[inline]
    pub fn granted(&self) -> usize {
        self.granted
    }

    /// The stage it was granted for.
    pub fn stage(&self) -> StageId {
        self.stage
    }

    /// One object of `site`, as bytes: all that it has, with whatever the last object there left in them.
    /// Cannot fail for as many objects as the map lists for the stage, times the tasks granted.
    #[inline]
    pub fn alloc(&self, site: SiteId) -> Result<Slot, PermitError> {
        let (used, need) = self.account(site)?;
        if used.get() == need.of_tasks(self.granted) {
            return Err(self.spent(site));
        }
        used.set(used.get() + 1);
        let unit = self.home.unit;
        let pool = need.site_in(unit);
        // SAFETY: reserved, and counted as used.
        let place = unsafe { unit.take(need.list_in(unit), pool.mark.get()) };
        // SAFETY: just taken, and its bytes are mapped and initialised for as long as it is out.
        Ok(unsafe { Slot::in_slab(unit.at(place), pool.size.get() as usize) })
    }

    /// The same, a whole object, if `len` bytes fit into one. If they do not, exactly `len` bytes of the high
    /// slab or the system, counted as [`Reason::SizeGuard`] and at the site, and nothing of the permit is
    /// used; unless the map says `guard=off`, which makes it an error.
    #[inline]
    pub fn alloc_len(&self, site: SiteId, len: usize) -> Result<Slot, PermitError> {
        let (_, need) = self.account(site)?;
        let pool = need.site_in(self.home.unit);
        if len <= pool.size.get() as usize {
            return self.alloc(site);
        }
        if pool.guard() {
            return Ok(self.home.oversize(site, len));
        }
        let wanted = u32::try_from(len).unwrap_or(u32::MAX);
        Err(self.refuse(PermitError::TooLarge { site, wanted }))
    }

    /// Moves a value into an object of its site.
    #[inline]
    pub fn put<T>(&self, site: Site<'_, T>, value: T) -> Result<Object<T>, PutError<T>> {
        match self.lane(site).and_then(|lane| lane.take().ok_or_else(|| self.spent(site.id()))) {
            Ok(object) => Ok(Object::write(object, value)),
            Err(why) => Err(PutError { value, why }),
        }
    }

    /// All that is left of one site, for a loop that allocates many of its objects. What the lane does not
    /// use comes back to the permit when it is dropped.
    #[inline]
    pub fn lane<T>(&self, site: Site<'_, T>) -> Result<Lane<'_, T>, PermitError> {
        let unit = self.home.unit;
        let id = site.id();
        if site.unit() != unit {
            return Err(self.refuse(PermitError::OtherSlab { site: id }));
        }
        let (used, need) = self.account(id)?;
        let (mark, list) = (need.site_in(unit).mark.get(), need.list_in(unit));
        let all = need.of_tasks(self.granted);
        let left = Cell::new(all - used.replace(all));
        Ok(Lane { used, left, mark, list, unit, of: PhantomData })
    }

    /// Objects used of a site of the stage, and what a task needs of it.
    #[inline]
    fn account(&self, site: SiteId) -> Result<(&Cell<u32>, &'s Need), PermitError> {
        let same = |(_, need): &(&Cell<u32>, &Need)| need.site() == site.0;
        match self.used.iter().zip(self.table.needs()).find(same) {
            Some(account) => Ok(account),
            None => Err(self.refuse(PermitError::NotInStage { stage: self.stage, site })),
        }
    }

    #[inline]
    pub(crate) fn home(&self) -> &'s Home {
        self.home
    }

    #[inline]
    pub(crate) fn table(&self) -> &'s Stage {
        self.table
    }

    /// An object of the need at that place, if it has `size` bytes and one is left.
    #[inline]
    pub(crate) fn alloc_at(&self, at: usize, size: usize) -> Option<NonNull<u8>> {
        let (need, used) = (self.table.needs().get(at)?, &self.used[at]);
        let (unit, pool) = (self.home.unit, self.home.site(need));
        if size > pool.size.get() as usize || used.get() == need.of_tasks(self.granted) {
            return None;
        }
        used.set(used.get() + 1);
        // SAFETY: reserved, and counted as used; the place of a slot is one.
        Some(unsafe { unit.at(unit.take(need.list_in(unit), pool.mark.get())) })
    }

    /// An object of `site`, if it has `size` bytes and one is left.
    pub(crate) fn alloc_bytes(&self, site: SiteId, size: usize) -> Option<NonNull<[u8]>> {
        let needs = self.table.needs();
        let at = needs.iter().position(|need| need.site() == site.0)?;
        let object = self.alloc_at(at, size)?;
        let room = self.home.site(&needs[at]).size.get() as usize;
        Some(NonNull::slice_from_raw_parts(object, room))
    }

    #[cold]
    fn spent(&self, site: SiteId) -> PermitError {
        if self.granted == 0 {
            return self.refuse(PermitError::Refused { stage: self.stage });
        }
        let spent = &self.home.unit.pool(site.0).spent;
        spent.set(spent.get().saturating_add(1));
        self.refuse(PermitError::Spent { stage: self.stage, site })
    }

    #[cold]
    fn refuse(&self, error: PermitError) -> PermitError {
        self.home.fallbacks.count(Reason::NoPermit);
        error
    }
}

/// Takes a slot if one is left.
///
/// # Safety
/// What is left was reserved for the caller, of that list and mark of that unit.
#[inline]
unsafe fn pop(unit: Unit, list: &Pool, mark: u32, left: &Cell<u32>) -> Option<u32> {
    // Written first: one instruction that subtracts and tells.
    let (less, none) = left.get().overflowing_sub(1);
    left.set(less);
    if none {
        left.set(0);
        return None;
    }
    // SAFETY: one was left.
    Some(unsafe { unit.take(list, mark) })
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        let (plain, unit) = (self.table.plain(), self.home.unit);
        for (used, need) in self.used.iter().zip(plain) {
            need.site_in(unit).refund(self.granted as u32 - used.get());
        }
        if plain.is_empty() {
            // By value: what has its address taken lies in memory, also where this is not called.
            refund_any(self.home, self.table, self.granted, self.used.each_ref().map(Cell::get));
        }
    }
}

#[inline(never)]
fn refund_any(home: &Home, table: &Stage, granted: usize, used: [u32; MAX_ALLOCS]) {
    for (used, need) in used.into_iter().zip(table.needs()) {
        home.refund(need, need.of_tasks(granted) - used);
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permit(stage {}, {} tasks)", self.stage.0, self.granted)
    }
}

/// What a permit had left of one site. Lanes of several sites may be used side by side.
///
/// It ends before its permit does:
///
/// ```compile_fail
/// # use stingy_alloc::{GlobalKind, MemoryMap, Options, Slab, StageId};
/// # let builder = MemoryMap::builder().global(64, GlobalKind::Final).site("request", 64, 8);
/// # let map = builder.stage("parse", &[], &[("request", 1)]).build().unwrap();
/// let slab = Slab::new(&map, Options::default()).unwrap();
/// let permit = slab.admit(StageId(0), 1);
/// let lane = permit.lane(slab.site::<u64>("request").unwrap()).unwrap();
/// drop(permit);
/// let left = lane.left();
/// ```
///
/// # Invariants
/// 1. Slots of the pool are large and aligned enough for a `T`.
pub struct Lane<'p, T> {
    /// The permit's account, and what of it is this lane's.
    used: &'p Cell<u32>,
    left: Cell<u32>,
    mark: u32,
    list: &'p Pool,
    unit: Unit,
    of: PhantomData<fn() -> T>,
}

impl<T> Lane<'_, T> {
    /// Objects that can still be allocated.
    pub fn left(&self) -> usize {
        self.left.get() as usize
    }

    /// Moves a value into an object; gives it back if none is left.
    #[inline]
    pub fn put(&self, value: T) -> Result<Object<T>, T> {
        match self.take() {
            Some(object) => Ok(Object::write(object, value)),
            None => Err(value),
        }
    }

    /// An object without a value, as `malloc` gives it; `None` if none is left.
    #[inline]
    pub fn take(&self) -> Option<Object<MaybeUninit<T>>> {
        // SAFETY: what is left is this lane's.
        let place = unsafe { pop(self.unit, self.list, self.mark, &self.left) }?;
        // SAFETY: just taken, and by (1) good for a `T`.
        Some(unsafe { Object::from_raw(self.unit.at(place).cast()) })
    }
}

impl<T> fmt::Debug for Lane<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lane({} of {})", self.left(), type_name::<T>())
    }
}

impl<T> Drop for Lane<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.used.set(self.used.get() - self.left.get());
    }
}
