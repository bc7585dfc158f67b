//! What does a core leave to thieves while they come?
//!
//! A core that is being robbed runs first what is not worth a theft. What is worth one waits apart, where thieves are offered
//! it, until nothing else is left, nobody has come for a while, or it has waited for long. Otherwise the core runs long
//! events itself, offers nothing meanwhile, and is left with short ones when thieves have nothing to take any more.

use std::collections::VecDeque;

use crate::desk::Desk;
use crate::event::{Color, Nanos, Ready, Slot, StageId};
use crate::record::Status;
use crate::scheduler::Scheduler;

/// For how long after a theft another one is expected.
const ROBBED_NS: Nanos = 100_000;
/// What has waited for longer is not left to thieves any more.
const LONGEST_NS: Nanos = 10_000_000;

/// Ready colors that are not in the scheduler, and since when.
#[derive(Debug, Default)]
pub(crate) struct Reserve {
    colors: VecDeque<(Ready, Nanos)>,
    robbed_until: Nanos,
}

impl Reserve {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.colors.len()
    }

    /// A theft from this core has been found out.
    pub(crate) fn note_theft(&mut self, now: Nanos) {
        self.robbed_until = now.saturating_add(ROBBED_NS);
    }

    /// Are thieves expected?
    #[inline]
    pub(crate) fn is_robbed(&self, now: Nanos) -> bool {
        now < self.robbed_until
    }

    pub(crate) fn keep(&mut self, ready: Ready, now: Nanos) {
        self.colors.push_back((ready, now));
    }

    /// Thieves get the latest first.
    fn take(&mut self, color: Color, slot: Slot) -> Option<Ready> {
        let is_it = |(ready, _): &(Ready, Nanos)| (ready.color, ready.slot) == (color, slot);
        let at = self.colors.iter().rposition(is_it)?;
        self.colors.remove(at).map(|(ready, _)| ready)
    }
}

impl<E: Send, S: Send> Desk<E, S> {
    /// Moves into the scheduler what is not to be left to thieves any longer.
    #[inline]
    pub(crate) fn tend_reserve(&mut self, scheduler: &mut impl Scheduler) {
        if self.reserve.len() > 0 {
            self.release(scheduler);
        }
    }

    #[cold]
    fn release(&mut self, scheduler: &mut impl Scheduler) {
        let mut left = match self.reserve.is_robbed(self.now) {
            false => usize::MAX,
            true => usize::from(scheduler.is_empty()),
        };
        while let Some(&(ready, since)) = self.reserve.colors.front() {
            if left == 0 && self.now.saturating_sub(since) < LONGEST_NS {
                return;
            }
            left = left.saturating_sub(1);
            self.reserve.colors.pop_front();
            scheduler.push(ready);
        }
    }

    /// Of a batch of `stage` that was elected, keeps apart what is to be left to thieves, if something else is there to
    /// be run and no permit has been taken for the batch.
    #[inline]
    pub(crate) fn leave_to_thieves(
        &mut self,
        scheduler: &impl Scheduler,
        stage: StageId,
        batch: &mut Vec<Ready>,
    ) {
        let is_robbed = self.reserve.is_robbed(self.now);
        if is_robbed && !scheduler.is_empty() && !self.needs_admission(stage) {
            self.leave(batch);
        }
    }

    #[inline(never)]
    fn leave(&mut self, batch: &mut Vec<Ready>) {
        let (now, worth_ns) = (self.now, self.pace.worth_ns);
        batch.retain(|ready| {
            let waiting = self.colors.waiting(ready.color, ready.slot);
            let is_left = waiting.is_some_and(|(cell, known)| {
                let may_wait = cell.waited(now).is_some_and(|waited_ns| waited_ns < LONGEST_NS);
                cell.status != Status::Running
                    && known.is_home
                    && cell.queued_ns >= worth_ns
                    && may_wait
            });
            if is_left {
                self.reserve.keep(*ready, now);
            }
            !is_left
        });
    }

    /// Takes a color out of whichever queue it waits in.
    pub(crate) fn take_ready(
        &mut self,
        scheduler: &mut impl Scheduler,
        color: Color,
        slot: Slot,
    ) -> Option<Ready> {
        scheduler.take_color(color, slot).or_else(|| self.reserve.take(color, slot))
    }
}
