//! One core's slab: made from a memory map, it admits batches and reports what it did.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::ptr::NonNull;

use crate::backing::{Backing, Mapping};
use crate::fallback::Reason;
use crate::geometry::{Geometry, GeometryError};
use crate::home::{Home, Wake};
use crate::layout::Layout;
use crate::map::{MapError, MemoryMap, SiteId, StageId};
use crate::permit::Permit;
use crate::pool::{Need, Pools};
use crate::registry::MAX_SLABS;
use crate::slot::Slot;
use crate::stats::{SiteStats, Stats};
use crate::verify::{self, Verification};

/// How a slab is made.
#[derive(Clone, Default)]
pub struct Options {
    /// The cache to lay it out for; `None` reads that of the processor the call runs on.
    pub geometry: Option<Geometry>,
    /// What to lay it on.
    pub backing: Backing,
    /// Whether calls to the system allocator ([`Slab::escape`], [`Slab::oversize`]) also count as
    /// [`Reason::Sealed`]: a run that should make none then shows it.
    pub sealed: bool,
    /// Called from other threads when they free a slot after [`Slab::admit`] granted nothing, so that
    /// an owner who sleeps on a refusal learns of it. At most one call a refusal. `None`: the owner looks
    /// at its next `admit`.
    pub wake: Option<Wake>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("geometry", &self.geometry)
            .field("backing", &self.backing)
            .field("sealed", &self.sealed)
            .field("wake", &self.wake.is_some())
            .finish()
    }
}

/// Why there is no slab.
#[derive(Debug, thiserror::Error)]
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
    /// The process has too many slabs.
    #[error("{MAX_SLABS} slabs exist already; drop some, and the slots that came from them")]
    TooMany,
}

/// The slab of one core. It stays on the thread that made it; its [`Slot`]s do not.
///
/// A child made by `fork` does not inherit the memory: it must not touch slots of its parent.
pub struct Slab {
    /// Alive until this is dropped (`Home`, invariant 1).
    home: NonNull<Home>,
    map: MemoryMap,
    verification: Verification,
    remote_frees: Cell<u64>,
    sealed: bool,
}

impl Slab {
    /// Lays out the sites of `map`, scaled to the cache if the map was made for another.
    pub fn new(map: &MemoryMap, options: Options) -> Result<Self, SlabError> {
        let geometry = match options.geometry {
            Some(geometry) => geometry,
            None => Geometry::detect()?,
        };
        let map = map.scaled(&geometry)?;
        let (bytes, backing) = (geometry.slab_bytes(), options.backing);
        let mut mapping = Mapping::new(bytes, geometry.way_bytes(), backing)
            .map_err(|error| SlabError::Backing { backing, bytes, error })?;
        let verification = verify::verify(&mut mapping, &geometry);
        let fell_back = backing == Backing::Auto && mapping.backing == Backing::Pages;
        let pools = Pools::new(map.section(), &Layout::new(map.section()));
        let home = Home::new(mapping, pools, options.wake).ok_or(SlabError::TooMany)?;
        let (remote_frees, sealed) = (Cell::new(0), options.sealed);
        let slab = Self { home, map, verification, remote_frees, sealed };
        if fell_back {
            slab.home().fallbacks.count(Reason::Backing);
        }
        Ok(slab)
    }

    #[inline]
    fn home(&self) -> &Home {
        // SAFETY: alive until this slab is dropped.
        unsafe { self.home.as_ref() }
    }

    /// Reserves everything that up to `wanted` tasks allocate in `stage`: StingyDynCheck of the papers,
    /// as a reservation. A stage that allocates nothing is granted in full; a stage that the map does not
    /// have is refused, and counted as [`Reason::NoStage`].
    #[inline]
    pub fn admit(&self, stage: StageId, wanted: usize) -> Permit<'_> {
        let home = self.home();
        let Some(needs) = home.pools.needs(stage) else { return self.no_stage(stage) };
        if needs.is_empty() {
            return Permit::new(home, needs, wanted, stage);
        }
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let mut granted = home.pools.grantable(needs, wanted);
        if granted < wanted {
            granted = self.look_again(needs, wanted, granted);
        }
        home.pools.charge(needs, granted);
        Permit::new(home, needs, granted as usize, stage)
    }

    #[cold]
    fn no_stage(&self, stage: StageId) -> Permit<'_> {
        self.home().fallbacks.count(Reason::NoStage);
        Permit::new(self.home(), &[], 0, stage)
    }

    /// Frees from other threads may make the difference; only then is a refusal one.
    #[cold]
    fn look_again(&self, needs: &[Need], wanted: u32, mut granted: u32) -> u32 {
        let home = self.home();
        loop {
            if self.drain() > 0 {
                granted = home.pools.grantable(needs, wanted);
            }
            // What is pushed between the drain and here makes the loop turn: no wake-up is lost.
            if granted > 0 || !home.wait_for_frees() {
                break;
            }
        }
        if granted < wanted {
            home.pools.count_refusal(needs, wanted - granted);
        }
        if granted == 0 {
            home.fallbacks.count(Reason::Exhausted);
        }
        granted
    }

    fn drain(&self) -> u32 {
        let drained = self.home().drain();
        self.remote_frees.set(self.remote_frees.get() + u64::from(drained));
        drained
    }

    /// An object of `site` from the system allocator, so that something runs when nothing can be
    /// admitted. Counted as [`Reason::Escape`]. Empty if the map has no such site.
    pub fn escape(&self, site: SiteId) -> Slot {
        let size = self.home().pools.size(site).unwrap_or(0);
        self.outside(Reason::Escape, size)
    }

    /// `len` bytes of the system allocator for an object of a site that is larger than the map has it.
    /// Counted as [`Reason::SizeGuard`], for the slab as a whole. The site is not looked at: neither
    /// its size, nor its [`guard`](crate::SiteSpec::guard), nor whether the map has it.
    pub fn oversize(&self, _site: SiteId, len: usize) -> Slot {
        self.outside(Reason::SizeGuard, len)
    }

    fn outside(&self, reason: Reason, len: usize) -> Slot {
        let fallbacks = &self.home().fallbacks;
        fallbacks.count(reason);
        if self.sealed {
            fallbacks.count(Reason::Sealed);
        }
        Slot::heap(len)
    }

    /// What the slab lies on, and what the start-up check proved of it.
    pub fn report(&self) -> &Verification {
        &self.verification
    }

    /// The map as it was scaled to this cache.
    pub fn map(&self) -> &MemoryMap {
        &self.map
    }

    /// The counters, with frees from other threads taken in.
    pub fn stats(&self) -> Stats {
        self.drain();
        let home = self.home();
        let site = |spec: &crate::map::SiteSpec| {
            let c = home.pools.counters(spec.id);
            SiteStats {
                id: spec.id,
                name: spec.name.clone(),
                size: spec.size,
                cap: spec.cap,
                live: c.live,
                peak: c.peak,
                granted: c.granted,
                refused: c.refused,
            }
        };
        Stats {
            sites: self.map.sites().iter().map(site).collect(),
            remote_frees: self.remote_frees.get(),
            fallbacks: home.fallbacks.read(),
        }
    }

    /// Slots of the slab that are out, frees from other threads taken in.
    pub fn live(&self) -> usize {
        self.drain();
        self.home().pools.live() as usize
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        // SAFETY: alive until here; a slab cannot leave its thread, so this is the owner's, and no
        // permit borrows it any more.
        unsafe { Home::close(self.home) };
    }
}

impl fmt::Debug for Slab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slab").field("geometry", &self.map.geometry()).finish_non_exhaustive()
    }
}
