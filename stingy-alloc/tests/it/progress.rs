//! Do permits let every task end? Without a cycle in its map always, with one often not: all schedules of a
//! small reference, and random schedules of the slab.
//!
//! A map here is made from programs, so that its `live` lists are true: a task walks over stages, takes what each
//! allocates, frees some of what it holds at the end of the stage, and everything at the end of the walk.

use std::collections::{BTreeSet, HashSet, VecDeque};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use stingy_alloc::{MemoryMap, Permit, Reason, RegionId, SiteId, Slab, Slot, StageId};

use crate::{slab, small};

/// One stop of a walk: the stage, and for each site whether a task frees what it holds at the end.
type Stop = (usize, Vec<bool>);

#[derive(Clone, Debug)]
struct Plan {
    /// Slots of each region.
    regions: Vec<u32>,
    /// Region and cap of each site.
    sites: Vec<(usize, u32)>,
    /// Site and count that one task takes in each stage.
    stages: Vec<Vec<(usize, u32)>>,
    /// The walks that tasks take.
    walks: Vec<Vec<Stop>>,
}

/// Half of the plans are ascending: their stages allocate from later and later regions and their tasks go
/// through the stages in order, so that many of them hold and wait without a cycle.
fn plan() -> impl Strategy<Value = Plan> {
    let regions = prop::collection::vec(1..4u32, 2..5);
    let sites = prop::collection::vec((0..4usize, 1..4u32), 4..6);
    let stages = prop::collection::vec(prop::collection::vec((0..5usize, 1..=10u32), 1..3), 3..6);
    let stop = (0..5usize, prop::collection::vec(prop::bool::weighted(0.25), 5));
    let walks = prop::collection::vec(prop::collection::vec(stop, 1..6), 1..4);
    let all = (any::<bool>(), regions, sites, stages, walks);
    all.prop_map(|(ascending, regions, sites, stages, walks)| {
        let site = |(i, (region, cap)): (usize, (usize, u32))| {
            let region = if ascending { i } else { region } % regions.len();
            (region, cap.min(regions[region]))
        };
        let sites: Vec<(usize, u32)> = sites.into_iter().enumerate().map(site).collect();
        let stage = |(i, needs): (usize, Vec<(usize, u32)>)| {
            let here = |site: &usize| !ascending || sites[*site].0 == i;
            let from: Vec<usize> = (0..sites.len()).filter(here).collect();
            // Mostly one object, sometimes two.
            let need =
                |(site, n): (usize, u32)| Some((*from.get(site % from.len().max(1))?, 1 + n / 10));
            let mut needs: Vec<_> = needs.into_iter().filter_map(need).collect();
            needs.sort();
            needs.dedup_by_key(|(site, _)| *site);
            needs
        };
        let stages: Vec<_> = stages.into_iter().enumerate().map(stage).collect();
        let walk = |walk: Vec<Stop>| {
            let stop = |(stage, frees): Stop| (stage % stages.len(), frees);
            let mut walk: Vec<Stop> = walk.into_iter().map(stop).collect();
            if ascending {
                walk.sort();
                walk.dedup_by_key(|(stage, _)| *stage);
            }
            walk
        };
        let walks = walks.into_iter().map(walk).collect();
        Plan { regions, sites, stages, walks }
    })
}

impl Plan {
    /// What a task of the walk holds when it is about to make its stop `at`, by site.
    fn held(&self, walk: usize, at: usize) -> Vec<u32> {
        let mut held = vec![0; self.sites.len()];
        let walk = &self.walks[walk];
        for (i, (stage, frees)) in walk[..at].iter().enumerate() {
            for &(site, count) in &self.stages[*stage] {
                held[site] += count;
            }
            for (held, free) in held.iter_mut().zip(frees) {
                if *free || i + 1 == walk.len() {
                    *held = 0;
                }
            }
        }
        held
    }

    /// The map, where no stage takes more than there is.
    fn map(&self) -> Option<MemoryMap> {
        let mut live = vec![BTreeSet::new(); self.stages.len()];
        for (w, walk) in self.walks.iter().enumerate() {
            for (at, (stage, _)) in walk.iter().enumerate() {
                let held = self.held(w, at);
                live[*stage].extend((0..held.len()).filter(|site| held[*site] > 0));
            }
        }
        let name = |site: usize| format!("s{site}");
        let mut builder = MemoryMap::builder().geometry(small());
        for slots in &self.regions {
            builder = builder.region(64, *slots);
        }
        for (i, (region, cap)) in self.sites.iter().enumerate() {
            builder = builder.shared_site(&name(i), 64, *cap, RegionId(*region as u16));
        }
        for (i, needs) in self.stages.iter().enumerate() {
            let live: Vec<String> = live[i].iter().map(|site| name(*site)).collect();
            let live: Vec<&str> = live.iter().map(String::as_str).collect();
            let needs: Vec<(String, u32)> = needs.iter().map(|(s, n)| (name(*s), *n)).collect();
            let needs: Vec<(&str, u32)> = needs.iter().map(|(s, n)| (s.as_str(), *n)).collect();
            builder = builder.stage(&format!("t{i}"), &live, &needs);
        }
        builder.build().ok()
    }

    /// Whether one more task fits into the stage, next to what all the others hold, by site.
    fn admits(&self, used: &[u32], stage: usize) -> bool {
        let needs = &self.stages[stage];
        let of_region = |region: usize| {
            let used: u32 =
                (0..used.len()).filter(|s| self.sites[*s].0 == region).map(|s| used[s]).sum();
            let new: u32 =
                needs.iter().filter(|(s, _)| self.sites[*s].0 == region).map(|(_, n)| n).sum();
            used + new
        };
        needs.iter().all(|&(site, n)| {
            let (region, cap) = self.sites[site];
            used[site] + n <= cap && of_region(region) <= self.regions[region]
        })
    }
}

/// What all schedules of some tasks come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    /// Some schedule ends with tasks that wait for each other.
    stuck: bool,
    /// Some task has to wait in some schedule while it holds objects.
    waits: bool,
}

/// Goes through every state that tasks on these walks can reach, one stage of one task at a time.
fn all_schedules(plan: &Plan, walks: &[usize]) -> Found {
    let mut found = Found::default();
    let start = vec![0usize; walks.len()];
    let mut seen = HashSet::from([start.clone()]);
    let mut queue = VecDeque::from([start]);
    while let Some(state) = queue.pop_front() {
        let mut used = vec![0; plan.sites.len()];
        for (walk, at) in walks.iter().zip(&state) {
            for (used, held) in used.iter_mut().zip(plan.held(*walk, *at)) {
                *used += held;
            }
        }
        let waiting: Vec<usize> =
            (0..walks.len()).filter(|t| state[*t] < plan.walks[walks[*t]].len()).collect();
        let stage = |task: usize| plan.walks[walks[task]][state[task]].0;
        let runs: Vec<usize> =
            waiting.iter().copied().filter(|task| plan.admits(&used, stage(*task))).collect();
        let holds = |task: usize| plan.held(walks[task], state[task]).iter().any(|held| *held > 0);
        found.waits |= waiting.iter().any(|task| holds(*task) && !runs.contains(task));
        found.stuck |= runs.is_empty() && !waiting.is_empty();
        for task in runs {
            let mut next = state.clone();
            next[task] += 1;
            if seen.insert(next.clone()) {
                queue.push_back(next);
            }
        }
    }
    found
}

/// A small generator of its own, so that a failing schedule is known by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }
}

struct Task {
    walk: usize,
    at: usize,
    held: Vec<(usize, Slot)>,
}

/// Takes one object; the permit is borrowed as the narrowest receiver of `alloc` asks for.
fn take(permit: &mut Permit<'_>, site: usize) -> Slot {
    permit.alloc(SiteId(site as u16)).expect("covered by the permit")
}

/// Lets one batch of a stage run; how many tasks it was granted for.
fn run_batch(
    slab: &Slab,
    plan: &Plan,
    tasks: &mut Vec<Task>,
    stage: usize,
    random: &mut Random,
) -> usize {
    let at = |task: &Task| plan.walks[task.walk][task.at].0;
    let waiting = tasks.iter().filter(|task| at(task) == stage).count();
    let mut permit = slab.admit(StageId(stage as u16), 1 + random.below(waiting));
    let granted = permit.granted();
    for _ in 0..granted {
        let mine: Vec<usize> = (0..tasks.len()).filter(|t| at(&tasks[*t]) == stage).collect();
        let place = mine[random.below(mine.len())];
        let task = &mut tasks[place];
        for &(site, count) in &plan.stages[stage] {
            // The map gives the most that a task takes.
            for _ in 0..count - u32::from(random.below(8) == 0) {
                task.held.push((site, take(&mut permit, site)));
            }
        }
        let frees = &plan.walks[task.walk][task.at].1;
        task.held.retain(|(site, _)| !frees[*site]);
        task.at += 1;
        if task.at == plan.walks[task.walk].len() {
            tasks.swap_remove(place);
        }
    }
    granted
}

/// Runs many tasks in an order of the seed; `Err` with how many are left if none of them can go on.
fn random_schedule(slab: &Slab, plan: &Plan, count: usize, seed: u64) -> Result<(), usize> {
    let mut random = Random(seed);
    let new = |walk| Task { walk, at: 0, held: Vec::new() };
    let mut tasks: Vec<Task> = (0..count).map(|_| new(random.below(plan.walks.len()))).collect();
    while !tasks.is_empty() {
        let mut stages: Vec<usize> =
            tasks.iter().map(|task| plan.walks[task.walk][task.at].0).collect();
        stages.sort();
        stages.dedup();
        // Any stage first; the others when it is refused.
        let ran = loop {
            if stages.is_empty() {
                break false;
            }
            let stage = stages.swap_remove(random.below(stages.len()));
            if run_batch(slab, plan, &mut tasks, stage, &mut random) > 0 {
                break true;
            }
        };
        if !ran {
            return Err(tasks.len());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_schedule_of_a_map_without_a_cycle_gets_stuck(
        plan in plan(), walks in prop::collection::vec(0..3usize, 2..5),
    ) {
        let Some(map) = plan.map() else { return Ok(()) };
        if map.cycle().is_some() {
            return Ok(());
        }
        let walks: Vec<usize> = walks.iter().map(|walk| walk % plan.walks.len()).collect();
        prop_assert!(!all_schedules(&plan, &walks).stuck, "{}", map);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_slab_lets_every_task_of_a_map_without_a_cycle_end(plan in plan(), seed in any::<u64>()) {
        let Some(map) = plan.map() else { return Ok(()) };
        if map.cycle().is_some() {
            return Ok(());
        }
        let slab = slab(&map);
        prop_assert_eq!(random_schedule(&slab, &plan, 200, seed), Ok(()), "{}", map);
        prop_assert_eq!(slab.live(), 0);
        let count = |reason| slab.stats().fallback(reason);
        prop_assert_eq!(count(Reason::Escape), 0);
        prop_assert_eq!(count(Reason::NoPermit), 0);
    }
}

#[test]
fn the_samples_hold_and_wait_and_most_with_a_cycle_get_stuck() {
    let mut runner = TestRunner::deterministic();
    let (mut free, mut free_and_waits, mut cyclic, mut cyclic_and_stuck) = (0, 0, 0, 0);
    for _ in 0..1000 {
        let plan = plan().new_tree(&mut runner).expect("no filters").current();
        let Some(map) = plan.map() else { continue };
        let walks: Vec<usize> = (0..4).map(|task| task % plan.walks.len()).collect();
        let found = all_schedules(&plan, &walks);
        if map.cycle().is_none() {
            free += 1;
            free_and_waits += usize::from(found.waits);
        } else {
            cyclic += 1;
            cyclic_and_stuck += usize::from(found.stuck);
        }
    }
    let all = (free, free_and_waits, cyclic, cyclic_and_stuck);
    assert!(free_and_waits > 40 && cyclic > 100 && cyclic_and_stuck * 2 > cyclic, "{all:?}");
}
