//! May a batch run? The memory's answer, asked before a stage is elected.

use crate::event::StageId;

/// Grants memory to batches. `admit` is StingyDynCheck (Stingy §3.2), made a reservation: what it grants is held until
/// the batch ends, so that a look cannot be outrun by a nested stage or a theft.
pub trait Admission {
    /// How many of `wanted` tasks may run `stage` now; 0 refuses, and the tasks wait.
    ///
    /// Asked only for stages that [allocate](crate::StageInfo::allocates). The grant is for the batch that follows,
    /// until [`batch_end`](crate::Handler::batch_end). Unless told otherwise, all may run.
    fn admit(&mut self, _stage: StageId, wanted: usize) -> usize {
        wanted
    }
}

impl<F: FnMut(StageId, usize) -> usize> Admission for F {
    fn admit(&mut self, stage: StageId, wanted: usize) -> usize {
        self(stage, wanted)
    }
}
