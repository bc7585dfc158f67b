//! In order of arrival: the baseline.
//!
//! The order is that in which colors became ready, the more urgent ones first; every [`AGING`](crate::elect::AGING)th color
//! that leaves is the first of the least urgent. A color whose stage is refused is passed over until permits come back,
//! and then comes before all others.

use super::Scheduler;
use super::admitted::Admitted;
use crate::admission::Admission;
use crate::event::{Color, Ready, Slot, StageId};
use crate::machine::StageInfo;

/// Colors that leave together at most, unless set otherwise.
const BATCH_LIMIT: usize = 16;

/// First come, first served.
#[derive(Debug)]
pub struct Fifo {
    queue: Admitted,
    batch_limit: usize,
}

impl Fifo {
    /// A scheduler for these stages.
    #[must_use]
    pub fn new(stages: &[StageInfo]) -> Self {
        Self { queue: Admitted::new(stages), batch_limit: BATCH_LIMIT }
    }

    /// Lets up to `limit` colors (at least 1) leave together, instead of 16. What becomes urgent meanwhile waits for them.
    #[must_use]
    pub fn with_batch_limit(mut self, limit: usize) -> Self {
        self.batch_limit = limit.max(1);
        self
    }
}

impl Scheduler for Fifo {
    #[inline(always)]
    fn push(&mut self, ready: Ready) {
        self.queue.push_back(ready);
    }

    #[inline]
    fn elect(
        &mut self,
        admission: &mut dyn Admission,
        limit: usize,
        batch: &mut Vec<Ready>,
    ) -> Option<StageId> {
        let ready = self.queue.pop(admission)?;
        batch.push(ready);
        // Those behind it that happen to be of its stage: the order is the same, at less cost an event.
        while batch.len() < limit.min(self.batch_limit)
            && let Some(next) = self.queue.pop_same(ready.stage)
        {
            batch.push(next);
        }
        Some(ready.stage)
    }

    fn take_color(&mut self, color: Color, slot: Slot) -> Option<Ready> {
        self.queue.take(color, slot)
    }

    fn len(&self) -> usize {
        self.queue.len()
    }

    #[inline]
    fn permits_returned(&mut self) {
        self.queue.permits_returned();
    }
}
