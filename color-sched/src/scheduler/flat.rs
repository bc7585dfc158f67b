//! One list a core: the baseline of Libasync-smp (Mely §2.1, §3.1).
//!
//! Ready colors wait in one list, the more urgent ones before the others, in order of arrival. The color at its head runs
//! up to ten events in a row, if they are of one stage or not; then it goes to the back. Taking a color for a thief looks
//! through the list from its head: that search, in one list of a thousand events, is what made stealing slow there
//! (§3.1), and what [`ColorQueues`](super::ColorQueues) was built to avoid.
//!
//! A color waits for at most ten events of each color before it, and for those of more urgent ones that come later: less
//! urgent colors have no bound but that every [`AGING`]th election takes the last of the list. Differs: the list holds
//! colors, not events, as the events of a color are kept with it; and a refused color steps aside as it does in
//! [`Fifo`](super::Fifo).

use std::collections::VecDeque;

use super::Scheduler;
use crate::admission::Admission;
use crate::elect::AGING;
use crate::event::{Color, Ready, Slot, StageId};
use crate::machine::StageInfo;

/// Libasync-smp's batch threshold.
const THRESHOLD: u32 = 10;

/// One list, looked through.
#[derive(Debug)]
pub struct Flat {
    list: VecDeque<Ready>,
    /// Colors whose stage was refused, which are not asked about before permits come back.
    aside: VecDeque<Ready>,
    allocates: Vec<bool>,
    elections: u32,
    threshold: u32,
    current: Option<(Color, u32)>,
}

impl Flat {
    /// A scheduler for these stages.
    #[must_use]
    pub fn new(stages: &[StageInfo]) -> Self {
        Self {
            list: VecDeque::new(),
            aside: VecDeque::new(),
            allocates: stages.iter().map(|stage| stage.allocates).collect(),
            elections: 0,
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

    fn is_admitted(&self, ready: &Ready, admission: &mut dyn Admission) -> bool {
        let allocates = self.allocates.get(ready.stage.index()).is_some_and(|allocates| *allocates);
        let was_refused = || self.aside.iter().any(|aside| aside.stage == ready.stage);
        !allocates || (!was_refused() && admission.admit(ready.stage, 1) > 0)
    }

    /// How many more events of `color` may run in a row.
    fn left(&self, color: Color) -> Option<u32> {
        self.current.and_then(|(current, left)| (current == color && left > 0).then_some(left))
    }
}

impl Scheduler for Flat {
    fn push(&mut self, ready: Ready) {
        let at = if self.left(ready.color).is_some() {
            // Before all that are no more urgent.
            let is_behind = |other: &Ready| other.priority <= ready.priority;
            self.list.iter().position(is_behind).unwrap_or(self.list.len())
        } else {
            let is_before = |other: &Ready| other.priority >= ready.priority;
            // From the back, where most belong.
            self.list.iter().rposition(is_before).map_or(0, |last| last + 1)
        };
        self.list.insert(at, ready);
    }

    fn elect(
        &mut self,
        admission: &mut dyn Admission,
        _limit: usize,
        batch: &mut Vec<Ready>,
    ) -> Option<StageId> {
        self.elections = self.elections.wrapping_add(1);
        if self.elections.is_multiple_of(AGING)
            && let Some(last) = self.list.pop_back()
        {
            self.list.push_front(last);
        }
        while let Some(ready) = self.list.pop_front() {
            if !self.is_admitted(&ready, admission) {
                self.aside.push_back(ready);
                continue;
            }
            let left = self.left(ready.color).unwrap_or(self.threshold) - 1;
            self.current = Some((ready.color, left));
            batch.push(ready);
            return Some(ready.stage);
        }
        None
    }

    fn take_color(&mut self, color: Color, slot: Slot) -> Option<Ready> {
        let is_it = |ready: &Ready| ready.color == color && ready.slot == slot;
        for list in [&mut self.list, &mut self.aside] {
            if let Some(at) = list.iter().position(is_it) {
                return list.remove(at);
            }
        }
        None
    }

    fn len(&self) -> usize {
        self.list.len() + self.aside.len()
    }

    fn permits_returned(&mut self) {
        // Before those that came later.
        while let Some(ready) = self.aside.pop_back() {
            self.list.push_front(ready);
        }
    }
}
