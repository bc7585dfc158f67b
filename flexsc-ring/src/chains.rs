//! Chains under way: which of their calls is next, with which descriptor, and what came of them.

use std::os::fd::{OwnedFd, RawFd};

use crate::call::Call;
use crate::chain::{Chain, OPENED};
use crate::lent::Lent;
use crate::op::{CANCELED, failure, made_fd, take_fd};
use crate::result::{Completion, Failure, Value};
use crate::slots::NONE;

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

/// One chain under way.
struct Record<B> {
    generation: u32,
    live: bool,
    user: u64,
    /// Its calls; those that were given out are `Nop` by now.
    calls: Vec<Call<B>>,
    /// Calls that were given out, or not made.
    step: usize,
    /// Those of them that are running, a bit each.
    running: u16,
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
            running: 0,
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

    /// Puts the descriptor into the next call. False: it is not to be made, and has its result.
    #[inline]
    fn prepare(&mut self) -> bool {
        let call = &mut self.calls[self.step];
        if let Call::CloseOpened = call {
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
            call.each_fd(|fd| {
                if *fd == OPENED {
                    *fd = known;
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
        record.results = Vec::with_capacity(chain.len());
        record.results.resize_with(chain.len(), || Ok(Value::Done));
        record.calls = chain.calls;
        (record.live, record.user) = (true, user);
        (record.step, record.running, record.depth) = (0, 0, 0);
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

    /// None of its calls is running, and none has failed.
    pub(crate) fn may_go(&self, index: u32) -> bool {
        let record = &self.records[index as usize];
        record.running == 0 && !record.stopped
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
        record.results[step] = outcome;
        record.running &= !(1 << step);
        self.running -= 1;
        record.running == 0
    }

    /// Makes no further call of a chain, but closes. Gives the slots of those that are running,
    /// then [`NONE`]; all `NONE` if this was asked for already.
    pub(crate) fn stop(&mut self, index: u32) -> [u32; MOST_AT_ONCE] {
        let record = &mut self.records[index as usize];
        let mut found = [NONE; MOST_AT_ONCE];
        record.stopped = true;
        if !std::mem::replace(&mut record.cancelled, true) {
            let running = (0..MOST).filter(|step| record.running >> step & 1 != 0);
            found.iter_mut().zip(running).for_each(|(at, step)| *at = record.slots[step]);
        }
        found
    }

    fn over(&mut self, index: u32) -> Completion<B> {
        let record = &mut self.records[index as usize];
        let results = std::mem::take(&mut record.results);
        record.calls = Vec::new();
        record.live = false;
        record.generation = record.generation.wrapping_add(1);
        self.live -= 1;
        self.calls -= weight(results.len());
        self.free.push(index);
        Completion { user: record.user, result: Ok(Value::Chain(results)), more: false }
    }
}
