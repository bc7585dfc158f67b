//! What a ring has done, and how often it had to do it another way than its engine's own.

use std::fmt;

use crate::op::{CANCELED, KERNEL_CANCELED};
use crate::specializer::Place;

/// Why a call, or a ring, did not go the engine's own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// io_uring has no opcode for the call, or this kernel does not have it, or it would tie up one of
    /// the kernel's few workers: a syscall thread made it.
    NoOpcode,
    /// io_uring would hand the call to a worker thread, which costs more than the call, or has given a
    /// chain's close up for want of one: it was made by the poster.
    Trapped,
    /// A non-blocking descriptor was not ready: the engine waited for it and tried again.
    NotReady,
    /// No buffer of the receive pool was free: the receive waited for one.
    PoolEmpty,
    /// A multishot call ended before its time and was posted again.
    Rearmed,
    /// Completions did not fit into io_uring's queue and were kept by the kernel.
    Overflow,
    /// Another engine than the first choice serves the ring.
    Engine,
    /// A running call was to be cancelled, but its thread could not be signalled: it was awaited.
    Uninterrupted,
    /// A syscall thread had to be signalled again, because a signal can be lost on this architecture.
    SignalledAgain,
    /// The system refused a syscall thread: calls waited for those there are, or for another attempt.
    NoThread,
}

impl Reason {
    /// All reasons, in the order of their counters.
    pub const ALL: [Reason; 10] = [
        Reason::NoOpcode,
        Reason::Trapped,
        Reason::NotReady,
        Reason::PoolEmpty,
        Reason::Rearmed,
        Reason::Overflow,
        Reason::Engine,
        Reason::Uninterrupted,
        Reason::SignalledAgain,
        Reason::NoThread,
    ];

    /// The counter's name.
    pub fn name(self) -> &'static str {
        match self {
            Reason::NoOpcode => "no_opcode",
            Reason::Trapped => "trapped",
            Reason::NotReady => "not_ready",
            Reason::PoolEmpty => "pool_empty",
            Reason::Rearmed => "rearmed",
            Reason::Overflow => "overflow",
            Reason::Engine => "engine",
            Reason::Uninterrupted => "uninterrupted",
            Reason::SignalledAgain => "signalled_again",
            Reason::NoThread => "no_thread",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Counters of one ring since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls posted, those of `made_here` included.
    pub submitted: u64,
    /// Calls ended: last completions handed out or waiting in `reap`.
    pub completed: u64,
    /// Calls that ended with `ECANCELED`.
    pub cancelled: u64,
    /// Times the ring entered the kernel: to submit, to wait, to make a call.
    pub enters: u64,
    /// Calls that the poster made by trap because that was the better place (`Placement::Measured`).
    pub made_here: u64,
    /// Such calls that it posted, to another core or because they would have waited for a disk
    /// (`Placement::Measured`).
    pub posted_elsewhere: u64,
    /// Of those posted, calls that no thread had begun when the poster had nothing else to do, and that
    /// it made (`Placement::Measured`).
    pub taken_back: u64,
    /// Who makes such calls now; `None` where nobody measures (`Placement::Measured`).
    pub place: Option<Place>,
    /// How often that has changed, without trials that left all as it was (`Placement::Measured`).
    pub moves: u64,
    fallbacks: [u64; Reason::ALL.len()],
}

impl Stats {
    /// How often `reason` applied.
    pub fn fallbacks(&self, reason: Reason) -> u64 {
        self.fallbacks[reason as usize]
    }

    /// Counts one more; for rings implemented outside of this crate too.
    #[inline]
    pub fn count(&mut self, reason: Reason) {
        self.fallbacks[reason as usize] += 1;
    }

    /// Adds `n` times `reason`.
    pub(crate) fn add(&mut self, reason: Reason, n: u64) {
        self.fallbacks[reason as usize] += n;
    }

    /// Calls posted and not ended.
    pub fn in_flight(&self) -> usize {
        self.submitted.saturating_sub(self.completed) as usize
    }

    /// Notes the end of a chain, and how many of its calls were cancelled.
    #[inline]
    pub(crate) fn chain_ended(&mut self, calls: usize, cancelled: usize) {
        self.completed += calls as u64;
        self.cancelled += cancelled as u64;
    }

    /// Notes the end of a call, with the `errno` that it failed with.
    #[inline]
    pub(crate) fn ended(&mut self, ret: i64) {
        self.completed += 1;
        if [CANCELED, KERNEL_CANCELED].contains(&ret) {
            self.cancelled += 1;
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { submitted, completed, cancelled, enters, .. } = self;
        write!(f, "submitted {submitted} completed {completed}")?;
        write!(f, " cancelled {cancelled} enters {enters}")?;
        if let Some(place) = self.place {
            write!(f, " made_here {} posted_elsewhere {}", self.made_here, self.posted_elsewhere)?;
            write!(f, " taken_back {}", self.taken_back)?;
            write!(f, " place {} moves {}", place.name(), self.moves)?;
        }
        for reason in Reason::ALL {
            write!(f, " {reason} {}", self.fallbacks(reason))?;
        }
        Ok(())
    }
}
