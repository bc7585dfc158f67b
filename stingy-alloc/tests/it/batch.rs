//! Many objects at once: each goes home once, whosever it is, and wherever it lies.

use std::thread;

use stingy_alloc::{MemoryMap, Object, Slab, Slot, StageId, free_all};

use crate::{slab, small};

/// `own` has a region for itself, `left` and `right` share one.
fn map() -> MemoryMap {
    let builder = MemoryMap::builder().geometry(small()).site("own", 200, 8);
    let region = builder.next_region();
    builder
        .region(256, 6)
        .shared_site("left", 256, 4, region)
        .shared_site("right", 100, 5, region)
        .stage("all", &[], &[("own", 1), ("left", 1), ("right", 1)])
        .build()
        .unwrap()
}

const ALL: StageId = StageId(0);

/// An object of each site, `tasks` times, and one of the high slab.
fn some(slab: &Slab, tasks: usize) -> Vec<Slot> {
    let sites: Vec<_> = slab.map().sites().iter().map(|site| site.id).collect();
    let permit = slab.admit(ALL, tasks);
    assert_eq!(permit.granted(), tasks);
    let mut slots = vec![slab.oversize(sites[0], 1000)];
    for _ in 0..tasks {
        slots.extend(sites.iter().map(|site| permit.alloc(*site).unwrap()));
    }
    slots.iter_mut().for_each(|slot| slot.fill(0xEE));
    slots
}

/// All that there is can be had again, and nothing more.
fn is_whole(slab: &Slab) {
    assert_eq!((slab.live(), slab.stats().high), (0, 0));
    assert_eq!(slab.admit(ALL, 99).granted(), 3, "the shared region has six slots");
    let sites: Vec<_> = slab.map().sites().iter().map(|site| site.id).collect();
    let mut all: Vec<Slot> = Vec::new();
    for site in &sites {
        all.extend(std::iter::from_fn(|| slab.take(*site)));
    }
    assert_eq!(all.len(), 8 + 6, "of own, and of the region");
    let mut places: Vec<_> = all.iter().map(|slot| slot.as_ptr().addr()).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), all.len(), "a slot is there twice");
}

#[test]
fn a_batch_of_ones_own_slab_is_free_at_once() {
    let slab = slab(&map());
    free_all(some(&slab, 3));
    assert_eq!(slab.stats().remote_frees, 0);
    is_whole(&slab);
}

#[test]
fn a_batch_of_another_threads_slab_comes_home_whole() {
    let slab = slab(&map());
    let slots = some(&slab, 3);
    thread::spawn(move || free_all(slots)).join().unwrap();
    assert_eq!(slab.stats().remote_frees, 10);
    is_whole(&slab);
}

#[test]
fn an_empty_batch_and_one_of_the_heap_are_no_frees_of_a_slab() {
    let slab = slab(&map());
    free_all(Vec::<Slot>::new());
    thread::spawn(|| free_all((0..9).map(Slot::heap))).join().unwrap();
    free_all((0..9).map(|i| Object::from(Box::new(i))));
    assert_eq!(slab.stats().remote_frees, 0);
    is_whole(&slab);
}

#[test]
fn homes_that_take_turns_in_a_batch_get_their_own_back() {
    let (first, second) = (slab(&map()), slab(&map()));
    let of_both = some(&first, 3).into_iter().zip(some(&second, 3));
    let slots: Vec<Slot> = of_both.flat_map(|(a, b)| [a, Slot::heap(64), b]).collect();
    let here = thread::spawn(move || {
        let third = slab(&map());
        let own = some(&third, 2).into_iter();
        let mut mixed = Vec::new();
        let mut own = own.fuse();
        for slot in slots {
            mixed.push(slot);
            mixed.extend(own.next());
        }
        free_all(mixed);
        assert_eq!(third.stats().remote_frees, 0);
        is_whole(&third);
    });
    here.join().unwrap();
    for slab in [&first, &second] {
        assert_eq!(slab.stats().remote_frees, 10);
        is_whole(slab);
    }
}

#[test]
fn a_batch_of_a_slab_that_is_gone_frees_its_memory() {
    // What is left over when the batch is gone keeps the memory; the last one frees it.
    for (kept, elsewhere) in [(0, true), (0, false), (1, true), (4, false), (4, true)] {
        let (slab, alive) = crate::threads::watched_with(&map());
        let mut slots = some(&slab, 3);
        let kept = slots.split_off(slots.len() - kept);
        drop(slab);
        assert!(alive.is_shared());
        match elsewhere {
            true => thread::spawn(move || free_all(slots)).join().unwrap(),
            false => free_all(slots),
        }
        assert_eq!(alive.is_shared(), !kept.is_empty());
        assert!(kept.iter().all(|slot| slot.iter().all(|byte| *byte == 0xEE)));
        free_all(kept);
        assert!(!alive.is_shared(), "the memory was not given back");
    }
}

#[test]
fn a_batch_that_panics_in_the_middle_frees_what_it_was_given() {
    let slab = slab(&map());
    let slots = some(&slab, 2);
    let ended = thread::spawn(move || {
        let mut given = 0;
        free_all(slots.into_iter().inspect(|_| {
            given += 1;
            assert!(given < 5, "enough");
        }));
    });
    assert!(ended.join().is_err());
    // The iterator drops what it had not given yet, and the one it had in its hands.
    is_whole(&slab);
}

#[test]
fn objects_go_home_as_slots_do() {
    let slab = slab(&map());
    let site = slab.site::<String>("own").unwrap();
    let permit = slab.admit(ALL, 3);
    let texts: Vec<_> = (0..3).map(|i| permit.put(site, format!("text {i}")).unwrap()).collect();
    drop(permit);
    thread::spawn(move || free_all(texts)).join().unwrap();
    assert_eq!(slab.stats().remote_frees, 3);
    is_whole(&slab);
}
