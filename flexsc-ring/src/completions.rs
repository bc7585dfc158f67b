//! Completions that wait to be reaped, for engines that learn of them before `reap`.

use std::collections::VecDeque;

use crate::result::Completion;

/// A queue of completions.
pub(crate) struct Completions<B> {
    queue: VecDeque<Completion<B>>,
    /// How many of them are the last ones of their calls.
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
        self.last += usize::from(!completion.more);
        self.queue.push_back(completion);
    }

    /// Hands out all of them, oldest first; how many.
    pub(crate) fn drain(&mut self, sink: &mut impl FnMut(Completion<B>)) -> usize {
        let n = self.queue.len();
        for _ in 0..n {
            if let Some(completion) = self.queue.pop_front() {
                self.last -= usize::from(!completion.more);
                sink(completion);
            }
        }
        n
    }
}
