//! Time, and who is to run next: what the cores' wakers, which may be called from anywhere, share with the simulation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::driver::Waker;
use crate::event::{CoreId, Nanos};

/// No time.
const NEVER: Nanos = Nanos::MAX;

/// The simulated machine's time and wakes. There is one thread: what is atomic here is so because [`Waker`] asks for it.
#[derive(Debug)]
pub(super) struct Wire {
    /// The time of the core that runs.
    pub(super) clock: Arc<AtomicU64>,
    /// What the running core has to pay for the wakes that it made.
    debt_ns: AtomicU64,
    /// The time of the next core: when the running one has come so far, it is the other's turn.
    horizon: AtomicU64,
    /// When each core was woken, if it was.
    woken: Mutex<Vec<Option<Nanos>>>,
    call_ns: Nanos,
    latency_ns: Nanos,
}

impl Wire {
    pub(super) fn new(cores: usize, call_ns: Nanos, latency_ns: Nanos) -> Self {
        Self {
            clock: Arc::new(AtomicU64::new(0)),
            debt_ns: AtomicU64::new(0),
            horizon: AtomicU64::new(NEVER),
            woken: Mutex::new(vec![None; cores]),
            call_ns,
            latency_ns,
        }
    }

    fn woken(&self) -> MutexGuard<'_, Vec<Option<Nanos>>> {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Nanos {
        self.clock.load(Ordering::Relaxed)
    }

    /// Lets another core run: from `now` until the next one's time, if there is one.
    pub(super) fn turn_to(&self, now: Nanos, horizon: Option<Nanos>) {
        self.clock.store(now, Ordering::Relaxed);
        self.horizon.store(horizon.unwrap_or(NEVER), Ordering::Relaxed);
    }

    /// The running core's time passes. True if it is another's turn.
    pub(super) fn pass(&self, ns: Nanos) -> bool {
        let now = self.now().saturating_add(ns);
        self.clock.store(now, Ordering::Relaxed);
        now >= self.horizon.load(Ordering::Relaxed)
    }

    /// What the running core owes since it was last asked.
    pub(super) fn take_debt(&self) -> Nanos {
        self.debt_ns.swap(0, Ordering::Relaxed)
    }

    /// When `core` gets up, if it was woken.
    pub(super) fn rises_at(&self, core: CoreId) -> Option<Nanos> {
        self.woken()[core.index()].map(|at| at.saturating_add(self.latency_ns))
    }

    pub(super) fn forget_wake(&self, core: CoreId) {
        self.woken()[core.index()] = None;
    }

    pub(super) fn waker(self: &Arc<Self>, core: CoreId) -> Waker {
        let wire = Arc::clone(self);
        Waker::new(move || {
            let now = wire.now();
            wire.woken()[core.index()].get_or_insert(now);
            wire.debt_ns.fetch_add(wire.call_ns, Ordering::Relaxed);
            wire.horizon.fetch_min(now.saturating_add(wire.latency_ns), Ordering::Relaxed);
        })
    }
}
