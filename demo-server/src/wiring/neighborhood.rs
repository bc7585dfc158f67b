//! Which cores are near, after a CPU has gone or come back?
//!
//! One worker looks once a second, which costs some 30 µs; the others compare a number before they look for work.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use color_sched::{CoreId, LoadView, Nanos, Stealer, Theft};
use mely_steal::{Mely, Topology};

use crate::config::{Config, StealPolicy};
use crate::metrics::Metrics;

/// How often the machine is looked at.
const EVERY: Nanos = 1_000_000_000;

/// The distances between the workers' CPUs, for all workers.
#[derive(Debug)]
pub struct Neighborhood {
    topology: Mutex<Topology>,
    /// Times that it has changed.
    changes: AtomicU64,
    /// When it is looked at again.
    look_at: AtomicU64,
}

impl Neighborhood {
    /// Of the workers of `config`, if they rob each other as Mely does.
    #[must_use]
    pub fn new(config: &Config, metrics: &Metrics) -> Self {
        let cpus = &config.cores;
        let detected = match config.steal {
            StealPolicy::Mely => Topology::detect(cpus),
            StealPolicy::None | StealPolicy::Libasync => Ok(Topology::uniform(cpus.len())),
        };
        let topology = detected.unwrap_or_else(|error| {
            metrics.note(&format!("--steal mely: {error}; all cores count as equally near"));
            Topology::uniform(cpus.len())
        });
        let topology = Mutex::new(topology);
        Self { topology, changes: AtomicU64::new(0), look_at: AtomicU64::new(EVERY) }
    }

    fn topology(&self) -> Topology {
        self.topology.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks whether CPUs have gone or come back, if it is time to.
    pub(super) fn tend(&self, now: Nanos, metrics: &Metrics) {
        if now < self.look_at.load(Ordering::Relaxed) {
            return;
        }
        self.look_at.store(now.saturating_add(EVERY), Ordering::Relaxed);
        let mut topology = self.topology.lock().unwrap_or_else(PoisonError::into_inner);
        // What cannot be read now is as it was.
        let Ok(changes) = topology.refresh() else { return };
        for (cores, what) in [(&changes.gone, "gone"), (&changes.back, "back")] {
            let cpu = |core: &CoreId| topology.cpu(*core).unwrap_or_default();
            cores.iter().for_each(|core| {
                metrics.note(&format!("worker {}: its CPU {} is {what}", core.0, cpu(core)));
            });
        }
        if !changes.is_empty() {
            self.changes.fetch_add(1, Ordering::Release);
        }
    }
}

/// Mely's policy, by the distances as they are now.
pub(super) struct Neighborly<'a> {
    policy: Mely,
    neighborhood: &'a Neighborhood,
    seen: u64,
}

impl<'a> Neighborly<'a> {
    /// The policy that `heuristics` makes of all of Mely.
    pub(super) fn new(neighborhood: &'a Neighborhood, heuristics: impl Fn(Mely) -> Mely) -> Self {
        let seen = neighborhood.changes.load(Ordering::Acquire);
        Self { policy: heuristics(Mely::new(neighborhood.topology())), neighborhood, seen }
    }
}

impl Stealer for Neighborly<'_> {
    fn plan(&mut self, thief: CoreId, view: &impl LoadView) -> Option<Theft> {
        let changes = self.neighborhood.changes.load(Ordering::Acquire);
        if changes != self.seen {
            self.seen = changes;
            self.policy.set_topology(self.neighborhood.topology());
        }
        self.policy.plan(thief, view)
    }

    fn again(
        &mut self,
        thief: CoreId,
        view: &impl LoadView,
        last: &Theft,
        stolen: usize,
    ) -> Option<Theft> {
        self.policy.again(thief, view, last, stolen)
    }

    fn refused(&mut self, theft: &Theft) {
        self.policy.refused(theft);
    }
}
