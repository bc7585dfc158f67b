//! How long do two simulated cores that steal take for a program?
//!
//! The program of `makespan`, with the same scheduler and the same stealer, on `color_sched::sim` with the costs that it
//! has by default. The figure is the median over a few seeds: nothing of it depends on this machine.

use color_sched::sim::{Act, Simulation, Start, Workload};
use color_sched::{Color, StageBatch, StageInfo};
use mely_steal::{Mely, Topology};

use super::makespan::{EVENTS, WORK_NS, colors, stages};
use super::relay::STAGE;
use super::samples::Samples;
use super::{DispatchArgs, Found, Metric};
use crate::experiment::worker::clock::Clock;

/// Runs of a window.
const SEEDS: u64 = 5;

/// The program.
struct Program {
    colors: Vec<Color>,
}

impl Workload for Program {
    type Event = u32;
    type State = u64;

    fn stages(&self) -> Vec<StageInfo> {
        stages()
    }

    fn start(&self, start: &mut Start<u32, u64>) {
        for &color in &self.colors {
            start.open(color, 0);
            start.post(color, STAGE, EVENTS);
        }
    }

    fn run(&self, act: &mut Act<'_, '_, u32, u64>, ran: &mut u64, left: u32) {
        act.touch(1);
        act.spend(WORK_NS);
        *ran += 1;
        if left > 1 {
            let posted = act.next(STAGE, left - 1);
            assert!(posted.is_ok(), "the color is open");
        } else {
            act.close();
        }
    }
}

/// Runs the worker.
pub(super) fn run(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    let (seeds, is_timed) = match clock {
        Clock::Time(_) => (SEEDS, true),
        Clock::Rounds(rounds) => (rounds, false),
    };
    let (mut samples, mut units) = (Samples::new(SEEDS as usize), 0);
    for seed in 0..seeds {
        let program = Program { colors: colors(args) };
        let scheduler = |_| StageBatch::new(&stages());
        let stealer = |_| Mely::new(Topology::uniform(2));
        let report = Simulation::new(2).seed(seed).run(program, scheduler, stealer)?;
        samples.add(report.makespan_ns);
        units += report.events;
    }
    let asked = if is_timed { &[(Metric::Makespan, 0.5)][..] } else { &[] };
    Ok(Found { units, values: samples.quantiles(1.0, asked) })
}
