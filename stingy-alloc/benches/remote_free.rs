//! What does an object cost that another thread frees? One at a time, and a batch at once.
//! Baselines: the same freed here, and mimalloc.
//!
//! A helper frees what a channel of one batch brings; the time is that of the whole batch, there and back.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::mpsc::{Receiver, Sender, channel};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mimalloc::MiMalloc;
use stingy_alloc::{Geometry, MemoryMap, Options, SiteId, Slab, Slot, StageId, free_all};

const BATCH: usize = 64;
const BYTES: usize = 4096;
const SITE: SiteId = SiteId(0);

fn slab() -> Slab {
    let geometry = Geometry::new(1 << 20, 16, 64).expect("a sound geometry");
    let map = MemoryMap::builder()
        .geometry(geometry)
        .site("object", BYTES, BATCH as u32)
        .stage("stage", &[], &[("object", 1)])
        .build()
        .expect("a sound map");
    Slab::new(&map, Options { geometry: Some(geometry), ..Options::default() }).expect("a slab")
}

/// A block of mimalloc, freed when it is dropped.
struct Block(*mut u8);

// SAFETY: a block is its holder's alone, and mimalloc frees on any thread.
unsafe impl Send for Block {}

impl Block {
    const LAYOUT: Layout = Layout::new::<[u64; BYTES / 8]>();

    fn new() -> Self {
        // SAFETY: not for no bytes.
        let start = unsafe { MiMalloc.alloc(Self::LAYOUT) };
        // SAFETY: a word of its own block.
        unsafe { start.cast::<u64>().write(1) };
        Self(start)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated in `new`, with this layout.
        unsafe { MiMalloc.dealloc(self.0, Self::LAYOUT) };
    }
}

/// A thread that does `free` with each batch, and hands the empty vector back.
fn helper<O: Send + 'static>(free: fn(&mut Vec<O>)) -> (Sender<Vec<O>>, Receiver<Vec<O>>) {
    let (batches, inbox) = channel::<Vec<O>>();
    let (outbox, empties) = channel();
    std::thread::spawn(move || {
        for mut batch in inbox {
            free(&mut batch);
            if outbox.send(batch).is_err() {
                return;
            }
        }
    });
    (batches, empties)
}

fn there_and_back<O: Send + 'static>(
    c: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    free: fn(&mut Vec<O>),
    mut fill: impl FnMut(&mut Vec<O>),
) {
    let (batches, empties) = helper(free);
    let mut batch = Vec::with_capacity(BATCH);
    c.bench_function(name, |b| {
        b.iter(|| {
            fill(&mut batch);
            batches.send(std::mem::take(&mut batch)).expect("the helper lives");
            batch = empties.recv().expect("the helper lives");
        });
    });
}

fn remote_free(c: &mut Criterion) {
    let slab = slab();
    let fill = |batch: &mut Vec<Slot>| {
        let permit = slab.admit(StageId(0), BATCH);
        batch.extend((0..permit.granted()).map(|_| {
            let mut slot = permit.alloc(SITE).expect("covered");
            slot[0] = 1;
            slot
        }));
    };
    let mut group = c.benchmark_group("64 objects of 4 KiB");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("slab, freed here", |b| {
        let mut batch = Vec::with_capacity(BATCH);
        b.iter(|| {
            fill(&mut batch);
            batch.clear();
        });
    });
    there_and_back(&mut group, "slab, one at a time", Vec::clear, fill);
    there_and_back(&mut group, "slab, a batch at once", |batch| free_all(batch.drain(..)), fill);
    there_and_back(&mut group, "mimalloc", Vec::clear, |batch| {
        batch.extend((0..BATCH).map(|_| Block::new()));
    });
    group.finish();
}

criterion_group!(benches, remote_free);
criterion_main!(benches);
