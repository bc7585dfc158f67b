//! Is it worth looking around before waiting? Spinning burns what a wake would cost, so it is bounded by that.

use crate::desk::Desk;
use crate::event::Nanos;

/// The shortest time of looking around that is worth the look.
const LEAST_NS: Nanos = 2_000;

/// For how long an idle core looks around: longer after waits that turned out shorter than a wake costs, less after
/// others, never beyond a cap. One core at a time looks for every two of the machine.
#[derive(Debug)]
pub(crate) struct Spin {
    cap_ns: Nanos,
    budget_ns: Nanos,
    until: Option<Nanos>,
}

impl Spin {
    pub(crate) fn new(cap_ns: Nanos) -> Self {
        Self { cap_ns, budget_ns: 0, until: None }
    }

    /// Something came up: the next idle time is a new one. True if the core was looking around.
    pub(crate) fn found(&mut self) -> bool {
        self.until.take().is_some()
    }

    /// A wait has ended after `waited_ns`.
    pub(crate) fn waited(&mut self, waited_ns: Nanos, wake_cost_ns: Nanos) {
        self.until = None;
        self.budget_ns = if waited_ns < wake_cost_ns {
            (self.budget_ns * 2).max(LEAST_NS).min(self.cap_ns)
        } else {
            self.budget_ns / 2
        };
    }

    /// The core is run by turns, and never waits: it looks around until something comes up.
    pub(crate) fn search_for_ever<E: Send, S: Send>(&mut self, desk: &Desk<E, S>) {
        if desk.offers.is_some() && self.until.is_none() {
            self.until = Some(Nanos::MAX);
            desk.hub.station(desk.id).parker.search();
        }
    }

    /// Shall the idle core look around once more?
    pub(crate) fn goes_on<E: Send, S: Send>(&mut self, now: Nanos, desk: &Desk<E, S>) -> bool {
        if desk.offers.is_none() || self.budget_ns < LEAST_NS || desk.is_stopping {
            return false;
        }
        if let Some(until) = self.until {
            return now < until;
        }
        let searchers = desk.hub.others(desk.id).filter(|station| station.parker.is_searching());
        if searchers.count() >= desk.hub.cores().div_ceil(2) {
            return false;
        }
        self.until = Some(now.saturating_add(self.budget_ns));
        desk.hub.station(desk.id).parker.search();
        true
    }
}
