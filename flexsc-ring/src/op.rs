//! A posted call without its buffer: what the engines look at, and the call as a trap.

mod apart;
mod settle;

use std::cell::{Cell, UnsafeCell};
use std::ffi::{CString, c_char};
use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use crate::address::RawAddress;
use crate::call::{Buffer, CURRENT, Interest, RawCall, Readiness};
use crate::interrupt::NOT_MADE;
use crate::lent::{EventArea, Message, Vector, vector_of};
use crate::sys;
use crate::trap::{MOST_NUMBER, NOTHING, Trap};
use crate::work::{Offsets, Work};

pub(crate) use apart::{Fault, Room, Shape, apart, fault_of};
pub(crate) use settle::{failure, made_fd, of_statx, settle, take_fd};

/// `struct open_how` of `openat2`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) flags: u64,
    pub(crate) mode: u64,
    pub(crate) resolve: u64,
}

/// Where `statx` writes. Shared access only, so that the kernel's pointer stays good.
pub(crate) type StatArea = Box<UnsafeCell<MaybeUninit<libc::statx>>>;

/// Which way a call may have to wait on its descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Until something can be read.
    In,
    /// Until something can be written.
    Out,
    /// Either, as a poll asks.
    Poll,
}

/// The call's numbers, and the small structures that the kernel reads beside the buffer. Lives at
/// a fixed address from `submit` to the last completion.
pub(crate) enum Op {
    Nop,
    Accept { listener: RawFd, multishot: bool },
    Recv { fd: RawFd, multishot: bool },
    Send { fd: RawFd, more: bool, nowait: bool },
    Read { fd: RawFd, offset: u64, vec: UnsafeCell<libc::iovec>, plain: bool },
    Write { fd: RawFd, offset: u64, vec: UnsafeCell<libc::iovec>, plain: bool },
    Open { dir: RawFd, path: CString, how: How, moved: Cell<u8> },
    Stat { dir: RawFd, path: Option<CString>, area: StatArea },
    Close { fd: Option<OwnedFd> },
    Poll { fd: RawFd, interest: Interest },
    Sendfile { out: RawFd, input: RawFd, offset: UnsafeCell<i64>, len: usize },
    Shutdown { fd: RawFd, how: Shutdown },
    Getdents64 { fd: RawFd },
    RecvInto { fd: RawFd },
    SendAll { fd: RawFd, message: Box<Message>, more: bool, nowait: bool },
    ReadAll { fd: RawFd, offset: u64, parts: Vector, nowait: bool, plain: bool },
    WriteAll { fd: RawFd, offset: u64, parts: Vector, nowait: bool, plain: bool },
    Connect { fd: RawFd, to: Box<RawAddress>, tries: Tries },
    Splice { from: RawFd, to: RawFd, offsets: Offsets, len: usize, ends: Ends },
    EpollWait { epoll: RawFd, events: EventArea },
    Timeout { after: Duration, until: Cell<Option<Instant>> },
    Work(Work),
    Raw(RawCall),
}

/// How far a connection has come.
#[derive(Default)]
pub(crate) struct Tries {
    /// It is under way: the next try asks how it went.
    started: Cell<bool>,
    /// How often the listener's queue was full, and when to try again.
    full: Cell<u8>,
    until: Cell<Option<Instant>>,
}

/// What a splice has met at its ends.
#[derive(Default)]
pub(crate) struct Ends {
    waits: Cell<Waits>,
    /// How often it would have waited though both were ready.
    vain: Cell<u8>,
}

/// Which end of a splice keeps it waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Waits {
    #[default]
    From,
    To,
    /// Neither, and yet it cannot go on.
    Nobody,
}

/// How often a splice is made again at once that would wait though both of its ends are ready.
const MOST_VAIN: u8 = 16;
/// The first pause before a connection whose listener is full is tried again; it doubles to 32 times.
const PAUSE: Duration = Duration::from_millis(1);

/// How often an open is made again because a directory may have been moved.
const MOST_MOVES: u8 = 16;

/// `how` of a shutdown, as the kernel has it.
pub(crate) fn shutdown_how(how: Shutdown) -> i32 {
    match how {
        Shutdown::Read => libc::SHUT_RD,
        Shutdown::Write => libc::SHUT_WR,
        Shutdown::Both => libc::SHUT_RDWR,
    }
}

/// The flags of a send.
#[inline]
pub(crate) fn send_flags(more: bool, nowait: bool) -> i32 {
    let more = if more { libc::MSG_MORE } else { 0 };
    let nowait = if nowait { libc::MSG_DONTWAIT } else { 0 };
    libc::MSG_NOSIGNAL | more | nowait
}

/// The events of a poll.
pub(crate) fn poll_events(interest: Interest) -> u32 {
    let readable = if interest.readable { libc::POLLIN | libc::POLLRDHUP } else { 0 };
    let writable = if interest.writable { libc::POLLOUT } else { 0 };
    (readable | writable) as u32
}

/// What poll's events mean.
pub(crate) fn readiness(events: u32) -> Readiness {
    let has = |bits: i16| events & bits as u32 != 0;
    Readiness {
        readable: has(libc::POLLIN),
        writable: has(libc::POLLOUT),
        closed: has(libc::POLLHUP | libc::POLLERR | libc::POLLRDHUP),
    }
}

#[inline]
pub(crate) fn address<T: ?Sized>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

impl Op {
    /// Nothing stands between the call and its only result: no descriptor and no time to wait for, no
    /// buffer of the pool, nothing to be told to others before.
    #[inline(always)]
    pub(crate) fn is_simple(&self) -> bool {
        match self {
            Op::Nop | Op::Open { .. } | Op::Stat { .. } | Op::Shutdown { .. } => true,
            Op::Getdents64 { .. } | Op::Work(_) | Op::Raw(_) => true,
            Op::Read { offset, .. }
            | Op::Write { offset, .. }
            | Op::ReadAll { offset, .. }
            | Op::WriteAll { offset, .. } => *offset != CURRENT,
            _ => false,
        }
    }

    /// More than one completion may come of it.
    #[inline(always)]
    pub(crate) fn is_multishot(&self) -> bool {
        matches!(self, Op::Accept { multishot: true, .. } | Op::Recv { multishot: true, .. })
    }

    /// The descriptor to wait for, and which way, when the call would block.
    #[inline]
    pub(crate) fn waits_on(&self) -> Option<(RawFd, Direction)> {
        match self {
            Op::Nop | Op::Open { .. } | Op::Stat { .. } | Op::Close { .. } => None,
            Op::Timeout { .. } | Op::Work(_) | Op::Raw(_) => None,
            Op::Read { offset, .. } if *offset != CURRENT => None,
            _ => self.may_wait_on(),
        }
    }

    /// As `waits_on`, of calls that are not among those that never wait.
    fn may_wait_on(&self) -> Option<(RawFd, Direction)> {
        match *self {
            Op::Accept { listener, .. } => Some((listener, Direction::In)),
            Op::Recv { fd, .. } => Some((fd, Direction::In)),
            Op::Send { fd, nowait: false, .. } => Some((fd, Direction::Out)),
            Op::Sendfile { out, .. } => Some((out, Direction::Out)),
            Op::Read { fd, offset: CURRENT, .. } => Some((fd, Direction::In)),
            Op::Write { fd, offset: CURRENT, .. } => Some((fd, Direction::Out)),
            Op::Poll { fd, .. } => Some((fd, Direction::Poll)),
            Op::RecvInto { fd } => Some((fd, Direction::In)),
            Op::SendAll { fd, nowait: false, .. } => Some((fd, Direction::Out)),
            Op::ReadAll { fd, offset: CURRENT, nowait: false, .. } => Some((fd, Direction::In)),
            Op::WriteAll { fd, offset: CURRENT, nowait: false, .. } => Some((fd, Direction::Out)),
            Op::Connect { fd, .. } => Some((fd, Direction::Out)),
            Op::EpollWait { epoll, .. } => Some((epoll, Direction::In)),
            Op::Splice { from, to, ref ends, .. } => match ends.waits.get() {
                Waits::From => Some((from, Direction::In)),
                Waits::To => Some((to, Direction::Out)),
                Waits::Nobody => None,
            },
            _ => None,
        }
    }

    /// What the call's result means to the engine: some calls have words of their own for "it would
    /// wait", which is `EAGAIN` from here on.
    #[inline]
    pub(crate) fn verdict(&self, ret: i64) -> i64 {
        match self {
            Op::EpollWait { .. } | Op::Connect { .. } | Op::Splice { .. } => {
                self.verdict_in_words_of_its_own(ret)
            }
            _ => ret,
        }
    }

    fn verdict_in_words_of_its_own(&self, ret: i64) -> i64 {
        let is = |errno: i32| ret == -i64::from(errno);
        match self {
            Op::EpollWait { events, .. } if ret == 0 && events.room().1 > 0 => AGAIN,
            Op::Connect { tries, .. } => {
                if is(libc::EINPROGRESS) || is(libc::EALREADY) {
                    tries.started.set(true);
                    return AGAIN;
                }
                if is(libc::EISCONN) && tries.started.get() { 0 } else { ret }
            }
            Op::Splice { from, to, ends, .. } if ret == AGAIN => {
                ends.waits.set(match sys::ready_now(*from, *to) {
                    (false, _) => Waits::From,
                    (true, false) => Waits::To,
                    (true, true) if ends.vain.get() < MOST_VAIN => {
                        ends.vain.set(ends.vain.get() + 1);
                        return -i64::from(libc::EINTR);
                    }
                    (true, true) => Waits::Nobody,
                });
                AGAIN
            }
            _ => ret,
        }
    }

    /// When to try a call again that would wait for what no descriptor tells: a Unix listener with a
    /// full queue.
    pub(crate) fn pause(&self) -> Option<Instant> {
        let Op::Connect { to, tries, .. } = self else { return None };
        if !to.is_unix() || tries.started.get() {
            return None;
        }
        let until = crate::timers::at(PAUSE * (1 << tries.full.get().min(5)));
        tries.full.set(tries.full.get().saturating_add(1));
        tries.until.set(Some(until));
        Some(until)
    }

    /// Starts the time of a timeout.
    pub(crate) fn start_timer(&self) -> Option<Instant> {
        let Op::Timeout { after, until } = self else { return None };
        until.set(Some(crate::timers::at(*after)));
        until.get()
    }

    /// The time that the call waits for.
    pub(crate) fn timer(&self) -> Option<Instant> {
        match self {
            Op::Timeout { until, .. } => until.get(),
            Op::Connect { tries, .. } => tries.until.get(),
            _ => None,
        }
    }

    /// The sockets that must not block whoever makes the call.
    #[inline]
    pub(crate) fn make_nonblocking(&self) {
        match *self {
            Op::Sendfile { out, .. } => sys::make_socket_nonblocking(out),
            Op::Connect { fd, .. } => sys::make_socket_nonblocking(fd),
            Op::Splice { from, to, .. } => {
                sys::make_socket_nonblocking(from);
                sys::make_socket_nonblocking(to);
            }
            _ => {}
        }
    }

    /// Says where the buffers lie.
    pub(crate) fn set_buffers<B: Buffer>(&mut self, bufs: &mut [B]) {
        match self {
            Op::SendAll { message, .. } => message.parts = vector_of(bufs),
            Op::ReadAll { parts, .. } | Op::WriteAll { parts, .. } => *parts = vector_of(bufs),
            _ => {}
        }
    }

    /// A failure that says nothing about the call: a signal came, a connection went before it could
    /// be accepted, or a directory was moved while a path beneath it was walked. The last is also
    /// what an open of a leased file looks like, so it counts and is believed in the end.
    pub(crate) fn starts_over(&self, ret: i64) -> bool {
        let is = |errno: i32| ret == -i64::from(errno);
        match self {
            Op::Raw(_) | Op::Close { .. } => false,
            Op::Accept { .. } => is(libc::EINTR) || is(libc::ECONNABORTED),
            Op::Open { how, moved, .. } if is(libc::EAGAIN) => {
                let scoped = how.resolve & (libc::RESOLVE_BENEATH | libc::RESOLVE_IN_ROOT) != 0;
                let cached = how.resolve & libc::RESOLVE_CACHED != 0;
                let again = scoped && !cached && moved.get() < MOST_MOVES;
                moved.set(moved.get() + u8::from(again));
                again
            }
            _ => is(libc::EINTR),
        }
    }

    /// A read or write at the current position is tried without waiting. Files that cannot do that
    /// are read and written as they are, once an epoll says so or if it does not know them. False:
    /// that is so already, or does not apply.
    pub(crate) fn make_plain(&mut self) -> bool {
        match self {
            Op::Read { plain, offset: CURRENT, .. }
            | Op::Write { plain, offset: CURRENT, .. }
            | Op::ReadAll { plain, offset: CURRENT, nowait: false, .. }
            | Op::WriteAll { plain, offset: CURRENT, nowait: false, .. } => {
                !std::mem::replace(plain, true)
            }
            _ => false,
        }
    }

    /// The descriptor of a read that waits where it is made if there is nothing to read.
    #[inline]
    pub(crate) fn reads_plainly(&self) -> Option<RawFd> {
        match *self {
            Op::Read { fd, plain: true, offset: CURRENT, .. }
            | Op::ReadAll { fd, plain: true, offset: CURRENT, .. } => Some(fd),
            _ => None,
        }
    }

    /// The call as number and arguments; `ptr` and `len` are its buffer's range. Pointers to the
    /// structures inside of it are among the arguments: until the call has returned it must not
    /// move, nor be borrowed mutably, nor may this be called again.
    pub(crate) fn trap(&self, ptr: *mut u8, len: usize) -> Trap {
        self.frequent_trap(ptr, len).unwrap_or_else(|| self.other_trap(ptr, len))
    }

    /// As `trap`, of the calls that a server makes most.
    #[inline(always)]
    pub(crate) fn frequent_trap(&self, ptr: *mut u8, len: usize) -> Option<Trap> {
        let at = address(ptr);
        let n = len as u64;
        let (number, args) = match self {
            Op::Nop | Op::Poll { .. } | Op::Timeout { .. } => {
                return Some(trap_of(i64::from(NOTHING), [0; 6]));
            }
            Op::Accept { listener, .. } => {
                let flags = (libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u64;
                (libc::SYS_accept4, [fd_arg(*listener), 0, 0, flags, 0, 0])
            }
            Op::Recv { fd, .. } => {
                let flags = libc::MSG_DONTWAIT as u64;
                (libc::SYS_recvfrom, [fd_arg(*fd), at, n, flags, 0, 0])
            }
            Op::Send { fd, more, .. } => {
                (libc::SYS_sendto, [fd_arg(*fd), at, n, send_flags(*more, true) as u64, 0, 0])
            }
            Op::Read { fd, offset, vec, plain } => {
                let numbers = (libc::SYS_preadv2, libc::SYS_read, libc::SYS_pread64);
                transfer(numbers, *fd, *offset, (*plain, vec), (ptr, len))
            }
            Op::Write { fd, offset, vec, plain } => {
                let numbers = (libc::SYS_pwritev2, libc::SYS_write, libc::SYS_pwrite64);
                transfer(numbers, *fd, *offset, (*plain, vec), (ptr, len))
            }
            Op::RecvInto { fd } => {
                (libc::SYS_recvfrom, [fd_arg(*fd), at, n, libc::MSG_DONTWAIT as u64, 0, 0])
            }
            Op::Raw(raw) => return Some(trap_of(raw.number.min(MOST_NUMBER).into(), raw.args)),
            _ => return None,
        };
        let makes_fd = number == libc::SYS_accept4;
        Some(Trap { makes_fd, ..trap_of(number, args) })
    }

    /// As `trap`, of the other calls, which also take longer.
    fn other_trap(&self, ptr: *mut u8, len: usize) -> Trap {
        let (at, n) = (address(ptr), len as u64);
        let (number, args) = match self {
            Op::Open { dir, path, how, .. } => {
                let size = size_of::<How>() as u64;
                (
                    libc::SYS_openat2,
                    [fd_arg(*dir), address(path.as_ptr()), address(how), size, 0, 0],
                )
            }
            Op::Stat { dir, path, area } => {
                let mask = u64::from(libc::STATX_BASIC_STATS);
                let (path, flags) = stat_path(path);
                let area = address(area.get());
                (libc::SYS_statx, [fd_arg(*dir), address(path), flags as u64, mask, area, 0])
            }
            Op::Close { fd } => {
                let fd = fd.as_ref().map_or(-1, AsRawFd::as_raw_fd);
                (libc::SYS_close, [fd_arg(fd), 0, 0, 0, 0, 0])
            }
            Op::Sendfile { out, input, offset, len } => {
                let args = [fd_arg(*out), fd_arg(*input), address(offset.get()), *len as u64, 0, 0];
                (libc::SYS_sendfile, args)
            }
            Op::Shutdown { fd, how } => {
                (libc::SYS_shutdown, [fd_arg(*fd), shutdown_how(*how) as u64, 0, 0, 0, 0])
            }
            Op::Getdents64 { fd } => (libc::SYS_getdents64, [fd_arg(*fd), at, n, 0, 0, 0]),
            Op::Work(work) => work.trap(),
            Op::SendAll { fd, message, more, .. } => {
                let flags = send_flags(*more, true) as u64;
                (libc::SYS_sendmsg, [fd_arg(*fd), address(message.head()), flags, 0, 0, 0])
            }
            Op::ReadAll { fd, offset, parts, nowait, plain } => {
                let numbers = (libc::SYS_preadv2, libc::SYS_readv);
                transfer_all(numbers, *fd, *offset, parts, (*nowait, *plain))
            }
            Op::WriteAll { fd, offset, parts, nowait, plain } => {
                let numbers = (libc::SYS_pwritev2, libc::SYS_writev);
                transfer_all(numbers, *fd, *offset, parts, (*nowait, *plain))
            }
            Op::Connect { fd, to, .. } => {
                let (at, len) = to.parts();
                (libc::SYS_connect, [fd_arg(*fd), address(at), len.into(), 0, 0, 0])
            }
            Op::Splice { from, to, offsets, len, .. } => {
                let [at, onto] = offsets.args();
                let flags = libc::SPLICE_F_NONBLOCK.into();
                let args = [fd_arg(*from), at, fd_arg(*to), onto, *len as u64, flags];
                (libc::SYS_splice, args)
            }
            Op::EpollWait { epoll, events } => {
                let (at, most) = events.room();
                (libc::SYS_epoll_pwait, [fd_arg(*epoll), address(at), most as u64, 0, 0, 0])
            }
            _ => (i64::from(NOTHING), [0; 6]),
        };
        let makes_fd = number == libc::SYS_openat2;
        let makes_mapping = number == libc::SYS_mmap;
        Trap { makes_fd, makes_mapping, ..trap_of(number, args) }
    }
}

/// A read or write of many buffers: `numbers` are the calls that may be told not to wait, and that go
/// on at the current position as it is.
fn transfer_all(
    numbers: (i64, i64),
    fd: RawFd,
    offset: u64,
    parts: &Vector,
    (nowait, plain): (bool, bool),
) -> (i64, [u64; 6]) {
    let (at, n) = (address(parts.as_ptr()), parts.len() as u64);
    if plain && offset == CURRENT {
        return (numbers.1, [fd_arg(fd), at, n, 0, 0, 0]);
    }
    let flags = if nowait || offset == CURRENT { libc::RWF_NOWAIT as u64 } else { 0 };
    (numbers.0, [fd_arg(fd), at, n, offset, offset, flags])
}

#[inline]
pub(crate) fn fd_arg(fd: RawFd) -> u64 {
    i64::from(fd) as u64
}

/// A read or write: `numbers` are the calls that try without waiting at the current position, go on
/// there as it is, and go to an offset.
#[inline]
fn transfer(
    numbers: (i64, i64, i64),
    fd: RawFd,
    offset: u64,
    (plain, vec): (bool, &UnsafeCell<libc::iovec>),
    (ptr, len): (*mut u8, usize),
) -> (i64, [u64; 6]) {
    let (at, n) = (address(ptr), len as u64);
    match (offset, plain) {
        (CURRENT, false) => {
            // SAFETY: the call is not running yet, so nobody else looks at the cell.
            unsafe { *vec.get() = libc::iovec { iov_base: ptr.cast(), iov_len: len } };
            let nowait = libc::RWF_NOWAIT as u64;
            (numbers.0, [fd_arg(fd), address(vec.get()), 1, CURRENT, CURRENT, nowait])
        }
        (CURRENT, true) => (numbers.1, [fd_arg(fd), at, n, 0, 0, 0]),
        _ => (numbers.2, [fd_arg(fd), at, n, offset, 0, 0]),
    }
}

#[inline]
fn trap_of(number: i64, args: [u64; 6]) -> Trap {
    Trap { number: number as u16, makes_fd: false, makes_mapping: false, args }
}

/// The path of a statx, and its flags: without a path it asks about the descriptor.
pub(crate) fn stat_path(path: &Option<CString>) -> (*const c_char, i32) {
    let path = path.as_deref().unwrap_or(c"");
    (path.as_ptr(), if path.is_empty() { libc::AT_EMPTY_PATH } else { 0 })
}

/// The failure of a call that we have stopped: `ECANCELED` to its caller, but no result that the
/// kernel gives. A close that fails so was not made, while one that the kernel fails with
/// [`KERNEL_CANCELED`] has closed its descriptor all the same.
pub(crate) const CANCELED: i64 = NOT_MADE;

/// `ECANCELED` as the kernel says it.
pub(crate) const KERNEL_CANCELED: i64 = -(libc::ECANCELED as i64);

/// The failure of a call that would have to wait.
const AGAIN: i64 = -(libc::EAGAIN as i64);

/// True for the error with which a call says that it would have had to wait.
pub(crate) fn would_block(ret: i64) -> bool {
    ret == AGAIN
}

/// An `errno` as a result.
pub(crate) fn ret_of(error: &io::Error) -> i64 {
    -i64::from(error.raw_os_error().unwrap_or(libc::EIO))
}
