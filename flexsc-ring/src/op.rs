//! A posted call without its buffer: what the engines look at, as a trap, and as a result.

use std::cell::{Cell, UnsafeCell};
use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use crate::address::{MOST_NAME, RawAddress};
use crate::buffer::RecvBuf;
use crate::call::Buffer;
use crate::call::{CURRENT, Call, Interest, RawCall, Readiness};
use crate::lent::{EventArea, Lent, MOST_BUFFERS, Message, Parts as Vector, parts_of};
use crate::result::{Failure, FileStat, PostError, Value};
use crate::sys;
use crate::trap::{MOST_NUMBER, NOTHING, Trap};
use crate::work::{Offsets, Work, epoll_change};

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
    Accept {
        listener: RawFd,
        multishot: bool,
    },
    Recv {
        fd: RawFd,
        multishot: bool,
    },
    Send {
        fd: RawFd,
        more: bool,
        nowait: bool,
    },
    Read {
        fd: RawFd,
        offset: u64,
        vec: UnsafeCell<libc::iovec>,
        plain: bool,
    },
    Write {
        fd: RawFd,
        offset: u64,
        vec: UnsafeCell<libc::iovec>,
        plain: bool,
    },
    Open {
        dir: RawFd,
        path: CString,
        how: How,
        moved: Cell<u8>,
    },
    Stat {
        dir: RawFd,
        path: CString,
        area: StatArea,
    },
    Close {
        fd: Option<OwnedFd>,
    },
    Poll {
        fd: RawFd,
        interest: Interest,
    },
    Sendfile {
        out: RawFd,
        input: RawFd,
        offset: UnsafeCell<i64>,
        len: usize,
    },
    Shutdown {
        fd: RawFd,
        how: Shutdown,
    },
    Getdents64 {
        fd: RawFd,
    },
    RecvInto {
        fd: RawFd,
    },
    SendAll {
        fd: RawFd,
        message: Box<Message>,
        more: bool,
        nowait: bool,
    },
    ReadAll {
        fd: RawFd,
        offset: u64,
        parts: Vector,
        nowait: bool,
        plain: bool,
    },
    WriteAll {
        fd: RawFd,
        offset: u64,
        parts: Vector,
        nowait: bool,
        plain: bool,
    },
    Connect {
        fd: RawFd,
        to: Box<RawAddress>,
        tries: Tries,
    },
    Splice {
        from: RawFd,
        to: RawFd,
        offsets: Offsets,
        len: usize,
        waits: Cell<Waits>,
        vain: Cell<u8>,
    },
    EpollWait {
        epoll: RawFd,
        events: EventArea,
    },
    Timeout {
        after: Duration,
        until: Cell<Option<Instant>>,
    },
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

/// Which end of a splice keeps it waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    From,
    To,
    /// Neither, and yet it cannot go on.
    Nobody,
}

/// How often a splice is made again at once that would wait though both of its ends are ready.
const MOST_VAIN: u8 = 16;
/// Events that one `epoll_wait` takes at most.
const MOST_EVENTS: usize = 4096;
/// Bytes that the kernel moves at most by one call (`MAX_RW_COUNT`).
const MOST_BYTES: usize = 0x7fff_f000;
/// The first pause before a connection whose listener is full is tried again; it doubles to 32 times.
const PAUSE: Duration = Duration::from_millis(1);

/// How often an open is made again because a directory may have been moved.
const MOST_MOVES: u8 = 16;

fn empty_vec() -> UnsafeCell<libc::iovec> {
    UnsafeCell::new(libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 })
}

/// A call taken apart: its numbers, its buffers, and the range of the one buffer that it moves.
pub(crate) struct Parts<B> {
    pub(crate) op: Op,
    pub(crate) buf: Lent<B>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Refuses a range that does not lie within the buffer, and what the kernel could not be told.
pub(crate) fn check_range<B: Buffer>(call: Call<B>) -> Result<Call<B>, PostError<B>> {
    match fault_of(&call) {
        None => Ok(call),
        Some(fault) => Err(fault.refuse(call)),
    }
}

/// What is wrong with a call that the kernel could not be told of.
pub(crate) enum Fault {
    Range { start: usize, end: usize, len: usize },
    Buffers { count: usize },
    Address { len: usize },
}

impl Fault {
    /// Gives `call` back, which has the fault or is the chain of one that has.
    pub(crate) fn refuse<B>(self, call: Call<B>) -> PostError<B> {
        match self {
            Fault::Range { start, end, len } => PostError::Range { call, start, end, len },
            Fault::Buffers { count } => PostError::Buffers { call, count, most: MOST_BUFFERS },
            Fault::Address { len } => PostError::Address { call, len, most: MOST_NAME },
        }
    }
}

/// The first thing wrong with a call.
pub(crate) fn fault_of<B: Buffer>(call: &Call<B>) -> Option<Fault> {
    let (start, end, len) = match call {
        Call::Send { buf, start, end, .. }
        | Call::Write { buf, start, end, .. }
        | Call::Read { buf, start, end, .. }
        | Call::RecvInto { buf, start, end, .. } => (*start, *end, buf.as_ref().len()),
        Call::Madvise { mapping, start, end, .. } => (*start, *end, mapping.size()),
        Call::SendVectored { bufs, .. }
        | Call::ReadVectored { bufs, .. }
        | Call::WriteVectored { bufs, .. } => {
            let count = bufs.len();
            return (count > MOST_BUFFERS).then_some(Fault::Buffers { count });
        }
        Call::Connect { to, .. } => return to.bad_name().map(|len| Fault::Address { len }),
        _ => return None,
    };
    (start > end || end > len).then_some(Fault::Range { start, end, len })
}

/// Takes a call apart.
pub(crate) fn split<B: Buffer>(call: Call<B>) -> Parts<B> {
    let whole = |op| Parts { op, buf: Lent::Nothing, start: 0, end: 0 };
    let one = |op, buf, start, end| Parts { op, buf: Lent::One(buf), start, end };
    let many = |op, bufs| Parts { op, buf: Lent::Many(bufs), start: 0, end: 0 };
    match call {
        Call::Send { fd, buf, start, end, more, nowait } => {
            one(Op::Send { fd, more, nowait }, buf, start, end)
        }
        Call::Read { fd, buf, start, end, offset } => {
            one(Op::Read { fd, offset, vec: empty_vec(), plain: false }, buf, start, end)
        }
        Call::Write { fd, buf, start, end, offset } => {
            one(Op::Write { fd, offset, vec: empty_vec(), plain: false }, buf, start, end)
        }
        Call::RecvInto { fd, buf, start, end } => one(Op::RecvInto { fd }, buf, start, end),
        Call::Getdents64 { fd, buf } => {
            let end = buf.as_ref().len();
            one(Op::Getdents64 { fd }, buf, 0, end)
        }
        Call::SendVectored { fd, bufs, more, nowait } => {
            many(Op::SendAll { fd, message: Box::new(Message::new()), more, nowait }, bufs)
        }
        Call::ReadVectored { fd, bufs, offset, nowait } => {
            many(Op::ReadAll { fd, offset, parts: Vector::default(), nowait, plain: false }, bufs)
        }
        Call::WriteVectored { fd, bufs, offset, nowait } => {
            many(Op::WriteAll { fd, offset, parts: Vector::default(), nowait, plain: false }, bufs)
        }
        other => whole(without_buffer(other)),
    }
}

/// A call that has no buffer, taken apart; the buffers of others are dropped.
fn without_buffer<B>(call: Call<B>) -> Op {
    let work = match call {
        Call::Accept { listener, multishot } => return Op::Accept { listener, multishot },
        Call::Recv { fd, multishot } => return Op::Recv { fd, multishot },
        Call::OpenAt2 { dir, path, flags, mode, resolve } => {
            let how = How { flags: flags | libc::O_CLOEXEC as u64, mode, resolve };
            return Op::Open { dir, path, how, moved: Cell::new(0) };
        }
        Call::Statx { dir, path } => {
            let area = Box::new(UnsafeCell::new(MaybeUninit::zeroed()));
            return Op::Stat { dir, path, area };
        }
        Call::Close(fd) => return Op::Close { fd: Some(fd) },
        Call::Poll { fd, interest } => return Op::Poll { fd, interest },
        Call::Sendfile { out, input, offset, len } => {
            let offset = UnsafeCell::new(offset.try_into().unwrap_or(i64::MAX));
            return Op::Sendfile { out, input, offset, len };
        }
        Call::Shutdown { fd, how } => return Op::Shutdown { fd, how },
        Call::Connect { fd, to } => {
            return Op::Connect { fd, to: Box::new(RawAddress::new(&to)), tries: Tries::default() };
        }
        Call::Splice { from, from_offset, to, to_offset, len } => {
            let offsets = Offsets::new(from_offset, to_offset);
            let (waits, vain) = (Cell::new(Waits::From), Cell::new(0));
            return Op::Splice { from, to, offsets, len: len.min(MOST_BYTES), waits, vain };
        }
        Call::EpollWait { epoll, most } => {
            return Op::EpollWait { epoll, events: EventArea::new(most.min(MOST_EVENTS)) };
        }
        Call::Timeout { after } => return Op::Timeout { after, until: Cell::new(None) },
        Call::Raw(raw) => return Op::Raw(raw),
        Call::Fsync { fd, data_only } => Work::Fsync { fd, data_only },
        Call::Rename { from_dir, from, to_dir, to, flags } => {
            Work::Rename { from_dir, from, to_dir, to, flags }
        }
        Call::Unlink { dir, path, directory } => Work::Unlink { dir, path, directory },
        Call::Mkdir { dir, path, mode } => Work::Mkdir { dir, path, mode },
        Call::Ftruncate { fd, len } => Work::Ftruncate { fd, len },
        Call::Fallocate { fd, mode, offset, len } => Work::Fallocate { fd, mode, offset, len },
        Call::Flock { fd, lock, nowait } => Work::Flock { fd, lock, nowait },
        Call::CopyFileRange { from, from_offset, to, to_offset, len } => {
            let offsets = Offsets::new(from_offset, to_offset);
            Work::CopyFileRange { from, to, offsets, len: len.min(MOST_BYTES) }
        }
        Call::Mmap { file, offset, len, writable, populate } => {
            Work::Mmap { file, offset, len, writable, populate }
        }
        Call::Madvise { mapping, start, end, advice } => {
            Work::Madvise { mapping, start, len: end.saturating_sub(start), advice }
        }
        Call::SetSockOpt { fd, option } => Work::SetSockOpt { fd, option: Box::new(option.raw()) },
        Call::EpollCtl { epoll, fd, change } => {
            let (number, event) = epoll_change(change);
            Work::EpollCtl { epoll, fd, number, event }
        }
        // Taken apart by `chains`, never posted as they are.
        Call::CloseOpened | Call::Chain(_) => return Op::Nop,
        Call::Nop
        | Call::Send { .. }
        | Call::Read { .. }
        | Call::Write { .. }
        | Call::RecvInto { .. }
        | Call::Getdents64 { .. }
        | Call::SendVectored { .. }
        | Call::ReadVectored { .. }
        | Call::WriteVectored { .. } => return Op::Nop,
    };
    Op::Work(work)
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

pub(crate) fn address<T: ?Sized>(pointer: *const T) -> u64 {
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
            Op::RecvInto { fd } => Some((fd, Direction::In)),
            Op::SendAll { fd, nowait: false, .. } => Some((fd, Direction::Out)),
            Op::ReadAll { fd, offset: CURRENT, nowait: false, .. } => Some((fd, Direction::In)),
            Op::WriteAll { fd, offset: CURRENT, nowait: false, .. } => Some((fd, Direction::Out)),
            Op::Connect { fd, .. } => Some((fd, Direction::Out)),
            Op::EpollWait { epoll, .. } => Some((epoll, Direction::In)),
            Op::Splice { from, to, ref waits, .. } => match waits.get() {
                Waits::From => Some((from, Direction::In)),
                Waits::To => Some((to, Direction::Out)),
                Waits::Nobody => None,
            },
            _ => None,
        }
    }

    /// What the call's result means to the engine: some calls have words of their own for "it would
    /// wait", which is `EAGAIN` from here on.
    pub(crate) fn verdict(&self, ret: i64) -> i64 {
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
            Op::Splice { from, to, waits, vain, .. } if ret == AGAIN => {
                waits.set(match sys::ready_now(*from, *to) {
                    (false, _) => Waits::From,
                    (true, false) => Waits::To,
                    (true, true) if vain.get() < MOST_VAIN => {
                        vain.set(vain.get() + 1);
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
            Op::SendAll { message, .. } => message.parts = parts_of(bufs),
            Op::ReadAll { parts, .. } | Op::WriteAll { parts, .. } => *parts = parts_of(bufs),
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

    /// The call as number and arguments; `ptr` and `len` are its buffer's range. Pointers to the
    /// structures inside of it are among the arguments: until the call has returned it must not
    /// move, nor be borrowed mutably, nor may this be called again.
    pub(crate) fn trap(&self, ptr: *mut u8, len: usize) -> Trap {
        let at = address(ptr);
        let n = len as u64;
        let (number, args) = match self {
            Op::Nop | Op::Poll { .. } | Op::Timeout { .. } => {
                return trap_of(i64::from(NOTHING), [0; 6]);
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
            Op::RecvInto { fd } => {
                (libc::SYS_recvfrom, [fd_arg(*fd), at, n, libc::MSG_DONTWAIT as u64, 0, 0])
            }
            Op::Work(work) => work.trap(),
            Op::Raw(raw) => return trap_of(raw.number.min(MOST_NUMBER).into(), raw.args),
            other => other.trap_of_many(),
        };
        let makes_fd = number == libc::SYS_accept4 || number == libc::SYS_openat2;
        let makes_mapping = number == libc::SYS_mmap;
        Trap { makes_fd, makes_mapping, ..trap_of(number, args) }
    }

    /// As `trap`, of the calls that have many buffers or two descriptors.
    fn trap_of_many(&self) -> (i64, [u64; 6]) {
        match self {
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
        }
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

pub(crate) fn fd_arg(fd: RawFd) -> u64 {
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
    Trap { number: number as u16, makes_fd: false, makes_mapping: false, args }
}

/// The flags of a statx.
pub(crate) fn stat_flags(path: &CString) -> i32 {
    if path.is_empty() { libc::AT_EMPTY_PATH } else { 0 }
}

/// Makes the result of a call that has ended with `ret`, a negated `errno` if it failed.
pub(crate) fn settle<B>(
    op: Op,
    buf: Lent<B>,
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
        return if ret < 0 { Err(failure(ret, Lent::Nothing)) } else { Ok(Value::Done) };
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
        (Op::Splice { .. }, _) => Value::Sent(n),
        (Op::EpollWait { events, .. }, _) => Value::Events(events.into_events(n)),
        (Op::Work(work), _) => work.settle(ret),
        (_, Lent::One(buf)) => Value::Moved { n, buf },
        (_, Lent::Many(bufs)) => Value::MovedAll { n, bufs },
        (_, Lent::Nothing) => Value::Done,
    })
}

/// The failure that a negated `errno` stands for.
pub(crate) fn failure<B>(ret: i64, lent: Lent<B>) -> Failure<B> {
    let (buf, bufs) = lent.back();
    Failure { error: sys::error_of(ret), buf, bufs }
}

/// The failure of a call that was cancelled before it began.
pub(crate) const CANCELED: i64 = -(libc::ECANCELED as i64);

/// The failure of a call that would have to wait.
const AGAIN: i64 = -(libc::EAGAIN as i64);

fn file_stat(area: StatArea) -> FileStat {
    // SAFETY: zeroed when made, all of whose bit patterns are valid, then written by statx.
    of_statx(&unsafe { area.into_inner().assume_init() })
}

/// What a `statx` has written.
pub(crate) fn of_statx(stat: &libc::statx) -> FileStat {
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
    ret == AGAIN
}

/// The descriptor number of a call that makes one.
pub(crate) fn made_fd<B>(value: &Result<Value<B>, Failure<B>>) -> Option<RawFd> {
    match value {
        Ok(Value::Accepted(fd) | Value::Opened(fd)) => Some(fd.as_raw_fd()),
        _ => None,
    }
}

/// Takes the descriptor out of the result of a call that makes one.
pub(crate) fn take_fd<B>(value: &mut Result<Value<B>, Failure<B>>) -> Option<OwnedFd> {
    match std::mem::replace(value, Ok(Value::Done)) {
        Ok(Value::Accepted(fd) | Value::Opened(fd)) => Some(fd),
        other => {
            *value = other;
            None
        }
    }
}

/// An `errno` as a result.
pub(crate) fn ret_of(error: &io::Error) -> i64 {
    -i64::from(error.raw_os_error().unwrap_or(libc::EIO))
}
