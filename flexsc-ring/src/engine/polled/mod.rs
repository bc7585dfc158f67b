//! The part that `Direct` and `Threads` share: calls are tried without waiting, and those that
//! would wait are parked on an epoll until their descriptor is ready (FlexSC §7).

mod attempt;
pub(super) mod exec;
mod programs;
mod watch;

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use self::attempt::make;
use self::exec::Exec;
use self::watch::{Event, HANG_UP, Watch};
use super::GRACE;
use super::course::{Course, UnderWay};
use crate::buffer::PoolOwner;
use crate::call::{Buffer, Call};
use crate::chain::refusal;
use crate::chains::Chains;
use crate::completions::Endings;
use crate::fallback::{Reason, Stats};
use crate::op::{CANCELED, Direction, Op, apart, poll_events, ret_of};
use crate::options::{Engine, Options, Report, RingError};
use crate::result::{Cancelled, Completion, PostError, Ticket};
use crate::slots::{Slots, Stage};
use crate::sys;
use crate::syscall_threads::Stopping;
use crate::timers::Timers;
use crate::waker::Waker;

/// Waits in a row that may leave the epoll alone because there is something to reap anyway.
const MOST_SKIPS: u32 = 8;
/// Calls in line that one turn tries again.
const MOST_RETRIES: usize = 64;

/// The engine, but for who runs the calls.
pub(super) struct Polled<B: Buffer, X> {
    exec: X,
    watch: Watch,
    pool: PoolOwner,
    slots: Slots<B>,
    chains: Chains<B>,
    ready: VecDeque<u64>,
    starved: VecDeque<u64>,
    timers: Timers,
    done: Endings<B>,
    events: Vec<Event>,
    orphans: Vec<u32>,
    poked: Vec<u32>,
    skips: u32,
    waker: Waker,
    stats: Stats,
    pub(super) report: Report,
    _not_send: PhantomData<*mut ()>,
}

impl<B: Buffer, X: Exec> Polled<B, X> {
    pub(super) fn new(
        options: &Options,
        engine: Engine,
        make: impl FnOnce(&Waker) -> Result<X, RingError>,
    ) -> Result<Self, RingError> {
        options.check()?;
        let at = |step| move |source| RingError::Descriptor { step, source };
        let waker = Waker::new().map_err(at("eventfd"))?;
        let watch = Watch::new(&waker).map_err(at("epoll"))?;
        let bytes = options.pool_buffer_bytes;
        let pool =
            PoolOwner::new(options.pool_buffers, bytes, waker.clone()).map_err(|source| {
                RingError::Pool { bytes: bytes * usize::from(options.pool_buffers), source }
            })?;
        Ok(Polled {
            exec: make(&waker)?,
            watch,
            pool,
            slots: Slots::new(options.in_flight),
            chains: Chains::new(),
            ready: VecDeque::new(),
            starved: VecDeque::new(),
            timers: Timers::default(),
            done: Endings::new(),
            events: Vec::new(),
            orphans: Vec::new(),
            poked: Vec::new(),
            skips: 0,
            waker,
            stats: Stats::default(),
            report: options.report(engine),
            _not_send: PhantomData,
        })
    }

    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = self.stats;
        self.exec.tally(&mut stats);
        stats
    }

    pub(super) fn in_flight(&self) -> usize {
        self.stats.in_flight() + self.done.ended()
    }

    #[inline]
    pub(super) fn submit(&mut self, mut call: Call<B>, user: u64) -> Result<Ticket, PostError<B>> {
        if self.stats.in_flight() >= self.slots.limit() {
            return Err(PostError::Full(call, self.slots.limit()));
        }
        if let Some(refusal) = refusal(&mut call) {
            return Err(refusal.of(call));
        }
        if let Call::Chain(chain) = call {
            return self.submit_chain(chain, user);
        }
        let mut vacancy = self.slots.vacancy();
        let shape = apart(call, vacancy.room());
        let (index, slot) = vacancy.fill(shape, user);
        let ticket = Ticket::new(slot.ticket(index));
        self.stats.submitted += 1;
        if !slot.simple.get() {
            self.begin(index);
        } else if let Some(ret) = make(&mut self.exec, index, slot) {
            self.stats.enters += 1;
            self.outcome(index, ret);
        }
        Ok(ticket)
    }

    /// Sends a new call on its way.
    fn begin(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if slot.simple.get() {
            return self.start(index);
        }
        if let Some((fd, _)) = slot.op().waits_on() {
            slot.closings.set(self.watch.closings(fd));
        }
        match slot.op() {
            Op::Accept { listener, multishot } => {
                let multishot = *multishot;
                if let Err(error) = sys::set_nonblocking(*listener) {
                    return self.end(index, ret_of(&error));
                }
                if multishot { self.park(index) } else { self.attempt(index) }
            }
            Op::Recv { multishot: true, .. } | Op::Poll { .. } => self.park(index),
            Op::Close { fd } => {
                let fd = fd.as_ref().map_or(-1, AsRawFd::as_raw_fd);
                self.forget(fd);
                self.attempt(index);
            }
            Op::Timeout { .. } => {
                slot.stage.set(Stage::Parked);
                if let Some(at) = slot.op().start_timer() {
                    self.timers.add(at, index);
                }
            }
            op => {
                op.make_nonblocking();
                match op.waits_on() {
                    // Behind the others, so that bytes keep their order.
                    Some((fd, Direction::Out))
                        if !self.watch.waiting(fd, Direction::Out).is_empty() =>
                    {
                        slot.stage.set(Stage::Parked);
                        slot.linked.set(true);
                        self.watch.link(fd, Direction::Out, index);
                    }
                    _ => self.attempt(index),
                }
            }
        }
    }

    /// The call's descriptor has been closed through this ring since the call was posted: its
    /// number stands for nothing now, or for another file.
    pub(super) fn is_stale(&self, index: u32) -> bool {
        let slot = self.slots.at(index);
        let now = slot.op().waits_on().map(|(fd, _)| self.watch.closings(fd));
        now.is_some_and(|now| now != slot.closings.get())
    }

    /// Parks a call until its descriptor is ready.
    pub(super) fn park(&mut self, index: u32) {
        if self.is_stale(index) {
            return self.end(index, CANCELED);
        }
        let slot = self.slots.at(index);
        let Some((fd, direction)) = slot.op().waits_on() else { return };
        if slot.linked.get() {
            // It was on the list all the time; an edge may have come while it ran.
            if slot.mark.get() {
                return self.line_up(index);
            }
            slot.stage.set(Stage::Parked);
            return;
        }
        self.stats.enters += 1;
        let armed = self.watch.arm(fd, direction, &mut self.orphans);
        self.end_orphans();
        match armed {
            Ok(()) => {
                let slot = self.slots.at(index);
                slot.stage.set(Stage::Parked);
                slot.linked.set(true);
                self.watch.link(fd, direction, index);
            }
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => self.never_waits(index),
            Err(error) => self.end(index, ret_of(&error)),
        }
    }

    /// The descriptor is of a kind that is always ready.
    fn never_waits(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if let Op::Poll { interest, .. } = slot.op() {
            let bits = poll_events(*interest) & (libc::POLLIN | libc::POLLOUT) as u32;
            return self.end(index, i64::from(bits));
        }
        slot.stage.set(Stage::Ready);
        slot.with_op_mut(Op::make_plain);
        self.attempt(index);
    }

    /// Puts a call into the line of those to be tried again.
    pub(super) fn line_up(&mut self, index: u32) {
        self.slots.at(index).stage.set(Stage::Ready);
        self.ready.push_back(self.slots.ticket(index));
    }

    /// A descriptor goes, or has come anew: nobody can wait on what it was.
    pub(super) fn forget(&mut self, fd: i32) {
        self.watch.forget(fd, &mut self.orphans);
        self.end_orphans();
    }

    fn end_orphans(&mut self) {
        while let Some(index) = self.orphans.pop() {
            let slot = self.slots.at(index);
            slot.linked.set(false);
            if slot.stage.get() == Stage::Running {
                slot.cancelled.set(true);
            } else {
                self.end(index, CANCELED);
            }
        }
    }

    pub(super) fn reap(&mut self, sink: &mut impl FnMut(Completion<B>)) -> usize {
        self.done.drain(&mut self.slots, sink)
    }

    pub(super) fn wait(&mut self, until: Option<Duration>) -> io::Result<()> {
        self.turn();
        self.exec.publish();
        let mut left = until;
        if self.done.is_empty() && until != Some(Duration::ZERO) {
            let start = until.map(|_| Instant::now());
            self.exec.linger(until.unwrap_or(Duration::MAX));
            self.turn();
            self.exec.publish();
            let spent = start.map(|start| start.elapsed()).unwrap_or_default();
            left = until.map(|until| until.saturating_sub(spent));
        }
        let busy = !self.done.is_empty() || !self.ready.is_empty();
        if busy && self.skips < MOST_SKIPS {
            self.skips += 1;
            self.waker.epoch().pass();
            return Ok(());
        }
        self.skips = 0;
        let result = self.look(if busy { Some(Duration::ZERO) } else { left });
        self.turn();
        self.exec.publish();
        result
    }

    /// Takes in what has changed without a look at the epoll.
    fn turn(&mut self) {
        self.ring_timers();
        self.collect();
        self.feed();
        for _ in 0..MOST_RETRIES {
            let Some(ticket) = self.ready.pop_front() else { break };
            if let Some(index) = self.slots.find_in(ticket, Stage::Ready) {
                self.attempt(index);
            }
        }
        self.go_on();
    }

    /// Looks at the epoll, sleeping if it may, and deals with its events.
    fn look(&mut self, until: Option<Duration>) -> io::Result<()> {
        let hungry = !self.starved.is_empty();
        let awake = until == Some(Duration::ZERO) || hungry && !self.pool.hunger();
        let again = self.exec.look_again();
        let sleep = !awake && self.waker.epoch().arm();
        let timeout = match until {
            _ if !sleep => Some(Duration::ZERO),
            _ => until.into_iter().chain(again).min(),
        };
        let timeout = self.timers.bound(timeout);
        self.stats.enters += 1;
        let mut events = std::mem::take(&mut self.events);
        let result = self.watch.wait(timeout, &mut events);
        if sleep {
            self.waker.epoch().disarm();
        } else {
            self.waker.epoch().pass();
        }
        for (fd, bits) in events.drain(..) {
            self.on_event(fd, bits);
        }
        self.events = events;
        result
    }

    fn on_event(&mut self, fd: i32, bits: u32) {
        let has = |wanted: u32| bits & wanted != 0;
        self.watch.note(fd, bits);
        let mut poked = std::mem::take(&mut self.poked);
        if has(libc::EPOLLIN as u32 | HANG_UP) {
            poked.extend_from_slice(self.watch.waiting(fd, Direction::In));
        }
        if has((libc::EPOLLOUT | libc::EPOLLHUP | libc::EPOLLERR) as u32) {
            poked.extend(self.watch.waiting(fd, Direction::Out).first());
        }
        poked.extend_from_slice(self.watch.waiting(fd, Direction::Poll));
        let nobody = poked.is_empty();
        for index in poked.drain(..) {
            self.poke(index, bits);
        }
        self.poked = poked;
        if nobody && has(libc::EPOLLIN as u32) {
            self.stats.enters += 1;
            self.watch.ignore_input(fd);
        }
    }

    /// The descriptor of a parked call has become ready.
    fn poke(&mut self, index: u32, bits: u32) {
        let slot = self.slots.at(index);
        match (slot.stage.get(), slot.op()) {
            (Stage::Parked, Op::Poll { interest, .. }) => {
                let ends = (libc::POLLHUP | libc::POLLERR) as u32;
                let met = bits & (poll_events(*interest) | ends);
                if met != 0 {
                    self.end(index, i64::from(met));
                }
            }
            (Stage::Parked, _) => self.attempt(index),
            (Stage::Running, _) => slot.mark.set(true),
            _ => {}
        }
    }

    /// Takes in results from elsewhere.
    fn collect(&mut self) {
        self.exec.look();
        while let Some((index, ret)) = self.exec.next() {
            self.came(index, ret);
        }
    }

    /// A result has come, of a call or of a program of several.
    #[inline(always)]
    fn came(&mut self, index: u32, ret: i64) {
        let chain = self.slots.at(index).chain.get();
        if X::PROGRAMS && self.chains.is_head(chain, index) {
            return self.program_ended(chain, ret);
        }
        self.outcome(index, ret);
    }

    /// Lets receives go on that waited for a buffer.
    fn feed(&mut self) {
        self.pool.reclaim();
        while !self.starved.is_empty() && self.pool.free() > 0 {
            let Some(ticket) = self.starved.pop_front() else { break };
            if let Some(index) = self.slots.find_in(ticket, Stage::Starved) {
                self.attempt(index);
            }
        }
    }

    /// Cancels all calls, and ends those that nobody runs.
    fn end_what_does_not_run(&mut self) {
        for index in 0..self.slots.span() {
            let slot = self.slots.at(index);
            slot.cancelled.set(true);
            if slot.is_in_flight() && slot.stage.get() != Stage::Running {
                self.end(index, CANCELED);
            }
        }
    }

    pub(super) fn cancel(&mut self, ticket: Ticket) -> Cancelled {
        self.cancel_any(ticket)
    }

    pub(super) fn report_mut(&mut self) -> &mut Report {
        &mut self.report
    }

    pub(super) fn count(&mut self, reason: Reason) {
        self.stats.count(reason);
    }
}

impl<B: Buffer, X: Exec> Course<B> for Polled<B, X> {
    #[inline(always)]
    fn under_way(&mut self) -> UnderWay<'_, B> {
        let Polled { slots, chains, timers, stats, .. } = self;
        UnderWay { slots, chains, timers, stats }
    }

    fn launch(&mut self, index: u32) {
        self.begin(index);
    }

    fn relaunch(&mut self, index: u32) {
        self.line_up(index);
    }

    fn end(&mut self, index: u32, ret: i64) {
        self.finish(index, ret, None);
    }

    fn queue(&mut self, completion: Completion<B>) {
        self.done.push(completion);
    }

    fn cancel_at(&mut self, index: u32) -> Cancelled {
        let slot = self.slots.at(index);
        if slot.stage.get() != Stage::Running {
            self.end(index, CANCELED);
            return Cancelled::Stopped;
        }
        if !slot.cancelled.replace(true) && self.exec.cancel(index) == Stopping::Stopped {
            self.came(index, CANCELED);
            return Cancelled::Stopped;
        }
        Cancelled::Requested
    }

    fn make_some(&mut self, chain: u32) -> bool {
        X::PROGRAMS && self.begin_program(chain)
    }
}

/// Ends what is in flight; runs when the engine is dropped.
pub(super) fn close<B: Buffer, X: Exec>(ring: &mut Polled<B, X>) {
    ring.end_what_does_not_run();
    let mut results = Vec::new();
    let left = ring.exec.close(Instant::now() + GRACE, &mut results);
    for (index, ret) in results {
        ring.came(index, ret);
    }
    // What is held behind the calls of a program that has ended.
    ring.end_what_does_not_run();
    // Out of the slots before those are given up; dropped after that, as a buffer's drop may panic.
    let mut ended = Vec::new();
    ring.done.drain(&mut ring.slots, &mut |completion| ended.push(completion));
    if !left.is_empty() {
        ring.slots.leak();
        ring.chains.leak();
        ring.pool.leak();
    }
}
