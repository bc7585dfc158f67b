//! Threads that end: with live objects, with their slab leaked, with both in thread-locals.

use std::cell::RefCell;
use std::sync::mpsc;
use std::thread;

use stingy_alloc::{MemoryMap, Object, SiteId, Slab, Slot, StageId, free_all};

use crate::threads::watched_with;
use crate::{slab, small};

fn map() -> MemoryMap {
    let builder = MemoryMap::builder().geometry(small()).site("object", 200, 8);
    builder.stage("stage", &[], &[("object", 1)]).build().unwrap()
}

fn take(slab: &Slab, n: usize) -> Vec<Slot> {
    let permit = slab.admit(StageId(0), n);
    (0..n).map(|_| permit.alloc(SiteId(0)).unwrap()).collect()
}

#[test]
fn objects_of_a_thread_that_ended_are_whole_and_the_last_frees_its_memory() {
    let (mut slots, alive) = thread::spawn(|| {
        let (slab, alive) = watched_with(&map());
        let mut slots = take(&slab, 8);
        slots.iter_mut().for_each(|slot| slot.fill(4));
        (slots, alive)
    })
    .join()
    .unwrap();
    let last = slots.pop();
    assert!(slots.iter().all(|slot| slot.iter().all(|byte| *byte == 4)));
    free_all(slots);
    assert!(alive.is_shared());
    drop(last);
    assert!(!alive.is_shared());
}

#[test]
fn a_slab_leaked_by_its_thread_takes_frees_for_ever() {
    let (slots, alive) = thread::spawn(|| {
        let (slab, alive) = watched_with(&map());
        let slots = take(&slab, 8);
        std::mem::forget(slab);
        (slots, alive)
    })
    .join()
    .unwrap();
    free_all(slots);
    assert!(alive.is_shared(), "nobody is there to take it down");
}

thread_local! {
    // The first one that is touched is destroyed last.
    static SLOTS: RefCell<Vec<Slot>> = const { RefCell::new(Vec::new()) };
    static OBJECTS: RefCell<Vec<Object<String>>> = const { RefCell::new(Vec::new()) };
    static SLAB: RefCell<Option<Slab>> = const { RefCell::new(None) };
}

/// Ends a thread with all three in thread-locals, first touched in some order.
fn end_with(slab_first: bool) {
    let (slab, alive) = {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            if slab_first {
                SLAB.with_borrow_mut(|slab| *slab = None);
            }
            SLOTS.with_borrow_mut(Vec::clear);
            OBJECTS.with_borrow_mut(Vec::clear);
            let (slab, alive) = watched_with(&map());
            let site = slab.site("object").unwrap();
            let permit = slab.admit(StageId(0), 3);
            let texts = (0..3).map(|i| permit.put(site, format!("text {i}")).unwrap()).collect();
            OBJECTS.set(texts);
            drop(permit);
            SLOTS.set(take(&slab, 3));
            sender.send((take(&slab, 2), alive)).unwrap();
            SLAB.set(Some(slab));
        })
        .join()
        .expect("thread-locals end in peace");
        receiver.recv().unwrap()
    };
    assert!(alive.is_shared());
    free_all(slab);
    assert!(!alive.is_shared(), "an object was lost, slab first: {slab_first}");
}

#[test]
fn a_slab_and_its_objects_end_in_thread_locals_in_any_order() {
    end_with(true);
    end_with(false);
}

#[test]
fn objects_of_another_thread_go_home_from_thread_locals() {
    let slab = slab(&map());
    let site = slab.site("object").unwrap();
    let permit = slab.admit(StageId(0), 2);
    let texts = [permit.put(site, "a".to_owned()).unwrap(), permit.put(site, "b".into()).unwrap()];
    drop(permit);
    let slots = take(&slab, 6);
    thread::spawn(move || {
        OBJECTS.set(texts.into());
        SLOTS.set(slots);
    })
    .join()
    .unwrap();
    assert_eq!((slab.live(), slab.stats().remote_frees), (0, 8));
}
