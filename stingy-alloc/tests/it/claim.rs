//! Does a stage starve? Not if every waiting stage is asked in turn; and one that is silent holds nobody back.

use std::collections::VecDeque;

use proptest::prelude::*;
use stingy_alloc::{MemoryMap, SiteId, Slab, Slot, StageId};

use crate::{slab, small};

/// As many refusals in a row put a stage first in line.
const PATIENCE: usize = 32;

const BIG: StageId = StageId(0);
const SMALL: [StageId; 3] = [StageId(1), StageId(2), StageId(3)];

/// One site of `slots` objects; a task of the big stage takes `big` of them, the others one.
fn map(slots: u32, big: u32) -> MemoryMap {
    let builder = MemoryMap::builder().geometry(small()).site("object", 64, slots);
    let builder = builder.stage("big", &[], &[("object", big)]);
    let stage = |b: stingy_alloc::MapBuilder, name| b.stage(name, &[], &[("object", 1)]);
    ["one", "two", "three"].into_iter().fold(builder, stage).build().unwrap()
}

/// An object for a task of `stage`, if it is admitted.
fn run(slab: &Slab, stage: StageId) -> Option<Slot> {
    let permit = slab.admit(stage, 1);
    (permit.granted() == 1).then(|| permit.alloc(SiteId(0)).expect("covered"))
}

/// Refuses the big stage until it is first in line.
fn starve(slab: &Slab) {
    let held = slab.take(SiteId(0)).expect("a free slab");
    for _ in 0..PATIENCE {
        assert_eq!(slab.admit(BIG, 1).granted(), 0);
    }
    drop(held);
}

#[test]
fn a_stage_that_takes_all_is_granted_beside_ones_that_never_leave_it_free() {
    for (slots, hold) in [(4, 2), (4, 7), (6, 3)] {
        let slab = slab(&map(slots, slots));
        let mut live: VecDeque<(usize, Slot)> = VecDeque::new();
        let rounds = (0..1000).take_while(|round| {
            // Those that end make room; those that are asked first take it at once.
            while live.front().is_some_and(|(end, _)| end <= round) {
                live.pop_front();
            }
            for stage in SMALL {
                live.extend(run(&slab, stage).map(|slot| (round + hold, slot)));
            }
            live.make_contiguous().sort_by_key(|(end, _)| *end);
            slab.admit(BIG, 1).granted() == 0
        });
        let waited = rounds.count();
        assert!(waited >= PATIENCE, "it was free after {waited} rounds, so this tests nothing");
        assert!(waited <= PATIENCE + 2 * hold + 2, "{waited} rounds for {slots} slots");
    }
}

#[test]
fn a_stage_that_stopped_asking_holds_each_other_back_once() {
    let slab = slab(&map(4, 4));
    starve(&slab);
    for stage in SMALL {
        assert!(run(&slab, stage).is_none(), "the big stage has claimed all");
        assert!((0..9).all(|_| run(&slab, stage).is_some()), "once is enough");
    }
    // Each of its requests counts anew.
    let held = slab.take(SiteId(0));
    assert_eq!(slab.admit(BIG, 1).granted(), 0);
    assert!(run(&slab, SMALL[0]).is_none() && run(&slab, SMALL[0]).is_some());
    drop(held);
    assert_eq!(slab.admit(BIG, 1).granted(), 1);
    assert!(SMALL.iter().all(|stage| run(&slab, *stage).is_some()), "its claim is met");
}

#[test]
fn a_stage_that_waits_for_what_nobody_frees_stops_few_of_the_others() {
    let builder = MemoryMap::builder().geometry(small()).site("a", 64, 1).site("b", 64, 1);
    let builder = builder.stage("both", &[], &[("a", 1), ("b", 1)]);
    let map = builder.stage("only-a", &[], &[("a", 1)]).build().unwrap();
    let slab = slab(&map);
    let (both, only_a) = (StageId(0), StageId(1));
    let slow = slab.take(SiteId(1)).unwrap();
    let round = |_: &usize| {
        assert_eq!(slab.admit(both, 1).granted(), 0);
        slab.admit(only_a, 1).granted() == 1
    };
    let granted = (0..1000).filter(round).count();
    assert!(granted > 300, "{granted} of 1000 rounds, though its object is always free");
    drop(slow);
    assert_eq!(slab.admit(both, 1).granted(), 1);
}

#[test]
fn a_silent_stage_does_not_keep_the_one_behind_it_waiting() {
    let slab = slab(&map(4, 4));
    starve(&slab);
    let held: Vec<_> = std::iter::from_fn(|| slab.take(SiteId(0))).collect();
    assert!((0..2 * PATIENCE).all(|_| run(&slab, SMALL[0]).is_none()));
    drop(held);
    assert!(run(&slab, SMALL[1]).is_none(), "both in line hold it back, once");
    let all: Vec<_> = std::iter::from_fn(|| run(&slab, SMALL[0])).collect();
    assert_eq!(all.len(), 4);
}

#[test]
fn a_stage_in_line_waits_for_a_later_region_in_line_as_well() {
    // Who waits for the first site is behind a task that holds it and waits for the second, which another
    // stage takes again as soon as it is free.
    let map = MemoryMap::builder()
        .geometry(small())
        .site("first", 64, 1)
        .site("second", 64, 1)
        .stage("rival", &[], &[("second", 1)])
        .stage("enter", &[], &[("first", 1)])
        .stage("leave", &["first"], &[("second", 1)]);
    let slab = slab(&map.build().unwrap());
    let [rival, enter, leave] = [StageId(0), StageId(1), StageId(2)];
    let _inside = slab.take(SiteId(0)).unwrap();
    let mut taken = None;
    let waited = (0..1000).take_while(|_| {
        drop(taken.take());
        let permit = slab.admit(rival, 1);
        taken = (permit.granted() == 1).then(|| permit.alloc(SiteId(1)).expect("covered"));
        assert_eq!(slab.admit(enter, 1).granted(), 0);
        slab.admit(leave, 1).granted() == 0
    });
    assert!(waited.count() <= PATIENCE + 1);
}

#[test]
fn what_is_beside_the_claim_is_granted() {
    let slab = slab(&map(6, 4));
    let mut held: Vec<_> = (0..3).filter_map(|_| slab.take(SiteId(0))).collect();
    for _ in 0..PATIENCE {
        assert_eq!(slab.admit(BIG, 1).granted(), 0);
    }
    held.truncate(1);
    // Five are free, four of them claimed.
    assert_eq!(slab.admit(SMALL[0], 5).granted(), 1);
    assert_eq!(slab.admit(SMALL[0], 5).granted(), 5, "once, and then all");
}

/// Walks over stages: stage `i` takes `needs[i]` objects of a site of `slots[i]`, and a task keeps what
/// it has to the end of its walk. As walks ascend, the map has no cycle.
#[derive(Clone, Debug)]
struct Plan {
    slots: Vec<u32>,
    needs: Vec<u32>,
    walks: Vec<Vec<bool>>,
    hold: usize,
}

fn plan() -> impl Strategy<Value = Plan> {
    let stages = prop::collection::vec((1..6u32, 1..6u32), 1..5);
    let walks = prop::collection::vec(prop::collection::vec(any::<bool>(), 5), 1..4);
    (stages, walks, 1..4usize).prop_map(|(stages, walks, hold)| {
        let slots = stages.iter().map(|(slots, _)| *slots).collect();
        let needs = stages.iter().map(|(slots, need)| need % slots + 1).collect();
        Plan { slots, needs, walks, hold }
    })
}

impl Plan {
    /// A stage for every stop of every walk, as tasks of different walks hold different things.
    fn stops(&self) -> Vec<Vec<usize>> {
        let stop = |walk: &Vec<bool>| (0..self.slots.len()).filter(|i| walk[*i]).collect();
        self.walks.iter().map(stop).filter(|walk: &Vec<usize>| !walk.is_empty()).collect()
    }

    fn map(&self, walks: &[Vec<usize>]) -> MemoryMap {
        let mut builder = MemoryMap::builder().geometry(small());
        for (i, slots) in self.slots.iter().enumerate() {
            builder = builder.site(&format!("s{i}"), 64, *slots);
        }
        for (w, walk) in walks.iter().enumerate() {
            let mut live: Vec<String> = Vec::new();
            for stop in walk {
                let (name, site) = (format!("w{w}s{stop}"), format!("s{stop}"));
                let held: Vec<&str> = live.iter().map(String::as_str).collect();
                builder = builder.stage(&name, &held, &[(&site, self.needs[*stop])]);
                live.push(site);
            }
        }
        builder.build().expect("a sound map")
    }
}

/// A task: what it holds, and when it wants to go on.
struct Task {
    held: Vec<Slot>,
    ready: usize,
}

/// Asks the stages in turn, for a task each; there is always one for the first stop of a walk. Returns the
/// longest wait of a stage that had a task, in rounds.
fn longest_wait(slab: &Slab, plan: &Plan, walks: &[Vec<usize>], rounds: usize) -> usize {
    let mut queues: Vec<Vec<VecDeque<Task>>> =
        walks.iter().map(|walk| walk.iter().map(|_| VecDeque::new()).collect()).collect();
    let mut ending: Vec<Task> = Vec::new();
    let (mut since, mut longest) = (vec![0; walks.iter().map(Vec::len).sum()], 0);
    for round in 0..rounds {
        ending.retain(|task| task.ready > round);
        let mut number = 0;
        for (walk, queues) in walks.iter().zip(&mut queues) {
            for (at, stop) in walk.iter().enumerate() {
                let (stage, wait) = (StageId(number as u16), &mut since[number]);
                number += 1;
                let is_there =
                    |queue: &VecDeque<Task>| queue.front().is_some_and(|t| t.ready <= round);
                if at > 0 && !is_there(&queues[at]) {
                    *wait = round;
                    continue;
                }
                let permit = slab.admit(stage, 1);
                if permit.granted() == 0 {
                    longest = longest.max(round - *wait);
                    continue;
                }
                *wait = round;
                let new = || Some(Task { held: Vec::new(), ready: 0 });
                let mut task =
                    if at > 0 { queues[at].pop_front() } else { new() }.expect("it is there");
                let object = || permit.alloc(SiteId(*stop as u16)).expect("covered");
                task.held.extend((0..plan.needs[*stop]).map(|_| object()));
                task.ready = round + 1 + (round + number) % plan.hold;
                match queues.get_mut(at + 1) {
                    Some(next) => next.push_back(task),
                    None => ending.push(task),
                }
            }
        }
    }
    longest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn no_stage_waits_for_long_when_all_are_asked_in_turn(plan in plan()) {
        let walks = plan.stops();
        let slab = slab(&plan.map(&walks));
        let stages: usize = walks.iter().map(Vec::len).sum();
        // Each in line waits for as many tasks as there are slots, and they for those after them.
        let turn = plan.slots.iter().sum::<u32>() as usize + stages * (plan.hold + 1);
        let bound = PATIENCE * (stages + 1) + stages * turn;
        let waited = longest_wait(&slab, &plan, &walks, 3 * bound);
        prop_assert!(waited <= bound, "{} of {} rounds", waited, bound);
    }
}
