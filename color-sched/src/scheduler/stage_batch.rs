//! Stage by stage, in batches as large as memory permits (Stingy §3.2, TUX §4.5.2), over colors.
//!
//! Electing a stage takes colors from it in order of arrival, each with its next event: a color has at most one event in a
//! batch. Of the colors of a stage the more urgent ones come first, and then first come first served; in every
//! [`AGING`]th batch of a stage the first of its least urgent ones comes before all. Bounds on waiting: a stage's are those of the
//! [election](crate::elect); a color waits at most for the batches that hold the colors before it, or, if it is less urgent
//! than others, for [`AGING`] times the batches that hold those before it of its own priority.

use super::Scheduler;
use crate::admission::Admission;
use crate::elect::{AGING, Election};
use crate::event::{Color, Ready, Slot, StageId};
use crate::machine::{MAX_STAGES, StageInfo};
use crate::rings::Rings;

/// Tasks in a batch, unless set otherwise: a stage's code is fetched once for so many.
const BATCH_LIMIT: usize = 64;

/// Elects the stage to run, and takes as many colors from it as admission grants.
#[derive(Debug)]
pub struct StageBatch {
    groups: Rings,
    /// Batches of each stage.
    batches: Vec<u32>,
    election: Election,
    infos: Vec<StageInfo>,
    batch_limit: usize,
    /// The last group.
    last: usize,
}

impl StageBatch {
    /// A scheduler for these stages. Another stage counts as one that does not allocate, and its colors run one by one.
    #[must_use]
    pub fn new(stages: &[StageInfo]) -> Self {
        Self::with_limit(stages.to_vec(), BATCH_LIMIT)
    }

    /// Bounds batches by `limit` tasks (at least 1), instead of 64. For a stage without a
    /// [flow](StageInfo::flow) of its own, so many waiting are maximal flow.
    #[must_use]
    pub fn with_batch_limit(self, limit: usize) -> Self {
        Self::with_limit(self.infos, limit.max(1))
    }

    fn with_limit(mut infos: Vec<StageInfo>, batch_limit: usize) -> Self {
        infos.truncate(MAX_STAGES);
        let flow = |info: &StageInfo| if info.flow == 0 { batch_limit } else { info.flow };
        let flow = |info: &StageInfo| u32::try_from(flow(info)).unwrap_or(u32::MAX);
        // One group more, for the stages that this scheduler was not told of; a machine has none if it was told of so many.
        let groups = (infos.len() + 1).min(MAX_STAGES);
        let known = infos.iter().map(|info| (info.weight, flow(info)));
        let election = Election::new(known.chain([(1, 1)]).take(groups));
        Self {
            groups: Rings::new(groups),
            batches: vec![0; groups],
            election,
            infos,
            batch_limit,
            last: groups - 1,
        }
    }
}

impl StageBatch {
    /// Takes one color of the stages that this scheduler was not told of.
    #[cold]
    fn elect_stranger(&mut self, batch: &mut Vec<Ready>) -> Option<StageId> {
        let ready = self.groups.pop_front(self.last)?;
        self.election.granted(self.last, self.groups.count(self.last));
        batch.push(ready);
        Some(ready.stage)
    }
}

impl Scheduler for StageBatch {
    #[inline(always)]
    fn push(&mut self, ready: Ready) {
        let stage = ready.stage.index().min(self.last);
        let waiting = self.groups.push_back(stage, ready);
        self.election.set_waiting(stage, waiting);
    }

    #[inline]
    fn elect(
        &mut self,
        admission: &mut dyn Admission,
        limit: usize,
        batch: &mut Vec<Ready>,
    ) -> Option<StageId> {
        loop {
            let stage = self.election.elect()?;
            let Some(info) = self.infos.get(stage) else { return self.elect_stranger(batch) };
            let id = StageId(stage as u16);
            let wanted = self.groups.count(stage).min(limit).min(self.batch_limit);
            let granted = match info.allocates {
                true => admission.admit(id, wanted).min(wanted),
                false => wanted,
            };
            if granted == 0 {
                self.election.refused(stage);
                continue;
            }
            let batches = &mut self.batches[stage];
            *batches = batches.wrapping_add(1);
            if batches.is_multiple_of(AGING) {
                batch.extend(self.groups.pop_least(stage));
            }
            self.groups.pop_into(stage, granted - batch.len(), batch);
            self.election.granted(stage, self.groups.count(stage));
            return Some(id);
        }
    }

    fn take_color(&mut self, color: Color, slot: Slot) -> Option<Ready> {
        let stage = self.groups.group_of(color, slot)?;
        let ready = self.groups.remove(color, slot)?;
        self.election.set_waiting(stage, self.groups.count(stage));
        Some(ready)
    }

    fn len(&self) -> usize {
        self.groups.len()
    }

    #[inline]
    fn permits_returned(&mut self) {
        self.election.permits_returned();
    }
}
