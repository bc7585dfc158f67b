//! Events whose memory is warm where their color was (Mely §5.2).
//!
//! A round begins with 2000 events A of colors of their own, all at home on the first core. A writes an array that fits
//! the core's cache; each of the events B of its color, one after the other, goes through the next piece of it. Whoever
//! steals a color before its A finds its memory cold anyway; whoever steals it later leaves the array in the victim's
//! cache. The array goes to the pool of the core that ran the color's last event, so that no more of them are there
//! than colors have begun.

use std::io;
use std::mem;

use color_sched::{Color, Context, CoreId, Cost, EventSink, StageId, StageInfo};

use super::arrays::{Pool, elements, fastest_ns};
use super::cores::{Load, refused};
use super::policy;
use super::{Change, Found, StealArgs, Window, cores, thefts};

/// Colors of a round.
const COLORS: usize = 2_000;
/// Events B of a color. With its A they are as many as run of one color in a row, so that few colors have begun at a
/// time.
const PIECES: usize = 9;
/// As in the paper.
const PENALTY: u32 = 1_000;
/// An array is this part of the cache, which holds other things as well.
const PART: u64 = 4;
/// Words of a line.
const LINE: usize = 8;

/// What A runs at, and B; the other way round when they have changed.
const STAGES: [StageId; 2] = [StageId(0), StageId(1)];

/// What one core runs.
struct Penalty {
    core: usize,
    cores: usize,
    colors: usize,
    pool: Pool<u64>,
}

/// An event.
struct Step {
    /// A is 0, the first B is 1.
    number: usize,
    is_changed: bool,
}

impl Step {
    fn stage(&self) -> StageId {
        STAGES[usize::from((self.number > 0) != self.is_changed)]
    }
}

/// Event A.
fn write(array: &mut [u64]) {
    for (at, word) in array.iter_mut().enumerate() {
        *word = at as u64;
    }
}

/// Event B.
fn touch(array: &mut [u64], piece: usize) {
    let words = array.len() / PIECES;
    let mut sum = 0_u64;
    for line in array[piece * words..][..words].chunks_mut(LINE) {
        sum = sum.wrapping_add(line[0]);
        line[0] = sum;
    }
}

impl Load for Penalty {
    type Event = Step;
    type State = Vec<u64>;

    fn colors(&self) -> usize {
        if self.core == 0 { self.colors } else { 0 }
    }

    fn register(
        &mut self,
        sink: &mut impl EventSink<Step, Vec<u64>>,
        index: usize,
        is_changed: bool,
    ) -> io::Result<()> {
        let color = Color::at_home(CoreId(self.core as u16), index as u64, self.cores);
        let step = Step { number: 0, is_changed };
        sink.post(color, step.stage(), step).map_err(refused)
    }

    fn run(&mut self, cx: &mut Context<'_, Step, Vec<u64>>, array: &mut Vec<u64>, step: Step) {
        match step.number.checked_sub(1) {
            None => {
                *array = self.pool.take();
                write(array);
            }
            Some(piece) => touch(array, piece),
        }
        if step.number == PIECES {
            self.pool.put(mem::take(array));
            return;
        }
        let next = Step { number: step.number + 1, ..step };
        let posted = cx.next(next.stage(), next);
        assert!(posted.is_ok(), "fewer events of a color wait than may");
    }
}

fn stages(args: &StealArgs, window: Window) -> Vec<StageInfo> {
    let (mut a, mut b) = (StageInfo::new("a"), StageInfo::new("b"));
    if policy::is_set_by_hand(args.by) {
        let mut array = vec![0; elements::<u64>(args, PART)];
        a = a.cost(Cost::fixed(fastest_ns(|| write(&mut array))));
        b = b.cost(Cost::fixed(fastest_ns(|| touch(&mut array, 0)))).penalty(PENALTY);
    }
    if window.change == Change::AtOnce { vec![b, a] } else { vec![a, b] }
}

fn loads(args: &StealArgs, cores: usize) -> (Vec<Penalty>, u64) {
    let (colors, elements) = (args.colors.unwrap_or(COLORS), elements::<u64>(args, PART));
    let load = |core| Penalty { core, cores, colors, pool: Pool::new(elements) };
    ((0..cores).map(load).collect(), (colors * (1 + PIECES)) as u64)
}

/// Runs the worker.
pub(super) fn run(args: &StealArgs, window: Window) -> anyhow::Result<Found> {
    Ok(thefts::found(&cores::run_by_policy(args, window, stages, loads)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_whole_array_and_no_two_have_a_line_in_common() {
        let before: Vec<u64> = vec![7; PIECES * LINE * 3];
        let mut array = before.clone();
        for piece in 0..PIECES {
            let others = array.clone();
            touch(&mut array, piece);
            let changed: Vec<_> = (0..array.len()).filter(|&at| array[at] != others[at]).collect();
            // The first word of a piece is the sum of itself alone.
            let expected = [1, 2].map(|line| (piece * 3 + line) * LINE);
            assert_eq!(changed, expected, "piece {piece}");
        }
    }

    #[test]
    fn a_and_b_exchange_their_stages_when_they_have_changed() {
        let stage = |number, is_changed| Step { number, is_changed }.stage();
        assert_eq!([stage(0, false), stage(1, false)], STAGES);
        assert_eq!([stage(1, true), stage(0, true)], STAGES);
    }
}
