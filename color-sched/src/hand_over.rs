//! What are the scheduler and the program to be told after a batch? Which colors have become ready, more urgent or stolen,
//! and what was left of those that have closed.

use crate::desk::{Desk, ready};
use crate::handler::Handler;
use crate::record::Status;
use crate::scheduler::Scheduler;

impl<E: Send, S: Send> Desk<E, S> {
    /// Moves what has become ready into the scheduler, and gives what was left behind to the program.
    #[inline]
    pub(crate) fn hand_over<P>(&mut self, program: &mut P, scheduler: &mut impl Scheduler)
    where
        P: Handler<Event = E, State = S>,
    {
        if (self.lost.len() | self.ended.len()) != 0 {
            self.give_back_to(program);
        }
        self.push_fresh(scheduler);
        if !self.raised.is_empty() {
            self.raise(scheduler);
        }
    }

    /// Moves what has become ready into the scheduler.
    #[inline]
    pub(crate) fn push_fresh(&mut self, scheduler: &mut impl Scheduler) {
        for (color, slot) in self.gone.drain(..) {
            scheduler.take_color(color, slot);
        }
        if self.fresh.is_empty() {
            return;
        }
        if self.is_fresh_stale {
            self.push_unstolen(scheduler);
        } else {
            self.fresh.iter().for_each(|ready| scheduler.push(*ready));
        }
        self.fresh.clear();
    }

    /// Puts what has become more urgent since it was pushed where it belongs now.
    #[cold]
    fn raise(&mut self, scheduler: &mut impl Scheduler) {
        for (color, slot) in self.raised.drain(..) {
            let Some(taken) = scheduler.take_color(color, slot) else { continue };
            let now = self.colors.waiting(color, slot);
            scheduler.push(now.and_then(|(cell, entry)| ready(cell, entry)).unwrap_or(taken));
        }
    }

    /// As [`Self::push_fresh`], if colors were offered, and may have been stolen, in the batch that made them ready.
    #[cold]
    fn push_unstolen(&mut self, scheduler: &mut impl Scheduler) {
        self.is_fresh_stale = false;
        for fresh in &self.fresh {
            let waiting = self.colors.waiting(fresh.color, fresh.slot);
            let is_here = |status| matches!(status, Status::Queued | Status::Offered(_));
            if waiting.is_some_and(|(cell, _)| is_here(cell.status)) {
                scheduler.push(*fresh);
            }
        }
    }

    /// Gives the program what is left of colors that have closed.
    #[cold]
    pub(crate) fn give_back_to<P>(&mut self, program: &mut P)
    where
        P: Handler<Event = E, State = S>,
    {
        self.stats.abandoned += self.lost.len() as u64;
        for (color, stage, event) in self.lost.drain(..) {
            program.abandoned(color, stage, event);
        }
        for (color, state) in self.ended.drain(..) {
            program.closed(color, state);
        }
    }
}
