//! What does an event cost, with 64 and with 100 000 pairs? Baseline: a map from key to queue.
//!
//! A round is four events of one pair: the socket is full, a read completes and is held, the
//! socket is writable and the read comes out, the read is over. Figures are per round.

use std::collections::{HashMap, VecDeque};
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ecem::{Correlator, Delivery, Event};

#[derive(Default)]
struct Plain {
    full: bool,
    held: VecDeque<u64>,
}

fn on_event(c: &mut Criterion) {
    let mut group = c.benchmark_group("four_events");
    for pairs in [64u64, 100_000] {
        let order: Vec<u64> = (0..pairs).map(|n| n.wrapping_mul(40_503) % pairs).collect();

        group.bench_function(BenchmarkId::new("hash_map", pairs), |b| {
            let mut map: HashMap<u64, Plain> = (0..pairs).map(|n| (n, Plain::default())).collect();
            let mut turn = order.iter().cycle();
            b.iter(|| {
                let key = *turn.next().unwrap_or(&0);
                if let Some(pair) = map.get_mut(&key) {
                    pair.full = true;
                }
                if let Some(pair) = map.get_mut(&key) {
                    pair.held.push_back(key);
                }
                if let Some(pair) = map.get_mut(&key) {
                    pair.full = false;
                    black_box(pair.held.pop_front());
                }
                black_box(map.get(&key).map(|pair| pair.full));
            });
        });

        group.bench_function(BenchmarkId::new("correlator", pairs), |b| {
            let mut correlator = Correlator::new(Delivery::Deferred);
            let ids: Vec<_> = (0..pairs).filter_map(|n| correlator.add(n, n).ok()).collect();
            let mut turn = order.iter().cycle();
            b.iter(|| {
                let key = *turn.next().unwrap_or(&0);
                let id = ids[key as usize];
                let _ = black_box(correlator.on_event(Event::PostWait(id), key));
                let _ = black_box(correlator.on_event(Event::PreReady(id, key), key));
                let _ = black_box(correlator.on_event(Event::PostReady(id), key));
                let _ = black_box(correlator.on_event(Event::PreWait(id), key));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, on_event);
criterion_main!(benches);
