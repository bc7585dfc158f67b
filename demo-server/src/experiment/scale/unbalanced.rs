//! What are the events of `unbalanced`, and in how short a time could they run at best?
//!
//! As in §5.2: 50 000 events, each of a color of its own, all at home on the first core and there when the clock starts; 98 %
//! work 100 cycles, one of every fifty 10 000 to 50 000.

use color_sched::sim::{Act, Costs, Dice, Start, Workload};
use color_sched::{Color, CoreId, Cost, StageId, StageInfo};

use super::{HOME, MEMORY_CYCLES, ns};

pub(super) const EVENTS: usize = 50_000;
const LONG_OF: usize = 50;
const SHORT_CYCLES: u64 = 100;
const LONG_CYCLES: (u64, u64) = (10_000, 50_000);

const SHORT: StageId = StageId(0);
const LONG: StageId = StageId(1);

/// The load.
#[derive(Clone, Debug)]
pub(super) struct Unbalanced {
    /// What each event works, in nanoseconds.
    works: Vec<u64>,
}

/// Times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ideal {
    /// No schedule that steals only what takes longer than its theft is faster: by what all cores have to do together, by what
    /// the home core has to do alone, and by the longest event. Registering is part of dispatching.
    pub(super) bound: u64,
    /// All work, spread evenly.
    pub(super) naive: u64,
}

impl Unbalanced {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut works = vec![ns(SHORT_CYCLES); EVENTS];
        let (least, most) = LONG_CYCLES;
        for fifty in works.chunks_mut(LONG_OF) {
            let long = dice.below(fifty.len() as u64) as usize;
            fifty[long] = ns(least + dice.below(most - least + 1));
        }
        Self { works }
    }

    /// How long it takes at least.
    pub(super) fn ideal_ns(&self, cores: usize) -> Ideal {
        let Costs { dispatch_ns, theft_ns, theft_lines, .. } = Costs::default();
        let theft_ns = theft_ns + u64::from(theft_lines) * ns(MEMORY_CYCLES);
        let work: u64 = self.works.iter().sum();
        let all = work + dispatch_ns * self.works.len() as u64;
        let at_home = self.works.iter().filter(|&&work| work < theft_ns);
        let home: u64 = at_home.map(|work| work + dispatch_ns).sum();
        let longest = self.works.iter().max().map_or(0, |work| work + dispatch_ns);
        let cores = cores as u64;
        Ideal { bound: all.div_ceil(cores).max(home).max(longest), naive: work.div_ceil(cores) }
    }
}

impl Workload for Unbalanced {
    type Event = u64;
    type State = ();

    fn stages(&self) -> Vec<StageInfo> {
        let long = u64::midpoint(LONG_CYCLES.0, LONG_CYCLES.1);
        let stage = |(name, cycles)| StageInfo::new(name).cost(Cost::fixed(ns(cycles)));
        [("short", SHORT_CYCLES), ("long", long)].map(stage).into()
    }

    fn start(&self, start: &mut Start<u64, ()>) {
        let (home, cores) = (CoreId(HOME as u16), start.cores());
        for (n, &work) in self.works.iter().enumerate() {
            let color = Color::at_home(home, n as u64, cores);
            start.open(color, ());
            start.post(color, if work > ns(LONG_CYCLES.0 - 1) { LONG } else { SHORT }, work);
        }
    }

    fn run(&self, act: &mut Act<'_, '_, u64, ()>, (): &mut (), work: u64) {
        act.spend(work);
        act.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ideal_is_the_longest_of_what_all_and_the_home_core_and_one_event_take() {
        let load = Unbalanced { works: vec![43, 43, 1_000, 5_000] };
        let ideal = |cores| load.ideal_ns(cores);
        assert_eq!(ideal(1), Ideal { bound: 6_086 + 44, naive: 6_086 });
        assert_eq!(ideal(128), Ideal { bound: 5_011, naive: 48 });
        let short = Unbalanced { works: vec![43; 1_000] };
        assert_eq!(short.ideal_ns(128).bound, 54_000);
    }
}
