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
        while let Some((color, slot)) = self.gone.pop() {
            self.take_ready(scheduler, color, slot);
        }
        if self.fresh.is_empty() {
            return;
        }
        if self.is_fresh_stale || self.reserve.is_robbed(self.now) {
            self.push_each(scheduler);
        } else {
            self.fresh.iter().for_each(|ready| scheduler.push(*ready));
        }
        self.fresh.clear();
    }

    /// Puts what has become more urgent since it was pushed where it belongs now.
    #[cold]
    fn raise(&mut self, scheduler: &mut impl Scheduler) {
        for (color, slot) in std::mem::take(&mut self.raised) {
            let Some(taken) = self.take_ready(scheduler, color, slot) else { continue };
            let now = self.colors.waiting(color, slot);
            scheduler.push(now.and_then(|(cell, entry)| ready(cell, entry)).unwrap_or(taken));
        }
    }

    /// As [`Self::push_fresh`], if colors may have been stolen in the batch that made them ready, or are to be left to thieves.
    #[inline(never)]
    fn push_each(&mut self, scheduler: &mut impl Scheduler) {
        self.is_fresh_stale = false;
        let is_robbed = self.reserve.is_robbed(self.now);
        for fresh in &self.fresh {
            let waiting = self.colors.waiting(fresh.color, fresh.slot);
            let is_here = |status| matches!(status, Status::Queued | Status::Offered(_));
            let Some((cell, known)) = waiting.filter(|(cell, _)| is_here(cell.status)) else {
                continue;
            };
            if is_robbed && known.is_home && cell.queued_ns >= self.pace.worth_ns {
                self.reserve.keep(*fresh, self.now);
            } else {
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
