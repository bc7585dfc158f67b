//! Completions that wait to be reaped, for engines that learn of them before `reap`.

use std::collections::VecDeque;

use crate::call::Buffer;
use crate::chains;
use crate::op::settle;
use crate::result::{Completion, Value};
use crate::slots::{NONE, Slots};

/// How many calls have ended with it.
fn calls_of<B>(completion: &Completion<B>) -> usize {
    match &completion.result {
        Ok(Value::Chain(results)) => chains::weight(results.len()),
        _ => usize::from(!completion.more),
    }
}

/// A queue of completions.
pub(crate) struct Completions<B> {
    queue: VecDeque<Completion<B>>,
    /// How many calls have ended with them.
    last: usize,
}

impl<B> Completions<B> {
    pub(crate) fn new() -> Self {
        Completions { queue: VecDeque::new(), last: 0 }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Calls that have ended, but whose end was not handed out.
    pub(crate) fn ended(&self) -> usize {
        self.last
    }

    #[inline]
    pub(crate) fn push(&mut self, completion: Completion<B>) {
        self.last += calls_of(&completion);
        self.queue.push_back(completion);
    }

    /// Hands out all of them, oldest first; how many.
    pub(crate) fn drain(&mut self, sink: &mut impl FnMut(Completion<B>)) -> usize {
        let n = self.queue.len();
        for _ in 0..n {
            self.hand_out(sink);
        }
        n
    }

    /// Hands out the oldest.
    fn hand_out(&mut self, sink: &mut impl FnMut(Completion<B>)) {
        if let Some(completion) = self.queue.pop_front() {
            self.last -= calls_of(&completion);
            sink(completion);
        }
    }
}

/// In the order of what was queued: something that is whole, not a call in its slot.
const WHOLE: u32 = NONE;

/// A queue of completions, most of which are made when they are reaped: until then the call stays in
/// its slot, and its index and its result wait here.
pub(crate) struct Endings<B> {
    order: Vec<(u32, i64)>,
    /// How many of them were handed out: all, or a sink has panicked.
    taken: usize,
    whole: Completions<B>,
}

impl<B: Buffer> Endings<B> {
    pub(crate) fn new() -> Self {
        Endings { order: Vec::new(), taken: 0, whole: Completions::new() }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.order.len() - self.taken
    }

    /// Calls that have ended, but whose end was not handed out.
    pub(crate) fn ended(&self) -> usize {
        self.len() - self.whole.queue.len() + self.whole.ended()
    }

    #[inline]
    pub(crate) fn push(&mut self, completion: Completion<B>) {
        self.whole.push(completion);
        self.order.push((WHOLE, 0));
    }

    /// The call of a slot has ended with `ret`.
    #[inline]
    pub(crate) fn push_ended(&mut self, index: u32, ret: i64) {
        self.order.push((index, ret));
    }

    /// Hands out all of them, oldest first; how many.
    #[inline]
    pub(crate) fn drain(
        &mut self,
        slots: &mut Slots<B>,
        sink: &mut impl FnMut(Completion<B>),
    ) -> usize {
        let n = self.len();
        while let Some((index, ret)) = self.order.get(self.taken).copied() {
            self.taken += 1;
            if index == WHOLE {
                self.whole.hand_out(sink);
            } else {
                let user = slots.at(index).user.get();
                let result = slots.clear(index, |op, buf| settle(op, buf, ret, None));
                sink(Completion { user, result, more: false });
            }
        }
        self.order.clear();
        self.taken = 0;
        n
    }
}
