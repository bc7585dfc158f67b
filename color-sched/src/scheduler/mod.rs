//! Which ready color runs next: the trait, and a file a policy.

mod admitted;
mod color_queues;
mod fifo;
mod flat;
mod stage_batch;

pub use color_queues::ColorQueues;
pub use fifo::Fifo;
pub use flat::Flat;
pub use stage_batch::StageBatch;

use crate::admission::Admission;
use crate::event::{Color, Ready, Slot, StageId};

/// An order among ready colors.
///
/// A color waits in a scheduler once, at the stage of its first waiting event. It leaves by being elected, and is pushed
/// again after its event has run if another one waits.
pub trait Scheduler {
    /// A color has become ready. It does not wait here already, and no other color waits here under its slot.
    fn push(&mut self, ready: Ready);

    /// Elects a stage and moves up to `limit` (at least 1) colors that wait at it into `batch`, which is empty.
    ///
    /// For a stage that allocates (a scheduler keeps the [`StageInfo`](crate::StageInfo)s it was made with, or asks about
    /// all), as many as `admission` grants, and it is asked at most once about the stage that
    /// is returned. `None` with an empty batch: nothing waits, or all that waits was refused.
    fn elect(
        &mut self,
        admission: &mut dyn Admission,
        limit: usize,
        batch: &mut Vec<Ready>,
    ) -> Option<StageId>;

    /// Removes a color that is not to run here, if it waits here.
    fn take_color(&mut self, color: Color, slot: Slot) -> Option<Ready>;

    /// Number of colors that wait, refused ones too.
    fn len(&self) -> usize;

    /// Does no color wait?
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory may have been freed since a stage was refused: it is worth asking again.
    fn permits_returned(&mut self) {}
}

impl<T: Scheduler + ?Sized> Scheduler for Box<T> {
    fn push(&mut self, ready: Ready) {
        (**self).push(ready);
    }

    fn elect(
        &mut self,
        admission: &mut dyn Admission,
        limit: usize,
        batch: &mut Vec<Ready>,
    ) -> Option<StageId> {
        (**self).elect(admission, limit, batch)
    }

    fn take_color(&mut self, color: Color, slot: Slot) -> Option<Ready> {
        (**self).take_color(color, slot)
    }

    fn len(&self) -> usize {
        (**self).len()
    }

    fn permits_returned(&mut self) {
        (**self).permits_returned();
    }
}
