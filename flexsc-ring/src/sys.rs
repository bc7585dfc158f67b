//! The ways into the kernel, but for the one that a signal can end: that is `interrupt::sys`.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::trap::NOTHING;

/// Makes a system call; a failure is its negated `errno`, as the kernel has it.
///
/// # Safety
///
/// As the call itself: pointers among the arguments must be valid for what the call does.
pub(crate) unsafe fn trap(number: u16, args: &[u64; 6]) -> i64 {
    if number == NOTHING {
        return 0;
    }
    let [a, b, c, d, e, f] = *args;
    // SAFETY: passed on to the caller.
    let ret = unsafe { libc::syscall(libc::c_long::from(number), a, b, c, d, e, f) };
    if ret == -1 { -i64::from(errno()) } else { ret }
}

/// Makes a system call that never waits; a read of a file goes only as far as it is in memory, and is
/// `None` if nothing of it is, or if the file cannot tell.
///
/// # Safety
///
/// As [`trap`].
pub(crate) unsafe fn without_waiting(number: u16, args: &[u64; 6]) -> Option<i64> {
    if libc::c_long::from(number) != libc::SYS_pread64 {
        // SAFETY: passed on to the caller.
        return Some(unsafe { trap(number, args) });
    }
    let [fd, at, len, offset, ..] = *args;
    let parts = libc::iovec {
        iov_base: std::ptr::with_exposed_provenance_mut(at as usize),
        iov_len: len as usize,
    };
    let nowait = libc::RWF_NOWAIT;
    // SAFETY: `parts` outlives the call; what it points to is the caller's.
    let n = unsafe { libc::preadv2(fd as RawFd, &parts, 1, offset as i64, nowait) };
    match n {
        0.. => Some(n as i64),
        _ if [libc::EAGAIN, libc::EOPNOTSUPP, libc::ENOSYS].contains(&errno()) => None,
        _ => Some(-i64::from(errno())),
    }
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// The error that a negated `errno` stands for.
pub(crate) fn error_of(ret: i64) -> io::Error {
    io::Error::from_raw_os_error(i32::try_from(-ret).unwrap_or(libc::EIO))
}

fn check(ret: libc::c_int) -> io::Result<libc::c_int> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}

/// Takes ownership of a descriptor that a system call has just made.
///
/// # Safety
///
/// `ret` is the result of such a call, and nobody has taken it before.
pub(crate) unsafe fn adopt(ret: i64) -> OwnedFd {
    // SAFETY: passed on to the caller.
    unsafe { OwnedFd::from_raw_fd(ret as RawFd) }
}

/// A new event descriptor.
pub(crate) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: made in the line above.
    Ok(unsafe { adopt(i64::from(fd)) })
}

/// Adds one to an event descriptor. It is never read: watchers are edge-triggered, and the counter
/// holds 2^64 - 2 additions.
pub(crate) fn signal(event: &OwnedFd) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: `one` is eight readable bytes.
    let _ = unsafe { libc::write(event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

/// A new epoll descriptor.
pub(crate) fn epoll_create() -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: made in the line above.
    Ok(unsafe { adopt(i64::from(fd)) })
}

/// Changes what `epoll` watches.
pub(crate) fn epoll_ctl(
    epoll: &OwnedFd,
    op: i32,
    fd: RawFd,
    events: u32,
    data: u64,
) -> io::Result<()> {
    let mut event = libc::epoll_event { events, u64: data };
    // SAFETY: `event` outlives the call.
    check(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), op, fd, &mut event) }).map(drop)
}

/// Waits for events; `None` waits for ever. A signal ends the wait without an event.
pub(crate) fn epoll_wait(
    epoll: &OwnedFd,
    events: &mut Vec<libc::epoll_event>,
    timeout: Option<Duration>,
) -> io::Result<()> {
    static OLD_KERNEL: AtomicBool = AtomicBool::new(false);
    events.clear();
    let room = events.capacity().min(1024) as libc::c_int;
    let fd = epoll.as_raw_fd();
    let exact = timeout.filter(|t| t.subsec_nanos() % 1_000_000 != 0);
    let n = match exact {
        Some(t) if !OLD_KERNEL.load(Ordering::Relaxed) => {
            let spec = libc::timespec { tv_sec: seconds(t), tv_nsec: t.subsec_nanos().into() };
            let none = std::ptr::null::<libc::sigset_t>();
            // SAFETY: `events` has `room` entries of space, `spec` outlives the call.
            unsafe {
                libc::syscall(libc::SYS_epoll_pwait2, fd, events.as_mut_ptr(), room, &spec, none, 0)
                    as libc::c_int
            }
        }
        _ => {
            let ms = timeout.map_or(-1, |t| {
                let up = t.as_millis() + u128::from(t.subsec_nanos() % 1_000_000 != 0);
                libc::c_int::try_from(up).unwrap_or(libc::c_int::MAX)
            });
            // SAFETY: `events` has `room` entries of space.
            unsafe { libc::epoll_wait(fd, events.as_mut_ptr(), room, ms) }
        }
    };
    if n < 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::EINTR) => Ok(()),
            Some(libc::ENOSYS | libc::EPERM)
                if exact.is_some() && !OLD_KERNEL.swap(true, Ordering::Relaxed) =>
            {
                epoll_wait(epoll, events, timeout)
            }
            _ => Err(error),
        };
    }
    // SAFETY: the kernel has filled `n <= room <= capacity` entries.
    unsafe { events.set_len(n as usize) };
    Ok(())
}

/// `statx` of an open file.
pub(crate) fn statx_fd(fd: RawFd) -> io::Result<libc::statx> {
    let mut area = std::mem::MaybeUninit::<libc::statx>::zeroed();
    let mask = libc::STATX_BASIC_STATS;
    // SAFETY: the path ends, and `area` is a `statx` that outlives the call.
    check(unsafe { libc::statx(fd, c"".as_ptr(), libc::AT_EMPTY_PATH, mask, area.as_mut_ptr()) })?;
    // SAFETY: zeroed, all of whose bit patterns are valid, then written.
    Ok(unsafe { area.assume_init() })
}

/// Whole seconds of a timeout, bounded to what the kernel can add to its clock.
pub(crate) fn seconds(timeout: Duration) -> i64 {
    timeout.as_secs().min(1 << 31) as i64
}

/// Makes a descriptor non-blocking.
pub(crate) fn set_nonblocking(fd: RawFd) -> io::Result<()> {
    // SAFETY: no pointers.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    if flags & libc::O_NONBLOCK != 0 {
        return Ok(());
    }
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) }).map(drop)
}

/// Makes a descriptor non-blocking if it is a socket that is not. Errors show when it is used.
pub(crate) fn make_socket_nonblocking(fd: RawFd) {
    // SAFETY: no pointers.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags >= 0 && flags & libc::O_NONBLOCK == 0 && socket_option(fd, libc::SO_TYPE).is_ok() {
        let _ = set_nonblocking(fd);
    }
}

/// A number among the options of a socket; an error if `fd` is no socket.
fn socket_option(fd: RawFd, option: i32) -> io::Result<i32> {
    let mut value: libc::c_int = 0;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` and `len` outlive the call and have the sizes that it expects.
    check(unsafe {
        let value = (&raw mut value).cast();
        libc::getsockopt(fd, libc::SOL_SOCKET, option, value, &mut len)
    })?;
    Ok(value)
}

/// A stream socket of the internet families. A receive of less than there is room for has emptied
/// it, which is not so for a Unix stream: that one stops behind bytes that came with a descriptor.
pub(crate) fn is_internet_stream(fd: RawFd) -> bool {
    let has = |option, known: &[i32]| socket_option(fd, option).is_ok_and(|v| known.contains(&v));
    has(libc::SO_TYPE, &[libc::SOCK_STREAM])
        && has(libc::SO_DOMAIN, &[libc::AF_INET, libc::AF_INET6])
}

/// Unmaps what a call has mapped.
///
/// # Safety
///
/// The caller owns these `len` bytes, and nobody uses them any more.
pub(crate) unsafe fn unmap(at: u64, len: u64) {
    // SAFETY: passed on to the caller.
    let _ =
        unsafe { libc::munmap(std::ptr::with_exposed_provenance_mut(at as usize), len as usize) };
}

/// Whether `from` can be read and `to` be written to now. What cannot be polled is always ready.
pub(crate) fn ready_now(from: RawFd, to: RawFd) -> (bool, bool) {
    let mut both = [(from, libc::POLLIN), (to, libc::POLLOUT)].map(|(fd, events)| libc::pollfd {
        fd,
        events,
        revents: 0,
    });
    // SAFETY: two entries, which outlive the call.
    let polled = unsafe { libc::poll(both.as_mut_ptr(), 2, 0) };
    let ready = |one: &libc::pollfd| polled < 0 || one.revents != 0;
    (ready(&both[0]), ready(&both[1]))
}

/// Closes a descriptor whose call nobody waits for any more.
///
/// # Safety
///
/// As [`adopt`].
pub(crate) unsafe fn close_raw(fd: i64) {
    // SAFETY: passed on to the caller.
    drop(unsafe { adopt(fd) });
}
