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
fn seconds(timeout: Duration) -> i64 {
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

/// Enters an io_uring: submits, and waits for `want` completions, at most for `timeout`.
/// `ring` is a descriptor, or the index of a registered one with `REGISTERED_RING` in `flags`.
pub(crate) fn uring_enter(
    ring: RawFd,
    submit: u32,
    want: u32,
    flags: u32,
    timeout: Option<Duration>,
) -> io::Result<u32> {
    #[repr(C)]
    struct Arg {
        sigmask: u64,
        sigmask_size: u32,
        min_wait_us: u32,
        timespec: u64,
    }
    #[repr(C)]
    struct Timespec {
        secs: i64,
        nanos: i64,
    }
    let number = libc::SYS_io_uring_enter;
    let ret = match timeout {
        None => {
            let none = std::ptr::null::<u8>();
            // SAFETY: no argument structure; the entries were pushed under their own contract.
            unsafe { libc::syscall(number, ring, submit, want, flags, none, 0) }
        }
        Some(t) => {
            let spec = Timespec { secs: seconds(t), nanos: t.subsec_nanos().into() };
            let timespec = (&raw const spec).expose_provenance() as u64;
            let arg = Arg { sigmask: 0, sigmask_size: 0, min_wait_us: 0, timespec };
            let flags = flags | io_uring::EnterFlags::EXT_ARG.bits();
            // SAFETY: `arg` and `spec` outlive the call.
            unsafe { libc::syscall(number, ring, submit, want, flags, &arg, size_of::<Arg>()) }
        }
    };
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret as u32) }
}

/// `io_uring_rsrc_update`.
#[repr(C)]
struct RingFd {
    offset: u32,
    reserved: u32,
    data: u64,
}

fn update_ring_fds(ring: RawFd, operation: u32, update: &mut RingFd) -> io::Result<()> {
    let number = libc::SYS_io_uring_register;
    // SAFETY: `update` outlives the call and has the layout of `io_uring_rsrc_update`.
    let ret = unsafe { libc::syscall(number, ring, operation, std::ptr::from_mut(update), 1) };
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Registers an io_uring's own descriptor with this thread, which holds 16 of them; gives the index
/// to enter it by. The thread keeps the io_uring alive until `unregister_ring_fd`.
pub(crate) fn register_ring_fd(ring: RawFd) -> io::Result<RawFd> {
    const REGISTER_RING_FDS: u32 = 20;
    let mut update = RingFd { offset: u32::MAX, reserved: 0, data: ring as u64 };
    update_ring_fds(ring, REGISTER_RING_FDS, &mut update)?;
    Ok(update.offset as RawFd)
}

/// Takes back what `register_ring_fd` did on this thread.
pub(crate) fn unregister_ring_fd(ring: RawFd, index: RawFd) {
    const UNREGISTER_RING_FDS: u32 = 21;
    let mut update = RingFd { offset: index as u32, reserved: 0, data: 0 };
    let _ = update_ring_fds(ring, UNREGISTER_RING_FDS, &mut update);
}

/// What a limit of the process bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resource {
    /// Bytes that stay in memory.
    LockedMemory,
    /// Descriptors.
    OpenFiles,
    /// Tasks of the user.
    Tasks,
}

/// A limit as it is enforced, and as it may be raised to; `None` is no limit.
pub(crate) fn limit(resource: Resource) -> (Option<u64>, Option<u64>) {
    let number = match resource {
        Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
        Resource::OpenFiles => libc::RLIMIT_NOFILE,
        Resource::Tasks => libc::RLIMIT_NPROC,
    };
    let none = libc::RLIM_INFINITY;
    let mut limit = libc::rlimit { rlim_cur: none, rlim_max: none };
    // SAFETY: `limit` outlives the call. It fails only for a number that is unknown.
    unsafe { libc::getrlimit(number, &mut limit) };
    let bounded = |value: libc::rlim_t| (value != none).then_some(value);
    (bounded(limit.rlim_cur), bounded(limit.rlim_max))
}

/// Processors that are in operation.
pub(crate) fn processors() -> usize {
    // SAFETY: no pointers.
    let n = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    usize::try_from(n).unwrap_or(1)
}

/// `uname -r`.
pub(crate) fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
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

/// The processors that the process's first thread may use, in order: those of the process, as threads
/// that stay on one are rarely the first.
pub(crate) fn allowed_cpus() -> Vec<usize> {
    // SAFETY: no pointers.
    cpus_of(unsafe { libc::getpid() })
}

/// The processors that a thread may use, in order; 0: this thread.
fn cpus_of(thread: libc::pid_t) -> Vec<usize> {
    // SAFETY: all bit patterns of a processor set are valid.
    let mut set = unsafe { std::mem::zeroed::<libc::cpu_set_t>() };
    // SAFETY: `set` has the size that is told.
    let asked = unsafe { libc::sched_getaffinity(thread, size_of_val(&set), &mut set) };
    let most = if asked == 0 { libc::CPU_SETSIZE as usize } else { 0 };
    // SAFETY: below the size of the set.
    (0..most).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect()
}

/// The kernel lets threads of this process run on that processor: found out by going there and back.
pub(crate) fn can_run_on(cpu: usize) -> bool {
    let here = cpus_of(0);
    here.contains(&cpu) || (stay_on(&[cpu]) && stay_on(&here))
}

/// The processor that this thread is on.
pub(crate) fn current_cpu() -> Option<usize> {
    // SAFETY: no pointers.
    usize::try_from(unsafe { libc::sched_getcpu() }).ok()
}

/// Keeps this thread on some processors. False: the kernel does not let it.
pub(crate) fn stay_on(cpus: &[usize]) -> bool {
    // SAFETY: all bit patterns of a processor set are valid.
    let mut set = unsafe { std::mem::zeroed::<libc::cpu_set_t>() };
    for cpu in cpus.iter().filter(|cpu| **cpu < libc::CPU_SETSIZE as usize) {
        // SAFETY: below the size of the set.
        unsafe { libc::CPU_SET(*cpu, &mut set) };
    }
    // SAFETY: `set` has the size that is told.
    unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) == 0 }
}

/// The time that this thread has run.
pub(crate) fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
