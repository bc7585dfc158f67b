//! What does a request cost that is larger than its site, and is served from elsewhere?
//!
//! Bursts of buffers of zeros, asked for at the slab's door or at the system's.

use std::array;
use std::hint::black_box;

use anyhow::bail;
use stingy_alloc::SiteId;

use super::clock::Clock;
use super::pair::BURST;
use super::slab::of_size;
use super::{Answer, Source, WorkerArgs};

/// Runs the worker: buffers of the given size, in front of a site whose objects have half of that.
pub(super) fn run(args: &WorkerArgs, clock: Clock) -> anyhow::Result<Answer> {
    match args.from {
        Source::Stingy | Source::StingySlot => {
            let slab = of_size(args.size / 2, BURST)?;
            bursts(clock, || slab.oversize(SiteId(0), black_box(args.size)))
        }
        Source::System => bursts(clock, || vec![0u8; black_box(args.size)].into_boxed_slice()),
        Source::Mimalloc | Source::Global => bail!("choose stingy or system"),
    }
}

fn bursts<O: AsMut<[u8]>>(clock: Clock, make: impl Fn() -> O) -> anyhow::Result<Answer> {
    clock.measure(BURST as u64, || {
        let mut held: [O; BURST] = array::from_fn(|_| {
            let mut object = make();
            if let Some(first) = object.as_mut().first_mut() {
                *first = 1;
            }
            object
        });
        black_box(&mut held);
        Ok(())
    })
}
