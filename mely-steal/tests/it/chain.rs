//! Heuristics in chains, and what a policy remembers of a refusal.

use color_sched::{Color, CoreId, Offer, Stealer, Theft};
use mely_steal::{Heuristic, Libasync, Locality, Mely, Penalty, Random, TimeLeft, Topology};

use crate::views::{Plain, idle, offer, victim};

/// Core 0 is far and has the most, core 2 shares a cache with core 3, the thief.
fn two_victims() -> Plain {
    let mut view = idle(4, 1_000);
    let many = [offer(1, 9_000, 1, 1), offer(2, 8_000, 1, 1), offer(3, 90_000, 1, 100)];
    view.victims[0] = victim(&many);
    view.victims[2] = victim(&[offer(21, 2_000, 1, 1), offer(22, 3_000, 1, 2)]);
    view
}

fn stolen(mut policy: impl Stealer, view: &Plain) -> Option<u64> {
    policy.plan(CoreId(3), view).map(|theft| theft.color.0)
}

#[test]
fn each_heuristic_of_a_chain_changes_its_part_of_the_decision() {
    let view = two_victims();
    let near = || Locality::new(Topology::grouped(4, &[(2, 2)]));
    assert_eq!(stolen(Mely::by(()), &view), Some(1), "the base takes the first of the most loaded");
    assert_eq!(stolen(Mely::by(near()), &view), Some(1), "nobody near has a color under half");
    assert_eq!(stolen(Mely::by(TimeLeft), &view), Some(3));
    assert_eq!(stolen(Mely::by(Penalty), &view), Some(1));
    assert_eq!(stolen(Mely::by(near().then(TimeLeft)), &view), Some(22));
    assert_eq!(stolen(Mely::by(near().then(TimeLeft).then(Penalty)), &view), Some(21));
    assert_eq!(stolen(Mely::by(TimeLeft.then(Penalty)), &view), Some(1));
}

#[test]
fn the_order_of_a_chain_does_not_matter_to_the_papers_heuristics() {
    let view = two_victims();
    let near = || Locality::new(Topology::grouped(4, &[(2, 2)]));
    let plans = [
        stolen(Mely::by(near().then(TimeLeft).then(Penalty)), &view),
        stolen(Mely::by(Penalty.then(near()).then(TimeLeft)), &view),
        stolen(Mely::by(TimeLeft.then(Penalty.then(near()))), &view),
        stolen(Mely::new(Topology::grouped(4, &[(2, 2)])), &view),
    ];
    assert_eq!(plans, [Some(21); 4]);
}

/// Steals colors of even numbers only.
struct Even;

impl Heuristic for Even {
    fn left_ns(&self, offer: &Offer, left_ns: u64) -> u64 {
        if offer.color.0.is_multiple_of(2) { left_ns } else { 0 }
    }
}

#[test]
fn a_heuristic_of_ones_own_takes_its_place_in_the_chain() {
    assert_eq!(stolen(Mely::by(Even.then(TimeLeft)), &two_victims()), Some(2));
}

#[test]
fn a_measured_price_is_asked_instead_of_a_guess_by_distance() {
    let mut view = two_victims();
    view.victims[0].measured_ns = Some(8_500);
    assert_eq!(stolen(Mely::by(TimeLeft.then(Penalty)), &view), Some(1));
    view.victims[0].measured_ns = Some(9_000);
    assert_eq!(stolen(Mely::by(TimeLeft.then(Penalty)), &view), Some(21));
}

/// The plans of a policy whose thefts are all refused.
fn refused_plans(mut policy: impl Stealer, view: &Plain) -> Vec<Option<Theft>> {
    let plans = (0..6).map(|_| {
        let plan = policy.plan(CoreId(3), view);
        if let Some(theft) = &plan {
            policy.refused(theft);
        }
        plan
    });
    plans.collect()
}

#[test]
fn what_was_refused_is_not_proposed_twice_in_a_row_however_stale_the_view_is() {
    let mut lone = idle(4, 0);
    lone.victims[0] = victim(&[offer(1, 9_000, 1, 1)]);
    lone.victims[0].load.colors = 5;
    lone.victims[0].load.events = 5;
    for view in [two_victims(), lone] {
        let all = [
            refused_plans(Libasync::new(), &view),
            refused_plans(Mely::by(()), &view),
            refused_plans(Mely::new(Topology::uniform(4)), &view),
            refused_plans(Random::new(1), &view),
        ];
        for plans in all {
            let repeats = plans.windows(2).filter(|two| two[0].is_some() && two[0] == two[1]);
            assert_eq!(repeats.count(), 0, "{plans:?}");
            assert!(plans[0].is_some() && plans[2].is_some(), "{plans:?}");
        }
    }
}

#[test]
fn random_thieves_rob_every_victim_and_never_themselves() {
    let mut view = idle(8, 0);
    for core in 0..8 {
        view.victims[core] = victim(&[offer(core as u64, 1, 1, 1)]);
    }
    let mut policy = Random::new(7);
    let mut robbed = [0; 8];
    for _ in 0..800 {
        let theft = policy.plan(CoreId(3), &view).expect("somebody has something");
        assert_eq!(Color(u64::from(theft.victim.0)), theft.color);
        robbed[theft.victim.index()] += 1;
    }
    assert_eq!(robbed[3], 0);
    assert!(robbed.iter().enumerate().all(|(core, &times)| core == 3 || times > 50), "{robbed:?}");
    assert_eq!(Random::new(7).plan(CoreId(0), &idle(0, 0)), None);
}
