//! Stage by stage, in batches as large as memory permits (Stingy §3.2, TUX §4.5.2), over colors.
//!
//! Electing a stage takes colors from it in order of arrival, each with its next event: a color has at most one event in a
//! batch. Bounds on waiting are those of the [election](crate::elect) and, inside of a stage, first come first served.

use super::Scheduler;
use crate::admission::Admission;
use crate::elect::Election;
use crate::event::{Color, Ready, Slot, StageId};
use crate::links::Lists;
use crate::machine::StageInfo;

/// Tasks in a batch, unless set otherwise: a stage's code is fetched once for so many.
const BATCH_LIMIT: usize = 64;

/// Elects the stage to run, and takes as many colors from it as admission grants.
#[derive(Debug)]
pub struct StageBatch {
    lists: Lists,
    election: Election,
    infos: Vec<StageInfo>,
    batch_limit: usize,
}

impl StageBatch {
    /// A scheduler for these stages.
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
        if infos.is_empty() {
            infos.push(StageInfo::new("any"));
        }
        let flow = |info: &StageInfo| if info.flow == 0 { batch_limit } else { info.flow };
        let flow = |info: &StageInfo| u32::try_from(flow(info)).unwrap_or(u32::MAX);
        let election = Election::new(infos.iter().map(|info| (info.weight, flow(info))));
        Self { lists: Lists::new(infos.len()), election, infos, batch_limit }
    }
}

impl Scheduler for StageBatch {
    #[inline]
    fn push(&mut self, ready: Ready) {
        // A stage that this scheduler was not told of waits with the last one: nothing is lost.
        let stage = ready.stage.index().min(self.infos.len() - 1);
        self.lists.push_back(stage, ready);
        self.election.set_waiting(stage, self.lists.count(stage));
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
            let id = StageId(stage as u16);
            let wanted = self.lists.count(stage).min(limit).min(self.batch_limit);
            let granted = match self.infos[stage].allocates {
                true => admission.admit(id, wanted).min(wanted),
                false => wanted,
            };
            if granted == 0 {
                self.election.refused(stage);
                continue;
            }
            for _ in 0..granted {
                let Some(ready) = self.lists.pop_front(stage) else { break };
                batch.push(ready);
            }
            self.election.granted(stage, self.lists.count(stage));
            return Some(id);
        }
    }

    fn take_color(&mut self, color: Color, slot: Slot) -> Option<Ready> {
        if !self.lists.has(color, slot) {
            return None;
        }
        let stage = self.lists.list_of(slot)?;
        let ready = self.lists.remove(slot)?;
        self.election.set_waiting(stage, self.lists.count(stage));
        Some(ready)
    }

    fn len(&self) -> usize {
        self.lists.len()
    }

    #[inline]
    fn permits_returned(&mut self) {
        self.election.permits_returned();
    }
}
