//! From which batch on does an engine pay?
//!
//! From the smallest one on from which, at every larger one that was measured, a call costs no more than by trap.

use super::super::paired::{Finding, Paired};
use super::super::report::{Better, Report};
use super::super::worker::SyscallsMetric as Metric;
use super::plan::{BATCHES, ENGINES, names};

/// What is posted in batches, as the notes call it.
const KINDS: [(&str, &str); 4] = [
    ("chain", "open + stat + read + close"),
    ("read", "a read of 4 KiB in memory"),
    ("stat", "a stat"),
    ("nop", "a call that does nothing"),
];

/// Adds a note for each engine that was measured.
pub(super) fn add(report: &mut Report, paired: &Paired) {
    for engine in ENGINES {
        let said: Vec<String> = KINDS
            .iter()
            .filter_map(|(kind, what)| Some(format!("{what}: {}", said(paired, kind, engine)?)))
            .collect();
        if !said.is_empty() {
            report.note(format!(
                "{engine}: batch from which it costs no more than traps: {}",
                said.join("; ")
            ));
        }
    }
}

fn said(paired: &Paired, kind: &str, engine: &str) -> Option<String> {
    let (of, to) = names(kind, engine)?;
    let ratios: Vec<(u64, f64)> = BATCHES
        .iter()
        .filter_map(|&x| {
            let metric = Metric::Ns.names().0;
            let finding = Finding { id: "", of, to, x: Some(x), metric, better: Better::Lower };
            Some((x, paired.ratio(&finding)?.median))
        })
        .collect();
    let &(last, at_last) = ratios.last()?;
    Some(match pays_from(&ratios) {
        Some(batch) => format!("{batch} ({at_last:.2} of it at {last})"),
        None => format!("none ({at_last:.2} of it at {last})"),
    })
}

/// The first batch from which on all ratios are at most one.
fn pays_from(ratios: &[(u64, f64)]) -> Option<u64> {
    let paying = ratios.iter().rev().take_while(|(_, ratio)| *ratio <= 1.0);
    paying.last().map(|(batch, _)| *batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_pays_from_where_no_larger_batch_loses() {
        assert_eq!(pays_from(&[(1, 2.0), (4, 1.0), (8, 0.7)]), Some(4));
        assert_eq!(pays_from(&[(1, 0.9), (4, 1.1), (8, 0.7)]), Some(8));
        assert_eq!(pays_from(&[(1, 0.9), (4, 0.8)]), Some(1));
        assert_eq!(pays_from(&[(1, 0.9), (4, 1.2)]), None);
        assert_eq!(pays_from(&[]), None);
    }
}
