//! What a permit promises: it covers a batch, it returns what is unused, and every refusal is counted.

use stingy_alloc::{MemoryMap, PermitError, Reason, SiteId, Slab, Slot, StageId};

use crate::{slab, small};

const REQUEST: SiteId = SiteId(0);
const REPLY: SiteId = SiteId(1);
const PARSE: StageId = StageId(0);
const RESPOND: StageId = StageId(1);
const BOTH: StageId = StageId(2);
const CLOSE: StageId = StageId(3);

/// Eight requests and six replies; a task of `respond` takes two replies.
fn map() -> MemoryMap {
    MemoryMap::builder()
        .geometry(small())
        .site("request", 500, 8)
        .site("reply", 1000, 6)
        .stage("parse", &[], &[("request", 1)])
        .stage("respond", &["request"], &[("reply", 2)])
        .stage("both", &[], &[("request", 1), ("reply", 1)])
        .stage("close", &["request", "reply"], &[])
        .build()
        .unwrap()
}

fn admitted(slab: &Slab, stage: StageId, wanted: usize) -> usize {
    slab.admit(stage, wanted).granted()
}

fn take(slab: &Slab, stage: StageId, site: SiteId, n: usize) -> Vec<Slot> {
    let permit = slab.admit(stage, n);
    (0..n).map(|_| permit.alloc(site).expect("covered")).collect()
}

#[test]
fn a_permit_grants_what_the_shortest_site_allows() {
    let slab = slab(&map());
    assert_eq!(admitted(&slab, PARSE, 5), 5);
    assert_eq!(admitted(&slab, PARSE, 100), 8);
    assert_eq!(admitted(&slab, RESPOND, 100), 3);
    assert_eq!(admitted(&slab, BOTH, 100), 6);
    assert_eq!(admitted(&slab, PARSE, usize::MAX), 8);
    assert_eq!(admitted(&slab, PARSE, 0), 0);
}

#[test]
fn a_stage_that_allocates_nothing_is_granted_in_full() {
    let slab = slab(&map());
    let full = take(&slab, PARSE, REQUEST, 8);
    assert_eq!(admitted(&slab, CLOSE, usize::MAX), usize::MAX);
    drop(full);
    assert_eq!(slab.stats().fallback(Reason::Exhausted), 0);
}

#[test]
fn a_permit_covers_every_object_of_every_task_and_no_more() {
    let slab = slab(&map());
    let permit = slab.admit(RESPOND, 3);
    assert_eq!((permit.granted(), permit.stage()), (3, RESPOND));
    let slots: Vec<Slot> = (0..6).map(|_| permit.alloc(REPLY).unwrap()).collect();
    assert!(slots.iter().all(|slot| slot.len() == 1000 && slot.is_slab()));
    let spent = PermitError::Spent { stage: RESPOND, site: REPLY };
    assert_eq!(permit.alloc(REPLY).unwrap_err(), spent);
    let foreign = PermitError::NotInStage { stage: RESPOND, site: REQUEST };
    assert_eq!(permit.alloc(REQUEST).unwrap_err(), foreign);
    assert!(matches!(permit.alloc(SiteId(u16::MAX)), Err(PermitError::NotInStage { .. })));
    assert_eq!(slab.stats().fallback(Reason::NoPermit), 3);
    assert_eq!(slab.stats().site(REPLY).map(|site| site.spent), Some(1));
}

#[test]
fn what_does_not_fit_goes_elsewhere_unless_the_map_has_no_guard() {
    let builder = MemoryMap::builder().geometry(small()).site("guarded", 100, 2);
    let builder = builder.site("bare", 100, 2).guard(false);
    let map = builder.stage("s", &[], &[("guarded", 1), ("bare", 1)]).build().unwrap();
    let slab = slab(&map);
    let permit = slab.admit(PARSE, 1);
    let (guarded, bare) = (SiteId(0), SiteId(1));
    let fits = permit.alloc_len(bare, 100).unwrap();
    let larger = permit.alloc_len(guarded, 101).unwrap();
    assert_eq!((fits.len(), larger.len()), (100, 101));
    let refused = permit.alloc_len(bare, 3000).unwrap_err();
    assert_eq!(refused, PermitError::TooLarge { site: bare, wanted: 3000 });
    assert!(refused.to_string().contains("guard=on"), "{refused}");
    let within = permit.alloc_len(guarded, 64);
    assert!(within.is_ok(), "what lay elsewhere used nothing of the permit");
    let stats = slab.stats();
    let guarded = stats.site(guarded).unwrap();
    assert_eq!((guarded.live, guarded.oversized, guarded.largest), (1, 1, 101));
    assert_eq!((stats.fallback(Reason::SizeGuard), stats.high), (1, 1));
}

#[test]
fn a_refused_permit_allocates_nothing() {
    let slab = slab(&map());
    let held = take(&slab, PARSE, REQUEST, 8);
    let refused = slab.admit(PARSE, 1);
    assert_eq!(refused.granted(), 0);
    assert_eq!(refused.alloc(REQUEST).unwrap_err(), PermitError::Refused { stage: PARSE });
    assert_eq!(slab.stats().site(REQUEST).map(|site| site.spent), Some(0));
    drop(held);
}

#[test]
fn capacity_is_charged_at_admission_and_not_at_allocation() {
    let slab = slab(&map());
    let first = slab.admit(PARSE, 6);
    assert_eq!(slab.live(), 0);
    assert_eq!(admitted(&slab, PARSE, 8), 2);
    drop(first);
    assert_eq!(admitted(&slab, PARSE, 8), 8);
}

#[test]
fn unused_parts_return_and_used_ones_return_when_freed() {
    let slab = slab(&map());
    let permit = slab.admit(BOTH, 4);
    let kept = permit.alloc(REQUEST).unwrap();
    drop(permit);
    assert_eq!((admitted(&slab, PARSE, 8), admitted(&slab, BOTH, 8)), (7, 6));
    drop(kept);
    assert_eq!((admitted(&slab, PARSE, 8), slab.live()), (8, 0));
}

#[test]
fn an_object_freed_under_its_permit_is_not_granted_to_it_again() {
    let slab = slab(&map());
    let permit = slab.admit(PARSE, 1);
    drop(permit.alloc(REQUEST).unwrap());
    assert!(permit.alloc(REQUEST).is_err());
    assert_eq!(admitted(&slab, PARSE, 8), 8);
}

#[test]
fn nested_permits_keep_their_reservations_in_any_order_of_dropping() {
    let slab = slab(&map());
    let outer = slab.admit(BOTH, 3);
    let inner = slab.admit(BOTH, 9);
    assert_eq!(inner.granted(), 3);
    let a = outer.alloc(REPLY).unwrap();
    drop(outer);
    let b = inner.alloc(REPLY).unwrap();
    assert_eq!(admitted(&slab, BOTH, 9), 2);
    drop(a);
    drop(inner);
    drop(b);
    assert_eq!((admitted(&slab, BOTH, 9), slab.live()), (6, 0));
}

#[test]
fn a_leaked_permit_or_slot_costs_its_capacity_and_nothing_else() {
    let slab = slab(&map());
    std::mem::forget(slab.admit(PARSE, 3));
    assert_eq!(admitted(&slab, PARSE, 8), 5);
    std::mem::forget(take(&slab, PARSE, REQUEST, 1));
    assert_eq!((admitted(&slab, PARSE, 8), slab.live()), (4, 1));
    let rest = take(&slab, PARSE, REQUEST, 4);
    drop(rest);
    assert_eq!(admitted(&slab, PARSE, 8), 4);
}

#[test]
fn a_stage_outside_of_the_map_is_refused_and_counted() {
    let slab = slab(&map());
    for stage in [4, 1023, u16::MAX] {
        let permit = slab.admit(StageId(stage), 9);
        assert_eq!((permit.granted(), permit.stage()), (0, StageId(stage)));
        assert!(permit.alloc(REQUEST).is_err());
    }
    assert_eq!(slab.stats().fallback(Reason::NoStage), 3);
}

#[test]
fn refusals_are_counted_at_the_site_that_was_short() {
    let slab = slab(&map());
    let held = take(&slab, BOTH, REPLY, 6);
    assert_eq!(admitted(&slab, BOTH, 5), 0);
    assert_eq!(admitted(&slab, PARSE, 10), 8);
    let stats = slab.stats();
    let refused = |site| stats.site(site).map(|s| s.refused);
    assert_eq!((refused(REPLY), refused(REQUEST)), (Some(5), Some(2)));
    assert_eq!(stats.fallback(Reason::Exhausted), 1, "a part of a batch is no refusal");
    drop(held);
}

#[test]
fn every_reason_has_its_own_counter() {
    let mut options = stingy_alloc::Options {
        geometry: Some(small()),
        backing: stingy_alloc::Backing::Pages,
        ..Default::default()
    };
    let counters = |slab: &Slab| {
        let stats = slab.stats();
        Reason::ALL
            .iter()
            .map(|reason| (reason.name(), stats.fallback(*reason)))
            .collect::<Vec<_>>()
    };
    let expect = |changed: &[(&str, u64)]| {
        let of = |name| changed.iter().find(|(have, _)| *have == name).map_or(0, |(_, n)| *n);
        Reason::ALL.iter().map(|reason| (reason.name(), of(reason.name()))).collect::<Vec<_>>()
    };
    let slab = Slab::new(&map(), options.clone()).unwrap();
    assert_eq!(counters(&slab), expect(&[]), "plain pages were asked for, so none fell back");
    assert_eq!(slab.escape(REPLY).len(), 1000);
    assert_eq!(slab.escape(SiteId(99)).len(), 0);
    assert_eq!(slab.oversize(REPLY, 70_000).len(), 70_000);
    assert_eq!(counters(&slab), expect(&[("escape", 2), ("size_guard", 1)]));

    options.seal = stingy_alloc::Seal::Count;
    let slab = Slab::new(&map(), options).unwrap();
    let high = [slab.escape(REPLY), slab.oversize(REPLY, 9)];
    assert!(high.iter().all(|slot| slot.is_slab()), "the high slab has room");
    assert_eq!((slab.live(), slab.stats().high), (2, 2));
    let outside = slab.oversize(REPLY, 1 << 20);
    assert!(!outside.is_slab(), "it has no such room");
    assert_eq!(counters(&slab), expect(&[("escape", 1), ("size_guard", 2), ("sealed", 1)]));
    drop(high);
    assert_eq!(slab.live(), 0, "what lies outside is not the slab's");
}

#[test]
fn the_table_shows_every_site_and_every_reason() {
    let slab = slab(&map());
    let held = take(&slab, PARSE, REQUEST, 3);
    drop(take(&slab, PARSE, REQUEST, 2));
    let stats = slab.stats();
    let request = stats.site(REQUEST).unwrap();
    assert_eq!((request.live, request.peak, request.granted, request.cap), (3, 5, 5, 8));
    let table = stats.to_string();
    assert!(
        table.lines().any(|l| l.split_whitespace().eq("request 500 8 3 5 5 0 0 0 0".split(' '))),
        "{table}"
    );
    for reason in Reason::ALL {
        assert!(table.contains(&format!("{reason} 0")), "{table}");
    }
    drop(held);
}

#[test]
fn sites_that_share_a_region_compete_for_its_slots_within_their_caps() {
    let builder = MemoryMap::builder().geometry(small());
    let region = builder.next_region();
    let map = builder
        .region(512, 6)
        .shared_site("head", 512, 4, region)
        .shared_site("body", 100, 5, region)
        .stage("head", &[], &[("head", 1)])
        .stage("body", &[], &[("body", 1)])
        .stage("both", &[], &[("head", 1), ("body", 1)])
        .build()
        .unwrap();
    let slab = slab(&map);
    let (head, body, both) = (StageId(0), StageId(1), StageId(2));
    assert_eq!(admitted(&slab, head, 9), 4);
    assert_eq!(admitted(&slab, body, 9), 5);
    assert_eq!(admitted(&slab, both, 9), 3, "two slots a task, of six");
    let held = take(&slab, body, SiteId(1), 4);
    assert_eq!(admitted(&slab, head, 9), 2, "the region is the limit");
    assert_eq!(admitted(&slab, body, 9), 1, "the cap is the limit");
    assert_eq!(admitted(&slab, both, 9), 1);
    drop(held);
    assert_eq!(admitted(&slab, head, 9), 4);
}

#[test]
fn a_map_for_another_cache_is_scaled_to_this_one() {
    let options = stingy_alloc::Options {
        geometry: Some(small().with_k(2).unwrap()),
        backing: stingy_alloc::Backing::Pages,
        ..Default::default()
    };
    let slab = Slab::new(&map(), options).unwrap();
    assert_eq!(slab.map().geometry().slab_bytes(), 8 << 10);
    assert_eq!((admitted(&slab, PARSE, 100), admitted(&slab, BOTH, 100)), (5, 4));
}
