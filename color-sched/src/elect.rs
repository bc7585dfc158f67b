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

/// Elections of which one goes by turns.
pub const AGING: u32 = 64;
const BITS: usize = 64;

/// A set of up to 4096 numbers whose least member is found in two steps.
#[derive(Clone, Debug)]
struct Set {
    summary: u64,
    words: Box<[u64]>,
}

impl Set {
    fn new(size: usize) -> Self {
        Self { summary: 0, words: vec![0; size.div_ceil(BITS).max(1)].into() }
    }

    #[inline]
    fn insert(&mut self, n: usize) {
        self.words[n / BITS] |= 1 << (n % BITS);
        self.summary |= 1 << (n / BITS);
    }

    #[inline]
    fn remove(&mut self, n: usize) {
        let word = &mut self.words[n / BITS];
        *word &= !(1 << (n % BITS));
        if *word == 0 {
            self.summary &= !(1 << (n / BITS));
        }
    }

    #[inline]
    fn first(&self) -> Option<usize> {
        if self.summary == 0 {
            return None;
        }
        let word = self.summary.trailing_zeros() as usize;
        Some(word * BITS + self.words[word].trailing_zeros() as usize)
    }

    /// The least member that is at least `from`.
    fn first_from(&self, from: usize) -> Option<usize> {
        let (word, bit) = (from / BITS, from % BITS);
        let here = self.words.get(word)? & (u64::MAX << bit);
        if here != 0 {
            return Some(word * BITS + here.trailing_zeros() as usize);
        }
        let later = self.summary & u64::MAX.checked_shl(word as u32 + 1).unwrap_or(0);
        if later == 0 {
            return None;
        }
        let word = later.trailing_zeros() as usize;
        Some(word * BITS + self.words[word].trailing_zeros() as usize)
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.summary == 0
    }

    fn clear(&mut self) {
        self.words.fill(0);
        self.summary = 0;
    }

    fn insert_all(&mut self, other: &Self) {
        self.summary |= other.summary;
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }
}

/// See the table above. A middle set is the fair one in every other round, and the spent one in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Empty,
    Full,
    Middle(usize),
    Refused,
}

#[derive(Clone, Debug)]
struct Stage {
    class: Class,
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
    full: Set,
    /// Stages with credit in rounds of this parity; so that a new round exchanges fair and spent by counting.
    middle: [Set; 2],
    low: Set,
    asked: Set,
    /// All stages where tasks wait, but those in `asked`.
    eligible: Set,
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
            class: Class::Empty,
            weight: weight.max(1),
            flow: flow.max(1),
            waiting: 0,
            credit: weight.max(1),
            round: 0,
            is_refused: false,
        };
        let stages: Vec<_> = stages.into_iter().map(stage).collect();
        let set = Set::new(stages.len());
        Self {
            stages,
            full: set.clone(),
            middle: [set.clone(), set.clone()],
            low: set.clone(),
            asked: set.clone(),
            eligible: set,
            round: 0,
            elections: 0,
            turn: 0,
        }
    }

    /// `waiting` tasks now wait at `stage`.
    #[inline]
    pub fn set_waiting(&mut self, stage: usize, waiting: usize) {
        let round = self.round;
        let known = &mut self.stages[stage];
        known.waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        known.is_refused &= waiting > 0;
        let class = known.class_in(round);
        if class != known.class {
            self.reclassify(stage, class);
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
        if let Some(stage) = self.full.first() {
            return Some(stage);
        }
        if self.middle[parity(self.round)].is_empty() {
            // All credit is spent: every stage has its weight again.
            self.round += 1;
        }
        self.middle[parity(self.round)].first().or_else(|| self.low.first())
    }

    /// A batch of the elected stage runs, and leaves `waiting` tasks.
    #[inline]
    pub fn granted(&mut self, stage: usize, waiting: usize) {
        let round = self.round;
        let known = &mut self.stages[stage];
        known.credit = known.credit_in(round).saturating_sub(1);
        known.round = round;
        known.is_refused = false;
        self.set_waiting(stage, waiting);
    }

    /// The elected stage has no memory.
    pub fn refused(&mut self, stage: usize) {
        self.stages[stage].is_refused = true;
        self.reclassify(stage, Class::Refused);
    }

    /// Stages that were refused may be asked about again.
    #[inline]
    pub fn permits_returned(&mut self) {
        if !self.asked.is_empty() {
            self.eligible.insert_all(&self.asked);
            self.low.insert_all(&self.asked);
            self.asked.clear();
        }
    }

    fn by_turns(&mut self) -> Option<usize> {
        let stage = self.eligible.first_from(self.turn).or_else(|| self.eligible.first())?;
        self.turn = stage + 1;
        Some(stage)
    }

    fn reclassify(&mut self, stage: usize, class: Class) {
        match self.stages[stage].class {
            Class::Empty => {}
            Class::Full => self.full.remove(stage),
            Class::Middle(parity) => self.middle[parity].remove(stage),
            Class::Refused => {
                self.low.remove(stage);
                self.asked.remove(stage);
            }
        }
        self.eligible.insert(stage);
        match class {
            Class::Empty => self.eligible.remove(stage),
            Class::Full => self.full.insert(stage),
            Class::Middle(parity) => self.middle[parity].insert(stage),
            Class::Refused => {
                self.asked.insert(stage);
                self.eligible.remove(stage);
            }
        }
        self.stages[stage].class = class;
    }
}

fn parity(round: u64) -> usize {
    (round & 1) as usize
}

impl Stage {
    #[inline]
    fn credit_in(&self, round: u64) -> u32 {
        if self.round == round { self.credit } else { self.weight }
    }

    #[inline]
    fn class_in(&self, round: u64) -> Class {
        if self.waiting == 0 {
            Class::Empty
        } else if self.is_refused {
            Class::Refused
        } else if self.waiting >= self.flow {
            Class::Full
        } else {
            Class::Middle(parity(round + u64::from(self.credit_in(round) == 0)))
        }
    }
}
