//! What a completion queue entry means for its call: a result, one of many, or "try again".

use io_uring::cqueue::{self, Entry};

use super::sqe::readiness_of;
use super::{IGNORE, Uring, WAKE};
use crate::buffer::RecvBuf;
use crate::call::Buffer;
use crate::chains::Chains;
use crate::engine::course::Course;
use crate::fallback::Reason;
use crate::op::{CANCELED, KERNEL_CANCELED, Op, settle, would_block};
use crate::result::{Completion, Value};
use crate::slots::{NONE, Slot, Stage};
use crate::sys;

/// It has waited for nothing but its result.
fn is_plain(op: &Op) -> bool {
    matches!(op, Op::Open { .. } | Op::Read { .. } | Op::Write { .. })
}

impl<B: Buffer> Uring<B> {
    /// Hands out what the completion queue holds, one by one: a sink that panics loses none.
    pub(super) fn reap_kernel(&mut self, sink: &mut impl FnMut(Completion<B>)) -> usize {
        let mut handed = 0;
        loop {
            let next = self.ring.completion().next();
            let Some(entry) = next else { return handed };
            if let Some(completion) = self.on_entry(&entry) {
                handed += 1;
                sink(completion);
            }
        }
    }

    #[inline]
    pub(super) fn on_entry(&mut self, entry: &Entry) -> Option<Completion<B>> {
        let (ticket, flags) = (entry.user_data(), entry.flags());
        let more = cqueue::more(flags);
        let ret = i64::from(entry.result());
        if ticket >= WAKE {
            if ticket == WAKE && !more {
                self.watch_waker();
            }
            debug_assert!(ticket == WAKE || ticket == IGNORE);
            return None;
        }
        if Chains::<B>::is_close(ticket) {
            return self.on_close(ticket, ret);
        }
        let chosen = cqueue::buffer_select(flags);
        if chosen.is_some() {
            self.offer.taken();
        }
        let Some(index) = self.slots.find(ticket) else {
            chosen.into_iter().for_each(|id| self.pool.put(id));
            return None;
        };
        let slot = self.slots.at(index);
        if slot.mark.get() {
            return self.became_ready(index, ret);
        }
        if ret >= 0 && slot.chain.get() != NONE && slot.direct.get() == NONE && is_plain(slot.op())
        {
            return self.finish_step(index, ret);
        }
        if slot.last_try.get() {
            return self.on_last_try(index, ret);
        }
        match slot.op() {
            Op::Recv { .. } => self.on_recv(index, ret, more, chosen),
            Op::Accept { .. } => self.on_accept(index, ret, more),
            op if Self::was_not_closed(op, ret) => {
                if slot.cancelled.get() {
                    return self.finish(index, CANCELED, None);
                }
                self.post(index);
                None
            }
            op if self.was_given_up(slot, ret) && op.waits_on().is_none() => {
                self.post(index);
                None
            }
            op => {
                let ret = op.verdict(ret);
                if ret < 0 { self.on_failure(index, ret) } else { self.finish(index, ret, None) }
            }
        }
    }

    /// Signals, or a bound on tasks, have kept io_uring from starting a worker, and it gave up what
    /// waited for one. In a chain it may be a call behind one that has failed.
    fn was_given_up(&self, slot: &Slot<B>, ret: i64) -> bool {
        let closes = matches!(slot.op(), Op::Close { .. });
        ret == KERNEL_CANCELED && !closes && !slot.cancelled.get() && slot.chain.get() == NONE
    }

    fn on_recv(
        &mut self,
        index: u32,
        ret: i64,
        more: bool,
        chosen: Option<u16>,
    ) -> Option<Completion<B>> {
        let Some(id) = chosen.filter(|_| ret > 0) else {
            chosen.into_iter().for_each(|id| self.pool.put(id));
            return match ret {
                0 => self.finish(index, 0, None),
                _ => self.on_failure(index, ret),
            };
        };
        let received = self.pool.received(id, ret as usize);
        let user = self.slots.at(index).user.get();
        if more || self.goes_on(index) {
            let result = Ok(Value::Received(received));
            return Some(Completion { user, result, more: true });
        }
        self.finish(index, ret, Some(received))
    }

    fn on_accept(&mut self, index: u32, ret: i64, more: bool) -> Option<Completion<B>> {
        if ret < 0 {
            return self.on_failure(index, ret);
        }
        let user = self.slots.at(index).user.get();
        if more || self.goes_on(index) {
            // SAFETY: one of the accept's results, each of which comes in one entry.
            let result = Ok(Value::Accepted(unsafe { sys::adopt(ret) }));
            return Some(Completion { user, result, more: true });
        }
        self.finish(index, ret, None)
    }

    /// A multishot call whose kernel part has ended, though its result is no end: posts it again.
    fn goes_on(&mut self, index: u32) -> bool {
        let slot = self.slots.at(index);
        if !slot.multishot.get() || slot.cancelled.get() {
            return false;
        }
        self.stats.count(Reason::Rearmed);
        self.launch(index);
        true
    }

    /// As `finish`, of a call of a chain that was made at once and has succeeded.
    #[inline(always)]
    pub(super) fn finish_step(&mut self, index: u32, ret: i64) -> Option<Completion<B>> {
        let slot = self.slots.at(index);
        let (place, chain) = (slot.user.get() as usize, slot.chain.get());
        let outcome = self.slots.end(index, |op, buf| settle(op, buf, ret, None));
        self.chains.ended(chain, place, outcome, &mut self.stats)
    }

    /// Takes a call out, after its last result, which goes to the caller or to its chain.
    #[inline]
    pub(super) fn finish(
        &mut self,
        index: u32,
        ret: i64,
        received: Option<RecvBuf>,
    ) -> Option<Completion<B>> {
        let slot = self.slots.at(index);
        let (user, chain) = (slot.user.get(), slot.chain.get());
        let direct_open = slot.direct.get() != NONE && matches!(slot.op(), Op::Open { .. });
        if let Some(at) = slot.op().timer() {
            self.timers.remove(at, index);
        }
        let result = self.slots.end(index, |op, buf| {
            if direct_open {
                // What an open into the registered table returns is no descriptor.
                *op = Op::Nop;
            }
            settle(op, buf, ret, received)
        });
        if chain != NONE {
            return self.chains.ended(chain, user as usize, result, &mut self.stats);
        }
        self.stats.ended(ret);
        Some(Completion { user, result, more: false })
    }

    /// A failure that is the call's end, or one to be tried again.
    fn on_failure(&mut self, index: u32, ret: i64) -> Option<Completion<B>> {
        let slot = self.slots.at(index);
        if slot.cancelled.get() {
            let retry =
                would_block(ret) || slot.op().starts_over(ret) || ret == -i64::from(libc::ENOBUFS);
            return self.finish(index, if retry { CANCELED } else { ret }, None);
        }
        if ret == -i64::from(libc::ENOBUFS) && matches!(slot.op(), Op::Recv { .. }) {
            slot.stage.set(Stage::Starved);
            self.starved.push_back(self.slots.ticket(index));
            self.offer.ran_dry();
            self.stats.count(Reason::PoolEmpty);
            return None;
        }
        if slot.op().starts_over(ret) {
            self.launch(index);
            return None;
        }
        if would_block(ret) && self.await_readiness(index) {
            return None;
        }
        self.finish(index, ret, None)
    }

    /// A descriptor in non-blocking mode makes io_uring give up where it would wait: waits for it
    /// by a poll, after which the call is made again.
    fn await_readiness(&mut self, index: u32) -> bool {
        let slot = self.slots.at(index);
        if let Some(until) = slot.op().pause() {
            slot.stage.set(Stage::Parked);
            self.timers.add(until, index);
            return true;
        }
        let Some(poll) = readiness_of(slot.op()) else { return false };
        slot.mark.set(true);
        slot.linked.set(false);
        slot.stage.set(Stage::Running);
        self.stats.count(Reason::NotReady);
        let ticket = self.slots.ticket(index);
        self.push(poll.user_data(ticket));
        true
    }

    fn became_ready(&mut self, index: u32, ret: i64) -> Option<Completion<B>> {
        if self.slots.at(index).cancelled.get() {
            return self.finish(index, CANCELED, None);
        }
        if ret < 0 {
            return self.finish(index, ret, None);
        }
        self.launch(index);
        None
    }

    /// A syscall thread has made a call.
    pub(super) fn thread_returned(&mut self, index: u32, ret: i64) {
        self.slots.at(index).linked.set(false);
        self.returned(index, ret);
    }

    /// A call has been made by trap.
    pub(super) fn returned(&mut self, index: u32, ret: i64) {
        let ret = self.slots.at(index).op().verdict(ret);
        let completion = match ret {
            0.. => self.finish(index, ret, None),
            _ => self.on_failure(index, ret),
        };
        if let Some(completion) = completion {
            self.done.push(completion);
        }
    }
}
