//! One syscall entry: 64 bytes that a poster and the syscall threads share (FlexSC §3.1).
//!
//! `status = generation << 8 | state`. One poster owns the page and its free list.
//!
//! | from -> to | who | ordering | the entry's fields then belong to |
//! |---|---|---|---|
//! | FREE -> POSTED | poster | Release store | the thread that gets it |
//! | POSTED -> RUNNING | syscall thread | Acquire CAS | that thread |
//! | POSTED -> FREE | poster cancels | Relaxed CAS, generation + 1 | poster, who answers ECANCELED |
//! | RUNNING -> CANCEL | poster cancels | Relaxed CAS | that thread, which is not interrupted |
//! | RUNNING or CANCEL -> DONE | syscall thread | AcqRel swap | poster |
//! | RUNNING or CANCEL -> ABANDONED | poster goes | AcqRel CAS | that thread, which keeps nothing |
//! | DONE -> FREE | poster | Acquire load, generation + 1 | poster |

use crate::atomics::{AtomicU32, Ordering, Plain};
use crate::trap::Trap;

const FREE: u32 = 0;
const POSTED: u32 = 1;
const RUNNING: u32 = 2;
const CANCEL: u32 = 3;
const ABANDONED: u32 = 4;
const DONE: u32 = 5;

const STATE: u32 = 0xff;
const GENERATION: u32 = 0x100;

/// The result is a new descriptor, which must be closed if nobody takes it.
const MAKES_FD: u16 = 1;
/// The result is a new mapping, which must be unmapped if nobody takes it.
const MAKES_MAPPING: u16 = 2;

/// A syscall entry.
#[repr(C, align(64))]
#[derive(Debug)]
pub(crate) struct Entry {
    args: Plain<[u64; 6]>,
    ret: Plain<i64>,
    number: Plain<u16>,
    flags: Plain<u16>,
    status: AtomicU32,
}

// SAFETY: the plain fields are handed over by `status`, by the table above.
unsafe impl Sync for Entry {}

/// What a cancellation met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Met {
    /// Not begun: the entry is free again, and the poster answers for the call.
    Posted,
    /// Begun: its result will come.
    Running,
    /// Ended: its result waits.
    Done,
}

/// What the end of a call met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Ended {
    /// The poster will take the result.
    Wanted,
    /// The poster has gone.
    Abandoned,
    /// The poster has gone, and the result is a descriptor to close.
    Orphan,
    /// The poster has gone, and the result is a mapping to take back.
    OrphanMapping,
}

impl Entry {
    /// A free entry.
    pub(crate) fn new() -> Self {
        Entry {
            args: Plain::new([0; 6]),
            ret: Plain::new(0),
            number: Plain::new(0),
            flags: Plain::new(0),
            status: AtomicU32::new(FREE),
        }
    }

    /// Poster: posts a call in a free entry.
    pub(crate) fn post(&self, trap: &Trap) {
        let status = self.status.load(Ordering::Relaxed);
        debug_assert_eq!(status & STATE, FREE);
        // SAFETY: FREE: the fields are the poster's.
        unsafe {
            self.args.set(trap.args);
            self.number.set(trap.number);
            let fd = if trap.makes_fd { MAKES_FD } else { 0 };
            self.flags.set(fd | if trap.makes_mapping { MAKES_MAPPING } else { 0 });
        }
        self.status.store(status & !STATE | POSTED, Ordering::Release);
    }

    /// Syscall thread: takes the call, if it is posted.
    pub(crate) fn begin(&self) -> Option<(u16, [u64; 6])> {
        let status = self.status.load(Ordering::Relaxed);
        if status & STATE != POSTED {
            return None;
        }
        let running = status & !STATE | RUNNING;
        self.status.compare_exchange(status, running, Ordering::Acquire, Ordering::Relaxed).ok()?;
        // SAFETY: RUNNING: the fields are this thread's.
        Some(unsafe { (self.number.get(), self.args.get()) })
    }

    /// Syscall thread: hands the result over.
    pub(crate) fn finish(&self, ret: i64) -> Ended {
        // SAFETY: RUNNING, CANCEL or ABANDONED: the fields are this thread's.
        let flags = unsafe {
            self.ret.set(ret);
            self.flags.get()
        };
        let status = self.status.load(Ordering::Relaxed);
        let before = self.status.swap(status & !STATE | DONE, Ordering::AcqRel);
        match before & STATE {
            ABANDONED if flags & MAKES_FD != 0 && ret >= 0 => Ended::Orphan,
            ABANDONED if flags & MAKES_MAPPING != 0 && ret >= 0 => Ended::OrphanMapping,
            ABANDONED => Ended::Abandoned,
            _ => Ended::Wanted,
        }
    }

    /// Poster: takes the result of a call that has ended; the entry is free then.
    pub(crate) fn take(&self) -> Option<i64> {
        let status = self.status.load(Ordering::Acquire);
        if status & STATE != DONE {
            return None;
        }
        // SAFETY: DONE: the fields are the poster's.
        let ret = unsafe { self.ret.get() };
        self.status.store(freed(status), Ordering::Relaxed);
        Some(ret)
    }

    /// Poster: stops a call that has not begun; a running one is marked, and runs on.
    pub(crate) fn cancel(&self) -> Met {
        let mut status = self.status.load(Ordering::Relaxed);
        loop {
            let (new, met) = match status & STATE {
                POSTED => (freed(status), Met::Posted),
                RUNNING => (status & !STATE | CANCEL, Met::Running),
                CANCEL => return Met::Running,
                _ => return Met::Done,
            };
            match self.status.compare_exchange(status, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return met,
                Err(now) => status = now,
            }
        }
    }

    /// Poster: goes, and leaves a running call to its thread. False: the call has ended already.
    #[must_use]
    pub(crate) fn abandon(&self) -> bool {
        let mut status = self.status.load(Ordering::Relaxed);
        loop {
            if !matches!(status & STATE, RUNNING | CANCEL) {
                return false;
            }
            let gone = status & !STATE | ABANDONED;
            match self.status.compare_exchange(status, gone, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => status = now,
            }
        }
    }
}

fn freed(status: u32) -> u32 {
    (status & !STATE).wrapping_add(GENERATION) | FREE
}
