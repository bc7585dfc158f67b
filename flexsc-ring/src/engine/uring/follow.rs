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

use io_uring::opcode;
use io_uring::types::Fd;

use super::Uring;
use crate::call::{Buffer, CURRENT, Call};
use crate::engine::course::Course;
use crate::fallback::Reason;
use crate::op::of_statx;
use crate::result::{Failure, Value};
use crate::sys;

impl<B: Buffer> Uring<B> {
    /// Makes a call of a chain, with those behind it that need not wait for its end.
    #[inline]
    pub(super) fn make_with_those_behind(&mut self, chain: u32, place: usize) {
        let holds = match self.chains.calls(chain, place) {
            [Call::StatxFd { fd }, ..] if place > 0 => {
                let fd = *fd;
                return self.ask(chain, place, fd);
            }
            [Call::Close(_), ..] => return self.close(chain, place),
            calls @ [Call::OpenAt2 { .. }, ..] => match self.direct.number_for(calls) {
                Some(number) => return self.link(chain, place, number),
                None => false,
            },
            [Call::Read { offset, .. } | Call::Write { offset, .. }, Call::CloseOpened, ..] => {
                *offset != CURRENT
            }
            _ => false,
        };
        let index = self.put(chain, place);
        self.slots.at(index).last_try.set(holds);
        self.launch(index);
        // A transfer at an offset holds its file from when the kernel sees it, and the kernel sees
        // entries in order.
        if holds && let Some(place) = self.chains.also(chain) {
            self.chains.began(chain);
            self.close(chain, place);
        }
    }

    /// Makes a close, which needs no slot.
    #[inline]
    fn close(&mut self, chain: u32, place: usize) {
        let (fd, name) = self.chains.close(chain, place);
        self.push(opcode::Close::new(Fd(fd)).build().user_data(name));
    }

    /// Asks about an open file, by trap: that never waits, and io_uring would start a worker thread
    /// for it. What was to come before it has ended.
    fn ask(&mut self, chain: u32, place: usize, fd: RawFd) {
        self.stats.count(Reason::Trapped);
        self.stats.enters += 1;
        let found = sys::statx_fd(fd).map(|stat| Value::Stat(of_statx(&stat)));
        let outcome = found.map_err(|error| Failure::new(error, None));
        if let Some(completion) = self.chains.ended(chain, place, outcome, &mut self.stats) {
            self.done.push(completion);
        }
    }

    /// `wait` while chains are under way: goes on with them until there is something to reap.
    pub(super) fn turns(&mut self, until: Option<Duration>) -> io::Result<()> {
        self.go_on();
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
        let some = self.chains.any_onward();
        self.go_on();
        some
    }
}
