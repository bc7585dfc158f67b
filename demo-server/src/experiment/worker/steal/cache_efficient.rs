//! A merge sort in two halves (Mely §5.2, *cache efficient*).
//!
//! A round begins with a hundred events A on the first core, of colors of their own. A fills an array that fits the
//! core's cache and sends its halves to events B, of two other colors, which sort them; each posts an event C to the
//! color of A, and the second of these merges the halves. The halves are owned by whoever holds the event.

use std::io;

use color_sched::{Color, Context, CoreId, Cost, EventSink, StageId, StageInfo};

use super::arrays::{Pool, elements, fastest_ns};
use super::cores::{Load, refused};
use super::policy;
use super::{Change, Found, StealArgs, Window, cores, thefts};
use crate::experiment::worker::dispatch::shuffled;

/// Arrays of a round.
const ARRAYS: usize = 100;
/// An array is this part of the cache: a sort takes some ten thefts.
const PART: u64 = 16;
/// Events for each array: A, two B, two C.
const EVENTS: u64 = 5;
/// Colors for each array.
const COLORS: u64 = 3;

const A: StageId = StageId(0);
const B: StageId = StageId(1);
const C: StageId = StageId(2);

/// What one core runs.
struct Sort {
    core: usize,
    cores: usize,
    arrays: usize,
    /// Arrays that have been begun: each has colors that no other had.
    begun: u64,
    halves: Pool<u32>,
    wholes: Pool<u32>,
}

/// An event. B and C exchange their stages when they have changed.
enum Step {
    Begin { n: u64, is_changed: bool },
    Sort { half: Vec<u32>, parent: Color, is_changed: bool },
    Merge { half: Vec<u32> },
}

const fn stages_of(is_changed: bool) -> [StageId; 2] {
    if is_changed { [C, B] } else { [B, C] }
}

/// Half of event A.
fn fill(half: &mut [u32], seed: u64) {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for number in half {
        random = shuffled(random);
        *number = (random >> 32) as u32;
    }
}

/// The end of the second event C.
fn merge(one: &[u32], other: &[u32], whole: &mut [u32]) {
    let (mut i, mut j) = (0, 0);
    for place in whole {
        let takes_one = j == other.len() || (i < one.len() && one[i] <= other[j]);
        let (half, at) = if takes_one { (one, &mut i) } else { (other, &mut j) };
        *place = half[*at];
        *at += 1;
    }
}

impl Sort {
    fn color(&self, n: u64, which: u64) -> Color {
        Color::at_home(CoreId(0), n * COLORS + which, self.cores)
    }

    fn begin(&mut self, cx: &mut Context<'_, Step, Option<Vec<u32>>>, n: u64, is_changed: bool) {
        let [sort, _] = stages_of(is_changed);
        for which in 1..COLORS {
            let (mut half, parent) = (self.halves.take(), cx.color());
            fill(&mut half, n * COLORS + which);
            let posted =
                cx.post(self.color(n, which), sort, Step::Sort { half, parent, is_changed });
            assert!(posted.is_ok(), "the machine runs until the round is over");
        }
    }

    /// The second half is there.
    fn join(&mut self, one: Vec<u32>, other: Vec<u32>) {
        let mut whole = self.wholes.take();
        merge(&one, &other, &mut whole);
        debug_assert!(whole.is_sorted(), "halves are sorted");
        self.wholes.put(whole);
        self.halves.put(one);
        self.halves.put(other);
    }
}

impl Load for Sort {
    type Event = Step;
    type State = Option<Vec<u32>>;

    fn colors(&self) -> usize {
        if self.core == 0 { self.arrays } else { 0 }
    }

    fn register(
        &mut self,
        sink: &mut impl EventSink<Step, Option<Vec<u32>>>,
        _: usize,
        is_changed: bool,
    ) -> io::Result<()> {
        let n = self.begun;
        self.begun += 1;
        let color = self.color(n, 0);
        sink.open(color, None).map_err(refused)?;
        sink.post(color, A, Step::Begin { n, is_changed }).map_err(refused)
    }

    fn run(
        &mut self,
        cx: &mut Context<'_, Step, Option<Vec<u32>>>,
        first: &mut Option<Vec<u32>>,
        step: Step,
    ) {
        match step {
            Step::Begin { n, is_changed } => self.begin(cx, n, is_changed),
            Step::Sort { mut half, parent, is_changed } => {
                half.sort_unstable();
                let [_, merge] = stages_of(is_changed);
                let posted = cx.post(parent, merge, Step::Merge { half });
                assert!(posted.is_ok(), "the color of A is open until both halves are merged");
            }
            Step::Merge { half } => match first.take() {
                None => *first = Some(half),
                Some(other) => {
                    self.join(half, other);
                    cx.close();
                }
            },
        }
    }
}

fn stages(args: &StealArgs, window: Window) -> Vec<StageInfo> {
    let [a, mut b, mut c] = ["a", "b", "c"].map(StageInfo::new);
    if !policy::is_set_by_hand(args.by) {
        return vec![a, b, c];
    }
    let half = elements::<u32>(args, PART) / 2;
    let (mut one, mut whole) = (vec![0; half], vec![0; 2 * half]);
    let a_ns = 2 * fastest_ns(|| fill(&mut one, 1));
    let mut sorted = Vec::new();
    let b_ns = fastest_ns(|| {
        sorted.clone_from(&one);
        sorted.sort_unstable();
    });
    // The first C of an array only waits for the second.
    let c_ns = fastest_ns(|| merge(&sorted, &sorted, &mut whole)) / 2;
    (b, c) = (b.cost(Cost::fixed(b_ns)), c.cost(Cost::fixed(c_ns)));
    let a = a.cost(Cost::fixed(a_ns));
    if window.change == Change::AtOnce { vec![a, c, b] } else { vec![a, b, c] }
}

fn loads(args: &StealArgs, cores: usize) -> (Vec<Sort>, u64) {
    let arrays = args.colors.unwrap_or(ARRAYS);
    let half = elements::<u32>(args, PART) / 2;
    let load = |core| {
        let (halves, wholes) = (Pool::new(half), Pool::new(2 * half));
        Sort { core, cores, arrays, begun: 0, halves, wholes }
    };
    ((0..cores).map(load).collect(), arrays as u64 * EVENTS)
}

/// Runs the worker.
pub(super) fn run(args: &StealArgs, window: Window) -> anyhow::Result<Found> {
    Ok(thefts::found(&cores::run_by_policy(args, window, stages, loads)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merge_of_two_sorted_halves_is_their_numbers_in_order() {
        for (left, right) in [(4, 4), (1, 7), (0, 3), (3, 0)] {
            let (mut one, mut other) = (vec![0; left], vec![0; right]);
            fill(&mut one, 1);
            fill(&mut other, 2);
            let mut expected = [one.clone(), other.clone()].concat();
            expected.sort_unstable();
            one.sort_unstable();
            other.sort_unstable();
            let mut whole = vec![0; left + right];
            merge(&one, &other, &mut whole);
            assert_eq!(whole, expected);
        }
    }
}
