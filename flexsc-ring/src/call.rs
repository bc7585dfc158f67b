//! A system call as data: what is posted.

use std::ffi::CString;
use std::net::Shutdown;
use std::ops::Range;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use crate::address::Address;
use crate::mapping::{Advice, Mapping};
use crate::socket_option::SocketOption;

use crate::chain::Chain;

/// What a caller may lend to the kernel: any owned bytes. Implemented for every type that fits.
pub trait Buffer: AsRef<[u8]> + AsMut<[u8]> + Send + 'static {}

impl<T: AsRef<[u8]> + AsMut<[u8]> + Send + 'static> Buffer for T {}

/// `dir` of a path that is relative to the process's working directory.
pub const CWD: RawFd = libc::AT_FDCWD;

/// `offset` of a read or write that goes on where the descriptor stands: files that are read in
/// order, pipes, terminals, event descriptors. Those that have no position take no other offset: the
/// kernel says `ESPIPE`, or, through io_uring, reads and writes where they stand.
pub const CURRENT: u64 = u64::MAX;

/// A system call to post. `B` is the caller's buffer; it belongs to the ring from `submit` until
/// the call's last [`Completion`](crate::Completion), which gives it back.
///
/// A descriptor given as a number must stay open until the call completes; cancel a call before
/// its descriptor is closed. Of two sends in flight on one socket either may go first.
#[non_exhaustive]
#[must_use = "a call does nothing until it is posted"]
pub enum Call<B> {
    /// Does nothing and completes.
    Nop,
    /// Takes a connection; `multishot` goes on taking them until cancelled.
    Accept {
        /// A listening socket. Engines other than `Uring` make it non-blocking.
        listener: RawFd,
        /// One completion a connection, until cancelled or failed.
        multishot: bool,
    },
    /// Receives into a buffer of the ring's own pool, taken only when bytes are there.
    Recv {
        /// A connected socket.
        fd: RawFd,
        /// One completion a piece, until end of stream, error or cancellation.
        multishot: bool,
    },
    /// Sends `buf[start..end]`; may send less.
    Send {
        /// A connected socket.
        fd: RawFd,
        /// The bytes' owner.
        buf: B,
        /// First byte to send.
        start: usize,
        /// One past the last byte to send.
        end: usize,
        /// More follows at once (`MSG_MORE`): wait for it before a short packet is sent.
        more: bool,
        /// Fail with `WouldBlock` instead of waiting for room (`MSG_DONTWAIT`).
        nowait: bool,
    },
    /// Reads into `buf[start..end]`; may read less. Zero bytes: end of file.
    Read {
        /// A readable file.
        fd: RawFd,
        /// The bytes' owner.
        buf: B,
        /// First byte to fill.
        start: usize,
        /// One past the last byte to fill.
        end: usize,
        /// Position in the file in bytes, or [`CURRENT`].
        offset: u64,
    },
    /// Writes `buf[start..end]`; may write less.
    Write {
        /// A writable file.
        fd: RawFd,
        /// The bytes' owner.
        buf: B,
        /// First byte to write.
        start: usize,
        /// One past the last byte to write.
        end: usize,
        /// Position in the file in bytes, or [`CURRENT`].
        offset: u64,
    },
    /// Opens a file (`openat2`); `O_CLOEXEC` is always added.
    OpenAt2 {
        /// Directory that `path` is relative to, or [`CWD`].
        dir: RawFd,
        /// Path of the file.
        path: CString,
        /// `O_*` flags.
        flags: u64,
        /// Permissions of a file that is created, else 0.
        mode: u64,
        /// `RESOLVE_*` flags.
        resolve: u64,
    },
    /// Asks for a file's size, kind and times (`statx`). An empty path asks about `dir` itself.
    Statx {
        /// Directory that `path` is relative to, or [`CWD`], or the file itself.
        dir: RawFd,
        /// Path of the file; a symlink at its end is followed.
        path: CString,
    },
    /// Asks for an open file's size, kind and times (`statx`).
    StatxFd {
        /// The file.
        fd: RawFd,
    },
    /// Closes a descriptor. Calls still waiting on it should have been cancelled.
    Close(OwnedFd),
    /// Waits until the descriptor is ready.
    Poll {
        /// Any descriptor; a regular file is always ready.
        fd: RawFd,
        /// What to wait for. Errors and hang-ups always end the wait.
        interest: Interest,
    },
    /// Copies from a file to a socket inside the kernel; may copy less. An `out` that is a
    /// blocking socket is made non-blocking, so that a slow peer holds no thread.
    Sendfile {
        /// Where the bytes go.
        out: RawFd,
        /// A regular file.
        input: RawFd,
        /// First byte of the file to send.
        offset: u64,
        /// How many bytes to send at most.
        len: usize,
    },
    /// Shuts one or both directions of a connection down.
    Shutdown {
        /// A connected socket.
        fd: RawFd,
        /// Which directions.
        how: Shutdown,
    },
    /// Reads raw directory entries (`struct linux_dirent64`) into the whole of `buf`.
    Getdents64 {
        /// An open directory.
        fd: RawFd,
        /// The bytes' owner.
        buf: B,
    },
    /// Receives into `buf[start..end]`, for a caller that has no use for the ring's pool; may receive
    /// less. Zero bytes: end of stream.
    RecvInto {
        /// A connected socket.
        fd: RawFd,
        /// The bytes' owner.
        buf: B,
        /// First byte to fill.
        start: usize,
        /// One past the last byte to fill.
        end: usize,
    },
    /// Sends all buffers, one behind the other, as one message (`sendmsg`); may send less.
    SendVectored {
        /// A connected socket.
        fd: RawFd,
        /// At most 1024 buffers.
        bufs: Vec<B>,
        /// More follows at once (`MSG_MORE`): wait for it before a short packet is sent.
        more: bool,
        /// Fail with `WouldBlock` instead of waiting for room (`MSG_DONTWAIT`).
        nowait: bool,
    },
    /// Reads into all buffers, one after the other (`preadv2`); may read less.
    ReadVectored {
        /// A readable file.
        fd: RawFd,
        /// At most 1024 buffers.
        bufs: Vec<B>,
        /// Position in the file in bytes, or [`CURRENT`].
        offset: u64,
        /// Fail with `WouldBlock` instead of waiting for bytes that are not in memory
        /// (`RWF_NOWAIT`); `EOPNOTSUPP` from a file that cannot tell.
        nowait: bool,
    },
    /// Writes all buffers, one behind the other (`pwritev2`); may write less.
    WriteVectored {
        /// A writable file.
        fd: RawFd,
        /// At most 1024 buffers.
        bufs: Vec<B>,
        /// Position in the file in bytes, or [`CURRENT`].
        offset: u64,
        /// Fail with `WouldBlock` instead of waiting (`RWF_NOWAIT`).
        nowait: bool,
    },
    /// Connects a socket. One in blocking mode is made non-blocking by engines other than `Uring`;
    /// the call completes when the connection stands, or with the reason why it does not.
    Connect {
        /// A socket that is not connected.
        fd: RawFd,
        /// The peer.
        to: Address,
    },
    /// Moves bytes between two descriptors inside the kernel, one of which is a pipe (`splice`); may
    /// move less. A blocking socket is made non-blocking, so that a slow peer holds no thread.
    Splice {
        /// Where the bytes come from.
        from: RawFd,
        /// Position in `from`, or [`CURRENT`]; a pipe or socket has no other.
        from_offset: u64,
        /// Where the bytes go.
        to: RawFd,
        /// Position in `to`, or [`CURRENT`]; a pipe or socket has no other.
        to_offset: u64,
        /// How many bytes to move at most.
        len: usize,
    },
    /// Waits until something that an epoll watches is ready (FlexSC §7): 10⁶ mostly dormant
    /// connections are one call.
    EpollWait {
        /// An epoll descriptor.
        epoll: RawFd,
        /// Events to take at most, 1 to 4096; `EINVAL` else.
        most: usize,
    },
    /// Changes what an epoll watches.
    EpollCtl {
        /// An epoll descriptor.
        epoll: RawFd,
        /// Whose readiness.
        fd: RawFd,
        /// What is changed.
        change: EpollChange,
    },
    /// Completes when the time has passed, never before. Cancelling costs no scan.
    Timeout {
        /// From the posting on.
        after: Duration,
    },
    /// Waits until a file's bytes are on its disk. It blocks the poster on `Direct`, and holds a
    /// syscall thread on `Threads`.
    Fsync {
        /// A file.
        fd: RawFd,
        /// Not its times (`fdatasync`).
        data_only: bool,
    },
    /// Renames a file (`renameat2`).
    Rename {
        /// Directory that `from` is relative to, or [`CWD`].
        from_dir: RawFd,
        /// What it is called.
        from: CString,
        /// Directory that `to` is relative to, or [`CWD`].
        to_dir: RawFd,
        /// What it shall be called.
        to: CString,
        /// `RENAME_*` flags.
        flags: u32,
    },
    /// Takes a name away (`unlinkat`).
    Unlink {
        /// Directory that `path` is relative to, or [`CWD`].
        dir: RawFd,
        /// The name.
        path: CString,
        /// Of an empty directory, else of anything but one.
        directory: bool,
    },
    /// Makes a directory (`mkdirat`).
    Mkdir {
        /// Directory that `path` is relative to, or [`CWD`].
        dir: RawFd,
        /// Its name.
        path: CString,
        /// Its permissions, before the process's mask.
        mode: u32,
    },
    /// Cuts a file off, or lets it grow by zeros.
    Ftruncate {
        /// A writable file.
        fd: RawFd,
        /// Its new length in bytes.
        len: u64,
    },
    /// Takes, or gives back, a file's room on its disk.
    Fallocate {
        /// A writable file.
        fd: RawFd,
        /// `FALLOC_FL_*` flags; 0 takes room, and lets the file grow.
        mode: i32,
        /// First byte.
        offset: u64,
        /// How many bytes.
        len: u64,
    },
    /// Takes, or gives up, the lock of an opened file. Waiting for it cannot be polled for: it blocks
    /// the poster on `Direct`, and holds a syscall thread on other engines.
    Flock {
        /// An open file.
        fd: RawFd,
        /// Which lock.
        lock: Lock,
        /// Fail with `WouldBlock` instead of waiting (`LOCK_NB`).
        nowait: bool,
    },
    /// Copies between two files inside the kernel, or lets them share what they hold; may copy less.
    CopyFileRange {
        /// A file.
        from: RawFd,
        /// Position in `from`, or [`CURRENT`].
        from_offset: u64,
        /// A writable file.
        to: RawFd,
        /// Position in `to`, or [`CURRENT`].
        to_offset: u64,
        /// How many bytes to copy at most.
        len: usize,
    },
    /// Maps memory, or a file's pages.
    Mmap {
        /// The file; `None`: memory of the process's own, zero and writable.
        file: Option<RawFd>,
        /// First byte of the file, a multiple of the page size.
        offset: u64,
        /// How many bytes.
        len: usize,
        /// A file's pages can be written to, which changes the file.
        writable: bool,
        /// Bring all pages in before it completes (`MAP_POPULATE`).
        populate: bool,
    },
    /// Says how pages will be used.
    Madvise {
        /// Whose pages.
        mapping: Arc<Mapping>,
        /// First byte, a multiple of the page size.
        start: usize,
        /// One past the last byte.
        end: usize,
        /// What is said.
        advice: Advice,
    },
    /// Sets an option of a socket.
    SetSockOpt {
        /// A socket.
        fd: RawFd,
        /// Which, and to what.
        option: SocketOption,
    },
    /// Any other system call; made by [`Call::raw`].
    Raw(RawCall),
    /// Closes the descriptor that a chain has opened last; only in a [`Chain`].
    CloseOpened,
    /// Sends what the read before it has read; only in a [`Chain`].
    SendRead {
        /// A connected socket.
        fd: RawFd,
    },
    /// Calls that are made one after the other.
    Chain(Chain<B>),
}

/// A system call by number. Made only by the unsafe [`Call::raw`], whose promise is for one call: so
/// it can be posted once, and not be copied.
///
/// ```compile_fail
/// use flexsc_ring::Call;
/// fn again(call: &Call<Vec<u8>>) -> Option<Call<Vec<u8>>> {
///     match call {
///         Call::Raw(raw) => Some(Call::Raw(*raw)),
///         _ => None,
///     }
/// }
/// ```
#[derive(Debug)]
pub struct RawCall {
    pub(crate) number: u16,
    pub(crate) args: [u64; 6],
}

/// What a [`Call::EpollCtl`] changes. `data` comes back with each event; `events` are `EPOLL*` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpollChange {
    /// Watch a descriptor.
    Add {
        /// What to watch for.
        events: u32,
        /// Told with each event.
        data: u64,
    },
    /// Watch it for something else, or again after `EPOLLONESHOT`.
    Modify {
        /// What to watch for.
        events: u32,
        /// Told with each event.
        data: u64,
    },
    /// Watch it no more.
    Delete,
}

/// Which lock a [`Call::Flock`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Others may share it.
    Shared,
    /// Nobody else has it.
    Exclusive,
    /// None: gives it up.
    Unlock,
}

/// What a [`Call::Poll`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest {
    /// Bytes, a connection or an end of stream can be read.
    pub readable: bool,
    /// Bytes can be written.
    pub writable: bool,
}

/// What a [`Call::Poll`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Readiness {
    /// Something can be read.
    pub readable: bool,
    /// Something can be written.
    pub writable: bool,
    /// The peer has gone, or an error is pending.
    pub closed: bool,
}

impl<B> Call<B> {
    /// A call that does nothing.
    pub fn nop() -> Self {
        Call::Nop
    }

    /// Takes one connection.
    pub fn accept(listener: RawFd) -> Self {
        Call::Accept { listener, multishot: false }
    }

    /// Takes connections until cancelled.
    pub fn accept_multishot(listener: RawFd) -> Self {
        Call::Accept { listener, multishot: true }
    }

    /// Receives once.
    pub fn recv(fd: RawFd) -> Self {
        Call::Recv { fd, multishot: false }
    }

    /// Receives until end of stream or cancelled.
    ///
    /// Through io_uring, Linux (6.18) may not tell the end of the stream of a Unix socket that was written to
    /// more than 128 times between two looks of the ring (see also axboe/liburing#1549): in one of some hundred
    /// such bursts. Neither bytes nor a TCP connection's end were ever missed. Bound the silence of a peer.
    pub fn recv_multishot(fd: RawFd) -> Self {
        Call::Recv { fd, multishot: true }
    }

    /// Sends `buf[range]`, waiting for room if there is none.
    pub fn send(fd: RawFd, buf: B, range: Range<usize>) -> Self {
        Call::Send { fd, buf, start: range.start, end: range.end, more: false, nowait: false }
    }

    /// Reads into `buf[range]` from `offset` on.
    pub fn read(fd: RawFd, buf: B, range: Range<usize>, offset: u64) -> Self {
        Call::Read { fd, buf, start: range.start, end: range.end, offset }
    }

    /// Writes `buf[range]` at `offset`.
    pub fn write(fd: RawFd, buf: B, range: Range<usize>, offset: u64) -> Self {
        Call::Write { fd, buf, start: range.start, end: range.end, offset }
    }

    /// Opens a file for reading.
    pub fn open(dir: RawFd, path: CString) -> Self {
        Call::OpenAt2 { dir, path, flags: libc::O_RDONLY as u64, mode: 0, resolve: 0 }
    }

    /// Opens a file for reading, refused by the kernel (`EXDEV`) unless it lies beneath `dir`, as no
    /// absolute path does; a FIFO found there does not block the opening.
    pub fn open_beneath(dir: RawFd, path: CString) -> Self {
        let flags = (libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY) as u64;
        let resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;
        Call::OpenAt2 { dir, path, flags, mode: 0, resolve }
    }

    /// Asks about the file at `path`.
    pub fn stat(dir: RawFd, path: CString) -> Self {
        Call::Statx { dir, path }
    }

    /// Asks about an open file.
    pub fn stat_fd(fd: RawFd) -> Self {
        Call::StatxFd { fd }
    }

    /// Closes a descriptor.
    pub fn close(fd: OwnedFd) -> Self {
        Call::Close(fd)
    }

    /// Waits until something can be read.
    pub fn poll_readable(fd: RawFd) -> Self {
        Call::Poll { fd, interest: Interest { readable: true, writable: false } }
    }

    /// Waits until something can be written.
    pub fn poll_writable(fd: RawFd) -> Self {
        Call::Poll { fd, interest: Interest { readable: false, writable: true } }
    }

    /// Sends up to `len` bytes of the file `input` from `offset` on; [`Value::Sent`](crate::Value::Sent)
    /// says how many, and zero at the file's end.
    pub fn sendfile(out: RawFd, input: RawFd, offset: u64, len: usize) -> Self {
        Call::Sendfile { out, input, offset, len }
    }

    /// Any system call. `number` is the architecture's call number. Its result is
    /// [`Value::Raw`](crate::Value::Raw), or an error made of its `errno`. On `Direct` it is made in
    /// `submit`, which returns when it has, however long it blocks.
    ///
    /// ```
    /// use flexsc_ring::{Call, EventLoop, Options, Value};
    ///
    /// // SAFETY: getppid takes no arguments and is sound anywhere.
    /// let getppid = unsafe { Call::raw(libc::SYS_getppid as u16, [0; 6]) };
    /// let mut events = EventLoop::<_, Vec<u8>>::new(&Options::default(), None)?;
    /// events.post(getppid, |events, done| {
    ///     if let Ok(Value::Raw(parent)) = done.result {
    ///         *events.state_mut() = Some(parent as u32);
    ///     }
    /// })?;
    /// events.run()?;
    /// assert_eq!(*events.state(), Some(std::os::unix::process::parent_id()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Safety
    ///
    /// The call must be sound to make on any thread of the process, at any time until its
    /// completion is reaped, and memory that `args` point to must stay valid until then, also if
    /// the ring is dropped before: the drop waits a second for a call that is running, then goes on
    /// without it, so what `args` point to may never be freed unless the completion was reaped.
    pub unsafe fn raw(number: u16, args: [u64; 6]) -> Self {
        Call::Raw(RawCall { number, args })
    }

    /// Calls made one after the other, with one completion.
    pub fn chain(chain: Chain<B>) -> Self {
        Call::Chain(chain)
    }

    /// In a [`Chain`]: closes the descriptor that the chain has opened last and not closed yet,
    /// also if a call in between has failed.
    pub fn close_opened() -> Self {
        Call::CloseOpened
    }

    /// In a [`Chain`]: sends the bytes that the read before it has read, from the read's own buffer;
    /// may send less. The buffer is in this call's result, and the read's is
    /// [`Value::Sent`](crate::Value::Sent) with the number of bytes that it has read.
    pub fn send_read(fd: RawFd) -> Self {
        Call::SendRead { fd }
    }

    /// It has a meaning in a chain only.
    pub(crate) fn is_of_chains(&self) -> bool {
        matches!(self, Call::CloseOpened | Call::SendRead { .. })
    }

    /// Its result is a new descriptor.
    pub(crate) fn opens(&self) -> bool {
        matches!(self, Call::Accept { .. } | Call::OpenAt2 { .. })
    }
}
