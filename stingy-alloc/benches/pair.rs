//! What does an object and its free cost, at 64 bytes, 4 and 12 KiB? Baselines: mimalloc, and the system allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::mem::MaybeUninit;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mimalloc::MiMalloc;
use stingy_alloc::adapt::Global;
use stingy_alloc::{Geometry, MemoryMap, Object, Options, Slab, StageId};

const BURST: usize = 32;
const STAGE: StageId = StageId(0);

fn slab(bytes: usize) -> Slab {
    let geometry = Geometry::new(1 << 20, 16, 64).expect("a sound geometry");
    let map = MemoryMap::builder()
        .geometry(geometry)
        .site("object", bytes, BURST as u32)
        .stage("stage", &[], &[("object", 1)])
        .build()
        .expect("a sound map");
    Slab::new(&map, Options { geometry: Some(geometry), ..Options::default() }).expect("a slab")
}

/// Takes a burst of objects, writes one word of each, and frees them.
fn burst<O>(take: impl FnMut(usize) -> O) {
    let mut held: [O; BURST] = std::array::from_fn(take);
    black_box(&mut held);
}

fn typed<const WORDS: usize>(slab: &Slab) {
    let site = slab.site::<[u64; WORDS]>("object").expect("the site fits");
    let permit = slab.admit(STAGE, BURST);
    let lane = permit.lane(site).expect("covered");
    burst(|_| {
        let mut object: Object<MaybeUninit<[u64; WORDS]>> = lane.take().expect("covered");
        // SAFETY: the first word of its own array.
        unsafe { object.as_mut_ptr().cast::<u64>().write(1) };
        object
    });
}

fn raw<const WORDS: usize>(from: &impl GlobalAlloc) {
    let layout = Layout::new::<[u64; WORDS]>();
    let mut held = [std::ptr::null_mut(); BURST];
    for block in &mut held {
        // SAFETY: not for no bytes.
        *block = unsafe { from.alloc(layout) };
        // SAFETY: a word of a block of its own.
        unsafe { block.cast::<u64>().write(1) };
    }
    black_box(&mut held);
    for block in held {
        // SAFETY: allocated above, with this layout.
        unsafe { from.dealloc(block, layout) };
    }
}

fn pairs<const WORDS: usize>(c: &mut Criterion) {
    let slab = slab(WORDS * 8);
    let mut group = c.benchmark_group(format!("pair, {} bytes", WORDS * 8));
    group.throughput(Throughput::Elements(BURST as u64));
    group.bench_function("typed object", |b| b.iter(|| typed::<WORDS>(&slab)));
    group.bench_function("slot", |b| {
        b.iter(|| {
            let permit = slab.admit(STAGE, BURST);
            burst(|_| {
                let mut slot = permit.alloc(stingy_alloc::SiteId(0)).expect("covered");
                slot[0] = 1;
                slot
            });
        });
    });
    group.bench_function("global allocator, in a scope", |b| {
        b.iter(|| slab.admit(STAGE, BURST).scope(|| raw::<WORDS>(&Global(System))));
    });
    group.bench_function("global allocator, outside", |b| b.iter(|| raw::<WORDS>(&Global(System))));
    group.bench_function("system", |b| b.iter(|| raw::<WORDS>(&System)));
    group.bench_function("mimalloc", |b| b.iter(|| raw::<WORDS>(&MiMalloc)));
    group.bench_function("typed object, again", |b| b.iter(|| typed::<WORDS>(&slab)));
    group.finish();
}

criterion_group!(benches, pairs<8>, pairs<512>, pairs<1536>);
criterion_main!(benches);
