//! One syscall entry: 64 bytes that a poster and the syscall threads share (FlexSC §3.1, §4.2).
//!
//! `status = generation << 24 | runner << 8 | marks | state`. One poster owns the page and its free
//! list. The runner is the number of the thread that runs the call: the paper's map of entries to
//! threads is the entry itself. The low byte is `RUNNING` only while nothing speaks against the
//! call; its thread looks at it once more in the last instruction before the call.
//!
//! | from -> to | who | ordering | the entry's fields then belong to |
//! |---|---|---|---|
//! | FREE -> POSTED | poster | Release store | the thread that gets it |
//! | POSTED -> RUNNING | syscall thread | AcqRel CAS | that thread |
//! | POSTED -> FREE | poster cancels, or takes back | AcqRel CAS, generation + 1 | poster, who answers ECANCELED, or makes the call |
//! | RUNNING -> RUNNING+CANCEL | poster cancels | AcqRel CAS | that thread, which is signalled once |
//! | RUNNING, +CANCEL -> +GONE | poster goes | AcqRel CAS | that thread, which keeps nothing |
//! | RUNNING, +CANCEL, +GONE -> DONE | syscall thread | AcqRel swap | poster, or nobody if GONE |
//! | DONE -> FREE | poster | Acquire load, generation + 1 | poster |
//!
//! Each CANCEL is followed by one signal to the runner. A thread that finds the mark when it ends a
//! call takes no other before it has heard that signal: see `bell`.

use crate::atomics::{AtomicU32, Ordering, Plain};
use crate::trap::Trap;

const FREE: u32 = 0;
const POSTED: u32 = 1;
/// The low byte of the status while a call runs and is wanted.
pub(crate) const RUNNING: u32 = 2;
const DONE: u32 = 3;
/// Mark: the call is to end, and its thread is signalled.
const CANCEL: u32 = 0x10;
/// Mark: the poster has gone.
const GONE: u32 = 0x20;

const STATE: u32 = 0x0f;
const RUNNER_SHIFT: u32 = 8;
const RUNNER: u32 = 0x00ff_ff00;
const GENERATION: u32 = 0x0100_0000;

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
    /// Begun: its result will come. This thread runs it, and must be signalled once.
    Running(u16),
    /// Ended, or cancelled before: its result will come, or waits.
    Coming,
}

/// For whom a call has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// What the end of a call met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) struct Finished {
    /// For whom.
    pub(crate) ended: Ended,
    /// It was cancelled: a signal has come for it, or will.
    pub(crate) signalled: bool,
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
    #[inline(always)]
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
        self.status.store(generation(status) | POSTED, Ordering::Release);
    }

    /// Syscall thread `runner`: takes the call, if it is posted.
    pub(crate) fn begin(&self, runner: u16) -> Option<(u16, [u64; 6])> {
        let status = self.status.load(Ordering::Relaxed);
        if status & STATE != POSTED {
            return None;
        }
        let running = generation(status) | u32::from(runner) << RUNNER_SHIFT | RUNNING;
        self.status.compare_exchange(status, running, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        // SAFETY: RUNNING: the fields are this thread's.
        Some(unsafe { (self.number.get(), self.args.get()) })
    }

    /// Syscall thread: its call is still wanted.
    pub(crate) fn is_wanted(&self) -> bool {
        self.status.load(Ordering::Acquire) & 0xff == RUNNING
    }

    /// Where the status is, for the instruction before a call. See `interrupt`.
    pub(crate) fn status_word(&self) -> *const u32 {
        std::ptr::from_ref(&self.status).cast()
    }

    /// Syscall thread: hands the result over.
    pub(crate) fn finish(&self, ret: i64) -> Finished {
        // SAFETY: RUNNING, whatever its marks: the fields are this thread's.
        let flags = unsafe {
            self.ret.set(ret);
            self.flags.get()
        };
        let status = self.status.load(Ordering::Relaxed);
        let before = self.status.swap(generation(status) | DONE, Ordering::AcqRel);
        let ended = match before & GONE {
            0 => Ended::Wanted,
            _ if flags & MAKES_FD != 0 && ret >= 0 => Ended::Orphan,
            _ if flags & MAKES_MAPPING != 0 && ret >= 0 => Ended::OrphanMapping,
            _ => Ended::Abandoned,
        };
        Finished { ended, signalled: before & CANCEL != 0 }
    }

    /// Poster: takes the result of a call that has ended; the entry is free then.
    #[inline]
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

    /// Poster: stops a call that has not begun. One that runs is marked if `interrupt`.
    pub(crate) fn cancel(&self, interrupt: bool) -> Met {
        let mut status = self.status.load(Ordering::Acquire);
        loop {
            let (new, met) = match status & 0xff {
                POSTED => (freed(status), Met::Posted),
                RUNNING if interrupt => (status | CANCEL, Met::Running(runner(status))),
                _ => return Met::Coming,
            };
            match self.status.compare_exchange(status, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return met,
                Err(now) => status = now,
            }
        }
    }

    /// Poster: takes a call back that has not begun, to make it itself.
    pub(crate) fn take_back(&self) -> Option<Trap> {
        if self.cancel(false) != Met::Posted {
            return None;
        }
        // SAFETY: FREE: the fields are the poster's.
        let (number, args, flags) =
            unsafe { (self.number.get(), self.args.get(), self.flags.get()) };
        let (makes_fd, makes_mapping) = (flags & MAKES_FD != 0, flags & MAKES_MAPPING != 0);
        Some(Trap { number, makes_fd, makes_mapping, args })
    }

    /// Poster: the thread that runs a call which was marked and has not ended.
    pub(crate) fn still_marked(&self) -> Option<u16> {
        let status = self.status.load(Ordering::Acquire);
        (status & 0xff == RUNNING | CANCEL).then(|| runner(status))
    }

    /// Poster: goes, and leaves a running call to its thread. False: the call has ended already.
    #[must_use]
    pub(crate) fn abandon(&self) -> bool {
        let mut status = self.status.load(Ordering::Relaxed);
        loop {
            if status & STATE != RUNNING {
                return false;
            }
            let gone = status | GONE;
            match self.status.compare_exchange(status, gone, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => status = now,
            }
        }
    }
}

fn generation(status: u32) -> u32 {
    status & !(GENERATION - 1)
}

fn runner(status: u32) -> u16 {
    ((status & RUNNER) >> RUNNER_SHIFT) as u16
}

fn freed(status: u32) -> u32 {
    generation(status).wrapping_add(GENERATION) | FREE
}
