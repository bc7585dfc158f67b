//! Completions that wait to be reaped, for engines that learn of them before `reap`.

use std::collections::VecDeque;

use crate::call::Completion;

/// A queue of completions.
pub(crate) struct Completions<B>(VecDeque<Completion<B>>);

impl<B> Completions<B> {
    pub(crate) fn new() -> Self {
        Completions(VecDeque::new())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub(crate) fn push(&mut self, completion: Completion<B>) {
        self.0.push_back(completion);
    }

    /// Hands out all of them, oldest first; how many.
    pub(crate) fn drain(&mut self, sink: &mut impl FnMut(Completion<B>)) -> usize {
        let n = self.0.len();
        for _ in 0..n {
            if let Some(completion) = self.0.pop_front() {
                sink(completion);
            }
        }
        n
    }
}
