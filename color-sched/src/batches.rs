//! What runs between two polls? Batches, each of one stage, until nothing is left or it is time to look at the driver.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::admission::Admission;
use crate::course::Course;
use crate::desk::Desk;
use crate::event::{Nanos, Ready, StageId};
use crate::handler::Handler;
use crate::machine::Config;
use crate::scheduler::Scheduler;
use crate::theft::Trial;
use crate::trace::{Doing, Span};

/// Events from one timed batch to the next, as aimed at; a lone color may run one batch's worth beyond. Two looks at the
/// clock cost as much as several events. A prime, so that no stage of a short cycle is missed for ever.
const TIMED_EVENTS: usize = 61;
/// Estimated time between two timed batches, at most.
const TIMED_NS: Nanos = 10_000;

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
        desk.open_board(scheduler);
        let (mut events, mut spent_ns) = (0, 0);
        // The time of the last poll is the start of the first batch.
        let mut is_stamped = true;
        while events < self.poll_events && spent_ns < self.poll_ns {
            desk.tend_board(scheduler);
            desk.tend_reserve(scheduler);
            self.batch.clear();
            let elected = scheduler.elect(program, self.poll_events - events, &mut self.batch);
            let Some(stage) = elected else {
                // What a scheduler leaves in a batch that it did not elect is still to run.
                desk.fresh.append(&mut self.batch);
                return Ran { has_run: events > 0, is_refused: !scheduler.is_empty() };
            };
            desk.leave_to_thieves(scheduler, stage, &mut self.batch);
            if self.batch.is_empty() {
                continue;
            }
            let trial = desk.trial.take().filter(|it| it.is_alone_in(&self.batch, stage));
            let is_timed = self.is_timed() || trial.is_some() || desk.is_unknown(stage);
            if is_timed && !is_stamped {
                desk.now = desk.hub.clock.now().max(desk.now);
            }
            let limit = self.poll_events - events;
            let ran = self.run_batch(desk, program, scheduler, stage, is_timed, limit);
            events += ran.max(1);
            let took_ns = match is_timed {
                true => self.end_timed(desk, stage, ran, trial),
                false => self.end_untimed(desk, stage, ran),
            };
            spent_ns += took_ns;
            desk.pace.pass(took_ns);
            is_stamped = is_timed;
            desk.hand_over(program, scheduler);
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
        let mut course = Course::new(is_timed, limit);
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
        trial: Option<Trial>,
    ) -> Nanos {
        let start = desk.now;
        let end = desk.hub.clock.now().max(start);
        desk.now = end;
        (self.untimed, self.untimed_ns) = (0, 0);
        match trial {
            Some(trial) => desk.learn_away(&trial, end - start, ran),
            None => desk.learn(stage, end - start, ran),
        }
        if let Some(mean) = (end - start).checked_div(ran as u64) {
            desk.stats.running.record(mean, ran as u64);
        }
        if self.is_traced {
            desk.hub.record(desk.id, Span { start, end, doing: Doing::Batch(stage, ran) });
        }
        end - start
    }
}
