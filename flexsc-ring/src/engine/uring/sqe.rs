//! A call as a submission queue entry, or the reason why it is not made that way.

use std::os::fd::AsRawFd;

use io_uring::opcode;
use io_uring::squeue::Entry;
use io_uring::types::{Fd, FsyncFlags, OpenHow, epoll_event, statx};

use super::setup::Opcodes;
use crate::op::{Direction, Op, poll_events, send_flags, stat_path};
use crate::slots::Slot;
use crate::work::{Work, unlink_flags};

/// How the engine makes a call.
pub(super) enum Route {
    /// By this entry.
    Entry(Entry),
    /// By a syscall thread: there is no opcode, or it would hold one of io_uring's few workers.
    Thread,
    /// By trap, now: it never blocks, and io_uring would start a worker thread for it.
    Trap,
    /// By the ring itself, when its time has come: the kernel searches its timers one by one to cancel
    /// one.
    Timer,
}

/// The way that `slot`'s call goes.
pub(super) fn route<B>(
    slot: &Slot<B>,
    group: u16,
    multishot_accept: bool,
    opcodes: &Opcodes,
) -> Route {
    let (ptr, len) = slot.range();
    let n = u32::try_from(len).unwrap_or(u32::MAX);
    let entry = match slot.op() {
        Op::Nop => opcode::Nop::new().build(),
        Op::Accept { listener, multishot: true } if multishot_accept => {
            opcode::AcceptMulti::new(Fd(*listener)).flags(libc::SOCK_CLOEXEC).build()
        }
        Op::Accept { listener, .. } => {
            let none = std::ptr::null_mut();
            opcode::Accept::new(Fd(*listener), none, none.cast()).flags(libc::SOCK_CLOEXEC).build()
        }
        Op::Recv { fd, multishot: true } => opcode::RecvMulti::new(Fd(*fd), group).build(),
        Op::Recv { fd, multishot: false } => opcode::Recv::new(Fd(*fd), std::ptr::null_mut(), 0)
            .buf_group(group)
            .build()
            .flags(io_uring::squeue::Flags::BUFFER_SELECT),
        Op::Send { fd, more, nowait } => {
            opcode::Send::new(Fd(*fd), ptr, n).flags(send_flags(*more, *nowait)).build()
        }
        Op::Read { fd, offset, .. } => opcode::Read::new(Fd(*fd), ptr, n).offset(*offset).build(),
        Op::Write { fd, offset, .. } => opcode::Write::new(Fd(*fd), ptr, n).offset(*offset).build(),
        Op::Open { dir, path, how, .. } => {
            let how = std::ptr::from_ref(how).cast::<OpenHow>();
            opcode::OpenAt2::new(Fd(*dir), path.as_ptr(), how).build()
        }
        Op::Stat { dir, path, area } => {
            let (path, flags) = stat_path(path);
            if flags & libc::AT_EMPTY_PATH != 0 {
                return Route::Trap;
            }
            let stat = opcode::Statx::new(Fd(*dir), path, area.get().cast::<statx>());
            stat.flags(flags).mask(libc::STATX_BASIC_STATS).build()
        }
        Op::Close { fd } => {
            let fd = fd.as_ref().map_or(-1, AsRawFd::as_raw_fd);
            opcode::Close::new(Fd(fd)).build()
        }
        Op::Poll { fd, interest } => opcode::PollAdd::new(Fd(*fd), poll_events(*interest)).build(),
        Op::Shutdown { .. } => return Route::Trap,
        Op::RecvInto { fd } => opcode::Recv::new(Fd(*fd), ptr, n).build(),
        Op::SendAll { fd, message, more, nowait } => {
            let flags = send_flags(*more, *nowait) as u32;
            opcode::SendMsg::new(Fd(*fd), message.head()).flags(flags).build()
        }
        Op::ReadAll { fd, offset, parts, nowait, .. } => {
            opcode::Readv::new(Fd(*fd), parts.as_ptr(), parts.len() as u32)
                .offset(*offset)
                .rw_flags(if *nowait { libc::RWF_NOWAIT } else { 0 })
                .build()
        }
        Op::WriteAll { fd, offset, parts, nowait, .. } => {
            opcode::Writev::new(Fd(*fd), parts.as_ptr(), parts.len() as u32)
                .offset(*offset)
                .rw_flags(if *nowait { libc::RWF_NOWAIT } else { 0 })
                .build()
        }
        Op::Connect { fd, to, .. } => {
            let (at, len) = to.parts();
            opcode::Connect::new(Fd(*fd), at, len).build()
        }
        Op::EpollWait { epoll, events } if opcodes.has(opcode::EpollWait::CODE) => {
            let (at, most) = events.room();
            opcode::EpollWait::new(Fd(*epoll), at.cast::<epoll_event>(), most as u32).build()
        }
        Op::EpollWait { .. } => return Route::Trap,
        Op::Timeout { .. } => return Route::Timer,
        Op::Work(work) => return route_of_work(work, opcodes),
        Op::Sendfile { .. } | Op::Splice { .. } | Op::Getdents64 { .. } | Op::Raw(_) => {
            return Route::Thread;
        }
    };
    Route::Entry(entry)
}

/// What may wait for a disk goes to io_uring's own workers, or to a syscall thread if there is no
/// opcode for it; the rest is made at once.
fn route_of_work(work: &Work, opcodes: &Opcodes) -> Route {
    let (code, entry) = match work {
        Work::Fsync { fd, data_only } => {
            let flags = if *data_only { FsyncFlags::DATASYNC } else { FsyncFlags::empty() };
            (opcode::Fsync::CODE, opcode::Fsync::new(Fd(*fd)).flags(flags).build())
        }
        Work::Rename { from_dir, from, to_dir, to, flags } => {
            let rename =
                opcode::RenameAt::new(Fd(*from_dir), from.as_ptr(), Fd(*to_dir), to.as_ptr());
            (opcode::RenameAt::CODE, rename.flags(*flags).build())
        }
        Work::Unlink { dir, path, directory } => {
            let unlink = opcode::UnlinkAt::new(Fd(*dir), path.as_ptr());
            (opcode::UnlinkAt::CODE, unlink.flags(unlink_flags(*directory)).build())
        }
        Work::Mkdir { dir, path, mode } => {
            let mkdir = opcode::MkDirAt::new(Fd(*dir), path.as_ptr());
            (opcode::MkDirAt::CODE, mkdir.mode(*mode).build())
        }
        Work::Fallocate { fd, mode, offset, len } => {
            let fallocate = opcode::Fallocate::new(Fd(*fd), *len);
            (opcode::Fallocate::CODE, fallocate.offset(*offset).mode(*mode).build())
        }
        other if other.takes_long() => return Route::Thread,
        _ => return Route::Trap,
    };
    if opcodes.has(code) { Route::Entry(entry) } else { Route::Thread }
}

/// An entry that waits until the call would not block; `None` if that cannot be waited for.
pub(super) fn readiness_of(op: &Op) -> Option<Entry> {
    let (fd, direction) = op.waits_on()?;
    let events = match direction {
        Direction::In => libc::POLLIN,
        Direction::Out => libc::POLLOUT,
        Direction::Poll => return None,
    };
    Some(opcode::PollAdd::new(Fd(fd), events as u32).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mkdir() -> Work {
        Work::Mkdir { dir: -1, path: c"d".into(), mode: 0 }
    }

    #[test]
    fn an_opcode_that_the_kernel_lacks_is_left_to_a_thread() {
        let none = Opcodes::default();
        assert!(matches!(route_of_work(&mkdir(), &none), Route::Thread));
        let all = Opcodes::all();
        assert!(matches!(route_of_work(&mkdir(), &all), Route::Entry(_)));
    }

    #[test]
    fn what_never_blocks_is_made_at_once_whatever_the_kernel_has() {
        for opcodes in [Opcodes::default(), Opcodes::all()] {
            let truncate = Work::Ftruncate { fd: -1, len: 0 };
            assert!(matches!(route_of_work(&truncate, &opcodes), Route::Trap));
            let map =
                |populate| Work::Mmap { file: None, offset: 0, len: 1, writable: true, populate };
            assert!(matches!(route_of_work(&map(false), &opcodes), Route::Trap));
            assert!(matches!(route_of_work(&map(true), &opcodes), Route::Thread));
        }
    }
}
