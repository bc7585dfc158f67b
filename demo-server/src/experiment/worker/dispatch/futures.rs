//! What does an event cost in executors of futures?
//!
//! Known: `live` tasks that are never done. Each is woken in an order without pattern, and polled; it wakes itself, as often as
//! there are polls in a round; an event is a wake and a poll. New: a task spawns `live` tasks that only count, lets them run,
//! and spawns the next; an event is a spawn and a poll to the end.
//!
//! Tokio: a current-thread runtime; TokioWorker: a multi-thread runtime of one worker, inside of which everything is spawned.
//! No drivers of time or sockets are enabled. AsyncExecutor: a `LocalExecutor`.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};

use async_executor::LocalExecutor;
use tokio::runtime::{Builder, Runtime};

use super::{By, Case, DispatchArgs, Found, timed, without_pattern};
use crate::experiment::worker::clock::Clock;

/// Events of a round, about: so many that what begins and ends one does not count.
const ROUND: usize = 1 << 17;

/// Runs the worker.
pub(super) fn run(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    let live = args.live;
    if args.by == By::AsyncExecutor {
        let executor = Rc::new(LocalExecutor::new());
        return match args.case {
            Case::Known => known(&*executor, live, clock),
            _ => new(clock, live, || {
                let inner = Rc::clone(&executor);
                let spawn = move || inner.spawn(async { count() }).detach();
                drive(executor.run(executor.spawn(spawns(spawn, live))));
            }),
        };
    }
    let runtime = match args.by {
        By::TokioWorker => Builder::new_multi_thread().worker_threads(1).build()?,
        _ => Builder::new_current_thread().build()?,
    };
    match args.case {
        Case::Known => known(&runtime, live, clock),
        _ => new(clock, live, || {
            let spawn = || drop(tokio::spawn(async { count() }));
            runtime.run(spawns(spawn, live));
        }),
    }
}

/// What runs futures.
trait Executor {
    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static);

    /// Runs `future` as a task among the others until it is done.
    fn run(&self, future: impl Future<Output = ()> + Send + 'static);
}

impl Executor for Runtime {
    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        drop(Runtime::spawn(self, future));
    }

    fn run(&self, future: impl Future<Output = ()> + Send + 'static) {
        let done = self.block_on(Runtime::spawn(self, future));
        assert!(done.is_ok(), "a task panicked");
    }
}

impl Executor for LocalExecutor<'static> {
    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        LocalExecutor::spawn(self, future).detach();
    }

    fn run(&self, future: impl Future<Output = ()> + Send + 'static) {
        drive(LocalExecutor::run(self, LocalExecutor::spawn(self, future)));
    }
}

/// Polls a future again and again: it never waits for anything but tasks that can run.
fn drive<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
    }
}

/// Tasks that rest between rounds.
struct Tasks {
    wakers: Vec<OnceLock<Waker>>,
    resting: AtomicUsize,
    /// Who is told when all rest.
    waiting: Mutex<Option<Waker>>,
    polls: usize,
}

impl Tasks {
    /// One task more rests.
    fn rest(&self) {
        if self.resting.fetch_add(1, Ordering::AcqRel) + 1 == self.wakers.len()
            && let Ok(mut waiting) = self.waiting.lock()
            && let Some(waker) = waiting.take()
        {
            waker.wake();
        }
    }

    /// Until all rest.
    async fn all_rest(&self) {
        poll_fn(|cx| {
            if let Ok(mut waiting) = self.waiting.lock() {
                *waiting = Some(cx.waker().clone());
            }
            let all = self.resting.load(Ordering::Acquire) == self.wakers.len();
            if all { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// The life of a task: at first it says how it is woken, and then it is polled as often as a round has polls.
    async fn live(self: Arc<Self>, index: usize) {
        let mut left = self.polls;
        poll_fn(|cx| {
            let waker = &self.wakers[index];
            if waker.get().is_none() {
                let _ = waker.set(cx.waker().clone());
                self.rest();
                return Poll::<()>::Pending;
            }
            left -= 1;
            if left == 0 {
                left = self.polls;
                self.rest();
            } else {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await;
    }
}

fn known(executor: &impl Executor, live: usize, clock: Clock) -> anyhow::Result<Found> {
    let polls = (ROUND / live).max(1);
    let wakers = (0..live).map(|_| OnceLock::new()).collect();
    let (resting, waiting) = (AtomicUsize::new(0), Mutex::new(None));
    let tasks = Arc::new(Tasks { wakers, resting, waiting, polls });
    for index in 0..live {
        executor.spawn(Arc::clone(&tasks).live(index));
    }
    let began = Arc::clone(&tasks);
    executor.run(async move { began.all_rest().await });
    let order: Arc<[usize]> = without_pattern(live).into();
    timed(clock, (live * polls) as u64, || {
        let (tasks, order) = (Arc::clone(&tasks), Arc::clone(&order));
        executor.run(async move {
            tasks.resting.store(0, Ordering::Release);
            order
                .iter()
                .filter_map(|&index| tasks.wakers[index].get())
                .for_each(Waker::wake_by_ref);
            tasks.all_rest().await;
        });
        Ok(())
    })
}

/// Tasks that have run. Only one thread counts, so that it needs no exclusive access to the line.
static RAN: AtomicU64 = AtomicU64::new(0);

#[inline]
fn count() {
    RAN.store(RAN.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

fn new(clock: Clock, live: usize, mut round: impl FnMut()) -> anyhow::Result<Found> {
    let bursts = (ROUND / live).max(1);
    timed(clock, (bursts * live) as u64, || {
        round();
        Ok(())
    })
}

/// Spawns `live` tasks at a time and lets them run, until a round has been spawned and has run.
async fn spawns(spawn: impl Fn(), live: usize) {
    let bursts = (ROUND / live).max(1);
    let all = RAN.load(Ordering::Relaxed) + (bursts * live) as u64;
    for _ in 0..bursts {
        (0..live).for_each(|_| spawn());
        let_others_run().await;
    }
    while RAN.load(Ordering::Relaxed) < all {
        let_others_run().await;
    }
}

/// To the end of the queue.
async fn let_others_run() {
    let mut has_yielded = false;
    poll_fn(|cx| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
