//! File and socket events to the correlator: a file's data is handed to its stage when the socket can take it.
//!
//! The pre-event of a pair is that the next part of an answer could be read; the post-event, that the socket takes
//! data. A connection has at most one pair, and its color names it.

use color_sched::{Color, Nanos};
use ecem::{Correlator, Delivery, Event, PairId, Verdict};

use crate::config::DeliveryPolicy;
use crate::stages::Stage;

/// Events held for one connection: it is sent one part of an answer at a time.
const HELD: u32 = 1;

/// The pairs of one core.
#[derive(Debug)]
pub struct Pairs {
    correlator: Correlator<Stage>,
}

impl Pairs {
    /// No pairs yet.
    #[must_use]
    pub fn new(policy: DeliveryPolicy) -> Self {
        let delivery = match policy {
            DeliveryPolicy::Eager => Delivery::Eager,
            DeliveryPolicy::Ded => Delivery::Deferred,
        };
        Self { correlator: Correlator::new(delivery).with_limit(HELD) }
    }

    /// Is data held back while its socket is not ready?
    #[must_use]
    pub fn defers(&self) -> bool {
        self.correlator.delivery() == Delivery::Deferred
    }

    /// The file's part for `stage` could be read: the stage to run now, if it is to run now.
    ///
    /// The pair is made when the connection has none; `socket_ready` is then the state of its socket.
    pub fn file_ready(
        &mut self,
        pair: &mut Option<PairId>,
        color: Color,
        socket_ready: bool,
        stage: Stage,
        now: Nanos,
    ) -> Option<Stage> {
        let id = match *pair {
            Some(id) => id,
            None => {
                let Ok(id) = self.correlator.add(color.0, color.0) else {
                    debug_assert!(
                        false,
                        "a connection has one pair at most, on the core that it is pinned to"
                    );
                    return Some(stage);
                };
                if !socket_ready {
                    let _ = self.correlator.on_event(Event::PostWait(id), now);
                }
                *pair.insert(id)
            }
        };
        match self.correlator.on_event(Event::PreReady(id, stage), now) {
            Verdict::Deliver(stage) | Verdict::Refused(stage, _) => Some(stage),
            Verdict::Defer | Verdict::Nothing => None,
        }
    }

    /// The socket can take data: the stage that waited for it, if one did.
    pub fn socket_ready(&mut self, pair: Option<PairId>, now: Nanos) -> Option<Stage> {
        self.correlator.on_event(Event::PostReady(pair?), now).delivered()
    }

    /// The socket is full.
    pub fn socket_busy(&mut self, pair: Option<PairId>, now: Nanos) {
        if let Some(id) = pair {
            let _ = self.correlator.on_event(Event::PostWait(id), now);
        }
    }

    /// The answer is complete, or will never be: its pair goes, with what it may hold.
    pub fn forget(&mut self, pair: &mut Option<PairId>) {
        if let Some(id) = pair.take() {
            drop(self.correlator.del(id));
        }
    }

    /// Pairs that there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.correlator.len()
    }

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.correlator.is_empty()
    }

    /// What has been delivered and held so far.
    #[must_use]
    pub fn stats(&self) -> ecem::Stats {
        self.correlator.stats()
    }
}
