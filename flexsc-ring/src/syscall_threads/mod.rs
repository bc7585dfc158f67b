//! Syscall threads and the pages that they serve (FlexSC §3.2): the poster's side.
//!
//! Posting fills an entry; `publish` shows a batch of entries to the threads with one atomic
//! operation a page. Calls beyond the pages' entries wait in order. Neither posting, nor collecting,
//! nor cancelling looks at calls or pages other than those that it is about (§7).

mod crew;
mod line;
mod meter;
mod seat;
mod serve;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread;
use std::time::{Duration, Instant};

use self::crew::{Crew, Need};
use self::line::{Line, Spot};
use self::meter::Meter;
use self::seat::Seat;
use self::serve::{Samples, Shared, watch};
use crate::entry::{Entry, Met};
use crate::fallback::{Reason, Stats};
use crate::idle::Idle;
use crate::interrupt;
use crate::op::CANCELED;
use crate::options::{Options, Placement};
use crate::page::{ENTRIES, Page};
use crate::pages::{MOST_PAGES, Pages};
use crate::slots::NONE;
use crate::trap::{Callable, Trap};
use crate::waker::Waker;

/// Waits in a row, at most, in which a poster does not look for results before it sleeps.
const MOST_SKIPS: u32 = 63;
/// A signalled thread is usually awake after so long: to look for its result until then costs less than
/// to be woken by it.
const HEEDED: Duration = Duration::from_micros(60);
/// Calls that are shown at once to threads on a core of their own, so that it works while the poster
/// goes on. Others see them when the poster waits.
const AT_ONCE: u32 = 8;
/// Where a signal may be lost, it is sent again after so long.
const AGAIN: Duration = Duration::from_millis(1);

/// A pool of syscall threads, and the calls that are with them.
pub(crate) struct SyscallThreads {
    shared: Arc<Shared>,
    crew: Crew,
    signal: Option<i32>,
    free: Vec<u16>,
    pages: Vec<Own>,
    /// Pages with entries that the threads do not know of.
    fresh_pages: Vec<u16>,
    /// Calls posted since entries were last shown, and how many of them are shown at once.
    unseen: u32,
    at_once: u32,
    line: Line,
    /// Pages with results, and which, that were not handed over yet.
    found: Vec<(usize, u64)>,
    /// Results of posted calls that were made here after all.
    made: Vec<(u32, i64)>,
    collected: u64,
    /// Entries that may have to be signalled again, and when they were.
    rung: Vec<u16>,
    rung_at: Option<Instant>,
    /// A running call was signalled, and the poster has neither found a result nor lingered since.
    signalled: bool,
    /// Lingering to leave out, and how many the last one in vain cost.
    skip: u32,
    vain: u32,
    uninterrupted: u64,
    signalled_again: u64,
    meter: Option<Meter>,
    process: u32,
}

/// A page, as its poster has it.
struct Own {
    page: Arc<Page>,
    /// The slot of each entry's call, or `NONE`.
    slots: [u32; ENTRIES],
    /// Entries that the threads do not know of.
    fresh: u64,
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
    /// Starts the first thread.
    pub(crate) fn new(options: &Options, waker: Waker) -> io::Result<Self> {
        let seat = Seat::new(&options.placement);
        let spin = Duration::from_micros(if seat.is_shared() { 0 } else { options.spin_us.into() });
        // Claimed before a thread of ours waits for it.
        let signal = interrupt::signal();
        let shared = Arc::new(Shared {
            pages: Pages::new(),
            idle: Idle::new(),
            stop: AtomicBool::new(false),
            ended: AtomicUsize::new(0),
            spin,
            rest: options.idle,
            seat,
            samples: Samples::new(options.placement == Placement::Measured),
            #[cfg(test)]
            without_stub: interrupt::without_stub::is_chosen(),
            waker,
        });
        let mut this = SyscallThreads {
            crew: Crew::new(Arc::clone(&shared), options.threads)?,
            signal,
            free: Vec::new(),
            pages: Vec::new(),
            fresh_pages: Vec::new(),
            unseen: 0,
            at_once: if shared.seat.is_elsewhere() { AT_ONCE } else { u32::MAX },
            line: Line::new(),
            found: Vec::new(),
            made: Vec::new(),
            collected: 0,
            rung: Vec::new(),
            rung_at: None,
            signalled: false,
            skip: 0,
            vain: 0,
            uninterrupted: 0,
            signalled_again: 0,
            meter: (options.placement == Placement::Measured).then(Meter::new),
            process: std::process::id(),
            shared,
        };
        (0..options.pages).for_each(|_| this.add_page());
        Ok(this)
    }

    /// Every call that comes is for the threads: nobody measures who would make it best.
    pub(crate) fn unmetered(self) -> Self {
        SyscallThreads { meter: None, ..self }
    }

    fn add_page(&mut self) {
        let first = self.pages.len() * ENTRIES;
        let page = Arc::clone(self.shared.pages.page(self.pages.len()));
        self.pages.push(Own { page, slots: [NONE; ENTRIES], fresh: 0 });
        self.free.extend((first as u16..(first + ENTRIES) as u16).rev());
    }

    fn may_grow(&self) -> bool {
        self.pages.len() < MOST_PAGES
    }

    /// Calls that have an entry.
    fn posted(&self) -> usize {
        self.pages.len() * ENTRIES - self.free.len()
    }

    /// Makes the call of `slot` if the poster is the better place for it, else posts it.
    #[inline(always)]
    pub(crate) fn start(&mut self, slot: u32, call: impl Callable) -> Option<i64> {
        if self.meter.is_some() {
            return self.start_metered(slot, call.trap());
        }
        self.post(slot, call);
        None
    }

    #[inline(never)]
    fn start_metered(&mut self, slot: u32, trap: Trap) -> Option<i64> {
        let is_short = trap.is_short();
        if is_short
            && let Some(meter) = &mut self.meter
            && let Some(ret) = meter.make(&trap)
        {
            return Some(ret);
        }
        self.post(slot, trap);
        if is_short && let Some(meter) = &mut self.meter {
            let entry = match self.line.spot(slot) {
                Spot::Entry(entry) => Some(entry),
                _ => None,
            };
            meter.note_posted(entry);
        }
        None
    }

    /// Makes short calls here that no thread has begun, until there is a result. False: there was none.
    fn help_out(&mut self) -> bool {
        let before = self.made.len();
        while let Some(meter) = &mut self.meter
            && !self.shared.pages.any_done()
            && let Some(entry) = meter.short_unclaimed(&self.shared.pages)
        {
            let Some(trap) = self.entry(entry).take_back() else { continue };
            let slot = self.empty(entry);
            self.release(entry);
            let Some(ret) = self.meter.as_mut().and_then(|meter| meter.make_posted(&trap)) else {
                // It waits for a disk, which is for a thread to do.
                self.post(slot, trap);
                self.show();
                continue;
            };
            self.made.push((slot, ret));
        }
        self.made.len() > before
    }

    /// Posts the call of `slot`. Seen by the threads after `publish`.
    #[inline(always)]
    pub(crate) fn post(&mut self, slot: u32, call: impl Callable) {
        match self.free.pop() {
            Some(entry) => self.fill(entry, slot, call),
            None => return self.line.push(slot, call.trap()),
        }
        self.unseen += 1;
        if self.unseen >= self.at_once {
            self.show();
        }
    }

    #[inline(always)]
    fn fill(&mut self, entry: u16, slot: u32, call: impl Callable) {
        let (page, i) = place(entry);
        self.line.entered(slot, entry);
        let own = &mut self.pages[page];
        own.slots[i] = slot;
        if own.fresh == 0 {
            self.fresh_pages.push(page as u16);
        }
        own.fresh |= 1 << i;
        let entry = own.page.entry(i);
        match call.frequent_trap() {
            Some(trap) => entry.post(&trap),
            None => entry.post(&call.trap()),
        }
    }

    /// Shows what was posted to the threads, and wakes one if it has to.
    pub(crate) fn publish(&mut self) {
        if let Some(meter) = &mut self.meter {
            meter.look(&self.shared, &self.crew);
        }
        if self.crew.help(self.collected, !self.line.is_empty()) == Need::Page && self.may_grow() {
            self.add_page();
            self.fill_from_line();
        }
        if !self.fresh_pages.is_empty() {
            self.show();
        }
    }

    /// Shows the threads what was posted since the last time.
    fn show(&mut self) {
        self.unseen = 0;
        self.shared.seat.follow();
        for page in self.fresh_pages.drain(..) {
            let page = usize::from(page);
            self.shared.pages.publish(page, std::mem::take(&mut self.pages[page].fresh));
        }
        self.crew.alert();
    }

    /// The threads see every call that has an entry.
    pub(crate) fn is_published(&self) -> bool {
        self.fresh_pages.is_empty()
    }

    /// While calls wait for a thread that could be woken or started, or for an entry: how long the
    /// poster may sleep before it looks again.
    pub(crate) fn look_again(&self) -> Option<Duration> {
        let help = self.crew.look_again(!self.line.is_empty(), self.may_grow());
        let ring = (!self.rung.is_empty()).then_some(AGAIN);
        help.into_iter().chain(ring).min()
    }

    /// Looks for a result for a little while, as waking costs more than most calls, if there are no short
    /// calls to make meanwhile. After looks in vain it looks less often. It looks for `most` at most.
    pub(crate) fn linger(&mut self, most: Duration) {
        if self.posted() == 0 || self.help_out() || self.shared.spin.is_zero() {
            return;
        }
        let shared = &self.shared;
        let expected = std::mem::take(&mut self.signalled);
        if self.skip > 0 && !expected {
            self.skip -= 1;
            return;
        }
        let time = if expected { shared.spin.max(HEEDED) } else { shared.spin };
        let start = self.meter.is_some().then(Instant::now);
        if watch(time.min(most), || shared.pages.any_done()) {
            self.vain = 0;
        } else if most >= time && !expected {
            self.vain = (self.vain * 2 + 1).min(MOST_SKIPS);
            self.skip = self.vain;
        }
        if let (Some(meter), Some(start)) = (&mut self.meter, start) {
            meter.lingered += start.elapsed();
        }
    }

    /// Hands over the results that have come.
    pub(crate) fn collect(&mut self, mut take: impl FnMut(u32, i64)) {
        self.look();
        while let Some((slot, ret)) = self.next() {
            take(slot, ret);
        }
    }

    /// Looks for results, which `next` hands over.
    pub(crate) fn look(&mut self) {
        if self.posted() > 0 {
            let found = &mut self.found;
            let mut note = |page, bits| {
                if bits != 0 {
                    found.push((page, bits))
                }
            };
            self.shared.pages.take_done(&mut note);
            self.signalled &= found.is_empty();
        }
    }

    /// The slot and the result of a call that has ended. After the last one, what waits in line gets
    /// the entries.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<(u32, i64)> {
        if let Some(made) = self.made.pop() {
            return Some(made);
        }
        while let Some((page, bits)) = self.found.last_mut() {
            let (page, i) = (*page, bits.trailing_zeros() as usize);
            *bits &= bits.wrapping_sub(1);
            if *bits == 0 {
                self.found.pop();
            }
            let own = &mut self.pages[page];
            if let Some(ret) = own.page.entry(i).take() {
                let slot = std::mem::replace(&mut own.slots[i % ENTRIES], NONE);
                self.release((page * ENTRIES + i) as u16);
                return Some((slot, ret));
            }
        }
        self.all_handed_over();
        None
    }

    #[inline(never)]
    fn all_handed_over(&mut self) {
        if self.posted() > 0 || !self.line.is_empty() {
            self.fill_from_line();
            self.ring_again();
        }
    }

    fn fill_from_line(&mut self) {
        while !self.line.is_empty() {
            let Some(entry) = self.free.pop() else { break };
            match self.line.pop() {
                Some((slot, trap)) => self.fill(entry, slot, trap),
                None => self.free.push(entry),
            }
        }
    }

    /// An entry is free again.
    #[inline]
    fn release(&mut self, entry: u16) {
        self.free.push(entry);
        if let Some(meter) = &mut self.meter {
            meter.note_ended(entry);
        }
        self.collected += 1;
    }

    /// Stops the call of `slot` if no thread has begun it; a running one is interrupted.
    pub(crate) fn cancel(&mut self, slot: u32) -> Stopping {
        match self.line.spot(slot) {
            Spot::Line if self.line.remove(slot) => Stopping::Stopped,
            Spot::Entry(entry) if self.slot_of(entry) == slot => self.cancel_entry(entry),
            _ => Stopping::Coming,
        }
    }

    fn cancel_entry(&mut self, entry: u16) -> Stopping {
        match self.entry(entry).cancel(self.signal.is_some()) {
            Met::Posted => {
                self.empty(entry);
                self.release(entry);
                return Stopping::Stopped;
            }
            Met::Running(runner) => self.ring(entry, runner),
            Met::Coming if self.signal.is_none() => self.uninterrupted += 1,
            Met::Coming => {}
        }
        Stopping::Coming
    }

    /// Signals the thread of a running call that was marked.
    fn ring(&mut self, entry: u16, runner: u16) {
        let (Some(signal), Some(bell)) = (self.signal, self.crew.bell(runner)) else { return };
        if !interrupt::ring(signal, bell) {
            bell.lose();
            self.uninterrupted += 1;
            return;
        }
        self.signalled = true;
        if !interrupt::is_exact() {
            self.rung.push(entry);
            self.rung_at = Some(Instant::now());
        }
    }

    /// Where a signal may have come too early to do anything, it is sent until the call has ended.
    fn ring_again(&mut self) {
        if self.rung.is_empty() || self.rung_at.is_some_and(|at| at.elapsed() < AGAIN) {
            return;
        }
        self.rung_at = Some(Instant::now());
        for entry in std::mem::take(&mut self.rung) {
            if let Some(runner) = self.entry(entry).still_marked() {
                self.signalled_again += 1;
                self.rung.push(entry);
                if let (Some(signal), Some(bell)) = (self.signal, self.crew.bell(runner)) {
                    interrupt::ring(signal, bell);
                }
            }
        }
    }

    fn entry(&self, entry: u16) -> &Entry {
        let (page, i) = place(entry);
        self.pages[page].page.entry(i)
    }

    /// Takes the call out of an entry; its slot.
    fn empty(&mut self, entry: u16) -> u32 {
        let (page, i) = place(entry);
        std::mem::replace(&mut self.pages[page].slots[i], NONE)
    }

    /// The slot of an entry's call, or `NONE`.
    fn slot_of(&self, entry: u16) -> u32 {
        let (page, i) = place(entry);
        self.pages[page].slots[i]
    }

    /// Adds what had to be done another way.
    pub(crate) fn tally(&self, stats: &mut Stats) {
        stats.add(Reason::Uninterrupted, self.uninterrupted);
        stats.add(Reason::SignalledAgain, self.signalled_again);
        stats.add(Reason::NoThread, self.crew.refusals);
        if let Some(meter) = &self.meter {
            stats.made_here += meter.made_here;
            stats.posted_elsewhere += meter.posted;
            stats.taken_back += meter.taken_back;
            stats.enters += meter.traps_late;
            stats.place = Some(meter.place());
            stats.moves += meter.moves();
        }
    }

    /// Entries whose calls have ended and were taken, or were stopped before they began.
    #[cfg(test)]
    pub(crate) fn entries_ended(&self) -> u64 {
        self.collected
    }

    /// As where no signal is free: running calls cannot be interrupted.
    #[cfg(test)]
    pub(crate) fn lose_signal(&mut self) {
        self.signal = None;
    }

    /// Ends the threads. Running calls are interrupted and awaited until `deadline`, then left to
    /// their threads, which close what they open. The slots whose calls were left: their memory is
    /// still in use.
    pub(crate) fn close(&mut self, deadline: Instant, mut take: impl FnMut(u32, i64)) -> Vec<u32> {
        let posted = self.pages.iter().flat_map(|own| own.slots).filter(|slot| *slot != NONE);
        let all: Vec<u32> = self.line.slots().chain(posted).collect();
        if self.process != std::process::id() {
            // A fork: the threads are the parent's.
            return all;
        }
        for slot in all {
            if self.cancel(slot) == Stopping::Stopped {
                take(slot, CANCELED);
            }
        }
        self.crew.dismiss();
        self.collect(&mut take);
        let start = Instant::now();
        while self.posted() > 0 && Instant::now() < deadline {
            if start.elapsed() < AGAIN {
                thread::yield_now();
            } else {
                thread::sleep(Duration::from_micros(100));
            }
            self.collect(&mut take);
        }
        let is_left = |entry: &u16| self.slot_of(*entry) != NONE && self.entry(*entry).abandon();
        let left: Vec<u16> = (0..(self.pages.len() * ENTRIES) as u16).filter(is_left).collect();
        self.collect(&mut take);
        if left.is_empty() {
            self.crew.join();
        }
        left.into_iter().map(|entry| self.slot_of(entry)).collect()
    }
}

/// Page and place in it of an entry.
fn place(entry: u16) -> (usize, usize) {
    (usize::from(entry) / ENTRIES, usize::from(entry) % ENTRIES)
}
