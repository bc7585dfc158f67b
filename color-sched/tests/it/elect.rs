//! The election against a plain second implementation, its table, and its bound on waiting.

use color_sched::elect::{AGING, Election};
use proptest::prelude::*;

/// The table of `elect.rs`, found by looking at every stage.
struct Oracle {
    stages: Vec<Plain>,
    elections: u32,
    turn: usize,
}

struct Plain {
    weight: u32,
    flow: u32,
    waiting: usize,
    credit: u32,
    is_refused: bool,
    is_asked: bool,
}

impl Oracle {
    fn new(stages: &[(u32, u32)]) -> Self {
        let plain = |&(weight, flow): &(u32, u32)| Plain {
            weight,
            flow,
            waiting: 0,
            credit: weight,
            is_refused: false,
            is_asked: false,
        };
        Self { stages: stages.iter().map(plain).collect(), elections: 0, turn: 0 }
    }

    fn set_waiting(&mut self, stage: usize, waiting: usize) {
        let plain = &mut self.stages[stage];
        plain.waiting = waiting;
        if waiting == 0 {
            (plain.is_refused, plain.is_asked) = (false, false);
        }
    }

    fn first(&self, wanted: impl Fn(&Plain) -> bool) -> Option<usize> {
        self.stages.iter().position(|stage| stage.waiting > 0 && !stage.is_asked && wanted(stage))
    }

    fn elect(&mut self) -> Option<usize> {
        self.elections += 1;
        if self.elections.is_multiple_of(AGING) {
            let (before, after) = self.stages.split_at(self.turn.min(self.stages.len()));
            let is_eligible = |stage: &Plain| stage.waiting > 0 && !stage.is_asked;
            let elected = after.iter().position(is_eligible).map(|n| n + before.len());
            let elected = elected.or_else(|| before.iter().position(is_eligible))?;
            self.turn = elected + 1;
            return Some(elected);
        }
        let is_full = |stage: &Plain| !stage.is_refused && stage.waiting >= stage.flow as usize;
        if let Some(stage) = self.first(is_full) {
            return Some(stage);
        }
        let is_middle = |stage: &Plain| !stage.is_refused && stage.waiting < stage.flow as usize;
        if self.first(|stage| is_middle(stage) && stage.credit > 0).is_none() {
            self.stages.iter_mut().for_each(|stage| stage.credit = stage.weight);
        }
        self.first(is_middle).map_or_else(
            || self.first(|_| true),
            |_| self.first(|stage| is_middle(stage) && stage.credit > 0),
        )
    }

    fn granted(&mut self, stage: usize, left: usize) {
        let plain = &mut self.stages[stage];
        plain.credit = plain.credit.saturating_sub(1);
        plain.is_refused = false;
        plain.is_asked = false;
        self.set_waiting(stage, left);
    }

    fn refused(&mut self, stage: usize) {
        (self.stages[stage].is_refused, self.stages[stage].is_asked) = (true, true);
    }

    fn permits_returned(&mut self) {
        self.stages.iter_mut().for_each(|stage| stage.is_asked = false);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Wait(usize, usize),
    ElectAndGrant(usize),
    ElectAndRefuse,
    Return,
}

fn steps(stages: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..stages, 0usize..6).prop_map(|(stage, waiting)| Step::Wait(stage, waiting)),
        4 => (0usize..4).prop_map(Step::ElectAndGrant),
        1 => Just(Step::ElectAndRefuse),
        1 => Just(Step::Return),
    ];
    prop::collection::vec(step, 1..300)
}

fn cases() -> impl Strategy<Value = (Vec<(u32, u32)>, Vec<Step>)> {
    prop_oneof![Just(1usize), 2usize..6, 63usize..67, 127usize..131]
        .prop_flat_map(|stages| (prop::collection::vec((1u32..4, 1u32..5), stages), steps(stages)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn election_agrees_with_one_that_looks_at_every_stage((stages, steps) in cases()) {
        let mut election = Election::new(stages.iter().copied());
        let mut oracle = Oracle::new(&stages);
        for step in steps {
            match step {
                Step::Wait(stage, waiting) => {
                    election.set_waiting(stage, waiting);
                    oracle.set_waiting(stage, waiting);
                }
                Step::ElectAndGrant(left) => {
                    let elected = election.elect();
                    prop_assert_eq!(elected, oracle.elect());
                    if let Some(stage) = elected {
                        election.granted(stage, left);
                        oracle.granted(stage, left);
                    }
                }
                Step::ElectAndRefuse => {
                    let elected = election.elect();
                    prop_assert_eq!(elected, oracle.elect());
                    if let Some(stage) = elected {
                        election.refused(stage);
                        oracle.refused(stage);
                    }
                }
                Step::Return => {
                    election.permits_returned();
                    oracle.permits_returned();
                }
            }
        }
    }

    #[test]
    fn every_stage_that_waits_is_elected_within_the_bound(
        stages in prop::collection::vec((1u32..200, 1u32..3), 1..12),
        refused in any::<u16>(),
    ) {
        let mut election = Election::new(stages.iter().copied());
        for stage in 0..stages.len() {
            election.set_waiting(stage, 1 + stage % 4);
        }
        let bound = AGING as usize * stages.len();
        let mut last = vec![0; stages.len()];
        for now in 1..=3 * bound {
            election.permits_returned();
            let stage = election.elect().expect("stages wait");
            prop_assert!(now - last[stage] <= bound);
            last[stage] = now;
            if refused >> stage & 1 == 1 {
                election.refused(stage);
            } else {
                election.granted(stage, 1 + stage % 4);
            }
        }
        prop_assert!(last.iter().all(|last| 3 * bound - last <= bound), "{last:?}");
    }
}

#[test]
fn stage_at_maximal_flow_comes_before_an_earlier_one() {
    let mut election = Election::new([(1, 8), (1, 2), (1, 8)]);
    election.set_waiting(0, 7);
    election.set_waiting(1, 2);
    election.set_waiting(2, 1);
    assert_eq!(election.elect(), Some(1));
    election.granted(1, 1);
    assert_eq!(election.elect(), Some(0));
}

#[test]
fn earlier_stages_have_their_weight_before_later_ones() {
    let mut election = Election::new([(3, 99), (1, 99)]);
    let elected: Vec<_> = (0..8)
        .map(|_| {
            election.set_waiting(0, 5);
            election.set_waiting(1, 5);
            let stage = election.elect().unwrap();
            election.granted(stage, 4);
            stage
        })
        .collect();
    assert_eq!(elected, [0, 0, 0, 1, 0, 0, 0, 1]);
}

#[test]
fn refused_stage_comes_last_and_only_after_permits_have_come_back() {
    let mut election = Election::new([(1, 1), (1, 99)]);
    election.set_waiting(0, 5);
    assert_eq!(election.elect(), Some(0));
    election.refused(0);
    assert_eq!(election.elect(), None);
    election.set_waiting(1, 1);
    election.permits_returned();
    assert_eq!(election.elect(), Some(1));
    election.granted(1, 0);
    assert_eq!(election.elect(), Some(0));
    election.granted(0, 4);
    election.set_waiting(1, 1);
    assert_eq!(election.elect(), Some(0), "granted once, it is at maximal flow again");
}
