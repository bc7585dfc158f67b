//! Which stage runs next? Three priorities, each found in O(1) (TUX §4.5.2; Stingy §3.2 for the refusal).
//!
//! | class | a stage is in it when | order inside |
//! |---|---|---|
//! | full | as many tasks wait as its memory is for: *maximal flow*, more cannot join | earlier first |
//! | fair, spent | fewer wait | earlier first, until its weight is spent; then a new round |
//! | low | its memory was refused, and permits have come back since | earlier first |
//! | asked | its memory was refused, and no permits have come back | not elected |
//!
//! Differs: the paper runs stages without memory last; here they cannot run at all until admission grants, so being asked
//! last is what they get. And it gives no bound on waiting; here every [`AGING`]th election goes to the stage whose turn it
//! is by number, whatever its class, so that a stage that waits is elected, or asked about, at least once in
//! `AGING` × (number of stages that wait) elections.
//!
//! A stage changes class when it has to, not sooner: one that runs dry stays in its class until an election meets it there,
//! and so does one whose weight is spent. A stage that posts to itself, or a short cycle of stages, then costs no changes.

use std::mem;

/// Elections of which one goes by turns.
pub const AGING: u32 = 64;
const BITS: usize = 64;

/// The classes of the table, as sets of stages: a stage is in the one of its class. A middle set is the fair one in
/// every other round, and the spent one in between, so that a new round is a matter of counting. What is in `EMPTY` is
/// never read.
type Class = usize;
const EMPTY: Class = 0;
const FULL: Class = 1;
const MIDDLE: [Class; 2] = [2, 3];
const LOW: Class = 4;
const ASKED: Class = 5;
/// Words for each 64 stages: as many as fill a cache line.
const CLASSES: usize = 8;

/// Up to 4096 stages in classes; the first of a class is found in two steps.
#[derive(Clone, Debug)]
struct Sets {
    /// For each class the words that are not zero.
    summary: [u64; CLASSES],
    /// For 64 stages each, one word a class.
    words: Box<[[u64; CLASSES]]>,
}

impl Sets {
    fn new(stages: usize) -> Self {
        let words = vec![[0; CLASSES]; stages.div_ceil(BITS).max(1)].into();
        Self { summary: [0; CLASSES], words }
    }

    #[inline]
    fn shift(&mut self, stage: usize, from: Class, to: Class) {
        let (from, to) = (from % CLASSES, to % CLASSES);
        let (word, bit) = (stage / BITS, 1 << (stage % BITS));
        let words = &mut self.words[word];
        words[from] &= !bit;
        words[to] |= bit;
        let is_last = words[from] == 0;
        self.summary[to] |= 1 << word;
        self.summary[from] &= !(u64::from(is_last) << word);
    }

    #[inline]
    fn is_empty(&self, class: Class) -> bool {
        self.summary[class] == 0
    }

    #[inline]
    fn first(&self, class: Class) -> Option<usize> {
        if self.summary[class] == 0 {
            return None;
        }
        let word = self.summary[class].trailing_zeros() as usize;
        Some(word * BITS + self.words[word][class].trailing_zeros() as usize)
    }

    /// The least stage from `from` on that may be elected. Looks at every word.
    fn next_eligible(&self, from: usize) -> Option<usize> {
        let (first, bit) = (from / BITS, from % BITS);
        self.words.iter().enumerate().skip(first).find_map(|(word, words)| {
            let eligible = words[FULL] | words[MIDDLE[0]] | words[MIDDLE[1]] | words[LOW];
            let kept = if word == first { u64::MAX << bit } else { u64::MAX };
            let found = eligible & kept;
            (found != 0).then(|| word * BITS + found.trailing_zeros() as usize)
        })
    }

    /// The only stage of the first 64 that is in any class, if it is the only one of all.
    #[inline]
    fn lone(&self) -> Option<usize> {
        let words = self.words.first()?;
        let waiting = words[FULL] | words[MIDDLE[0]] | words[MIDDLE[1]] | words[LOW];
        (self.words.len() == 1 && waiting.is_power_of_two())
            .then(|| waiting.trailing_zeros() as usize)
    }
}

#[derive(Clone, Debug)]
struct Stage {
    /// The set that it is in.
    class: Class,
    /// It stays there as long as this many tasks wait at least, and at most so many more.
    stays: (u32, u32),
    weight: u32,
    flow: u32,
    waiting: u32,
    credit: u32,
    /// The round that `credit` belongs to.
    round: u64,
    is_refused: bool,
}

/// Which stage to run, from how many tasks wait at each. Knows nothing of colors, queues or memory.
#[derive(Clone, Debug)]
pub struct Election {
    stages: Vec<Stage>,
    sets: Sets,
    round: u64,
    elections: u32,
    /// Where the next election by turns begins.
    turn: usize,
}

impl Election {
    /// Stages with `(weight, flow)` each: a weight of at least 1 counts its batches a round, a flow of at least 1 the tasks
    /// that its memory is for.
    #[must_use]
    pub fn new(stages: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let stage = |(weight, flow): (u32, u32)| Stage {
            class: EMPTY,
            stays: (0, 0),
            weight: weight.max(1),
            flow: flow.max(1),
            waiting: 0,
            credit: weight.max(1),
            round: 0,
            is_refused: false,
        };
        let stages: Vec<_> = stages.into_iter().map(stage).collect();
        let sets = Sets::new(stages.len());
        Self { stages, sets, round: 0, elections: 0, turn: 0 }
    }

    /// `waiting` tasks now wait at `stage`.
    #[inline]
    pub fn set_waiting(&mut self, stage: usize, waiting: usize) {
        let known = &mut self.stages[stage];
        known.waiting = waiting.min(u32::MAX as usize) as u32;
        if known.waiting.wrapping_sub(known.stays.0) > known.stays.1 {
            self.reclassify(stage);
        }
    }

    /// Elects a stage, which is then to be [granted](Self::granted) or [refused](Self::refused). `None`: no task waits, or
    /// all were refused and no permit has come back.
    #[inline]
    pub fn elect(&mut self) -> Option<usize> {
        self.elections = self.elections.wrapping_add(1);
        if self.elections.is_multiple_of(AGING) {
            return self.by_turns();
        }
        if let Some(stage) = self.sets.lone() {
            let known = &self.stages[stage];
            if known.waiting > 0 && !known.is_refused {
                if known.waiting < known.flow && known.credit_in(self.round) == 0 {
                    // A new round, of those in which its class is the fair one.
                    self.round += 1 + u64::from(known.class == middle(self.round));
                }
                return Some(stage);
            }
        }
        if let Some(stage) = self.sets.first(FULL) {
            return Some(stage);
        }
        let fair = middle(self.round);
        if let Some(stage) = self.sets.first(fair) {
            let known = &self.stages[stage];
            if known.waiting > 0 && known.credit_in(self.round) > 0 {
                return Some(stage);
            }
        }
        self.search()
    }

    /// As [`Self::elect`], past stages that have run dry or spent their weight.
    fn search(&mut self) -> Option<usize> {
        loop {
            let (fair, spent) = (middle(self.round), middle(self.round + 1));
            while let Some(stage) = self.sets.first(fair) {
                let known = &self.stages[stage];
                if known.waiting == 0 {
                    self.shift(stage, EMPTY);
                } else if known.credit_in(self.round) > 0 {
                    return Some(stage);
                } else {
                    self.shift(stage, spent);
                }
            }
            // All weight is spent: every stage has its own again.
            self.round += 1;
            if self.sets.is_empty(spent) {
                return self.sets.first(LOW);
            }
        }
    }

    /// A batch of the elected stage runs, and leaves `waiting` tasks.
    #[inline]
    pub fn granted(&mut self, stage: usize, waiting: usize) {
        let round = self.round;
        let known = &mut self.stages[stage];
        known.credit = known.credit_in(round).saturating_sub(1);
        known.round = round;
        if known.is_refused {
            known.is_refused = false;
            known.waiting = waiting.min(u32::MAX as usize) as u32;
            self.reclassify(stage);
        } else {
            self.set_waiting(stage, waiting);
        }
    }

    /// The elected stage has no memory.
    pub fn refused(&mut self, stage: usize) {
        self.stages[stage].is_refused = true;
        self.shift(stage, ASKED);
    }

    /// Stages that were refused may be asked about again.
    #[inline]
    pub fn permits_returned(&mut self) {
        while let Some(stage) = self.sets.first(ASKED) {
            self.shift(stage, LOW);
        }
    }

    fn by_turns(&mut self) -> Option<usize> {
        loop {
            let next = self.sets.next_eligible(self.turn);
            let stage = next.or_else(|| self.sets.next_eligible(0))?;
            if self.stages[stage].waiting > 0 {
                self.turn = stage + 1;
                return Some(stage);
            }
            self.shift(stage, EMPTY);
        }
    }

    fn reclassify(&mut self, stage: usize) {
        let known = &mut self.stages[stage];
        known.is_refused &= known.waiting > 0;
        let is_full = known.waiting >= known.flow;
        let class = match known.waiting {
            0 => EMPTY,
            _ if known.is_refused && known.class == ASKED => ASKED,
            _ if known.is_refused => LOW,
            _ if is_full => FULL,
            _ => middle(self.round + u64::from(known.credit_in(self.round) == 0)),
        };
        self.shift(stage, class);
    }

    fn shift(&mut self, stage: usize, class: Class) {
        let known = &mut self.stages[stage];
        let from = mem::replace(&mut known.class, class);
        known.stays = match class {
            EMPTY => (0, 0),
            FULL => (known.flow, u32::MAX - known.flow),
            LOW | ASKED => (1, u32::MAX - 1),
            _ => (0, known.flow - 1),
        };
        self.sets.shift(stage, from, class);
    }
}

#[inline]
fn middle(round: u64) -> Class {
    MIDDLE[(round & 1) as usize]
}

impl Stage {
    #[inline]
    fn credit_in(&self, round: u64) -> u32 {
        if self.round == round { self.credit } else { self.weight }
    }
}
