//! In order of arrival, one event at a time: the baseline.
//!
//! The order is that in which colors became ready. A color whose stage is refused is passed over until permits come back,
//! and then comes before all others.

use super::Scheduler;
use super::admitted::Admitted;
use crate::admission::Admission;
use crate::event::{Color, Ready, Slot, StageId};
use crate::machine::StageInfo;

/// First come, first served.
#[derive(Debug)]
pub struct Fifo {
    queue: Admitted,
}

impl Fifo {
    /// A scheduler for these stages.
    #[must_use]
    pub fn new(stages: &[StageInfo]) -> Self {
        Self { queue: Admitted::new(stages) }
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
        _limit: usize,
        batch: &mut Vec<Ready>,
    ) -> Option<StageId> {
        let ready = self.queue.pop(admission)?;
        batch.push(ready);
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
