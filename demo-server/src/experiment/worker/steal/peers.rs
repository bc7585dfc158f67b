//! The same in rayon and in tokio: what their users do instead of colors.
//!
//! Rayon: a pool of two threads; one of them spawns a job for each event into a scope, whose end waits for all. Tokio:
//! a multi-thread runtime of two workers; a task spawns a task for each event, and yields until all have run. Each
//! worker counts its own, as a counter that all share would cost more than the short events. Each thread is bound to
//! its CPU.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use anyhow::{Context, ensure};
use tokio::runtime::Builder;
use tokio::task::yield_now;

use super::rounds::CORES;
use super::{By, Found, StealArgs, Window, bare, cpus, unbalanced};
use crate::experiment::worker::dispatch::spin;
use crate::load::sys::pin_this_thread;

/// Events that a worker of tokio has run.
#[derive(Default)]
#[repr(align(128))]
struct Ran(AtomicU64);

static RAN: [Ran; CORES] = [const { Ran(AtomicU64::new(0)) }; CORES];

thread_local! {
    /// Which worker of the pool this thread is.
    static WORKER: Cell<usize> = const { Cell::new(0) };
}

/// Runs the worker.
pub(super) fn run(args: &StealArgs, window: Window) -> anyhow::Result<Found> {
    let cpus = cpus(args, CORES)?;
    let works = unbalanced::works(args);
    if args.by == By::Rayon {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(CORES);
        let pool = pool.start_handler(move |worker| bind(cpus.get(worker).copied().flatten()));
        let pool = pool.build()?;
        return bare::rate(window.clock, works.len(), || {
            pool.install(|| {
                rayon::scope(|scope| {
                    for &turns in works.iter() {
                        scope.spawn(move |_| spin(u64::from(turns)));
                    }
                });
            });
            Ok(())
        });
    }
    let started = AtomicUsize::new(0);
    let runtime = Builder::new_multi_thread()
        .worker_threads(CORES)
        .on_thread_start(move || {
            let worker = started.fetch_add(1, Ordering::Relaxed) % CORES;
            WORKER.set(worker);
            bind(cpus.get(worker).copied().flatten());
        })
        .build()?;
    bare::rate(window.clock, works.len(), || {
        let round = spawn_all(Arc::clone(&works));
        runtime.block_on(runtime.spawn(round)).context("a task panicked")?;
        ensure!(ran().is_multiple_of(works.len() as u64), "not every task has run once");
        Ok(())
    })
}

/// Binds this thread, which runs what it is given on another CPU if it may not be bound.
fn bind(cpu: Option<usize>) {
    if let Some(cpu) = cpu
        && let Err(error) = pin_this_thread(&[cpu])
    {
        eprintln!("demo-server: cannot use CPU {cpu}: {error}");
    }
}

/// Tasks that have run, on all workers.
fn ran() -> u64 {
    RAN.iter().map(|ran| ran.0.load(Ordering::Acquire)).sum()
}

/// Spawns a task for each event, and lets them run.
async fn spawn_all(works: Arc<[u32]>) {
    let all = ran() + works.len() as u64;
    for &turns in works.iter() {
        drop(tokio::spawn(async move {
            spin(u64::from(turns));
            let ran = &RAN[WORKER.get()].0;
            ran.store(ran.load(Ordering::Relaxed) + 1, Ordering::Release);
        }));
    }
    while ran() < all {
        yield_now().await;
    }
}
