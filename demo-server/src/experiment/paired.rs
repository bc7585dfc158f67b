//! Blocks of four measurements in the order A, B, B, A, every other one B, A, A, B, and what
//! follows from them.
//!
//! Pure but for the closure that measures. Two windows that are compared are always neighbours in
//! time, each stands first as often as second, and a value of a comparison is never set against one
//! of another.

use crate::interval::{Abba, Interval, bootstrap, paired_ratio};

use super::report::{Better, Ratio, Report};

/// Bootstraps of the same figures give the same interval.
const SEED: u64 = 0x5eed;

/// What is compared with what, and at which point of the experiment's axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// A.
    pub of: &'static str,
    /// B.
    pub to: &'static str,
    /// The point, such as the number of connections.
    pub x: u64,
}

/// The values of one window, by metric and unit, in the same order every time.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement(pub Vec<(&'static str, &'static str, f64)>);

impl Measurement {
    fn value(&self, metric: &str) -> Option<f64> {
        self.0.iter().find(|(name, _, _)| *name == metric).map(|&(_, _, value)| value)
    }
}

/// A ratio to be reported: `of` to `to`, at one point or over all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The ratio's name.
    pub id: &'static str,
    /// The configuration above the line.
    pub of: &'static str,
    /// The configuration below the line.
    pub to: &'static str,
    /// The point; `None`: the pairs of every point.
    pub x: Option<u64>,
    /// The metric.
    pub metric: &'static str,
    /// Which way is good.
    pub better: Better,
}

/// All blocks so far.
#[derive(Clone, Debug, Default)]
pub struct Paired {
    blocks: Vec<Block>,
}

#[derive(Clone, Debug)]
struct Block {
    comparison: Comparison,
    a: [Measurement; 2],
    b: [Measurement; 2],
}

impl Paired {
    /// Measures one block with `measure`, which is told the configuration and the point. An error
    /// ends it; the windows of the block are then dropped.
    pub fn block<E>(
        &mut self,
        comparison: &Comparison,
        mut measure: impl FnMut(&'static str, u64) -> Result<Measurement, E>,
    ) -> Result<(), E> {
        let Comparison { of, to, x } = *comparison;
        let earlier = self.blocks.iter().filter(|block| block.comparison == *comparison).count();
        let (a, b) = if earlier.is_multiple_of(2) {
            let (a1, b1) = (measure(of, x)?, measure(to, x)?);
            let (b2, a2) = (measure(to, x)?, measure(of, x)?);
            ([a1, a2], [b1, b2])
        } else {
            let (b1, a1) = (measure(to, x)?, measure(of, x)?);
            let (a2, b2) = (measure(of, x)?, measure(to, x)?);
            ([a1, a2], [b1, b2])
        };
        self.blocks.push(Block { comparison: comparison.clone(), a, b });
        Ok(())
    }

    /// Adds a row for every configuration, point and metric, over all windows of whatever
    /// comparison.
    pub fn rows(&self, report: &mut Report) {
        let mut groups: Vec<(&str, u64, &str, &str, Vec<f64>)> = Vec::new();
        for block in &self.blocks {
            let Comparison { of, to, x } = block.comparison;
            let windows = block
                .a
                .iter()
                .map(|window| (of, window))
                .chain(block.b.iter().map(|window| (to, window)));
            for (config, window) in windows {
                for &(metric, unit, value) in &window.0 {
                    let same = |group: &&mut (&str, u64, &str, &str, Vec<f64>)| {
                        (group.0, group.1, group.2, group.3) == (config, x, metric, unit)
                    };
                    match groups.iter_mut().find(same) {
                        Some(group) => group.4.push(value),
                        None => groups.push((config, x, metric, unit, vec![value])),
                    }
                }
            }
        }
        for (config, x, metric, unit, values) in groups {
            if let Some(interval) = bootstrap(&values, SEED) {
                report.row(config, x, metric, unit, interval);
            }
        }
    }

    /// The ratio, if there are pairs for it.
    pub fn ratio(&self, finding: &Finding) -> Option<Ratio> {
        let blocks: Vec<Abba> =
            self.blocks.iter().filter_map(|block| block.of_finding(finding)).collect();
        let Interval { median, low, high, .. } = paired_ratio(&blocks, SEED)?;
        Some(Ratio {
            id: finding.id.into(),
            of: finding.of.into(),
            to: finding.to.into(),
            metric: finding.metric.into(),
            better: finding.better,
            median,
            low,
            high,
        })
    }
}

impl Block {
    fn of_finding(&self, finding: &Finding) -> Option<Abba> {
        let Comparison { of, to, x } = self.comparison;
        if (of, to) != (finding.of, finding.to) || finding.x.is_some_and(|wanted| wanted != x) {
            return None;
        }
        let both = |windows: &[Measurement; 2]| {
            Some([windows[0].value(finding.metric)?, windows[1].value(finding.metric)?])
        };
        Some(Abba { a: both(&self.a)?, b: both(&self.b)? })
    }
}
