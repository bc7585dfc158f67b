//! The work of `unbalanced` without any runtime: one thread, event after event, in a loop.

use anyhow::Context;

use super::{Found, Metric, StealArgs, Window, unbalanced};
use crate::experiment::worker::clock::Clock;
use crate::experiment::worker::dispatch::spin;
use crate::load::sys::pin_this_thread;

/// Runs the worker.
pub(super) fn run(args: &StealArgs, window: Window) -> anyhow::Result<Found> {
    if let Some(cpu) = args.cpu {
        pin_this_thread(&[cpu]).with_context(|| format!("cannot use CPU {cpu}"))?;
    }
    let works = unbalanced::works(args);
    rate(window.clock, works.len(), || {
        works.iter().for_each(|&turns| spin(u64::from(turns)));
        Ok(())
    })
}

/// Events a second of rounds of so many.
pub(super) fn rate(
    clock: Clock,
    units: usize,
    round: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Found> {
    let answer = clock.measure(units as u64, round)?;
    let is_timed = matches!(clock, Clock::Time(_)) && answer.ns > 0.0;
    let values = if is_timed { vec![(Metric::Rate, 1e9 / answer.ns)] } else { Vec::new() };
    Ok(Found { units: answer.units, values })
}
