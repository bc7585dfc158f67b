//! Random maps and random work against a plain map of live ranges: no two live objects overlap, every
//! object keeps its bytes, and the accounts are those of a reference that counts one by one.

use std::collections::BTreeMap;

use proptest::prelude::*;
use stingy_alloc::{MemoryMap, SiteId, Slab, Slot, StageId};

use crate::{slab, small};

/// Regions as (slot, slots), sites as (region, part of a slot, cap), stages as (site, count) lists.
#[derive(Clone, Debug)]
struct Plan {
    regions: Vec<(usize, u32)>,
    sites: Vec<(usize, usize, u32)>,
    stages: Vec<Vec<(usize, u32)>>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let regions = prop::collection::vec((1..6usize, 1..7u32), 1..4);
    let sites = prop::collection::vec((0..3usize, 1..=64usize, 1..7u32), 1..6);
    let stages = prop::collection::vec(prop::collection::vec((0..6usize, 1..3u32), 0..4), 1..5);
    (regions, sites, stages).prop_map(|(regions, sites, stages)| Plan { regions, sites, stages })
}

impl Plan {
    fn map(&self) -> Option<MemoryMap> {
        let mut builder = MemoryMap::builder().geometry(small());
        let mut regions = Vec::new();
        for &(lines, slots) in &self.regions {
            regions.push((builder.next_region(), lines * 64, slots));
            builder = builder.region(lines * 64, slots);
        }
        for (i, &(region, part, cap)) in self.sites.iter().enumerate() {
            let (id, slot, slots) = regions[region % regions.len()];
            let size = (slot * part / 64).max(1);
            builder = builder.shared_site(&format!("s{i}"), size, cap.min(slots), id);
        }
        for (i, needs) in self.stages.iter().enumerate() {
            let mut needs: Vec<(String, u32)> =
                needs.iter().map(|(s, n)| (format!("s{}", s % self.sites.len()), *n)).collect();
            needs.sort();
            needs.dedup_by(|a, b| a.0 == b.0);
            let needs: Vec<(&str, u32)> = needs.iter().map(|(s, n)| (s.as_str(), *n)).collect();
            builder = builder.stage(&format!("t{i}"), &[], &needs);
        }
        builder.build().ok()
    }
}

/// One step: admit a stage and use a part of the permit, free some object here, or free one elsewhere.
#[derive(Clone, Copy, Debug)]
enum Step {
    Run { stage: usize, wanted: usize, used: usize },
    Free(usize),
    FreeElsewhere(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let run = (0..5usize, 0..9usize, 0..20usize).prop_map(|(stage, wanted, used)| Step::Run {
        stage,
        wanted,
        used,
    });
    let step = prop_oneof![
        3 => run,
        4 => any::<usize>().prop_map(Step::Free),
        1 => any::<usize>().prop_map(Step::FreeElsewhere),
    ];
    prop::collection::vec(step, 1..80)
}

struct Live {
    slot: Slot,
    site: SiteId,
    stamp: u8,
}

/// What is admissible, found by adding one task after the other.
fn admissible(map: &MemoryMap, live: &[Live], stage: StageId, wanted: usize) -> usize {
    let needs = &map.stages()[usize::from(stage.0)].alloc;
    let region = |site: SiteId| map.sites()[usize::from(site.0)].region;
    (1..=wanted)
        .take_while(|tasks| {
            let total = |want: &dyn Fn(SiteId) -> bool| {
                let new: u32 = needs.iter().filter(|(s, _)| want(*s)).map(|(_, n)| n).sum();
                new as usize * tasks + live.iter().filter(|l| want(l.site)).count()
            };
            let sites = map.sites().iter().all(|site| {
                let taken: bool = needs.iter().any(|(s, _)| *s == site.id);
                !taken || total(&|s| s == site.id) <= site.cap as usize
            });
            sites && map.regions().iter().all(|r| total(&|s| region(s) == r.id) <= r.slots as usize)
        })
        .count()
}

fn check_ranges(live: &[Live]) {
    let mut ranges = BTreeMap::new();
    for object in live {
        assert!(
            object.slot.iter().all(|byte| *byte == object.stamp),
            "bytes of a live object changed"
        );
        let start = object.slot.as_ptr().addr();
        let end = start + object.slot.len();
        let below = ranges.range(..end).next_back();
        assert!(below.is_none_or(|(_, below_end)| *below_end <= start), "two live objects overlap");
        ranges.insert(start, end);
    }
}

fn run(slab: &Slab, live: &mut Vec<Live>, step: Step, stamp: u8) {
    let map = slab.map();
    match step {
        Step::Run { stage, wanted, used } => {
            let stage = map.stages()[stage % map.stages().len()].id;
            let expected = admissible(map, live, stage, wanted);
            let permit = slab.admit(stage, wanted);
            assert_eq!(permit.granted(), expected, "stage {} for {wanted}", stage.0);
            let needs = &map.stages()[usize::from(stage.0)].alloc;
            let all = needs.iter().flat_map(|(s, n)| vec![*s; *n as usize * expected]);
            for site in all.take(used) {
                let mut slot = permit.alloc(site).expect("covered by the permit");
                assert_eq!(slot.len(), map.sites()[usize::from(site.0)].size);
                slot.fill(stamp);
                live.push(Live { slot, site, stamp });
            }
        }
        Step::Free(which) if !live.is_empty() => drop(live.swap_remove(which % live.len())),
        Step::FreeElsewhere(which) if !live.is_empty() => {
            let slot = live.swap_remove(which % live.len()).slot;
            std::thread::spawn(move || drop(slot)).join().expect("a free does not panic");
        }
        Step::Free(_) | Step::FreeElsewhere(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_two_live_objects_overlap_and_the_accounts_are_exact(plan in plan(), steps in steps()) {
        let Some(map) = plan.map() else { return Ok(()) };
        let slab = slab(&map);
        let mut live = Vec::new();
        for (i, step) in steps.into_iter().enumerate() {
            run(&slab, &mut live, step, i as u8);
            check_ranges(&live);
            prop_assert_eq!(slab.live(), live.len());
        }
        let stats = slab.stats();
        for site in &stats.sites {
            let expected = live.iter().filter(|object| object.site == site.id).count();
            prop_assert_eq!(site.live as usize, expected);
            prop_assert!(site.live <= site.peak && site.peak <= site.cap);
            prop_assert!(u64::from(site.peak) <= site.granted);
        }
        // The slab goes first: its slots keep their memory.
        drop(slab);
        check_ranges(&live);
    }
}

#[test]
fn every_map_of_the_plan_is_not_refused() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let built =
        (0..200).filter(|_| plan().new_tree(&mut runner).unwrap().current().map().is_some());
    assert!(built.count() > 60, "the property above would test next to nothing");
}
