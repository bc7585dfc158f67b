//! How does a batch go, event by event, also if handlers panic?
//!
//! One frame catches the panics of a whole batch, as it costs as much as an event. What has to outlive a handler's frame is
//! in the [`Course`]: how far the batch has come, and the state of the color whose handler panicked.

use std::any::Any;
use std::panic::resume_unwind;

use crate::context::Context;
use crate::desk::Desk;
use crate::event::{Nanos, Ready};
use crate::handler::{AfterPanic, Handler};
use crate::record::Queued;
use crate::running::Begun;
use crate::scheduler::Scheduler;

/// Of the events of a timed batch, one in so many has its time in the queue counted.
const SAMPLED: usize = 8;
/// Estimated time of events inside of a batch after which thieves are shown what there is now.
const SHOW_NS: Nanos = 20_000;

/// A color whose handler has panicked.
#[derive(Debug)]
struct Panicked<S> {
    ready: Ready,
    entry: u32,
    is_closing: bool,
    state: S,
}

/// The state of a color while its handler runs; if that panics, the state goes to where it is found afterwards.
struct Held<'a, S> {
    state: Option<S>,
    ready: Ready,
    entry: u32,
    is_closing: bool,
    rescue: &'a mut Option<Panicked<S>>,
}

impl<S> Drop for Held<'_, S> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(state) = self.state.take() {
            let (ready, entry, is_closing) = (self.ready, self.entry, self.is_closing);
            *self.rescue = Some(Panicked { ready, entry, is_closing, state });
        }
    }
}

/// How far a batch has come: what has to survive the panic of a handler.
#[derive(Debug)]
pub(crate) struct Course<S> {
    is_timed: bool,
    /// Events that may run.
    limit: usize,
    /// Colors of the batch whose events have run, or could not.
    done: usize,
    /// Events that have run.
    pub(crate) ran: usize,
    /// Estimated time of those since thieves were shown what there is. Bounds how long a lone color goes on, too.
    unshown_ns: Nanos,
    panicked: Option<Panicked<S>>,
}

impl<S: Send> Course<S> {
    pub(crate) fn new(is_timed: bool, limit: usize) -> Self {
        Self { is_timed, limit, done: 0, ran: 0, unshown_ns: 0, panicked: None }
    }

    /// Runs the events of a batch that have not been run.
    #[inline(always)]
    pub(crate) fn run<P, E: Send>(
        &mut self,
        batch: &[Ready],
        desk: &mut Desk<E, S>,
        program: &mut P,
        scheduler: &mut impl Scheduler,
    ) where
        P: Handler<Event = E, State = S>,
    {
        while let Some(ready) = batch.get(self.done) {
            self.done += 1;
            desk.colors.fetch_ahead(&batch[self.done..]);
            let Some(begun) = desk.begin(*ready) else { continue };
            let shown_ns = self.unshown_ns + u64::from(begun.queued.cost_ns);
            if desk.offers.is_some() && shown_ns >= SHOW_NS {
                // Before a long event, not after it: nobody is shown anything while it runs.
                self.unshown_ns = 0;
                let busy_ns = u64::from(begun.queued.cost_ns);
                desk.refresh_board(scheduler, batch.len() - self.done, busy_ns);
            }
            let is_last = self.done == batch.len();
            self.run_color(*ready, begun, is_last, desk, program, scheduler);
        }
    }

    /// Runs the next event of a color; and the ones after it, if there is nothing else to elect.
    #[inline(always)]
    fn run_color<P, E: Send>(
        &mut self,
        ready: Ready,
        begun: Begun<E, S>,
        is_last: bool,
        desk: &mut Desk<E, S>,
        program: &mut P,
        scheduler: &mut impl Scheduler,
    ) where
        P: Handler<Event = E, State = S>,
    {
        let Begun { entry, state, mut queued } = begun;
        let Some(state) = state.or_else(|| program.new_state(ready.color)) else {
            desk.lost.push((ready.color, queued.stage, queued.event));
            return desk.close(entry, None);
        };
        let rescue = &mut self.panicked;
        let mut held = Held { state: Some(state), ready, entry, is_closing: false, rescue };
        while let Some(state) = &mut held.state {
            let Queued { event, cost_ns, stamp, stage, .. } = queued;
            if self.is_timed && self.ran.is_multiple_of(SAMPLED) {
                desk.stats.queueing.record(stamp.until(desk.now), 1);
            }
            self.unshown_ns += u64::from(cost_ns);
            self.ran += 1;
            let is_closing = &mut held.is_closing;
            let mut cx = Context::new(desk, ready.color, ready.slot, stage, is_closing);
            program.run(&mut cx, state, event);
            let may_go_on = is_last && self.ran < self.limit && self.unshown_ns < SHOW_NS;
            if !may_go_on || held.is_closing || !scheduler.is_empty() {
                break;
            }
            let Some(next) = desk.next_if_alone(ready) else { break };
            queued = next;
        }
        if let Some(state) = held.state.take() {
            end_run(ready, entry, held.is_closing, state, desk, program, scheduler);
        }
    }

    /// A handler has panicked: its color closes or goes on, and so does the batch.
    #[cold]
    pub(crate) fn after_panic<P, E: Send>(
        &mut self,
        payload: Box<dyn Any + Send>,
        desk: &mut Desk<E, S>,
        program: &mut P,
        scheduler: &mut impl Scheduler,
    ) where
        P: Handler<Event = E, State = S>,
    {
        let Some(panicked) = self.panicked.take() else { resume_unwind(payload) };
        let Panicked { ready, entry, mut is_closing, state } = panicked;
        desk.stats.panics += 1;
        is_closing |= program.panicked(ready.color, ready.stage, payload) == AfterPanic::Close;
        end_run(ready, entry, is_closing, state, desk, program, scheduler);
    }
}

/// The handler of a color has returned, or panicked.
#[inline(always)]
fn end_run<P, E: Send, S: Send>(
    ready: Ready,
    entry: u32,
    is_closing: bool,
    state: S,
    desk: &mut Desk<E, S>,
    program: &mut P,
    scheduler: &mut impl Scheduler,
) where
    P: Handler<Event = E, State = S>,
{
    if is_closing {
        desk.close(entry, Some(state));
    } else if let Some(state) = desk.finish(ready, entry, state, scheduler) {
        program.closed(ready.color, state);
    }
}
