//! What are the events of `cache-efficient`?
//!
//! As in §5.2 and in the model of the paper's machine: on one core of each pair a hundred events A, of colors of their own. A fills
//! an array of 16 KB and sends its halves to events B, of two other colors, which sort them; each posts an event C to the color of A,
//! and the second of these merges the halves. An event waits for the lines of its half where the event before it ran.

use color_sched::sim::{Act, Start, Workload};
use color_sched::{Color, CoreId, Cost, StageId, StageInfo};

use super::{GROUP, L1_CYCLES, lines_ns, ns};

/// Arrays that begin on one core of each pair.
const ARRAYS: u64 = 100;
const HALF_LINES: u64 = 128;
/// Numbers of 8 bytes in a half.
const NUMBERS: u64 = HALF_LINES * 8;
/// Each number once a level, and once for a merge.
const SORT_CYCLES: u64 = NUMBERS * NUMBERS.ilog2() as u64 * L1_CYCLES;
const MERGE_CYCLES: u64 = 2 * NUMBERS * L1_CYCLES;

const A: StageId = StageId(0);
const B: StageId = StageId(1);
const C: StageId = StageId(2);

/// An event.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Begin { array: u64 },
    Sort { from: CoreId, parent: Color },
    Merge { from: CoreId },
}

/// The load.
#[derive(Clone, Copy, Debug)]
pub(super) struct CacheEfficient;

/// The color of an array, or of one of its halves, which is at home where the array begins.
const fn color(home: CoreId, array: u64, which: u64, cores: usize) -> Color {
    Color::at_home(home, array * 3 + which, cores)
}

impl Workload for CacheEfficient {
    type Event = Step;
    /// Where the half is that came first.
    type State = Option<CoreId>;

    fn stages(&self) -> Vec<StageInfo> {
        let works = [2 * HALF_LINES * L1_CYCLES, SORT_CYCLES, MERGE_CYCLES / 2];
        let stage = |(name, cycles)| StageInfo::new(name).cost(Cost::fixed(ns(cycles)));
        ["a", "b", "c"].into_iter().zip(works).map(stage).collect()
    }

    fn start(&self, start: &mut Start<Step, Option<CoreId>>) {
        let cores = start.cores();
        for home in (0..cores).step_by(GROUP).map(|core| CoreId(core as u16)) {
            for array in 0..ARRAYS {
                (0..3).for_each(|which| start.open(color(home, array, which, cores), None));
                start.post(color(home, array, 0, cores), A, Step::Begin { array });
            }
        }
    }

    fn run(
        &self,
        act: &mut Act<'_, '_, Step, Option<CoreId>>,
        first: &mut Option<CoreId>,
        step: Step,
    ) {
        let (here, cores) = (act.core(), act.cores());
        match step {
            Step::Begin { array } => {
                act.spend(ns(2 * HALF_LINES * L1_CYCLES));
                let (home, sort) =
                    (act.color().home(cores), Step::Sort { from: here, parent: act.color() });
                for which in 1..=2 {
                    let posted = act.post(color(home, array, which, cores), B, sort);
                    assert!(posted.is_ok(), "one event of a half waits");
                }
            }
            Step::Sort { from, parent } => {
                act.spend(lines_ns(HALF_LINES, from, here));
                act.spend(ns(SORT_CYCLES));
                let posted = act.post(parent, C, Step::Merge { from: here });
                assert!(posted.is_ok(), "the color of A is open until both halves are merged");
                act.close();
            }
            Step::Merge { from } => match first.take() {
                None => *first = Some(from),
                Some(other) => {
                    act.spend(lines_ns(HALF_LINES, from, here) + lines_ns(HALF_LINES, other, here));
                    act.spend(ns(MERGE_CYCLES));
                    act.close();
                }
            },
        }
    }
}
