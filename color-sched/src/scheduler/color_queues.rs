//! Color by color, at most ten events of each in a row (Mely §4.1).
//!
//! The ready colors of a core are its core-queue. The color at its head runs event after event until it has none left or
//! has run as many as the threshold says; then it goes to the back. So a color waits for at most `threshold` events of
//! each color before it. More urgent colors come before others, but every [`AGING`](crate::elect::AGING)th time the first of
//! the least urgent ones does. A color whose stage is refused is passed over until permits come back.

use super::Scheduler;
use super::admitted::Admitted;
use crate::admission::Admission;
use crate::event::{Color, Ready, Slot, StageId};
use crate::machine::StageInfo;

/// Mely's batch threshold.
const THRESHOLD: u32 = 10;

/// Colors in turn, each with several events.
#[derive(Debug)]
pub struct ColorQueues {
    queue: Admitted,
    threshold: u32,
    /// The color that ran last, and how many more of its events may run before the next color's.
    current: Option<(Color, u32)>,
}

impl ColorQueues {
    /// A scheduler for these stages.
    #[must_use]
    pub fn new(stages: &[StageInfo]) -> Self {
        Self { queue: Admitted::new(stages), threshold: THRESHOLD, current: None }
    }

    /// Runs up to `events` (at least 1) of a color in a row, instead of 10.
    #[must_use]
    pub fn with_threshold(mut self, events: u32) -> Self {
        self.threshold = events.max(1);
        self
    }

    /// How many more events of `color` may run in a row.
    #[inline]
    fn left(&self, color: Color) -> Option<u32> {
        self.current.and_then(|(current, left)| (current == color && left > 0).then_some(left))
    }
}

impl Scheduler for ColorQueues {
    #[inline(always)]
    fn push(&mut self, ready: Ready) {
        match self.left(ready.color) {
            Some(_) => self.queue.push_front(ready),
            None => self.queue.push_back(ready),
        }
    }

    #[inline]
    fn elect(
        &mut self,
        admission: &mut dyn Admission,
        _limit: usize,
        batch: &mut Vec<Ready>,
    ) -> Option<StageId> {
        let ready = self.queue.pop(admission)?;
        let left = self.left(ready.color).unwrap_or(self.threshold) - 1;
        self.current = Some((ready.color, left));
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
