//! Which colors are worth a theft, and how long they are said to be.

use color_sched::worthy::interval;

#[test]
fn color_is_worthy_when_it_takes_longer_than_a_theft() {
    for (queued_ns, steal_cost_ns, expected) in [
        (0, 1_000, None),
        (999, 1_000, None),
        (1_000, 1_000, None),
        (1_001, 1_000, Some(0)),
        (3_999, 1_000, Some(0)),
        (4_000, 1_000, Some(1)),
        (15_999, 1_000, Some(1)),
        (16_000, 1_000, Some(2)),
        (u64::MAX, 1_000, Some(2)),
        (u64::MAX, 1, Some(2)),
        (u64::MAX, u64::MAX, None),
    ] {
        assert_eq!(interval(queued_ns, steal_cost_ns), expected, "{queued_ns} / {steal_cost_ns}");
    }
}

#[test]
fn every_color_is_worthy_of_a_theft_that_costs_nothing() {
    for queued_ns in [0, 1, 3, 1_000_000, u64::MAX] {
        assert!(interval(queued_ns, 0).is_some(), "{queued_ns}");
    }
}
