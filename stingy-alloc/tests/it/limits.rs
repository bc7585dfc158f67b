//! The ends of what there is: slabs a process, address space, sets of every cache.

use std::collections::HashMap;
use std::os::unix::process::CommandExt;

use stingy_alloc::{Backing, Geometry, MemoryMap, Options, SiteId, Slab, SlabError, Slot};

use crate::process::{alone, alone_with, succeeded};
use crate::{slab, small};

fn tiny() -> MemoryMap {
    MemoryMap::builder().geometry(small()).site("object", 64, 2).build().unwrap()
}

#[test]
fn a_process_has_512_slabs_and_their_numbers_are_used_again() {
    succeeded(alone(|| {
        let map = tiny();
        let options =
            || Options { geometry: Some(small()), backing: Backing::Pages, ..Options::default() };
        let mut slabs: Vec<Slab> = (0..512).map(|_| slab(&map)).collect();
        let mut slots: Vec<Slot> = slabs.iter().map(|s| s.take(SiteId(0)).unwrap()).collect();
        let refused = || Slab::new(&map, options()).expect_err("there are 512");
        assert!(matches!(refused(), SlabError::TooMany));
        assert!(refused().to_string().contains("drop some"));
        for (i, slot) in slots.iter_mut().enumerate() {
            slot.fill(i as u8);
        }
        // A slab is there until its last object is gone.
        drop(slabs.swap_remove(100));
        assert!(matches!(refused(), SlabError::TooMany));
        assert!(slots.iter().enumerate().all(|(i, slot)| slot.iter().all(|b| *b == i as u8)));
        let place = slots.swap_remove(100).as_ptr();
        let again = slab(&map);
        assert_eq!(again.take(SiteId(0)).map(|slot| slot.as_ptr()), Some(place));
    }));
}

#[test]
fn too_little_address_space_is_an_error_that_names_the_limit() {
    let limit = |command: &mut std::process::Command| {
        // SAFETY: only a system call runs between fork and exec.
        unsafe {
            command.pre_exec(|| {
                let limit = libc::rlimit { rlim_cur: 2 << 30, rlim_max: 2 << 30 };
                match libc::setrlimit(libc::RLIMIT_AS, &raw const limit) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            })
        };
    };
    let output = alone_with(limit, || {
        for _ in 0..3 {
            let geometry = Some(small());
            let error = Slab::new(&tiny(), Options { geometry, ..Options::default() }).unwrap_err();
            assert!(matches!(error, SlabError::Backing { .. }));
            assert!(error.to_string().contains("ulimit -v"), "{error}");
        }
        drop((Slot::heap(100), Box::new(5)));
    });
    succeeded(output);
}

/// Every line of the slab, by way of objects of one line that fill it; each is written and read.
fn lines_of(slab: &Slab) -> Vec<usize> {
    let mut slots: Vec<Slot> = std::iter::from_fn(|| slab.take(SiteId(0))).collect();
    for (i, slot) in slots.iter_mut().enumerate() {
        slot.fill(i as u8);
    }
    assert!(slots.iter().enumerate().all(|(i, slot)| slot.iter().all(|b| *b == i as u8)));
    slots.iter().map(|slot| slot.as_ptr().addr() / 64).collect()
}

#[test]
fn k_ways_are_k_lines_in_every_set_of_every_cache() {
    let kib = 1 << 10;
    let caches = [(256, 8), (512, 8), (1024, 8), (1024, 16), (2048, 16), (3072, 12), (1280, 10)];
    for (size, ways) in caches {
        let cache = Geometry::new(size * kib, ways, 64).unwrap();
        for k in 1..=ways {
            let geometry = cache.with_k(k).unwrap();
            let sets = geometry.sets();
            let builder = MemoryMap::builder().geometry(geometry);
            let map = builder.site("line", 64, (k * sets) as u32).build().unwrap();
            let options = Options { geometry: Some(geometry), ..Options::default() };
            let slab = match Slab::new(&map, options) {
                Ok(slab) => slab,
                Err(error) => panic!("{size} KiB, {ways} ways, k = {k}: {error}"),
            };
            let (low, high) = (slab.stack_peak(), slab.oversize(SiteId(0), 200));
            let lines = lines_of(&slab);
            let mut of_set: HashMap<usize, usize> = HashMap::new();
            lines.iter().for_each(|line| *of_set.entry(line % sets).or_default() += 1);
            assert_eq!((of_set.len(), lines.len(), low), (sets, k * sets, 0));
            assert!(of_set.values().all(|n| *n == k), "{size} KiB, {ways} ways, k = {k}");
            let top = lines.iter().max().expect("lines") * 64 + 64;
            assert!(high.as_ptr().addr() >= top, "the high slab lies in the cache slab");
        }
    }
}

#[test]
fn a_cache_whose_sets_are_no_power_of_two_is_refused() {
    for (size, ways) in [(1280, 20), (768, 8), (0, 8)] {
        let error = Geometry::new(size << 10, ways, 64);
        let sets = (size << 10) / ways / 64;
        assert_eq!(error.is_ok(), sets.is_power_of_two(), "{size} KiB of {ways} ways");
    }
}
