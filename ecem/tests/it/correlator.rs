//! Adding, finding and deleting pairs; limits; counters; what bad input does.

use ecem::{AddError, Correlator, Delivery, Event, PairState, Refusal, Verdict};

fn deferred() -> Correlator<u32> {
    Correlator::new(Delivery::Deferred)
}

#[test]
fn a_pair_is_found_by_either_key_until_it_is_deleted() {
    let mut pairs = deferred();
    let id = pairs.add(7, 8).unwrap();
    assert_eq!((pairs.by_pre(7), pairs.by_post(8)), (Some(id), Some(id)));
    assert_eq!((pairs.by_pre(8), pairs.by_post(7)), (None, None));
    assert_eq!(pairs.len(), 1);
    assert_eq!(pairs.del(id).unwrap().pair.pre, 7);
    assert_eq!((pairs.by_pre(7), pairs.by_post(8)), (None, None));
    assert!(pairs.is_empty());
}

#[test]
fn a_taken_key_names_the_pair_that_has_it() {
    let mut pairs = deferred();
    let id = pairs.add(1, 2).unwrap();
    assert_eq!(pairs.add(1, 3), Err(AddError::PreTaken { pre: 1, by: id }));
    assert_eq!(pairs.add(3, 2), Err(AddError::PostTaken { post: 2, by: id }));
    assert_eq!(pairs.len(), 1);
    assert!(pairs.by_pre(3).is_none() && pairs.by_post(3).is_none());
}

#[test]
fn one_key_may_be_post_of_one_pair_and_pre_of_the_next() {
    let mut pairs = deferred();
    let first = pairs.add(1, 2).unwrap();
    let second = pairs.add(2, 3).unwrap();
    assert_eq!((pairs.by_post(2), pairs.by_pre(2)), (Some(first), Some(second)));
}

#[test]
fn a_deleted_pair_gives_its_held_events_back_in_order() {
    let mut pairs = deferred();
    let id = pairs.add(1, 2).unwrap();
    let _ = pairs.on_event(Event::PostWait(id), 0);
    for n in 0..3 {
        assert_eq!(pairs.on_event(Event::PreReady(id, n), 0), Verdict::Defer);
    }
    let removed = pairs.del(id).unwrap();
    assert_eq!(removed.held, [0, 1, 2]);
    assert_eq!((removed.pair.state, removed.pair.held), (PairState::RW, 3));
    assert_eq!(pairs.stats().returned, 3);
    assert_eq!(pairs.del(id), None);
}

#[test]
fn an_id_names_nothing_after_its_slot_is_used_again() {
    let mut pairs = deferred();
    let old = pairs.add(1, 2).unwrap();
    let _ = pairs.del(old);
    let new = pairs.add(3, 4).unwrap();
    assert_eq!(new.index(), old.index());
    assert_ne!(new, old);
    assert_eq!(pairs.state(old), None);
    assert_eq!(pairs.on_event(Event::PreReady(old, 5), 0), Verdict::Refused(5, Refusal::NoPair));
    assert_eq!(pairs.on_event(Event::PostWait(old), 0), Verdict::Nothing);
    assert_eq!(pairs.deliver_next(old, 0), None);
    assert_eq!(pairs.state(new), Some(PairState::WR));
    assert_eq!(pairs.stats().stale, 2);
}

#[test]
fn an_id_of_another_correlator_is_refused() {
    let mut other = deferred();
    let _ = other.add(1, 2).unwrap();
    let foreign = other.add(3, 4).unwrap();
    let mut pairs = deferred();
    assert_eq!(
        pairs.on_event(Event::PreReady(foreign, 9), 0),
        Verdict::Refused(9, Refusal::NoPair)
    );
}

#[test]
fn an_event_above_the_limit_is_given_back_and_the_held_ones_stay() {
    let mut pairs = deferred().with_limit(2);
    let id = pairs.add(1, 2).unwrap();
    let _ = pairs.on_event(Event::PostWait(id), 0);
    assert_eq!(pairs.on_event(Event::PreReady(id, 0), 0), Verdict::Defer);
    assert_eq!(pairs.on_event(Event::PreReady(id, 1), 0), Verdict::Defer);
    assert_eq!(pairs.on_event(Event::PreReady(id, 2), 0), Verdict::Refused(2, Refusal::Full));
    assert_eq!(pairs.on_event(Event::PostReady(id), 0), Verdict::Deliver(0));
    assert_eq!(pairs.deliver_next(id, 0), Some(1));
    assert_eq!(pairs.stats().refused, 1);
}

#[test]
fn a_newcomer_does_not_overtake_held_events() {
    let mut pairs = deferred().with_limit(2);
    let id = pairs.add(1, 2).unwrap();
    let _ = pairs.on_event(Event::PostWait(id), 0);
    let _ = pairs.on_event(Event::PreReady(id, 0), 0);
    let _ = pairs.on_event(Event::PreReady(id, 1), 0);
    assert_eq!(pairs.on_event(Event::PostReady(id), 0), Verdict::Deliver(0));
    assert_eq!(pairs.on_event(Event::PreReady(id, 2), 0), Verdict::Deliver(1));
    assert_eq!(pairs.on_event(Event::PreReady(id, 3), 0), Verdict::Deliver(2));
    assert_eq!(pairs.deliver_next(id, 0), Some(3));
    assert_eq!(pairs.deliver_next(id, 0), None);
}

#[test]
fn delivery_stops_when_the_post_side_waits_again() {
    let mut pairs = deferred();
    let id = pairs.add(1, 2).unwrap();
    let _ = pairs.on_event(Event::PostWait(id), 0);
    let _ = pairs.on_event(Event::PreReady(id, 0), 0);
    let _ = pairs.on_event(Event::PreReady(id, 1), 0);
    assert_eq!(pairs.on_event(Event::PostReady(id), 0), Verdict::Deliver(0));
    let _ = pairs.on_event(Event::PostWait(id), 0);
    assert_eq!(pairs.deliver_next(id, 0), None);
    assert_eq!(pairs.on_event(Event::PostReady(id), 0), Verdict::Deliver(1));
}

#[test]
fn counters_say_what_happened_and_for_how_long() {
    let mut pairs = deferred();
    let id = pairs.add(1, 2).unwrap();
    let _ = pairs.on_event(Event::PreReady(id, 0), 100);
    let _ = pairs.on_event(Event::PostWait(id), 110);
    let _ = pairs.on_event(Event::PreReady(id, 1), 120);
    let _ = pairs.on_event(Event::PreReady(id, 2), 130);
    let _ = pairs.on_event(Event::PostReady(id), 150);
    assert_eq!(pairs.deliver_next(id, 90), Some(2), "a clock that jumps back is no error");
    let stats = pairs.stats();
    assert_eq!((stats.at_once, stats.deferred, stats.released), (1, 2, 2));
    assert_eq!((stats.held_ns, stats.longest_held_ns), (30, 30));
}

#[test]
fn eager_counts_the_receivers_that_would_block() {
    let mut pairs = Correlator::new(Delivery::Eager);
    let id = pairs.add(1, 2).unwrap();
    let _ = pairs.on_event(Event::PostWait(id), 0);
    assert_eq!(pairs.on_event(Event::PreReady(id, 'x'), 0), Verdict::Deliver('x'));
    assert_eq!((pairs.stats().eager, pairs.stats().deferred), (1, 0));
}

#[test]
fn a_hundred_thousand_pairs_come_and_go() {
    let mut pairs = deferred();
    for round in 0..2 {
        let ids: Vec<_> = (0..100_000u64).map(|n| pairs.add(n, !n).unwrap()).collect();
        assert_eq!(pairs.len(), 100_000);
        for (n, id) in ids.iter().enumerate() {
            assert!(id.index() < 100_000, "round {round}");
            assert_eq!(pairs.by_post(!(n as u64)), Some(*id));
            assert!(pairs.del(*id).is_some());
        }
        assert!(pairs.is_empty());
    }
}
