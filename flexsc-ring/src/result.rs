//! What comes back of a posted call, and what is said when it cannot be posted.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use crate::buffer::RecvBuf;
use crate::call::{Call, Readiness};
use crate::chain::ChainFault;
use crate::mapping::Mapping;

/// What a call that succeeded gives.
#[non_exhaustive]
pub enum Value<B> {
    /// Of [`Call::Nop`], [`Call::Close`], [`Call::Shutdown`], and every other call that has no more
    /// to tell than that it was done.
    Done,
    /// Of [`Call::Accept`].
    Accepted(OwnedFd),
    /// Of [`Call::Recv`]; empty at the end of the stream.
    Received(RecvBuf),
    /// Of [`Call::Send`], [`Call::Read`], [`Call::Write`], [`Call::RecvInto`], [`Call::Getdents64`].
    Moved {
        /// Bytes moved.
        n: usize,
        /// The buffer that was lent.
        buf: B,
    },
    /// Of [`Call::SendVectored`], [`Call::ReadVectored`], [`Call::WriteVectored`].
    MovedAll {
        /// Bytes moved, of all buffers together.
        n: usize,
        /// The buffers that were lent, in their order.
        bufs: Vec<B>,
    },
    /// Of [`Call::OpenAt2`].
    Opened(OwnedFd),
    /// Of [`Call::Statx`], [`Call::StatxFd`].
    Stat(FileStat),
    /// Of [`Call::Sendfile`], [`Call::Splice`], [`Call::CopyFileRange`]: bytes sent. Of a read that a
    /// [`Call::send_read`] has taken the buffer of: bytes read.
    Sent(usize),
    /// Of [`Call::Poll`].
    Ready(Readiness),
    /// Of [`Call::EpollWait`]: the `data` and the `EPOLL*` bits of each event.
    Events(Vec<(u64, u32)>),
    /// Of [`Call::Mmap`].
    Mapped(Mapping),
    /// Of [`Call::raw`]: what the system call returned.
    Raw(i64),
    /// Of [`Call::Chain`]: a result a call, in their order.
    Chain(Vec<Result<Value<B>, Failure<B>>>),
}

impl<B> fmt::Debug for Value<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Done => f.write_str("Done"),
            Value::Accepted(fd) => f.debug_tuple("Accepted").field(fd).finish(),
            Value::Received(buf) => f.debug_tuple("Received").field(&buf.len()).finish(),
            Value::Moved { n, .. } => f.debug_tuple("Moved").field(n).finish(),
            Value::MovedAll { n, bufs } => {
                f.debug_tuple("MovedAll").field(n).field(&bufs.len()).finish()
            }
            Value::Opened(fd) => f.debug_tuple("Opened").field(fd).finish(),
            Value::Stat(stat) => stat.fmt(f),
            Value::Sent(n) => f.debug_tuple("Sent").field(n).finish(),
            Value::Ready(ready) => ready.fmt(f),
            Value::Events(events) => f.debug_tuple("Events").field(events).finish(),
            Value::Mapped(mapping) => mapping.fmt(f),
            Value::Raw(ret) => f.debug_tuple("Raw").field(ret).finish(),
            Value::Chain(results) => f.debug_tuple("Chain").field(results).finish(),
        }
    }
}

/// What [`Call::Statx`] or [`Call::StatxFd`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Length in bytes.
    pub size: u64,
    /// Kind and permissions, as in `st_mode`.
    pub mode: u32,
    /// Last change of the contents: seconds since 1970.
    pub mtime_secs: i64,
    /// Last change of the contents: nanoseconds within the second.
    pub mtime_nanos: u32,
    /// Inode number.
    pub ino: u64,
    /// Device that holds the inode: major in the upper half, minor in the lower.
    pub dev: u64,
    /// Number of hard links.
    pub nlink: u32,
}

impl FileStat {
    /// A regular file.
    pub fn is_file(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFREG
    }

    /// A directory.
    pub fn is_dir(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFDIR
    }
}

/// The end, or one result of a multishot call.
#[derive(Debug)]
pub struct Completion<B> {
    /// The number given at `submit`.
    pub user: u64,
    /// The call's result.
    pub result: Result<Value<B>, Failure<B>>,
    /// More completions of the same call follow. `false`: this is the last one.
    pub more: bool,
}

/// A call that failed.
#[non_exhaustive]
pub struct Failure<B> {
    /// What the kernel said; `ECANCELED` for a call that was cancelled.
    pub error: io::Error,
    /// The buffer that was lent, unharmed.
    pub buf: Option<B>,
    /// The buffers that were lent to a call that takes many, unharmed.
    pub bufs: Vec<B>,
}

impl<B> fmt::Debug for Failure<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<B> fmt::Display for Failure<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<B> std::error::Error for Failure<B> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<B> Failure<B> {
    /// A failure of a call that was lent one buffer, or none; for rings implemented elsewhere too.
    pub fn new(error: io::Error, buf: Option<B>) -> Self {
        Failure { error, buf, bufs: Vec::new() }
    }

    /// The call was cancelled. A typed call has had no effect then; a raw call that was running may
    /// have had those that its manual tells of `EINTR`. One that has moved a part of its bytes says so
    /// by its result instead.
    pub fn is_cancelled(&self) -> bool {
        self.error.raw_os_error() == Some(libc::ECANCELED)
    }
}

/// Names a call in flight, to cancel it. A ticket of a call that has ended is harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

impl Ticket {
    /// A ticket with a number of the engine's choice; for rings implemented elsewhere.
    pub fn new(number: u64) -> Self {
        Ticket(number)
    }

    /// The engine's number.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// What a cancellation met. In every case but `Unknown` the call's last completion comes, or came.
/// Of a [`Call::Chain`] it is said of the call that was running: those before it stay as they are made,
/// and the completion is the chain's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It was waiting: it has had no effect, and completes with `ECANCELED`.
    Stopped,
    /// It may be running: it completes with its result, or with `ECANCELED` if it was stopped. A call
    /// on a syscall thread is interrupted by a signal (§4.2), which stops what waits; what cannot be
    /// interrupted, as a wait for a disk, ends when it ends. A [`Call::Close`] closes in any case.
    Requested,
    /// It has ended already; its last completion was reaped or waits to be.
    TooLate,
    /// This ring never gave out that ticket.
    Unknown,
}

/// A call that could not be posted. The call is given back.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum PostError<B> {
    /// With this call more would be in flight than the ring may hold, which is the number here. A
    /// chain of more calls than that never fits.
    #[error(
        "the ring holds {} calls, and no more fit (a chain counts as its calls); reap completions, \
         or raise Options::in_flight", .1
    )]
    Full(Call<B>, usize),
    /// `start..end` is not a range of the buffer, or of the mapping.
    #[error("range {start}..{end} lies outside of a buffer of {len} bytes; clamp it to the buffer")]
    Range {
        /// The call, given back.
        call: Call<B>,
        /// As asked for.
        start: usize,
        /// As asked for.
        end: usize,
        /// Length of the buffer, or of the mapping, in bytes.
        len: usize,
    },
    /// A multishot call was posted with a callback that can run only once.
    #[error("{} by multishot completes many times; post it with EventLoop::post_many", .0.name())]
    Many(Call<B>),
    /// A number from 2^63 on, which an event loop gives to its own calls.
    #[error("number {1} is one of the loop's own; use one below 2^63")]
    Number(Call<B>, u64),
    /// More buffers than one call takes.
    #[error("{count} buffers in one call; it takes {most}, so post several calls")]
    Buffers {
        /// The call, given back.
        call: Call<B>,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// No Unix socket can have that name.
    #[error(
        "a Unix socket's name of {len} bytes cannot be: use 1 to {most} bytes without NUL, such as a \
         path relative to a nearer directory"
    )]
    Address {
        /// The call, given back.
        call: Call<B>,
        /// The name's length in bytes.
        len: usize,
        /// How many bytes it may have.
        most: usize,
    },
    /// A chain that cannot be made, or a call that has no meaning outside of one.
    #[error("call {at}: {fault}")]
    Chain {
        /// The call, given back.
        call: Call<B>,
        /// Which call of the chain, from 0 on.
        at: usize,
        /// What is wrong with it.
        fault: ChainFault,
    },
}

impl<B> PostError<B> {
    /// The call that could not be posted.
    pub fn into_call(self) -> Call<B> {
        match self {
            PostError::Full(call, _)
            | PostError::Range { call, .. }
            | PostError::Many(call)
            | PostError::Number(call, _)
            | PostError::Buffers { call, .. }
            | PostError::Address { call, .. }
            | PostError::Chain { call, .. } => call,
        }
    }
}

impl<B> fmt::Debug for PostError<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
