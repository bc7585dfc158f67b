//! What does a queue of boxed closures cost?
//!
//! The floor for whoever wants no colors, no stages and no other core: an event is a closure pushed to a `VecDeque` and
//! popped and called at once.

use std::collections::VecDeque;
use std::hint::black_box;

use super::{Found, timed};
use crate::experiment::worker::clock::Clock;

type Closure = Box<dyn FnOnce(&mut u64)>;

/// Events of a round.
const ROUND: u64 = 1 << 12;

/// Runs the worker.
pub(super) fn run(clock: Clock) -> anyhow::Result<Found> {
    let mut queue: VecDeque<Closure> = VecDeque::new();
    let mut state = 0;
    timed(clock, ROUND, || {
        for _ in 0..ROUND {
            let n = black_box(3);
            queue.push_back(Box::new(move |state| *state += n));
            if let Some(run) = queue.pop_front() {
                run(&mut state);
            }
        }
        black_box(&mut state);
        Ok(())
    })
}
