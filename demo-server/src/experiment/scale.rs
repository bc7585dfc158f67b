//! How far does our own runtime scale: 8, 16, 64 and 128 simulated cores?
//!
//! `color_sched::sim`: the real cores, queues and policies in simulated time. The machine is the paper's, grown: 2.33 GHz,
//! pairs share an L2 and are 15 cycles a line apart, all others 110 (Table 2); what else costs time is as measured for
//! `color_sched::sim::Costs`. Costs and penalties of stages are set by hand, as in the paper, and that
//! of a theft is what it costs there: nothing has to be learned first.
//!
//! | module | the question it answers |
//! |---|---|
//! | `unbalanced` | what are its events, and what could no schedule beat? |
//! | `penalty` | what are its events? |
//! | `cache_efficient` | what are its events? |

mod cache_efficient;
mod penalty;
mod unbalanced;

use anyhow::Context;
use color_sched::sim::{self, Simulation, Workload};
use color_sched::{ColorQueues, CoreId, Cost, NoSteal, Scheduler, StageBatch};
use mely_steal::{Mely, Topology};

use super::harpertown::Which;
use super::interrupt::Interrupt;
use super::report::{Better, Ratio, Report};
use crate::interval::{Interval, bootstrap};
use cache_efficient::CacheEfficient;
use penalty::Penalty;
use unbalanced::Unbalanced;

/// The machines, by their cores.
pub(super) const MACHINES: [usize; 4] = [8, 16, 64, 128];
/// Cores that share an L2.
const GROUP: usize = 2;
/// Table 2, in cycles a line.
const L1_CYCLES: u64 = 4;
const L2_CYCLES: u64 = 15;
const MEMORY_CYCLES: u64 = 110;
/// Of the intervals of seeds.
const SEED: u64 = 1;
/// As in the rows of the paper's machine.
const RATE: (&str, &str) = ("events", "KEvents/s");
/// The core that everything has its home at.
const HOME: usize = 0;

/// Cycles at 2.33 GHz in nanoseconds.
const fn ns(cycles: u64) -> u64 {
    (cycles * 100 + 116) / 233
}

/// How far apart the cores are.
fn distances() -> sim::Topology {
    sim::Topology::flat(ns(MEMORY_CYCLES)).level(GROUP, ns(L2_CYCLES))
}

/// Lines that are where `from` is come to `to`.
fn lines_ns(lines: u64, from: CoreId, to: CoreId) -> u64 {
    lines * distances().line_ns(from, to)
}

/// A configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ours {
    /// All of Mely, queues by color.
    Mely,
    /// All of Mely, stage by stage.
    Stages,
    /// Mely with all of it off: Libasync-smp's thefts, of anything.
    Base,
    /// Nobody steals.
    None,
}

impl Ours {
    const ALL: [Self; 4] = [Self::Mely, Self::Stages, Self::Base, Self::None];

    const fn name(self) -> &'static str {
        match self {
            Self::Mely => "ours-mely",
            Self::Stages => "ours-mely-stages",
            Self::Base => "ours-base",
            Self::None => "ours-no-steal",
        }
    }

    fn run(self, load: impl Workload, cores: usize, seed: u64) -> anyhow::Result<sim::Report> {
        let all = Mely::new(Topology::grouped(cores, &[(2, GROUP)]));
        let base = all.clone().locality(false).time_left(false).penalty(false);
        let stages = load.stages();
        let machine = Simulation::new(cores).seed(seed).topology(distances());
        let queues = |_| ColorQueues::new(&stages);
        let report = match self {
            Self::Mely => machine.run(load, queues, |_| all.clone()),
            Self::Stages => machine.run(
                load,
                |_| Box::new(StageBatch::new(&stages)) as Box<dyn Scheduler>,
                |_| all.clone(),
            ),
            Self::Base => {
                machine
                    .tune(|config| config.steal_cost = Cost::fixed(0))
                    .run(load, queues, |_| base.clone())
            }
            Self::None => machine.run(load, queues, |_| NoSteal),
        };
        Ok(report?)
    }
}

/// A rate that stands for a configuration, or for the ideal.
type Rates = Vec<(&'static str, Vec<f64>)>;

/// The time that no schedule can beat, and that of the work alone spread over all cores.
const IDEALS: [&str; 2] = ["ideal", "ideal-naive"];

/// Ratios of rates: name, above, below.
const RATIOS: [(&str, &str, &str); 4] = [
    ("mely_vs_ideal", Ours::Mely.name(), IDEALS[0]),
    ("stages_vs_ideal", Ours::Stages.name(), IDEALS[0]),
    ("mely_vs_own_base", Ours::Mely.name(), Ours::Base.name()),
    ("mely_vs_own_none", Ours::Mely.name(), Ours::None.name()),
];

fn simulate(which: Which, ours: Ours, cores: usize, seed: u64) -> anyhow::Result<sim::Report> {
    match which {
        Which::Unbalanced => ours.run(Unbalanced::new(seed), cores, seed),
        Which::Penalty => ours.run(Penalty, cores, seed),
        Which::CacheEfficient => ours.run(CacheEfficient, cores, seed),
    }
}

/// Simulates a workload on machines of so many cores each, once a seed, and adds what comes of it to the report.
pub(super) fn add(
    report: &mut Report,
    which: Which,
    machines: &[usize],
    seeds: &[u64],
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    for &cores in machines {
        let mut rates = Rates::new();
        if which == Which::Unbalanced {
            rates.extend(ideals(report, cores, seeds)?);
        }
        for ours in Ours::ALL {
            rates.push((ours.name(), row(report, which, ours, cores, seeds, interrupt)?));
        }
        for (id, of, to) in RATIOS {
            report.ratios.extend(ratio(&rates, id, of, to, cores));
        }
    }
    report.note(
        "simulated-N: ours-…: color-sched with N simulated cores, pairs 15 cycles a line apart, others 110; x: cores; -base: all of \
         Mely off, at a price of 0; -stages: queues stage by stage",
    );
    let mut thefts = report
        .rows
        .iter()
        .filter(|row| row.config.ends_with(Ours::Mely.name()) && row.metric == THEFTS.0);
    if thefts.all(|row| row.median == 0.0) {
        report.note(NOBODY);
    }
    if which == Which::Unbalanced {
        report.note(IDEAL);
    }
    Ok(())
}

const THEFTS: (&str, &str) = ("thefts", "1/1000 events");

const NOBODY: &str = "nobody is robbed by ours-mely: all cores wait when the round begins, and one is woken only for more \
     work that is worth a theft than its wake takes, 27 µs";
const IDEAL: &str = "ideal: no schedule that steals only what takes longer than its theft is faster than the longest of: all work \
     and dispatching by the cores; what the home core must dispatch and run itself, as no thief gains by it; the longest event. \
     ideal-naive: all work by the cores. Neither has wakes in it";
/// A row for each of the ideals of `unbalanced`.
fn ideals(report: &mut Report, cores: usize, seeds: &[u64]) -> anyhow::Result<Rates> {
    let rate = |ns: u64| unbalanced::EVENTS as f64 / ns.max(1) as f64 * 1e6;
    let found: Vec<_> = seeds.iter().map(|&seed| Unbalanced::new(seed).ideal_ns(cores)).collect();
    let [bound, naive] = IDEALS;
    let rates: Rates = vec![
        (bound, found.iter().map(|ideal| rate(ideal.bound)).collect()),
        (naive, found.iter().map(|ideal| rate(ideal.naive)).collect()),
    ];
    for (name, values) in &rates {
        add_row(report, name, cores, RATE, values)?;
    }
    Ok(rates)
}

/// The rows of one configuration on one machine; gives its rates.
fn row(
    report: &mut Report,
    which: Which,
    ours: Ours,
    cores: usize,
    seeds: &[u64],
    interrupt: &Interrupt,
) -> anyhow::Result<Vec<f64>> {
    let (mut rates, mut thefts, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for &seed in seeds {
        interrupt.check()?;
        let ran = simulate(which, ours, cores, seed)?;
        rates.push(ran.throughput() / 1e3);
        thefts.push(ran.sum(|core| core.thefts) as f64 / ran.events.max(1) as f64 * 1e3);
        let home_ns =
            ran.cores.get(HOME).map_or(0, |home| home.waking_ns + home.stealing_ns + home.idle_ns);
        lost.push(home_ns as f64 / ran.makespan_ns.max(1) as f64 * 100.0);
    }
    add_row(report, ours.name(), cores, RATE, &rates)?;
    add_row(report, ours.name(), cores, THEFTS, &thefts)?;
    add_row(
        report,
        ours.name(),
        cores,
        ("home core wakes, steals, waits", "% of its time"),
        &lost,
    )?;
    Ok(rates)
}

fn add_row(
    report: &mut Report,
    name: &str,
    cores: usize,
    (metric, unit): (&str, &str),
    values: &[f64],
) -> anyhow::Result<()> {
    let value = bootstrap(values, SEED).with_context(|| format!("{name} has no {metric}"))?;
    report.row(&named(name, cores), cores as u64, metric, unit, value);
    Ok(())
}

fn named(name: &str, cores: usize) -> String {
    format!("simulated-{cores}: {name}")
}

fn ratio(rates: &Rates, id: &str, of: &str, to: &str, cores: usize) -> Option<Ratio> {
    let rate = |name| rates.iter().find(|(known, _)| *known == name);
    let (above, below) = (rate(of)?, rate(to)?);
    let values: Vec<f64> = above.1.iter().zip(&below.1).map(|(a, b)| a / b).collect();
    let Interval { median, low, high, .. } = bootstrap(&values, SEED)?;
    Some(Ratio {
        id: format!("{id}_{cores}_simulated"),
        of: named(of, cores),
        to: named(to, cores),
        metric: RATE.0.into(),
        better: Better::Higher,
        median,
        low,
        high,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(which: Which, machines: &[usize]) -> Report {
        let mut report = Report::measured("none");
        let interrupt = Interrupt::install().expect("signals can be handled");
        add(&mut report, which, machines, &[1], &interrupt)
            .expect("the simulation keeps its books");
        report
    }

    #[test]
    fn unbalanced_is_told_beside_an_ideal_that_it_does_not_beat() {
        let report = told(Which::Unbalanced, &[2, 8]);
        let ids: Vec<_> = report.ratios.iter().map(|ratio| ratio.id.as_str()).collect();
        assert_eq!(ids.len(), 8);
        for id in ["mely_vs_ideal_2_simulated", "mely_vs_ideal_8_simulated"] {
            let ratio = report.ratios.iter().find(|ratio| ratio.id == id).expect(id);
            assert!((0.3..=1.0).contains(&ratio.median), "{ratio:?}");
        }
        assert!(
            report.rows.iter().all(|row| row.config == named(&row.config[13..], row.x as usize))
        );
    }

    #[test]
    fn thieves_shorten_cache_efficient_and_those_that_take_near_halves_most() {
        let report = told(Which::CacheEfficient, &[8]);
        let ratio = |id| report.ratios.iter().find(|ratio| ratio.id == id).expect(id).median;
        assert!(ratio("mely_vs_own_none_8_simulated") > 1.4);
        assert!(ratio("mely_vs_own_base_8_simulated") > 1.05);
    }
}
