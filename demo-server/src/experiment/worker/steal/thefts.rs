//! What did thefts cost, and what did they bring?

use color_sched::CoreStats;

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
    values.extend(theft_cycles(stats).map(|cycles| (Metric::TheftCycles, cycles)));
    values
}

/// What a theft cost the core that stole most, as it learned; `None` if nothing was stolen, or nothing learned.
fn theft_cycles(stats: &[CoreStats]) -> Option<f64> {
    let thief = stats.iter().max_by_key(|stats| stats.thefts)?;
    let is_learned = thief.thefts > 0 && thief.steal_cost_ns > 0;
    is_learned.then(|| cycles::ghz().map(|ghz| thief.steal_cost_ns as f64 * ghz)).flatten()
}

/// What stolen events worked, in cycles, and which share of them less than the theft.
pub(super) fn work(stats: &[CoreStats], stolen: &mut Samples) -> Vec<(Metric, f64)> {
    let asked = [(Metric::StolenP1, 0.01), (Metric::StolenP50, 0.5)];
    let mut values = stolen.quantiles(1.0, &asked);
    if let Some(cycles) = theft_cycles(stats).filter(|_| stolen.len() > 0) {
        let is_less = stolen.share_below(cycles as u64);
        values.push((Metric::AtALoss, is_less));
    }
    values
}
