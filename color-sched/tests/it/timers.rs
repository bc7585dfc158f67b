//! The wheel against an ordered map, above all around the powers of 64 at which timers change levels.

use std::collections::BTreeMap;

use color_sched::timer::{TICK_BITS, TimerKey, Wheel};
use proptest::prelude::*;

/// The plain second implementation: tick and order of insertion -> value.
#[derive(Default)]
struct Oracle {
    timers: BTreeMap<(u64, usize), usize>,
    fired: u64,
}

impl Oracle {
    fn insert(&mut self, at: u64, value: usize) {
        let tick = at.div_ceil(1 << TICK_BITS).max(self.fired + 1);
        self.timers.insert((tick, value), value);
    }

    fn cancel(&mut self, value: usize) -> Option<usize> {
        let key = *self.timers.iter().find(|(_, kept)| **kept == value)?.0;
        self.timers.remove(&key)
    }

    fn advance(&mut self, now: u64) -> Vec<usize> {
        self.fired = self.fired.max(now >> TICK_BITS);
        let later = self.timers.split_off(&(self.fired + 1, 0));
        std::mem::replace(&mut self.timers, later).into_values().collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Cancel(usize),
    Advance(u64),
    /// To the wheel's own deadline, and this much beyond or short of it.
    ToDeadline(i8),
}

/// Times near powers of 64 ticks, and near multiples of them.
fn near_powers() -> impl Strategy<Value = u64> {
    (0u32..7, 1u64..5, -2i64..3, 0u64..1 << TICK_BITS).prop_map(|(power, times, off, ns)| {
        let tick = (times << (6 * power)).saturating_add_signed(off);
        (tick << TICK_BITS).saturating_add(ns)
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => near_powers().prop_map(Step::Insert),
        1 => (0usize..64).prop_map(Step::Cancel),
        2 => near_powers().prop_map(Step::Advance),
        2 => any::<i8>().prop_map(Step::ToDeadline),
    ];
    prop::collection::vec(step, 1..80)
}

fn drain(wheel: &mut Wheel<usize>, now: u64) -> Vec<usize> {
    std::iter::from_fn(|| wheel.advance(now)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn wheel_fires_what_an_ordered_map_fires(steps in steps(), start in near_powers()) {
        let (mut wheel, mut oracle) = (Wheel::default(), Oracle::default());
        let mut keys: Vec<TimerKey> = Vec::new();
        let mut now = start;
        prop_assert_eq!(drain(&mut wheel, now), oracle.advance(now));
        for step in steps {
            match step {
                Step::Insert(after) => {
                    oracle.insert(now.saturating_add(after), keys.len());
                    keys.push(wheel.insert(now.saturating_add(after), keys.len()));
                }
                Step::Cancel(n) if n < keys.len() => {
                    let expected = oracle.cancel(n);
                    prop_assert_eq!(wheel.is_armed(keys[n]), expected.is_some());
                    prop_assert_eq!(wheel.cancel(keys[n]), expected);
                }
                Step::Cancel(_) => {}
                Step::Advance(by) => now = now.saturating_add(by),
                Step::ToDeadline(off) => {
                    let deadline = wheel.next_deadline();
                    if let Some(first) = oracle.timers.keys().next() {
                        prop_assert!(deadline.is_some_and(|at| at >> TICK_BITS <= first.0));
                    }
                    now = now.max(deadline.unwrap_or(now).saturating_add_signed(i64::from(off)));
                }
            }
            prop_assert_eq!(drain(&mut wheel, now), oracle.advance(now));
            prop_assert_eq!(wheel.len(), oracle.timers.len());
        }
    }
}

#[test]
fn timer_never_fires_early_and_at_most_one_tick_late() {
    for at in [0, 1, 1 << TICK_BITS, (1 << TICK_BITS) + 1, 64 << TICK_BITS, 12_345_678_901] {
        let mut wheel = Wheel::default();
        wheel.insert(at, ());
        if at > 0 {
            assert_eq!(wheel.advance(at - 1), None, "{at} fired early");
        }
        assert_eq!(wheel.advance(at + (1 << TICK_BITS)), Some(()), "{at} fired late");
    }
}

#[test]
fn timers_beyond_the_span_of_the_wheel_fire_when_it_has_turned() {
    let year = 365 * 86_400 * 1_000_000_000_u64;
    let mut wheel = Wheel::default();
    wheel.insert(10 * year, 10);
    wheel.insert(3 * year, 3);
    wheel.insert(u64::MAX, 0);
    assert_eq!(wheel.advance(3 * year - 1), None);
    assert_eq!(wheel.advance(4 * year), Some(3));
    assert_eq!(wheel.advance(10 * year - 1), None);
    assert_eq!(wheel.advance(11 * year), Some(10));
    assert_eq!((wheel.advance(100 * year), wheel.len()), (None, 1));
}

#[test]
fn key_of_a_timer_that_fired_cancels_no_later_one() {
    let mut wheel = Wheel::default();
    let first = wheel.insert(0, 'a');
    assert_eq!(wheel.advance(1 << TICK_BITS), Some('a'));
    let second = wheel.insert(0, 'b');
    assert_eq!(wheel.cancel(first), None);
    assert_eq!(wheel.cancel(second), Some('b'));
    assert_eq!(wheel.cancel(second), None);
    assert!(wheel.is_empty());
}
