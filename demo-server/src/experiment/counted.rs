//! Counts that are the same every time: rows and ratios without an interval.

use crate::interval::Interval;

use super::report::{Better, Ratio, Report};

/// The counts of one metric.
pub(super) struct Counted {
    metric: &'static str,
    unit: &'static str,
    /// Configuration, point, count.
    counts: Vec<(&'static str, u64, f64)>,
}

impl Counted {
    pub(super) fn new(metric: &'static str, unit: &'static str) -> Counted {
        Counted { metric, unit, counts: Vec::new() }
    }

    pub(super) fn add(&mut self, config: &'static str, x: u64, count: f64) {
        self.counts.push((config, x, count));
    }

    fn of(&self, config: &str, x: u64) -> Option<f64> {
        let found = self.counts.iter().find(|(name, at, _)| (*name, *at) == (config, x));
        found.map(|&(_, _, count)| count)
    }

    /// The count of one to that of another, if both are there and there is something to divide by.
    pub(super) fn quotient(&self, of: &str, to: &str, x: u64) -> Option<f64> {
        Some(self.of(of, x)? / self.of(to, x).filter(|&below| below > 0.0)?)
    }

    /// Adds a row for every count.
    pub(super) fn report(&self, report: &mut Report) {
        for &(config, x, count) in &self.counts {
            let value = Interval { median: count, low: count, high: count, n: 1 };
            report.row(config, x, self.metric, self.unit, value);
        }
    }

    /// Adds a ratio at one point, if it is there.
    pub(super) fn ratio(&self, report: &mut Report, id: &str, of: &str, to: &str, x: u64) {
        if let Some(value) = self.quotient(of, to, x) {
            self.ratio_of(report, id, (of, to), [value; 3]);
        }
    }

    /// Adds a ratio with what it is at least and at most: median, low, high.
    pub(super) fn ratio_of(
        &self,
        report: &mut Report,
        id: &str,
        (of, to): (&str, &str),
        [median, low, high]: [f64; 3],
    ) {
        report.ratios.push(Ratio {
            id: id.into(),
            of: of.into(),
            to: to.into(),
            metric: self.metric.into(),
            better: Better::Lower,
            median,
            low,
            high,
        });
    }
}
