//! What does a plan cost an idle core, on 2, 8 and 128 cores? Baseline: reading every board, without deciding.
//!
//! `nothing`: no core offers anything, so the loads of all are looked at. `farthest`: only the core that is looked at last does.

use std::hint::black_box;

use color_sched::{Color, CoreId, Load, LoadView, Offer, Stealer};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mely_steal::{Libasync, Mely, Topology};

const SLOTS: usize = 8;
const THIEF: CoreId = CoreId(0);

/// Boards of eight slots; those of one core are full.
struct Boards {
    loads: Vec<Load>,
    slots: Vec<[Option<Offer>; SLOTS]>,
}

impl Boards {
    fn new(cores: usize, full: Option<usize>) -> Self {
        let mut boards =
            Self { loads: vec![Load::default(); cores], slots: vec![[None; SLOTS]; cores] };
        if let Some(core) = full {
            boards.slots[core] = std::array::from_fn(|n| {
                let (color, queued_ns) = (Color(n as u64), 5_000 + n as u64);
                Some(Offer { color, queued_ns, events: 1, penalty_pct: 100 })
            });
            let (events, colors) = (SLOTS as u64, SLOTS as u64);
            boards.loads[core] = Load { queued_ns: 40_028, events, colors, slots: SLOTS };
        }
        boards
    }
}

impl LoadView for Boards {
    fn cores(&self) -> usize {
        self.loads.len()
    }

    fn load(&self, core: CoreId) -> Load {
        self.loads.get(core.index()).copied().unwrap_or_default()
    }

    fn offered(&self, core: CoreId, slot: usize) -> Option<Offer> {
        *self.slots.get(core.index())?.get(slot)?
    }

    fn steal_cost_ns(&self) -> u64 {
        300
    }
}

/// The least a look around can be: every load and every slot, once.
fn look(view: &impl LoadView) -> u64 {
    let others = (1..view.cores()).map(|core| CoreId(core as u16));
    others
        .map(|core| {
            let load = view.load(core);
            let offers = (0..load.slots).filter_map(|slot| view.offered(core, slot));
            load.events + offers.map(|offer| offer.queued_ns).sum::<u64>()
        })
        .sum()
}

fn plan(c: &mut Criterion) {
    for cores in [2, 8, 128] {
        let farthest = cores / 2;
        for (case, full) in [("nothing", None), ("farthest", Some(farthest))] {
            let mut group = c.benchmark_group(case);
            let boards = Boards::new(cores, full);
            let topology = Topology::grouped(cores, &[(2, 2), (3, cores / 2)]);
            let mut policies = [
                ("mely", Mely::new(topology.clone())),
                ("mely_time_left", Mely::new(topology.clone()).locality(false).penalty(false)),
            ];
            group.bench_function(BenchmarkId::new("look", cores), |b| {
                b.iter(|| look(black_box(&boards)));
            });
            group.bench_function(BenchmarkId::new("libasync", cores), |b| {
                b.iter(|| Libasync::new().plan(THIEF, black_box(&boards)));
            });
            for (name, policy) in &mut policies {
                group.bench_function(BenchmarkId::new(*name, cores), |b| {
                    b.iter(|| policy.plan(THIEF, black_box(&boards)));
                });
            }
            group.finish();
        }
    }
}

criterion_group!(benches, plan);
criterion_main!(benches);
