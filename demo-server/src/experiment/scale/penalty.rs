//! What are the events of `penalty`?
//!
//! As in §5.2 and in the model of the paper's machine: 2000 events A of colors of their own, all at home on the first core; A writes
//! an array of the size of an L1, and 64 events B of its color, one after the other, go through a piece of it each. A B waits for its lines
//! where the array is not: they come from the core that ran A, whoever ran the B before.

use color_sched::sim::{Act, Start, Workload};
use color_sched::{Color, CoreId, Cost, StageId, StageInfo};

use super::{HOME, L1_CYCLES, L2_CYCLES, lines_ns, ns};

const COLORS: u64 = 2_000;
const PIECES: u64 = 64;
const PIECE_LINES: u64 = 8;

/// As in the paper.
const PENALTY: u32 = 1_000;

const A: StageId = StageId(0);
const B: StageId = StageId(1);

/// The load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Penalty;

impl Workload for Penalty {
    /// Which B; 0 is A.
    type Event = u64;
    /// Where the array was written.
    type State = Option<CoreId>;

    fn stages(&self) -> Vec<StageInfo> {
        let (a, b) = (StageInfo::new("a"), StageInfo::new("b"));
        let b = b.cost(Cost::fixed(ns(PIECE_LINES * L2_CYCLES))).penalty(PENALTY);
        vec![a.cost(Cost::fixed(ns(PIECES * PIECE_LINES * L1_CYCLES))), b]
    }

    fn start(&self, start: &mut Start<u64, Option<CoreId>>) {
        for n in 0..COLORS {
            let color = Color::at_home(CoreId(HOME as u16), n, start.cores());
            start.open(color, None);
            start.post(color, A, 0);
        }
    }

    fn run(&self, act: &mut Act<'_, '_, u64, Option<CoreId>>, at: &mut Option<CoreId>, piece: u64) {
        let here = act.core();
        if piece == 0 {
            act.spend(ns(PIECES * PIECE_LINES * L1_CYCLES));
            *at = Some(here);
        } else {
            let brought_ns = lines_ns(PIECE_LINES, at.unwrap_or(here), here);
            act.spend(brought_ns.max(ns(PIECE_LINES * L2_CYCLES)));
        }
        if piece == PIECES {
            act.close();
        } else {
            let posted = act.next(B, piece + 1);
            assert!(posted.is_ok(), "one event of a color waits at a time");
        }
    }
}
