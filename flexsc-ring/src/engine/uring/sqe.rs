//! A call as a submission queue entry, or the reason why it is not made that way.

use std::os::fd::AsRawFd;

use io_uring::opcode;
use io_uring::squeue::Entry;
use io_uring::types::{Fd, OpenHow, statx};

use crate::op::{Direction, Op, poll_events, send_flags, stat_flags};
use crate::slots::Slot;

/// How the engine makes a call.
pub(super) enum Route {
    /// By this entry.
    Entry(Entry),
    /// By a syscall thread: there is no opcode.
    Thread,
    /// By trap, now: it never blocks, and io_uring would start a worker thread for it.
    Trap,
}

/// The way that `slot`'s call goes.
pub(super) fn route<B>(slot: &Slot<B>, group: u16, multishot_accept: bool) -> Route {
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
        Op::Stat { path, .. } if path.is_empty() => return Route::Trap,
        Op::Stat { dir, path, area } => {
            opcode::Statx::new(Fd(*dir), path.as_ptr(), area.get().cast::<statx>())
                .flags(stat_flags(path))
                .mask(libc::STATX_BASIC_STATS)
                .build()
        }
        Op::Close { fd } => {
            let fd = fd.as_ref().map_or(-1, AsRawFd::as_raw_fd);
            opcode::Close::new(Fd(fd)).build()
        }
        Op::Poll { fd, interest } => opcode::PollAdd::new(Fd(*fd), poll_events(*interest)).build(),
        Op::Shutdown { .. } => return Route::Trap,
        Op::Sendfile { .. } | Op::Getdents64 { .. } | Op::Raw(_) => return Route::Thread,
    };
    Route::Entry(entry)
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
