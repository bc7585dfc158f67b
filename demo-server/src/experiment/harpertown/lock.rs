//! Who gets a core's spinlock next?
//!
//! A test-and-set lock (§2.1). Who waits polls: each poll fetches the lock's line, 110 cycles from another pair and 15
//! from a mate, and takes the lock if that is free when the line comes. So after a release a waiter has it at a
//! moment by chance within one fetch, the first of them wins, however long the others have waited, and a core that
//! comes meanwhile with the line still in its cache is quicker than all. The holder's release has to fetch the line
//! back from whoever polled last.

use super::chance::Chance;
use super::memory::{L2_CYCLES, MEMORY_CYCLES, Memory, are_mates};

#[derive(Debug)]
enum State {
    Free,
    Held,
    /// Released; this waiter's poll will be the first to see it, then.
    Passing {
        next: usize,
        at: u64,
    },
}

#[derive(Debug)]
pub(super) struct Spinlock {
    line: u32,
    state: State,
    waiters: Vec<usize>,
}

/// What a request for a lock leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// The core has it at this time; a waiter that was to have it before goes on waiting.
    Granted { at: u64, passed_over: Option<usize> },
    /// The core spins.
    Waits,
}

impl Spinlock {
    pub(super) const fn new(line: u32) -> Self {
        Self { line, state: State::Free, waiters: Vec::new() }
    }

    pub(super) fn request(&mut self, core: usize, now: u64, memory: &mut Memory) -> Request {
        let at = now + memory.write(core, self.line);
        let passed_over = match self.state {
            State::Free => None,
            State::Passing { next, at: then } if at < then => {
                self.waiters.push(next);
                Some(next)
            }
            State::Passing { .. } | State::Held => {
                self.waiters.push(core);
                return Request::Waits;
            }
        };
        self.state = State::Held;
        Request::Granted { at, passed_over }
    }

    /// The holder's release: when it can go on, and who has the lock next, when.
    pub(super) fn release(
        &mut self,
        core: usize,
        now: u64,
        memory: &mut Memory,
        chance: &mut Chance,
    ) -> (u64, Option<(usize, u64)>) {
        if self.waiters.is_empty() {
            self.state = State::Free;
            return (now + memory.write(core, self.line), None);
        }
        let last = self.waiters[chance.below(self.waiters.len() as u64) as usize];
        memory.write(last, self.line);
        let released = now + memory.write(core, self.line);
        let mut first = (u64::MAX, 0);
        for (place, &waiter) in self.waiters.iter().enumerate() {
            let fetch = if are_mates(core, waiter) { L2_CYCLES } else { MEMORY_CYCLES };
            first = first.min((released + 1 + chance.below(fetch), place));
        }
        let (at, place) = first;
        let next = self.waiters.swap_remove(place);
        self.state = State::Passing { next, at };
        (released, Some((next, at)))
    }

    /// The waiter that was to have the lock has it now.
    pub(super) fn pass(&mut self, core: usize, memory: &mut Memory) {
        memory.write(core, self.line);
        self.state = State::Held;
    }
}
