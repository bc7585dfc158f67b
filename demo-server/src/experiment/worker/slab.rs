//! Which map, and how many objects of which size fit?

use anyhow::Context;
use stingy_alloc::{Geometry, MemoryMap, Options, Slab};

/// Left free for the stack at the bottom of the slab.
const STACK: usize = 16 << 10;
/// No experiment needs more objects of a site.
const MOST: usize = 1 << 10;

/// The objects of one task that goes through the stages: small ones and large ones.
pub(super) const SMALL: usize = 4 << 10;
pub(super) const LARGE: usize = 12 << 10;

fn geometry() -> anyhow::Result<Geometry> {
    Geometry::detect().context("the cache's geometry")
}

/// How many tasks' objects fit into the slab of this machine.
pub(in super::super) fn tasks_at_once() -> anyhow::Result<usize> {
    Ok((geometry()?.slab_bytes().saturating_sub(STACK) / (SMALL + LARGE)).clamp(1, MOST))
}

/// How many of `wanted` objects of `size` bytes fit into the slab of this machine at a time.
pub(in super::super) fn largest_burst(size: usize, wanted: usize) -> anyhow::Result<usize> {
    Ok((geometry()?.slab_bytes() / size.max(1)).clamp(1, wanted))
}

/// A slab for tasks that hold a small object after their first stage, a large one too after the second,
/// and none after the third.
pub(super) fn of_stages() -> anyhow::Result<Slab> {
    let cap = u32::try_from(tasks_at_once()?)?;
    let map = MemoryMap::builder()
        .geometry(geometry()?)
        .stack(STACK)
        .site("small", SMALL, cap)
        .site("large", LARGE, cap)
        .stage("first", &[], &[("small", 1)])
        .stage("second", &["small"], &[("large", 1)])
        .stage("third", &["small", "large"], &[])
        .dominates("small", "large")
        .build()?;
    slab(&map)
}

/// A slab with as many objects of `size` bytes as fit, or are needed.
pub(super) fn of_size(size: usize, wanted: usize) -> anyhow::Result<Slab> {
    let cap = u32::try_from(largest_burst(size, wanted)?)?;
    let map = MemoryMap::builder()
        .geometry(geometry()?)
        .site("object", size, cap)
        .stage("only", &[], &[("object", 1)])
        .build()?;
    slab(&map)
}

/// A slab whose stages `1`, `2` and `4` allocate from as many sites.
pub(super) fn of_sites(cap: usize) -> anyhow::Result<Slab> {
    let cap = u32::try_from(cap)?;
    let sites = ["a", "b", "c", "d"].map(|name| (name, 1));
    let mut map = MemoryMap::builder().geometry(geometry()?);
    for (name, _) in sites {
        map = map.site(name, 64, cap);
    }
    let map = map.stage("1", &[], &sites[..1]).stage("2", &[], &sites[..2]).stage("4", &[], &sites);
    slab(&map.build()?)
}

fn slab(map: &MemoryMap) -> anyhow::Result<Slab> {
    Slab::new(map, Options::default()).context("the slab")
}
