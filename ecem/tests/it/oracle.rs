//! A second, slow correlator, and random histories that both must agree on.
//!
//! Properties:
//! 1. the verdicts are those of the oracle;
//! 2. nothing is lost: what went in came out, is held, was refused, or came back from `del`;
//! 3. order is kept within a pair;
//! 4. nothing is delivered twice;
//! 5. `Eager` delivers exactly what it is given, when it is given.

use std::collections::{BTreeMap, VecDeque};

use ecem::{Correlator, Delivery, Event, PairId, Refusal, Verdict};
use proptest::prelude::*;

#[derive(Default)]
struct Plain {
    post_waits: bool,
    held: VecDeque<u32>,
}

impl Plain {
    fn pre_ready(&mut self, event: u32, delivery: Delivery, limit: usize) -> Verdict<u32> {
        if delivery == Delivery::Eager {
            return Verdict::Deliver(event);
        }
        if self.post_waits && self.held.len() >= limit {
            return Verdict::Refused(event, Refusal::Full);
        }
        self.held.push_back(event);
        self.next().map_or(Verdict::Defer, Verdict::Deliver)
    }

    fn next(&mut self) -> Option<u32> {
        if self.post_waits { None } else { self.held.pop_front() }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add(u64),
    Del(u64),
    PreReady(u64),
    PreWait(u64),
    PostReady(u64),
    PostWait(u64),
    Next(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..4u64;
    prop_oneof![
        2 => key.clone().prop_map(Step::Add),
        1 => key.clone().prop_map(Step::Del),
        6 => key.clone().prop_map(Step::PreReady),
        1 => key.clone().prop_map(Step::PreWait),
        2 => key.clone().prop_map(Step::PostReady),
        3 => key.clone().prop_map(Step::PostWait),
        2 => key.prop_map(Step::Next),
    ]
}

struct Run {
    pairs: Correlator<u32>,
    plain: BTreeMap<u64, (PairId, Plain)>,
    /// Per pair, what came out of it in order.
    out: BTreeMap<PairId, Vec<u32>>,
    delivery: Delivery,
    limit: u32,
    sent: u32,
    came_out: usize,
}

impl Run {
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Add(key) => match self.pairs.add(key, key + 100) {
                Ok(id) => assert!(self.plain.insert(key, (id, Plain::default())).is_none()),
                Err(_) => assert!(self.plain.contains_key(&key)),
            },
            Step::Del(key) => {
                if let Some((id, plain)) = self.plain.remove(&key) {
                    let removed = self.pairs.del(id).unwrap();
                    assert_eq!(removed.held, Vec::from(plain.held));
                    self.came_out += removed.held.len();
                }
            }
            Step::PreReady(key) => {
                let Some((id, plain)) = self.plain.get_mut(&key) else { return };
                self.sent += 1;
                let want = plain.pre_ready(self.sent, self.delivery, self.limit as usize);
                let got = self.pairs.on_event(Event::PreReady(*id, self.sent), 0);
                assert_eq!(got, want);
                if self.delivery == Delivery::Eager {
                    assert_eq!(got, Verdict::Deliver(self.sent));
                }
                self.came_out += usize::from(matches!(got, Verdict::Refused(..)));
                let id = *id;
                self.deliver(id, got.delivered());
            }
            Step::PreWait(key) => {
                let Some((id, _)) = self.plain.get(&key) else { return };
                assert_eq!(self.pairs.on_event(Event::PreWait(*id), 0), Verdict::Nothing);
            }
            Step::PostReady(key) => {
                let Some((id, plain)) = self.plain.get_mut(&key) else { return };
                plain.post_waits = false;
                let (id, want) = (*id, plain.next());
                let got = self.pairs.on_event(Event::PostReady(id), 0);
                assert_eq!(got, want.map_or(Verdict::Nothing, Verdict::Deliver));
                self.deliver(id, want);
            }
            Step::PostWait(key) => {
                let Some((id, plain)) = self.plain.get_mut(&key) else { return };
                plain.post_waits = true;
                assert_eq!(self.pairs.on_event(Event::PostWait(*id), 0), Verdict::Nothing);
            }
            Step::Next(key) => {
                let Some((id, plain)) = self.plain.get_mut(&key) else { return };
                let (id, want) = (*id, plain.next());
                assert_eq!(self.pairs.deliver_next(id, 0), want);
                self.deliver(id, want);
            }
        }
    }

    fn deliver(&mut self, id: PairId, event: Option<u32>) {
        if let Some(event) = event {
            self.came_out += 1;
            self.out.entry(id).or_default().push(event);
        }
    }

    fn check(&self) {
        let held: usize = self.plain.values().map(|(_, plain)| plain.held.len()).sum();
        assert_eq!(self.sent as usize, self.came_out + held, "an event was lost or doubled");
        for out in self.out.values() {
            assert!(out.windows(2).all(|w| w[0] < w[1]), "order: {out:?}");
        }
        let s = self.pairs.stats();
        assert_eq!(s.deferred, s.released + s.returned + held as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_correlator_agrees_with_a_plain_queue_per_pair(
        steps in proptest::collection::vec(step(), 0..200),
        eager in any::<bool>(),
        limit in 0u32..5,
    ) {
        let delivery = if eager { Delivery::Eager } else { Delivery::Deferred };
        let mut run = Run {
            pairs: Correlator::new(delivery).with_limit(limit),
            plain: BTreeMap::new(),
            out: BTreeMap::new(),
            delivery,
            limit,
            sent: 0,
            came_out: 0,
        };
        for step in &steps {
            run.step(step);
            run.check();
        }
    }
}
