//! What does a permit cost, from asking to giving it back, with none of it used?

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, ensure};

use super::clock::Clock;
use super::slab::of_sites;
use super::{Answer, WorkerArgs};

/// Permits of a round.
const ROUND: u64 = 1000;

/// Runs the worker: the answer is net of the loop.
pub(super) fn run(args: &WorkerArgs, clock: Clock) -> anyhow::Result<Answer> {
    let slab = of_sites(args.tasks)?;
    let name = args.sites.to_string();
    let stage = slab.map().stage_named(&name).context("a stage of 1, 2 or 4 sites")?;
    ensure!(slab.admit(stage, args.tasks).granted() == args.tasks, "the permit is not whole");
    // Neighbours in time, so that the difference is not one between two states of the machine.
    let (mut with, mut without) = (0, 0);
    let answer = clock.measure(ROUND, || {
        let begun = Instant::now();
        for _ in 0..ROUND {
            let permit = slab.admit(black_box(stage), black_box(args.tasks));
            black_box(permit.granted());
        }
        let between = Instant::now();
        for _ in 0..ROUND {
            black_box(stage);
            black_box(black_box(args.tasks));
        }
        with += (between - begun).as_nanos();
        without += between.elapsed().as_nanos();
        Ok(())
    })?;
    let share = with.saturating_sub(without) as f64 / (with + without).max(1) as f64;
    Ok(Answer { ns: answer.ns * share, ..answer })
}
