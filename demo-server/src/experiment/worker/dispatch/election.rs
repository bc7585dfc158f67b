//! What does the choice of a stage cost?
//!
//! `live` colors wait at `stages` stages. A step elects a stage, takes one color from it and pushes it to the next stage:
//! with batches of one, which is the dearest there is, as many elections are made as colors move. Bare: the election alone,
//! told of how many wait.

use anyhow::{Context, ensure};
use color_sched::elect::Election;
use color_sched::{
    Color, MAX_STAGES, Priority, Ready, Scheduler, Slot, StageBatch, StageId, StageInfo,
};

use super::{By, DispatchArgs, Found, timed};
use crate::experiment::worker::clock::Clock;

/// Elections of a round.
const ROUND: u64 = 1 << 12;

/// Runs the worker.
pub(super) fn run(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    let stages = args.stages;
    ensure!(stages <= MAX_STAGES, "a machine has at most {MAX_STAGES} stages");
    if args.by == By::Bare { bare(args, clock) } else { queued(args, clock) }
}

fn queued(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    let infos: Vec<_> = (0..args.stages).map(|_| StageInfo::new("stage").allocates()).collect();
    let mut scheduler = StageBatch::new(&infos);
    for color in 0..args.live {
        let stage = StageId(u16::try_from(color % args.stages)?);
        let slot = Slot(u32::try_from(color)?);
        scheduler.push(Ready {
            color: Color(color as u64),
            stage,
            slot,
            priority: Priority::Normal,
        });
    }
    let last = args.stages - 1;
    let mut admit = |_, wanted| wanted;
    let mut batch = Vec::with_capacity(1);
    timed(clock, ROUND, || {
        for _ in 0..ROUND {
            let elected = scheduler.elect(&mut admit, 1, &mut batch);
            let stage = elected.context("nothing is elected though colors wait")?;
            let next = if stage.index() == last { 0 } else { stage.0 + 1 };
            for ready in batch.drain(..) {
                scheduler.push(Ready { stage: StageId(next), ..ready });
            }
        }
        Ok(())
    })
}

fn bare(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    /// What fits into a batch, as `StageBatch` has it.
    const FLOW: u32 = 64;

    let mut election = Election::new((0..args.stages).map(|_| (1, FLOW)));
    let mut waiting = vec![args.live / args.stages; args.stages];
    waiting.iter_mut().take(args.live % args.stages).for_each(|waiting| *waiting += 1);
    for (stage, &waiting) in waiting.iter().enumerate() {
        election.set_waiting(stage, waiting);
    }
    timed(clock, ROUND, || {
        for _ in 0..ROUND {
            let stage = election.elect().context("nothing is elected though colors wait")?;
            let next = if stage + 1 == waiting.len() { 0 } else { stage + 1 };
            waiting[stage] -= 1;
            election.granted(stage, waiting[stage]);
            waiting[next] += 1;
            election.set_waiting(next, waiting[next]);
        }
        Ok(())
    })
}
