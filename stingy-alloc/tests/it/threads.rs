//! Slots on other threads: they come home, they outlive their slab, and a sleeping owner is woken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use stingy_alloc::{Backing, MemoryMap, Options, SiteId, Slab, Slot, StageId};

use crate::{slab, small};

const SITE: SiteId = SiteId(0);
const STAGE: StageId = StageId(0);

fn map() -> MemoryMap {
    let builder = MemoryMap::builder().geometry(small()).site("object", 1000, 12);
    builder.stage("stage", &[], &[("object", 1)]).build().unwrap()
}

fn take(slab: &Slab, n: usize) -> Vec<Slot> {
    let permit = slab.admit(STAGE, n);
    (0..n).map(|_| permit.alloc(SITE).unwrap()).collect()
}

/// Tells whether the memory of a slab is still there.
pub(crate) struct Alive(Arc<AtomicUsize>);

impl Alive {
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

pub(crate) fn watched_with(map: &MemoryMap) -> (Slab, Alive) {
    let (slab, wakes) = watched_on(map);
    (slab, Alive(wakes))
}

/// A slab whose shared part is alive as long as the returned count is above 1.
fn watched() -> (Slab, Arc<AtomicUsize>) {
    watched_on(&map())
}

fn watched_on(map: &MemoryMap) -> (Slab, Arc<AtomicUsize>) {
    let wakes = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&wakes);
    let wake: stingy_alloc::Wake = Arc::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let (geometry, wake) = (Some(small()), Some(wake));
    let options = Options { geometry, backing: Backing::Pages, wake, ..Options::default() };
    (Slab::new(map, options).unwrap(), wakes)
}

#[test]
fn frees_on_another_thread_come_home_before_a_refusal() {
    let slab = slab(&map());
    let slots = take(&slab, 12);
    assert_eq!(slab.admit(STAGE, 1).granted(), 0);
    thread::spawn(move || drop(slots)).join().unwrap();
    assert_eq!(slab.admit(STAGE, 12).granted(), 12);
    let stats = slab.stats();
    assert_eq!((stats.remote_frees, stats.sites[0].live), (12, 0));
}

#[test]
fn a_slot_that_visits_another_thread_and_returns_is_a_local_free() {
    let slab = slab(&map());
    let slots = take(&slab, 5);
    let slots = thread::spawn(move || {
        let mut slots = slots;
        slots.iter_mut().for_each(|slot| slot.fill(3));
        slots
    });
    let slots = slots.join().unwrap();
    assert!(slots.iter().all(|slot| slot.iter().all(|byte| *byte == 3)));
    drop(slots);
    assert_eq!((slab.live(), slab.stats().remote_frees), (0, 0));
}

#[test]
fn slots_outlive_their_slab_and_the_last_one_frees_the_memory() {
    // Freed here, freed elsewhere, and both, before and after the slab goes.
    for (early_elsewhere, late_here, late_elsewhere) in
        [(0, 0, 0), (3, 0, 0), (0, 2, 0), (0, 0, 2), (2, 3, 0), (2, 0, 3), (1, 4, 4)]
    {
        let (slab, alive) = watched();
        let early = take(&slab, early_elsewhere);
        let mut here = take(&slab, late_here);
        let mut there = take(&slab, late_elsewhere);
        thread::spawn(move || drop(early)).join().unwrap();
        drop(slab);
        for (i, slot) in here.iter_mut().chain(&mut there).enumerate() {
            slot.fill(i as u8);
        }
        for (i, slot) in here.iter().chain(&there).enumerate() {
            assert!(slot.iter().all(|byte| *byte == i as u8), "memory is gone or shared");
        }
        let out = late_here + late_elsewhere > 0;
        assert_eq!(Arc::strong_count(&alive) > 1, out);
        drop(here);
        thread::spawn(move || drop(there)).join().unwrap();
        assert_eq!(Arc::strong_count(&alive), 1, "the memory was not given back");
    }
}

#[test]
fn a_slab_made_on_a_thread_that_ended_leaves_sound_slots() {
    let slots = thread::spawn(|| take(&slab(&map()), 12)).join().unwrap();
    let others: Vec<_> = slots.into_iter().map(|slot| thread::spawn(move || drop(slot))).collect();
    others.into_iter().for_each(|other| other.join().unwrap());
}

#[test]
fn a_new_thread_is_never_taken_for_the_owner() {
    // The owner leaks its slab and ends; threads that follow may get its stack and thread storage.
    let (slots, taken) = mpsc::channel();
    thread::spawn(move || {
        let slab = slab(&map());
        slots.send(take(&slab, 12)).unwrap();
        std::mem::forget(slab);
    })
    .join()
    .unwrap();
    let mut slots = taken.recv().unwrap();
    for slot in slots.drain(..) {
        thread::spawn(move || drop(slot)).join().unwrap();
    }
}

#[test]
fn a_refused_owner_is_woken_once_by_the_next_free_elsewhere() {
    let (slab, wakes) = watched();
    let mut slots = take(&slab, 12);
    let mut free_elsewhere = |n: usize| {
        let some: Vec<Slot> = slots.drain(..n).collect();
        thread::spawn(move || drop(some)).join().unwrap();
    };
    free_elsewhere(1);
    assert_eq!(wakes.load(Ordering::Relaxed), 0, "nobody was refused");
    let held = slab.admit(STAGE, 1);
    assert_eq!(held.granted(), 1);
    assert_eq!(slab.admit(STAGE, 1).granted(), 0);
    assert_eq!(slab.admit(STAGE, 1).granted(), 0);
    free_elsewhere(3);
    assert_eq!(wakes.load(Ordering::Relaxed), 1, "one wake for two refusals and three frees");
    assert_eq!(slab.admit(STAGE, 9).granted(), 3);
    free_elsewhere(3);
    assert_eq!(wakes.load(Ordering::Relaxed), 1);
    drop(held);
    drop(slots);
}

#[test]
fn frees_from_many_threads_lose_and_double_nothing() {
    let slab = slab(&map());
    let (sender, receiver) = mpsc::channel::<Slot>();
    let receiver = Arc::new(std::sync::Mutex::new(receiver));
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let receiver = Arc::clone(&receiver);
            thread::spawn(move || {
                loop {
                    let next = receiver.lock().unwrap().recv();
                    let Ok(slot) = next else { return };
                    let stamp = slot[0];
                    assert!(slot.iter().all(|byte| *byte == stamp), "shared while in flight");
                }
            })
        })
        .collect();
    let end = Instant::now() + Duration::from_millis(300);
    let (mut sent, mut stamp) = (0u64, 0u8);
    while Instant::now() < end {
        let permit = slab.admit(STAGE, 4);
        for _ in 0..permit.granted() {
            let mut slot = permit.alloc(SITE).unwrap();
            stamp = stamp.wrapping_add(1);
            slot.fill(stamp);
            sender.send(slot).unwrap();
            sent += 1;
        }
        if permit.granted() == 0 {
            thread::yield_now();
        }
    }
    drop(sender);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert_eq!(slab.live(), 0);
    let stats = slab.stats();
    assert_eq!((stats.remote_frees, stats.sites[0].granted), (sent, sent));
    assert!(sent > 100, "only {sent} slots went through");
}
