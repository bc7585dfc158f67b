//! Random maps and random work against a plain map of live ranges: no two live objects overlap, every
//! object keeps its bytes, and the accounts are those of a reference that counts one by one.

use std::collections::BTreeMap;

use proptest::prelude::*;
use stingy_alloc::{MemoryMap, SiteId, Slab, Slot, StageId, free_all};

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
            builder = builder.guard(i % 2 == 0);
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

/// One step: admit a stage and use a part of the permit, take an object without one or from outside of the
/// cache slab, free some object here, or free one or several elsewhere.
#[derive(Clone, Copy, Debug)]
enum Step {
    Run { stage: usize, wanted: usize, used: usize },
    Take(usize),
    Escape(usize),
    Oversize(usize, usize),
    Free(usize),
    FreeElsewhere(usize),
    FreeManyElsewhere(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let run = (0..5usize, 0..9usize, 0..20usize).prop_map(|(stage, wanted, used)| Step::Run {
        stage,
        wanted,
        used,
    });
    let step = prop_oneof![
        3 => run,
        1 => any::<usize>().prop_map(Step::Take),
        1 => any::<usize>().prop_map(Step::Escape),
        1 => (any::<usize>(), 0..40_000usize).prop_map(|(site, len)| Step::Oversize(site, len)),
        4 => any::<usize>().prop_map(Step::Free),
        1 => any::<usize>().prop_map(Step::FreeElsewhere),
        1 => (any::<usize>(), 1..9usize).prop_map(|(at, n)| Step::FreeManyElsewhere(at, n)),
    ];
    prop::collection::vec(step, 1..80)
}

struct Live {
    slot: Slot,
    /// `None` for what lies outside of the cache slab.
    site: Option<SiteId>,
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
                new as usize * tasks + live.iter().filter(|l| l.site.is_some_and(want)).count()
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

/// An object with its bytes stamped.
fn marked(mut slot: Slot, site: Option<SiteId>, stamp: u8) -> Live {
    slot.fill(stamp);
    Live { slot, site, stamp }
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
            for (nth, site) in all.take(used).enumerate() {
                let spec = &map.sites()[usize::from(site.0)];
                // Now and then too many bytes, which leaves the permit as it is.
                if (nth + used).is_multiple_of(5) {
                    let outside = permit.alloc_len(site, spec.size + nth + 1);
                    assert_eq!(outside.is_ok(), spec.guard, "of {}", spec.name);
                    live.extend(outside.ok().map(|slot| marked(slot, None, stamp)));
                }
                let slot = permit.alloc_len(site, spec.size - nth % spec.size);
                let slot = slot.expect("covered by the permit");
                assert_eq!(slot.len(), spec.size);
                live.push(marked(slot, Some(site), stamp));
            }
        }
        Step::Take(site) => {
            let site = &map.sites()[site % map.sites().len()];
            let of_region = |id: SiteId| map.sites()[usize::from(id.0)].region == site.region;
            let out = |want: &dyn Fn(SiteId) -> bool| {
                live.iter().filter(|l| l.site.is_some_and(want)).count()
            };
            let slots = map.regions().iter().find(|r| r.id == site.region).map_or(0, |r| r.slots);
            let room =
                out(&|id| id == site.id) < site.cap as usize && out(&of_region) < slots as usize;
            let taken = slab.take(site.id);
            assert_eq!(taken.is_some(), room, "of {}", site.name);
            live.extend(taken.map(|slot| marked(slot, Some(site.id), stamp)));
        }
        Step::Escape(site) => {
            let site = &map.sites()[site % map.sites().len()];
            let slot = slab.escape(site.id);
            assert_eq!(slot.len(), site.size);
            live.push(marked(slot, None, stamp));
        }
        Step::Oversize(site, len) => {
            let slot = slab.oversize(map.sites()[site % map.sites().len()].id, len);
            assert_eq!(slot.len(), len);
            live.push(marked(slot, None, stamp));
        }
        Step::Free(which) if !live.is_empty() => drop(live.swap_remove(which % live.len())),
        Step::FreeElsewhere(which) if !live.is_empty() => {
            let slot = live.swap_remove(which % live.len()).slot;
            std::thread::spawn(move || drop(slot)).join().expect("a free does not panic");
        }
        Step::FreeManyElsewhere(at, n) if !live.is_empty() => {
            let at = at % live.len();
            let some: Vec<Slot> =
                live.drain(at..live.len().min(at + n)).map(|object| object.slot).collect();
            std::thread::spawn(move || free_all(some)).join().expect("a free does not panic");
        }
        Step::Free(_) | Step::FreeElsewhere(_) | Step::FreeManyElsewhere(..) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_two_live_objects_overlap_and_the_accounts_are_exact(plan in plan(), steps in steps()) {
        let Some(map) = plan.map() else { return Ok(()) };
        let slab = slab(&map);
        let mut live = Vec::new();
        let takes = steps.iter().filter(|step| matches!(step, Step::Take(_))).count() as u64;
        for (i, step) in steps.into_iter().enumerate() {
            run(&slab, &mut live, step, i as u8);
            check_ranges(&live);
            let of_slab = live.iter().filter(|object| object.slot.is_slab()).count();
            prop_assert_eq!(slab.live(), of_slab);
        }
        let stats = slab.stats();
        for site in &stats.sites {
            let expected = live.iter().filter(|object| object.site == Some(site.id)).count();
            prop_assert_eq!(site.live as usize, expected);
            prop_assert!(site.live <= site.peak && site.peak <= site.cap);
            prop_assert!(u64::from(site.peak) <= site.granted + takes);
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
