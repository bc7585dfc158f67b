//! What does an election cost among x stages that wait? A: a look at every stage. B: the election.

use std::hint::black_box;

use color_sched::elect::Election;
use criterion::{Criterion, criterion_group, criterion_main};

fn elections(criterion: &mut Criterion) {
    for stages in [4usize, 64, 512, 4096] {
        let mut waiting = vec![1u32; stages];
        let mut credit = vec![1u32; stages];
        criterion.bench_function(&format!("elect/every_stage/{stages}"), |bencher| {
            bencher.iter(|| {
                let is_fair = |stage: &usize| waiting[*stage] > 0 && credit[*stage] > 0;
                let fair = (0..stages).find(is_fair);
                let stage = fair.unwrap_or_else(|| {
                    credit.fill(1);
                    0
                });
                credit[stage] -= 1;
                waiting[stage] = 1;
                black_box(stage)
            });
        });
        let mut election = Election::new(vec![(1, 8); stages]);
        (0..stages).for_each(|stage| election.set_waiting(stage, 1));
        criterion.bench_function(&format!("elect/election/{stages}"), |bencher| {
            bencher.iter(|| {
                let stage = election.elect();
                stage.inspect(|stage| election.granted(*stage, 1))
            });
        });
    }
}

criterion_group!(benches, elections);
criterion_main!(benches);
