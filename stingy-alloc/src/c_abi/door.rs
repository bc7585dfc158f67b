//! Which slab has this thread, and which reservation does its current stage allocate from?

use std::cell::Cell;
use std::ffi::{CStr, c_uint};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use super::error::Failure;
use crate::backing::Backing;
use crate::fallback::{Reason, Seal};
use crate::layout::LINE;
use crate::map::{MAX_IDS, MapError, MemoryMap, SiteId, StageId};
use crate::permit::Permit;
use crate::slab::{Cycles, Options, Slab, SlabError};
use crate::stage::Need;
use crate::sys;

/// The flags of stingy.h.
const SEAL_COUNT: c_uint = 1;
const SEAL_ABORT: c_uint = 2;
const FORK_COPIES: c_uint = 4;
const CYCLES: c_uint = 8;
const PLAIN_PAGES: c_uint = 16;
const ALL: c_uint = SEAL_COUNT | SEAL_ABORT | FORK_COPIES | CYCLES | PLAIN_PAGES;

thread_local! {
    /// This thread's door, or null. Without a destructor, so that it can be read at any time of a
    /// thread's life; `ENDING` closes it.
    static DOOR: Cell<*mut Door> = const { Cell::new(ptr::null_mut()) };
    static ENDING: Ending = const { Ending };
}

/// Closes the door of its thread when that ends.
struct Ending;

impl Drop for Ending {
    fn drop(&mut self) {
        close();
    }
}

/// The slab of a thread and what it has reserved.
///
/// # Invariants
/// 1. `slab` came out of a `Box`, and lives until this is dropped, after `permit` went.
/// 2. `permit` is one of `slab`. It never leaves this struct, and a reference to it never lasts until
///    `permit` is set, which only `reserve` and `done` do.
/// 3. A need in `needs` is one of `slab`, at the number of its site.
pub(super) struct Door {
    permit: Cell<Option<Permit<'static>>>,
    slab: NonNull<Slab>,
    needs: Box<[Option<Need>]>,
}

/// Makes this thread's slab.
pub(super) fn open(map: &[u8], flags: c_uint) -> Result<(), Failure> {
    let options = options(flags)?;
    if !DOOR.get().is_null() {
        return Err(Failure::Twice);
    }
    // The first look at it is what makes it run at the end of the thread.
    ENDING.try_with(|_| ()).map_err(|_| Failure::Ending)?;
    let map = str::from_utf8(map).map_err(|error| Failure::Utf8(error.valid_up_to()))?;
    let map = MemoryMap::parse(map).map_err(|error: MapError| SlabError::from(error))?;
    let slab = Slab::new(&map, options)?;
    // After that of the slabs, so that it runs after it.
    static IN_CHILD: OnceLock<Result<(), i32>> = OnceLock::new();
    let handler = || sys::after_fork(in_child).map_err(|error| error.raw_os_error().unwrap_or(0));
    if let Err(error) = *IN_CHILD.get_or_init(handler) {
        return Err(Failure::Handler(std::io::Error::from_raw_os_error(error)));
    }
    let needs = (0..MAX_IDS as u16).map(|site| slab.home().need(SiteId(site))).collect();
    let slab = NonNull::from(Box::leak(Box::new(slab)));
    let door = Box::new(Door { permit: Cell::new(None), slab, needs });
    DOOR.set(Box::into_raw(door));
    Ok(())
}

fn options(flags: c_uint) -> Result<Options, Failure> {
    let has = |flag| flags & flag != 0;
    if flags & !ALL != 0 || has(SEAL_COUNT) && has(SEAL_ABORT) {
        return Err(Failure::Flags(flags));
    }
    Ok(Options {
        backing: if has(PLAIN_PAGES) { Backing::Pages } else { Backing::Auto },
        seal: seal_of(flags)?,
        cycles: if has(CYCLES) { Cycles::Escape } else { Cycles::Refuse },
        fork_copies: has(FORK_COPIES),
        ..Options::default()
    })
}

fn seal_of(mode: c_uint) -> Result<Seal, Failure> {
    match mode & (SEAL_COUNT | SEAL_ABORT) {
        0 => Ok(Seal::Open),
        SEAL_COUNT => Ok(Seal::Count),
        SEAL_ABORT => Ok(Seal::Abort),
        _ => Err(Failure::Flags(mode)),
    }
}

/// Drops the slab of this thread, if it has one.
pub(super) fn close() {
    let door = DOOR.replace(ptr::null_mut());
    if !door.is_null() {
        // SAFETY: made from a box by `open`, and nobody can find it any more; `look` does not run.
        drop(unsafe { Box::from_raw(door) });
    }
}

/// In a child made by `fork`: this thread has no slab any more if its memory stayed with the parent. To
/// drop one that is lost touches none of it.
extern "C" fn in_child() {
    if look(|door| door.slab().home().is_lost()) == Some(true) {
        close();
    }
}

/// Runs `work` with this thread's door, if it has one.
#[inline]
pub(super) fn look<T>(work: impl FnOnce(&Door) -> T) -> Option<T> {
    // SAFETY: null, or set by `open` and alive until `close`, which nothing here calls.
    unsafe { DOOR.get().as_ref() }.map(work)
}

/// Runs `work` with this thread's door.
pub(super) fn with<T>(work: impl FnOnce(&Door) -> Result<T, Failure>) -> Result<T, Failure> {
    look(work).unwrap_or(Err(Failure::NoSlab))
}

impl Door {
    pub(super) fn slab(&self) -> &Slab {
        // SAFETY: alive by (1).
        unsafe { self.slab.as_ref() }
    }

    /// Ends the reservation, and makes one for up to `n` tasks of `stage`; for how many it is.
    pub(super) fn reserve(&self, stage: StageId, n: usize) -> Result<usize, Failure> {
        self.done();
        // SAFETY: alive by (1) until the permit is gone, which by (2) is all that keeps it.
        let slab: &'static Slab = unsafe { self.slab.as_ref() };
        let permit = slab.admit(stage, n);
        let granted = permit.granted();
        if granted > 0 {
            self.permit.set(Some(permit));
            return Ok(granted);
        }
        match slab.home().stages.get(usize::from(stage.0)) {
            Some(table) if table.known.get() => Ok(0),
            _ => Err(Failure::Number { kind: "stage", number: stage.0.into() }),
        }
    }

    /// Ends the reservation.
    pub(super) fn done(&self) {
        self.permit.set(None);
    }

    /// An object of `site` with room for `size` bytes, if the reservation has one left.
    #[inline]
    pub(super) fn reserved(&self, site: c_uint, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: nothing here sets it (2), and it is of this thread.
        let permit = unsafe { &*self.permit.as_ptr() }.as_ref()?;
        let pool = u64::from(site) * LINE as u64;
        let at = permit.table().needs().iter().position(|need| u64::from(need.pool) == pool)?;
        permit.alloc_at(at, size)
    }

    /// An object of `site`, or `size` bytes if that is more, from anywhere but the reservation.
    pub(super) fn unreserved(&self, site: c_uint, size: usize) -> Result<NonNull<u8>, Failure> {
        let Some(&Some(need)) = self.needs.get(site as usize) else {
            return Err(Failure::Number { kind: "site", number: site });
        };
        let (slab, site) = (self.slab(), SiteId(need.site()));
        let home = slab.home();
        let room = home.site(&need).size.get() as usize;
        if size > room {
            home.count_oversize(site, size);
            return self.outside(Reason::SizeGuard, site, size);
        }
        if home.grantable(&need) > 0 {
            home.charge(&need, 1);
            // SAFETY: just charged.
            return Ok(unsafe { home.pop(&need) }.into_memory());
        }
        match slab.take(site) {
            Some(object) => Ok(object.into_memory()),
            None => self.outside(Reason::NoPermit, site, room),
        }
    }

    /// `len` bytes of the high slab, or of malloc.
    fn outside(&self, reason: Reason, site: SiteId, len: usize) -> Result<NonNull<u8>, Failure> {
        let high = self.slab().home().outside_in_slab(reason, site, len);
        high.or_else(|| sys::malloc(len)).ok_or(Failure::Memory(len))
    }

    pub(super) fn stage_named(&self, name: Option<&CStr>) -> Result<StageId, Failure> {
        named("stage", name, |name| self.slab().map().stage_named(name))
    }

    pub(super) fn site_named(&self, name: Option<&CStr>) -> Result<SiteId, Failure> {
        named("site", name, |name| self.slab().map().site_named(name))
    }

    /// What happens from now on when malloc must be called.
    pub(super) fn seal(&self, mode: c_uint) -> Result<(), Failure> {
        match mode & !(SEAL_COUNT | SEAL_ABORT) {
            0 => seal_of(mode).map(|seal| self.slab().seal(seal)),
            _ => Err(Failure::Flags(mode)),
        }
    }

    /// What the slab lies on, and its counters, for people.
    pub(super) fn report(&self) -> String {
        let slab = self.slab();
        format!("{}\n{}", slab.report(), slab.stats())
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.done();
        // SAFETY: by (1) of a box, and the permit, the last that borrows it, just went.
        drop(unsafe { Box::from_raw(self.slab.as_ptr()) });
    }
}

fn named<T>(
    kind: &'static str,
    name: Option<&CStr>,
    find: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Failure> {
    let name = name.ok_or(Failure::Null("name"))?.to_string_lossy();
    find(&name).ok_or_else(|| Failure::Name { kind, name: name.into_owned() })
}
