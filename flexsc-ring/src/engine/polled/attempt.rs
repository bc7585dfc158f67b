//! One try of a call, and what its result means: an end, one of many, or "wait and try again".

use super::Polled;
use super::exec::Exec;
use crate::buffer::RecvBuf;
use crate::call::Buffer;
use crate::engine::course::Course;
use crate::fallback::Reason;
use crate::op::{CANCELED, Direction, Op, made_fd, settle, would_block};
use crate::result::{Completion, Value};
use crate::slots::{NONE, Stage};
use crate::sys;

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
    #[inline(always)]
    pub(super) fn start(&mut self, index: u32) {
        let slot = self.slots.at(index);
        slot.stage.set(Stage::Running);
        slot.mark.set(false);
        if let Some(ret) = self.exec.start(index, slot.trap()) {
            self.stats.enters += 1;
            self.outcome(index, ret);
        }
    }

    /// A try has ended with `ret`.
    #[inline]
    pub(super) fn outcome(&mut self, index: u32, ret: i64) {
        let slot = self.slots.at(index);
        slot.stage.set(Stage::Ready);
        if slot.simple.get() && ret >= 0 {
            self.conclude(index, ret, None);
        } else {
            self.weigh(index, ret);
        }
    }

    /// A try has ended that may not be the last, or that holds more than its slot.
    fn weigh(&mut self, index: u32, ret: i64) {
        let slot = self.slots.at(index);
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

    /// Takes a call out that has no timer and is on no list, and queues its result or hands it to its
    /// chain.
    #[inline]
    fn conclude(&mut self, index: u32, ret: i64, received: Option<RecvBuf>) {
        let slot = self.slots.at(index);
        let (user, chain) = (slot.user.get(), slot.chain.get());
        let result = self.slots.end(index, |op, buf| settle(op, buf, ret, received));
        if let Some(fd) = made_fd(&result) {
            self.forget(fd);
        }
        if chain != NONE {
            let completion = self.chains.ended(chain, user as usize, result, &mut self.stats);
            return completion.into_iter().for_each(|completion| self.done.push(completion));
        }
        self.stats.ended(ret);
        self.done.push(Completion { user, result, more: false });
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
