//! The one file that enters the kernel: pinning threads, and waiting for descriptors.

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Pins the calling thread to one CPU, by the kernel's number for it.
///
/// # Errors
/// The kernel's, if the CPU is offline or outside of the thread's cpuset; [`io::ErrorKind::InvalidInput`] if its number
/// is beyond what a CPU set can hold.
pub fn pin_thread(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        let message = format!("CPU {cpu} is beyond the {} of a CPU set", libc::CPU_SETSIZE);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    // SAFETY: a CPU set is plain words, for which zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `cpu` is below CPU_SETSIZE, so the bit is inside of the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is a valid set of the size given, and pid 0 is the calling thread.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What a descriptor can be ready for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// An epoll, and an eventfd in it that ends its waits.
#[derive(Debug)]
pub(crate) struct Epoll {
    epoll: OwnedFd,
    bell: File,
}

/// The token of the eventfd.
const BELL: u64 = u64::MAX;
/// Events taken in one call.
const EVENTS: usize = 64;

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: the call takes no memory; what it returns is new, and kept nowhere else.
        let epoll = unsafe { owned(libc::epoll_create1(libc::EPOLL_CLOEXEC)) }?;
        // SAFETY: the call takes no memory; what it returns is new, and kept nowhere else.
        let bell = unsafe { owned(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK)) }?;
        let new = Self { epoll, bell: bell.into() };
        new.control(libc::EPOLL_CTL_ADD, new.bell.as_raw_fd(), libc::EPOLLIN as u32, BELL)?;
        Ok(new)
    }

    /// Ends the wait that is going on, or else the next one.
    pub(crate) fn ring(&self) {
        // A bell that has been rung 2^64 - 2 times without being heard refuses, and is loud enough.
        let _ = (&self.bell).write(&1_u64.to_ne_bytes());
    }

    /// Tells of `fd` once, by `token`, when it is ready for what is wanted, in error, or hung up. Replaces what was to be
    /// told of it before.
    pub(crate) fn arm(&self, fd: RawFd, wanted: Readiness, token: u64) -> io::Result<()> {
        let bits = |is_wanted, bits: i32| if is_wanted { bits as u32 } else { 0 };
        let events = bits(wanted.read, libc::EPOLLIN | libc::EPOLLRDHUP)
            | bits(wanted.write, libc::EPOLLOUT)
            | bits(true, libc::EPOLLONESHOT);
        match self.control(libc::EPOLL_CTL_MOD, fd, events, token) {
            // Unknown, or closed meanwhile and opened again as something else.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                self.control(libc::EPOLL_CTL_ADD, fd, events, token)
            }
            result => result,
        }
    }

    /// Tells nothing more of `fd`.
    pub(crate) fn forget(&self, fd: RawFd) {
        // What has been closed was forgotten then.
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
    }

    fn control(&self, operation: i32, fd: RawFd, events: u32, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: token };
        // SAFETY: `event` outlives the call, which reads it; the kernel checks the descriptors.
        let result =
            unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits at most so long, for ever if `None`, and gives what is ready to `found`, with its token.
    pub(crate) fn wait(
        &self,
        timeout: Option<Duration>,
        mut found: impl FnMut(u64, Readiness),
    ) -> io::Result<()> {
        let millis = timeout.map_or(-1, |time| {
            // Rounded up, so that nothing is asked for again and again in the last millisecond.
            i32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
        });
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
        // SAFETY: the kernel writes at most EVENTS events to `events`, which has so many.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), EVENTS as i32, millis)
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        };
        for event in &events[..count] {
            let (token, bits) = (event.u64, event.events as i32);
            if token == BELL {
                // Empty if it was heard already.
                let _ = (&self.bell).read(&mut [0; 8]);
                continue;
            }
            let is_over = bits & (libc::EPOLLERR | libc::EPOLLHUP) != 0;
            let read = is_over || bits & (libc::EPOLLIN | libc::EPOLLRDHUP) != 0;
            found(token, Readiness { read, write: is_over || bits & libc::EPOLLOUT != 0 });
        }
        Ok(())
    }
}

/// The descriptor that a system call has returned.
///
/// # Safety
/// If it is not negative, it is open and nobody else's.
unsafe fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: said by the caller.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
