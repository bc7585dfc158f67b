//! A system call as data: what is posted.

use std::ffi::{CStr, CString};
use std::fmt;
use std::net::Shutdown;
use std::ops::Range;
use std::os::fd::{OwnedFd, RawFd};

/// What a caller may lend to the kernel: any owned bytes. Implemented for every type that fits.
pub trait Buffer: AsRef<[u8]> + AsMut<[u8]> + Send + 'static {}

impl<T: AsRef<[u8]> + AsMut<[u8]> + Send + 'static> Buffer for T {}

/// `dir` of a path that is relative to the process's working directory.
pub const CWD: RawFd = libc::AT_FDCWD;

/// `offset` of a read or write that goes on where the descriptor stands: files that are read in
/// order, pipes, terminals, event descriptors.
pub const CURRENT: u64 = u64::MAX;

/// A system call to post. `B` is the caller's buffer; it belongs to the ring from `submit` until
/// the call's last [`Completion`](crate::Completion), which gives it back.
///
/// A descriptor given as a number must stay open until the call completes; cancel a call before
/// its descriptor is closed. Of two sends in flight on one socket either may go first.
#[non_exhaustive]
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
    /// Any other system call; made by [`Call::raw`].
    Raw(RawCall),
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

    /// Opens a file for reading, refused by the kernel unless it lies beneath `dir`; a FIFO found
    /// there does not block the opening.
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
        Call::Statx { dir: fd, path: CString::from(c"") }
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

    /// Sends `len` bytes of the file `input` from `offset` on.
    pub fn sendfile(out: RawFd, input: RawFd, offset: u64, len: usize) -> Self {
        Call::Sendfile { out, input, offset, len }
    }

    /// Any system call. `number` is the architecture's call number. Its result is
    /// [`Value::Raw`](crate::Value::Raw), or an error made of its `errno`.
    ///
    /// # Safety
    ///
    /// The call must be sound to make on any thread of the process, at any time until its
    /// completion is reaped, and memory that `args` point to must stay valid until then, also if
    /// the ring is dropped before.
    pub unsafe fn raw(number: u16, args: [u64; 6]) -> Self {
        Call::Raw(RawCall { number, args })
    }

    /// The buffer that was lent, if the call has one.
    pub fn into_buf(self) -> Option<B> {
        match self {
            Call::Send { buf, .. }
            | Call::Read { buf, .. }
            | Call::Write { buf, .. }
            | Call::Getdents64 { buf, .. } => Some(buf),
            _ => None,
        }
    }

    /// It may complete more than once.
    pub fn is_multishot(&self) -> bool {
        matches!(self, Call::Accept { multishot: true, .. } | Call::Recv { multishot: true, .. })
    }

    /// The call's name as the kernel's manual has it.
    pub fn name(&self) -> &'static str {
        match self {
            Call::Nop => "nop",
            Call::Accept { .. } => "accept4",
            Call::Recv { .. } => "recv",
            Call::Send { .. } => "send",
            Call::Read { .. } => "read",
            Call::Write { .. } => "write",
            Call::OpenAt2 { .. } => "openat2",
            Call::Statx { .. } => "statx",
            Call::Close(_) => "close",
            Call::Poll { .. } => "poll",
            Call::Sendfile { .. } => "sendfile",
            Call::Shutdown { .. } => "shutdown",
            Call::Getdents64 { .. } => "getdents64",
            Call::Raw(_) => "raw",
        }
    }

    fn path(&self) -> Option<&CStr> {
        match self {
            Call::OpenAt2 { path, .. } | Call::Statx { path, .. } => Some(path),
            _ => None,
        }
    }
}

impl<B> fmt::Debug for Call<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_tuple(self.name());
        if let Some(path) = self.path() {
            out.field(&path);
        }
        out.finish_non_exhaustive()
    }
}
