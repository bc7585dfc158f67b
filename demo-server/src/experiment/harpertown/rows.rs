//! Which configurations are compared on which workload, and what did the paper find?

use super::books::BooksError;
use super::engine::{Engine, Runtime, Tally};
use super::memory::CORES;
use super::view::Heuristics;
use super::workload::{CacheEfficient, Penalty, Unbalanced};

/// The microbenchmarks of §5.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::experiment) enum Which {
    /// Tables 3 and 4.
    Unbalanced,
    /// Table 5.
    Penalty,
    /// Table 6.
    CacheEfficient,
}

/// How much is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::experiment) enum Length {
    /// The paper's rounds, a few of them.
    Full,
    /// Shorter rounds: the order of the rows, not their figures.
    #[cfg(test)]
    Short,
}

/// One figure of one configuration.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::experiment) struct TableRow {
    pub(in crate::experiment) config: &'static str,
    pub(in crate::experiment) metric: &'static str,
    pub(in crate::experiment) unit: &'static str,
    /// One for each seed.
    pub(in crate::experiment) values: Vec<f64>,
    pub(in crate::experiment) paper: Option<f64>,
}

/// Two configurations' rates, one divided by the other.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::experiment) struct TableRatio {
    pub(in crate::experiment) id: &'static str,
    /// The configurations above the line and below it.
    pub(in crate::experiment) of: &'static str,
    pub(in crate::experiment) to: &'static str,
    /// One for each seed.
    pub(in crate::experiment) values: Vec<f64>,
    pub(in crate::experiment) paper: f64,
    /// Why it is far from the paper's, if it is.
    pub(in crate::experiment) why: Option<&'static str>,
}

pub(in crate::experiment) const RATE: &str = "events";
pub(in crate::experiment) const LOCKING: &str = "locking time";
pub(in crate::experiment) const THEFT: &str = "WS cost";
pub(in crate::experiment) const STOLEN: &str = "stolen time";
pub(in crate::experiment) const MISSES: &str = "L2 misses an event";

/// A figure of the paper: workload, configuration, metric.
type PaperFigure = (Which, &'static str, &'static str, f64);

/// Tables 3 to 6 as printed. Table 5's misses are printed with a K that does not fit its rates.
pub(in crate::experiment) const PAPER: &[PaperFigure] = &[
    (Which::Unbalanced, "libasync", RATE, 1310.0),
    (Which::Unbalanced, "libasync", LOCKING, 0.93),
    (Which::Unbalanced, "libasync-ws", RATE, 122.0),
    (Which::Unbalanced, "libasync-ws", LOCKING, 39.73),
    (Which::Unbalanced, "libasync-ws", THEFT, 28_329.0),
    (Which::Unbalanced, "libasync-ws", STOLEN, 484.0),
    (Which::Unbalanced, "mely", RATE, 1265.0),
    (Which::Unbalanced, "mely", LOCKING, 0.89),
    (Which::Unbalanced, "mely-base", RATE, 1195.0),
    (Which::Unbalanced, "mely-base", LOCKING, 1.42),
    (Which::Unbalanced, "mely-base", THEFT, 2261.0),
    (Which::Unbalanced, "mely-base", STOLEN, 445.0),
    (Which::Unbalanced, "mely-time-left", RATE, 2042.0),
    (Which::Unbalanced, "mely-time-left", STOLEN, 49_987.0),
    (Which::Penalty, "libasync", RATE, 1103.0),
    (Which::Penalty, "libasync", MISSES, 29.0),
    (Which::Penalty, "libasync-ws", RATE, 190.0),
    (Which::Penalty, "libasync-ws", MISSES, 167_000.0),
    (Which::Penalty, "mely-base", RATE, 1386.0),
    (Which::Penalty, "mely-base", MISSES, 42_000.0),
    (Which::Penalty, "mely-penalty", RATE, 2122.0),
    (Which::Penalty, "mely-penalty", MISSES, 2000.0),
    (Which::CacheEfficient, "libasync", RATE, 1156.0),
    (Which::CacheEfficient, "libasync", MISSES, 0.0),
    (Which::CacheEfficient, "libasync-ws", RATE, 1497.0),
    (Which::CacheEfficient, "libasync-ws", MISSES, 13.0),
    (Which::CacheEfficient, "mely-base", RATE, 1426.0),
    (Which::CacheEfficient, "mely-base", MISSES, 12.0),
    (Which::CacheEfficient, "mely-locality", RATE, 1869.0),
    (Which::CacheEfficient, "mely-locality", MISSES, 2.0),
];

const SHORT_LISTS: &str = "the paper's thefts take 28 329 cycles, a scan of 149 events, ours a tenth: thieves that come back at \
    once keep the list at a handful, and nothing among the paper's constants keeps seven of them away for so long that it grows";
const NUMBER_OF_A: &str = "the more A's the worse, as each look scans the list of all that wait, and the paper does not say how many \
    there were; ours are 2000";
const NOTHING_HOLDS_BACK: &str = "the chains are independent, so that eight cores share the work and four caches hold the arrays \
    that one could not; what held the paper's thieves back it does not say";
const HALF_IDLE: &str = "half of the cores have nothing to do without thefts, and at the paper's own 110 cycles a line these cost \
    1300 cycles for 29 000 of work";
const SCANS: &str = "the other way round than in the paper: at 190 cycles an event a theft from a flat list of a few hundred takes \
    as long as the sort that it steals";

/// Ratios of rates: workload, name, above, below, why it is far from the paper's.
const RATIOS: &[(Which, &str, &str, &str, Option<&str>)] = &[
    (Which::Unbalanced, "libasync_ws_vs_libasync", "libasync-ws", "libasync", Some(SHORT_LISTS)),
    (Which::Unbalanced, "mely_vs_libasync", "mely", "libasync", None),
    (Which::Unbalanced, "base_vs_mely", "mely-base", "mely", None),
    (Which::Unbalanced, "time_left_vs_base", "mely-time-left", "mely-base", None),
    (Which::Penalty, "libasync_ws_vs_libasync", "libasync-ws", "libasync", Some(NUMBER_OF_A)),
    (Which::Penalty, "base_vs_libasync", "mely-base", "libasync", Some(NOTHING_HOLDS_BACK)),
    (Which::Penalty, "penalty_vs_base", "mely-penalty", "mely-base", None),
    (Which::CacheEfficient, "libasync_ws_vs_libasync", "libasync-ws", "libasync", None),
    (Which::CacheEfficient, "base_vs_libasync", "mely-base", "libasync", Some(HALF_IDLE)),
    (Which::CacheEfficient, "libasync_ws_vs_base", "libasync-ws", "mely-base", Some(SCANS)),
    (Which::CacheEfficient, "locality_vs_base", "mely-locality", "mely-base", None),
];

/// The clock: 2.33 GHz (§5.1).
const CYCLES_PER_MS: f64 = 2_330_000.0;

const OFF: Heuristics = Heuristics { locality: false, time_left: false, penalty: false };
const ALL: Heuristics = Heuristics { locality: true, time_left: true, penalty: true };

/// The configurations of a workload's tables, and Mely with everything on.
fn configurations(which: Which) -> Vec<(&'static str, Runtime)> {
    let mely = |heuristics| Runtime::Mely { steals: Some(heuristics) };
    let (name, heuristic) = match which {
        Which::Unbalanced => ("mely-time-left", Heuristics { time_left: true, ..OFF }),
        Which::Penalty => ("mely-penalty", Heuristics { penalty: true, ..OFF }),
        Which::CacheEfficient => ("mely-locality", Heuristics { locality: true, ..OFF }),
    };
    vec![
        ("libasync", Runtime::Libasync { steals: false }),
        ("libasync-ws", Runtime::Libasync { steals: true }),
        ("mely", Runtime::Mely { steals: None }),
        ("mely-base", mely(OFF)),
        (name, mely(heuristic)),
        ("mely-all", mely(ALL)),
    ]
}

fn simulate(
    which: Which,
    runtime: Runtime,
    seed: u64,
    length: Length,
) -> Result<Tally, BooksError> {
    let is_full = length == Length::Full;
    match which {
        Which::Unbalanced => {
            let events = if is_full { 50_000 } else { 20_000 };
            Engine::new(runtime, Unbalanced::new(events, 2, seed), seed).run()
        }
        Which::Penalty => {
            Engine::new(runtime, Penalty::new(if is_full { 2000 } else { 1200 }), seed).run()
        }
        Which::CacheEfficient => {
            let rounds = if is_full { 5 } else { 2 };
            Engine::new(runtime, CacheEfficient::new(100, rounds), seed).run()
        }
    }
}

fn figures(tally: Tally) -> Vec<(&'static str, &'static str, f64)> {
    let [cycles, events] = [tally.now, tally.events].map(|count| count.max(1) as f64);
    let locking = (tally.spinning + tally.holding) as f64 / cycles / CORES as f64;
    let mut figures = vec![
        (RATE, "KEvents/s", events / cycles * CYCLES_PER_MS),
        (LOCKING, "% of all cores' time", locking * 100.0),
        (MISSES, "lines", tally.misses as f64 / events),
    ];
    if tally.thefts > 0 {
        let thefts = tally.thefts as f64;
        figures.push((THEFT, "cycles", tally.theft_cycles as f64 / thefts));
        figures.push((STOLEN, "cycles", tally.stolen_cycles as f64 / thefts));
    }
    figures
}

/// The rows of a workload's tables, one value for each seed.
pub(in crate::experiment) fn tables(
    which: Which,
    seeds: &[u64],
    length: Length,
) -> Result<Vec<TableRow>, BooksError> {
    let mut rows: Vec<TableRow> = Vec::new();
    for (config, runtime) in configurations(which) {
        for &seed in seeds {
            for (metric, unit, value) in figures(simulate(which, runtime, seed, length)?) {
                match rows.iter_mut().find(|row| row.config == config && row.metric == metric) {
                    Some(row) => row.values.push(value),
                    None => {
                        let paper = paper(which, config, metric);
                        rows.push(TableRow { config, metric, unit, values: vec![value], paper });
                    }
                }
            }
        }
    }
    Ok(rows)
}

fn paper(which: Which, config: &str, metric: &str) -> Option<f64> {
    let mut figures = PAPER.iter();
    figures.find(|figure| (figure.0, figure.1, figure.2) == (which, config, metric)).map(|f| f.3)
}

/// The ratios of the rates that the paper draws its conclusions from, seed by seed.
pub(in crate::experiment) fn ratios(which: Which, rows: &[TableRow]) -> Vec<TableRatio> {
    let rate = |config: &str| rows.iter().find(|row| row.config == config && row.metric == RATE);
    let mut found = Vec::new();
    for &(_, id, of, to, why) in RATIOS.iter().filter(|ratio| ratio.0 == which) {
        if let (Some(above), Some(below)) = (rate(of), rate(to))
            && let (Some(paper_above), Some(paper_below)) = (above.paper, below.paper)
        {
            let values = above.values.iter().zip(&below.values).map(|(a, b)| a / b).collect();
            let paper = paper_above / paper_below;
            found.push(TableRatio { id, of, to, values, paper, why });
        }
    }
    found
}
