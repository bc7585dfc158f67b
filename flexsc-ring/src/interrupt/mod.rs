//! How is a system call that has begun made to end? By a signal to the thread that makes it (§4.2).
//!
//! A poster that has marked an entry signals its thread. The handler does two things: it counts, and
//! where the thread stands between its last look at the entry and the instruction that enters the
//! kernel, it leads it past that instruction. So there is no moment at which the signal does nothing:
//!
//! | the thread is | the signal | the call |
//! |---|---|---|
//! | before its last look | is counted | the look finds the mark: not made |
//! | between look and instruction | is counted, and moves the thread on | not made |
//! | in the kernel, waiting | interrupts | EINTR |
//! | behind the instruction | is counted | was made: its result stands |

mod sys;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use crate::bell::Bell;
use crate::entry::Entry;

#[cfg(test)]
pub(crate) use sys::without_stub;
pub(crate) use sys::{Attended, NOT_MADE, is_exact};

/// The signal of this process: the highest real-time signal that nobody used when the first syscall
/// thread was started. `None`: all are in use, or the kernel refuses; running calls are awaited.
pub(crate) fn signal() -> Option<i32> {
    static SIGNAL: OnceLock<Option<i32>> = OnceLock::new();
    *SIGNAL.get_or_init(sys::claim_signal)
}

/// Signals the thread of `bell`, which has a mark to find. False: the kernel refused.
pub(crate) fn ring(signal: i32, bell: &Bell) -> bool {
    sys::signal_thread(bell.thread(), signal)
}

/// Makes a system call on this thread if `entry` is still wanted, else gives [`NOT_MADE`]; a failure
/// is its negated `errno`.
///
/// # Safety
///
/// As the call itself: pointers among the arguments must be valid for what the call does.
#[inline]
pub(crate) unsafe fn call(entry: &Entry, number: u16, args: &[u64; 6]) -> i64 {
    // SAFETY: the status word and `args` outlive the call; the rest is passed on to the caller.
    unsafe { sys::call(entry.status_word(), number.into(), args) }
}
