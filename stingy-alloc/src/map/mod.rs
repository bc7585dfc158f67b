//! The memory map: which sites a program has, how many objects of each, and which stage takes which.
//!
//! | module | the question it answers |
//! |---|---|
//! | `text` | how is a map read from a file? |
//! | `write` | how is it written? |
//! | `check` | can a slab be laid out and admitted from it? |
//! | `builder` | how is one made in code? |
//! | `scale` | what becomes of it on another cache? |
//! | `progress` | can tasks wait for each other's objects for ever? |

mod builder;
mod check;
mod error;
pub(crate) mod progress;
mod scale;
mod text;
mod write;

pub use builder::MapBuilder;
pub use error::{MapError, MapProblem};

use crate::Geometry;

/// Site, stage and region numbers stay below this, so that tables indexed by them stay small.
pub const MAX_IDS: usize = 1024;

/// The most sites that one stage may allocate from; it bounds what a permit carries.
pub const MAX_ALLOCS: usize = 8;

/// The number of an allocation site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId(pub u16);

/// The number of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageId(pub u16);

/// The number of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionId(pub u16);

/// One allocation site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteSpec {
    /// Its number.
    pub id: SiteId,
    /// Its name, without spaces: often `function:variable`.
    pub name: String,
    /// Bytes of one object.
    pub size: usize,
    /// Alignment of the object, a power of two.
    pub align: usize,
    /// Most objects of this site that may exist at a time: n of the paper.
    pub cap: u32,
    /// The slot pool that it takes its objects from.
    pub region: RegionId,
    /// Whether a caller may ask for more than `size`, which then comes from elsewhere; else
    /// [`Permit::alloc_len`](crate::Permit::alloc_len) refuses it. Adapters and C always serve.
    pub guard: bool,
}

/// One slot pool. Sites whose objects are never live together in one task may share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionSpec {
    /// Its number.
    pub id: RegionId,
    /// Bytes of a slot, at least the largest object of its sites.
    pub slot: usize,
    /// Slots.
    pub slots: u32,
}

/// One stage of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageSpec {
    /// Its number.
    pub id: StageId,
    /// Its name, without spaces.
    pub name: String,
    /// Sites whose objects a task may hold when it enters the stage.
    pub live: Vec<SiteId>,
    /// What one task allocates in the stage at most: site and number of objects. For a site in a loop
    /// the number is the estimate that the papers have the programmer annotate, `stingy_count`. It is a
    /// bound, not a guess: what goes beyond it is refused by the permit
    /// ([`PermitError::Spent`](crate::PermitError::Spent)), counted, and the caller's to take elsewhere.
    pub alloc: Vec<(SiteId, u32)>,
    /// Cost of the first task of a run, relative to that of other stages: w of the paper.
    pub weight: u32,
}

/// Where a global object lives (ISMM §3.1: small ones are final, large ones temporary).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobalKind {
    /// In the slab, for good; `Slab::global` hands it out.
    Final,
    /// Outside, and copied into the slab's window while it is borrowed. All temporary globals share the
    /// window, which is as large as the largest of them: one at a time.
    Temporary,
}

/// One global object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalSpec {
    /// Its number.
    pub id: u16,
    /// Its bytes.
    pub size: usize,
    /// Where it lives.
    pub kind: GlobalKind,
}

/// The part of the slab that is kept for a stack: that of the worker can be placed there
/// (`Slab::on_stack`), with the low slab beneath for what the estimate missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackSpec {
    /// Bytes at the bottom of the cache slab, before globals and regions.
    pub bytes: usize,
    /// Depths around which the paths of the program cluster; for the reader of a map.
    pub clusters: Vec<usize>,
}

/// One `geometry` section of a map: a complete layout for one cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) geometry: Geometry,
    pub(crate) stack: StackSpec,
    pub(crate) globals: Vec<GlobalSpec>,
    pub(crate) regions: Vec<RegionSpec>,
    pub(crate) sites: Vec<SiteSpec>,
    pub(crate) stages: Vec<StageSpec>,
    pub(crate) dominates: Vec<(SiteId, SiteId)>,
}

impl Section {
    fn new(geometry: Geometry) -> Self {
        Self {
            geometry,
            stack: StackSpec::default(),
            globals: Vec::new(),
            regions: Vec::new(),
            sites: Vec::new(),
            stages: Vec::new(),
            dominates: Vec::new(),
        }
    }

    pub(crate) fn site(&self, id: SiteId) -> Option<&SiteSpec> {
        self.sites.iter().find(|site| site.id == id)
    }

    fn region(&self, id: RegionId) -> Option<&RegionSpec> {
        self.regions.iter().find(|region| region.id == id)
    }
}

/// A checked memory map. Read one with [`parse`](Self::parse), make one with
/// [`builder`](Self::builder), write one with `to_string`.
///
/// A map may hold several `geometry` sections, each a complete layout of the same sites and stages
/// for one cache; the accessors show the first, [`scaled`](Self::scaled) picks the one that fits.
///
/// A map has sizes and counts, no addresses: the slab lays stack, final globals, window and regions out one
/// after the other, so a map whose parts overlap cannot be written. One that is too large can, and
/// is refused with the first record that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryMap {
    sections: Vec<Section>,
}

impl MemoryMap {
    /// Reads the text form. Every error gives the line and the column.
    ///
    /// One record a line: a word, its number where it has one, then every one of its `key=value` pairs.
    /// Numbers are decimal and without units, sites and regions are named by number, lists are separated by
    /// commas, and `-` is an empty list. There are no comments. A map written by hand ends in
    /// `end crc32=0`; the error then tells the checksum.
    ///
    /// ```
    /// let map = stingy_alloc::MemoryMap::parse("\
    /// scg-map 1
    /// geometry size=1048576 ways=16 line=64 k=12
    /// stack bytes=16384 clusters=-
    /// global 0 size=512 kind=final
    /// region 0 slot=1024 slots=64
    /// region 1 slot=2048 slots=48
    /// site 0 name=request size=1000 align=64 cap=64 region=0 guard=on
    /// site 1 name=reply size=2048 align=64 cap=48 region=1 guard=off
    /// stage 0 name=parse live=- alloc=0*1 weight=4
    /// stage 1 name=respond live=0 alloc=1*1 weight=1
    /// dominates 0 1
    /// end crc32=ef4d7f40
    /// ")?;
    /// assert_eq!(map.sites().len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, MapError> {
        text::parse(text)
    }

    /// Starts a map in code.
    pub fn builder() -> MapBuilder {
        MapBuilder::new()
    }

    /// This map for another cache: the section made for it if there is one, else the first section
    /// with its counts multiplied by the ratio of the memory that the two slabs leave for regions.
    ///
    /// Counts are rounded down, but never below what one task of any stage needs; if that does not
    /// fit, the map is refused.
    pub fn scaled(&self, geometry: &Geometry) -> Result<Self, MapError> {
        scale::scaled(&self.sections, geometry).map(|section| Self { sections: vec![section] })
    }

    /// A cycle of regions, if there is one: tasks that each hold an object of one region and wait for one
    /// of the next, the last of them for one of the first. As short as there is one; the same for
    /// the same map. Its first region is held by a stage that allocates from its second, and so on around;
    /// a single one is held by a stage that allocates from it.
    ///
    /// Without one, tasks that allocate under permits never wait for each other for ever, as long as
    /// each `live` list is true and every task that holds objects gets its next event: take the
    /// regions in the order of the edges; who holds objects of the last one that is lacking waits for nothing.
    pub fn cycle(&self) -> Option<Vec<RegionId>> {
        progress::cycle(self.first())
    }

    /// Refuses a map that has a [`cycle`](Self::cycle), naming the stages and sites that make it.
    pub fn check_progress(&self) -> Result<(), MapError> {
        progress::refuse_cycle(self.first())
    }

    /// For each region, in the order of [`regions`](Self::regions), its rank along the edges that
    /// [`cycle`](Self::cycle) speaks of, from 0: who holds an object waits only for regions of a higher
    /// rank. Regions on a common cycle share a rank; no others do.
    pub fn region_order(&self) -> Vec<u16> {
        progress::order(self.first())
    }

    fn first(&self) -> &Section {
        &self.sections[0]
    }

    /// The cache that the counts were computed for.
    pub fn geometry(&self) -> Geometry {
        self.first().geometry
    }

    /// The stack region.
    pub fn stack(&self) -> &StackSpec {
        &self.first().stack
    }

    /// The global objects, in the order of the map.
    pub fn globals(&self) -> &[GlobalSpec] {
        &self.first().globals
    }

    /// The slot pools, in the order of the map.
    pub fn regions(&self) -> &[RegionSpec] {
        &self.first().regions
    }

    /// The sites, in the order of the map.
    pub fn sites(&self) -> &[SiteSpec] {
        &self.first().sites
    }

    /// The stages, in the order of the map.
    pub fn stages(&self) -> &[StageSpec] {
        &self.first().stages
    }

    /// Pairs (i, j): who holds a j holds an i, hence cap(i) >= cap(j).
    pub fn dominates(&self) -> &[(SiteId, SiteId)] {
        &self.first().dominates
    }

    /// The site of that name.
    pub fn site_named(&self, name: &str) -> Option<SiteId> {
        self.sites().iter().find(|site| site.name == name).map(|site| site.id)
    }

    /// The stage of that name.
    pub fn stage_named(&self, name: &str) -> Option<StageId> {
        self.stages().iter().find(|stage| stage.name == name).map(|stage| stage.id)
    }

    pub(crate) fn section(&self) -> &Section {
        self.first()
    }
}

/// The text form, as [`parse`](MemoryMap::parse) reads it.
impl std::fmt::Display for MemoryMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&write::text(&self.sections))
    }
}

impl std::str::FromStr for MemoryMap {
    type Err = MapError;

    fn from_str(text: &str) -> Result<Self, MapError> {
        Self::parse(text)
    }
}
