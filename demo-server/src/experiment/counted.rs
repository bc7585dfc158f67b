//! Counts that are the same every time: a row or a ratio of them has no interval, its low and its high are
//! its median.

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
    fn quotient(&self, of: &str, to: &str, x: u64) -> Option<f64> {
        Some(self.of(of, x)? / self.of(to, x).filter(|&below| below > 0.0)?)
    }

    /// Adds a row for every count.
    pub(super) fn report(&self, report: &mut Report) {
        for &(config, x, count) in &self.counts {
            let value = Interval { median: count, low: count, high: count, n: 1 };
            report.row(config, x, self.metric, self.unit, value);
        }
    }

    /// Adds a ratio: the largest of these points, if it is known of all of them.
    pub(super) fn ratio(&self, report: &mut Report, id: &str, (of, to): (&str, &str), xs: &[u64]) {
        let all: Option<Vec<f64>> = xs.iter().map(|&x| self.quotient(of, to, x)).collect();
        let Some(worst) = all.and_then(|all| all.into_iter().reduce(f64::max)) else { return };
        report.ratios.push(Ratio {
            id: id.into(),
            of: of.into(),
            to: to.into(),
            metric: self.metric.into(),
            better: Better::Lower,
            median: worst,
            low: worst,
            high: worst,
        });
    }
}
