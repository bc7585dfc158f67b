//! How is the model's part of an experiment told?
//!
//! A row for each figure of each configuration, `simulated-8: mely-base` and so on, a value a seed; a ratio `…_simulated` for
//! each that the paper's conclusions rest on; and a note for each of these that says ours, the paper's, how far it is off,
//! and if that is much, why.

use anyhow::Context;

use super::memory::CORES;
use super::rows::{Length, RATE, TableRatio, TableRow, Which, ratios, tables};
use crate::experiment::interrupt::Interrupt;
use crate::experiment::report::{Better, Ratio, Report};
use crate::interval::{Interval, bootstrap};

/// A ratio that is further from the paper's is explained.
const MUCH: f64 = 0.25;
/// Of the intervals of seeds.
const SEED: u64 = 1;

/// Simulates a workload once for each seed, and adds what comes of it to the report.
pub(in crate::experiment) fn add(
    report: &mut Report,
    which: Which,
    seeds: &[u64],
    length: Length,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    report.note(format!(
        "simulated-{CORES}: a model of the paper's machine, built to the paper's own figures; seeds {seeds:?}"
    ));
    let mut rows: Vec<TableRow> = Vec::new();
    for &seed in seeds {
        interrupt.check()?;
        let found = tables(which, &[seed], length)?;
        if rows.is_empty() {
            rows = found;
        } else {
            rows.iter_mut().zip(found).for_each(|(row, found)| row.values.extend(found.values));
        }
    }
    for row in &rows {
        let name = format!("simulated-{CORES}: {}", row.config);
        let value =
            interval(&row.values).with_context(|| format!("{name} has no {}", row.metric))?;
        report.row(&name, CORES as u64, row.metric, row.unit, value);
    }
    for ratio in ratios(which, &rows) {
        let value = interval(&ratio.values).with_context(|| format!("no {}", ratio.id))?;
        report.note(note(&ratio, value.median));
        report.ratios.push(Ratio {
            id: format!("{}_simulated", ratio.id),
            of: format!("simulated-{CORES}: {}", ratio.of),
            to: format!("simulated-{CORES}: {}", ratio.to),
            metric: RATE.into(),
            better: Better::Higher,
            median: value.median,
            low: value.low,
            high: value.high,
        });
    }
    Ok(())
}

fn interval(values: &[f64]) -> Option<Interval> {
    bootstrap(values, SEED)
}

/// What is said of a ratio.
fn note(ratio: &TableRatio, ours: f64) -> String {
    let TableRatio { id, paper, why, .. } = *ratio;
    let off = ours / paper - 1.0;
    let said = format!(
        "{id}_simulated: {ours:.3} here, {paper:.3} in the paper, {:.0} % {}",
        off.abs() * 100.0,
        if off < 0.0 { "less" } else { "more" },
    );
    let is_out_of_order = (ours > 1.0) != (paper > 1.0);
    match why {
        Some(why) if off.abs() > MUCH || is_out_of_order => format!("{said}: {why}"),
        None if off.abs() > MUCH || is_out_of_order => format!("{said}; why is not known"),
        _ => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Row;

    fn told(which: Which, seeds: &[u64], length: Length) -> Report {
        let mut report = Report::measured("none");
        let interrupt = Interrupt::install().expect("signals can be handled");
        add(&mut report, which, seeds, length, &interrupt).expect("books are kept");
        report
    }

    #[test]
    fn every_ratio_has_its_note_and_each_far_from_the_papers_its_reason() {
        for which in [Which::Unbalanced, Which::Penalty, Which::CacheEfficient] {
            let report = told(which, &[1], Length::Full);
            for ratio in &report.ratios {
                let notes: Vec<_> =
                    report.notes.iter().filter(|note| note.starts_with(&ratio.id)).collect();
                assert!(ratio.id.ends_with("_simulated") && notes.len() == 1, "{}", ratio.id);
                assert!(!notes[0].contains("not known"), "{}", notes[0]);
            }
        }
    }

    #[test]
    fn rows_are_of_eight_simulated_cores_and_have_a_value_a_seed() {
        let report = told(Which::CacheEfficient, &[1, 2], Length::Short);
        let is_right =
            |row: &Row| row.config.starts_with("simulated-8: ") && row.x == 8 && row.n == 2;
        assert!(report.rows.iter().all(is_right));
        assert!(report.rows.iter().any(|row| row.low < row.high));
        assert_eq!(report.ratios.len(), 4);
    }

    #[test]
    fn reason_is_given_where_a_ratio_is_far_off_or_on_the_other_side_of_one_only() {
        let (id, of, to) = ("base_vs_mely", "mely-base", "mely");
        let ratio = |paper, why| TableRatio { id, of, to, values: Vec::new(), paper, why };
        let said = |paper, why, ours| note(&ratio(paper, why), ours);
        let near = said(1.25, Some("chance"), 1.5);
        assert_eq!(near, "base_vs_mely_simulated: 1.500 here, 1.250 in the paper, 20 % more");
        assert!(said(1.25, Some("chance"), 0.9).ends_with("28 % less: chance"));
        assert!(said(1.05, Some("chance"), 0.95).ends_with("10 % less: chance"));
        assert!(said(1.25, None, 1.6).ends_with("28 % more; why is not known"));
    }
}
