//! Completions that wait to be reaped, for engines that learn of them before `reap`.

use std::collections::VecDeque;

use crate::chains;
use crate::result::{Completion, Value};

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
            if let Some(completion) = self.queue.pop_front() {
                self.last -= calls_of(&completion);
                sink(completion);
            }
        }
        n
    }
}
