//! How do entries reach the kernel? By the next enter, or by a kernel thread that polls the queue.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use io_uring::squeue::Entry;
use io_uring::{EnterFlags, IoUring};

use super::{Uring, sys};
use crate::call::Buffer;
use crate::fallback::Reason;
use crate::options::{RingError, SharedPoller};

/// Entries that found no room in the submission queue.
pub(super) enum Batch {
    One(Entry),
    /// A link, which would end where a batch ends.
    Three(Box<[Entry; 3]>),
}

impl Batch {
    pub(super) fn entries(&self) -> &[Entry] {
        match self {
            Batch::One(entry) => std::slice::from_ref(entry),
            Batch::Three(entries) => &**entries,
        }
    }
}

/// The way into the kernel.
pub(super) struct Gate {
    /// The io_uring's descriptor, or its index among those registered with this thread.
    fd: RawFd,
    flags: EnterFlags,
    /// A kernel thread polls the queue; the descriptor is for other rings to find it.
    poller: Option<Arc<OwnedFd>>,
    /// Entries queued so far, and the first of those that the poller was woken for last.
    queued: u32,
    woken_for: Option<u32>,
    /// The process that the ring was made in.
    process: u32,
}

impl Gate {
    pub(super) fn new(
        ring: &IoUring,
        polled: bool,
        notes: &mut Vec<String>,
    ) -> Result<Self, RingError> {
        let poller = if polled {
            // SAFETY: `ring` keeps its descriptor open over this borrow.
            let fd = unsafe { BorrowedFd::borrow_raw(ring.as_raw_fd()) };
            let step = "a copy of the io_uring's descriptor";
            let copy = fd.try_clone_to_owned();
            Some(Arc::new(copy.map_err(|source| RingError::Descriptor { step, source })?))
        } else {
            None
        };
        let (fd, flags) = match sys::register_ring_fd(ring.as_raw_fd()) {
            Ok(index) => (index, EnterFlags::REGISTERED_RING),
            Err(error) => {
                notes
                    .push(format!("each wait looks the ring up: it cannot be registered: {error}"));
                (ring.as_raw_fd(), EnterFlags::empty())
            }
        };
        let flags = flags | EnterFlags::GETEVENTS;
        let process = std::process::id();
        Ok(Gate { fd, flags, poller, queued: 0, woken_for: None, process })
    }

    pub(super) fn poller(&self) -> Option<SharedPoller> {
        self.poller.as_ref().map(|fd| SharedPoller(Arc::downgrade(fd)))
    }

    /// This is not the process that the ring was made in.
    pub(super) fn is_foreign(&self) -> bool {
        self.process != std::process::id()
    }

    pub(super) fn close(&self, ring: &IoUring) {
        if self.flags.contains(EnterFlags::REGISTERED_RING) {
            sys::unregister_ring_fd(ring.as_raw_fd(), self.fd);
        }
    }
}

impl<B: Buffer> Uring<B> {
    /// Queues an entry; enters the kernel only if the queue is full.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry) {
        if !self.push_now(std::slice::from_ref(&entry)) {
            self.backlog.push_back(Batch::One(entry));
        }
    }

    /// Queues entries that have to reach the kernel together.
    pub(super) fn push_together(&mut self, entries: [Entry; 3]) {
        if !self.push_now(&entries) {
            self.backlog.push_back(Batch::Three(Box::new(entries)));
        }
    }

    #[inline]
    fn push_now(&mut self, entries: &[Entry]) -> bool {
        if !self.backlog.is_empty() {
            return false;
        }
        self.try_push(entries) || {
            self.make_room();
            self.try_push(entries)
        }
    }

    /// Queues all of them, to be seen by the kernel at once, or none.
    #[inline]
    fn try_push(&mut self, entries: &[Entry]) -> bool {
        // SAFETY: an entry points to what its slot owns, which stays in place until the call's
        // last completion, or to nothing.
        let pushed = unsafe { self.ring.submission().push_multiple(entries) }.is_ok();
        if pushed {
            self.gate.queued = self.gate.queued.wrapping_add(entries.len() as u32);
        }
        pushed
    }

    pub(super) fn push_backlog(&mut self) {
        while let Some(first) = self.backlog.pop_front() {
            if !self.try_push(first.entries()) {
                return self.backlog.push_front(first);
            }
        }
    }

    fn make_room(&mut self) {
        let waits =
            if self.gate.poller.is_some() { EnterFlags::SQ_WAIT } else { EnterFlags::empty() };
        let _ = self.enter_with(0, None, waits);
    }

    /// Submits, runs what the kernel has put off, and waits for `want` completions.
    pub(super) fn enter(&mut self, want: u32, timeout: Option<Duration>) -> io::Result<()> {
        self.enter_with(want, timeout, EnterFlags::empty())
    }

    fn enter_with(
        &mut self,
        want: u32,
        timeout: Option<Duration>,
        flags: EnterFlags,
    ) -> io::Result<()> {
        let queue = self.ring.submission();
        let submit = queue.len() as u32;
        let mut flags = self.gate.flags | flags;
        if self.gate.poller.is_some() && queue.need_wakeup() {
            flags |= EnterFlags::SQ_WAKEUP;
            self.gate.woken_for = Some(self.gate.queued.wrapping_sub(submit));
        }
        drop(queue);
        self.stats.enters += 1;
        match sys::uring_enter(self.gate.fd, submit, want, flags.bits(), timeout) {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // Signal, time, completions first, memory: what was not taken stays queued.
                Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// True if the kernel has to be entered for what is queued here or there. With a poller that is
    /// awake it has not: before a sleep, gives it a moment to end what was just posted.
    pub(super) fn due(&mut self, before_sleep: bool) -> bool {
        let queue = self.ring.submission();
        let (queued, overflow) = (!queue.is_empty(), queue.cq_overflow());
        let due = match self.gate.poller {
            None => queued || queue.taskrun(),
            // Once woken it takes what is queued, but says for a while that it sleeps.
            Some(_) => {
                let first = self.gate.queued.wrapping_sub(queue.len() as u32);
                queued && queue.need_wakeup() && self.gate.woken_for != Some(first)
            }
        };
        drop(queue);
        if overflow {
            self.stats.count(Reason::Overflow);
        }
        if before_sleep && queued && !due {
            self.linger();
        }
        due || overflow
    }

    /// Looks for a completion for a little while, as sleeping costs more than most calls.
    fn linger(&mut self) {
        let time = Duration::from_micros(self.options.spin_us.into());
        let start = Instant::now();
        while self.ring.completion().is_empty() && start.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    /// The kernel has taken all that was queued.
    pub(super) fn is_taken(&mut self) -> bool {
        self.ring.submission().is_empty()
    }
}
