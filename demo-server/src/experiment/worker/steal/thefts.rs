//! What did thefts cost, and what did they bring?

use color_sched::{CoreStats, Histogram};

use super::cores::Ran;
use super::{Found, Metric};
use crate::experiment::worker::dispatch::cycles;
use crate::experiment::worker::dispatch::samples::Samples;

/// Stolen events whose work is kept, of a core.
pub(super) const ROOM: usize = 1 << 16;

/// The rate of a window, and its thefts; only the events if there was no clock.
pub(super) fn found<L>(ran: &Ran<L>) -> Found {
    let mut values: Vec<_> = ran.rate().map(|rate| (Metric::Rate, rate)).into_iter().collect();
    if ran.time.is_some() {
        values.extend(costs(&ran.stats));
    }
    Found { units: ran.units, values }
}

/// Thefts of all cores for each thousand of the events that they ran, and what one cost.
fn costs(stats: &[CoreStats]) -> Vec<(Metric, f64)> {
    let [thefts, events] = [|stats: &CoreStats| stats.thefts, |stats: &CoreStats| stats.events]
        .map(|count| stats.iter().map(count).sum::<u64>() as f64);
    let mut values = vec![(Metric::Thefts, 1e3 * thefts / events.max(1.0))];
    let mut times = Histogram::default();
    stats.iter().for_each(|stats| times.merge(&stats.stealing));
    if let Some(ghz) = cycles::ghz().filter(|_| !times.is_empty()) {
        let asked = [(Metric::TheftP50, 0.5), (Metric::TheftP99, 0.99)];
        values.extend(asked.map(|(metric, share)| (metric, times.quantile(share) as f64 * ghz)));
        let losses = stats.iter().map(|stats| stats.losses).sum::<u64>() as f64;
        values.push((Metric::AtALoss, losses / thefts.max(1.0)));
    }
    values
}

/// What stolen events worked, in cycles.
pub(super) fn work(stolen: &mut Samples) -> Vec<(Metric, f64)> {
    stolen.quantiles(1.0, &[(Metric::StolenP1, 0.01), (Metric::StolenP50, 0.5)])
}
