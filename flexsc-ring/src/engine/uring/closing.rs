//! Was a close made of which io_uring says that it was cancelled?
//!
//! A close of a file that has something to do when it is closed (NFS, FUSE) goes to a worker thread
//! of io_uring's. `ECANCELED` is then either the file system's own word, and the descriptor is
//! closed as after every error; or io_uring had no worker to give it to, and it is open. A
//! descriptor must never be closed twice, so it counts as closed unless the contrary is certain:
//! closes are not cancelled here, and io_uring gives up only what no worker is there for. On a busy
//! machine it may give one up beside other workers: that descriptor stays open.

use std::os::fd::RawFd;

use io_uring::opcode::{AsyncCancel, AsyncCancel2};
use io_uring::squeue::Flags;
use io_uring::types::CancelBuilder;

use super::{IGNORE, Uring};
use crate::call::Buffer;
use crate::fallback::Reason;
use crate::op::{KERNEL_CANCELED, Op, fd_arg};
use crate::result::Completion;
use crate::slots::Stage;

impl<B: Buffer> Uring<B> {
    /// A close that io_uring has given up without making it.
    pub(super) fn was_not_closed(op: &Op, ret: i64) -> bool {
        matches!(op, Op::Close { fd: Some(_) }) && is_of_no_close(ret)
    }

    /// A close of a chain has ended, which was made without a slot. If it was not made it is made here:
    /// where io_uring gets no worker, a syscall thread is hardly to be had.
    #[inline]
    pub(super) fn on_close(&mut self, name: u64, ret: i64) -> Option<Completion<B>> {
        let ret =
            if is_of_no_close(ret) { self.close_here(self.chains.closing_fd(name)) } else { ret };
        let (chain, place, outcome) = self.chains.closed(name, ret);
        self.chains.ended(chain, place, outcome, &mut self.stats)
    }

    #[cold]
    fn close_here(&mut self, fd: RawFd) -> i64 {
        self.stats.count(Reason::Trapped);
        self.stats.enters += 1;
        // SAFETY: no pointers; the descriptor is the close's own, and is given up with its end.
        unsafe { crate::sys::trap(libc::SYS_close as u16, &[fd_arg(fd), 0, 0, 0, 0, 0]) }
    }

    /// Asks io_uring to end a call. A close goes on: it ends by itself.
    pub(super) fn push_cancel(&mut self, index: u32) {
        if matches!(self.slots.at(index).op(), Op::Close { .. }) {
            return;
        }
        let cancel = AsyncCancel::new(self.slots.ticket(index)).build().user_data(IGNORE);
        self.push(cancel.flags(Flags::SKIP_SUCCESS));
    }

    /// Asks io_uring to end all calls but closes.
    pub(super) fn push_cancel_all(&mut self) {
        let is_running = |index: &u32| self.slots.at(*index).stage.get() == Stage::Running;
        let running: Vec<u32> = (0..self.slots.span()).filter(is_running).collect();
        let closes = |index: &u32| matches!(self.slots.at(*index).op(), Op::Close { .. });
        if self.chains.closing() > 0 || running.iter().any(closes) {
            return running.into_iter().for_each(|index| self.push_cancel(index));
        }
        self.push(AsyncCancel2::new(CancelBuilder::any()).build().user_data(IGNORE));
    }
}

/// So ends a close that io_uring has given up without making it.
fn is_of_no_close(ret: i64) -> bool {
    ret == KERNEL_CANCELED && !has_workers()
}

/// io_uring has started worker threads in this process, or nobody knows. The last one of a ring
/// stays as long as the ring's thread.
fn has_workers() -> bool {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return true };
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        task.and_then(|task| std::fs::read_to_string(task.path().join("comm")))
    };
    // A task that went meanwhile has no name: it may have been one.
    tasks.map(name).any(|name| name.map_or(true, |name| name.starts_with("iou-wrk-")))
}
