//! What does a slab cost? Its own bytes, hardly more, and no more with time.

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use stingy_alloc::{Backing, Geometry, MemoryMap, Options, Slab, StageId};

use crate::process::{alone, succeeded, text};
use crate::{slab, small};

/// Bytes of memory that this process has, those of its code left out, which comes in as it is run.
fn resident() -> usize {
    let smaps = fs::read_to_string("/proc/self/smaps_rollup").expect("this process");
    let kib =
        smaps.lines().find_map(|line| line.strip_prefix("Anonymous:")?.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<usize>().ok()).expect("a number") << 10
}

fn map() -> MemoryMap {
    let geometry = Geometry::new(1 << 20, 8, 64).unwrap();
    MemoryMap::builder()
        .geometry(geometry)
        .site("request", 4096, 96)
        .site("reply", 12 << 10, 30)
        .stage("parse", &[], &[("request", 1)])
        .stage("respond", &[], &[("reply", 1)])
        .build()
        .unwrap()
}

/// Takes and touches all that there is, and gives it back.
fn fill(slab: &Slab) {
    let mut all = Vec::with_capacity(200);
    for stage in [StageId(0), StageId(1)] {
        let permit = slab.admit(stage, 200);
        let site = slab.map().sites()[usize::from(stage.0)].id;
        all.extend((0..permit.granted()).map(|_| permit.alloc(site).unwrap()));
    }
    assert_eq!(all.len(), 126);
    all.iter_mut().for_each(|slot| slot.fill(1));
}

/// Checks what a slab on `backing` costs, in a process that has done nothing yet. True if it could be had.
fn costs_little(backing: Backing) -> bool {
    let map = map();
    let new = |backing| {
        let geometry = Some(map.geometry());
        Slab::new(&map, Options { geometry, backing, ..Options::default() })
    };
    // What the first of all slabs costs the process once, and reading the figure itself.
    fill(&new(backing).unwrap_or_else(|_| new(Backing::Pages).unwrap()));
    resident();
    let before = resident();
    let Ok(slab) = new(backing) else { return false };
    fill(&slab);
    let grown = resident() - before;
    let (bytes, books) = match backing {
        // Two words a line, and a page or two for the accounts of sites, of regions, and of the heap.
        Backing::Pages => (map.geometry().slab_bytes(), map.geometry().slab_bytes() / 8),
        _ => (2 << 20, (2 << 20) / 50),
    };
    assert!((bytes..=bytes + books).contains(&grown), "{grown} bytes for a slab of {bytes}");
    let before = resident();
    (0..1000).for_each(|_| fill(&slab));
    assert!(resident() < before + (32 << 10), "{before} grew to {}", resident());
    drop(slab);
    assert!(resident() < before - bytes / 10 * 9, "the pages were not given back");
    true
}

#[test]
fn a_slab_on_a_huge_page_costs_that_and_less_than_two_percent_more() {
    let output = alone(|| {
        let huge = costs_little(Backing::Thp);
        println!("measured: {huge}");
    });
    succeeded(output);
}

#[test]
fn a_slab_on_plain_pages_costs_those_and_an_eighth_for_its_books() {
    succeeded(alone(|| assert!(costs_little(Backing::Pages))));
}

/// `cargo test -p stingy-alloc --release --test it -- --ignored --nocapture soak`; `SOAK_PAIRS` sets another
/// number than 10^9.
#[test]
#[ignore = "takes a minute in the release profile, and an hour in another"]
fn soak_of_a_billion_pairs_leaves_memory_and_accounts_as_they_were() {
    let pairs = std::env::var("SOAK_PAIRS").ok().and_then(|n| n.parse().ok());
    let pairs: u64 = pairs.unwrap_or(1_000_000_000);
    let output = alone(|| {
        let builder = MemoryMap::builder().geometry(small()).site("object", 64, 64);
        let slab = slab(&builder.stage("stage", &[], &[("object", 1)]).build().unwrap());
        let site = slab.site::<u64>("object").unwrap();
        let burst = |base: u64| {
            let permit = slab.admit(StageId(0), 64);
            let granted = permit.granted() as u64;
            let objects: [_; 32] =
                std::array::from_fn(|i| permit.put(site, base + i as u64).expect("covered"));
            let sum: u64 = objects.iter().map(|object| **object - base).sum();
            assert_eq!((granted, sum), (64, 31 * 32 / 2));
            // A part goes home from another thread, now and then.
            if base.is_multiple_of(1 << 24) {
                std::thread::spawn(move || stingy_alloc::free_all(black_box(objects)))
                    .join()
                    .expect("a free does not panic");
            }
        };
        burst(0);
        let (start, before) = (Instant::now(), resident());
        (1..pairs / 32).for_each(|n| burst(32 * n));
        let after = resident();
        println!("{pairs} pairs in {:.1?}, resident {before} and {after}", start.elapsed());
        assert!(after < before + (256 << 10), "{before} bytes grew to {after}");
        assert_eq!((slab.live(), slab.stats().sites[0].granted), (0, (pairs / 32) * 64));
    });
    println!("{}", text(&output.stdout));
    succeeded(output);
}
