//! Which calls are only made, once, whether they block or not? They wait for no descriptor, and have
//! no buffer.

use std::cell::UnsafeCell;
use std::ffi::CString;
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::call::{CURRENT, EpollChange, Lock};
use crate::mapping::{Advice, Mapping};
use crate::op::{address, fd_arg};
use crate::result::Value;
use crate::socket_option::RawOption;

/// Such a call: its numbers, and what the kernel reads and writes beside them.
pub(crate) enum Work {
    Fsync { fd: RawFd, data_only: bool },
    Rename { from_dir: RawFd, from: CString, to_dir: RawFd, to: CString, flags: u32 },
    Unlink { dir: RawFd, path: CString, directory: bool },
    Mkdir { dir: RawFd, path: CString, mode: u32 },
    Ftruncate { fd: RawFd, len: u64 },
    Fallocate { fd: RawFd, mode: i32, offset: u64, len: u64 },
    Flock { fd: RawFd, lock: Lock, nowait: bool },
    CopyFileRange { from: RawFd, to: RawFd, offsets: Offsets, len: usize },
    Mmap { file: Option<RawFd>, offset: u64, len: usize, writable: bool, populate: bool },
    Madvise { mapping: Arc<Mapping>, start: usize, len: usize, advice: Advice },
    SetSockOpt { fd: RawFd, option: Box<RawOption> },
    EpollCtl { epoll: RawFd, fd: RawFd, number: i32, event: Box<libc::epoll_event> },
}

/// Positions in the two files of a copy, which the kernel moves on.
pub(crate) struct Offsets(UnsafeCell<[i64; 2]>);

/// No position: `CURRENT`.
const STANDS: i64 = -1;

impl Offsets {
    pub(crate) fn new(from: u64, to: u64) -> Self {
        let offset = |offset| match offset {
            CURRENT => STANDS,
            offset => offset.try_into().unwrap_or(i64::MAX),
        };
        Offsets(UnsafeCell::new([offset(from), offset(to)]))
    }

    /// The pointers that the kernel takes: null for a descriptor that goes on where it stands.
    pub(crate) fn args(&self) -> [u64; 2] {
        let at = self.0.get().cast::<i64>();
        [0, 1].map(|i| {
            // SAFETY: within the array, and the call is not running yet.
            let (one, value) = unsafe { (at.add(i), at.add(i).read()) };
            if value == STANDS { 0 } else { address(one) }
        })
    }
}

/// The operation of `epoll_ctl`, and its event.
pub(crate) fn epoll_change(change: EpollChange) -> (i32, Box<libc::epoll_event>) {
    let (number, events, u64) = match change {
        EpollChange::Add { events, data } => (libc::EPOLL_CTL_ADD, events, data),
        EpollChange::Modify { events, data } => (libc::EPOLL_CTL_MOD, events, data),
        EpollChange::Delete => (libc::EPOLL_CTL_DEL, 0, 0),
    };
    (number, Box::new(libc::epoll_event { events, u64 }))
}

/// The flags of an unlink.
pub(crate) fn unlink_flags(directory: bool) -> i32 {
    if directory { libc::AT_REMOVEDIR } else { 0 }
}

fn lock_operation(lock: Lock, nowait: bool) -> i32 {
    let lock = match lock {
        Lock::Shared => libc::LOCK_SH,
        Lock::Exclusive => libc::LOCK_EX,
        Lock::Unlock => libc::LOCK_UN,
    };
    lock | if nowait { libc::LOCK_NB } else { 0 }
}

impl Work {
    /// The call as number and arguments.
    pub(crate) fn trap(&self) -> (i64, [u64; 6]) {
        match self {
            Work::Fsync { fd, data_only } => {
                let number = if *data_only { libc::SYS_fdatasync } else { libc::SYS_fsync };
                (number, [fd_arg(*fd), 0, 0, 0, 0, 0])
            }
            Work::Rename { from_dir, from, to_dir, to, flags } => {
                let (from, to) = (address(from.as_ptr()), address(to.as_ptr()));
                let args = [fd_arg(*from_dir), from, fd_arg(*to_dir), to, u64::from(*flags), 0];
                (libc::SYS_renameat2, args)
            }
            Work::Unlink { dir, path, directory } => {
                let flags = unlink_flags(*directory) as u64;
                (libc::SYS_unlinkat, [fd_arg(*dir), address(path.as_ptr()), flags, 0, 0, 0])
            }
            Work::Mkdir { dir, path, mode } => {
                let mode = u64::from(*mode);
                (libc::SYS_mkdirat, [fd_arg(*dir), address(path.as_ptr()), mode, 0, 0, 0])
            }
            Work::Ftruncate { fd, len } => (libc::SYS_ftruncate, [fd_arg(*fd), *len, 0, 0, 0, 0]),
            Work::Fallocate { fd, mode, offset, len } => {
                (libc::SYS_fallocate, [fd_arg(*fd), *mode as u64, *offset, *len, 0, 0])
            }
            Work::Flock { fd, lock, nowait } => {
                let operation = lock_operation(*lock, *nowait) as u64;
                (libc::SYS_flock, [fd_arg(*fd), operation, 0, 0, 0, 0])
            }
            Work::CopyFileRange { from, to, offsets, len } => {
                let [at, onto] = offsets.args();
                let args = [fd_arg(*from), at, fd_arg(*to), onto, *len as u64, 0];
                (libc::SYS_copy_file_range, args)
            }
            Work::Mmap { file, offset, len, writable, populate } => {
                let kind = match file {
                    Some(_) => libc::MAP_SHARED,
                    None => libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                };
                let flags = kind | if *populate { libc::MAP_POPULATE } else { 0 };
                let write = *writable || file.is_none();
                let protection = libc::PROT_READ | if write { libc::PROT_WRITE } else { 0 };
                let fd = fd_arg(file.unwrap_or(-1));
                let offset = if file.is_some() { *offset } else { 0 };
                let args = [0, *len as u64, protection as u64, flags as u64, fd, offset];
                (libc::SYS_mmap, args)
            }
            Work::Madvise { mapping, start, len, advice } => {
                let at = address(mapping.as_ptr()) + *start as u64;
                (libc::SYS_madvise, [at, *len as u64, advice.raw() as u64, 0, 0, 0])
            }
            Work::SetSockOpt { fd, option } => {
                let value = address(option.value.as_ptr());
                let (level, name) = (option.level as u64, option.name as u64);
                let args = [fd_arg(*fd), level, name, value, u64::from(option.len), 0];
                (libc::SYS_setsockopt, args)
            }
            Work::EpollCtl { epoll, fd, number, event } => {
                let event = address(&raw const **event);
                let args = [fd_arg(*epoll), *number as u64, fd_arg(*fd), event, 0, 0];
                (libc::SYS_epoll_ctl, args)
            }
        }
    }

    /// It may wait for a disk, for somebody else, or touch many pages.
    pub(crate) fn takes_long(&self) -> bool {
        match self {
            Work::SetSockOpt { .. } | Work::EpollCtl { .. } | Work::Ftruncate { .. } => false,
            Work::Flock { lock, nowait, .. } => !nowait && *lock != Lock::Unlock,
            Work::Mmap { populate, .. } => *populate,
            Work::Madvise { advice, .. } => advice.takes_long(),
            _ => true,
        }
    }

    /// What it means that it has returned `ret`, which is no error.
    pub(crate) fn settle<B>(&self, ret: i64) -> Value<B> {
        match self {
            Work::CopyFileRange { .. } => Value::Sent(ret as usize),
            Work::Mmap { file, len, .. } => {
                let at = std::ptr::with_exposed_provenance_mut(ret as usize);
                match NonNull::new(at) {
                    // SAFETY: the kernel has just mapped `len` bytes there for this call alone; without
                    // a file they are private, readable and writable.
                    Some(at) => Value::Mapped(unsafe { Mapping::adopt(at, *len, file.is_none()) }),
                    None => Value::Raw(ret),
                }
            }
            _ => Value::Done,
        }
    }
}
