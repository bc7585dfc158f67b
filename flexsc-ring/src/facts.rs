//! What is told of any call before it is made: its name, its buffers, its descriptors?

use std::ffi::CStr;
use std::fmt;
use std::os::fd::RawFd;

use crate::call::Call;

impl<B> Call<B> {
    /// The buffer that was lent, if the call has one. Those of a chain are in
    /// [`Chain::into_calls`](crate::Chain::into_calls).
    pub fn into_buf(self) -> Option<B> {
        match self {
            Call::Send { buf, .. }
            | Call::Read { buf, .. }
            | Call::Write { buf, .. }
            | Call::RecvInto { buf, .. }
            | Call::Getdents64 { buf, .. } => Some(buf),
            _ => None,
        }
    }

    /// The buffers that were lent, if the call takes many; else the one, or none.
    pub fn into_bufs(self) -> Vec<B> {
        match self {
            Call::SendVectored { bufs, .. }
            | Call::ReadVectored { bufs, .. }
            | Call::WriteVectored { bufs, .. } => bufs,
            one => one.into_buf().into_iter().collect(),
        }
    }

    /// Shows every descriptor that the call names by number.
    #[inline]
    pub(crate) fn each_fd(&mut self, mut show: impl FnMut(&mut RawFd)) {
        match self {
            Call::Accept { listener: fd, .. }
            | Call::Recv { fd, .. }
            | Call::RecvInto { fd, .. }
            | Call::Send { fd, .. }
            | Call::SendVectored { fd, .. }
            | Call::SendRead { fd }
            | Call::Read { fd, .. }
            | Call::ReadVectored { fd, .. }
            | Call::Write { fd, .. }
            | Call::WriteVectored { fd, .. }
            | Call::OpenAt2 { dir: fd, .. }
            | Call::Statx { dir: fd, .. }
            | Call::StatxFd { fd }
            | Call::Unlink { dir: fd, .. }
            | Call::Mkdir { dir: fd, .. }
            | Call::Poll { fd, .. }
            | Call::Shutdown { fd, .. }
            | Call::Getdents64 { fd, .. }
            | Call::Connect { fd, .. }
            | Call::EpollWait { epoll: fd, .. }
            | Call::Fsync { fd, .. }
            | Call::Ftruncate { fd, .. }
            | Call::Fallocate { fd, .. }
            | Call::Flock { fd, .. }
            | Call::Mmap { file: Some(fd), .. }
            | Call::SetSockOpt { fd, .. } => show(fd),
            Call::Sendfile { out: one, input: other, .. }
            | Call::Splice { from: one, to: other, .. }
            | Call::CopyFileRange { from: one, to: other, .. }
            | Call::Rename { from_dir: one, to_dir: other, .. }
            | Call::EpollCtl { epoll: one, fd: other, .. } => {
                show(one);
                show(other);
            }
            Call::Nop
            | Call::Close(_)
            | Call::Timeout { .. }
            | Call::Mmap { file: None, .. }
            | Call::Madvise { .. }
            | Call::Raw(_)
            | Call::CloseOpened
            | Call::Chain(_) => {}
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
            Call::Recv { .. } | Call::RecvInto { .. } => "recv",
            Call::Send { .. } | Call::SendRead { .. } => "send",
            Call::Read { .. } => "read",
            Call::Write { .. } => "write",
            Call::OpenAt2 { .. } => "openat2",
            Call::Statx { .. } | Call::StatxFd { .. } => "statx",
            Call::Close(_) => "close",
            Call::Poll { .. } => "poll",
            Call::Sendfile { .. } => "sendfile",
            Call::Shutdown { .. } => "shutdown",
            Call::Getdents64 { .. } => "getdents64",
            Call::SendVectored { .. } => "sendmsg",
            Call::ReadVectored { .. } => "preadv2",
            Call::WriteVectored { .. } => "pwritev2",
            Call::Connect { .. } => "connect",
            Call::Splice { .. } => "splice",
            Call::EpollWait { .. } => "epoll_wait",
            Call::EpollCtl { .. } => "epoll_ctl",
            Call::Timeout { .. } => "timeout",
            Call::Fsync { data_only: false, .. } => "fsync",
            Call::Fsync { data_only: true, .. } => "fdatasync",
            Call::Rename { .. } => "renameat2",
            Call::Unlink { .. } => "unlinkat",
            Call::Mkdir { .. } => "mkdirat",
            Call::Ftruncate { .. } => "ftruncate",
            Call::Fallocate { .. } => "fallocate",
            Call::Flock { .. } => "flock",
            Call::CopyFileRange { .. } => "copy_file_range",
            Call::Mmap { .. } => "mmap",
            Call::Madvise { .. } => "madvise",
            Call::SetSockOpt { .. } => "setsockopt",
            Call::Raw(_) => "raw",
            Call::CloseOpened => "close",
            Call::Chain(_) => "chain",
        }
    }

    fn path(&self) -> Option<&CStr> {
        match self {
            Call::OpenAt2 { path, .. }
            | Call::Statx { path, .. }
            | Call::Unlink { path, .. }
            | Call::Mkdir { path, .. }
            | Call::Rename { from: path, .. } => Some(path),
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
