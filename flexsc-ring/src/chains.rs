//! Chains under way: which of their calls is next, with which descriptor, and what came of them.

use std::collections::VecDeque;
use std::ops::Range;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

use crate::call::Call;
use crate::chain::{Chain, OPENED};
use crate::fallback::Stats;
use crate::lent::Lent;
use crate::op::{CANCELED, failure, made_fd, take_fd};
use crate::result::{Completion, Failure, Value};
use crate::slots::NONE;
use crate::trap::Step;

/// Tickets of chains have this bit in their lower half; no slot has such an index.
const TICKET: u32 = 1 << 31;
/// In the name of a close the bits from here up to that one are its number in its chain. Those below
/// are enough for the most chains that a ring may have.
const NUMBER: u32 = 27;

const MOST: usize = Chain::<()>::MOST_CALLS;
/// The most calls of one chain that run at once.
const MOST_AT_ONCE: usize = 3;

/// What came of a call of a chain.
pub(crate) type Outcome<B> = Result<Value<B>, Failure<B>>;

/// What a chain does next.
pub(crate) enum Next<B> {
    /// Make its call of this number, which [`Chains::take`] gives out.
    Run(usize),
    /// Give up its call of this number, which is held in its slot.
    GiveUp(usize),
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
    /// Its calls; those that were given out own nothing by now.
    calls: Vec<Call<B>>,
    /// Calls that were given out, or not made.
    step: usize,
    /// Calls that have begun; those behind, up to `step`, are held in their slots.
    begun: usize,
    /// Calls that are running, a bit each.
    running: u32,
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
    /// Calls that were cancelled.
    not_made: usize,
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
    /// Closes that are made without a slot.
    closing: usize,
    /// Those that may go on: new ones, and those of which no call is running any more.
    onward: VecDeque<u32>,
}

/// What a chain of `n` calls counts as.
pub(crate) fn weight(n: usize) -> usize {
    n.max(1)
}

#[inline]
fn fd_to_close<B>(call: &Call<B>) -> RawFd {
    match call {
        Call::Close(fd) => fd.as_raw_fd(),
        _ => -1,
    }
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
            not_made: 0,
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

    /// Its descriptor may come yet.
    fn is_awaited(&self, opener: u8) -> bool {
        let at = usize::from(opener);
        self.running >> at & 1 != 0 || (self.begun..self.step).contains(&at)
    }

    /// The call at `step` is not to be made.
    #[cold]
    fn refuse(&mut self, step: usize) -> bool {
        self.not_made += 1;
        let call = std::mem::replace(&mut self.calls[step], Call::Nop);
        self.results[step] = Err(failure(CANCELED, Lent::of(call)));
        false
    }

    /// Gives out the next call, if it is to be made; else it has its result.
    #[inline(always)]
    fn give(&mut self) -> bool {
        let step = self.step;
        let made = self.prepare(step);
        self.step = step + 1;
        made
    }

    /// Puts the descriptor opened last into a call. False: it is not to be made, and has its result.
    #[inline(always)]
    fn prepare(&mut self, step: usize) -> bool {
        self.sources[step] = KNOWN;
        let call = &mut self.calls[step];
        if let Call::CloseOpened = call {
            return self.prepare_close(step);
        }
        if let Some(top) = self.depth.checked_sub(1) {
            let opener = self.open[top];
            let (made, source) = (&self.results[usize::from(opener)], &mut self.sources[step]);
            call.each_fd(|fd| {
                if *fd == OPENED {
                    match made_fd(made) {
                        Some(known) => *fd = known,
                        None => *source = opener,
                    }
                }
            });
        }
        match *call {
            Call::OpenAt2 { .. } | Call::Accept { .. } => {
                self.open[self.depth] = step as u8;
                self.depth += 1;
            }
            Call::Read { start, .. } => self.read = (step, start),
            Call::SendRead { fd } if !self.stopped => match self.send_read(fd) {
                Some(send) => self.calls[step] = send,
                None => return self.refuse(step),
            },
            _ => {}
        }
        !self.stopped || self.refuse(step)
    }

    /// Gives a close the descriptor opened last, as its own from now on.
    #[inline]
    fn prepare_close(&mut self, step: usize) -> bool {
        let Some(top) = self.depth.checked_sub(1) else { return self.refuse(step) };
        let opener = self.open[top];
        self.depth = top;
        if self.is_awaited(opener) {
            self.sources[step] = opener;
            return true;
        }
        match take_fd(&mut self.results[usize::from(opener)]) {
            Some(fd) => self.calls[step] = Call::Close(fd),
            None => return self.refuse(step),
        }
        true
    }
}

impl<B> Chains<B> {
    pub(crate) fn new() -> Self {
        Chains {
            records: Vec::new(),
            free: Vec::new(),
            live: 0,
            closing: 0,
            onward: VecDeque::new(),
        }
    }

    /// No chain is under way.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Begins a chain that was checked, which may go on then.
    pub(crate) fn begin(&mut self, mut chain: Chain<B>, user: u64) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.records.push(Record::new());
            self.records.len() as u32 - 1
        });
        self.live += 1;
        self.onward.push_back(index);
        let record = &mut self.records[index as usize];
        let n = chain.len();
        record.calls.append(&mut chain.calls);
        // The results come to lie where the calls were, which saves an allocation.
        record.results = chain.calls.into_iter().map(|_| Ok(Value::Done)).collect();
        record.results.resize_with(n, || Ok(Value::Done));
        (record.live, record.user) = (true, user);
        (record.step, record.begun, record.running, record.depth) = (0, 0, 0, 0);
        record.read = (0, 0);
        (record.stopped, record.cancelled, record.not_made) = (false, false, 0);
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

    /// A chain may go on.
    #[inline]
    pub(crate) fn any_onward(&self) -> bool {
        !self.onward.is_empty()
    }

    /// A chain that may go on, which is for the caller to do.
    #[inline]
    pub(crate) fn onward(&mut self) -> Option<u32> {
        self.onward.pop_front()
    }

    /// A chain may go on, although none of its calls has ended.
    pub(crate) fn retry(&mut self, index: u32) {
        self.onward.push_back(index);
    }

    /// A call of a chain, and those behind it.
    #[inline]
    pub(crate) fn calls(&self, index: u32, step: usize) -> &[Call<B>] {
        self.records[index as usize].calls.get(step..).unwrap_or_default()
    }

    /// The calls that are still to be made, from the next one on.
    #[inline]
    pub(crate) fn ahead(&self, index: u32) -> &[Call<B>] {
        self.calls(index, self.records[index as usize].step)
    }

    /// What the chain does next.
    #[inline(always)]
    pub(crate) fn next(&mut self, index: u32, stats: &mut Stats) -> Next<B> {
        let record = &mut self.records[index as usize];
        if record.running != 0 {
            return Next::Wait;
        }
        if record.begun < record.step {
            return Next::GiveUp(record.begun);
        }
        while record.step < record.calls.len() {
            let made = record.give();
            record.begun = record.step;
            if made {
                record.running = 1 << (record.step - 1);
                return Next::Run(record.step - 1);
            }
        }
        Next::Over(self.over(index, stats))
    }

    /// The number of the next call too, to be put into its slot, where it is held until `began`: one
    /// that can go with those before it.
    #[inline]
    pub(crate) fn also(&mut self, index: u32) -> Option<usize> {
        let record = &mut self.records[index as usize];
        let made = record.step < record.calls.len() && record.give();
        made.then(|| record.step - 1)
    }

    /// The calls that were held begin.
    #[inline]
    pub(crate) fn began(&mut self, index: u32) {
        let record = &mut self.records[index as usize];
        record.running |= (1 << record.step) - (1 << record.begun);
        record.begun = record.step;
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

    /// Begins a close that was given out, which is not taken: of a close nothing is in memory, so it
    /// needs no slot. Gives its descriptor, which stays here until it has ended, and its name.
    #[inline]
    pub(crate) fn close(&mut self, index: u32, step: usize) -> (RawFd, u64) {
        let record = &mut self.records[index as usize];
        let fd = fd_to_close(&record.calls[step]);
        debug_assert!(index >> NUMBER == 0 && record.begun == record.step);
        record.slots[step] = NONE;
        self.closing += 1;
        let low = index | TICKET | (step as u32) << NUMBER;
        (fd, u64::from(record.generation) << 32 | u64::from(low))
    }

    /// What has ended is a close that was made without a slot.
    #[inline]
    pub(crate) fn is_close(name: u64) -> bool {
        name as u32 & TICKET != 0
    }

    /// Chain and number of a close that was made without a slot, by its name.
    #[inline]
    fn close_of(&self, name: u64) -> (u32, usize) {
        let low = name as u32 & !TICKET;
        let (index, step) = (low & ((1 << NUMBER) - 1), (low >> NUMBER) as usize);
        debug_assert_eq!(self.records[index as usize].generation, (name >> 32) as u32);
        (index, step)
    }

    /// The descriptor of a close that was made without a slot and has not ended.
    pub(crate) fn closing_fd(&self, name: u64) -> RawFd {
        let (index, step) = self.close_of(name);
        fd_to_close(&self.records[index as usize].calls[step])
    }

    /// A close that was made without a slot has ended: its chain, its number, and what came of it.
    #[inline]
    pub(crate) fn closed(&mut self, name: u64, ret: i64) -> (u32, usize, Outcome<B>) {
        let (index, step) = self.close_of(name);
        self.closing -= 1;
        if let Call::Close(fd) = self.take(index, step) {
            // The kernel has closed it, also where it reports an error.
            let _ = fd.into_raw_fd();
        }
        let outcome = if ret < 0 { Err(failure(ret, Lent::Nothing)) } else { Ok(Value::Done) };
        (index, step, outcome)
    }

    /// Closes without a slot that have not ended.
    pub(crate) fn closing(&self) -> usize {
        self.closing
    }

    /// Gives up the descriptors of closes that may still be made.
    pub(crate) fn leak_closing(&mut self) {
        for record in &mut self.records {
            let running = record.running;
            let calls = record.calls.iter_mut().enumerate();
            for (_, call) in calls.filter(|(step, _)| running >> step & 1 != 0) {
                std::mem::forget(std::mem::replace(call, Call::Nop));
            }
        }
    }

    /// The call that was taken last has found no slot, and is lost: the chain stops before it.
    pub(crate) fn lost(&mut self, index: u32) {
        let record = &mut self.records[index as usize];
        record.stopped = true;
        record.step -= 1;
        record.begun = record.begun.min(record.step);
        record.running &= !(1 << record.step);
        if record.running == 0 {
            self.onward.push_back(index);
        }
    }

    /// A call of the chain has ended. If none of its others is running it may go on, or was the
    /// last: this is the chain's end then.
    #[inline(always)]
    pub(crate) fn ended(
        &mut self,
        index: u32,
        step: usize,
        outcome: Outcome<B>,
        stats: &mut Stats,
    ) -> Option<Completion<B>> {
        let record = &mut self.records[index as usize];
        if let Err(failure) = &outcome {
            record.stopped = true;
            record.not_made += usize::from(failure.is_cancelled());
        }
        let before = std::mem::replace(&mut record.results[step], outcome);
        debug_assert!(matches!(before, Ok(Value::Done)), "a call has one result");
        // Known to own nothing.
        std::mem::forget(before);
        record.running &= !(1 << step);
        if record.running != 0 {
            return None;
        }
        if record.begun == record.calls.len() {
            return Some(self.over(index, stats));
        }
        self.onward.push_back(index);
        None
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

    fn over(&mut self, index: u32, stats: &mut Stats) -> Completion<B> {
        let record = &mut self.records[index as usize];
        let results = std::mem::take(&mut record.results);
        // Known to own nothing.
        record.calls.drain(..).for_each(std::mem::forget);
        stats.chain_ended(weight(results.len()), record.not_made);
        record.live = false;
        record.generation = record.generation.wrapping_add(1);
        self.live -= 1;
        self.free.push(index);
        Completion { user: record.user, result: Ok(Value::Chain(results)), more: false }
    }
}
