//! What does a core know of a stage: how long its events take, and what is to become of them?

use crate::event::{Nanos, Priority, Target};
use crate::learn::Estimate;
use crate::penalty::Penalty;
use crate::record::{HomeCost, Queued, Stamp};

/// What is known of a stage.
#[derive(Debug)]
pub(crate) struct StageCost {
    pub(crate) estimate: Estimate,
    cost_ns: u32,
    /// How much longer its events take elsewhere, in percent, as of the last look.
    pub(crate) penalty_pct: u32,
    priority: Priority,
    pub(crate) allocates: bool,
    /// None of its batches has been timed.
    pub(crate) is_unknown: bool,
}

impl StageCost {
    pub(crate) fn new(info: &crate::StageInfo) -> Self {
        let mut stage = Self {
            estimate: Estimate::new(info.cost),
            cost_ns: 0,
            penalty_pct: info.penalty.pct(),
            priority: info.priority,
            allocates: info.allocates,
            is_unknown: true,
        };
        stage.note_cost();
        stage
    }

    /// What an event is estimated to cost.
    #[inline]
    pub(crate) fn ns(&self) -> u32 {
        self.cost_ns
    }

    /// Learns that `n` events took `total_ns` together.
    pub(crate) fn observe(&mut self, total_ns: Nanos, n: usize) {
        self.estimate.observe(total_ns, n);
        self.is_unknown = false;
        self.note_cost();
    }

    fn note_cost(&mut self) {
        self.cost_ns = self.estimate.ns().min(u64::from(u32::MAX)) as u32;
    }

    /// What thieves are to compare stolen events with, if it is known.
    pub(crate) fn home_cost(&self) -> Option<HomeCost> {
        let spread_ns = self.estimate.spread_ns().min(u64::from(u32::MAX)) as u32;
        (!self.is_unknown).then_some(HomeCost { ns: self.cost_ns, spread_ns })
    }

    /// What `queued_ns` of its events are to a thief.
    #[inline]
    pub(crate) fn left_ns(&self, queued_ns: Nanos) -> Nanos {
        Penalty::left_ns(queued_ns, self.penalty_pct)
    }

    #[inline]
    pub(crate) fn queued<E>(&self, target: Target, event: E, now: Nanos) -> Queued<E> {
        Queued {
            event,
            cost_ns: self.cost_ns,
            stamp: Stamp::at(now),
            stage: target.stage,
            priority: target.priority.unwrap_or(self.priority),
        }
    }
}
