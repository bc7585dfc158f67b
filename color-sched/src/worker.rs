//! The loop of a core: poll, deliver, fire, run, offer; and when there is nothing, steal or wait.

use std::io;
use std::mem;
use std::sync::Arc;
use std::vec;

use crossbeam_channel::Receiver;

use crate::admission::Admission;
use crate::batches::Batches;
use crate::context::Local;
use crate::desk::{Desk, Origin};
use crate::driver::{Driver, Wait};
use crate::event::{CoreId, Nanos};
use crate::handler::Handler;
use crate::hub::{Hub, Message, Parcel};
use crate::idle::Spin;
use crate::machine::Config;
use crate::scheduler::Scheduler;
use crate::stats::CoreStats;
use crate::stealer::Stealer;
use crate::trace::{Doing, Span};

/// Messages taken from other cores in a turn.
const MESSAGES_A_TURN: usize = 256;
/// Time between two calls of [`Handler::turn`] when the core is busy.
const TURN_NS: Nanos = 100_000_000;
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
    inbox: Receiver<Parcel<E, S>>,
    /// The messages of a parcel that are still to be acted on.
    arrived: vec::IntoIter<Message<E, S>>,
    batches: Batches,
    spin: Spin,
    /// All that waits was refused, and asked again about at this time.
    retry_at: Option<Nanos>,
    retry_ns: Nanos,
    publish_at: Nanos,
    is_started: bool,
    pub(crate) is_counted: bool,
    pub(crate) is_over: bool,
}

impl<E: Send, S: Send> Core<E, S> {
    pub(crate) fn new(
        id: usize,
        inbox: Receiver<Parcel<E, S>>,
        hub: Arc<Hub<E, S>>,
        config: &Config,
    ) -> Self {
        Self {
            desk: Desk::new(CoreId(id as u16), hub, config),
            inbox,
            arrived: Vec::new().into_iter(),
            batches: Batches::new(config),
            spin: Spin::new(config.spin_ns),
            retry_at: None,
            retry_ns: RETRY_NS.0,
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
        self.desk.is_stale = wait != Wait::No;
        let polled = program.poll(&mut Local::new(&mut self.desk, Origin::Driver), wait);
        self.desk.is_stale = false;
        polled
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
        self.hand_over(program, scheduler);
        self.tell_to_stop(program, scheduler);
        if !scheduler.is_empty() {
            self.leave_search();
        }
        let has_run = self.run_batches(program, scheduler);
        self.desk.publish();
        if self.desk.now >= self.publish_at {
            // A core that never waits must not believe for ever that nothing is worth a theft, or a wake.
            self.desk.relax_costs();
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
        self.publish_at = self.desk.now.saturating_add(TURN_NS);
        if stealer.steals() && self.desk.hub.cores() > 1 {
            self.desk.begin_offering();
        }
        // What was opened before the first poll is open for it.
        self.receive();
    }

    /// Nothing can run before something happens.
    fn is_idle(&self, scheduler: &impl Scheduler) -> bool {
        let has_ready = !scheduler.is_empty() && self.retry_at.is_none();
        let has_more = self.desk.fresh.len() + self.desk.reserve.len() > 0;
        !has_ready && !has_more && self.has_no_mail()
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
        if !may_wait && may_look {
            self.spin.search_for_ever(&self.desk);
        }
        if (may_look && self.spin.goes_on(self.desk.now, &self.desk)) || !may_wait {
            self.steal(scheduler, stealer);
            return Wait::No;
        }
        self.publish(program);
        let id = self.desk.id;
        self.desk.hub.station(id).parker.doze();
        let has_news = !self.has_no_mail() || self.has_end_news() || self.steal(scheduler, stealer);
        let wait = match self.deadline() {
            _ if has_news => Wait::No,
            Some(at) if at <= self.desk.now => Wait::No,
            Some(at) => Wait::Until(at),
            None => Wait::Forever,
        };
        if wait != Wait::No && self.desk.hub.station(id).parker.park() {
            self.desk.stats.parks += 1;
            self.desk.relax_costs();
            return wait;
        }
        self.desk.hub.station(id).parker.rise();
        Wait::No
    }

    /// When there is something to do though nothing comes in.
    fn deadline(&self) -> Option<Nanos> {
        match (self.desk.wheel.next_deadline(), self.retry_at) {
            (Some(timer), Some(retry)) => Some(timer.min(retry)),
            (timer, retry) => timer.or(retry),
        }
    }

    fn after_poll(&mut self, wait: Wait) {
        let began = self.desk.now;
        self.desk.stats.polls += 1;
        if wait == Wait::No {
            self.desk.now = self.desk.hub.clock.now().max(began);
            self.desk.publish();
            return;
        }
        let was_woken = self.desk.hub.station(self.desk.id).parker.rise();
        self.desk.now = self.desk.hub.clock.now().max(began);
        if was_woken && let Some(at) = self.desk.hub.woken_at(self.desk.id) {
            self.desk.wake_cost.observe_alone(self.desk.now.saturating_sub(at));
        }
        self.spin.waited(self.desk.now - began, self.desk.wake_cost.ns());
        self.record(began, Doing::Wait);
        self.desk.publish();
    }

    /// Acts on what other cores have sent: a bounded part of it, but all when told to stop, as it was sent before that.
    fn receive(&mut self) {
        let is_last_call = self.desk.hub.is_stopping() && !self.desk.is_stopping;
        let mut left = if is_last_call { usize::MAX } else { MESSAGES_A_TURN };
        // What is sent from now on is for the next turn.
        let mut parcels = self.inbox.len();
        while left > 0 {
            if self.arrived.len() == 0 {
                let Some(others) = parcels.checked_sub(1) else { return };
                parcels = others;
            }
            let Some(message) = self.next_message() else { return };
            self.desk.deliver(message);
            left -= 1;
        }
    }

    /// The next message from another core or thread.
    pub(crate) fn next_message(&mut self) -> Option<Message<E, S>> {
        loop {
            if let Some(message) = self.arrived.next() {
                return Some(message);
            }
            match self.inbox.try_recv().ok()? {
                Parcel::One(message) => return Some(message),
                Parcel::Many(messages) => self.arrived = messages.into_iter(),
            }
        }
    }

    /// Has everything been acted on that others have sent so far?
    pub(crate) fn has_no_mail(&self) -> bool {
        self.arrived.len() == 0 && self.inbox.is_empty()
    }

    /// Moves what has become ready into the scheduler, and gives what was left behind to the program.
    pub(crate) fn hand_over<P>(&mut self, program: &mut P, scheduler: &mut impl Scheduler)
    where
        P: Handler<Event = E, State = S>,
    {
        self.desk.hand_over(program, scheduler);
    }

    /// Runs batches until nothing is left, or it is time to poll. True if any ran.
    fn run_batches<P>(&mut self, program: &mut P, scheduler: &mut impl Scheduler) -> bool
    where
        P: Admission + Handler<Event = E, State = S>,
    {
        let ran = self.batches.run(&mut self.desk, program, scheduler);
        self.note_refusal(ran.is_refused, ran.has_run);
        ran.has_run
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

    /// Records what was done from `start` until now.
    pub(crate) fn record(&self, start: Nanos, doing: Doing) {
        let end = self.desk.now.max(start);
        self.desk.hub.record(self.desk.id, Span { start, end, doing });
    }

    pub(crate) fn publish<P: Handler<Event = E, State = S>>(&mut self, program: &mut P) {
        self.publish_at = self.desk.now.saturating_add(TURN_NS);
        self.desk.hub.slow_downs().pass(self.desk.now);
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
