//! What every scheduler owes, and what each promises beyond that.

use std::collections::HashSet;

use color_sched::{
    Admission, Color, ColorQueues, Fifo, Flat, MAX_STAGES, Priority, Ready, Scheduler, Slot,
    StageBatch, StageId, StageInfo,
};
use proptest::prelude::*;

const STAGES: u16 = 4;

fn stages() -> Vec<StageInfo> {
    let stage = |n: u16| StageInfo::new(format!("{n}"));
    (0..STAGES).map(|n| if n % 2 == 0 { stage(n).allocates() } else { stage(n) }).collect()
}

fn ready(color: u32, stage: u16) -> Ready {
    let color_id = Color(u64::from(color) + 100);
    Ready { color: color_id, stage: StageId(stage), slot: Slot(color), priority: Priority::Normal }
}

fn all() -> Vec<Box<dyn Scheduler>> {
    vec![
        Box::new(Fifo::new(&stages())),
        Box::new(Flat::new(&stages())),
        Box::new(StageBatch::new(&stages())),
        Box::new(StageBatch::new(&stages()).with_batch_limit(3)),
        Box::new(ColorQueues::new(&stages())),
    ]
}

fn elect(scheduler: &mut impl Scheduler) -> (Option<StageId>, Vec<u32>) {
    elect_with(scheduler, &mut |_: StageId, wanted: usize| wanted)
}

fn elect_with(
    scheduler: &mut impl Scheduler,
    admission: &mut dyn Admission,
) -> (Option<StageId>, Vec<u32>) {
    let mut batch = Vec::new();
    let stage = scheduler.elect(admission, 100, &mut batch);
    (stage, batch.iter().map(|ready| ready.slot.0).collect())
}

#[derive(Clone, Debug)]
enum Step {
    Push(u32, u16),
    Elect(usize, usize),
    Take(u32),
    Return,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0u32..40, 0..STAGES).prop_map(|(color, stage)| Step::Push(color, stage)),
        4 => (1usize..10, 0usize..10).prop_map(|(limit, grant)| Step::Elect(limit, grant)),
        1 => (0u32..40).prop_map(Step::Take),
        1 => Just(Step::Return),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_color_that_was_pushed_is_elected_or_taken_once(steps in steps()) {
        for mut scheduler in all() {
            let mut inside = HashSet::new();
            for step in &steps {
                match *step {
                    Step::Push(color, stage) => {
                        if inside.insert(color) {
                            scheduler.push(ready(color, stage));
                        }
                    }
                    Step::Elect(limit, grant) => {
                        let mut batch = Vec::new();
                        let mut granted = None;
                        let mut admission = |_: StageId, wanted: usize| {
                            assert!(wanted > 0);
                            granted = Some(grant.min(wanted));
                            grant.min(wanted)
                        };
                        let elected = scheduler.elect(&mut admission, limit, &mut batch);
                        prop_assert_eq!(elected.is_some(), !batch.is_empty());
                        prop_assert!(batch.len() <= limit);
                        if let Some(StageId(stage)) = elected {
                            prop_assert!(stage % 2 == 1 || Some(batch.len()) <= granted);
                        }
                        for ready in batch {
                            prop_assert_eq!(Some(ready.stage), elected);
                            prop_assert!(inside.remove(&ready.slot.0), "{} twice", ready.slot.0);
                        }
                    }
                    Step::Take(color) => {
                        let taken = scheduler.take_color(ready(color, 0).color, Slot(color));
                        prop_assert_eq!(taken.is_some(), inside.remove(&color));
                        let other = scheduler.take_color(Color(7), Slot(color));
                        prop_assert_eq!(other, None, "another color in that slot");
                    }
                    Step::Return => scheduler.permits_returned(),
                }
                prop_assert_eq!(scheduler.len(), inside.len());
                prop_assert_eq!(scheduler.is_empty(), inside.is_empty());
            }
            scheduler.permits_returned();
            while !inside.is_empty() {
                let (_, batch) = elect(&mut scheduler);
                prop_assert!(!batch.is_empty(), "{} colors are stuck", inside.len());
                for color in batch {
                    prop_assert!(inside.remove(&color));
                }
            }
        }
    }
}

#[test]
fn fifo_runs_colors_in_order_of_arrival_and_those_that_allocate_one_by_one() {
    let mut fifo = Fifo::new(&stages());
    for (color, stage) in [(3, 0), (1, 0), (2, 1), (5, 1), (4, 1), (6, 3), (7, 1)] {
        fifo.push(ready(color, stage));
    }
    let order: Vec<_> = std::iter::from_fn(|| elect(&mut fifo).0.map(|_| fifo.len())).collect();
    assert_eq!(order, [6, 5, 2, 1, 0]);
    for (color, stage) in [(3, 1), (1, 1), (2, 1)] {
        fifo.push(ready(color, stage));
    }
    assert_eq!(elect(&mut fifo).1, [3, 1, 2]);
}

#[test]
fn color_that_fifo_had_to_pass_over_comes_before_later_ones() {
    let mut fifo = Fifo::new(&stages());
    for (color, stage) in [(1, 0), (2, 0), (3, 1)] {
        fifo.push(ready(color, stage));
    }
    let mut asked = 0;
    let mut refuse = |_: StageId, _: usize| {
        asked += 1;
        0
    };
    assert_eq!(elect_with(&mut fifo, &mut refuse), (Some(StageId(1)), vec![3]));
    assert_eq!(elect_with(&mut fifo, &mut refuse), (None, vec![]));
    assert_eq!(asked, 1, "a refused stage is asked about once until permits return");
    fifo.push(ready(4, 1));
    fifo.permits_returned();
    let order: Vec<_> = (0..3).map(|_| elect(&mut fifo).1).collect();
    assert_eq!(order, [[1], [2], [4]]);
}

#[test]
fn stage_batch_takes_what_admission_grants_in_order_of_arrival() {
    let mut scheduler = StageBatch::new(&stages());
    for color in 0..10 {
        scheduler.push(ready(color, 0));
    }
    let mut wanted = Vec::new();
    let mut grant = |stage: StageId, n: usize| {
        wanted.push((stage, n));
        4
    };
    assert_eq!(elect_with(&mut scheduler, &mut grant), (Some(StageId(0)), vec![0, 1, 2, 3]));
    assert_eq!(elect_with(&mut scheduler, &mut grant).1, [4, 5, 6, 7]);
    assert_eq!(elect_with(&mut scheduler, &mut grant).1, [8, 9]);
    assert_eq!(wanted, [(StageId(0), 10), (StageId(0), 6), (StageId(0), 2)]);
}

#[test]
fn batch_is_never_larger_than_what_was_granted() {
    for grant in 1..4 {
        let mut scheduler = StageBatch::new(&stages());
        (0..40).for_each(|color| scheduler.push(ready(color, 0)));
        for batch in 0..200 {
            let (_, ran) = elect_with(&mut scheduler, &mut |_: StageId, _: usize| grant);
            assert_eq!(ran.len(), grant, "batch {batch}");
            ran.into_iter().for_each(|color| scheduler.push(ready(color, 0)));
        }
    }
}

#[test]
fn stage_that_does_not_allocate_needs_no_admission() {
    let mut scheduler = StageBatch::new(&stages());
    scheduler.push(ready(1, 1));
    let mut never = |_: StageId, _: usize| -> usize { panic!("it was asked") };
    assert_eq!(elect_with(&mut scheduler, &mut never), (Some(StageId(1)), vec![1]));
}

#[test]
fn color_runs_ten_events_and_then_goes_behind_the_others() {
    let mut scheduler = ColorQueues::new(&stages());
    scheduler.push(ready(1, 1));
    scheduler.push(ready(2, 1));
    let mut order: Vec<u32> = Vec::new();
    for _ in 0..25 {
        let (_, batch) = elect(&mut scheduler);
        order.extend(&batch);
        scheduler.push(ready(batch[0], 1));
    }
    let expected: Vec<_> = [vec![1; 10], vec![2; 10], vec![1; 5]].concat();
    assert_eq!(order, expected);
}

#[test]
fn stages_beyond_those_that_were_told_run_one_by_one_under_their_own_ids() {
    let told = [StageInfo::new("only").allocates()];
    let schedulers: Vec<Box<dyn Scheduler>> = vec![
        Box::new(Fifo::new(&told)),
        Box::new(StageBatch::new(&told)),
        Box::new(StageBatch::new(&[])),
        Box::new(ColorQueues::new(&told)),
    ];
    for mut scheduler in schedulers {
        scheduler.push(ready(1, 5));
        scheduler.push(ready(2, 6));
        assert_eq!(scheduler.take_color(ready(1, 5).color, Slot(1)), Some(ready(1, 5)));
        scheduler.push(ready(1, 5));
        let mut never = |_: StageId, _: usize| -> usize { panic!("another stage was asked about") };
        assert_eq!(elect_with(&mut scheduler, &mut never), (Some(StageId(6)), vec![2]));
        assert_eq!(elect_with(&mut scheduler, &mut never), (Some(StageId(5)), vec![1]));
        assert_eq!((elect(&mut scheduler), scheduler.len()), ((None, vec![]), 0));
    }
}

#[test]
fn as_many_stages_as_a_machine_can_have_are_told_apart() {
    let mut scheduler = StageBatch::new(&vec![StageInfo::new("one of many"); MAX_STAGES]);
    let last = MAX_STAGES as u16 - 1;
    for color in 0..3 {
        scheduler.push(ready(color, last - color as u16));
    }
    let order: Vec<_> = (0..3).map(|_| elect(&mut scheduler).0).collect();
    assert_eq!(order, [last - 2, last - 1, last].map(|stage| Some(StageId(stage))));
}
