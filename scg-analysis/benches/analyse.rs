//! What does an analysis cost, from source to map? Baseline: parsing the same source.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use scg_analysis::{Params, Source, analyse};

fn sources() -> Vec<Source> {
    [
        ("sample/mod.rs", include_str!("../tests/data/sample/mod.rs")),
        ("sample/body.rs", include_str!("../tests/data/sample/body.rs")),
        ("sample/parse.rs", include_str!("../tests/data/sample/parse.rs")),
        ("sample/reply.rs", include_str!("../tests/data/sample/reply.rs")),
    ]
    .map(|(path, text)| Source::new(path, text))
    .into()
}

fn analysis(c: &mut Criterion) {
    let sources = sources();
    let mut group = c.benchmark_group("sample_server");
    group.bench_function("parse", |b| {
        b.iter(|| {
            for source in &sources {
                let _ = black_box(syn::parse_file(&source.text));
            }
        });
    });
    group.bench_function("parse_and_analyse", |b| b.iter(|| black_box(analyse(&sources))));
    let analysis = analyse(&sources);
    group.bench_function("map", |b| {
        b.iter(|| analysis.as_ref().ok().map(|a| black_box(a.map(&Params::default()))));
    });
    group.finish();
}

criterion_group!(benches, analysis);
criterion_main!(benches);
