//! Table 2 of the paper, stretched: every state, every event, both deliveries.

use ecem::{Correlator, Delivery, Event, PairId, PairState, Readiness, Verdict};

use PairState::{RR, RW, WR, WW};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    PreReady,
    PreWait,
    PostReady,
    PostWait,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Want {
    /// The event passed in.
    Deliver,
    /// The event that was held.
    Held,
    Defer,
    Nothing,
}

const NEW: u32 = 1;
const OLD: u32 = 2;

fn pair_in(delivery: Delivery, state: PairState) -> (Correlator<u32>, PairId) {
    let mut pairs = Correlator::new(delivery);
    let id = pairs.add(10, 20).unwrap();
    if state.pre() == Readiness::Ready {
        assert_eq!(pairs.on_event(Event::PreReady(id, OLD), 0), Verdict::Deliver(OLD));
    }
    if state.post() == Readiness::Wait {
        assert_eq!(pairs.on_event(Event::PostWait(id), 0), Verdict::Nothing);
    }
    assert_eq!(pairs.state(id), Some(state));
    (pairs, id)
}

fn apply(pairs: &mut Correlator<u32>, id: PairId, kind: Kind) -> Want {
    let event = match kind {
        Kind::PreReady => Event::PreReady(id, NEW),
        Kind::PreWait => Event::PreWait(id),
        Kind::PostReady => Event::PostReady(id),
        Kind::PostWait => Event::PostWait(id),
    };
    match pairs.on_event(event, 0) {
        Verdict::Deliver(NEW) => Want::Deliver,
        Verdict::Deliver(_) => Want::Held,
        Verdict::Defer => Want::Defer,
        Verdict::Nothing => Want::Nothing,
        Verdict::Refused(event, why) => panic!("{event} refused: {why}"),
    }
}

#[test]
fn every_state_answers_every_event_as_table_2_says() {
    use Kind::{PostReady, PostWait, PreReady, PreWait};
    use Want::{Defer, Deliver, Nothing};
    // state, event -> next state, verdict when eager, verdict when deferred
    let table = [
        (RR, PreReady, RR, Deliver, Deliver),
        (RR, PreWait, WR, Nothing, Nothing),
        (RR, PostReady, RR, Nothing, Nothing),
        (RR, PostWait, RW, Nothing, Nothing),
        (RW, PreReady, RW, Deliver, Defer),
        (RW, PreWait, WW, Nothing, Nothing),
        (RW, PostReady, RR, Nothing, Nothing),
        (RW, PostWait, RW, Nothing, Nothing),
        (WR, PreReady, RR, Deliver, Deliver),
        (WR, PreWait, WR, Nothing, Nothing),
        (WR, PostReady, WR, Nothing, Nothing),
        (WR, PostWait, WW, Nothing, Nothing),
        (WW, PreReady, RW, Deliver, Defer),
        (WW, PreWait, WW, Nothing, Nothing),
        (WW, PostReady, WR, Nothing, Nothing),
        (WW, PostWait, WW, Nothing, Nothing),
    ];
    for (state, kind, next, eager, deferred) in table {
        for (delivery, want) in [(Delivery::Eager, eager), (Delivery::Deferred, deferred)] {
            let (mut pairs, id) = pair_in(delivery, state);
            let got = apply(&mut pairs, id, kind);
            assert_eq!(got, want, "{state} {kind:?} {delivery:?}");
            assert_eq!(pairs.state(id), Some(next), "{state} {kind:?} {delivery:?}");
        }
    }
}

#[test]
fn a_pair_with_a_held_event_stays_rw_until_the_post_side_is_ready() {
    // event -> verdict, next state, events held after it
    let table = [
        (Kind::PreReady, Want::Defer, RW, 2),
        (Kind::PreWait, Want::Nothing, RW, 1),
        (Kind::PostReady, Want::Held, RR, 0),
        (Kind::PostWait, Want::Nothing, RW, 1),
    ];
    for (kind, want, next, held) in table {
        let (mut pairs, id) = pair_in(Delivery::Deferred, WW);
        assert_eq!(pairs.on_event(Event::PreReady(id, OLD), 0), Verdict::Defer);
        assert_eq!(apply(&mut pairs, id, kind), want, "{kind:?}");
        let pair = pairs.pair(id).unwrap();
        assert_eq!((pair.state, pair.held), (next, held), "{kind:?}");
    }
}

#[test]
fn a_new_pair_is_wr() {
    let mut pairs = Correlator::<()>::new(Delivery::Deferred);
    let id = pairs.add(1, 2).unwrap();
    assert_eq!(pairs.state(id), Some(WR));
}

#[test]
fn a_state_is_its_two_sides() {
    for state in PairState::ALL {
        assert_eq!(PairState::of(state.pre(), state.post()), state);
    }
    assert_eq!(PairState::ALL.map(|s| s.to_string()), ["RR", "RW", "WR", "WW"]);
}
