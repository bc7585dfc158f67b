//! A map on another cache: floor(n·r), nothing below one task's needs, all of it within the slab.

use proptest::prelude::*;
use stingy_alloc::{Geometry, GlobalKind, MapBuilder, MapProblem, MemoryMap};

fn reference() -> Geometry {
    Geometry::new(1 << 20, 16, 64).unwrap()
}

fn builder() -> MapBuilder {
    MemoryMap::builder()
        .geometry(reference())
        .site("request", 1024, 100)
        .site("chunk", 16384, 21)
        .stage("parse", &[], &[("request", 1)])
        .stage("stream", &["request"], &[("chunk", 2)])
        .dominates("request", "chunk")
}

fn caps(map: &MemoryMap) -> Vec<u32> {
    map.sites().iter().map(|site| site.cap).collect()
}

#[test]
fn the_same_cache_keeps_every_count() {
    let map = builder().build().unwrap();
    assert_eq!(map.scaled(&reference()).unwrap(), map);
}

#[test]
fn counts_scale_down_rounded_down_and_up() {
    let map = builder().build().unwrap();
    let to = |size, ways| caps(&map.scaled(&Geometry::new(size, ways, 64).unwrap()).unwrap());
    assert_eq!(to(512 << 10, 8), [50, 10]);
    assert_eq!(to(1 << 20, 8), [100, 21]);
    assert_eq!(to(2 << 20, 16), [200, 42]);
    assert_eq!(to(256 << 10, 4), [25, 5]);
}

#[test]
fn the_scaled_map_is_for_the_other_cache_and_stays_so() {
    let other = Geometry::new(512 << 10, 8, 64).unwrap();
    let map = builder().build().unwrap().scaled(&other).unwrap();
    assert_eq!(map.geometry(), other);
    assert_eq!(map.scaled(&other).unwrap(), map);
    assert_eq!(MemoryMap::parse(&map.to_string()).unwrap(), map);
}

#[test]
fn stack_and_final_globals_do_not_scale() {
    let map = MemoryMap::builder()
        .geometry(reference())
        .stack(128 << 10)
        .site("request", 1024, 640)
        .build()
        .unwrap();
    // 768 - 128 KiB for 640 requests; 384 - 128 KiB for 256.
    let other = Geometry::new(512 << 10, 8, 64).unwrap();
    assert_eq!(caps(&map.scaled(&other).unwrap()), [256]);
    let tiny = Geometry::new(128 << 10, 8, 64).unwrap();
    assert!(matches!(map.scaled(&tiny).unwrap_err().problem, MapProblem::DoesNotFit { .. }));
}

#[test]
fn counts_do_not_fall_below_what_one_task_needs() {
    let map = builder().build().unwrap();
    // 48 KiB hold the two chunks that one task takes, and 16 requests; 100 * r would be 6.
    let tiny = map.scaled(&Geometry::new(64 << 10, 4, 64).unwrap()).unwrap();
    assert_eq!(caps(&tiny), [6, 2]);
    // 36 KiB: two chunks leave 4 KiB, so the ratio falls below that of the slabs.
    let less = Geometry::new(48 << 10, 12, 64).unwrap();
    assert_eq!(less.slab_bytes(), 36 << 10);
    let less = map.scaled(&less).unwrap();
    assert_eq!(caps(&less), [4, 2]);
    let none = Geometry::new(32 << 10, 8, 64).unwrap();
    let error = map.scaled(&none).unwrap_err();
    let needs = 2 * 16384 + 2 * 1024;
    assert_eq!(error.problem, MapProblem::DoesNotFit { needs, has: 24 << 10 });
}

#[test]
fn an_absurd_geometry_is_refused() {
    let map = builder().build().unwrap();
    for n in [0, 3, usize::MAX] {
        let error = map.scaled(&Geometry { size: n, ways: n, line: n, k: n }).unwrap_err();
        assert!(matches!(error.problem, MapProblem::Geometry(_)), "{error}");
    }
}

#[test]
fn the_window_of_the_temporary_globals_does_not_scale() {
    let map = MemoryMap::builder()
        .geometry(reference())
        .global(100 << 10, GlobalKind::Temporary)
        .global(128 << 10, GlobalKind::Temporary)
        .site("request", 1024, 640)
        .build()
        .unwrap();
    // 768 - 128 KiB for 640 requests; 384 - 128 KiB for 256.
    let other = Geometry::new(512 << 10, 8, 64).unwrap();
    assert_eq!(caps(&map.scaled(&other).unwrap()), [256]);
    let tiny = Geometry::new(128 << 10, 8, 64).unwrap();
    let needs = (128 << 10) + 1024;
    let error = map.scaled(&tiny).unwrap_err();
    assert_eq!(error.problem, MapProblem::DoesNotFit { needs, has: 96 << 10 });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_scaled_map_fits_and_keeps_dominance_and_floor(
        sizes in prop::collection::vec((1..5000usize, 1..60u32, 1..4u32), 1..6),
        ways in 1..20usize, way_bits in 12..17u32,
    ) {
        let mut builder = MemoryMap::builder().geometry(reference().with_k(16).unwrap());
        let mut cap_below = u32::MAX;
        for (i, (size, cap, count)) in sizes.iter().enumerate() {
            let (name, cap) = (format!("s{i}"), (*cap).max(*count).min(cap_below.max(*count)));
            builder = builder.site(&name, *size, cap).stage(&name, &[], &[(&name, *count)]);
            if i > 0 && cap <= cap_below {
                builder = builder.dominates(&format!("s{}", i - 1), &name);
            }
            cap_below = cap;
        }
        let Ok(map) = builder.build() else { return Ok(()) };
        let other = Geometry::new(ways << way_bits, ways, 64).unwrap();
        let Ok(scaled) = map.scaled(&other) else { return Ok(()) };
        let used: usize = scaled.regions().iter().map(|r| r.slot * r.slots as usize).sum();
        prop_assert!(used <= other.slab_bytes());
        // The text reader checks everything again.
        prop_assert_eq!(MemoryMap::parse(&scaled.to_string()), Ok(scaled.clone()));
        for ((before, after), (_, _, count)) in map.sites().iter().zip(scaled.sites()).zip(&sizes) {
            let floor = before.cap as usize * other.slab_bytes() / map.geometry().slab_bytes();
            prop_assert!(after.cap >= *count);
            let least = scaled.dominates().iter().any(|(above, _)| *above == after.id);
            prop_assert!(least || after.cap as usize <= floor.max(*count as usize));
        }
    }
}
