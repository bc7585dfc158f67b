//! Chains under way: which of their calls is next, with which descriptor, and what came of them.

use std::ops::Range;
use std::os::fd::{OwnedFd, RawFd};

use crate::call::Call;
use crate::chain::{Chain, OPENED};
use crate::lent::Lent;
use crate::op::{CANCELED, failure, made_fd, take_fd};
use crate::result::{Completion, Failure, Value};
use crate::slots::NONE;
use crate::trap::Step;

/// Tickets of chains have this bit in their lower half; no slot has such an index.
const TICKET: u32 = 1 << 31;

const MOST: usize = Chain::<()>::MOST_CALLS;
/// The most calls of one chain that run at once.
const MOST_AT_ONCE: usize = 3;

type Outcome<B> = Result<Value<B>, Failure<B>>;

/// What a chain does next.
pub(crate) enum Next<B> {
    /// Make its call of this number, which [`Chains::take`] gives out.
    Run(usize),
    /// Nothing: calls of it are running.
    Wait,
    /// It has ended.
    Over(Completion<B>),
}

/// The source of a call that has its descriptors.
const KNOWN: u8 = u8::MAX;

/// One chain under way.
struct Record<B> {
    generation: u32,
    live: bool,
    user: u64,
    /// Its calls; those that were given out are `Nop` by now.
    calls: Vec<Call<B>>,
    /// Calls that were given out, or not made.
    step: usize,
    /// Calls that have begun; those behind, up to `step`, are held in their slots.
    begun: usize,
    /// Calls that are running, a bit each.
    running: u16,
    /// For each call given out, that whose descriptor it still has to be told, or [`KNOWN`].
    sources: [u8; MOST],
    /// The slot in whose name the calls from `first` to `step` run as a program, or [`NONE`], and
    /// the program. A syscall thread uses the steps while there is a head.
    head: u32,
    first: usize,
    program: Vec<Step>,
    /// One has failed, or the chain was cancelled: only closes are left to do.
    stopped: bool,
    cancelled: bool,
    /// Results by call. Those that opened a descriptor hold it until a close takes it.
    results: Vec<Outcome<B>>,
    /// The slots of its calls, by call; meant only while they are running.
    slots: [u32; MOST],
    /// The calls that open, without those whose descriptor a close has taken.
    open: [u8; MOST],
    depth: usize,
    /// The last call that reads, and where in its buffer.
    read: (usize, usize),
}

/// All chains under way of one ring.
pub(crate) struct Chains<B> {
    records: Vec<Record<B>>,
    free: Vec<u32>,
    live: usize,
    calls: usize,
    running: usize,
}

/// What a chain of `n` calls counts as.
pub(crate) fn weight(n: usize) -> usize {
    n.max(1)
}

impl<B> Record<B> {
    fn new() -> Self {
        Record {
            generation: 0,
            live: false,
            user: 0,
            calls: Vec::new(),
            step: 0,
            begun: 0,
            running: 0,
            sources: [KNOWN; MOST],
            head: NONE,
            first: 0,
            program: Vec::new(),
            stopped: false,
            cancelled: false,
            results: Vec::new(),
            slots: [NONE; MOST],
            open: [0; MOST],
            depth: 0,
            read: (0, 0),
        }
    }

    /// The bytes that the last read has read, as the call that sends them.
    fn send_read(&mut self, fd: RawFd) -> Option<Call<B>> {
        let (step, start) = self.read;
        let result = self.results.get_mut(step)?;
        match std::mem::replace(result, Ok(Value::Done)) {
            Ok(Value::Moved { n, buf }) => {
                *result = Ok(Value::Sent(n));
                Some(Call::send(fd, buf, start..start + n))
            }
            other => {
                *result = other;
                None
            }
        }
    }

    /// The descriptor that a close at this place closes, if its call has opened one.
    fn take_opened(&mut self) -> Option<OwnedFd> {
        self.depth = self.depth.checked_sub(1)?;
        let step = self.open[self.depth];
        take_fd(self.results.get_mut(usize::from(step))?)
    }

    /// Its descriptor may come yet.
    fn is_awaited(&self, opener: u8) -> bool {
        let at = usize::from(opener);
        self.running >> at & 1 != 0 || (self.begun..self.step).contains(&at)
    }

    /// Puts the descriptor into the next call. False: it is not to be made, and has its result.
    #[inline]
    fn prepare(&mut self) -> bool {
        self.sources[self.step] = KNOWN;
        let top = self.depth.checked_sub(1).map(|top| self.open[top]);
        let awaited = top.filter(|opener| self.is_awaited(*opener));
        let call = &mut self.calls[self.step];
        if let Call::CloseOpened = call {
            if let Some(opener) = awaited {
                self.depth -= 1;
                self.sources[self.step] = opener;
                return true;
            }
            let Some(fd) = self.take_opened() else {
                self.results[self.step] = Err(failure(CANCELED, Lent::Nothing));
                return false;
            };
            self.calls[self.step] = Call::Close(fd);
            return true;
        }
        if self.depth > 0 {
            let opener = usize::from(self.open[self.depth - 1]);
            let known = made_fd(&self.results[opener]).unwrap_or(OPENED);
            let source = &mut self.sources[self.step];
            call.each_fd(|fd| {
                if *fd == OPENED {
                    *fd = known;
                    *source = awaited.unwrap_or(KNOWN);
                }
            });
        }
        if call.opens() {
            self.open[self.depth] = self.step as u8;
            self.depth += 1;
        }
        if self.stopped {
            let call = std::mem::replace(call, Call::Nop);
            self.results[self.step] = Err(failure(CANCELED, Lent::of(call)));
            return false;
        }
        match *call {
            Call::Read { start, .. } => self.read = (self.step, start),
            Call::SendRead { fd } => {
                let Some(send) = self.send_read(fd) else {
                    self.results[self.step] = Err(failure(CANCELED, Lent::Nothing));
                    return false;
                };
                self.calls[self.step] = send;
            }
            _ => {}
        }
        true
    }

    /// Gives out the next call, if it is to be made.
    #[inline]
    fn give(&mut self) -> bool {
        let made = self.prepare();
        self.running |= u16::from(made) << self.step;
        self.step += 1;
        self.begun = self.step;
        made
    }
}

impl<B> Chains<B> {
    pub(crate) fn new() -> Self {
        Chains { records: Vec::new(), free: Vec::new(), live: 0, calls: 0, running: 0 }
    }

    /// No chain is under way.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// What the chains count as, beyond their calls that are running in slots.
    #[inline]
    pub(crate) fn beyond(&self) -> usize {
        self.calls - self.running
    }

    /// Begins a chain that was checked.
    pub(crate) fn begin(&mut self, chain: Chain<B>, user: u64) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.records.push(Record::new());
            self.records.len() as u32 - 1
        });
        self.live += 1;
        self.calls += weight(chain.len());
        let record = &mut self.records[index as usize];
        record.results.resize_with(chain.len(), || Ok(Value::Done));
        record.calls = chain.calls;
        (record.live, record.user) = (true, user);
        (record.step, record.begun, record.running, record.depth) = (0, 0, 0, 0);
        record.read = (0, 0);
        (record.stopped, record.cancelled) = (false, false);
        index
    }

    /// The chain's name while it is under way.
    pub(crate) fn ticket(&self, index: u32) -> u64 {
        u64::from(self.records[index as usize].generation) << 32 | u64::from(index | TICKET)
    }

    /// The chain of a ticket, if it is under way.
    pub(crate) fn find(&self, ticket: u64) -> Option<u32> {
        let index = Self::index(ticket)?;
        let record = self.records.get(index as usize)?;
        (record.live && record.generation == (ticket >> 32) as u32).then_some(index)
    }

    /// A ticket that this table has given out at some time.
    pub(crate) fn knows(&self, ticket: u64) -> bool {
        let record = Self::index(ticket).and_then(|index| self.records.get(index as usize));
        record.is_some_and(|record| (ticket >> 32) as u32 <= record.generation)
    }

    fn index(ticket: u64) -> Option<u32> {
        let low = ticket as u32;
        (low & TICKET != 0).then_some(low & !TICKET)
    }

    /// The calls that are still to be made, from the next one on.
    pub(crate) fn ahead(&self, index: u32) -> &[Call<B>] {
        let record = &self.records[index as usize];
        &record.calls[record.step..]
    }

    /// As `ahead`, if none of its calls is running and none has failed; else nothing.
    #[inline]
    pub(crate) fn may_follow(&self, index: u32) -> &[Call<B>] {
        let record = &self.records[index as usize];
        let free = record.running == 0 && !record.stopped;
        record.calls.get(record.step..).filter(|_| free).unwrap_or_default()
    }

    /// What the chain does next.
    #[inline]
    pub(crate) fn next(&mut self, index: u32) -> Next<B> {
        let record = &mut self.records[index as usize];
        if record.running != 0 {
            return Next::Wait;
        }
        while record.step < record.calls.len() {
            if record.give() {
                self.running += 1;
                return Next::Run(record.step - 1);
            }
        }
        Next::Over(self.over(index))
    }

    /// The number of the next call, though others of the chain are running: one that needs nothing
    /// of them.
    pub(crate) fn also(&mut self, index: u32) -> Option<usize> {
        let record = &mut self.records[index as usize];
        let made = record.step < record.calls.len() && record.give();
        self.running += usize::from(made);
        made.then(|| record.step - 1)
    }

    /// The next call and the two behind it, as they are: an open, a transfer, and the close of what
    /// was opened, whose number the caller puts in. Gives the number of the first.
    pub(crate) fn triple(&mut self, index: u32) -> usize {
        let record = &mut self.records[index as usize];
        let first = record.step;
        if let Call::Read { start, .. } = record.calls[first + 1] {
            record.read = (first + 1, start);
        }
        record.running |= 0b111 << first;
        record.step += 3;
        record.begun = record.step;
        self.running += 3;
        first
    }

    /// The call of a number that was given out.
    #[inline]
    pub(crate) fn take(&mut self, index: u32, step: usize) -> Call<B> {
        std::mem::replace(&mut self.records[index as usize].calls[step], Call::Nop)
    }

    /// Notes the slot of a call that was given out.
    #[inline]
    pub(crate) fn placed(&mut self, index: u32, step: usize, slot: u32) {
        self.records[index as usize].slots[step] = slot;
    }

    /// A call of the chain has ended. True if none of its others is running: it may go on.
    #[must_use]
    #[inline]
    pub(crate) fn ended(&mut self, index: u32, step: usize, outcome: Outcome<B>) -> bool {
        let record = &mut self.records[index as usize];
        record.stopped |= outcome.is_err();
        let before = std::mem::replace(&mut record.results[step], outcome);
        debug_assert!(matches!(before, Ok(Value::Done)), "a call has one result");
        // Known to own nothing.
        std::mem::forget(before);
        record.running &= !(1 << step);
        self.running -= 1;
        record.running == 0
    }

    /// Makes no further call of a chain, but closes. Gives the slots of those that are running, or
    /// that of the program that is, then [`NONE`]; all `NONE` if this was asked for already.
    pub(crate) fn stop(&mut self, index: u32) -> [u32; MOST_AT_ONCE] {
        let record = &mut self.records[index as usize];
        let mut found = [NONE; MOST_AT_ONCE];
        record.stopped = true;
        let before = std::mem::replace(&mut record.cancelled, true);
        if !before && record.head != NONE {
            found[0] = record.head;
        } else if !before {
            let running = (0..MOST).filter(|step| record.running >> step & 1 != 0);
            found.iter_mut().zip(running).for_each(|(at, step)| *at = record.slots[step]);
        }
        found
    }

    /// One has failed, or the chain was cancelled.
    pub(crate) fn is_stopped(&self, index: u32) -> bool {
        self.records[index as usize].stopped
    }

    /// It was cancelled.
    pub(crate) fn is_cancelled(&self, index: u32) -> bool {
        self.records[index as usize].cancelled
    }

    /// Calls of it are running.
    pub(crate) fn is_running(&self, index: u32) -> bool {
        self.records[index as usize].running != 0
    }

    /// The calls that are in slots and have not begun.
    pub(crate) fn held(&self, index: u32) -> Range<usize> {
        let record = &self.records[index as usize];
        record.begun..record.step
    }

    /// The calls from `from` on have not begun, though they were given out.
    pub(crate) fn hold(&mut self, index: u32, from: usize) {
        let record = &mut self.records[index as usize];
        (from..record.step).for_each(|step| record.running &= !(1 << step));
        record.begun = from;
    }

    /// The first call that is held begins.
    pub(crate) fn resume(&mut self, index: u32) {
        let record = &mut self.records[index as usize];
        record.running |= 1 << record.begun;
        record.begun += 1;
    }

    /// The slot of a call that was given out and has not ended.
    pub(crate) fn slot(&self, index: u32, step: usize) -> u32 {
        self.records[index as usize].slots[step]
    }

    /// The call whose descriptor this one still has to be told.
    pub(crate) fn source(&self, index: u32, step: usize) -> Option<usize> {
        let source = self.records[index as usize].sources[step];
        (source != KNOWN).then_some(source.into())
    }

    /// The descriptor that a call has to be told, if it is there by now: it is told.
    pub(crate) fn tell(&mut self, index: u32, step: usize) -> Option<RawFd> {
        let opener = self.source(index, step)?;
        let record = &mut self.records[index as usize];
        let fd = made_fd(&record.results[opener])?;
        record.sources[step] = KNOWN;
        Some(fd)
    }

    /// As `tell`, for a close: the descriptor is its own from now on.
    pub(crate) fn tell_close(&mut self, index: u32, step: usize) -> Option<OwnedFd> {
        let opener = self.source(index, step)?;
        let record = &mut self.records[index as usize];
        let fd = take_fd(&mut record.results[opener])?;
        record.sources[step] = KNOWN;
        Some(fd)
    }

    /// The calls from `first` on, all of which were given out, run as one, in the name of the slot of
    /// the first. Gives where the steps are, which stay there until `program_ended`.
    pub(crate) fn run(&mut self, index: u32, first: usize, steps: Vec<Step>) -> (*mut Step, usize) {
        let record = &mut self.records[index as usize];
        record.head = record.slots[first];
        record.first = first;
        record.program = steps;
        (record.program.as_mut_ptr(), record.program.len())
    }

    /// A slot is that in whose name a program runs.
    #[inline]
    pub(crate) fn is_head(&self, index: u32, slot: u32) -> bool {
        index != NONE && self.records[index as usize].head == slot
    }

    /// The program has ended, or never began: its first call, and its steps.
    pub(crate) fn program_ended(&mut self, index: u32) -> (usize, Vec<Step>) {
        let record = &mut self.records[index as usize];
        record.head = NONE;
        (record.first, std::mem::take(&mut record.program))
    }

    /// Room for the steps of a program.
    pub(crate) fn room(&mut self, index: u32) -> Vec<Step> {
        std::mem::take(&mut self.records[index as usize].program)
    }

    /// Keeps the room for the next program.
    pub(crate) fn keep(&mut self, index: u32, mut steps: Vec<Step>) {
        steps.clear();
        self.records[index as usize].program = steps;
    }

    /// Gives up the memory of programs for ever that somebody may still run.
    pub(crate) fn leak(&mut self) {
        for record in self.records.iter_mut().filter(|record| record.head != NONE) {
            std::mem::forget(std::mem::take(&mut record.program));
        }
    }

    fn over(&mut self, index: u32) -> Completion<B> {
        let record = &mut self.records[index as usize];
        // They go where the calls were, which own nothing any more: it saves an allocation.
        let calls = std::mem::take(&mut record.calls).into_iter();
        let results = calls.zip(record.results.drain(..)).map(|(call, result)| {
            std::mem::forget(call);
            result
        });
        let results: Vec<_> = results.collect();
        record.live = false;
        record.generation = record.generation.wrapping_add(1);
        self.live -= 1;
        self.calls -= weight(results.len());
        self.free.push(index);
        Completion { user: record.user, result: Ok(Value::Chain(results)), more: false }
    }
}
