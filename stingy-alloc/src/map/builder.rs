//! A map made in code: ids in the order of the calls, names instead of numbers.

use super::check;
use super::error::{MapError, MapProblem};
use super::{
    GlobalKind, GlobalSpec, MemoryMap, RegionId, RegionSpec, Section, SiteId, SiteSpec, StageId,
    StageSpec,
};
use crate::Geometry;
use crate::layout::LINE;

/// Makes a [`MemoryMap`] in code. Mistakes are reported by [`build`](Self::build).
///
/// ```
/// use stingy_alloc::{Geometry, MemoryMap};
///
/// let map = MemoryMap::builder()
///     .geometry(Geometry::new(1 << 20, 16, 64)?)
///     .site("request", 1024, 64)
///     .site("response", 2048, 64)
///     .stage("parse", &[], &[("request", 1)])
///     .stage("respond", &["request"], &[("response", 1)])
///     .build()?;
/// assert_eq!(map.site_named("response").map(|site| site.0), Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MapBuilder {
    section: Section,
    problem: Option<MapProblem>,
}

impl MapBuilder {
    /// The cache of a builder that names none: 1 MiB, 16 ways, lines of 64 bytes, k = 12.
    const REFERENCE: Geometry = Geometry { size: 1 << 20, ways: 16, line: 64, k: 12 };

    pub(super) fn new() -> Self {
        Self { section: Section::new(Self::REFERENCE), problem: None }
    }

    /// The cache that the counts are for; 1 MiB of 16 ways if never called.
    pub fn geometry(mut self, geometry: Geometry) -> Self {
        self.section.geometry = geometry;
        self
    }

    /// Bytes for a stack at the bottom of the slab, none if never called; see
    /// [`StackSpec`](crate::StackSpec).
    pub fn stack(mut self, bytes: usize) -> Self {
        self.section.stack.bytes = bytes;
        self
    }

    /// Depths of the stack around which the paths of the program cluster, for the reader of the map.
    pub fn clusters(mut self, depths: &[usize]) -> Self {
        self.section.stack.clusters = depths.to_vec();
        self
    }

    /// A global object, numbered from 0 in the order of the calls; [`GlobalKind`] says where it lives.
    pub fn global(mut self, size: usize, kind: GlobalKind) -> Self {
        match u16::try_from(self.section.globals.len()) {
            Ok(id) => self.section.globals.push(GlobalSpec { id, size, kind }),
            Err(_) => self.too_many(),
        }
        self
    }

    /// A site with a slot pool of its own: at most `cap` objects of `size` bytes, each on lines of its
    /// own.
    pub fn site(self, name: &str, size: usize, cap: u32) -> Self {
        self.site_aligned(name, size, LINE, cap)
    }

    /// As [`site`](Self::site), for objects that are aligned to `align` bytes, a power of two of at most
    /// one way of the cache. They are aligned to a line in any case.
    pub fn site_aligned(self, name: &str, size: usize, align: usize, cap: u32) -> Self {
        // What is no power of two is reported as that, not as a slot that does not suit.
        let step = if align.is_power_of_two() { align.max(LINE) } else { LINE };
        let slot = size.checked_next_multiple_of(step).unwrap_or(size);
        let region = self.next_region();
        let mut builder = self.region(slot, cap).shared_site(name, size, cap, region);
        if let Some(site) = builder.section.sites.last_mut() {
            site.align = align;
        }
        builder
    }

    /// Whether callers may ask for more than the size of the site added last; they may if never called.
    /// Before the first site it says nothing.
    pub fn guard(mut self, guard: bool) -> Self {
        if let Some(site) = self.section.sites.last_mut() {
            site.guard = guard;
        }
        self
    }

    /// A slot pool that several sites share; it gets the number of [`next_region`](Self::next_region).
    pub fn region(mut self, slot: usize, slots: u32) -> Self {
        let id = self.next_region();
        match self.section.regions.len() <= usize::from(u16::MAX) {
            true => self.section.regions.push(RegionSpec { id, slot, slots }),
            false => self.too_many(),
        }
        self
    }

    /// The number that the next region gets.
    pub fn next_region(&self) -> RegionId {
        RegionId(u16::try_from(self.section.regions.len()).unwrap_or(u16::MAX))
    }

    /// A site that takes its objects from a pool made by [`region`](Self::region).
    pub fn shared_site(mut self, name: &str, size: usize, cap: u32, region: RegionId) -> Self {
        let Ok(id) = u16::try_from(self.section.sites.len()).map(SiteId) else {
            self.too_many();
            return self;
        };
        let name = name.to_owned();
        self.section.sites.push(SiteSpec { id, name, size, align: LINE, cap, region, guard: true });
        self
    }

    /// A stage: the sites live when it starts, and what one task allocates in it.
    pub fn stage(mut self, name: &str, live: &[&str], alloc: &[(&str, u32)]) -> Self {
        let live = live.iter().filter_map(|site| self.named(site)).collect();
        let alloc = alloc.iter().filter_map(|(site, n)| Some((self.named(site)?, *n))).collect();
        let Ok(id) = u16::try_from(self.section.stages.len()).map(StageId) else {
            self.too_many();
            return self;
        };
        let name = name.to_owned();
        self.section.stages.push(StageSpec { id, name, live, alloc, weight: 1 });
        self
    }

    /// The weight of the stage added last; 1 if never called. Before the first stage it says nothing.
    pub fn weight(mut self, weight: u32) -> Self {
        if let Some(stage) = self.section.stages.last_mut() {
            stage.weight = weight;
        }
        self
    }

    /// Whoever holds an object of `below` holds one of `above`.
    pub fn dominates(mut self, above: &str, below: &str) -> Self {
        if let (Some(above), Some(below)) = (self.named(above), self.named(below)) {
            self.section.dominates.push((above, below));
        }
        self
    }

    /// Checks the map.
    pub fn build(self) -> Result<MemoryMap, MapError> {
        if let Some(problem) = self.problem {
            return Err(MapError::in_code(problem));
        }
        check::check(&self.section).map_err(|(_, problem)| MapError::in_code(problem))?;
        Ok(MemoryMap { sections: vec![self.section] })
    }

    fn named(&mut self, name: &str) -> Option<SiteId> {
        let id = self.section.sites.iter().find(|site| site.name == name).map(|site| site.id);
        if id.is_none() {
            let unknown = MapProblem::Unknown { kind: "site", name: name.to_owned() };
            self.problem.get_or_insert(unknown);
        }
        id
    }

    fn too_many(&mut self) {
        self.problem.get_or_insert(MapProblem::Id { id: usize::from(u16::MAX) + 1 });
    }
}
