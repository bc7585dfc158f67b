//! What does an event of a color cost at its own core?
//!
//! Known: `live` colors, each with one event waiting; whoever runs posts one event to the next in an order without pattern,
//! and a single color to itself. Admitted: the same at a stage that allocates, so that a permit is asked for each batch;
//! all are granted. Transient: whoever runs posts one event to a color that was never there, which opens with it and closes
//! after it: what a new color is in Libasync-smp and in Mely. Opened: whoever runs opens a color, posts one event to it, and
//! closes itself. Of both, `live` are there at any time. Each turn polls a driver, which has nothing.

use std::hint::black_box;

use anyhow::ensure;
use color_sched::{
    Admission, Color, ColorQueues, Config, Context, Control, Core, Driver, Fifo, Flat, Handler,
    Machine, NoSteal, Scheduler, StageBatch, StageId, StageInfo,
};

use super::{By, Case, DispatchArgs, Found, timed, without_pattern};
use crate::experiment::worker::clock::Clock;

pub(super) const STAGE: StageId = StageId(0);
/// Events of a round.
const ROUND: u64 = 1 << 14;

/// A driver that has nothing, an admission that grants everything.
#[derive(Clone, Copy, Debug)]
struct Relay {
    case: Case,
    /// Colors that are open at any time.
    live: u64,
}

impl Admission for Relay {
    fn admit(&mut self, _: StageId, wanted: usize) -> usize {
        black_box(wanted)
    }
}

impl Driver for Relay {
    type Event = u64;
    type State = u64;
}

impl Handler for Relay {
    type Event = u64;
    type State = u64;

    #[inline]
    fn run(&mut self, cx: &mut Context<'_, u64, u64>, next: &mut u64, event: u64) {
        let posted = match self.case {
            Case::Opened => {
                let color = Color(cx.color().0 + self.live);
                cx.close();
                let opened = cx.open(color, event);
                assert!(opened.is_ok(), "a color that was never there");
                cx.post(color, STAGE, event)
            }
            Case::Transient => cx.post(Color(cx.color().0 + self.live), STAGE, event),
            _ if *next == cx.color().0 => cx.next(STAGE, event),
            _ => cx.post(Color(*next), STAGE, event),
        };
        assert!(posted.is_ok(), "the color is open");
    }

    fn new_state(&mut self, _: Color) -> Option<u64> {
        Some(0)
    }
}

/// Runs the worker.
pub(super) fn run(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    let stages = stages(args.case);
    match args.by {
        By::Color => pass(args, clock, ColorQueues::new(&stages)),
        By::Flat => pass(args, clock, Flat::new(&stages)),
        By::Fifo => pass(args, clock, Fifo::new(&stages)),
        _ => pass(args, clock, StageBatch::new(&stages)),
    }
}

fn pass(args: &DispatchArgs, clock: Clock, scheduler: impl Scheduler) -> anyhow::Result<Found> {
    let mut scheduler = scheduler;
    let mut relay = Relay { case: args.case, live: args.live as u64 };
    // The handle is kept: a machine without one is as good as stopped.
    let (_control, mut core) = machine(args.live, args.case)?;
    let mut target = 0;
    timed(clock, ROUND, || {
        // What runs beyond a round's last event counts for the next.
        target += ROUND;
        let mut idle = 0;
        while core.stats().events < target {
            let before = core.stats().events;
            core.turn(&mut relay, &mut scheduler, &mut NoSteal)?;
            idle = if core.stats().events > before { 0 } else { idle + 1 };
            ensure!(idle < 1000, "the events have come to an end");
        }
        Ok(())
    })
}

fn stages(case: Case) -> Vec<StageInfo> {
    let stage = StageInfo::new("relay");
    vec![if case == Case::Admitted { stage.allocates() } else { stage }]
}

/// A core with so many colors, one event waiting for each, whose states say whom to post to.
fn machine(live: usize, case: Case) -> anyhow::Result<(Control<u64, u64>, Core<u64, u64>)> {
    let transient_colors = case == Case::Transient;
    let config = Config { transient_colors, ..Config::new(1, stages(case)) };
    let (control, mut cores) = Machine::new(config)?;
    let order = without_pattern(live);
    for (i, &color) in order.iter().enumerate() {
        let next = order[(i + 1) % live] as u64;
        let color = Color(color as u64);
        let is_open = transient_colors || control.open(color, next).is_ok();
        let is_open = is_open && control.post(color, STAGE, 0).is_ok();
        ensure!(is_open, "the machine has been stopped");
    }
    Ok((control, cores.remove(0)))
}
