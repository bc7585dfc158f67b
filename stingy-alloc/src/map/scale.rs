//! A map on another cache: counts times the ratio of the memory left for regions, rounded down.
//!
//! floor keeps n_i >= n_j. No count falls below what one task of any stage takes, raised along the
//! dominance pairs; where these least counts eat into the rest, the ratio falls until all fits.

use super::check::{self, taken_of_region};
use super::error::{MapError, MapProblem};
use super::{Section, SiteSpec};
use crate::Geometry;
use crate::layout::Layout;

pub(super) fn scaled(sections: &[Section], geometry: &Geometry) -> Result<Section, MapError> {
    if let Some(same) = sections.iter().find(|section| section.geometry == *geometry) {
        return Ok(same.clone());
    }
    geometry.check().map_err(|error| MapError::in_code(MapProblem::Geometry(error.to_string())))?;
    let from = &sections[0];
    let fixed = Layout::new(from).before_regions();
    let part = |geometry: &Geometry| geometry.slab_bytes().saturating_sub(fixed) as u64;
    let (mine, theirs) = (part(geometry), part(&from.geometry).max(1));
    let least = Least::of(from);

    let at = |share: u64| with_ratio(from, geometry, &least, share, theirs);
    let fits = |share: u64| Layout::new(&at(share)).end() <= geometry.slab_bytes();
    if !fits(0) {
        let (needs, has) = (Layout::new(&at(0)).end(), geometry.slab_bytes());
        return Err(MapError::in_code(MapProblem::DoesNotFit { needs, has }));
    }
    // The layout grows with the ratio: the largest one that fits lies between.
    let (mut good, mut bad) = (0, mine + 1);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle) { good = middle } else { bad = middle }
    }
    let section = at(good);
    check::check(&section).map_err(|(_, problem)| MapError::in_code(problem))?;
    Ok(section)
}

/// The least counts with which every stage can be admitted.
struct Least {
    /// One a site, in the order of the section.
    sites: Vec<u32>,
    /// One a region.
    regions: Vec<u32>,
}

impl Least {
    fn of(section: &Section) -> Self {
        let taken = |site: &SiteSpec| {
            let of_stage = section.stages.iter().flat_map(|stage| &stage.alloc);
            of_stage.filter(|(id, _)| *id == site.id).map(|(_, n)| *n).max().unwrap_or(1)
        };
        let mut sites: Vec<u32> = section.sites.iter().map(taken).collect();
        let place = |id| section.sites.iter().position(|site| site.id == id);
        // A chain of pairs is at most as long as there are sites.
        for _ in 0..section.sites.len() {
            for (above, below) in &section.dominates {
                if let (Some(above), Some(below)) = (place(*above), place(*below)) {
                    sites[above] = sites[above].max(sites[below]);
                }
            }
        }
        let regions = section.regions.iter().map(|region| {
            let mine = section.sites.iter().enumerate().filter(|(_, s)| s.region == region.id);
            mine.map(|(i, site)| {
                let stages = section.stages.iter();
                let together = stages.map(|stage| taken_of_region(section, stage, site)).max();
                sites[i].max(u32::try_from(together.unwrap_or(0)).unwrap_or(u32::MAX))
            })
            .max()
            .unwrap_or(1)
        });
        let regions = regions.collect();
        Self { sites, regions }
    }
}

fn with_ratio(from: &Section, geometry: &Geometry, least: &Least, by: u64, of: u64) -> Section {
    let count = |n: u32, least: u32| {
        let scaled = u128::from(n) * u128::from(by) / u128::from(of);
        u32::try_from(scaled).unwrap_or(u32::MAX).max(least)
    };
    let mut section = Section { geometry: *geometry, ..from.clone() };
    for (site, least) in section.sites.iter_mut().zip(&least.sites) {
        site.cap = count(site.cap, *least);
    }
    for (region, least) in section.regions.iter_mut().zip(&least.regions) {
        region.slots = count(region.slots, *least);
    }
    section
}
