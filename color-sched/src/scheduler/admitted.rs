//! A queue whose colors leave one by one, in order, as their stages are admitted.
//!
//! A color whose stage is refused steps aside, with those of its stage before it. Once permits have come back each such
//! stage is asked about once, before everybody else, so that a refused color waits for nobody who came later, and a
//! refusal costs the same however many colors wait for it. More urgent colors come before others, but every [`AGING`]th
//! time the first of the least urgent ones does.

use crate::admission::Admission;
use crate::elect::AGING;
use crate::event::{Color, Ready, Slot, StageId};
use crate::machine::StageInfo;
use crate::rings::Rings;

/// The group of those that wait for their turn; those of stage `n` that stepped aside are in group `n + 1`.
const WAITING: usize = 0;

#[derive(Debug)]
pub(crate) struct Admitted {
    groups: Rings,
    /// Colors that have left.
    left: u32,
    allocates: Vec<bool>,
    /// Stages with colors aside, and whether each may be asked about.
    aside: Vec<(usize, bool)>,
}

impl Admitted {
    pub(crate) fn new(stages: &[StageInfo]) -> Self {
        Self {
            groups: Rings::new(stages.len() + 1),
            left: 0,
            allocates: stages.iter().map(|stage| stage.allocates).collect(),
            aside: Vec::new(),
        }
    }

    #[inline(always)]
    pub(crate) fn push_back(&mut self, ready: Ready) {
        self.groups.push_back(WAITING, ready);
    }

    #[inline]
    pub(crate) fn push_front(&mut self, ready: Ready) {
        self.groups.push_front(WAITING, ready);
    }

    /// The first color whose stage is admitted.
    #[inline]
    pub(crate) fn pop(&mut self, admission: &mut dyn Admission) -> Option<Ready> {
        if !self.aside.is_empty()
            && let Some(ready) = self.pop_aside(admission)
        {
            return Some(ready);
        }
        while let Some(ready) = self.next() {
            let stage = ready.stage.index();
            if !self.allocates.get(stage).is_some_and(|allocates| *allocates) {
                return Some(ready);
            }
            let is_aside = self.aside.iter().any(|(aside, _)| *aside == stage);
            if !is_aside && admission.admit(ready.stage, 1) > 0 {
                return Some(ready);
            }
            if !is_aside {
                self.aside.push((stage, false));
            }
            self.groups.push_back(stage + 1, ready);
        }
        None
    }

    /// The next color, if it waits at `stage` too, needs no memory, and nobody was refused.
    #[inline]
    pub(crate) fn pop_same(&mut self, stage: StageId) -> Option<Ready> {
        if !self.aside.is_empty() || self.allocates.get(stage.index()).is_some_and(|needs| *needs) {
            return None;
        }
        // The turn of the least urgent is `next`'s to give.
        if self.left.wrapping_add(1).is_multiple_of(AGING) {
            return None;
        }
        let popped = self.groups.pop_front_if(WAITING, |ready| ready.stage == stage)?;
        self.left = self.left.wrapping_add(1);
        Some(popped)
    }

    #[inline]
    fn next(&mut self) -> Option<Ready> {
        self.left = self.left.wrapping_add(1);
        match self.left.is_multiple_of(AGING) {
            true => self.groups.pop_least(WAITING),
            false => self.groups.pop_front(WAITING),
        }
    }

    #[cold]
    fn pop_aside(&mut self, admission: &mut dyn Admission) -> Option<Ready> {
        let groups = &mut self.groups;
        self.aside.retain(|(stage, _)| groups.count(stage + 1) > 0);
        for (stage, may_ask) in &mut self.aside {
            if !*may_ask {
                continue;
            }
            if admission.admit(StageId(*stage as u16), 1) > 0 {
                return groups.pop_front(*stage + 1);
            }
            *may_ask = false;
        }
        None
    }

    pub(crate) fn take(&mut self, color: Color, slot: Slot) -> Option<Ready> {
        self.groups.remove(color, slot)
    }

    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    #[inline]
    pub(crate) fn permits_returned(&mut self) {
        for (_, may_ask) in &mut self.aside {
            *may_ask = true;
        }
    }
}
