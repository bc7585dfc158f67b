//! Which of an experiment's blocks fit into the time, and what did their workers find?
//!
//! A quick run does its blocks first and then what valgrind counts, for which some time is reserved. Both go
//! on as long as another step like the longest so far would fit, so that a loaded machine does fewer of them.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::QUICK_LIMIT;
use super::paired::{Comparison, Measurement, Paired};
use super::progress::Progress;
use super::report::Report;
use super::runner::{Runner, Work};
use super::worker::WARM_UP;

/// Left to the blocks' last worker, should it take longer than all before.
const SPARE: Duration = Duration::from_secs(3);
/// What starting a worker adds to its window.
const OVERHEAD: Duration = Duration::from_millis(120);

/// When a run that begins now must be over, if it is a quick one: a worker that is not done by then is ended.
pub(super) fn end(quick: bool) -> Option<Instant> {
    quick.then(|| Instant::now() + QUICK_LIMIT)
}

/// A configuration's name and its worker's orders.
pub(super) type Config = (&'static str, Work);

/// The orders of the configuration of that name.
pub(super) fn work(configs: &[Config], name: &str) -> anyhow::Result<Work> {
    let config = configs.iter().find(|(config, _)| *config == name);
    config.map(|&(_, work)| work).with_context(|| format!("no configuration {name}"))
}

/// Is the configuration part of this build?
pub(super) fn is_built_in(name: &str) -> bool {
    let of_peers = ["mimalloc", "global", "outside"];
    cfg!(feature = "peers") || !of_peers.iter().any(|peer| name.contains(peer))
}

/// How the windows of an experiment are measured.
pub(super) struct Windows<'a> {
    pub(super) runner: &'a Runner,
    /// What a unit of work costs in nanoseconds.
    pub(super) metric: &'static str,
    /// What the points are a number of.
    pub(super) of: &'static str,
    /// Kept for what comes after the blocks.
    pub(super) reserved: Duration,
}

impl Windows<'_> {
    /// Measures the blocks in turn, as many as there is time for. `work` gives the orders of a configuration
    /// at a point.
    pub(super) fn measure(
        &self,
        report: &mut Report,
        blocks: &[Comparison],
        work: impl Fn(&str, u64) -> anyhow::Result<Work>,
    ) -> anyhow::Result<Paired> {
        let label = |block: &Comparison| {
            let Comparison { of, to, x } = block;
            format!("{of} and {to}, {x} {}", self.of)
        };
        let time = Time { overhead: OVERHEAD, spare: self.reserved + SPARE };
        measure(self.runner, report, blocks, time, label, |name, x| {
            let ns = self.runner.ns(&work(name, x)?)?;
            Ok(Measurement(vec![(self.metric, "ns", ns)]))
        })
    }
}

/// What the blocks of an experiment take beside their windows.
#[derive(Clone, Copy)]
pub(super) struct Time {
    /// What starting a worker adds to its window.
    pub(super) overhead: Duration,
    /// Left to what comes after the blocks, and to a last worker that takes longer than all before.
    pub(super) spare: Duration,
}

/// Measures the blocks in turn, as many as there is time for, each window by `window`. `label` is what the
/// progress says of a block.
pub(super) fn measure(
    runner: &Runner,
    report: &mut Report,
    blocks: &[Comparison],
    time: Time,
    label: impl Fn(&Comparison) -> String,
    window: impl Fn(&'static str, u64) -> anyhow::Result<Measurement>,
) -> anyhow::Result<Paired> {
    let mut paired = Paired::default();
    let mut progress = Progress::new(blocks.len());
    let expected = (runner.window().mul_f64(1.0 + WARM_UP) + time.overhead) * 4;
    let left = || runner.left().saturating_sub(time.spare);
    let left_out = while_there_is_time(blocks, expected, left, |block| {
        progress.step(&label(block));
        let measured = paired.block(block, &window);
        runner.forgive_if_late(report, &format!("{} and {}", block.of, block.to), measured)
    })?;
    if left_out > 0 {
        report.note(format!("{left_out} of {} blocks did not fit into the time", blocks.len()));
    }
    Ok(paired)
}

/// Does one step after the other until the next would not fit into the time `left`, if it took as long as
/// expected or as the longest so far; how many steps are left out.
pub(super) fn while_there_is_time<T>(
    steps: &[T],
    expected: Duration,
    left: impl Fn() -> Duration,
    mut step: impl FnMut(&T) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let mut longest = expected;
    for (done, of) in steps.iter().enumerate() {
        let before = left();
        if before < longest {
            return Ok(steps.len() - done);
        }
        step(of)?;
        longest = longest.max(before.saturating_sub(left()));
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How many steps of these lengths are done in that many seconds, the first expected to take two.
    fn done(seconds: u64, lengths: &[u64]) -> usize {
        let left = Cell::new(Duration::from_secs(seconds));
        let step = |&length: &u64| {
            left.set(left.get().saturating_sub(Duration::from_secs(length)));
            Ok(())
        };
        let expected = Duration::from_secs(2);
        let left_out = while_there_is_time(lengths, expected, || left.get(), step);
        lengths.len() - left_out.expect("no step fails")
    }

    #[test]
    fn step_that_would_not_fit_is_not_begun() {
        assert_eq!(done(6, &[2, 2, 2]), 3);
        assert_eq!(done(5, &[2, 2, 2]), 2);
        assert_eq!(done(1, &[2]), 0);
        assert_eq!(done(0, &[0]), 0);
    }

    #[test]
    fn slow_step_makes_room_for_others_like_it() {
        assert_eq!(done(10, &[1, 4, 1, 1, 1]), 4);
        assert_eq!(done(10, &[1, 6, 1, 1, 1]), 2);
    }

    #[test]
    fn error_ends_the_steps() {
        let mut begun = 0;
        let left_out = while_there_is_time(
            &[1, 2, 3],
            Duration::ZERO,
            || Duration::MAX,
            |&step| {
                begun += 1;
                if step < 2 { Ok(()) } else { Err(anyhow::anyhow!("enough")) }
            },
        );
        assert!(left_out.is_err());
        assert_eq!(begun, 2);
    }
}
