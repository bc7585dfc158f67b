//! One try of a call, and what its result means: an end, one of many, or "wait and try again".

use super::Polled;
use super::exec::Exec;
use crate::buffer::RecvBuf;
use crate::call::Buffer;
use crate::engine::course::Course;
use crate::fallback::Reason;
use crate::op::{CANCELED, Direction, Op, settle, would_block};
use crate::result::{Completion, Value};
use crate::slots::{NONE, Slot, Stage};
use crate::sys;

/// Makes the call of a slot, or has it made; its result if it is there.
#[inline(always)]
pub(super) fn make<B, X: Exec>(exec: &mut X, index: u32, slot: &Slot<B>) -> Option<i64> {
    slot.stage.set(Stage::Running);
    exec.start(index, slot)
}

impl<B: Buffer, X: Exec> Polled<B, X> {
    /// Tries a call.
    pub(super) fn attempt(&mut self, index: u32) {
        if self.is_stale(index) {
            return self.end(index, CANCELED);
        }
        let slot = self.slots.at(index);
        if matches!(slot.op(), Op::Recv { .. }) {
            let Some(id) = self.pool.take() else {
                slot.stage.set(Stage::Starved);
                self.starved.push_back(self.slots.ticket(index));
                self.stats.count(Reason::PoolEmpty);
                return;
            };
            let (ptr, len) = self.pool.memory(id);
            slot.held.set(id);
            slot.set_range(ptr, len);
        }
        self.start(index);
    }

    /// Makes a call, or has it made.
    pub(super) fn start(&mut self, index: u32) {
        let slot = self.slots.at(index);
        slot.mark.set(false);
        if slot.op().reads_plainly().is_some_and(|fd| !sys::ready_now(fd, -1).0) {
            // Another reader was told of the same bytes, and has taken them.
            return self.park(index);
        }
        if let Some(ret) = make(&mut self.exec, index, slot) {
            self.stats.enters += 1;
            self.outcome(index, ret);
        }
    }

    /// A try has ended with `ret`.
    #[inline(always)]
    pub(super) fn outcome(&mut self, index: u32, ret: i64) {
        if self.slots.at(index).simple.get() && ret >= 0 {
            self.conclude(index, ret, None);
        } else {
            self.weigh(index, ret);
        }
    }

    /// A try has ended that may not be the last, or that holds more than its slot.
    #[inline(never)]
    fn weigh(&mut self, index: u32, ret: i64) {
        let slot = self.slots.at(index);
        slot.stage.set(Stage::Ready);
        let waited_on = if slot.linked.get() { slot.op().waits_on() } else { None };
        let ret = slot.op().verdict(ret);
        if let Some((fd, direction)) = waited_on
            && slot.op().waits_on() != waited_on
        {
            // A splice waits for its other end now.
            slot.linked.set(false);
            self.watch.unlink(fd, direction, index);
        }
        let received = match slot.op() {
            Op::Recv { .. } if ret > 0 => Some(self.pool.received(slot.held.get(), ret as usize)),
            Op::Recv { .. } => {
                self.pool.put(slot.held.get());
                None
            }
            _ => None,
        };
        if ret < 0 {
            return self.failed(index, ret);
        }
        let end_of_stream = ret == 0 && matches!(slot.op(), Op::Recv { .. });
        if slot.multishot.get() && !slot.cancelled.get() && !end_of_stream {
            return self.one_of_many(index, ret, received);
        }
        self.finish(index, ret, received);
    }

    fn failed(&mut self, index: u32, ret: i64) {
        let slot = self.slots.at(index);
        let errors = [libc::EOPNOTSUPP, libc::EINVAL, libc::ENOSYS, libc::EPERM];
        let no_nowait = errors.map(|errno| -i64::from(errno));
        if slot.op().starts_over(ret) {
            if slot.cancelled.get() {
                return self.end(index, CANCELED);
            }
            return self.line_up(index);
        }
        if would_block(ret) && slot.op().waits_on().is_some() {
            if slot.cancelled.get() {
                return self.end(index, CANCELED);
            }
            if let Some(until) = slot.op().pause() {
                slot.stage.set(Stage::Parked);
                // Only its time ends a pause: an edge beside it would start the call twice.
                self.unlink(index);
                return self.timers.add(until, index);
            }
            return self.park(index);
        }
        if no_nowait.contains(&ret) && slot.with_op_mut(Op::make_plain) {
            if slot.cancelled.get() {
                return self.end(index, CANCELED);
            }
            return self.park(index);
        }
        self.end(index, ret);
    }

    /// A multishot call has a result and goes on.
    fn one_of_many(&mut self, index: u32, ret: i64, received: Option<RecvBuf>) {
        let slot = self.slots.at(index);
        let (user, ticket) = (slot.user.get(), self.slots.ticket(index));
        let mut made = None;
        let (result, drained) = match slot.op() {
            Op::Recv { fd, .. } => {
                let (_, room) = slot.range();
                let drained = self.watch.drained(*fd, ret as usize, room) && !slot.mark.get();
                (Value::Received(received.unwrap_or_default()), drained)
            }
            _ => {
                made = Some(ret as i32);
                // SAFETY: the result of the accept that has just been made.
                (Value::Accepted(unsafe { sys::adopt(ret) }), false)
            }
        };
        self.done.push(Completion { user, result: Ok(result), more: true });
        if let Some(fd) = made {
            self.forget(fd);
            // A listener that was closed meanwhile may have had that number: its call has ended.
            if self.slots.find(ticket).is_none() {
                return;
            }
        }
        if drained {
            self.slots.at(index).stage.set(Stage::Parked);
        } else {
            self.line_up(index);
        }
    }

    /// Takes a call out, after its last result.
    pub(super) fn finish(&mut self, index: u32, ret: i64, received: Option<RecvBuf>) {
        if let Some(at) = self.slots.at(index).op().timer() {
            self.timers.remove(at, index);
        }
        self.unlink(index);
        self.conclude(index, ret, received);
    }

    /// Ends a call that has no timer and is on no list: its result is queued, or handed to its chain.
    #[inline(always)]
    fn conclude(&mut self, index: u32, ret: i64, received: Option<RecvBuf>) {
        let slot = self.slots.retire(index);
        let alone = slot.chain.get() == NONE && received.is_none();
        let made = slot.op().makes_fd() && ret >= 0;
        slot.with_op_mut(|op| op.closed(ret));
        if made {
            self.forget(ret as i32);
        }
        if alone {
            self.stats.ended(ret);
            self.done.push_ended(index, ret);
        } else {
            self.hand_over(index, ret, received);
        }
    }

    /// Makes the result of a call that has ended, for its chain, or because it holds a buffer of the pool.
    #[inline(never)]
    fn hand_over(&mut self, index: u32, ret: i64, received: Option<RecvBuf>) {
        let slot = self.slots.at(index);
        let (user, chain) = (slot.user.get(), slot.chain.get());
        let result = self.slots.clear(index, |op, buf| settle(op, buf, ret, received));
        if chain == NONE {
            self.stats.ended(ret);
            self.done.push(Completion { user, result, more: false });
        } else {
            let over = self.chains.ended(chain, user as usize, result, &mut self.stats);
            over.into_iter().for_each(|completion| self.done.push(completion));
        }
    }

    /// Takes a call off its descriptor's list, if it is on one.
    fn unlink(&mut self, index: u32) {
        let slot = self.slots.at(index);
        if let (true, Some((fd, direction))) = (slot.linked.replace(false), slot.op().waits_on()) {
            self.watch.unlink(fd, direction, index);
            if direction == Direction::Out {
                self.next_writer(fd);
            }
        }
    }

    /// The writer that waited behind one that has ended may find room.
    fn next_writer(&mut self, fd: i32) {
        let next = self.watch.waiting(fd, Direction::Out).first().copied();
        if let Some(next) = next.filter(|next| self.slots.at(*next).stage.get() == Stage::Parked) {
            self.line_up(next);
        }
    }
}
