//! What does a permit cost, admitted and returned unused? For 1, 2 and 4 sites, and batches of 1 and 32.
//! Baseline: the loop without it.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use stingy_alloc::{Geometry, MemoryMap, Options, Slab, StageId};

fn slab() -> Slab {
    let geometry = Geometry::new(1 << 20, 16, 64).expect("a sound geometry");
    let builder = MemoryMap::builder().geometry(geometry);
    let sites = ["a", "b", "c", "d"].map(|site| (site, 1));
    let builder = sites.iter().fold(builder, |builder, (site, _)| builder.site(site, 1024, 64));
    let map = builder
        .stage("one", &[], &sites[..1])
        .stage("two", &[], &sites[..2])
        .stage("four", &[], &sites)
        .build()
        .expect("a sound map");
    Slab::new(&map, Options { geometry: Some(geometry), ..Options::default() }).expect("a slab")
}

fn admit(c: &mut Criterion) {
    let slab = slab();
    let mut group = c.benchmark_group("admit and return");
    group.bench_function("nothing", |b| {
        b.iter(|| usize::from(black_box(StageId(0)).0) + black_box(1));
    });
    for (stage, sites) in [(0, 1), (1, 2), (2, 4)] {
        for wanted in [1, 32] {
            group.bench_function(format!("{sites} sites, batches of {wanted}"), |b| {
                b.iter(|| slab.admit(black_box(StageId(stage)), black_box(wanted)).granted());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, admit);
criterion_main!(benches);
