//! How many bytes has an idle color?
//!
//! `live` colors, each with a word of state, are opened one after the other; each runs one event of a word and then has
//! nothing to do. The figure is what the process has more of in memory afterwards, divided by their number: the tables of
//! the core and of its scheduler, what they have in reserve and have touched, and nothing that events in flight would add.

use std::fs;

use anyhow::{Context as _, ensure};
use color_sched::{
    Admission, Color, Config, Context, Driver, Handler, Machine, NoSteal, StageBatch, StageInfo,
};

use super::relay::STAGE;
use super::{DispatchArgs, Found, Metric};

/// The color that opens the others.
const OPENER: Color = Color(u64::MAX);

/// Opens one color an event.
struct Opener {
    wanted: u64,
    opened: u64,
    ran: u64,
}

impl Admission for Opener {}

impl Driver for Opener {
    type Event = u64;
    type State = u64;
}

impl Handler for Opener {
    type Event = u64;
    type State = u64;

    fn run(&mut self, cx: &mut Context<'_, u64, u64>, state: &mut u64, event: u64) {
        if cx.color() != OPENER {
            *state += event;
            self.ran += 1;
            return;
        }
        if self.opened < self.wanted {
            let color = Color(self.opened);
            self.opened += 1;
            let is_open = cx.open(color, event).is_ok() && cx.post(color, STAGE, event).is_ok();
            assert!(is_open && cx.next(STAGE, event).is_ok(), "the machine runs");
        }
    }
}

/// Runs the worker.
pub(super) fn run(args: &DispatchArgs) -> anyhow::Result<Found> {
    let stages = vec![StageInfo::new("open").allocates()];
    let mut scheduler = StageBatch::new(&stages);
    let (control, mut cores) = Machine::new(Config::new(1, stages))?;
    let mut core = cores.remove(0);
    let is_open = control.open(OPENER, 0).is_ok() && control.post(OPENER, STAGE, 1).is_ok();
    ensure!(is_open, "the machine has been stopped");
    let before = resident()?;
    let mut opener = Opener { wanted: args.live as u64, opened: 0, ran: 0 };
    let mut ran = 0;
    while opener.ran < opener.wanted {
        core.turn(&mut opener, &mut scheduler, &mut NoSteal)?;
        ensure!(core.stats().events > ran, "the events have come to an end");
        ran = core.stats().events;
    }
    let bytes = resident()?.saturating_sub(before) as f64 / args.live as f64;
    Ok(Found { units: opener.ran, values: vec![(Metric::Bytes, bytes)] })
}

/// Bytes of this process that are in memory.
fn resident() -> anyhow::Result<u64> {
    let status =
        fs::read_to_string("/proc/self/status").context("cannot read /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    Ok(kib.context("/proc/self/status does not say what is in memory: VmRSS")? * 1024)
}
