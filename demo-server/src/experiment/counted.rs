//! How are counts taken and written down that are the same every time?
//!
//! A row or a ratio of them has no interval: its low and its high are its median.

use std::time::Duration;

use crate::interval::Interval;

use super::blocks::while_there_is_time;
use super::report::{Better, Ratio, Report};
use super::runner::Runner;

/// No two runs of valgrind are shorter.
const SHORTEST: Duration = Duration::from_millis(500);

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

    /// Counts one configuration and point after the other, as long as there is time, and adds a row for each;
    /// where there is no count, a note says why.
    pub(super) fn all(
        &mut self,
        report: &mut Report,
        runner: &Runner,
        wanted: &[(&'static str, u64)],
        count: impl Fn(&str, u64) -> anyhow::Result<f64>,
    ) -> anyhow::Result<()> {
        let left = || runner.left();
        let left_out = while_there_is_time(wanted, SHORTEST, left, |&(name, x)| {
            match count(name, x) {
                Ok(count) => self.add(report, name, x, count),
                Err(error) => {
                    runner.check()?;
                    report.note(format!("{name} at {x} has no {}: {error:#}", self.metric));
                }
            }
            Ok(())
        })?;
        if left_out > 0 {
            let (metric, all) = (self.metric, wanted.len());
            report.note(format!("{metric}: {left_out} of {all} did not fit into the time"));
        }
        Ok(())
    }

    fn add(&mut self, report: &mut Report, config: &'static str, x: u64, count: f64) {
        let value = Interval { median: count, low: count, high: count, n: 1 };
        report.row(config, x, self.metric, self.unit, value);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The only ratio of these counts of two configurations at points 1, 2 and so on.
    fn ratio_of(counts: &[(f64, f64)], xs: &[u64]) -> Option<[f64; 3]> {
        let mut report = Report::measured("none");
        let mut counted = Counted::new("instructions", "1");
        for (x, &(ours, theirs)) in (1..).zip(counts) {
            counted.add(&mut report, "ours", x, ours);
            counted.add(&mut report, "theirs", x, theirs);
        }
        counted.ratio(&mut report, "ours_vs_theirs", ("ours", "theirs"), xs);
        assert!(report.ratios.len() < 2);
        report.ratios.first().map(|ratio| [ratio.median, ratio.low, ratio.high])
    }

    #[test]
    fn ratio_of_several_points_is_the_worst_and_has_no_interval() {
        let counts = [(1.0, 4.0), (3.0, 4.0), (2.0, 4.0)];
        assert_eq!(ratio_of(&counts, &[1, 2, 3]), Some([0.75; 3]));
        assert_eq!(ratio_of(&counts, &[3]), Some([0.5; 3]));
    }

    #[test]
    fn ratio_of_points_of_which_one_is_missing_is_not_reported() {
        assert_eq!(ratio_of(&[(1.0, 4.0)], &[1, 2]), None);
        assert_eq!(ratio_of(&[(1.0, 4.0), (1.0, 0.0)], &[1, 2]), None);
        assert_eq!(ratio_of(&[(1.0, 4.0)], &[]), None);
    }
}
