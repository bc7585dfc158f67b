//! What does a job cost in a pool of threads?
//!
//! Inside of a pool of one thread, `live` jobs that do nothing but count are spawned in a scope, whose end runs them.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::ensure;

use super::{DispatchArgs, Found, timed};
use crate::experiment::worker::clock::Clock;

/// Jobs of a round, about.
const ROUND: usize = 1 << 17;

/// Jobs that have run. Only one thread counts.
static RAN: AtomicU64 = AtomicU64::new(0);

/// Runs the worker.
pub(super) fn run(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    let live = args.live;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let bursts = (ROUND / live).max(1);
    let mut all = RAN.load(Ordering::Relaxed);
    timed(clock, (bursts * live) as u64, || {
        pool.install(|| {
            for _ in 0..bursts {
                rayon::scope(|scope| {
                    for _ in 0..live {
                        scope.spawn(|_| {
                            RAN.store(RAN.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        all += (bursts * live) as u64;
        ensure!(RAN.load(Ordering::Relaxed) == all, "not every job has run");
        Ok(())
    })
}
