//! What the lengths of a send queue say about acknowledgements.

use ecem::AckClock;
use proptest::prelude::*;

#[test]
fn an_acknowledgement_releases_what_left_the_queue() {
    // bytes sent, queue length after it -> released, credit of a window of 100
    let table =
        [(100, 100, 0, 0), (0, 60, 40, 40), (40, 100, 0, 0), (0, 0, 100, 100), (30, 30, 0, 70)];
    let mut clock = AckClock::new(100);
    for (sent, queued, released, credit) in table {
        clock.on_sent(sent);
        assert_eq!(clock.on_queue(queued), released, "sent {sent}, queued {queued}");
        assert_eq!(clock.credit(), credit, "sent {sent}, queued {queued}");
    }
    assert_eq!((clock.sent(), clock.acked(), clock.in_flight()), (170, 140, 30));
}

#[test]
fn a_queue_longer_than_what_was_sent_releases_nothing() {
    let mut clock = AckClock::new(10);
    clock.on_sent(5);
    assert_eq!(clock.on_queue(u64::MAX), 0);
    assert_eq!(clock.credit(), 5);
}

#[test]
fn more_than_the_window_in_flight_leaves_no_credit() {
    let mut clock = AckClock::new(10);
    clock.on_sent(25);
    assert_eq!(clock.credit(), 0);
    clock.on_sent(u64::MAX);
    assert_eq!(clock.credit(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn released_bytes_sum_to_the_acknowledged_ones_and_never_shrink(
        steps in proptest::collection::vec((0u64..5000, 0u64..20_000), 0..100),
    ) {
        let mut clock = AckClock::new(4096);
        let mut released = 0;
        for (sent, queued) in steps {
            clock.on_sent(sent);
            let before = clock.acked();
            released += clock.on_queue(queued);
            prop_assert!(clock.acked() >= before && clock.acked() <= clock.sent());
            prop_assert_eq!(released, clock.acked());
        }
    }
}
