//! Each heuristic on the case the paper made it for. Cycles stand for nanoseconds.

use color_sched::{Color, CoreId, Stealer};
use mely_steal::price::price_ns;
use mely_steal::time_left::is_worthy;
use mely_steal::{Distance, Libasync, Mely, Topology, penalty};

use crate::topology::two_nodes;
use crate::views::{Plain, Victim, idle, offer, victim};

fn mely(cores: usize, locality: bool, time_left: bool, penalty: bool) -> Mely {
    let topology = Topology::grouped(cores, &[(2, 2)]);
    Mely::new(topology).locality(locality).time_left(time_left).penalty(penalty)
}

fn color(policy: &mut Mely, thief: u16, view: &Plain) -> Option<Color> {
    policy.plan(CoreId(thief), view).map(|theft| theft.color)
}

#[test]
fn a_theft_is_worth_it_in_sfs_and_a_loss_in_the_web_server() {
    // Table 1: stealing time, stolen time.
    assert!(is_worthy(1_200_000, 4_800));
    assert!(!is_worthy(20_000, 197_000));
    // §5.3.1: Mely's theft costs 6 Kcycles, and moves 23.
    assert!(is_worthy(23_000, 6_000));
}

#[test]
fn a_color_is_worthy_above_the_price_and_always_at_price_zero() {
    for (left_ns, price, expected) in
        [(299, 300, false), (300, 300, false), (301, 300, true), (0, 0, true), (1, 0, true)]
    {
        assert_eq!(is_worthy(left_ns, price), expected, "{left_ns} at {price}");
    }
}

#[test]
fn of_the_unbalanced_benchmark_only_long_events_are_stolen() {
    // Table 3: a theft costs 2261 cycles. §5.2: 98 % of the events take 100 cycles, others 10 000 to 50 000.
    let mut view = idle(2, 2261);
    let mut offers: Vec<_> = (0..7).map(|n| offer(n, 100, 1, 1)).collect();
    offers.push(offer(7, 10_000, 1, 1));
    view.victims[0] = victim(&offers);
    assert_eq!(color(&mut mely(2, false, true, false), 1, &view), Some(Color(7)));
    assert_eq!(Libasync::new().plan(CoreId(1), &view).map(|theft| theft.color), Some(Color(0)));

    view.victims[0] = victim(&offers[..7]);
    assert_eq!(color(&mut mely(2, false, true, false), 1, &view), None);
    assert_eq!(color(&mut mely(2, false, false, false), 1, &view), Some(Color(0)));
}

#[test]
fn of_worthy_colors_the_one_with_the_most_time_left_is_stolen() {
    let mut view = idle(2, 300);
    view.victims[0] = victim(&[offer(1, 400, 1, 1), offer(2, 900, 1, 1), offer(3, 500, 9, 1)]);
    assert_eq!(color(&mut mely(2, false, true, false), 1, &view), Some(Color(2)));
}

#[test]
fn time_left_robs_a_core_of_its_only_waiting_color() {
    let mut view = idle(2, 300);
    view.victims[0] = victim(&[offer(1, 10_000_000, 1, 1)]);
    assert_eq!(color(&mut mely(2, false, true, false), 1, &view), Some(Color(1)));
    assert_eq!(color(&mut mely(2, false, false, false), 1, &view), None);
}

#[test]
fn of_the_penalty_benchmark_events_of_type_a_are_stolen() {
    // §5.2: events of type B have a penalty of 1000, those of type A none.
    let (a, b) = (1, 1000);
    let mut view = idle(2, 2261);
    let offers = [offer(1, 50_001, 2, b), offer(2, 50_000, 2, b), offer(3, 4_000, 2, a)];
    view.victims[0] = victim(&offers);
    assert_eq!(color(&mut mely(2, false, false, true), 1, &view), Some(Color(3)));
    assert_eq!(color(&mut mely(2, false, true, true), 1, &view), Some(Color(3)));
    assert_eq!(color(&mut mely(2, false, true, false), 1, &view), Some(Color(1)));
}

#[test]
fn a_penalty_makes_a_color_unworthy() {
    // 50 000 / 1000 = 50 is less than a theft costs.
    let mut view = idle(2, 2261);
    view.victims[0] = victim(&[offer(1, 50_000, 1, 1000), offer(2, 50_000, 1, 1000)]);
    assert_eq!(color(&mut mely(2, true, true, true), 1, &view), None);
    assert_eq!(color(&mut mely(2, true, true, false), 1, &view), Some(Color(2)));
}

#[test]
fn a_penalty_divides_the_time_left() {
    for (queued_ns, by, expected) in
        [(90, 1, 90), (90, 1000, 0), (2_000, 1000, 2), (90, 0, 90), (u64::MAX, 1, u64::MAX)]
    {
        assert_eq!(penalty::left_ns(queued_ns, by * 100), expected, "{queued_ns} / {by}");
    }
}

/// Every core but the thief offers three colors, the farther the more loaded.
fn all_but(thief: usize, cores: usize) -> Plain {
    let mut view = idle(cores, 300);
    for core in (0..cores).filter(|&core| core != thief) {
        let first = 10 * core as u64;
        let long_ns = 1_000 + first;
        view.victims[core] = victim(&[0, 1, 2].map(|n| offer(first + n, long_ns, 1, 1)));
    }
    view
}

#[test]
fn a_thief_robs_the_core_it_shares_a_cache_with() {
    // §5.1: eight cores, pairs share an L2.
    for thief in 0..8 {
        let view = all_but(thief, 8);
        let neighbor = (thief ^ 1) as u16;
        for (time_left, penalty) in [(false, false), (true, false), (true, true)] {
            let mut policy = mely(8, true, time_left, penalty);
            let theft = policy.plan(CoreId(thief as u16), &view);
            assert_eq!(theft.map(|theft| theft.victim.0), Some(neighbor), "thief {thief}");
        }
    }
}

#[test]
fn without_locality_the_most_loaded_core_is_robbed_however_far() {
    let mut view = all_but(0, 8);
    view.victims[5].load.events = 100;
    let theft = mely(8, false, true, true).plan(CoreId(0), &view);
    assert_eq!(theft.map(|theft| theft.victim), Some(CoreId(5)));
}

#[test]
fn a_near_core_with_nothing_worthy_is_passed_over() {
    let mut view = all_but(0, 8);
    view.victims[1] = victim(&[offer(1, 200, 9, 1), offer(2, 300, 9, 1)]);
    let theft = mely(8, true, true, true).plan(CoreId(0), &view);
    assert_eq!(theft.map(|theft| theft.victim), Some(CoreId(2)));
}

#[test]
fn thieves_that_wake_together_begin_with_different_victims() {
    let mut begun: Vec<u16> = (0..4u16)
        .map(|thief| {
            let view = all_but(usize::from(thief), 4);
            let mut policy = Mely::new(Topology::uniform(4));
            policy.plan(CoreId(thief), &view).map_or(u16::MAX, |theft| theft.victim.0)
        })
        .collect();
    begun.sort_unstable();
    assert_eq!(begun, [0, 1, 2, 3]);
}

#[test]
fn thieves_of_one_victim_take_different_ones_of_equal_colors() {
    let mut view = idle(4, 300);
    view.victims[0] = victim(&[1, 2, 3, 4].map(|n| offer(n, 5_000, 1, 1)));
    let colors: Vec<_> =
        (1..4).map(|thief| color(&mut mely(4, true, true, true), thief, &view)).collect();
    assert_eq!(colors, [Some(Color(2)), Some(Color(3)), Some(Color(4))]);
}

#[test]
fn memory_twice_as_far_makes_a_theft_twice_as_dear() {
    for (distance, expected) in [
        (Distance::Itself, 300),
        (Distance::Cache(1), 300),
        (Distance::Cache(3), 300),
        (Distance::Memory(0), 300),
        (Distance::Memory(10), 300),
        (Distance::Memory(20), 600),
        (Distance::Memory(21), 630),
        (Distance::Unknown, 300),
    ] {
        assert_eq!(price_ns(300, distance), expected, "{distance:?}");
    }
    assert_eq!(price_ns(u64::MAX, Distance::Memory(u16::MAX)), u64::MAX);
    assert_eq!(price_ns(0, Distance::Memory(255)), 0);
}

#[test]
fn a_color_in_far_memory_must_be_worth_the_way() {
    let topology = Topology::from_sysfs(two_nodes().path()).unwrap();
    let mut near_first = Mely::new(topology);
    let mut anyone = near_first.clone().locality(false);
    let mut view = idle(8, 300);
    // Core 7 is 2.1 times as far from core 0 as its own memory: 630 ns.
    for (queued_ns, expected) in [(300, [None; 2]), (630, [None, Some(7)]), (631, [Some(7); 2])] {
        view.victims[7] = victim(&[offer(1, queued_ns, 1, 1)]);
        let plans = [near_first.plan(CoreId(0), &view), anyone.plan(CoreId(0), &view)];
        assert_eq!(plans.map(|plan| plan.map(|theft| theft.victim.0)), expected, "{queued_ns} ns");
    }
}

#[test]
fn a_policy_serves_another_thief_and_another_number_of_cores() {
    let mut policy = mely(8, true, true, true);
    assert_eq!(policy.plan(CoreId(0), &all_but(0, 8)).map(|theft| theft.victim.0), Some(1));
    assert_eq!(policy.plan(CoreId(6), &all_but(6, 8)).map(|theft| theft.victim.0), Some(7));
    assert_eq!(policy.plan(CoreId(6), &all_but(6, 7)).map(|theft| theft.victim.0), Some(0));
    assert_eq!(policy.plan(CoreId(0), &idle(1, 300)), None);
    assert_eq!(policy.plan(CoreId(0), &idle(0, 300)), None);
}

#[test]
fn cores_beyond_the_topology_are_robbed_last() {
    let mut view = idle(6, 300);
    view.victims[5] = victim(&[offer(50, 9_000, 1, 1)]);
    let mut policy = mely(4, true, true, true);
    assert_eq!(color(&mut policy, 0, &view), Some(Color(50)));
    view.victims[3] = victim(&[offer(30, 400, 1, 1)]);
    assert_eq!(color(&mut policy, 0, &view), Some(Color(30)));
}

#[test]
fn empty_slots_are_passed_over() {
    let mut view = idle(2, 300);
    let load = victim(&[offer(1, 9_000, 1, 1); 3]).load;
    let slots = vec![None, None, Some(offer(1, 9_000, 1, 1))];
    view.victims[0] = Victim { load, slots, measured_ns: None };
    for policy in [&mut mely(2, true, true, true), &mut mely(2, false, false, false)] {
        let theft = policy.plan(CoreId(1), &view);
        assert_eq!(theft.map(|theft| (theft.slot, theft.color)), Some((2, Color(1))));
    }
}
