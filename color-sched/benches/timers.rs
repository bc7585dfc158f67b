//! What does it cost to arm and cancel a timer while x others are armed? A: a `BTreeMap`. B: the wheel.

use std::collections::BTreeMap;
use std::hint::black_box;

use color_sched::timer::Wheel;
use criterion::{Criterion, criterion_group, criterion_main};

const SECOND: u64 = 1_000_000_000;

fn timers(criterion: &mut Criterion) {
    for armed in [1_000u64, 1_000_000] {
        // Spread over ten minutes, in an order without pattern.
        let due = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (600 * SECOND);
        let mut wheel = Wheel::default();
        let mut tree = BTreeMap::new();
        for n in 0..armed {
            wheel.insert(due(n), n);
            tree.insert((due(n), n), n);
        }
        let mut next = armed;
        criterion.bench_function(&format!("timers/btree/{armed}"), |bencher| {
            bencher.iter(|| {
                next += 1;
                tree.insert((due(next), next), next);
                black_box(tree.remove(&(due(next), next)))
            });
        });
        criterion.bench_function(&format!("timers/wheel/{armed}"), |bencher| {
            bencher.iter(|| {
                next += 1;
                let key = wheel.insert(due(next), next);
                black_box(wheel.cancel(key))
            });
        });
    }
}

criterion_group!(benches, timers);
criterion_main!(benches);
