//! One core's slab: made from a memory map, it admits batches and reports what it did.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::ptr::NonNull;

use crate::arena::{MAX_SLABS, Stride};
use crate::backing::{Backing, Mapping};
use crate::fallback::{Reason, Seal};
use crate::geometry::{Geometry, GeometryError};
use crate::globals::{GlobalError, GlobalRef, Globals};
use crate::home::{Home, Wake};
use crate::map::{MapError, MemoryMap, SiteId, StageId, progress};
use crate::permit::Permit;
use crate::site::{Site, SiteError};
use crate::slot::Slot;
use crate::stack::Stack;
use crate::stage::{Need, Stage};
use crate::stats::{SiteStats, Stats};
use crate::unit::{LARGEST_SLAB, LARGEST_WAY};
use crate::verify::{self, Verification};

/// How a slab is made.
#[derive(Clone, Default)]
pub struct Options {
    /// The cache to lay it out for; `None` reads that of the processor the call runs on.
    pub geometry: Option<Geometry>,
    /// What to lay it on.
    pub backing: Backing,
    /// What happens when an object must come from the system allocator. [`Slab::seal`] changes it, for
    /// a program that seals its slab when it has started.
    pub seal: Seal,
    /// Called from other threads when they free an object after [`Slab::admit`] granted nothing, so that
    /// an owner who sleeps on a refusal learns of it. At most one call a refusal. `None`: the owner looks
    /// at its next `admit`.
    pub wake: Option<Wake>,
    /// Whether a map is taken whose tasks can wait for each other's objects for ever
    /// ([`MemoryMap::cycle`]).
    pub cycles: Cycles,
    /// Whether a child made by `fork` gets a copy of the slab. Its objects are as good there as here, but
    /// pages are then copied at the next write, and this process may be the one that has to move.
    /// Without, the child is left a hole: every permit is refused, and what is freed is forgotten. Reading
    /// an object ends the child, and so does the drop of one whose type reads it (a `String`, say), or the
    /// use of a [`Lane`](crate::Lane) from before.
    pub fork_copies: bool,
}

/// What becomes of a map whose tasks can wait for each other's objects for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cycles {
    /// There is no slab for it.
    #[default]
    Refuse,
    /// It is taken. The scheduler calls [`Slab::escape`] for a task when nothing runs and no stage is
    /// admitted.
    Escape,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("geometry", &self.geometry)
            .field("backing", &self.backing)
            .field("seal", &self.seal)
            .field("wake", &self.wake.is_some())
            .field("cycles", &self.cycles)
            .field("fork_copies", &self.fork_copies)
            .finish()
    }
}

/// Why there is no slab.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SlabError {
    /// The cache is unknown.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The map does not suit the cache.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The memory could not be had.
    #[error("{backing} memory of {bytes} bytes: {error}; choose Backing::Auto or Backing::Pages")]
    Backing {
        /// What was asked for.
        backing: Backing,
        /// How much.
        bytes: usize,
        /// What the kernel said.
        error: io::Error,
    },
    /// The cache is larger than a slab can be.
    #[error(
        "a slab of {bytes} bytes with ways of {way}: slabs have up to {LARGEST_SLAB} bytes and ways of up to \
         {LARGEST_WAY}; pass Geometry::with_k, or Geometry::new for a smaller cache"
    )]
    TooLarge {
        /// Bytes of the slab: k ways.
        bytes: usize,
        /// Bytes of a way.
        way: usize,
    },
    /// The process has too many slabs.
    #[error("{MAX_SLABS} slabs exist already; drop some, and the objects that came from them")]
    TooMany,
}

/// The slab of one core. It stays on the thread that made it; its [`Slot`]s and
/// [`Object`](crate::Object)s do not.
pub struct Slab {
    /// Alive until this is dropped (`Home`, invariant 1).
    home: NonNull<Home>,
    verification: Verification,
    globals: Globals,
    stack: Stack,
    remote_frees: Cell<u64>,
}

impl Slab {
    /// Lays out the sites of `map`, scaled to the cache if the map was made for another.
    pub fn new(map: &MemoryMap, options: Options) -> Result<Self, SlabError> {
        let geometry = match options.geometry {
            Some(geometry) => geometry,
            None => Geometry::detect()?,
        };
        let map = map.scaled(&geometry)?;
        if options.cycles == Cycles::Refuse {
            progress::refuse_cycle(map.section())?;
        }
        let (bytes, way, backing) = (geometry.slab_bytes(), geometry.way_bytes(), options.backing);
        if bytes > LARGEST_SLAB || way > LARGEST_WAY {
            return Err(SlabError::TooLarge { bytes, way });
        }
        let failed = |error| SlabError::Backing { backing, bytes, error };
        let stride = Stride::take().map_err(failed)?.ok_or(SlabError::TooMany)?;
        let mut mapping =
            Mapping::new(stride, bytes, backing, options.fork_copies).map_err(failed)?;
        let verification = verify::verify(&mut mapping, &geometry);
        let fell_back = backing == Backing::Auto && mapping.backing == Backing::Pages;
        let home = Home::new(mapping, map, &options);
        // SAFETY: just made.
        let this = unsafe { home.as_ref() };
        let (globals, stack) = (Globals::new(this), Stack::new(this));
        if fell_back {
            this.fallbacks.count(Reason::Backing);
        }
        Ok(Self { home, verification, globals, stack, remote_frees: Cell::new(0) })
    }

    #[inline]
    pub(crate) fn home(&self) -> &Home {
        // SAFETY: alive until this slab is dropped.
        unsafe { self.home.as_ref() }
    }

    /// Reserves everything that up to `wanted` tasks allocate in `stage`: StingyDynCheck of the papers,
    /// as a reservation. A stage that allocates nothing is granted in full; a stage that the map does not
    /// have is refused, and counted as [`Reason::NoStage`].
    ///
    /// A scheduler that asks for each of its waiting stages in turn starves none of them, as long as whoever
    /// holds objects comes to free them: a stage that is refused again and again waits in line. While it
    /// keeps asking, what one of its tasks needs stays out of reach of the others, who may so be refused
    /// although what they need is there; it loses its place when nothing is freed for it, or it stops
    /// asking. A scheduler that is refused everything asks once more before it sleeps.
    #[inline]
    pub fn admit(&self, stage: StageId, wanted: usize) -> Permit<'_> {
        static NONE: NoStage = NoStage(Stage::none());
        let home = self.home();
        let table = home.stages.get(usize::from(stage.0)).unwrap_or(&NONE.0);
        let (plain, unit) = (table.plain(), home.unit);
        // What is granted in full does not depend on how much is there, so the next steps need not wait.
        let full = |need: &Need| need.site_in(unit).free.get() as usize >= wanted;
        let mut granted = wanted;
        if plain.is_empty() || !plain.iter().all(full) || home.claim.is_made() {
            granted = self.admit_any(stage, table, wanted);
        } else {
            plain.iter().for_each(|need| need.site_in(unit).charge(granted as u32));
            table.count(granted);
        }
        Permit::new(home, table, granted, stage)
    }

    /// Reserves for stages that are not plain, and when it matters what others hold; returns the tasks.
    #[inline(never)]
    fn admit_any(&self, stage: StageId, table: &Stage, wanted: usize) -> usize {
        let (home, needs) = (self.home(), table.needs());
        if !table.known.get() {
            home.fallbacks.count(Reason::NoStage);
            return 0;
        }
        if needs.is_empty() || wanted == 0 {
            return wanted;
        }
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let mut granted = needs.iter().fold(wanted, |n, need| n.min(home.grantable(need)));
        if granted < wanted || home.claim.is_made() {
            granted = self.look_again(stage, table, wanted);
        }
        needs.iter().for_each(|need| home.charge(need, need.of_tasks(granted as usize)));
        table.count(granted as usize);
        granted as usize
    }

    /// Frees from other threads may make the difference; only then is a refusal one.
    #[cold]
    fn look_again(&self, stage: StageId, table: &Stage, wanted: u32) -> u32 {
        let home = self.home();
        let look = || table.needs().iter().fold(wanted, |n, need| n.min(home.grantable(need)));
        let mut granted;
        loop {
            self.drain();
            granted = home.claim.beside(home, stage.0, look);
            // What is pushed between the drain and here makes the loop turn: no wake-up is lost.
            if granted > 0 || !home.wait_for_frees() {
                break;
            }
        }
        if granted < wanted {
            let shortest = table.needs().iter().min_by_key(|need| home.grantable(need));
            if let Some(pool) = shortest.map(|need| home.site(need)) {
                pool.refused.set(pool.refused.get().saturating_add((wanted - granted).into()));
            }
        }
        if granted == 0 {
            home.fallbacks.count(Reason::Exhausted);
        }
        home.claim.asked(home, stage.0, table, granted > 0);
        granted
    }

    fn drain(&self) -> u32 {
        let drained = self.home().drain();
        self.remote_frees.set(self.remote_frees.get() + u64::from(drained));
        drained
    }

    /// The site of that name, for objects of type `T`.
    pub fn site<T>(&self, name: &str) -> Result<Site<'_, T>, SiteError> {
        let home = self.home();
        Site::new(&home.map, home.unit, name)
    }

    /// An object of `site` without a permit, from what no permit has reserved; `None` if nothing is
    /// left, or the map has no such site.
    pub fn take(&self, site: SiteId) -> Option<Slot> {
        let home = self.home();
        let need = home.need(site)?;
        if home.grantable(&need) == 0 && (self.drain() == 0 || home.grantable(&need) == 0) {
            return None;
        }
        home.charge(&need, 1);
        // SAFETY: just charged.
        Some(unsafe { home.pop(&need) })
    }

    /// An object of `site` from the high slab, or from the system allocator when that is full, so that
    /// something runs when nothing can be admitted. Counted as [`Reason::Escape`]. Empty if the map has
    /// no such site.
    pub fn escape(&self, site: SiteId) -> Slot {
        let spec = self.map().sites().iter().find(|spec| spec.id == site);
        self.home().outside(Reason::Escape, site, spec.map_or(0, |spec| spec.size))
    }

    /// `len` bytes for an object of `site` that is larger than the map has it, from the high slab or
    /// the system allocator. Counted as [`Reason::SizeGuard`] and, with its length, at the site.
    pub fn oversize(&self, site: SiteId, len: usize) -> Slot {
        self.home().oversize(site, len)
    }

    /// From now on this happens when an object must come from the system allocator.
    pub fn seal(&self, seal: Seal) {
        self.home().seal.set(seal);
    }

    /// Runs `work` on the slab's stack region, with the low slab beneath for what goes deeper, and
    /// inaccessible memory beneath that. Runs it where it is if it is there already, or if the map has no
    /// stack region.
    ///
    /// A worker calls it once, around its loop. Panics pass through. A child that it makes by `fork` in
    /// there ends at once, unless it has a copy of the slab ([`Options::fork_copies`]); one that it makes
    /// to run another program by `posix_spawn` or `vfork` does not.
    pub fn on_stack<R>(&self, work: impl FnOnce() -> R) -> R {
        match self.home().is_lost() {
            true => work(),
            false => self.stack.run(work),
        }
    }

    /// Bytes of the deepest stack that ever ran on the slab: what `stack bytes=` in the map would have
    /// to be. It reads all of the low slab that was not reached, so it is not for every second.
    pub fn stack_peak(&self) -> usize {
        if self.home().is_lost() { 0 } else { self.stack.peak() }
    }

    /// A global object of the map: a final one where it lies in the slab, a temporary one copied into
    /// the slab's window, and back to where it lives when another needs the window.
    pub fn global(&self, id: u16) -> Result<GlobalRef<'_>, GlobalError> {
        match self.home().is_lost() {
            true => Err(GlobalError::Lost),
            false => self.globals.borrow(id),
        }
    }

    /// What the slab lies on, and what the start-up check proved of it.
    pub fn report(&self) -> &Verification {
        &self.verification
    }

    /// Whether the cache slab still lies on huge pages, as the page tables have it now: the kernel may
    /// split them. `None` if it cannot be told.
    pub fn is_huge(&self) -> Option<bool> {
        self.home().mapping.is_huge().ok()
    }

    /// The map as it was scaled to this cache.
    pub fn map(&self) -> &MemoryMap {
        &self.home().map
    }

    /// The counters, with frees from other threads taken in.
    pub fn stats(&self) -> Stats {
        self.drain();
        let home = self.home();
        let lost = home.is_lost();
        let sites = if lost { &[] } else { self.map().sites() };
        Stats {
            sites: sites.iter().map(|spec| SiteStats::of(home, spec)).collect(),
            remote_frees: self.remote_frees.get(),
            high: home.live_high(),
            fallbacks: home.fallbacks.read(),
        }
    }

    /// Objects of the slab that are out, frees from other threads taken in.
    pub fn live(&self) -> usize {
        self.drain();
        self.home().live() as usize
    }
}

/// Needs nothing and is never written: shared by all slabs.
struct NoStage(Stage);

// SAFETY: nobody writes to the cells of a stage that is not in a table.
unsafe impl Sync for NoStage {}

impl Drop for Slab {
    fn drop(&mut self) {
        // SAFETY: alive until here; a slab cannot leave its thread, so this is the owner's, and no
        // permit borrows it any more.
        unsafe { Home::close(self.home) };
    }
}

impl fmt::Debug for Slab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slab").field("geometry", &self.map().geometry()).finish_non_exhaustive()
    }
}
