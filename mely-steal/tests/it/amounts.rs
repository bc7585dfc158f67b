//! How much is taken at once, and how often thieves look.

use color_sched::{CoreId, Stealer, Theft};
use mely_steal::{BackOff, Batch, Half, Libasync, Mely, Topology};

use crate::views::{Plain, Victim, idle, offer, victim};

const THIEF: CoreId = CoreId(1);

/// Carries out a search on a view that is always true, and tells the times of the colors in the order of their theft.
fn search(policy: &mut impl Stealer, view: &mut Plain) -> Vec<u64> {
    let mut loot = Vec::new();
    let mut plan = policy.plan(THIEF, view);
    while let Some(theft) = plan {
        loot.push(take(view, &theft));
        plan = policy.again(THIEF, view, &theft, loot.len());
    }
    loot
}

fn take(view: &mut Plain, theft: &Theft) -> u64 {
    let Victim { load, slots, .. } = &mut view.victims[theft.victim.index()];
    let offer = slots[theft.slot].take().expect("what was planned is there");
    load.events -= u64::from(offer.events);
    load.colors -= 1;
    load.queued_ns -= offer.queued_ns;
    offer.queued_ns
}

fn offering(times: &[u64]) -> Plain {
    let mut view = idle(2, 100);
    let offers: Vec<_> = (0..).zip(times).map(|(color, &ns)| offer(color, ns, 1, 1)).collect();
    view.victims[0] = victim(&offers);
    view
}

fn mely() -> Mely {
    Mely::new(Topology::uniform(2))
}

#[test]
fn the_papers_thieves_take_one_color() {
    assert_eq!(search(&mut mely(), &mut offering(&[300, 200, 400])), [400]);
    assert_eq!(search(&mut Libasync::new(), &mut offering(&[300, 200, 400])), [300]);
}

#[test]
fn batches_have_the_size_that_was_asked_for() {
    for (colors, expected) in
        [(0, vec![500]), (1, vec![500]), (2, vec![500, 400]), (9, vec![500, 400, 300, 200])]
    {
        let mut view = offering(&[300, 200, 500, 400, 90]);
        assert_eq!(search(&mut Batch::new(mely(), colors), &mut view), expected, "{colors}");
    }
}

#[test]
fn half_of_what_is_offered_is_taken_but_one_color_always() {
    for (offered, expected) in [
        (vec![400, 300, 200, 100], vec![400]),
        (vec![300, 300, 300, 300], vec![300, 300]),
        (vec![200; 8], vec![200; 4]),
        (vec![9_000, 200, 200], vec![9_000]),
        (vec![200], vec![200]),
        (vec![u64::MAX / 2, u64::MAX / 2 - 1], vec![u64::MAX / 2]),
    ] {
        let mut view = offering(&offered);
        assert_eq!(search(&mut Half::new(mely()), &mut view), expected, "{offered:?}");
    }
}

#[test]
fn more_is_taken_of_the_same_victim_only() {
    let mut view = idle(3, 100);
    view.victims[0] = victim(&[offer(1, 500, 1, 1)]);
    view.victims[2] = victim(&[offer(2, 500, 1, 1)]);
    let mut policy = Batch::new(Mely::new(Topology::uniform(3)), 8);
    assert_eq!(search(&mut policy, &mut view), [500]);
    assert_eq!(search(&mut policy, &mut view), [500]);
    assert_eq!(search(&mut policy, &mut view), [0; 0]);
}

/// Which of so many looks reach the policy inside, which finds nothing.
fn looks(policy: &mut impl Stealer, view: &Plain, times: usize) -> Vec<usize> {
    let asked = |view: &Plain| view.asked.get();
    let mut reached = Vec::new();
    for look in 0..times {
        let before = asked(view);
        policy.plan(THIEF, view);
        if asked(view) > before {
            reached.push(look);
        }
    }
    reached
}

#[test]
fn looks_that_find_nothing_become_rarer_up_to_a_limit() {
    let nothing = idle(2, 100);
    let mut policy = BackOff::new(mely()).at_most(7);
    assert_eq!(looks(&mut policy, &nothing, 40), [0, 2, 6, 14, 22, 30, 38]);
}

#[test]
fn a_theft_makes_the_next_look_immediate_and_a_refusal_does_not() {
    let mut policy = BackOff::new(mely());
    looks(&mut policy, &idle(2, 100), 7);
    let mut view = offering(&[500, 500]);
    let theft = (0..20).find_map(|_| policy.plan(THIEF, &view)).expect("a look at last");
    policy.refused(&theft);
    assert_eq!(policy.plan(THIEF, &view), None);
    let theft = (0..40).find_map(|_| policy.plan(THIEF, &view)).expect("a look at last");
    take(&mut view, &theft);
    assert_eq!(policy.again(THIEF, &view, &theft, 1), None);
    assert!(policy.plan(THIEF, &view).is_some());
}

#[test]
fn a_theft_makes_the_next_look_immediate_though_nobody_asks_for_more() {
    let tired = || {
        let mut policy = BackOff::new(mely()).at_most(7);
        looks(&mut policy, &idle(2, 100), 14);
        policy
    };
    let mut policy = tired();
    assert!(policy.plan(THIEF, &offering(&[500])).is_some());
    assert_eq!(looks(&mut policy, &idle(2, 100), 7), [0, 2, 6]);

    let mut batch = Batch::new(tired(), 2);
    assert_eq!(search(&mut batch, &mut offering(&[500])), [500]);
    assert_eq!(looks(&mut batch, &idle(2, 100), 6), [1, 5]);
}
