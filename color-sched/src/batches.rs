//! What runs between two polls? Batches, each of one stage, until nothing is left or it is time to look at the driver.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::admission::Admission;
use crate::context::Context;
use crate::desk::Desk;
use crate::event::{Nanos, Ready, StageId};
use crate::handler::{AfterPanic, Handler};
use crate::machine::Config;
use crate::running::Begun;
use crate::scheduler::Scheduler;
use crate::trace::{Doing, Span};

/// Events between two timed batches, at most: two looks at the clock cost as much as several events. A prime, so that no
/// stage of a short cycle is missed for ever.
const TIMED_EVENTS: usize = 61;
/// Estimated time between two timed batches, at most.
const TIMED_NS: Nanos = 10_000;
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
            events += self.batch.len().max(1);
            self.untimed += self.batch.len();
            let is_timed = self.is_timed() || desk.is_unknown(stage);
            if is_timed && !is_stamped {
                desk.now = desk.hub.clock.now().max(desk.now);
            }
            let took_ns = self.run_batch(desk, program, scheduler, stage, is_timed);
            is_stamped = is_timed;
            spent_ns += took_ns;
            desk.settle(program, scheduler);
            desk.publish();
            scheduler.permits_returned();
        }
        Ran { has_run: events > 0, is_refused: false }
    }

    #[inline]
    fn is_timed(&self) -> bool {
        self.untimed >= TIMED_EVENTS || self.untimed_ns >= TIMED_NS || self.is_traced
    }

    /// Runs the events of the batch, and tells how long they took, as measured or estimated.
    #[inline]
    fn run_batch<P, E: Send, S: Send>(
        &mut self,
        desk: &mut Desk<E, S>,
        program: &mut P,
        scheduler: &mut impl Scheduler,
        stage: StageId,
        is_timed: bool,
    ) -> Nanos
    where
        P: Admission + Handler<Event = E, State = S>,
    {
        let (mut ran, mut unshown_ns) = (0, 0);
        for (done, ready) in self.batch.iter().enumerate() {
            if unshown_ns >= SHOW_NS && desk.offers.is_some() {
                unshown_ns = 0;
                desk.refresh_board(scheduler, self.batch.len() - done);
            }
            let Some(begun) = desk.begin(*ready) else { continue };
            unshown_ns += u64::from(begun.queued.cost_ns);
            ran += 1;
            if is_timed {
                desk.stats.queueing.record(begun.queued.stamp.until(desk.now), 1);
            }
            run_event(desk, program, scheduler, *ready, begun);
        }
        program.batch_end(stage);
        desk.stats.events += ran as u64;
        desk.stats.batches += 1;
        if is_timed {
            return self.end_timed(desk, stage, ran);
        }
        let took_ns = ran as u64 * desk.cost_ns(stage);
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

/// Runs one event of a color.
#[inline(always)]
fn run_event<P, E: Send, S: Send>(
    desk: &mut Desk<E, S>,
    program: &mut P,
    scheduler: &mut impl Scheduler,
    ready: Ready,
    begun: Begun<E, S>,
) where
    P: Handler<Event = E, State = S>,
{
    let Begun { entry, state, queued } = begun;
    let color = ready.color;
    let Some(mut state) = state.or_else(|| program.state(color)) else {
        desk.lost.push((color, queued.stage, queued.event));
        return desk.close(entry, None);
    };
    let mut cx = Context::new(desk, color, ready.slot, queued.stage);
    let run = AssertUnwindSafe(|| program.run(&mut cx, &mut state, queued.event));
    let ended = catch_unwind(run);
    let mut is_closing = cx.is_closing;
    if let Err(payload) = ended {
        desk.stats.panics += 1;
        is_closing |= program.panicked(color, queued.stage, payload) == AfterPanic::Close;
    }
    if is_closing {
        desk.close(entry, Some(state));
    } else if let Some(state) = desk.finish(ready, entry, state, scheduler) {
        program.closed(color, state);
    }
}
