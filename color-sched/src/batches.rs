//! What runs between two polls? Batches, each of one stage, until nothing is left or it is time to look at the driver.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::admission::Admission;
use crate::context::Context;
use crate::desk::Desk;
use crate::event::{Nanos, Ready, StageId};
use crate::handler::{AfterPanic, Handler};
use crate::machine::Config;
use crate::record::Queued;
use crate::running::Begun;
use crate::scheduler::Scheduler;
use crate::trace::{Doing, Span};

/// Events between two timed batches, at most: two looks at the clock cost as much as several events. A prime, so that no
/// stage of a short cycle is missed for ever.
const TIMED_EVENTS: usize = 61;
/// Estimated time between two timed batches, at most.
const TIMED_NS: Nanos = 10_000;
/// Of the events of a timed batch, one in so many has its time in the queue counted.
const SAMPLED: usize = 8;
/// Estimated time of events inside of a batch after which thieves are shown what there is now.
const SHOW_NS: Nanos = 20_000;

/// The limits of a core, and where it stands.
#[derive(Debug)]
pub(crate) struct Batches {
    poll_events: usize,
    poll_ns: Nanos,
    batch: Vec<Ready>,
    /// Events run since a batch was timed, and their estimated time.
    untimed: usize,
    untimed_ns: Nanos,
    /// Every batch is timed, and recorded.
    is_traced: bool,
}

/// What came of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ran {
    pub(crate) has_run: bool,
    /// Colors wait, and all of them were refused.
    pub(crate) is_refused: bool,
}

impl Batches {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            poll_events: config.poll_events,
            poll_ns: config.poll_ns,
            batch: Vec::new(),
            untimed: 0,
            untimed_ns: 0,
            is_traced: config.trace > 0,
        }
    }

    /// Runs batches until nothing is left, or it is time to poll.
    pub(crate) fn run<P, E: Send, S: Send>(
        &mut self,
        desk: &mut Desk<E, S>,
        program: &mut P,
        scheduler: &mut impl Scheduler,
    ) -> Ran
    where
        P: Admission + Handler<Event = E, State = S>,
    {
        scheduler.permits_returned();
        let (mut events, mut spent_ns) = (0, 0);
        // The time of the last poll is the start of the first batch.
        let mut is_stamped = true;
        while events < self.poll_events && spent_ns < self.poll_ns {
            if desk.offers.is_some() {
                desk.refresh_board(scheduler, 0);
            }
            self.batch.clear();
            let elected = scheduler.elect(program, self.poll_events - events, &mut self.batch);
            let Some(stage) = elected else {
                // What a scheduler leaves in a batch that it did not elect is still to run.
                desk.fresh.append(&mut self.batch);
                return Ran { has_run: events > 0, is_refused: !scheduler.is_empty() };
            };
            let is_timed = self.is_timed() || desk.is_unknown(stage);
            if is_timed && !is_stamped {
                desk.now = desk.hub.clock.now().max(desk.now);
            }
            let limit = self.poll_events - events;
            let ran = self.run_batch(desk, program, scheduler, stage, is_timed, limit);
            events += ran.max(1);
            spent_ns += match is_timed {
                true => self.end_timed(desk, stage, ran),
                false => self.end_untimed(desk, stage, ran),
            };
            is_stamped = is_timed;
            desk.settle(program, scheduler);
            desk.publish();
            scheduler.permits_returned();
        }
        Ran { has_run: events > 0, is_refused: false }
    }

    #[inline]
    fn is_timed(&self) -> bool {
        let is_due = self.untimed + self.batch.len() >= TIMED_EVENTS || self.untimed_ns >= TIMED_NS;
        is_due || self.is_traced
    }

    /// Runs the events of the batch, and tells how many there were.
    #[inline]
    fn run_batch<P, E: Send, S: Send>(
        &mut self,
        desk: &mut Desk<E, S>,
        program: &mut P,
        scheduler: &mut impl Scheduler,
        stage: StageId,
        is_timed: bool,
        limit: usize,
    ) -> usize
    where
        P: Admission + Handler<Event = E, State = S>,
    {
        let mut course = Course { is_timed, limit, done: 0, ran: 0, unshown_ns: 0, panicked: None };
        loop {
            let run = || course.run(&self.batch, desk, program, scheduler);
            let Err(payload) = catch_unwind(AssertUnwindSafe(run)) else { break };
            course.after_panic(payload, desk, program, scheduler);
        }
        program.batch_end(stage);
        desk.stats.events += course.ran as u64;
        desk.stats.batches += 1;
        course.ran
    }

    /// Estimates how long a batch took that was not timed.
    #[inline]
    fn end_untimed<E: Send, S: Send>(
        &mut self,
        desk: &Desk<E, S>,
        stage: StageId,
        ran: usize,
    ) -> Nanos {
        let took_ns = ran as u64 * desk.cost_ns(stage);
        self.untimed += ran;
        self.untimed_ns += took_ns;
        took_ns
    }

    /// Learns from a batch that began at `desk.now`, and tells how long it took.
    #[cold]
    fn end_timed<E: Send, S: Send>(
        &mut self,
        desk: &mut Desk<E, S>,
        stage: StageId,
        ran: usize,
    ) -> Nanos {
        let start = desk.now;
        let end = desk.hub.clock.now().max(start);
        desk.now = end;
        (self.untimed, self.untimed_ns) = (0, 0);
        desk.learn(stage, end - start, ran);
        if let Some(mean) = (end - start).checked_div(ran as u64) {
            desk.stats.running.record(mean, ran as u64);
        }
        if self.is_traced {
            desk.hub.record(desk.id, Span { start, end, doing: Doing::Batch(stage, ran) });
        }
        end - start
    }
}

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
struct Course<S> {
    is_timed: bool,
    /// Events that may run.
    limit: usize,
    /// Colors of the batch whose events have run, or could not.
    done: usize,
    ran: usize,
    unshown_ns: Nanos,
    panicked: Option<Panicked<S>>,
}

impl<S: Send> Course<S> {
    /// Runs the events of a batch that have not been run.
    #[inline(always)]
    fn run<P, E: Send>(
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
            let Some(begun) = desk.begin(*ready) else { continue };
            let shown_ns = self.unshown_ns + u64::from(begun.queued.cost_ns);
            if desk.offers.is_some() && shown_ns >= SHOW_NS {
                // Before a long event, not after it: nobody is shown anything while it runs.
                self.unshown_ns = 0;
                desk.refresh_board(scheduler, batch.len() - self.done);
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
        let Some(state) = state.or_else(|| program.state(ready.color)) else {
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
    fn after_panic<P, E: Send>(
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
