//! The free protocol under every interleaving, with the orderings of its table and with weaker ones.
//!
//! Each ordering has a mutant that must turn a model red; else the table asks for more than is needed, or
//! the models look at less than there is.

use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use crate::remote::{Orders, Pushed, Remote, Sound};

/// The protocol and the bytes that it guards: one cell a slot, and one for what the owner keeps.
struct World<O> {
    remote: Remote<O>,
    /// What lies below each slot on its way home.
    below: [AtomicU32; 3],
    slots: [UnsafeCell<u32>; 3],
    owners: UnsafeCell<u32>,
    woken: AtomicU32,
    taken_down: AtomicU32,
}

impl<O: Orders> World<O> {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            remote: Remote::new(),
            below: [0; 3].map(AtomicU32::new),
            slots: [0; 3].map(UnsafeCell::new),
            owners: UnsafeCell::new(0),
            woken: AtomicU32::new(0),
            taken_down: AtomicU32::new(0),
        })
    }

    fn write(&self, slot: u32) {
        // SAFETY: whoever holds the slot has its bytes alone; loom checks that.
        self.slots[slot as usize].with_mut(|bytes| unsafe { *bytes += 1 });
    }

    /// What a thread does that drops a slot.
    fn free(&self, slot: u32) {
        self.write(slot);
        self.push(slot, slot, 1);
    }

    /// What a thread does that drops two at once.
    fn free_both(&self, first: u32, last: u32) {
        self.write(last);
        self.write(first);
        self.below[first as usize].store(last, Ordering::Relaxed);
        self.push(first, last, 2);
    }

    fn push(&self, first: u32, last: u32, count: u32) {
        let mut hungry = false;
        let below = |below| self.below[last as usize].store(below, Ordering::Relaxed);
        // SAFETY: the world outlives its threads, and each frees slots of its own once.
        match unsafe { Remote::push(&self.remote, first, count, below, || hungry = true) } {
            Pushed::HomeHungry => {
                assert!(hungry, "nothing was fetched to wake the owner with");
                self.woken.fetch_add(1, Ordering::Relaxed);
            }
            Pushed::Home | Pushed::Orphan => {}
            Pushed::Last => self.take_down(),
        }
    }

    fn drain(&self) -> u32 {
        let mut seen = [0; 3];
        let drained = self.remote.drain(|slot| {
            let below = self.below[slot as usize].load(Ordering::Relaxed);
            self.write(slot);
            seen[slot as usize] += 1;
            below
        });
        assert!(seen.iter().all(|n| *n <= 1), "a slot came home twice");
        drained
    }

    /// Unmaps everything: needs to be ordered after all that anybody did.
    fn take_down(&self) {
        (0..3).for_each(|slot| self.write(slot));
        // SAFETY: as above.
        self.owners.with_mut(|bytes| unsafe { *bytes += 1 });
        assert_eq!(self.taken_down.fetch_add(1, Ordering::Relaxed), 0, "taken down twice");
    }
}

fn pushers_and_a_draining_owner<O: Orders + 'static>() {
    loom::model(|| {
        let world = World::<O>::new();
        let pushers = [0, 1].map(|slot| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.free(slot))
        });
        let mut home = world.drain();
        home += world.drain();
        for pusher in pushers {
            pusher.join().unwrap();
        }
        home += world.drain();
        assert_eq!(home, 2, "a slot was lost");
        assert_eq!(world.remote.len(), 0);
    });
}

fn an_owner_that_goes_while_slots_are_out<O: Orders + 'static>() {
    loom::model(|| {
        let world = World::<O>::new();
        let others = [0, 1].map(|slot| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.free(slot))
        });
        let live = 2 - world.drain();
        // SAFETY: only the owner, until it has closed.
        world.owners.with_mut(|bytes| unsafe { *bytes += 1 });
        // SAFETY: the world outlives this.
        if unsafe { Remote::close(&world.remote, live) } {
            world.take_down();
        }
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(world.taken_down.load(Ordering::Relaxed), 1, "never taken down");
    });
}

/// One thread drops two slots at once, another a single one.
fn pushers_of_two_and_one<O: Orders + 'static>(
    world: &Arc<World<O>>,
) -> [thread::JoinHandle<()>; 2] {
    let (two, one) = (Arc::clone(world), Arc::clone(world));
    [thread::spawn(move || two.free_both(0, 1)), thread::spawn(move || one.free(2))]
}

fn a_chain_and_a_draining_owner<O: Orders + 'static>() {
    loom::model(|| {
        let world = World::<O>::new();
        let pushers = pushers_of_two_and_one(&world);
        let mut home = world.drain();
        for pusher in pushers {
            pusher.join().unwrap();
        }
        home += world.drain();
        assert_eq!((home, world.remote.len()), (3, 0), "a slot was lost");
    });
}

fn an_owner_that_goes_while_a_chain_is_out<O: Orders + 'static>() {
    loom::model(|| {
        let world = World::<O>::new();
        let pushers = pushers_of_two_and_one(&world);
        let live = 3 - world.drain();
        // SAFETY: only the owner, until it has closed.
        world.owners.with_mut(|bytes| unsafe { *bytes += 1 });
        // SAFETY: the world outlives this.
        if unsafe { Remote::close(&world.remote, live) } {
            world.take_down();
        }
        for pusher in pushers {
            pusher.join().unwrap();
        }
        assert_eq!(world.taken_down.load(Ordering::Relaxed), 1, "never taken down");
    });
}

fn is_red(model: fn()) -> bool {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let red = catch_unwind(AssertUnwindSafe(model)).is_err();
    std::panic::set_hook(report);
    red
}

#[test]
fn loom_every_slot_comes_home_once_with_its_bytes() {
    pushers_and_a_draining_owner::<Sound>();
}

#[test]
fn loom_the_memory_is_taken_down_once_after_everybody() {
    an_owner_that_goes_while_slots_are_out::<Sound>();
}

#[test]
fn loom_a_chain_comes_home_whole_beside_a_single_slot() {
    a_chain_and_a_draining_owner::<Sound>();
}

#[test]
fn loom_the_memory_is_taken_down_once_when_a_chain_is_the_last() {
    an_owner_that_goes_while_a_chain_is_out::<Sound>();
}

#[test]
fn loom_a_refused_owner_is_woken_or_sees_the_free_itself() {
    loom::model(|| {
        let world = World::<Sound>::new();
        let pushers = [0, 1].map(|slot| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.free(slot))
        });
        // What `admit` does with nothing to grant: look, and sleep only if nothing came meanwhile.
        let slept = world.drain() == 0 && world.remote.hunger();
        for pusher in pushers {
            pusher.join().unwrap();
        }
        let woken = world.woken.load(Ordering::Relaxed);
        assert_eq!(woken, u32::from(slept), "slept: {slept}");
    });
}

/// `Sound` with one ordering replaced.
macro_rules! mutant {
    ($name:ident, $weak:ident = $ordering:ident) => {
        struct $name;
        impl Orders for $name {
            const PUSH: Ordering = mutant!(@ PUSH $weak $ordering);
            const DRAIN: Ordering = mutant!(@ DRAIN $weak $ordering);
            const CLOSE: Ordering = mutant!(@ CLOSE $weak $ordering);
            const SEE_CLOSED: Ordering = mutant!(@ SEE_CLOSED $weak $ordering);
            const ORPHAN: Ordering = mutant!(@ ORPHAN $weak $ordering);
        }
    };
    (@ PUSH PUSH $o:ident) => {
        Ordering::$o
    };
    (@ DRAIN DRAIN $o:ident) => {
        Ordering::$o
    };
    (@ CLOSE CLOSE $o:ident) => {
        Ordering::$o
    };
    (@ SEE_CLOSED SEE_CLOSED $o:ident) => {
        Ordering::$o
    };
    (@ ORPHAN ORPHAN $o:ident) => {
        Ordering::$o
    };
    (@ $same:ident $weak:ident $o:ident) => {
        Sound::$same
    };
}

mutant!(RelaxedPush, PUSH = Relaxed);
mutant!(RelaxedDrain, DRAIN = Relaxed);
mutant!(CloseWithoutAcquire, CLOSE = Release);
mutant!(CloseWithoutRelease, CLOSE = Acquire);
mutant!(RelaxedSight, SEE_CLOSED = Relaxed);
mutant!(OrphanWithoutAcquire, ORPHAN = Release);
mutant!(OrphanWithoutRelease, ORPHAN = Acquire);

#[test]
fn loom_every_weakened_ordering_is_caught() {
    let table: [(&str, fn()); 11] = [
        ("push", pushers_and_a_draining_owner::<RelaxedPush>),
        ("drain", pushers_and_a_draining_owner::<RelaxedDrain>),
        ("push of a chain", a_chain_and_a_draining_owner::<RelaxedPush>),
        ("drain of a chain", a_chain_and_a_draining_owner::<RelaxedDrain>),
        (
            "orphaned chain without acquire",
            an_owner_that_goes_while_a_chain_is_out::<OrphanWithoutAcquire>,
        ),
        (
            "orphaned chain without release",
            an_owner_that_goes_while_a_chain_is_out::<OrphanWithoutRelease>,
        ),
        ("close without acquire", an_owner_that_goes_while_slots_are_out::<CloseWithoutAcquire>),
        ("close without release", an_owner_that_goes_while_slots_are_out::<CloseWithoutRelease>),
        ("sight of closed", an_owner_that_goes_while_slots_are_out::<RelaxedSight>),
        ("orphan without acquire", an_owner_that_goes_while_slots_are_out::<OrphanWithoutAcquire>),
        ("orphan without release", an_owner_that_goes_while_slots_are_out::<OrphanWithoutRelease>),
    ];
    let green: Vec<&str> =
        table.iter().filter(|(_, m)| !is_red(*m)).map(|(name, _)| *name).collect();
    assert!(green.is_empty(), "not caught: {green:?}");
}
