//! Who runs a call once it can be made.

use std::time::{Duration, Instant};

use crate::fallback::Stats;
use crate::sys;
use crate::syscall_threads::{Stopping, SyscallThreads};
use crate::trap::Callable;

/// Runs calls: at once, or elsewhere and later.
pub(crate) trait Exec {
    /// It runs programs of several calls as one.
    const PROGRAMS: bool;

    /// Runs the call of a slot; `None`: its result comes by `collect`.
    fn start(&mut self, slot: u32, call: impl Callable) -> Option<i64>;

    /// Lets calls begin that were started since the last time.
    fn publish(&mut self) {}

    /// Looks for results for a moment, `most` at most, where that may be cheaper than to sleep.
    fn linger(&mut self, _most: Duration) {}

    /// Looks for results that have come, which `next` hands over.
    fn look(&mut self) {}

    /// The slot and the result of a call that has ended; `None` when all found were handed over.
    fn next(&mut self) -> Option<(u32, i64)> {
        None
    }

    /// Stops a call that has not begun, and interrupts a running one.
    fn cancel(&mut self, _slot: u32) -> Stopping {
        Stopping::Coming
    }

    /// Calls wait for someone to run them: sleep no longer than this.
    fn look_again(&self) -> Option<Duration> {
        None
    }

    /// Adds what had to be done another way.
    fn tally(&self, _stats: &mut Stats) {}

    /// Ends everything; the slots whose memory is still in use.
    fn close(&mut self, _deadline: Instant, _results: &mut Vec<(u32, i64)>) -> Vec<u32> {
        Vec::new()
    }
}

/// The poster runs them, by trap.
pub(crate) struct Trapped;

impl Exec for Trapped {
    // By trap a step costs no more than it does alone.
    const PROGRAMS: bool = false;

    #[inline]
    fn start(&mut self, _slot: u32, call: impl Callable) -> Option<i64> {
        let trap = call.trap();
        // SAFETY: made by `Op::trap` of a slot that stays as it is over the call.
        Some(unsafe { sys::trap(trap.number, &trap.args) })
    }
}

impl Exec for SyscallThreads {
    const PROGRAMS: bool = true;

    #[inline(always)]
    fn start(&mut self, slot: u32, call: impl Callable) -> Option<i64> {
        SyscallThreads::start(self, slot, call)
    }

    fn publish(&mut self) {
        SyscallThreads::publish(self);
    }

    fn linger(&mut self, most: Duration) {
        SyscallThreads::linger(self, most);
    }

    fn look(&mut self) {
        SyscallThreads::look(self);
    }

    #[inline]
    fn next(&mut self) -> Option<(u32, i64)> {
        SyscallThreads::next(self)
    }

    fn cancel(&mut self, slot: u32) -> Stopping {
        SyscallThreads::cancel(self, slot)
    }

    fn look_again(&self) -> Option<Duration> {
        SyscallThreads::look_again(self)
    }

    fn tally(&self, stats: &mut Stats) {
        SyscallThreads::tally(self, stats);
    }

    fn close(&mut self, deadline: Instant, results: &mut Vec<(u32, i64)>) -> Vec<u32> {
        SyscallThreads::close(self, deadline, |slot, ret| results.push((slot, ret)))
    }
}
