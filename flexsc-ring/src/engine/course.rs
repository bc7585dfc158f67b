//! What goes the same way in every engine? Chains from call to call, cancellations, timers.

use std::time::Instant;

use crate::call::{Buffer, Call};
use crate::chain::Chain;
use crate::chains::{Chains, Next, weight};
use crate::fallback::Stats;
use crate::op::{CANCELED, Op, apart};
use crate::result::{Cancelled, Completion, PostError, Ticket};
use crate::slots::{NONE, Slots};
use crate::timers::Timers;

/// The calls of an engine, and what is known of them.
pub(super) struct UnderWay<'a, B: Buffer> {
    pub(super) slots: &'a mut Slots<B>,
    pub(super) chains: &'a mut Chains<B>,
    pub(super) timers: &'a mut Timers,
    pub(super) stats: &'a mut Stats,
}

/// A call of a chain on its way into a slot. If its buffer panics there, the chain goes on without
/// it, to its end, whenever the ring does.
struct Unplaced<'a, B> {
    chains: &'a mut Chains<B>,
    chain: u32,
}

impl<B> Drop for Unplaced<'_, B> {
    fn drop(&mut self) {
        self.chains.lost(self.chain);
    }
}

/// An engine, as far as its calls are concerned: it says how one is made, and is told the rest.
pub(super) trait Course<B: Buffer> {
    fn under_way(&mut self) -> UnderWay<'_, B>;

    /// Sends a call in a slot on its way.
    fn launch(&mut self, index: u32);

    /// Sends a call on its way again, whose pause is over.
    fn relaunch(&mut self, index: u32);

    /// Takes a call out, and hands its result to its chain or queues it.
    fn end(&mut self, index: u32, ret: i64);

    /// Queues a completion, to be reaped.
    fn queue(&mut self, completion: Completion<B>);

    /// Cancels a call, or the program that is posted in its name.
    fn cancel_at(&mut self, index: u32) -> Cancelled;

    /// Makes some of the next calls of a chain at once; false: it does not.
    fn make_some(&mut self, _chain: u32) -> bool {
        false
    }

    /// Makes a call of a chain.
    #[inline]
    fn make(&mut self, chain: u32, place: usize) {
        let index = self.put(chain, place);
        self.launch(index);
    }

    /// Posts a chain that was checked.
    fn submit_chain(&mut self, chain: Chain<B>, user: u64) -> Result<Ticket, PostError<B>> {
        let UnderWay { slots, chains, stats, .. } = self.under_way();
        let n = weight(chain.len());
        if stats.in_flight() + n > slots.limit() {
            return Err(PostError::Full(Call::Chain(chain), slots.limit()));
        }
        let index = chains.begin(chain, user);
        let ticket = chains.ticket(index);
        stats.submitted += n as u64;
        self.go_on();
        Ok(Ticket::new(ticket))
    }

    /// Makes the next calls of the chains that may go on.
    #[inline]
    fn go_on(&mut self) {
        while let Some(chain) = self.under_way().chains.onward() {
            if self.make_some(chain) {
                continue;
            }
            let UnderWay { chains, stats, .. } = self.under_way();
            match chains.next(chain, stats) {
                Next::Run(place) => self.make(chain, place),
                Next::GiveUp(place) => self.give_up(chain, place),
                Next::Wait => {}
                Next::Over(completion) => self.queue(completion),
            }
        }
    }

    /// Puts a call of a chain, which was given out, into a slot.
    #[inline(always)]
    fn put(&mut self, chain: u32, place: usize) -> u32 {
        let UnderWay { slots, chains, .. } = self.under_way();
        let call = chains.take(chain, place);
        let unplaced = Unplaced { chains, chain };
        let mut vacancy = slots.vacancy();
        let shape = apart(call, vacancy.room());
        let (index, slot) = vacancy.fill(shape, place as u64);
        unplaced.chains.placed(chain, place, index);
        std::mem::forget(unplaced);
        slot.chain.set(chain);
        index
    }

    /// The first call that is held of a chain that has stopped: a close is made, others are not.
    #[cold]
    fn give_up(&mut self, chain: u32, place: usize) {
        let UnderWay { slots, chains, .. } = self.under_way();
        chains.resume(chain);
        let index = chains.slot(chain, place);
        let slot = slots.at(index);
        if let Op::Close { fd: None } = slot.op()
            && let Some(fd) = chains.tell_close(chain, place)
        {
            slot.with_op_mut(|op| *op = Op::Close { fd: Some(fd) });
        }
        match slot.op() {
            Op::Close { fd: Some(_) } => self.launch(index),
            _ => self.end(index, CANCELED),
        }
    }

    /// Cancels a call or a chain.
    fn cancel_any(&mut self, ticket: Ticket) -> Cancelled {
        let ticket = ticket.number();
        let UnderWay { slots, chains, .. } = self.under_way();
        if let Some(chain) = chains.find(ticket) {
            return self.cancel_chain(chain);
        }
        // A call of a chain has no ticket of its own: one that names it is another ring's.
        match slots.find(ticket).filter(|index| slots.at(*index).chain.get() == NONE) {
            Some(index) => self.cancel_at(index),
            None if slots.knows(ticket) || chains.knows(ticket) => Cancelled::TooLate,
            None => Cancelled::Unknown,
        }
    }

    /// Stops what runs of a chain, but for closes, and makes no further call of it.
    fn cancel_chain(&mut self, chain: u32) -> Cancelled {
        let mut met = Cancelled::Requested;
        let running = self.under_way().chains.stop(chain);
        for index in running.into_iter().filter(|index| *index != NONE) {
            let UnderWay { slots, chains, .. } = self.under_way();
            let is_program = chains.is_head(chain, index);
            if is_program || !matches!(slots.at(index).op(), Op::Close { .. }) {
                met = self.cancel_at(index);
            }
        }
        self.go_on();
        met
    }

    /// Ends timeouts, and lets calls go on whose pause is over.
    fn ring_timers(&mut self) {
        if self.under_way().timers.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(index) = self.under_way().timers.due(now) {
            match self.under_way().slots.at(index).op() {
                Op::Timeout { .. } => self.end(index, 0),
                _ => self.relaunch(index),
            }
        }
    }
}
