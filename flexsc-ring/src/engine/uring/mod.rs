//! The io_uring engine: one system call a turn submits everything and collects everything.

mod closing;
mod completion;
mod follow;
mod link;
mod offer;
mod registered;
pub(crate) mod setup;
mod sqe;
mod submit;
mod sys;

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use io_uring::types::Fd;
use io_uring::{IoUring, opcode};

use self::link::Direct;
use self::offer::Offer;
use self::registered::Slabs;
use self::setup::Opcodes;
use self::sqe::{Route, route};
use self::submit::{Batch, Gate};
use crate::buffer::PoolOwner;
use crate::call::{Buffer, Call};
use crate::chain::refusal;
use crate::chains::Chains;
use crate::completions::Completions;
use crate::engine::GRACE;
use crate::engine::course::{Course, UnderWay};
use crate::fallback::{Reason, Stats};
use crate::machine;
use crate::op::{CANCELED, Op, apart};
use crate::options::{Engine, Options, Report, RingError, SharedPoller};
use crate::result::{Cancelled, Completion, PostError, Ticket};
use crate::ring::Ring;
use crate::slots::{NONE, Slots, Stage};
use crate::syscall_threads::{Stopping, SyscallThreads};
use crate::timers::Timers;
use crate::waker::Waker;

/// `user_data` of entries whose completion says nothing. No ticket has these indices.
const IGNORE: u64 = u64::MAX;
/// `user_data` of the poll that a [`Waker`] ends.
const WAKE: u64 = u64::MAX - 1;

/// A ring served by the kernel through io_uring.
///
/// It belongs to the thread that makes it. Calls without an opcode go to syscall threads by
/// themselves, and those that io_uring would start a worker thread for, though they never block,
/// are made by trap; both are counted. With [`Engine::Sqpoll`] a kernel thread polls its queue.
///
/// After a fork the queues are shared with the child. A child that ends, or drops its copy of the
/// ring, disturbs nothing; it must not post or wait.
pub struct Uring<B: Buffer> {
    // The io_uring goes before the memory that is registered with it.
    ring: IoUring,
    gate: Gate,
    offer: Offer,
    pool: PoolOwner,
    slabs: Slabs,
    slots: Slots<B>,
    chains: Chains<B>,
    direct: Direct,
    /// Entries that found no room in the submission queue.
    backlog: VecDeque<Batch>,
    /// Receives that wait for a buffer.
    starved: VecDeque<u64>,
    /// Calls to be made by trap once what was posted before them is with the kernel.
    late: VecDeque<u64>,
    timers: Timers,
    done: Completions<B>,
    threads: Option<SyscallThreads>,
    returned: Vec<(u32, i64)>,
    options: Options,
    multishot_accept: bool,
    opcodes: Opcodes,
    waker: Waker,
    stats: Stats,
    report: Report,
    _not_send: PhantomData<*mut ()>,
}

impl<B: Buffer> Uring<B> {
    /// Makes a ring for this thread.
    ///
    /// # Errors
    ///
    /// If io_uring is forbidden or too old here, an option is out of bounds, or memory or
    /// descriptors are short.
    pub fn new(options: &Options) -> Result<Self, RingError> {
        options.check()?;
        let waker =
            Waker::new().map_err(|source| RingError::Descriptor { step: "eventfd", source })?;
        let polled = options.engine == Engine::Sqpoll;
        let made =
            if polled { setup::make_polled(options)? } else { setup::make(options.entries)? };
        let (ring, mut notes) = (made.ring, made.notes);
        let bytes = options.pool_buffer_bytes;
        let pool =
            PoolOwner::new(options.pool_buffers, bytes, waker.clone()).map_err(|source| {
                RingError::Pool { bytes: bytes * usize::from(options.pool_buffers), source }
            })?;
        let offer = Offer::new(&ring, options.pool_buffers)
            .map_err(|source| RingError::Uring { step: "provided buffer ring", source })?;
        let multishot_accept = setup::multishot_accept_works(&machine::kernel_release());
        if !multishot_accept {
            notes.push("multishot accept is made of single ones on this kernel".to_owned());
        }
        let direct = if polled { Ok(Direct::none()) } else { Direct::new(&ring) };
        let direct = direct.unwrap_or_else(|error| {
            notes.push(format!("chains go step by step: no table of descriptors: {error}"));
            Direct::none()
        });
        // Bounds io_uring's own worker threads; an older kernel just has no such bound.
        let _ = ring.submitter().register_iowq_max_workers(&mut [8, 16]);
        let gate = Gate::new(&ring, polled, &mut notes)?;
        let engine = if polled { Engine::Sqpoll } else { Engine::Uring };
        notes.extend(options.unheeded(engine));
        let mut this = Uring {
            ring,
            gate,
            offer,
            pool,
            slabs: Slabs::default(),
            slots: Slots::new(options.in_flight),
            chains: Chains::new(),
            direct,
            backlog: VecDeque::new(),
            starved: VecDeque::new(),
            late: VecDeque::new(),
            timers: Timers::default(),
            done: Completions::new(),
            threads: None,
            returned: Vec::new(),
            options: options.clone(),
            multishot_accept,
            opcodes: made.opcodes,
            waker,
            stats: Stats::default(),
            report: Report { notes, ..options.report(engine) },
            _not_send: PhantomData,
        };
        this.watch_waker();
        Ok(this)
    }

    /// A handle that ends this ring's `wait` from another thread.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// What was chosen, and why not better.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The poller of this ring, if its engine is `Sqpoll`, to be shared with others.
    pub fn poller(&self) -> Option<SharedPoller> {
        self.gate.poller()
    }

    pub(crate) fn report_mut(&mut self) -> &mut Report {
        &mut self.report
    }

    pub(crate) fn count(&mut self, reason: Reason) {
        self.stats.count(reason);
    }

    fn watch_waker(&mut self) {
        let poll = opcode::PollAdd::new(Fd(self.waker.event()), libc::POLLIN as u32).multi(true);
        self.push(poll.build().user_data(WAKE));
    }

    fn trap(&mut self, index: u32) {
        let slot = self.slots.at(index);
        slot.stage.set(Stage::Running);
        let trap = slot.trap();
        self.stats.enters += 1;
        // SAFETY: made of this slot, which stays as it is over the call.
        let ret = unsafe { crate::sys::trap(trap.number, &trap.args) };
        self.returned(index, ret);
    }

    /// Gives a call to a syscall thread.
    fn post(&mut self, index: u32) {
        let slot = self.slots.at(index);
        slot.op().make_nonblocking();
        if self.threads.is_none() {
            match SyscallThreads::new(&self.options, self.waker.clone()) {
                Ok(threads) => self.threads = Some(threads.unmetered()),
                Err(error) => {
                    self.stats.count(Reason::NoThread);
                    if matches!(self.slots.at(index).op(), Op::Close { .. }) {
                        return self.trap(index);
                    }
                    return self.end(index, crate::op::ret_of(&error));
                }
            }
        }
        slot.stage.set(Stage::Running);
        slot.linked.set(true);
        self.stats.count(Reason::NoOpcode);
        if let Some(threads) = &mut self.threads {
            threads.post(index, slot.trap());
        }
    }

    /// Makes the calls that go by trap.
    fn trap_late(&mut self) {
        while let Some(ticket) = self.late.pop_front() {
            let Some(index) = self.slots.find(ticket) else { continue };
            self.trap(index);
        }
    }

    /// Offers buffers to the kernel, and lets receives go on that waited for them.
    fn feed(&mut self) {
        self.pool.reclaim();
        self.offer.refill(&mut self.pool);
        let mut room = self.offer.on_offer();
        while room > 0 {
            let Some(ticket) = self.starved.pop_front() else { break };
            if let Some(index) = self.slots.find(ticket) {
                room -= 1;
                self.launch(index);
            }
        }
    }

    /// Takes in what the syscall threads have done.
    fn collect(&mut self) {
        let Some(threads) = &mut self.threads else { return };
        let mut returned = std::mem::take(&mut self.returned);
        threads.collect(|index, ret| returned.push((index, ret)));
        for (index, ret) in returned.drain(..) {
            self.thread_returned(index, ret);
        }
        self.returned = returned;
    }

    /// Collects, which may post again or fill entries with calls in line, and shows what is posted.
    fn collect_and_publish(&mut self) {
        self.collect();
        if let Some(threads) = &mut self.threads {
            threads.publish();
        }
    }

    /// The time to sleep at most; `None`: not now.
    fn may_sleep(&mut self, until: Option<Duration>) -> Option<Option<Duration>> {
        if until == Some(Duration::ZERO)
            || !self.done.is_empty()
            || !self.ring.completion().is_empty()
            || !self.backlog.is_empty()
        {
            return None;
        }
        // Receives that wait for the buffers on offer go on in the next turn; for others, the next
        // return of a buffer has to wake the ring.
        if !self.starved.is_empty() && (self.offer.on_offer() > 0 || !self.pool.hunger()) {
            return None;
        }
        let again = self.threads.as_ref().and_then(SyscallThreads::look_again);
        Some(self.timers.bound(until).into_iter().chain(again).min())
    }
}

impl<B: Buffer> Ring<B> for Uring<B> {
    #[inline]
    fn submit(&mut self, mut call: Call<B>, user: u64) -> Result<Ticket, PostError<B>> {
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
        let ticket = slot.ticket(index);
        self.stats.submitted += 1;
        self.launch(index);
        Ok(Ticket::new(ticket))
    }

    #[inline]
    fn reap(&mut self, sink: &mut impl FnMut(Completion<B>)) -> usize {
        let queued = self.done.drain(sink);
        let handed = queued + self.reap_kernel(sink);
        if !self.chains.any_onward() {
            return handed;
        }
        self.go_on();
        handed + self.done.drain(sink)
    }

    fn wait(&mut self, until: Option<Duration>) -> io::Result<()> {
        if self.chains.is_empty() { self.turn(until) } else { self.turns(until) }
    }

    fn cancel(&mut self, ticket: Ticket) -> Cancelled {
        self.cancel_any(ticket)
    }

    fn stats(&self) -> Stats {
        let mut stats = self.stats;
        if let Some(threads) = &self.threads {
            threads.tally(&mut stats);
        }
        stats
    }

    fn in_flight(&self) -> usize {
        self.stats.in_flight() + self.done.ended()
    }
}

impl<B: Buffer> Uring<B> {
    /// One turn of `wait`.
    fn turn(&mut self, until: Option<Duration>) -> io::Result<()> {
        self.ring_timers();
        self.feed();
        self.push_backlog();
        self.collect_and_publish();
        let due = self.due(until != Some(Duration::ZERO));
        debug_assert!(self.threads.as_ref().is_none_or(SyscallThreads::is_published));
        let sleep = if self.late.is_empty() { self.may_sleep(until) } else { None };
        let result = match sleep {
            Some(timeout) if self.waker.epoch().arm() => {
                let result = self.enter(1, timeout);
                self.waker.epoch().disarm();
                result
            }
            // Awake anyway; or somebody has called.
            _ => {
                self.waker.epoch().pass();
                if due { self.enter(0, None) } else { Ok(()) }
            }
        };
        // What was not taken goes before them.
        if !self.late.is_empty() && self.backlog.is_empty() && self.is_taken() {
            self.trap_late();
        }
        self.collect_and_publish();
        self.ring_timers();
        result
    }
}

impl<B: Buffer> Course<B> for Uring<B> {
    #[inline(always)]
    fn under_way(&mut self) -> UnderWay<'_, B> {
        let Uring { slots, chains, timers, stats, .. } = self;
        UnderWay { slots, chains, timers, stats }
    }

    fn launch(&mut self, index: u32) {
        let slot = self.slots.at(index);
        slot.mark.set(false);
        let way = match self.slabs.entry(slot) {
            Some(entry) => Route::Entry(entry),
            None => route(slot, offer::GROUP, self.multishot_accept, &self.opcodes),
        };
        match way {
            Route::Entry(entry) => {
                slot.stage.set(Stage::Running);
                let ticket = self.slots.ticket(index);
                self.push(entry.user_data(ticket));
            }
            Route::Thread => self.post(index),
            Route::Trap => {
                slot.stage.set(Stage::Ready);
                self.stats.count(Reason::Trapped);
                if slot.chain.get() != NONE && slot.user.get() > 0 {
                    // What was to come before it has ended.
                    return self.trap(index);
                }
                self.late.push_back(self.slots.ticket(index));
            }
            Route::Timer => {
                slot.stage.set(Stage::Parked);
                if let Some(at) = slot.op().start_timer() {
                    self.timers.add(at, index);
                }
            }
        }
    }

    fn relaunch(&mut self, index: u32) {
        self.launch(index);
    }

    fn end(&mut self, index: u32, ret: i64) {
        if let Some(completion) = self.finish(index, ret, None) {
            self.done.push(completion);
        }
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
        let with_thread = slot.linked.get();
        // A worker of io_uring's that was just beginning may have missed the first request.
        if slot.cancelled.replace(true) && with_thread {
            return Cancelled::Requested;
        }
        match &mut self.threads {
            Some(threads) if with_thread => {
                if threads.cancel(index) == Stopping::Stopped {
                    self.end(index, CANCELED);
                    return Cancelled::Stopped;
                }
            }
            _ => self.push_cancel(index),
        }
        Cancelled::Requested
    }

    #[inline]
    fn make(&mut self, chain: u32, place: usize) {
        self.make_with_those_behind(chain, place);
    }
}

impl<B: Buffer> Drop for Uring<B> {
    /// Cancels what is in flight and waits for its end, at most a second; memory that the kernel
    /// may still write into after that is never freed. In a process forked off it only forgets: the
    /// queues are shared with the parent, whose calls they are.
    fn drop(&mut self) {
        if self.gate.is_foreign() {
            return std::mem::forget(self.threads.take());
        }
        let deadline = Instant::now() + GRACE;
        // Dropping these runs code of the caller, which may panic: last, when nothing that the
        // kernel may write to can be freed any more.
        let mut ended = Vec::new();
        for index in 0..self.slots.span() {
            let slot = self.slots.at(index);
            slot.cancelled.set(true);
            if matches!(slot.stage.get(), Stage::Starved | Stage::Ready | Stage::Parked) {
                ended.extend(self.finish(index, CANCELED, None));
            }
        }
        let mut left = 0;
        if let Some(mut threads) = self.threads.take() {
            let mut returned = std::mem::take(&mut self.returned);
            left = threads.close(deadline, |index, ret| returned.push((index, ret))).len();
            for (index, ret) in returned {
                ended.extend(self.finish(index, ret, None));
            }
        }
        if self.slots.live() + self.chains.closing() > left {
            self.push_cancel_all();
        }
        while self.slots.live() + self.chains.closing() > left && Instant::now() < deadline {
            self.push_backlog();
            if self.enter(1, Some(Duration::from_millis(10))).is_err() {
                break;
            }
            self.reap_kernel(&mut |completion| ended.push(completion));
        }
        if self.chains.closing() > 0 {
            self.chains.leak_closing();
        }
        if self.slots.live() > 0 {
            self.slots.leak();
            self.pool.leak();
        } else {
            self.offer.withdraw(&mut self.pool);
        }
        self.gate.close(&self.ring);
        drop(ended);
    }
}
