//! How are the less frequent calls made?

use std::ffi::CString;
use std::net::Shutdown;
use std::ops::Range;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use crate::address::Address;
use crate::call::{CURRENT, Call, EpollChange, Lock};
use crate::mapping::{Advice, Mapping};
use crate::socket_option::SocketOption;

impl<B> Call<B> {
    /// Receives into `buf[range]`.
    pub fn recv_into(fd: RawFd, buf: B, range: Range<usize>) -> Self {
        Call::RecvInto { fd, buf, start: range.start, end: range.end }
    }

    /// Sends all buffers, one behind the other, waiting for room if there is none.
    pub fn send_vectored(fd: RawFd, bufs: Vec<B>) -> Self {
        Call::SendVectored { fd, bufs, more: false, nowait: false }
    }

    /// Reads into all buffers from `offset` on.
    pub fn read_vectored(fd: RawFd, bufs: Vec<B>, offset: u64) -> Self {
        Call::ReadVectored { fd, bufs, offset, nowait: false }
    }

    /// Writes all buffers at `offset`.
    pub fn write_vectored(fd: RawFd, bufs: Vec<B>, offset: u64) -> Self {
        Call::WriteVectored { fd, bufs, offset, nowait: false }
    }

    /// Connects a socket to an internet address, or to [`Address::Unix`].
    pub fn connect(fd: RawFd, to: impl Into<Address>) -> Self {
        Call::Connect { fd, to: to.into() }
    }

    /// Moves up to `len` bytes from one descriptor to another, where each stands.
    pub fn splice(from: RawFd, to: RawFd, len: usize) -> Self {
        Call::Splice { from, from_offset: CURRENT, to, to_offset: CURRENT, len }
    }

    /// Takes up to `most` events of an epoll, waiting for the first.
    pub fn epoll_wait(epoll: RawFd, most: usize) -> Self {
        Call::EpollWait { epoll, most }
    }

    /// Changes what an epoll watches.
    pub fn epoll_ctl(epoll: RawFd, fd: RawFd, change: EpollChange) -> Self {
        Call::EpollCtl { epoll, fd, change }
    }

    /// Completes when this time has passed.
    pub fn timeout(after: Duration) -> Self {
        Call::Timeout { after }
    }

    /// Waits until a file is on its disk.
    pub fn fsync(fd: RawFd) -> Self {
        Call::Fsync { fd, data_only: false }
    }

    /// Waits until a file's bytes, and its length, are on its disk.
    pub fn fdatasync(fd: RawFd) -> Self {
        Call::Fsync { fd, data_only: true }
    }

    /// Renames a file; one that has the new name already is replaced.
    pub fn rename(from_dir: RawFd, from: CString, to_dir: RawFd, to: CString) -> Self {
        Call::Rename { from_dir, from, to_dir, to, flags: 0 }
    }

    /// Takes a file's name away.
    pub fn unlink(dir: RawFd, path: CString) -> Self {
        Call::Unlink { dir, path, directory: false }
    }

    /// Takes an empty directory away.
    pub fn rmdir(dir: RawFd, path: CString) -> Self {
        Call::Unlink { dir, path, directory: true }
    }

    /// Makes a directory.
    pub fn mkdir(dir: RawFd, path: CString, mode: u32) -> Self {
        Call::Mkdir { dir, path, mode }
    }

    /// Cuts a file off at `len` bytes, or lets it grow to them.
    pub fn ftruncate(fd: RawFd, len: u64) -> Self {
        Call::Ftruncate { fd, len }
    }

    /// Takes room on the disk for a range of a file.
    pub fn fallocate(fd: RawFd, offset: u64, len: u64) -> Self {
        Call::Fallocate { fd, mode: 0, offset, len }
    }

    /// Takes a file's lock, waiting for it, or gives it up.
    pub fn flock(fd: RawFd, lock: Lock) -> Self {
        Call::Flock { fd, lock, nowait: false }
    }

    /// Copies up to `len` bytes of a file into another.
    pub fn copy_file_range(
        from: RawFd,
        from_offset: u64,
        to: RawFd,
        to_offset: u64,
        len: usize,
    ) -> Self {
        Call::CopyFileRange { from, from_offset, to, to_offset, len }
    }

    /// Maps `len` bytes of memory, all zero.
    pub fn map_memory(len: usize) -> Self {
        Call::Mmap { file: None, offset: 0, len, writable: true, populate: false }
    }

    /// Maps `len` bytes of a file from `offset` on, to be read.
    pub fn map_file(file: RawFd, offset: u64, len: usize) -> Self {
        Call::Mmap { file: Some(file), offset, len, writable: false, populate: false }
    }

    /// Says how a range of a mapping will be used.
    pub fn madvise(mapping: Arc<Mapping>, range: Range<usize>, advice: Advice) -> Self {
        Call::Madvise { mapping, start: range.start, end: range.end, advice }
    }

    /// Shuts one or both directions of a connection down.
    pub fn shutdown(fd: RawFd, how: Shutdown) -> Self {
        Call::Shutdown { fd, how }
    }

    /// Reads raw directory entries into the whole of `buf`.
    pub fn getdents64(fd: RawFd, buf: B) -> Self {
        Call::Getdents64 { fd, buf }
    }

    /// Sets an option of a socket.
    pub fn setsockopt(fd: RawFd, option: SocketOption) -> Self {
        Call::SetSockOpt { fd, option }
    }
}
