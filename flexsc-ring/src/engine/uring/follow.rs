//! What goes on in a chain: call after call, each when the one before it has ended.
//!
//! Over 32 hot files, in times of four traps a file (medians of paired rounds, Zen 4, Linux 6.18):
//! opens in a batch, `statx` by trap, reads and closes in a batch 0.77; with reads by trap 0.77;
//! without a `statx` 0.63; that linked, over a descriptor of the io_uring's own, 0.62; linked with
//! a `statx` by path 0.96. So [`link`](super::link) takes what has nothing between open and close
//! but one transfer, which also saves a batch, and the rest goes step by step, a close together
//! with the transfer before it.

use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use super::Uring;
use crate::call::{Buffer, CURRENT, Call};
use crate::chain::Chain;
use crate::chains::{Next, weight};
use crate::fallback::Reason;
use crate::op::{Op, of_statx, split};
use crate::result::{Cancelled, Failure, PostError, Ticket, Value};
use crate::slots::NONE;
use crate::sys;

impl<B: Buffer> Uring<B> {
    pub(super) fn submit_chain(
        &mut self,
        chain: Chain<B>,
        user: u64,
    ) -> Result<Ticket, PostError<B>> {
        let n = weight(chain.len());
        if self.under_way() + n > self.slots.limit() {
            return Err(PostError::Full(Call::Chain(chain), self.slots.limit()));
        }
        let index = self.chains.begin(chain, user);
        let ticket = self.chains.ticket(index);
        self.stats.submitted += n as u64;
        self.onward.push_back(index);
        self.go_on();
        Ok(Ticket::new(ticket))
    }

    /// Makes the next calls of chains of which one has ended.
    pub(super) fn go_on(&mut self) {
        while let Some(chain) = self.onward.pop_front() {
            if self.link(chain) {
                continue;
            }
            match self.chains.next(chain) {
                Next::Run(place) => self.step(chain, place),
                Next::Wait => {}
                Next::Over(completion) => {
                    self.stats.chain_ended(&completion);
                    self.done.push(completion);
                }
            }
        }
    }

    /// Makes a call of a chain, and the close behind it too if that need not wait: a transfer at an
    /// offset holds its file from when the kernel sees it, and the kernel sees entries in order.
    fn step(&mut self, chain: u32, place: usize) {
        let call = self.chains.take(chain, place);
        if let Call::StatxFd { fd } = call
            && place > 0
        {
            return self.ask(chain, place, fd);
        }
        let holds = match &call {
            Call::Read { offset, .. } | Call::Write { offset, .. } => *offset != CURRENT,
            _ => false,
        };
        let close = holds && matches!(self.chains.ahead(chain), [Call::CloseOpened, ..]);
        let index = self.slots.insert(split(call), place as u64);
        self.slots.at(index).last_try.set(close);
        self.chain_to(chain, place, index);
        self.launch(index);
        if close && let Some(place) = self.chains.also(chain) {
            let call = self.chains.take(chain, place);
            let index = self.slots.insert(split(call), place as u64);
            self.chain_to(chain, place, index);
            self.launch(index);
        }
    }

    /// Asks about an open file, by trap: that never waits, and io_uring would start a worker thread
    /// for it. What was to come before it has ended.
    fn ask(&mut self, chain: u32, place: usize, fd: RawFd) {
        self.stats.count(Reason::Trapped);
        self.stats.enters += 1;
        let found = sys::statx_fd(fd).map(|stat| Value::Stat(of_statx(&stat)));
        let outcome = found.map_err(|error| Failure::new(error, None));
        if self.chains.ended(chain, place, outcome) {
            self.onward.push_front(chain);
        }
    }

    /// Makes a slot one of a chain's.
    pub(super) fn chain_to(&mut self, chain: u32, place: usize, index: u32) {
        self.slots.at(index).chain.set(chain);
        self.chains.placed(chain, place, index);
    }

    /// Stops what runs of a chain, but for closes, and makes no further call of it.
    pub(super) fn cancel_chain(&mut self, chain: u32) -> Cancelled {
        let mut met = Cancelled::Requested;
        for index in self.chains.stop(chain).into_iter().filter(|index| *index != NONE) {
            if !matches!(self.slots.at(index).op(), Op::Close { .. }) {
                met = self.cancel_at(index);
            }
        }
        self.go_on();
        met
    }

    /// `wait` while chains are under way: goes on with them until there is something to reap.
    pub(super) fn turns(&mut self, until: Option<Duration>) -> io::Result<()> {
        let start = until.filter(|time| !time.is_zero()).map(|_| Instant::now());
        let mut left = until;
        loop {
            self.turn(left)?;
            if !self.advance() || !self.done.is_empty() {
                return Ok(());
            }
            let spent = start.map_or(Duration::ZERO, |start| start.elapsed());
            left = until.map(|until| until.saturating_sub(spent));
        }
    }

    /// Takes in what the kernel has ended, and makes what follows it; false if nothing does.
    fn advance(&mut self) -> bool {
        loop {
            let next = self.ring.completion().next();
            let Some(entry) = next else { break };
            if let Some(completion) = self.on_entry(&entry) {
                self.done.push(completion);
            }
        }
        let some = !self.onward.is_empty();
        self.go_on();
        some
    }
}
