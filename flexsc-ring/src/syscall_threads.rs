//! Syscall threads and the pages that they serve (FlexSC §3.2): the poster's side.
//!
//! Posting fills an entry; `publish` shows a batch of entries to the threads with one atomic
//! operation a page. Calls beyond the pages' entries wait in order (the throttling of §7, which
//! cannot come to a standstill: an entry is free as soon as its call has ended). Threads are
//! started when all of them are busy for longer than a turn, up to a bound.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::entry::{Ended, Entry, Met};
use crate::idle::Idle;
use crate::op::CANCELED;
use crate::page::{ENTRIES, Page};
use crate::slots::NONE;
use crate::sys;
use crate::trap::Trap;
use crate::waker::Waker;

/// A thread that ends no call for so long is taken to be blocked.
const BLOCKED: Duration = Duration::from_micros(50);

/// Waits in a row, at most, in which a poster does not look for results before it sleeps.
const MOST_SKIPS: u32 = 63;

/// What the poster and the threads share.
struct Shared {
    pages: Box<[Page]>,
    idle: Idle,
    stop: AtomicBool,
    spin: Duration,
    waker: Waker,
}

/// A pool of syscall threads, and the calls that are with them.
pub(crate) struct SyscallThreads {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    most: usize,
    free: Vec<u16>,
    /// The slot of each entry's call, or `NONE`.
    slots: Box<[u32]>,
    fresh: Box<[u64]>,
    backlog: VecDeque<(u32, Trap)>,
    posted: usize,
    collected: u64,
    /// Since when, and at which `collected`, calls have waited for a thread.
    crowd: Option<(Instant, u64)>,
    /// Lingering to leave out, and how many the last one in vain cost.
    skip: u32,
    vain: u32,
}

/// What a cancellation met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopping {
    /// It had not begun; the caller answers for it.
    Stopped,
    /// Its result comes, or has come.
    Coming,
}

impl SyscallThreads {
    /// `most` threads at most; the first starts now.
    pub(crate) fn new(most: usize, pages: usize, spin_us: u32, waker: Waker) -> io::Result<Self> {
        let alone = thread::available_parallelism().is_ok_and(|n| n.get() == 1);
        let spin = Duration::from_micros(if alone { 0 } else { spin_us.into() });
        let shared = Arc::new(Shared {
            pages: (0..pages).map(|_| Page::new()).collect(),
            idle: Idle::new(),
            stop: AtomicBool::new(false),
            spin,
            waker,
        });
        let entries = pages * ENTRIES;
        let mut this = SyscallThreads {
            shared,
            threads: Vec::new(),
            most: most.clamp(1, 64),
            free: (0..entries as u16).rev().collect(),
            slots: vec![NONE; entries].into(),
            fresh: vec![0; pages].into(),
            backlog: VecDeque::new(),
            posted: 0,
            collected: 0,
            crowd: None,
            skip: 0,
            vain: 0,
        };
        this.start_one()?;
        Ok(this)
    }

    fn start_one(&mut self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let me = self.threads.len();
        let name = format!("syscall-{me}");
        let thread = thread::Builder::new().name(name).stack_size(64 * 1024);
        self.threads.push(thread.spawn(move || serve(&shared, me))?);
        Ok(())
    }

    /// Posts the call of `slot`. Seen by the threads after `publish`.
    pub(crate) fn post(&mut self, slot: u32, trap: Trap) {
        match self.free.pop() {
            Some(entry) => self.fill(entry, slot, &trap),
            None => self.backlog.push_back((slot, trap)),
        }
    }

    fn fill(&mut self, entry: u16, slot: u32, trap: &Trap) {
        let (page, i) = place(entry);
        self.slots[usize::from(entry)] = slot;
        self.shared.pages[page].entry(i).post(trap);
        self.fresh[page] |= 1 << i;
        self.posted += 1;
    }

    /// Shows what was posted to the threads, and wakes one if it has to.
    pub(crate) fn publish(&mut self) {
        self.help();
        let mut any = 0;
        for (page, fresh) in self.shared.pages.iter().zip(&mut self.fresh) {
            if *fresh != 0 {
                page.publish(std::mem::take(fresh));
                any += 1;
            }
        }
        if any == 0 {
            return;
        }
        self.shared.idle.after_publish();
        // One thread runs what does not block; `help` adds more when calls do.
        if self.shared.idle.count() as usize == self.threads.len() {
            self.wake_one();
        }
    }

    /// The threads see every call that has an entry.
    pub(crate) fn is_published(&self) -> bool {
        self.fresh.iter().all(|fresh| *fresh == 0)
    }

    fn wake_one(&self) -> bool {
        let picked = self.shared.idle.pick();
        if let Some(thread) = picked.and_then(|me| self.threads.get(me)) {
            thread.thread().unpark();
        }
        picked.is_some()
    }

    /// True while calls wait for a thread that could be woken or started: the poster should not
    /// sleep for long, but look again.
    pub(crate) fn crowded(&self) -> bool {
        let helpers = self.threads.len() < self.most || self.shared.idle.count() > 0;
        helpers && self.shared.pages.iter().any(|page| page.unclaimed() != 0)
    }

    /// If calls wait for a thread and none has ended for a while, the threads are blocked: another
    /// one takes part, woken or started.
    fn help(&mut self) {
        if !self.crowded() {
            self.crowd = None;
            return;
        }
        let now = Instant::now();
        match self.crowd {
            Some((since, collected)) if collected == self.collected => {
                if now - since < BLOCKED {
                    return;
                }
            }
            _ => {
                self.crowd = Some((now, self.collected));
                return;
            }
        }
        self.crowd = Some((now, self.collected));
        if !self.wake_one() && self.threads.len() < self.most {
            // Without a further thread the calls wait for those there are.
            let _ = self.start_one();
        }
    }

    /// Poster: looks for a result for a little while, as waking costs more than most calls. After
    /// looks in vain it looks less often.
    pub(crate) fn linger(&mut self) {
        if self.posted == 0 || self.shared.spin.is_zero() {
            return;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        let shared = &self.shared;
        if watch(shared.spin, || shared.pages.iter().any(Page::any_done)) {
            self.vain = 0;
        } else {
            self.vain = (self.vain * 2 + 1).min(MOST_SKIPS);
            self.skip = self.vain;
        }
    }

    /// Hands over the results that have come.
    pub(crate) fn collect(&mut self, mut take: impl FnMut(u32, i64)) {
        if self.posted == 0 {
            return;
        }
        for page in 0..self.shared.pages.len() {
            let mut bits = self.shared.pages[page].take_done();
            while bits != 0 {
                let i = bits.trailing_zeros() as usize;
                bits &= bits - 1;
                if let Some(ret) = self.shared.pages[page].entry(i).take() {
                    let entry = page * ENTRIES + i;
                    let slot = self.slots[entry];
                    self.release(entry as u16);
                    take(slot, ret);
                }
            }
        }
        while !self.backlog.is_empty() {
            let Some(entry) = self.free.pop() else { break };
            if let Some((slot, trap)) = self.backlog.pop_front() {
                self.fill(entry, slot, &trap);
            }
        }
    }

    fn release(&mut self, entry: u16) {
        self.slots[usize::from(entry)] = NONE;
        self.free.push(entry);
        self.posted -= 1;
        self.collected += 1;
    }

    /// Stops the call of `slot` if no thread has begun it; a running one is left to end.
    pub(crate) fn cancel(&mut self, slot: u32) -> Stopping {
        if let Some(at) = self.backlog.iter().position(|(s, _)| *s == slot) {
            self.backlog.remove(at);
            return Stopping::Stopped;
        }
        let Some(entry) = self.slots.iter().position(|s| *s == slot) else {
            return Stopping::Coming;
        };
        match self.entry(entry).cancel() {
            Met::Posted => {
                self.release(entry as u16);
                Stopping::Stopped
            }
            Met::Running | Met::Done => Stopping::Coming,
        }
    }

    fn entry(&self, entry: usize) -> &Entry {
        self.shared.pages[entry / ENTRIES].entry(entry % ENTRIES)
    }

    /// Ends the threads. Running calls are awaited until `deadline`, then left to their threads,
    /// which close what they open. The slots whose calls were left: their memory is still in use.
    pub(crate) fn close(&mut self, deadline: Instant, mut take: impl FnMut(u32, i64)) -> Vec<u32> {
        let waiting = self.backlog.iter().map(|(slot, _)| *slot);
        let posted = self.slots.iter().copied().filter(|slot| *slot != NONE);
        for slot in waiting.chain(posted).collect::<Vec<_>>() {
            if self.cancel(slot) == Stopping::Stopped {
                take(slot, CANCELED);
            }
        }
        self.shared.stop.store(true, Ordering::Release);
        self.threads.iter().for_each(|thread| thread.thread().unpark());
        self.collect(&mut take);
        while self.posted > 0 && Instant::now() < deadline {
            thread::sleep(Duration::from_micros(100));
            self.collect(&mut take);
        }
        let running = |entry: &usize| self.slots[*entry] != NONE && self.entry(*entry).abandon();
        let left: Vec<usize> = (0..self.slots.len()).filter(running).collect();
        self.collect(&mut take);
        if left.is_empty() {
            self.threads.drain(..).for_each(|thread| drop(thread.join()));
        }
        left.into_iter().map(|entry| self.slots[entry]).collect()
    }
}

/// Page and place in it of an entry.
fn place(entry: u16) -> (usize, usize) {
    (usize::from(entry) / ENTRIES, usize::from(entry) % ENTRIES)
}

/// A syscall thread: takes calls, looks around for a while when there are none, then sleeps.
fn serve(shared: &Shared, me: usize) {
    sys::block_signals();
    loop {
        while let Some((page, i)) = claim(shared) {
            run(shared, page, i);
        }
        if shared.stop.load(Ordering::Acquire) {
            return;
        }
        if !look_around(shared) {
            sleep(shared, me);
        }
    }
}

fn claim(shared: &Shared) -> Option<(&Page, usize)> {
    shared.pages.iter().find_map(|page| page.claim().map(|i| (page, i)))
}

fn run(shared: &Shared, page: &Page, i: usize) {
    let entry = page.entry(i);
    let Some((number, args)) = entry.begin() else { return };
    // SAFETY: the poster made the arguments by `Op::trap` of a slot that stays as it is until this
    // call has ended, or for ever if the poster goes before.
    let ret = unsafe { sys::trap(number, &args) };
    match entry.finish(ret) {
        Ended::Wanted => {
            page.complete(i);
            shared.waker.wake();
        }
        Ended::Abandoned => {}
        Ended::Orphan => sys::close_raw(ret),
        // SAFETY: this call has just mapped it, for a poster that has gone.
        Ended::OrphanMapping => unsafe { sys::unmap(ret as u64, args[1]) },
    }
}

fn look_around(shared: &Shared) -> bool {
    watch(shared.spin, || shared.pages.iter().any(|page| page.unclaimed() != 0))
}

/// Looks until `seen` or until the time is over.
fn watch(time: Duration, seen: impl Fn() -> bool) -> bool {
    if time.is_zero() {
        return false;
    }
    let start = Instant::now();
    while start.elapsed() < time {
        for _ in 0..16 {
            if seen() {
                return true;
            }
            std::hint::spin_loop();
        }
    }
    false
}

fn sleep(shared: &Shared, me: usize) {
    shared.idle.enter(me);
    let work = shared.pages.iter().any(|page| page.unclaimed() != 0);
    if !work && !shared.stop.load(Ordering::Acquire) {
        thread::park();
    }
    shared.idle.leave(me);
}
