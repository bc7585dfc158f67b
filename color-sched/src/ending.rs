//! How does a core come to its end? In step with the others, so that nothing is left in an inbox; or at once, if one fails.

use crate::context::Local;
use crate::desk::Origin;
use crate::handler::Handler;
use crate::scheduler::Scheduler;
use crate::worker::{Core, Turn};

impl<E: Send, S: Send> Core<E, S> {
    /// Tells the program, once, that the machine has been told to stop.
    pub(crate) fn tell_to_stop<P>(&mut self, program: &mut P, scheduler: &mut impl Scheduler)
    where
        P: Handler<Event = E, State = S>,
    {
        if self.desk.is_stopping || !self.desk.hub.is_stopping() {
            return;
        }
        self.desk.is_stopping = true;
        program.stopping(&mut Local::new(&mut self.desk, Origin::Handler));
        self.hand_over(program, scheduler);
    }

    /// Has every core ended its colors, and sent its last message? The steps of the end, each told to the others once:
    /// nothing is open here; nothing is open anywhere, so this core sends no more; nobody sends any more.
    pub(crate) fn is_stop_complete(&mut self) -> bool {
        if !self.desk.is_stopping {
            return false;
        }
        if !self.is_counted && self.desk.colors.len() == 0 {
            self.is_counted = true;
            self.desk.hub.count_done();
        }
        if !self.desk.is_sealed && self.is_counted && self.desk.hub.is_done() {
            self.desk.is_sealed = true;
            self.desk.hub.count_sealed();
        }
        self.desk.is_sealed && self.desk.hub.is_sealed()
    }

    /// Has something changed since [`Self::is_stop_complete`] was asked?
    pub(crate) fn has_end_news(&self) -> bool {
        let hub = &self.desk.hub;
        hub.is_halted()
            || hub.is_stopping() != self.desk.is_stopping
            || (self.is_counted && hub.is_done() != self.desk.is_sealed)
            || (self.desk.is_sealed && hub.is_sealed())
    }

    /// The end: what is still in the inbox met closed colors. From outside no more comes, as all cores are sealed.
    pub(crate) fn end<P>(&mut self, program: &mut P, scheduler: &mut impl Scheduler) -> Turn
    where
        P: Handler<Event = E, State = S>,
    {
        while let Some(message) = self.next_message() {
            self.desk.deliver(message);
        }
        self.hand_over(program, scheduler);
        self.publish(program);
        self.is_over = true;
        Turn::Over
    }

    /// The end of everything, whatever is open.
    pub(crate) fn fail<P: Handler<Event = E, State = S>>(&mut self, program: &mut P) {
        self.is_over = true;
        self.desk.hub.halt();
        self.desk.is_stopping = true;
        self.desk.publish();
        // What would be sent on from here comes back instead.
        self.desk.is_sealed = true;
        while let Some(message) = self.next_message() {
            self.desk.deliver(message);
        }
        self.desk.abandon_all();
        self.desk.give_back_to(program);
        self.publish(program);
    }
}
