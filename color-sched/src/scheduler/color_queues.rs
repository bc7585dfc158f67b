//! Color by color, at most ten events of each in a row (Mely §4.1).
//!
//! The ready colors of a core are its core-queue. The color at its head runs event after event until it has none left or
//! has run as many as the threshold says; then it goes to the back. So a color waits for at most `threshold` events of
//! each color before it.

use super::Scheduler;
use crate::admission::Admission;
use crate::event::{Color, Ready, Slot, StageId};
use crate::links::Lists;
use crate::machine::StageInfo;

/// Mely's batch threshold.
const THRESHOLD: u32 = 10;
/// Colors that wait, and colors whose stage was refused.
const WAITING: usize = 0;
const ASIDE: usize = 1;

/// Colors in turn, each with several events.
#[derive(Debug)]
pub struct ColorQueues {
    lists: Lists,
    allocates: Vec<bool>,
    threshold: u32,
    /// The color that ran last, and how many more of its events may run before the next color's.
    current: Option<(Color, u32)>,
}

impl ColorQueues {
    /// A scheduler for these stages.
    #[must_use]
    pub fn new(stages: &[StageInfo]) -> Self {
        Self {
            lists: Lists::new(2),
            allocates: stages.iter().map(|stage| stage.allocates).collect(),
            threshold: THRESHOLD,
            current: None,
        }
    }

    /// Runs up to `events` (at least 1) of a color in a row, instead of 10.
    #[must_use]
    pub fn with_threshold(mut self, events: u32) -> Self {
        self.threshold = events.max(1);
        self
    }
}

impl Scheduler for ColorQueues {
    #[inline]
    fn push(&mut self, ready: Ready) {
        match self.current {
            Some((color, left)) if color == ready.color && left > 0 => {
                self.lists.push_front(WAITING, ready);
            }
            _ => self.lists.push_back(WAITING, ready),
        }
    }

    #[inline]
    fn elect(
        &mut self,
        admission: &mut dyn Admission,
        _limit: usize,
        batch: &mut Vec<Ready>,
    ) -> Option<StageId> {
        while let Some(ready) = self.lists.pop_front(WAITING) {
            let allocates = self.allocates.get(ready.stage.index()).is_some_and(|yes| *yes);
            if allocates && admission.admit(ready.stage, 1) == 0 {
                self.lists.push_back(ASIDE, ready);
                continue;
            }
            let left = match self.current {
                Some((color, left)) if color == ready.color && left > 0 => left - 1,
                _ => self.threshold - 1,
            };
            self.current = Some((ready.color, left));
            batch.push(ready);
            return Some(ready.stage);
        }
        None
    }

    fn take_color(&mut self, color: Color, slot: Slot) -> Option<Ready> {
        if self.lists.has(color, slot) { self.lists.remove(slot) } else { None }
    }

    fn len(&self) -> usize {
        self.lists.len()
    }

    fn permits_returned(&mut self) {
        self.lists.prepend(ASIDE, WAITING);
    }
}
