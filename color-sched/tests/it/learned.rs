//! What is learned from measurements, and what is not.

use color_sched::Cost;
use color_sched::learn::Estimate;

#[test]
fn estimate_moves_to_what_is_measured_and_a_pinned_one_does_not() {
    let mut learned = Estimate::new(Cost::learned(1_000));
    let mut pinned = Estimate::new(Cost::fixed(1_000));
    for estimate in [&mut learned, &mut pinned] {
        (0..100).for_each(|_| estimate.observe(50_000, 10));
    }
    assert_eq!((learned.ns(), pinned.ns()), (5_000, 1_000));
}

#[test]
fn interrupted_theft_does_not_make_thefts_too_dear_for_ever() {
    let mut cost = Estimate::new(Cost::learned(1_000));
    cost.observe_alone(2_000_000);
    assert!(cost.ns() <= 4_000, "{}", cost.ns());
    for _ in 0..100 {
        cost.observe_alone(300);
    }
    assert!((290..=310).contains(&cost.ns()), "{}", cost.ns());
    // Thefts that do take long are believed, the more often they do.
    for _ in 0..100 {
        cost.observe_alone(20_000);
    }
    assert!((19_000..=20_100).contains(&cost.ns()), "{}", cost.ns());
}

#[test]
fn estimate_relaxes_to_its_start_while_nothing_is_measured() {
    let mut cost = Estimate::new(Cost::learned(1_000));
    (0..100).for_each(|_| cost.observe(1_000_000, 1));
    for _ in 0..1_000 {
        cost.relax();
    }
    assert!((999..=1_001).contains(&cost.ns()), "{}", cost.ns());
    let mut pinned = Estimate::new(Cost::fixed(7));
    pinned.relax();
    assert_eq!(pinned.ns(), 7);
}
