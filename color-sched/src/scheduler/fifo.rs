//! In order of arrival, one event at a time: the baseline.
//!
//! The order is that in which colors became ready. A color whose stage is refused steps aside until permits come back, and
//! then comes before all others, so that it waits for nobody who came later.

use super::Scheduler;
use crate::admission::Admission;
use crate::event::{Color, Ready, Slot, StageId};
use crate::links::Lists;
use crate::machine::StageInfo;

/// Colors that wait, and colors that stepped aside.
const WAITING: usize = 0;
const ASIDE: usize = 1;

/// First come, first served.
#[derive(Debug)]
pub struct Fifo {
    lists: Lists,
    allocates: Vec<bool>,
    is_refused: Vec<bool>,
}

impl Fifo {
    /// A scheduler for these stages.
    #[must_use]
    pub fn new(stages: &[StageInfo]) -> Self {
        Self {
            lists: Lists::new(2),
            allocates: stages.iter().map(|stage| stage.allocates).collect(),
            is_refused: vec![false; stages.len()],
        }
    }

    fn is_admitted(&mut self, stage: StageId, admission: &mut dyn Admission) -> bool {
        let index = stage.index();
        if !self.allocates.get(index).is_some_and(|allocates| *allocates) {
            return true;
        }
        if self.is_refused[index] {
            return false;
        }
        self.is_refused[index] = admission.admit(stage, 1) == 0;
        !self.is_refused[index]
    }
}

impl Scheduler for Fifo {
    #[inline]
    fn push(&mut self, ready: Ready) {
        self.lists.push_back(WAITING, ready);
    }

    #[inline]
    fn elect(
        &mut self,
        admission: &mut dyn Admission,
        _limit: usize,
        batch: &mut Vec<Ready>,
    ) -> Option<StageId> {
        while let Some(ready) = self.lists.pop_front(WAITING) {
            if self.is_admitted(ready.stage, admission) {
                batch.push(ready);
                return Some(ready.stage);
            }
            self.lists.push_back(ASIDE, ready);
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
        if self.lists.count(ASIDE) > 0 {
            self.is_refused.fill(false);
            self.lists.prepend(ASIDE, WAITING);
        }
    }
}
