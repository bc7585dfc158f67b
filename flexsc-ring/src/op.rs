//! A posted call without its buffer: what the engines look at, as a trap, and as a result.

use std::cell::{Cell, UnsafeCell};
use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

use crate::buffer::RecvBuf;
use crate::call::Buffer;
use crate::call::{CURRENT, Call, Interest, RawCall, Readiness};
use crate::result::{Failure, FileStat, PostError, Value};
use crate::sys;
use crate::trap::{NOTHING, Trap};

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
    Stat { dir: RawFd, path: CString, area: StatArea },
    Close { fd: Option<OwnedFd> },
    Poll { fd: RawFd, interest: Interest },
    Sendfile { out: RawFd, input: RawFd, offset: UnsafeCell<i64>, len: usize },
    Shutdown { fd: RawFd, how: Shutdown },
    Getdents64 { fd: RawFd },
    Raw(RawCall),
}

/// How often an open is made again because a directory may have been moved.
const MOST_MOVES: u8 = 16;

fn empty_vec() -> UnsafeCell<libc::iovec> {
    UnsafeCell::new(libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 })
}

/// A call taken apart: its numbers, its buffer, and the range of the buffer that it moves.
pub(crate) struct Parts<B> {
    pub(crate) op: Op,
    pub(crate) buf: Option<B>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Refuses a range that does not lie within the buffer.
pub(crate) fn check_range<B: Buffer>(call: Call<B>) -> Result<Call<B>, PostError<B>> {
    let (start, end, len) = match &call {
        Call::Send { buf, start, end, .. } | Call::Write { buf, start, end, .. } => {
            (*start, *end, buf.as_ref().len())
        }
        Call::Read { buf, start, end, .. } => (*start, *end, buf.as_ref().len()),
        _ => return Ok(call),
    };
    if start <= end && end <= len {
        Ok(call)
    } else {
        Err(PostError::Range { call, start, end, len })
    }
}

/// Takes a call apart.
pub(crate) fn split<B: Buffer>(call: Call<B>) -> Parts<B> {
    let whole = |op| Parts { op, buf: None, start: 0, end: 0 };
    match call {
        Call::Nop => whole(Op::Nop),
        Call::Accept { listener, multishot } => whole(Op::Accept { listener, multishot }),
        Call::Recv { fd, multishot } => whole(Op::Recv { fd, multishot }),
        Call::Send { fd, buf, start, end, more, nowait } => {
            Parts { op: Op::Send { fd, more, nowait }, buf: Some(buf), start, end }
        }
        Call::Read { fd, buf, start, end, offset } => {
            let op = Op::Read { fd, offset, vec: empty_vec(), plain: false };
            Parts { op, buf: Some(buf), start, end }
        }
        Call::Write { fd, buf, start, end, offset } => {
            let op = Op::Write { fd, offset, vec: empty_vec(), plain: false };
            Parts { op, buf: Some(buf), start, end }
        }
        Call::OpenAt2 { dir, path, flags, mode, resolve } => {
            let how = How { flags: flags | libc::O_CLOEXEC as u64, mode, resolve };
            whole(Op::Open { dir, path, how, moved: Cell::new(0) })
        }
        Call::Statx { dir, path } => {
            let area = Box::new(UnsafeCell::new(MaybeUninit::zeroed()));
            whole(Op::Stat { dir, path, area })
        }
        Call::Close(fd) => whole(Op::Close { fd: Some(fd) }),
        Call::Poll { fd, interest } => whole(Op::Poll { fd, interest }),
        Call::Sendfile { out, input, offset, len } => {
            let offset = UnsafeCell::new(offset.try_into().unwrap_or(i64::MAX));
            whole(Op::Sendfile { out, input, offset, len })
        }
        Call::Shutdown { fd, how } => whole(Op::Shutdown { fd, how }),
        Call::Getdents64 { fd, buf } => {
            let end = buf.as_ref().len();
            Parts { op: Op::Getdents64 { fd }, buf: Some(buf), start: 0, end }
        }
        Call::Raw(raw) => whole(Op::Raw(raw)),
    }
}

/// `how` of a shutdown, as the kernel has it.
pub(crate) fn shutdown_how(how: Shutdown) -> i32 {
    match how {
        Shutdown::Read => libc::SHUT_RD,
        Shutdown::Write => libc::SHUT_WR,
        Shutdown::Both => libc::SHUT_RDWR,
    }
}

/// The flags of a send.
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

fn address<T: ?Sized>(pointer: *const T) -> u64 {
    pointer.expose_provenance() as u64
}

impl Op {
    /// More than one completion may come of it.
    pub(crate) fn is_multishot(&self) -> bool {
        matches!(self, Op::Accept { multishot: true, .. } | Op::Recv { multishot: true, .. })
    }

    /// The descriptor to wait for, and which way, when the call would block.
    pub(crate) fn waits_on(&self) -> Option<(RawFd, Direction)> {
        match *self {
            Op::Accept { listener, .. } => Some((listener, Direction::In)),
            Op::Recv { fd, .. } => Some((fd, Direction::In)),
            Op::Send { fd, nowait: false, .. } => Some((fd, Direction::Out)),
            Op::Sendfile { out, .. } => Some((out, Direction::Out)),
            Op::Read { fd, offset: CURRENT, .. } => Some((fd, Direction::In)),
            Op::Write { fd, offset: CURRENT, .. } => Some((fd, Direction::Out)),
            Op::Poll { fd, .. } => Some((fd, Direction::Poll)),
            _ => None,
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
            Op::Read { plain, offset: CURRENT, .. } | Op::Write { plain, offset: CURRENT, .. } => {
                !std::mem::replace(plain, true)
            }
            _ => false,
        }
    }

    /// The call as number and arguments; `ptr` and `len` are its buffer's range. Pointers to the
    /// structures inside of it are among the arguments: until the call has returned it must not
    /// move, nor be borrowed mutably, nor may this be called again.
    pub(crate) fn trap(&self, ptr: *mut u8, len: usize) -> Trap {
        let at = address(ptr);
        let n = len as u64;
        let (number, args) = match self {
            Op::Nop | Op::Poll { .. } => return trap_of(i64::from(NOTHING), [0; 6]),
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
            Op::Open { dir, path, how, .. } => {
                let size = size_of::<How>() as u64;
                (
                    libc::SYS_openat2,
                    [fd_arg(*dir), address(path.as_ptr()), address(how), size, 0, 0],
                )
            }
            Op::Stat { dir, path, area } => {
                let mask = u64::from(libc::STATX_BASIC_STATS);
                let flags = stat_flags(path) as u64;
                let area = address(area.get());
                (libc::SYS_statx, [fd_arg(*dir), address(path.as_ptr()), flags, mask, area, 0])
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
            Op::Raw(raw) => (raw.number.into(), raw.args),
        };
        let makes_fd = number == libc::SYS_accept4 || number == libc::SYS_openat2;
        Trap { makes_fd, ..trap_of(number, args) }
    }
}

fn fd_arg(fd: RawFd) -> u64 {
    i64::from(fd) as u64
}

/// A read or write: `numbers` are the calls that try without waiting at the current position, go on
/// there as it is, and go to an offset.
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

fn trap_of(number: i64, args: [u64; 6]) -> Trap {
    Trap { number: number as u16, makes_fd: false, args }
}

/// The flags of a statx.
pub(crate) fn stat_flags(path: &CString) -> i32 {
    if path.is_empty() { libc::AT_EMPTY_PATH } else { 0 }
}

/// Makes the result of a call that has ended with `ret`, a negated `errno` if it failed.
pub(crate) fn settle<B>(
    op: Op,
    buf: Option<B>,
    ret: i64,
    received: Option<RecvBuf>,
) -> Result<Value<B>, Failure<B>> {
    if let Op::Close { fd: Some(fd) } = op {
        if ret == -i64::from(libc::ECANCELED) {
            drop(fd);
        } else {
            // The kernel has closed it, also where it reports an error.
            let _ = fd.into_raw_fd();
        }
        return if ret < 0 { Err(failure(ret, None)) } else { Ok(Value::Done) };
    }
    if ret < 0 {
        return Err(failure(ret, buf));
    }
    let n = ret as usize;
    Ok(match (op, buf) {
        (Op::Accept { .. }, _) => Value::Accepted(sys::adopt(ret)),
        (Op::Open { .. }, _) => Value::Opened(sys::adopt(ret)),
        (Op::Recv { .. }, _) => Value::Received(received.unwrap_or_default()),
        (Op::Stat { area, .. }, _) => Value::Stat(file_stat(area)),
        (Op::Poll { .. }, _) => Value::Ready(readiness(ret as u32)),
        (Op::Sendfile { .. }, _) => Value::Sent(n),
        (Op::Raw(_), _) => Value::Raw(ret),
        (_, Some(buf)) => Value::Moved { n, buf },
        (_, None) => Value::Done,
    })
}

fn failure<B>(ret: i64, buf: Option<B>) -> Failure<B> {
    Failure { error: sys::error_of(ret), buf }
}

/// The failure of a call that was cancelled before it began.
pub(crate) const CANCELED: i64 = -(libc::ECANCELED as i64);

fn file_stat(area: StatArea) -> FileStat {
    // SAFETY: zeroed when made, all of whose bit patterns are valid, then written by statx.
    let stat = unsafe { area.into_inner().assume_init() };
    FileStat {
        size: stat.stx_size,
        mode: stat.stx_mode.into(),
        mtime_secs: stat.stx_mtime.tv_sec,
        mtime_nanos: stat.stx_mtime.tv_nsec,
        ino: stat.stx_ino,
        dev: u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor),
        nlink: stat.stx_nlink,
    }
}

/// True for the error with which a call says that it would have had to wait.
pub(crate) fn would_block(ret: i64) -> bool {
    ret == -i64::from(libc::EAGAIN)
}

/// The descriptor number of a call that makes one.
pub(crate) fn made_fd<B>(value: &Result<Value<B>, Failure<B>>) -> Option<RawFd> {
    match value {
        Ok(Value::Accepted(fd) | Value::Opened(fd)) => Some(fd.as_raw_fd()),
        _ => None,
    }
}

/// An `errno` as a result.
pub(crate) fn ret_of(error: &io::Error) -> i64 {
    -i64::from(error.raw_os_error().unwrap_or(libc::EIO))
}
