//! The crates' own counters to the ones that people and scrapers see.

use std::fmt::Write;

use color_sched::{CoreStats, Nanos};
use flexsc_ring::Ring;
use stingy_alloc::Reason;

use crate::config::StealPolicy;
use crate::metrics::StageMetrics;
use crate::stages::Stage;
use crate::wiring::objects::Objects;
use crate::wiring::worker::Worker;

/// How often what takes longer to make is made anew: quantiles, and the tables of the live page.
const TABLES_EVERY: Nanos = 250_000_000;

impl Worker<'_> {
    /// Copies the figures of the crates below into the core's block.
    pub(super) fn publish(&mut self, stats: &CoreStats) {
        let shared = &self.shared;
        if self.core == 0 && shared.config.steal == StealPolicy::Mely {
            shared.neighborhood.tend(self.now, &shared.metrics);
        }
        let metrics = &shared.metrics.cores[self.core];
        metrics.connections.set(stats.colors);
        metrics.events.set(stats.events);
        metrics.batches.set(stats.batches);
        metrics.panics.set(stats.panics);
        metrics.abandoned.set(stats.abandoned);
        metrics.thefts.set(stats.thefts);
        metrics.misses.set(stats.misses);
        metrics.losses.set(stats.losses);
        metrics.steal_cost.set(stats.steal_cost_ns);
        metrics.wake_cost.set(stats.wake_cost_ns);
        metrics.parks.set(stats.parks);
        let ring = self.calls.ring().stats();
        metrics.submitted.set(ring.submitted);
        metrics.completed.set(ring.completed);
        metrics.enters.set(ring.enters);
        let fallbacks = flexsc_ring::Reason::ALL.iter().map(|reason| ring.fallbacks(*reason));
        metrics.ring_fallbacks.set(fallbacks.sum());
        metrics.made_here.set(ring.made_here);
        metrics.posted_elsewhere.set(ring.posted_elsewhere);
        metrics.taken_back.set(ring.taken_back);
        metrics.elsewhere.set(u64::from(ring.place == Some(flexsc_ring::Place::Elsewhere)));
        metrics.moves.set(ring.moves);
        metrics.pairs.set(self.pairs.len() as u64);
        let pairs = self.pairs.stats();
        metrics.delivered.set(pairs.at_once + pairs.eager);
        metrics.deferred.set(pairs.deferred);
        metrics.released.set(pairs.released);
        metrics.timed.set(stats.queueing.len());
        if let Objects::Stingy(objects) = &self.objects {
            metrics.permits.set(objects.permits);
            metrics.refusals.set(objects.refusals);
            metrics.escapes.set(objects.escapes);
        }
        if self.now < self.tables_at {
            // That is done when its time has come, even if nothing else happens until then.
            self.tables_due = true;
            return;
        }
        self.tables_at = self.now + TABLES_EVERY;
        metrics.queueing.set(|share| stats.queueing.quantile(share));
        metrics.running.set(|share| stats.running.quantile(share));
        metrics.stealing.set(|share| stats.stealing.quantile(share));
        let stages = learned(stats);
        let mut tables = vec![("stages", table(&stages))];
        if let Objects::Stingy(objects) = &self.objects {
            let slab = objects.slab().stats();
            metrics.slab_objects.set(slab.sites.iter().map(|site| u64::from(site.live)).sum());
            // A task that the slab has no room for waits; that is no fallback.
            let fallbacks = [Reason::SizeGuard, Reason::Align, Reason::NoPermit, Reason::Escape];
            metrics.fallbacks.set(fallbacks.map(|reason| slab.fallback(reason)).iter().sum());
            metrics.unsealed.set(slab.fallback(Reason::Sealed));
            tables.push(("slab", slab.to_string()));
        }
        if let Ok(mut shown) = metrics.tables.try_lock() {
            *shown = tables;
        }
        if let Ok(mut shown) = metrics.stages.try_lock() {
            *shown = stages;
        }
    }
}

/// What the core has learned of its stages.
fn learned(stats: &CoreStats) -> Vec<StageMetrics> {
    let spreads = stats.stage_spread_ns.iter().zip(&stats.stage_penalty_pct);
    let known = Stage::ALL.iter().zip(&stats.stage_cost_ns).zip(spreads);
    known
        .map(|((stage, &cost_ns), (&spread_ns, &penalty_pct))| {
            let name = stage.name();
            StageMetrics { name, cost_ns, spread_ns, penalty_pct }
        })
        .collect()
}

/// The same as a table.
fn table(stages: &[StageMetrics]) -> String {
    let mut text = String::from("stage        event ns  +- ns  time if stolen, %\n");
    for StageMetrics { name, cost_ns, spread_ns, penalty_pct } in stages {
        let _ = writeln!(text, "{name:<12} {cost_ns:>8} {spread_ns:>6} {penalty_pct:>17}");
    }
    text
}
