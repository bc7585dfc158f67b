//! New connections: what do the callback of an accept and the worker tell each other?

use std::os::fd::OwnedFd;

use color_sched::Nanos;
use flexsc_ring::{Completion, Ticket, Value};
use stingy_alloc::Slot;

use crate::wiring::worker::Calls;

/// How long accepting rests when there are no descriptors left.
pub(super) const PAUSE: Nanos = 100_000_000;

/// What the callback and the worker share.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// Connections that have come since the worker last looked.
    pub(super) sockets: Vec<OwnedFd>,
    /// Accepts that have failed since then.
    pub(super) failed: u64,
    pub(super) accepting: Accepting,
    /// The worker's time at its last turn.
    pub(super) now: Nanos,
}

/// Is the accept with the kernel?
#[derive(Clone, Copy, Debug)]
pub(super) enum Accepting {
    Armed(Ticket),
    /// To be posted again then.
    At(Nanos),
    Never,
}

impl Default for Accepting {
    fn default() -> Self {
        Accepting::At(0)
    }
}

/// The callback of an accept.
pub(super) fn arrived(calls: &mut Calls, completion: Completion<Slot>) {
    let arrivals = calls.state_mut();
    let failed = match completion.result {
        Ok(Value::Accepted(socket)) => {
            arrivals.sockets.push(socket);
            false
        }
        Ok(_) => false,
        Err(_) => {
            arrivals.failed += 1;
            true
        }
    };
    if let (false, Accepting::Armed(_)) = (completion.more, arrivals.accepting) {
        let pause = if failed { PAUSE } else { 0 };
        arrivals.accepting = Accepting::At(arrivals.now + pause);
    }
}
