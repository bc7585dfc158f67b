//! The loop of a core: poll, deliver, fire, run, offer; and when there is nothing, steal or wait.

use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crossbeam_channel::Receiver;

use crate::admission::Admission;
use crate::context::{Context, Local};
use crate::desk::{Desk, Origin};
use crate::driver::{Driver, Wait};
use crate::event::{CoreId, Nanos, Ready, StageId};
use crate::handler::Handler;
use crate::hub::{Hub, Message, View};
use crate::idle::Spin;
use crate::machine::Config;
use crate::offers::Offers;
use crate::scheduler::Scheduler;
use crate::stats::CoreStats;
use crate::stealer::{Stealer, Theft};

/// Messages taken from other cores in a turn.
const MESSAGES_A_TURN: usize = 256;
/// Time between two calls of [`Handler::turn`] when the core is busy.
const TURN_NS: Nanos = 100_000_000;
/// Events between two timed batches, at least: two looks at the clock cost as much as several events. A prime, so that no
/// stage of a short cycle is missed for ever.
const TIMED_EVENTS: usize = 17;
/// Estimated time of events inside of a batch after which thieves are shown what there is now.
const SHOW_NS: Nanos = 20_000;
/// How long refused colors wait before admission is asked again when nothing else happens, at first and at most.
const RETRY_NS: (Nanos, Nanos) = (1 << 20, 1 << 24);

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something was done, or can be at once.
    Busy,
    /// Nothing can be done before this time, unless an event comes.
    Idle(Option<Nanos>),
    /// The core has ended. Every further turn says so too.
    Over,
}

/// One core of a machine.
#[derive(Debug)]
pub struct Core<E: Send, S: Send> {
    pub(crate) desk: Desk<E, S>,
    pub(crate) inbox: Receiver<Message<E, S>>,
    batch: Vec<Ready>,
    poll_events: usize,
    poll_ns: Nanos,
    spin: Spin,
    /// All that waits was refused, and asked again about at this time.
    retry_at: Option<Nanos>,
    retry_ns: Nanos,
    /// Events run since a batch was timed.
    untimed: usize,
    /// `desk.now` is the end of a batch: the start of the next one.
    is_stamped: bool,
    publish_at: Nanos,
    is_started: bool,
    pub(crate) is_counted: bool,
    pub(crate) is_over: bool,
}

impl<E: Send, S: Send> Core<E, S> {
    pub(crate) fn new(
        id: usize,
        inbox: Receiver<Message<E, S>>,
        hub: Arc<Hub<E, S>>,
        config: &Config,
    ) -> Self {
        Self {
            desk: Desk::new(CoreId(id as u16), hub, config),
            inbox,
            batch: Vec::new(),
            poll_events: config.poll_events,
            poll_ns: config.poll_ns,
            spin: Spin::new(config.spin_ns),
            retry_at: None,
            retry_ns: RETRY_NS.0,
            untimed: 0,
            is_stamped: false,
            publish_at: 0,
            is_started: false,
            is_counted: false,
            is_over: false,
        }
    }

    /// Which core it is.
    #[must_use]
    pub fn id(&self) -> CoreId {
        self.desk.id
    }

    /// Its counters so far.
    #[must_use]
    pub fn stats(&self) -> &CoreStats {
        &self.desk.stats
    }

    /// Runs until the machine has been stopped and no core has a color open.
    ///
    /// # Errors
    /// The driver's, which ends the other cores too; or [`io::ErrorKind::Interrupted`] when another core has failed or was
    /// dropped. Colors that are open then go to [`closed`](Handler::closed), their events to
    /// [`abandoned`](Handler::abandoned).
    pub fn run<P, C, T>(
        mut self,
        program: &mut P,
        mut scheduler: C,
        stealer: &mut T,
    ) -> io::Result<CoreStats>
    where
        P: Admission + Driver<Event = E, State = S> + Handler<Event = E, State = S>,
        C: Scheduler,
        T: Stealer,
    {
        while self.step(program, &mut scheduler, stealer, true)? != Turn::Over {}
        Ok(mem::take(&mut self.desk.stats))
    }

    /// One turn of [`run`](Self::run), without waiting: for tests, and for loops that take turns without pause.
    ///
    /// Such a core never says that it waits, so nobody wakes it: a loop that sleeps on [`Turn::Idle`] sleeps through
    /// events from other cores and threads.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn turn<P, C, T>(
        &mut self,
        program: &mut P,
        scheduler: &mut C,
        stealer: &mut T,
    ) -> io::Result<Turn>
    where
        P: Admission + Driver<Event = E, State = S> + Handler<Event = E, State = S>,
        C: Scheduler,
        T: Stealer,
    {
        self.step(program, scheduler, stealer, false)
    }

    fn step<P, C, T>(
        &mut self,
        program: &mut P,
        scheduler: &mut C,
        stealer: &mut T,
        may_wait: bool,
    ) -> io::Result<Turn>
    where
        P: Admission + Driver<Event = E, State = S> + Handler<Event = E, State = S>,
        C: Scheduler,
        T: Stealer,
    {
        if self.is_over {
            return Ok(Turn::Over);
        }
        let wait = self.begin_turn(program, scheduler, stealer, may_wait);
        let polled = self.poll(program, wait);
        self.end_turn(program, scheduler, wait, polled)
    }

    /// The part of a turn before the driver is polled: says how long the poll may wait.
    pub(crate) fn begin_turn<P, T>(
        &mut self,
        program: &mut P,
        scheduler: &mut impl Scheduler,
        stealer: &mut T,
        may_wait: bool,
    ) -> Wait
    where
        P: Driver<Event = E, State = S> + Handler<Event = E, State = S>,
        T: Stealer,
    {
        self.start(program, stealer);
        self.before_poll(program, scheduler, stealer, may_wait)
    }

    /// Polls the driver.
    pub(crate) fn poll<P>(&mut self, program: &mut P, wait: Wait) -> io::Result<usize>
    where
        P: Driver<Event = E, State = S>,
    {
        program.poll(&mut Local::new(&mut self.desk, Origin::Driver), wait)
    }

    /// The part of a turn after the poll: everything runs here.
    pub(crate) fn end_turn<P>(
        &mut self,
        program: &mut P,
        scheduler: &mut impl Scheduler,
        wait: Wait,
        polled: io::Result<usize>,
    ) -> io::Result<Turn>
    where
        P: Admission + Handler<Event = E, State = S>,
    {
        self.after_poll(wait);
        if let Err(error) = polled {
            self.fail(program);
            return Err(error);
        }
        if self.desk.hub.is_halted() {
            self.fail(program);
            let message = format!("core {} ends because another core did", self.desk.id.0);
            return Err(io::Error::new(io::ErrorKind::Interrupted, message));
        }
        self.receive();
        self.desk.fire_timers();
        self.settle(program, scheduler);
        self.tell_to_stop(program, scheduler);
        if !scheduler.is_empty() {
            self.leave_search();
        }
        let has_run = self.run_batches(program, scheduler);
        self.desk.wake_touched();
        if self.desk.now >= self.publish_at {
            self.publish(program);
        }
        if self.is_stop_complete() {
            return Ok(self.end(program, scheduler));
        }
        Ok(match has_run || !self.is_idle(scheduler) {
            true => Turn::Busy,
            false => Turn::Idle(self.deadline()),
        })
    }

    /// Before the first turn: the driver's waker, and whether anybody will steal.
    fn start<P, T>(&mut self, program: &P, stealer: &T)
    where
        P: Driver<Event = E, State = S>,
        T: Stealer,
    {
        if self.is_started {
            return;
        }
        self.is_started = true;
        self.desk.hub.set_waker(self.desk.id, program.waker());
        self.desk.now = self.desk.hub.clock.now();
        self.publish_at = self.desk.now + TURN_NS;
        if stealer.steals() && self.desk.hub.cores() > 1 {
            self.desk.offers = Some(Offers::new());
        }
    }

    /// Nothing can run before something happens.
    fn is_idle(&self, scheduler: &impl Scheduler) -> bool {
        let has_ready = !scheduler.is_empty() && self.retry_at.is_none();
        !has_ready && self.desk.fresh.is_empty() && self.inbox.is_empty()
    }

    /// There is something to run: others are not to count on this core to find what they offer.
    fn leave_search(&mut self) {
        if self.spin.found() {
            self.desk.hub.station(self.desk.id).parker.rise();
        }
    }

    /// How long the next poll may wait. Announces the wait; [`Self::after_poll`] ends it.
    fn before_poll<P, T>(
        &mut self,
        program: &mut P,
        scheduler: &mut impl Scheduler,
        stealer: &mut T,
        may_wait: bool,
    ) -> Wait
    where
        P: Handler<Event = E, State = S>,
        T: Stealer,
    {
        if !self.is_idle(scheduler) {
            self.leave_search();
            return Wait::No;
        }
        self.desk.now = self.desk.hub.clock.now();
        let may_look = scheduler.is_empty();
        if (may_look && self.spin.goes_on(self.desk.now, &self.desk)) || !may_wait {
            self.steal(scheduler, stealer);
            return Wait::No;
        }
        self.publish(program);
        let id = self.desk.id;
        self.desk.hub.station(id).parker.doze();
        let has_news =
            !self.inbox.is_empty() || self.has_end_news() || self.steal(scheduler, stealer);
        let wait = match self.deadline() {
            _ if has_news => Wait::No,
            Some(at) if at <= self.desk.now => Wait::No,
            Some(at) => Wait::Until(at),
            None => Wait::Forever,
        };
        if wait != Wait::No && self.desk.hub.station(id).parker.park() {
            self.desk.stats.parks += 1;
            return wait;
        }
        self.desk.hub.station(id).parker.rise();
        Wait::No
    }

    /// When there is something to do though nothing comes in.
    fn deadline(&self) -> Option<Nanos> {
        match (self.desk.next_timer(), self.retry_at) {
            (Some(timer), Some(retry)) => Some(timer.min(retry)),
            (timer, retry) => timer.or(retry),
        }
    }

    fn after_poll(&mut self, wait: Wait) {
        let began = self.desk.now;
        self.desk.stats.polls += 1;
        self.is_stamped = false;
        if wait == Wait::No {
            self.desk.now = self.desk.hub.clock.now().max(began);
            self.desk.wake_touched();
            return;
        }
        let was_woken = self.desk.hub.station(self.desk.id).parker.rise();
        self.desk.now = self.desk.hub.clock.now().max(began);
        if was_woken && let Some(at) = self.desk.hub.woken_at(self.desk.id) {
            self.desk.wake_cost.observe(self.desk.now.saturating_sub(at), 1);
        }
        self.spin.waited(self.desk.now - began, self.desk.wake_cost.ns());
        self.desk.wake_touched();
    }

    /// Acts on what other cores have sent: a bounded part of it, but all when told to stop, as it was sent before that.
    fn receive(&mut self) {
        let is_last_call = self.desk.hub.is_stopping() && !self.desk.is_stopping;
        let mut left = if is_last_call { usize::MAX } else { MESSAGES_A_TURN };
        while left > 0 && !self.inbox.is_empty() {
            let Ok(message) = self.inbox.try_recv() else { return };
            self.desk.deliver(message);
            left -= 1;
        }
    }

    /// Moves what has become ready into the scheduler, and gives what was left behind to the program.
    #[inline]
    pub(crate) fn settle<P>(&mut self, program: &mut P, scheduler: &mut impl Scheduler)
    where
        P: Handler<Event = E, State = S>,
    {
        self.desk.push_fresh(scheduler);
        if self.desk.lost.is_empty() && self.desk.ended.is_empty() {
            return;
        }
        self.desk.stats.abandoned += self.desk.lost.len() as u64;
        for (color, stage, event) in self.desk.lost.drain(..) {
            program.abandoned(color, stage, event);
        }
        for (color, state) in self.desk.ended.drain(..) {
            program.closed(color, state);
        }
    }

    /// Runs batches until nothing is left, or it is time to poll. True if any ran.
    fn run_batches<P>(&mut self, program: &mut P, scheduler: &mut impl Scheduler) -> bool
    where
        P: Admission + Handler<Event = E, State = S>,
    {
        scheduler.permits_returned();
        let (mut events, mut spent_ns) = (0, 0);
        let mut is_refused = false;
        while events < self.poll_events && spent_ns < self.poll_ns {
            self.desk.refresh_board(scheduler, 0);
            let mut batch = mem::take(&mut self.batch);
            batch.clear();
            let elected = scheduler.elect(program, self.poll_events - events, &mut batch);
            let Some(stage) = elected else {
                // What a scheduler leaves in a batch that it did not elect is still to run.
                self.desk.fresh.append(&mut batch);
                self.batch = batch;
                is_refused = !scheduler.is_empty();
                break;
            };
            let (ran, ns) = self.run_batch(program, scheduler, stage, &batch);
            self.batch = batch;
            events += ran.max(1);
            spent_ns += ns;
            self.settle(program, scheduler);
            self.desk.wake_touched();
            scheduler.permits_returned();
        }
        self.note_refusal(is_refused, events > 0);
        events > 0
    }

    /// Runs the events of one batch, and tells how many there were and how long they took, as measured or estimated.
    fn run_batch<P>(
        &mut self,
        program: &mut P,
        scheduler: &mut impl Scheduler,
        stage: StageId,
        batch: &[Ready],
    ) -> (usize, Nanos)
    where
        P: Admission + Handler<Event = E, State = S>,
    {
        self.untimed += batch.len();
        let is_timed = self.untimed >= TIMED_EVENTS;
        if is_timed && !self.is_stamped {
            self.desk.now = self.desk.hub.clock.now();
        }
        let start = self.desk.now;
        let (mut ran, mut unshown_ns) = (0, 0);
        for (done, ready) in batch.iter().enumerate() {
            if unshown_ns >= SHOW_NS {
                unshown_ns = 0;
                self.desk.refresh_board(scheduler, batch.len() - done);
            }
            let Some(cost_ns) = self.run_event(program, *ready) else { continue };
            unshown_ns += u64::from(cost_ns);
            ran += 1;
        }
        program.batch_end(stage);
        self.desk.stats.events += ran as u64;
        self.desk.stats.batches += 1;
        self.is_stamped = is_timed;
        let Some(cost) = self.desk.stages.get_mut(stage.index()) else { return (ran, 0) };
        if !is_timed {
            return (ran, cost.estimate.ns() * ran as u64);
        }
        self.untimed = 0;
        self.desk.now = self.desk.hub.clock.now();
        let took_ns = self.desk.now.saturating_sub(start);
        cost.estimate.observe(took_ns, ran);
        (ran, took_ns)
    }

    /// Runs the first event of a color, and tells its estimated cost; `None` if there was none to run.
    #[inline]
    fn run_event<P>(&mut self, program: &mut P, ready: Ready) -> Option<u32>
    where
        P: Handler<Event = E, State = S>,
    {
        let (mut record, queued) = self.desk.begin(ready)?;
        let (head, state) = (&mut record.head, &mut record.state);
        let mut cx = Context::new(&mut self.desk, head, queued.stage);
        let run = AssertUnwindSafe(|| program.run(&mut cx, state, queued.event));
        if catch_unwind(run).is_err() {
            self.desk.stats.panics += 1;
            record.head.is_closing = true;
        }
        self.desk.finish(ready.slot, record);
        Some(queued.cost_ns)
    }

    /// If all that waits was refused, it is not asked about again before something happens, or some time passes.
    fn note_refusal(&mut self, is_refused: bool, has_run: bool) {
        if has_run {
            self.retry_ns = RETRY_NS.0;
            self.desk.stats.refused_stolen = 0;
        }
        self.retry_at = is_refused.then_some(self.desk.now.saturating_add(self.retry_ns));
        if is_refused {
            self.desk.stats.refusals += 1;
            self.desk.stats.refused_stolen = self.desk.held();
            self.retry_ns = (self.retry_ns * 2).min(RETRY_NS.1);
        }
    }

    /// Plans a theft and makes it. True if a color was stolen. A core whose work was refused would only gather more that
    /// it cannot run.
    fn steal<T: Stealer>(&mut self, scheduler: &mut impl Scheduler, stealer: &mut T) -> bool {
        let hub = Arc::clone(&self.desk.hub);
        if self.desk.offers.is_none() || hub.is_stopping() || !scheduler.is_empty() {
            return false;
        }
        let id = self.desk.id;
        let view = View { hub: &hub, steal_cost_ns: self.desk.steal_cost.ns() };
        let Some(Theft { victim, slot, color }) = stealer.plan(id, &view) else { return false };
        if victim == id || victim.index() >= hub.cores() || slot >= crate::board::SLOTS {
            self.desk.stats.nonsense += 1;
            return false;
        }
        let start = hub.clock.now();
        let Some(record) = hub.station(victim).board.take(slot, color, id) else {
            self.desk.stats.misses += 1;
            return false;
        };
        self.desk.adopt(record);
        self.desk.push_fresh(scheduler);
        let took_ns = hub.clock.now().saturating_sub(start);
        self.desk.steal_cost.observe(took_ns, 1);
        self.desk.stats.thefts += 1;
        true
    }

    pub(crate) fn publish<P: Handler<Event = E, State = S>>(&mut self, program: &mut P) {
        self.publish_at = self.desk.now.saturating_add(TURN_NS);
        self.desk.note_costs();
        program.turn(&self.desk.stats);
    }
}

impl<E: Send, S: Send> Drop for Core<E, S> {
    fn drop(&mut self) {
        // Others would wait for ever for a core that ends before its time, in a panic of the driver for example.
        if !self.is_over {
            self.desk.hub.halt();
        }
    }
}
