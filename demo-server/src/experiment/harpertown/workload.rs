//! What are the handlers of the three microbenchmarks? (§5.2)

use std::mem::take;

use super::chance::Chance;
use super::memory::{L1_CYCLES, L2_CYCLES, Memory};
use super::pool::Pool;
use super::queues::Post;

/// What a handler took, and what it registers at its end.
#[derive(Debug, Default)]
pub(super) struct Ran {
    pub(super) cycles: u64,
    pub(super) posts: Vec<Post>,
}

pub(super) trait Workload {
    /// What waits at first.
    fn begin(&mut self) -> Vec<Post>;
    fn run(&mut self, core: usize, post: &Post, memory: &mut Memory) -> Ran;
    /// Rounds that have ended.
    fn rounds(&self) -> usize;
    fn is_over(&self) -> bool;
}

/// Counts the events of a round: the join, which costs nothing.
#[derive(Debug)]
struct Rounds {
    ended: usize,
    wanted: usize,
    left: usize,
    events: usize,
}

impl Rounds {
    const fn new(wanted: usize, events: usize) -> Self {
        Self { ended: 0, wanted, left: events, events }
    }

    /// One event is done; was it the last of its round, and does another follow?
    fn done(&mut self) -> bool {
        self.left -= 1;
        if self.left > 0 {
            return false;
        }
        self.ended += 1;
        self.left = self.events;
        self.ended < self.wanted
    }
}

/// Handlers, by their names in the paper; `unbalanced` has one, which is here A.
const FORK: u8 = 0;
const A: u8 = 1;
const B: u8 = 2;
const C: u8 = 3;

/// Begins a round on a core; its color is the number's.
const fn fork(core: usize) -> Post {
    Post {
        color: core as u32,
        home: core,
        handler: FORK,
        parameter: core as u32,
        time: 0,
        penalty: 1,
    }
}

/// Colors below are those of the forks.
const FIRST_COLOR: u32 = 64;

/// One event of so many is long: 2 %, which of them is chance.
const LONG_OF: u32 = 50;

#[derive(Debug)]
pub(super) struct Unbalanced {
    events: u32,
    /// The long one of these fifty.
    long: u32,
    rounds: Rounds,
    chance: Chance,
}

impl Unbalanced {
    pub(super) const fn new(events: u32, rounds: usize, seed: u64) -> Self {
        let rounds = Rounds::new(rounds, events as usize);
        Self { events, long: 0, rounds, chance: Chance::new(seed ^ 0xfeed) }
    }

    fn event(&mut self, number: u32) -> Post {
        if number.is_multiple_of(LONG_OF) {
            self.long = number + self.chance.below(LONG_OF.into()) as u32;
        }
        let time = if number == self.long { 10_000 + self.chance.below(40_001) } else { 100 };
        let color = FIRST_COLOR + number;
        Post { color, home: 0, handler: A, parameter: 0, time, penalty: 1 }
    }
}

impl Workload for Unbalanced {
    fn begin(&mut self) -> Vec<Post> {
        vec![fork(0)]
    }

    fn run(&mut self, _core: usize, post: &Post, _memory: &mut Memory) -> Ran {
        if post.handler == FORK {
            let posts = (0..self.events).map(|number| self.event(number)).collect();
            return Ran { cycles: 0, posts };
        }
        let posts = if self.rounds.done() { vec![fork(0)] } else { Vec::new() };
        Ran { cycles: post.time, posts }
    }

    fn rounds(&self) -> usize {
        self.rounds.ended
    }

    fn is_over(&self) -> bool {
        self.rounds.ended == self.rounds.wanted
    }
}

/// Lines of an array: 32 KB, the size of an L1.
const ARRAY_LINES: u32 = 512;

#[derive(Debug)]
pub(super) struct Penalty {
    colors: u32,
    arrays: Vec<u32>,
    pool: Pool,
    rounds: Rounds,
}

/// Lines that a B touches.
const PIECE_LINES: u32 = 8;
const PIECES: u32 = ARRAY_LINES / PIECE_LINES;
const WS_PENALTY: u32 = 1000;

impl Penalty {
    pub(super) fn new(colors: u32) -> Self {
        let events = (colors * (1 + PIECES)) as usize;
        Self {
            colors,
            arrays: vec![0; colors as usize],
            pool: Pool::new(ARRAY_LINES as usize),
            rounds: Rounds::new(1, events),
        }
    }

    const fn a(number: u32) -> Post {
        let color = FIRST_COLOR + number;
        let time = ARRAY_LINES as u64 * L1_CYCLES;
        Post { color, home: 0, handler: A, parameter: 0, time, penalty: 1 }
    }

    const fn b(color: u32, piece: u32) -> Post {
        let time = PIECE_LINES as u64 * L2_CYCLES;
        Post { color, home: 0, handler: B, parameter: piece, time, penalty: WS_PENALTY }
    }
}

impl Workload for Penalty {
    fn begin(&mut self) -> Vec<Post> {
        (0..self.colors).map(Self::a).collect()
    }

    fn run(&mut self, core: usize, post: &Post, memory: &mut Memory) -> Ran {
        let number = (post.color - FIRST_COLOR) as usize;
        if post.handler == A {
            let array = self.pool.take(core, memory);
            self.arrays[number] = array;
            let cycles = (0..ARRAY_LINES).map(|line| memory.store(core, array + line)).sum();
            self.rounds.done();
            return Ran { cycles, posts: vec![Self::b(post.color, 0)] };
        }
        let first = self.arrays[number] + post.parameter * PIECE_LINES;
        let cycles = (first..first + PIECE_LINES).map(|line| memory.read(core, line)).sum();
        self.rounds.done();
        let next = post.parameter + 1;
        if next < PIECES {
            return Ran { cycles, posts: vec![Self::b(post.color, next)] };
        }
        self.pool.give(core, take(&mut self.arrays[number]));
        Ran { cycles, posts: Vec::new() }
    }

    fn rounds(&self) -> usize {
        self.rounds.ended
    }

    fn is_over(&self) -> bool {
        self.rounds.ended == self.rounds.wanted
    }
}

/// The cores that A's start on: one of each pair.
const STARTS: [usize; 4] = [0, 2, 4, 6];
/// Lines of an array that is sorted: 16 KB, as a merge needs as much again for what it writes.
const SORTED_LINES: u32 = ARRAY_LINES / 2;
/// Numbers of 8 bytes in a line.
const NUMBERS: u64 = 8;

#[derive(Debug)]
pub(super) struct CacheEfficient {
    /// A's on each of the cores.
    arrays_each: u32,
    arrays: Vec<u32>,
    has_sorted: Vec<bool>,
    pool: Pool,
    rounds: Rounds,
}

impl CacheEfficient {
    pub(super) fn new(arrays_each: u32, rounds: usize) -> Self {
        let arrays = arrays_each as usize * STARTS.len();
        Self {
            arrays_each,
            arrays: vec![0; arrays],
            has_sorted: vec![false; arrays],
            pool: Pool::new(SORTED_LINES as usize),
            rounds: Rounds::new(rounds, arrays * 5),
        }
    }

    /// Three colors an array: its own, for A and the two C's, and one for each half.
    fn post(&self, array: u32, handler: u8, part: u32) -> Post {
        let home = STARTS[(array / self.arrays_each) as usize];
        let half = SORTED_LINES / 2;
        let (color, time) = match handler {
            A => (0, u64::from(SORTED_LINES) * L1_CYCLES),
            B => (1 + part, sort_cycles(half) + u64::from(half) * L2_CYCLES),
            _ => (0, merge_cycles(SORTED_LINES) / 2),
        };
        let color = FIRST_COLOR + array * 3 + color;
        let parameter = array * 2 + part;
        Post { color, home, handler, parameter, time, penalty: 1 }
    }
}

/// One access to each number on each level of the merge sort.
fn sort_cycles(lines: u32) -> u64 {
    let numbers = u64::from(lines) * NUMBERS;
    numbers * u64::from(numbers.ilog2()) * L1_CYCLES
}

fn merge_cycles(lines: u32) -> u64 {
    u64::from(lines) * NUMBERS * L1_CYCLES
}

impl Workload for CacheEfficient {
    fn begin(&mut self) -> Vec<Post> {
        STARTS.map(fork).into()
    }

    fn run(&mut self, core: usize, post: &Post, memory: &mut Memory) -> Ran {
        if post.handler == FORK {
            let at = STARTS.iter().position(|&start| start as u32 == post.parameter).unwrap_or(0);
            let first = at as u32 * self.arrays_each;
            let posts = (first..first + self.arrays_each).map(|array| self.post(array, A, 0));
            return Ran { cycles: 0, posts: posts.collect() };
        }
        let (array, part) = (post.parameter / 2, post.parameter % 2);
        let half = SORTED_LINES / 2;
        let mut change = |first: u32, lines: u32| -> u64 {
            let lines = first..first + lines;
            lines.map(|line| memory.read(core, line).max(memory.store(core, line))).sum()
        };
        let (cycles, posts) = match post.handler {
            A => {
                let first = self.pool.take(core, memory);
                self.arrays[array as usize] = first;
                let cycles = (first..first + SORTED_LINES).map(|line| memory.store(core, line));
                (cycles.sum(), vec![self.post(array, B, 0), self.post(array, B, 1)])
            }
            B => {
                let first = self.arrays[array as usize] + part * half;
                (change(first, half) + sort_cycles(half), vec![self.post(array, C, part)])
            }
            _ if !std::mem::replace(&mut self.has_sorted[array as usize], true) => (0, Vec::new()),
            _ => {
                self.has_sorted[array as usize] = false;
                let first = take(&mut self.arrays[array as usize]);
                let cycles = change(first, SORTED_LINES) + merge_cycles(SORTED_LINES);
                self.pool.give(core, first);
                (cycles, Vec::new())
            }
        };
        let is_new_round = self.rounds.done();
        let posts = if is_new_round { STARTS.map(fork).into() } else { posts };
        Ran { cycles, posts }
    }

    fn rounds(&self) -> usize {
        self.rounds.ended
    }

    fn is_over(&self) -> bool {
        self.rounds.ended == self.rounds.wanted
    }
}
