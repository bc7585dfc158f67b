//! Can a slab be laid out from this section, and can every stage be admitted at all?

use std::collections::HashSet;

use super::{GlobalKind, MAX_ALLOCS, MAX_IDS, MapProblem, Section, SiteSpec, StageSpec};
use crate::layout::{LINE, Layout, largest_temporary};

/// The record that a problem is about: its kind, its place among those of its kind, and the key.
pub(super) type Place = (&'static str, usize, &'static str);

type Verdict = Result<(), (Place, MapProblem)>;

pub(super) fn check(section: &Section) -> Verdict {
    section
        .geometry
        .check()
        .map_err(|error| (("geometry", 0, "size"), MapProblem::Geometry(error.to_string())))?;
    ids(section)?;
    sizes(section)?;
    for (i, site) in section.sites.iter().enumerate() {
        check_site(section, i, site)?;
    }
    overflow(section)?;
    for (i, stage) in section.stages.iter().enumerate() {
        check_stage(section, i, stage)?;
    }
    dominance(section)
}

/// Ids and names: unique, and below the limit.
fn ids(section: &Section) -> Verdict {
    unique("global", section.globals.iter().map(|g| g.id))?;
    unique("region", section.regions.iter().map(|r| r.id.0))?;
    unique("site", section.sites.iter().map(|s| s.id.0))?;
    unique("stage", section.stages.iter().map(|s| s.id.0))?;
    names("site", section.sites.iter().map(|s| s.name.as_str()))?;
    names("stage", section.stages.iter().map(|s| s.name.as_str()))
}

fn unique(kind: &'static str, ids: impl Iterator<Item = u16>) -> Verdict {
    let mut seen = HashSet::new();
    for (i, id) in ids.enumerate() {
        if usize::from(id) >= MAX_IDS {
            return Err(((kind, i, ""), MapProblem::Id { id: id.into() }));
        }
        if !seen.insert(id) {
            return Err(((kind, i, ""), MapProblem::Twice(format!("{kind} {id}"))));
        }
    }
    Ok(())
}

fn names<'a>(kind: &'static str, names: impl Iterator<Item = &'a str>) -> Verdict {
    let mut seen = HashSet::new();
    for (i, name) in names.enumerate() {
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            let problem = MapProblem::Value { value: name.to_owned(), expected: "a name" };
            return Err(((kind, i, "name"), problem));
        }
        if !seen.insert(name) {
            return Err(((kind, i, "name"), MapProblem::Twice(format!("name={name}"))));
        }
    }
    Ok(())
}

/// Nothing is zero, and slots keep lines apart.
fn sizes(section: &Section) -> Verdict {
    for (i, global) in section.globals.iter().enumerate() {
        if global.size == 0 {
            return Err((("global", i, "size"), MapProblem::Zero("the size")));
        }
    }
    for (i, region) in section.regions.iter().enumerate() {
        if region.slot == 0 || region.slot % LINE != 0 {
            let value = region.slot.to_string();
            let problem = MapProblem::Value { value, expected: "a multiple of 64 above 0" };
            return Err((("region", i, "slot"), problem));
        }
        if region.slots == 0 {
            return Err((("region", i, "slots"), MapProblem::Zero("the number of slots")));
        }
    }
    Ok(())
}

fn check_site(section: &Section, i: usize, site: &SiteSpec) -> Verdict {
    let at = |key| ("site", i, key);
    if site.size == 0 {
        return Err((at("size"), MapProblem::Zero("the size")));
    }
    if site.cap == 0 {
        return Err((at("cap"), MapProblem::Zero("the cap")));
    }
    if !site.align.is_power_of_two() {
        let value = site.align.to_string();
        return Err((at("align"), MapProblem::Value { value, expected: "a power of two" }));
    }
    let Some(region) = section.region(site.region) else {
        let name = site.region.0.to_string();
        return Err((at("region"), MapProblem::Unknown { kind: "region", name }));
    };
    let (slot, id, name) = (region.slot, region.id.0, site.name.clone());
    if site.size > slot {
        let what = "size";
        let problem = MapProblem::Slot { site: name, what, value: site.size, slot, region: id };
        return Err((at("size"), problem));
    }
    // Alignment holds from the bottom of the slab, which is aligned to a way.
    if slot % site.align != 0 || site.align > section.geometry.way_bytes() {
        let what = "alignment";
        let problem = MapProblem::Slot { site: name, what, value: site.align, slot, region: id };
        return Err((at("align"), problem));
    }
    if site.cap > region.slots {
        let (cap, slots) = (site.cap, region.slots);
        return Err((at("cap"), MapProblem::Cap { site: name, cap, slots, region: id }));
    }
    Ok(())
}

/// Everything lies within k·W.
fn overflow(section: &Section) -> Verdict {
    let has = section.geometry.slab_bytes();
    let layout = Layout::new(section);
    let beyond = |end: usize, place| match end > has {
        true => Err((place, MapProblem::Overflow { needs: end, has })),
        false => Ok(()),
    };
    beyond(layout.stack.end, ("stack", 0, "bytes"))?;
    for (i, range) in layout.globals.iter().enumerate() {
        if section.globals[i].kind == GlobalKind::Final {
            beyond(range.end, ("global", i, "size"))?;
        }
    }
    if let Some((i, _)) = largest_temporary(section) {
        beyond(layout.window.end, ("global", i, "size"))?;
    }
    for (i, range) in layout.regions.iter().enumerate() {
        beyond(range.end, ("region", i, "slots"))?;
    }
    Ok(())
}

fn check_stage(section: &Section, i: usize, stage: &StageSpec) -> Verdict {
    let unknown = |key, name: u16| {
        Err((("stage", i, key), MapProblem::Unknown { kind: "site", name: name.to_string() }))
    };
    let mut live = HashSet::new();
    for site in &stage.live {
        if section.site(*site).is_none() {
            return unknown("live", site.0);
        }
        if !live.insert(site) {
            let twice = format!("site {} in live= of stage {}", site.0, stage.name);
            return Err((("stage", i, "live"), MapProblem::Twice(twice)));
        }
    }
    let at = ("stage", i, "alloc");
    if stage.alloc.len() > MAX_ALLOCS {
        let problem =
            MapProblem::TooManyAllocs { stage: stage.name.clone(), count: stage.alloc.len() };
        return Err((at, problem));
    }
    for (n, &(id, count)) in stage.alloc.iter().enumerate() {
        let Some(site) = section.site(id) else { return unknown("alloc", id.0) };
        if count == 0 {
            return Err((at, MapProblem::Zero("the number of objects")));
        }
        if stage.alloc[..n].iter().any(|&(earlier, _)| earlier == id) {
            return Err((at, MapProblem::Twice(format!("site {} of stage {}", id.0, stage.name))));
        }
        let never = |what, takes, has| {
            Err((at, MapProblem::Never { stage: stage.name.clone(), what, takes, has }))
        };
        if count > site.cap {
            return never(format!("site {}", site.name), count.into(), site.cap);
        }
        let takes = taken_of_region(section, stage, site);
        let slots = section.region(site.region).map_or(0, |region| region.slots);
        if takes > slots.into() {
            return never(format!("region {}", site.region.0), takes, slots);
        }
    }
    Ok(())
}

/// Slots of the region of `site` that one task of `stage` takes.
pub(super) fn taken_of_region(section: &Section, stage: &StageSpec, site: &SiteSpec) -> u64 {
    let shares = |id| section.site(id).is_some_and(|other| other.region == site.region);
    stage.alloc.iter().filter(|(id, _)| shares(*id)).map(|&(_, count)| u64::from(count)).sum()
}

/// n_i >= n_j for every pair of the map (ISMM §3.1).
fn dominance(section: &Section) -> Verdict {
    for (i, (above, below)) in section.dominates.iter().enumerate() {
        let cap = |id| match section.site(id) {
            Some(site) => Ok(site.cap),
            None => {
                let name = id.0.to_string();
                Err((("dominates", i, ""), MapProblem::Unknown { kind: "site", name }))
            }
        };
        let (above_cap, below_cap) = (cap(*above)?, cap(*below)?);
        if above_cap < below_cap {
            let problem =
                MapProblem::Dominance { above: above.0, above_cap, below: below.0, below_cap };
            return Err((("dominates", i, ""), problem));
        }
    }
    Ok(())
}

/// Whether two sections describe the same program.
pub(super) fn same_program(a: &Section, b: &Section) -> bool {
    let sites = |s: &Section| {
        let mut v: Vec<_> = s.sites.iter().map(|x| (x.id, x.name.clone(), x.size)).collect();
        v.sort();
        v
    };
    let stages = |s: &Section| {
        let mut v: Vec<_> = s.stages.iter().map(|x| (x.id, x.name.clone())).collect();
        v.sort();
        v
    };
    sites(a) == sites(b) && stages(a) == stages(b)
}
