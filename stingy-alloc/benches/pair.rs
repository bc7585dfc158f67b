//! What does a buffer of 2 KiB cost? Baseline: `Box<[u8]>` of the system allocator, zeroed and not.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stingy_alloc::{Geometry, MemoryMap, Options, SiteId, Slab, Slot, StageId};

const BYTES: usize = 2 << 10;
const BATCH: usize = 32;
const SITE: SiteId = SiteId(0);
const ONE: StageId = StageId(0);
const TWO: StageId = StageId(1);

fn slab() -> Slab {
    let geometry = Geometry::new(1 << 20, 16, 64).expect("a sound geometry");
    let map = MemoryMap::builder()
        .geometry(geometry)
        .site("response", BYTES, 64)
        .site("request", BYTES / 2, 64)
        .stage("respond", &[], &[("response", 1)])
        .stage("both", &[], &[("response", 1), ("request", 1)])
        .build()
        .expect("a sound map");
    Slab::new(&map, Options { geometry: Some(geometry), ..Options::default() }).expect("a slab")
}

/// Takes a burst of buffers, writes one line of each, and frees them.
fn burst(held: &mut Vec<Slot>, mut take: impl FnMut() -> Slot) {
    for _ in 0..BATCH {
        let mut slot = take();
        slot[0] = 1;
        held.push(slot);
    }
    held.clear();
}

fn pair(c: &mut Criterion) {
    let slab = slab();
    let mut held = Vec::with_capacity(BATCH);
    let mut group = c.benchmark_group("pair");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("slab, one permit a burst", |b| {
        b.iter(|| {
            let permit = slab.admit(ONE, BATCH);
            burst(&mut held, || permit.alloc(SITE).expect("covered"));
        });
    });
    group.bench_function("slab, one permit a buffer", |b| {
        b.iter(|| burst(&mut held, || slab.admit(ONE, 1).alloc(SITE).expect("covered")));
    });
    group.bench_function("system, zeroed", |b| {
        b.iter(|| burst(&mut held, || Slot::heap(BYTES)));
    });
    group.bench_function("system, as it comes", |b| {
        let mut held: Vec<Vec<u8>> = Vec::with_capacity(BATCH);
        b.iter(|| {
            for _ in 0..BATCH {
                let mut bytes = Vec::with_capacity(BYTES);
                bytes.push(1);
                held.push(black_box(bytes));
            }
            held.clear();
        });
    });
    group.finish();

    let mut group = c.benchmark_group("admit");
    group.bench_function("one site", |b| b.iter(|| slab.admit(black_box(ONE), black_box(8))));
    group.bench_function("two sites", |b| b.iter(|| slab.admit(black_box(TWO), black_box(8))));
    group.finish();
}

criterion_group!(benches, pair);
criterion_main!(benches);
