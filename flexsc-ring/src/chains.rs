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
    /// Make this call, which is the chain's call of that number.
    Run(Call<B>, usize),
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
    calls: std::vec::IntoIter<Call<B>>,
    /// Calls taken from `calls`.
    step: usize,
    /// Calls of it that are running.
    out: usize,
    /// One has failed, or the chain was cancelled: only closes are left to do.
    stopped: bool,
    cancelled: bool,
    /// Results by call. Those that opened a descriptor hold it until a close takes it.
    results: Vec<Option<Outcome<B>>>,
    /// The slots of its calls, by call; meant only while they are running.
    slots: [u32; MOST],
    /// The calls that open, without those whose descriptor a close has taken.
    open: [u8; MOST],
    depth: usize,
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
            calls: Vec::new().into_iter(),
            step: 0,
            out: 0,
            stopped: false,
            cancelled: false,
            results: Vec::new(),
            slots: [NONE; MOST],
            open: [0; MOST],
            depth: 0,
        }
    }

    fn last_opened(&self) -> Option<RawFd> {
        let step = *self.open[..self.depth].last()?;
        made_fd(self.results[usize::from(step)].as_ref()?)
    }

    /// The descriptor that a close at this place closes, if its call has opened one.
    fn take_opened(&mut self) -> Option<OwnedFd> {
        self.depth = self.depth.checked_sub(1)?;
        let step = self.open[self.depth];
        take_fd(self.results[usize::from(step)].as_mut()?)
    }

    /// The call as it is to be made, or its result if it is not to be made.
    fn prepare(&mut self, call: Call<B>) -> Result<Call<B>, Outcome<B>> {
        if let Call::CloseOpened = call {
            return self
                .take_opened()
                .map(Call::Close)
                .ok_or_else(|| Err(failure(CANCELED, Lent::Nothing)));
        }
        let known = self.last_opened().unwrap_or(OPENED);
        if call.opens() {
            self.open[self.depth] = self.step as u8;
            self.depth += 1;
        }
        if self.stopped {
            return Err(Err(failure(CANCELED, Lent::of(call))));
        }
        let mut call = call;
        call.each_fd(|fd| {
            if *fd == OPENED {
                *fd = known;
            }
        });
        Ok(call)
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
        record.results.resize_with(chain.len(), || None);
        record.calls = chain.calls.into_iter();
        (record.live, record.user) = (true, user);
        (record.step, record.out, record.depth) = (0, 0, 0);
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
        self.records[index as usize].calls.as_slice()
    }

    /// None of its calls is running, and none has failed.
    pub(crate) fn may_go(&self, index: u32) -> bool {
        let record = &self.records[index as usize];
        record.out == 0 && !record.stopped
    }

    /// No call of it has ended.
    pub(crate) fn is_fresh(&self, index: u32) -> bool {
        let record = &self.records[index as usize];
        record.step == record.out
    }

    /// What the chain does next.
    pub(crate) fn next(&mut self, index: u32) -> Next<B> {
        let record = &mut self.records[index as usize];
        if record.out > 0 {
            return Next::Wait;
        }
        while let Some(call) = record.calls.next() {
            let prepared = record.prepare(call);
            record.step += 1;
            match prepared {
                Ok(call) => {
                    record.out += 1;
                    self.running += 1;
                    return Next::Run(call, record.step - 1);
                }
                Err(outcome) => record.results[record.step - 1] = Some(outcome),
            }
        }
        Next::Over(self.over(index))
    }

    /// The next call, though others of the chain are running: one that needs nothing of them.
    pub(crate) fn also(&mut self, index: u32) -> Option<(Call<B>, usize)> {
        let record = &mut self.records[index as usize];
        let prepared = record.calls.next().map(|call| record.prepare(call))?;
        record.step += 1;
        match prepared {
            Ok(call) => {
                record.out += 1;
                self.running += 1;
                Some((call, record.step - 1))
            }
            Err(outcome) => {
                record.results[record.step - 1] = Some(outcome);
                None
            }
        }
    }

    /// Three calls at once that name no descriptor yet: an open, a transfer, and the close of what
    /// was opened, whose number the caller puts in.
    pub(crate) fn triple(&mut self, index: u32) -> Option<([Call<B>; 2], usize)> {
        let record = &mut self.records[index as usize];
        let (open, transfer, _) =
            (record.calls.next()?, record.calls.next()?, record.calls.next()?);
        let first = record.step;
        record.step += 3;
        record.out += 3;
        self.running += 3;
        Some(([open, transfer], first))
    }

    /// A call of the chain has ended. True if none of its others is running: it may go on.
    #[must_use]
    pub(crate) fn ended(&mut self, index: u32, step: usize, outcome: Outcome<B>) -> bool {
        let record = &mut self.records[index as usize];
        record.stopped |= outcome.is_err();
        record.results[step] = Some(outcome);
        record.out -= 1;
        self.running -= 1;
        record.out == 0
    }

    /// Makes no further call of a chain, but closes. Gives the slots of those that are running,
    /// then [`NONE`]; all `NONE` if this was asked for already.
    pub(crate) fn stop(&mut self, index: u32) -> [u32; MOST_AT_ONCE] {
        let record = &mut self.records[index as usize];
        let mut found = [NONE; MOST_AT_ONCE];
        record.stopped = true;
        if !std::mem::replace(&mut record.cancelled, true) {
            let running = (0..record.step).filter(|step| record.results[*step].is_none());
            found.iter_mut().zip(running).for_each(|(at, step)| *at = record.slots[step]);
        }
        found
    }

    /// Notes the slot of a call that was given out.
    pub(crate) fn placed(&mut self, index: u32, step: usize, slot: u32) {
        self.records[index as usize].slots[step] = slot;
    }

    fn over(&mut self, index: u32) -> Completion<B> {
        let record = &mut self.records[index as usize];
        let results: Vec<_> = record.results.drain(..).flatten().collect();
        record.live = false;
        record.generation = record.generation.wrapping_add(1);
        self.live -= 1;
        self.calls -= weight(results.len());
        self.free.push(index);
        Completion { user: record.user, result: Ok(Value::Chain(results)), more: false }
    }
}
