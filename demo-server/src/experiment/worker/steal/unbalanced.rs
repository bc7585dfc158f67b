//! Many short events and a few long ones, each of a color of its own (Mely §5.2).
//!
//! 98 % work 100 cycles, the others 10 000 to 50 000, at positions without pattern; all at home on the first core. When
//! all have run the next round begins. Balanced: half of them at home on each core. IdleThief: the short ones alone.

use std::io;
use std::sync::Arc;

use color_sched::{Color, Context, CoreId, Cost, EventSink, StageId, StageInfo};

use super::cores::{Load, refused};
use super::policy;
use super::{Case, Change, Found, StealArgs, Window, cores, thefts};
use crate::experiment::worker::dispatch::cycles::{CYCLES_A_TURN, ns_of};
use crate::experiment::worker::dispatch::samples::Samples;
use crate::experiment::worker::dispatch::{shuffled, spin, without_pattern};

/// Events of a round, and colors.
const EVENTS: usize = 50_000;
/// Of so many events one is long.
const LONG_OF: usize = 50;
const SHORT_CYCLES: u64 = 100;
const LONG_CYCLES: (u64, u64) = (10_000, 50_000);
/// What an event takes beside its work, and cycles of a nanosecond, where there is no clock.
const NS: u64 = 25;
const CYCLES_A_NS: u64 = 3;
/// Turns of [`spin`] from which on an event is a long one.
const LONG_TURNS: u32 = 1_000;

const SHORT: StageId = StageId(0);
const LONG: StageId = StageId(1);

/// What the events of a round work, in turns of [`spin`].
pub(super) fn works(args: &StealArgs) -> Arc<[u32]> {
    let events = args.colors.unwrap_or(EVENTS);
    let turns = |cycles: u64| cycles.div_ceil(CYCLES_A_TURN) as u32;
    let mut works = vec![turns(SHORT_CYCLES); events];
    let (least, most) = LONG_CYCLES;
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let long = if args.case == Case::IdleThief { 0 } else { events.div_ceil(LONG_OF) };
    for at in without_pattern(events).into_iter().take(long) {
        random = shuffled(random);
        works[at] = turns(least + random % (most - least + 1));
    }
    works.into()
}

/// What one core runs.
struct Unbalanced {
    core: usize,
    cores: usize,
    works: Arc<[u32]>,
    /// The part of them that begins here.
    mine: std::ops::Range<usize>,
    /// The work of stolen events in cycles.
    stolen: Samples,
}

impl Load for Unbalanced {
    /// Turns of [`spin`].
    type Event = u32;
    type State = ();

    fn colors(&self) -> usize {
        self.mine.len()
    }

    fn register(
        &mut self,
        sink: &mut impl EventSink<u32, ()>,
        index: usize,
        is_changed: bool,
    ) -> io::Result<()> {
        let color = Color::at_home(CoreId(self.core as u16), index as u64, self.cores);
        let turns = self.works[self.mine.start + index];
        let stage = if (turns >= LONG_TURNS) == is_changed { SHORT } else { LONG };
        sink.post(color, stage, turns).map_err(refused)
    }

    fn ns(&self, turns: &u32) -> u64 {
        NS + u64::from(*turns) * CYCLES_A_TURN / CYCLES_A_NS
    }

    #[inline]
    fn run(&mut self, cx: &mut Context<'_, u32, ()>, (): &mut (), turns: u32) {
        spin(u64::from(turns));
        if self.cores > 1 && cx.color().0 as usize % 2 != self.core {
            self.stolen.add(u64::from(turns) * CYCLES_A_TURN);
        }
    }
}

fn stages(args: &StealArgs, window: Window) -> Vec<StageInfo> {
    let mut cycles = [SHORT_CYCLES, (LONG_CYCLES.0 + LONG_CYCLES.1) / 2];
    if window.change == Change::AtOnce {
        cycles.reverse();
    }
    let stage = |(name, cycles): (&'static str, u64)| {
        let stage = StageInfo::new(name);
        if !policy::is_set_by_hand(args.by) {
            return stage;
        }
        stage.cost(Cost::fixed(ns_of(cycles.div_ceil(CYCLES_A_TURN)).ceil() as u64))
    };
    ["short", "long"].into_iter().zip(cycles).map(stage).collect()
}

fn loads(args: &StealArgs, cores: usize) -> (Vec<Unbalanced>, u64) {
    let works = works(args);
    let all = works.len();
    let half = if args.case == Case::Balanced && cores > 1 { all / 2 } else { all };
    let load = |core| {
        let mine = if core == 0 { 0..half } else { half..all };
        let stolen = Samples::new(thefts::ROOM);
        Unbalanced { core, cores, works: Arc::clone(&works), mine, stolen }
    };
    ((0..cores).map(load).collect(), all as u64)
}

/// Runs the worker.
pub(super) fn run(args: &StealArgs, window: Window) -> anyhow::Result<Found> {
    let ran = cores::run_by_policy(args, window, stages, loads)?;
    let mut found = thefts::found(&ran);
    if ran.time.is_some() {
        let mut stolen = Samples::new(0);
        ran.loads.iter().for_each(|load| stolen.append(&load.stolen));
        found.values.extend(thefts::work(&mut stolen));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::By;
    use super::*;

    fn of(case: Case, colors: Option<usize>) -> Arc<[u32]> {
        works(&StealArgs {
            case,
            by: By::Learned,
            colors,
            cpu: None,
            other_cpu: None,
            ms: 1,
            after: None,
            change: false,
            rounds: None,
        })
    }

    #[test]
    fn one_event_of_fifty_is_long_and_lengths_are_those_of_the_paper() {
        let works = of(Case::Unbalanced, None);
        let (long, short): (Vec<u32>, Vec<u32>) =
            works.iter().partition(|&&turns| turns >= LONG_TURNS);
        assert_eq!((long.len(), short.len()), (1_000, 49_000));
        let cycles = |turns: u32| u64::from(turns) * CYCLES_A_TURN;
        assert!(short.iter().all(|&turns| cycles(turns) == 102));
        assert!(long.iter().all(|&turns| (10_000..=50_005).contains(&cycles(turns))));
        let mean = long.iter().map(|&turns| cycles(turns)).sum::<u64>() / 1_000;
        assert!((28_000..32_000).contains(&mean), "{mean}");
        // They are spread over the whole round.
        let first_half = works[..25_000].iter().filter(|&&turns| turns >= LONG_TURNS).count();
        assert!((430..570).contains(&first_half), "{first_half}");
        assert_eq!(works, of(Case::Unbalanced, None));
    }

    #[test]
    fn nothing_is_long_where_nothing_is_to_be_worth_a_theft() {
        assert!(of(Case::IdleThief, Some(100)).iter().all(|&turns| turns < LONG_TURNS));
    }
}
