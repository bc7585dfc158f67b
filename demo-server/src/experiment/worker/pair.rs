//! What does an allocation and its free cost?
//!
//! Bursts of 32: the objects are made, a word of each is written, all are freed. Nothing else is in the
//! figure but the loop and, once a burst, the permit.

use std::array;
use std::hint::black_box;

use anyhow::{bail, ensure};
use stingy_alloc::{Object, Permit, SiteId, Slot, StageId};

use super::clock::Clock;
use super::heap::{Blob, Heap, System};
use super::slab::of_size;
use super::{Answer, Source, WorkerArgs};

/// Objects of a burst.
pub(in super::super) const BURST: usize = 32;

const STAGE: StageId = StageId(0);

/// Runs the worker.
pub(super) fn run(args: &WorkerArgs, clock: Clock) -> anyhow::Result<Answer> {
    // The bytes beside the word are part of the type, so that no allocator is asked for a size that it
    // must look at.
    match args.size {
        64 => of_rest::<56>(args, clock),
        4096 => of_rest::<4088>(args, clock),
        12288 => of_rest::<12280>(args, clock),
        other => bail!("there are no objects of {other} bytes: choose 64, 4096 or 12288"),
    }
}

fn of_rest<const REST: usize>(args: &WorkerArgs, clock: Clock) -> anyhow::Result<Answer> {
    match args.from {
        Source::Stingy => typed::<REST>(args, clock),
        Source::StingySlot => slots(args, clock),
        Source::System => boxes(clock, System::boxed::<REST>),
        #[cfg(feature = "peers")]
        Source::Mimalloc => boxes(clock, super::heap::MiMalloc::boxed::<REST>),
        #[cfg(feature = "peers")]
        Source::Global => scoped::<REST>(args, clock),
        #[cfg(not(feature = "peers"))]
        Source::Mimalloc | Source::Global => super::without_peers(),
    }
}

/// Makes the objects of a burst, each with a word written, and frees them.
#[inline]
fn burst<O>(make: impl FnMut(u64) -> O) {
    let mut make = make;
    let mut held: [O; BURST] = array::from_fn(|word| make(word as u64));
    black_box(&mut held);
}

/// Objects of an allocator that needs no permit.
pub(super) fn boxes<O>(clock: Clock, make: impl Fn(u64) -> O) -> anyhow::Result<Answer> {
    clock.measure(BURST as u64, || {
        burst(&make);
        Ok(())
    })
}

/// Objects of a known type, one permit a burst.
fn typed<const REST: usize>(args: &WorkerArgs, clock: Clock) -> anyhow::Result<Answer> {
    let slab = of_size(args.size, BURST)?;
    let site = slab.site::<Blob<REST>>("object")?;
    clock.measure(BURST as u64, || {
        let permit = slab.admit(STAGE, BURST);
        ensure!(permit.granted() == BURST, "the slab has no room for a burst");
        let lane = permit.lane(site)?;
        // A whole permit always has one; were it an option, its drop would be part of the figure.
        burst(|word| match lane.take() {
            Some(object) => Object::write(object, Blob::<REST>::new(word)),
            None => Object::from(Box::new(Blob::new(word))),
        });
        Ok(())
    })
}

/// Objects that a program gets which knows nothing of the slab, in the scope of one permit a burst.
#[cfg(feature = "peers")]
fn scoped<const REST: usize>(args: &WorkerArgs, clock: Clock) -> anyhow::Result<Answer> {
    use super::heap::Global;

    let slab = of_size(args.size, BURST)?;
    let first = slab.admit(STAGE, 1).scope(|| Global::boxed::<REST>(1));
    ensure!(slab.live() == 1, "the allocation was not from the slab");
    drop(first);
    clock.measure(BURST as u64, || {
        let permit = slab.admit(STAGE, BURST);
        ensure!(permit.granted() == BURST, "the slab has no room for a burst");
        permit.scope(|| burst(Global::boxed::<REST>));
        Ok(())
    })
}

/// Buffers of bytes, one permit a burst.
fn slots(args: &WorkerArgs, clock: Clock) -> anyhow::Result<Answer> {
    let slab = of_size(args.size, BURST)?;
    clock.measure(BURST as u64, || {
        let mut permit = slab.admit(STAGE, BURST);
        ensure!(permit.granted() == BURST, "the slab has no room for a burst");
        burst(|word| slot(&mut permit, word));
        Ok(())
    })
}

/// A slot of the only site, with a word written.
#[inline]
fn slot(permit: &mut Permit<'_>, word: u64) -> Option<Slot> {
    let mut slot = permit.alloc(SiteId(0)).ok()?;
    *slot.first_chunk_mut()? = word.to_ne_bytes();
    Some(slot)
}
