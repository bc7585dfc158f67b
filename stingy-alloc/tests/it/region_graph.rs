//! Is the cycle that a map reports one, the shortest, and is its order one? Against a search that tries everything.

use proptest::prelude::*;
use stingy_alloc::{MapProblem, MemoryMap, RegionId};

use crate::small;

/// A map of one site a region, and of stages that hold the first and allocate the second of each pair.
fn map(regions: usize, stages: &[(Vec<usize>, Vec<usize>)]) -> MemoryMap {
    let name = |site: &usize| format!("s{site}");
    let mut builder = MemoryMap::builder().geometry(small());
    for region in 0..regions {
        builder = builder.site(&name(&region), 64, 1);
    }
    for (i, (live, alloc)) in stages.iter().enumerate() {
        let (live, alloc): (Vec<String>, Vec<String>) =
            (live.iter().map(name).collect(), alloc.iter().map(name).collect());
        let live: Vec<&str> = live.iter().map(String::as_str).collect();
        let alloc: Vec<(&str, u32)> = alloc.iter().map(|site| (site.as_str(), 1)).collect();
        builder = builder.stage(&format!("t{i}"), &live, &alloc);
    }
    builder.build().expect("one object of everything")
}

/// The cycle by the numbers of its regions.
fn cycle(map: &MemoryMap) -> Option<Vec<u16>> {
    map.cycle().map(|cycle| cycle.iter().map(|region| region.0).collect())
}

fn has_edge(map: &MemoryMap, from: u16, to: u16) -> bool {
    let region = |id| map.sites().iter().find(|site| site.id == id).map(|site| site.region.0);
    map.stages().iter().any(|stage| {
        stage.live.iter().any(|site| region(*site) == Some(from))
            && stage.alloc.iter().any(|(site, _)| region(*site) == Some(to))
    })
}

/// Edges of the shortest walk of 1 to n edges from one region to another.
fn distance(map: &MemoryMap, from: u16, to: u16) -> Option<usize> {
    let n = map.regions().len() as u16;
    let mut here = vec![from];
    for edges in 1..=usize::from(n) {
        here = (0..n).filter(|next| here.iter().any(|at| has_edge(map, *at, *next))).collect();
        if here.contains(&to) {
            return Some(edges);
        }
    }
    None
}

#[test]
fn a_stage_that_holds_and_allocates_the_same_site_is_a_cycle() {
    let map = map(2, &[(vec![1], vec![0, 1])]);
    assert_eq!(cycle(&map), Some(vec![1]));
    assert_eq!(map.region_order(), [1, 0]);
}

#[test]
fn sites_that_share_a_region_make_a_cycle_that_sites_alone_do_not() {
    let build = |second: RegionId| {
        MemoryMap::builder()
            .region(64, 2)
            .region(64, 2)
            .shared_site("request", 64, 1, RegionId(0))
            .shared_site("reply", 64, 1, second)
            .stage("read", &[], &[("request", 1)])
            .stage("answer", &["request"], &[("reply", 1)])
            .build()
            .unwrap()
    };
    assert_eq!(cycle(&build(RegionId(0))), Some(vec![0]));
    assert_eq!(cycle(&build(RegionId(1))), None);
}

#[test]
fn opposite_orders_are_refused_and_the_error_names_the_stages_and_what_to_do() {
    let map = map(3, &[(vec![], vec![0]), (vec![0], vec![2]), (vec![1, 2], vec![0])]);
    assert_eq!(cycle(&map), Some(vec![0, 2]));
    let error = map.check_progress().unwrap_err();
    assert!(matches!(error.problem, MapProblem::Cycle { .. }), "{error}");
    let says = "map: tasks can wait for each other's objects for ever: region 0 \
        -> 2 (stage `t1` holds `s0` and allocates `s2`) \
        -> 0 (stage `t2` holds `s2` and allocates `s0`); \
        give the two sites regions of their own, allocate both in one stage, or set \
        Options::cycles to Cycles::Escape and call Slab::escape when nothing is admissible";
    assert_eq!(error.to_string(), says);
}

#[test]
fn a_long_cycle_is_shown_in_part() {
    let ring: Vec<_> = (0..60).map(|r| (vec![r], vec![(r + 1) % 60])).collect();
    let map = map(60, &ring);
    assert_eq!(map.cycle().map(|cycle| cycle.len()), Some(60));
    let error = map.check_progress().unwrap_err().to_string();
    assert!(error.contains("-> 8 (stage `t7`") && error.contains("-> ... (52 more);"), "{error}");
    assert!(!error.contains("`t8`"), "{error}");
    assert_eq!(map.region_order(), [0; 60]);
}

#[test]
fn of_two_cycles_the_shorter_is_given_and_of_equal_ones_the_first() {
    let stages = [(vec![0], vec![1]), (vec![1], vec![2]), (vec![2], vec![0])];
    let longer = map(5, &stages);
    assert_eq!(cycle(&longer), Some(vec![0, 1, 2]));
    let pairs = [(vec![3], vec![4]), (vec![4], vec![3]), (vec![2], vec![1])];
    let with_pairs = map(5, &[&stages[..], &pairs[..]].concat());
    assert_eq!(cycle(&with_pairs), Some(vec![1, 2]));
}

#[test]
fn a_map_without_a_cycle_is_in_order_and_passes() {
    let map = map(4, &[(vec![3], vec![1]), (vec![1, 3], vec![0]), (vec![0], vec![])]);
    assert_eq!(map.check_progress(), Ok(()));
    let order = map.region_order();
    assert!(order[3] < order[1] && order[1] < order[0], "{order:?}");
    let empty = MemoryMap::builder().geometry(small()).build().unwrap();
    assert_eq!((empty.cycle(), empty.region_order()), (None, vec![]));
}

#[test]
fn a_map_of_all_the_regions_that_there_can_be_is_searched_at_once() {
    // Every region before every later one, and the last before the first: the most edges of any map.
    let n = stingy_alloc::MAX_IDS;
    let mut stages: Vec<(Vec<usize>, Vec<usize>)> =
        (1..n).map(|to| ((0..to).collect(), vec![to])).collect();
    stages.push((vec![n - 1], vec![0]));
    let geometry = stingy_alloc::Geometry::new(1 << 20, 16, 64).unwrap();
    let mut text = String::from("scg-map 1\n");
    text += &format!("geometry size={} ways=16 line=64 k=12\n", geometry.size);
    for i in 0..n {
        text += &format!("region {i} slot=64 slots=1\n");
        text += &format!("site {i} name=s{i} size=64 align=64 cap=1 region={i} guard=on\n");
    }
    for (i, (live, alloc)) in stages.iter().enumerate() {
        let live: Vec<String> = live.iter().map(usize::to_string).collect();
        let (live, alloc) = (live.join(","), alloc[0]);
        text += &format!("stage {i} name=t{i} live={live} alloc={alloc}*1 weight=1\n");
    }
    text += &format!("end crc32={:08x}\n", crc32fast::hash(text.as_bytes()));
    let map = MemoryMap::parse(&text).unwrap();
    assert_eq!(cycle(&map), Some(vec![0, n as u16 - 1]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn cycle_and_order_are_those_of_a_search_that_tries_everything(
        regions in 1..8usize,
        stages in prop::collection::vec(
            (prop::collection::btree_set(0..7usize, 0..3), prop::collection::btree_set(0..7usize, 0..3)),
            0..8,
        ),
    ) {
        let within = |sites: &std::collections::BTreeSet<usize>| {
            sites.iter().copied().filter(|site| *site < regions).collect::<Vec<_>>()
        };
        let stages: Vec<_> = stages.iter().map(|(live, alloc)| (within(live), within(alloc))).collect();
        let map = map(regions, &stages);
        let n = regions as u16;

        let shortest = (0..n).filter_map(|region| distance(&map, region, region)).min();
        let found = cycle(&map);
        prop_assert_eq!(found.as_ref().map(Vec::len), shortest);
        prop_assert_eq!(map.check_progress().is_err(), shortest.is_some());
        for (i, from) in found.iter().flatten().enumerate() {
            let cycle = found.as_deref().unwrap_or_default();
            prop_assert!(has_edge(&map, *from, cycle[(i + 1) % cycle.len()]), "{:?}", cycle);
        }

        let order = map.region_order();
        for from in 0..n {
            for to in 0..n {
                let (a, b) = (order[usize::from(from)], order[usize::from(to)]);
                let there = distance(&map, from, to).is_some();
                let back = distance(&map, to, from).is_some();
                prop_assert_eq!(a == b, from == to || (there && back));
                prop_assert!(!there || a <= b, "{} before {}: {:?}", from, to, order);
            }
        }
    }
}
