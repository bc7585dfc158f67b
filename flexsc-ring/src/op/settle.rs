//! What does the end of a call mean to its caller?

use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

use super::{CANCELED, KERNEL_CANCELED, Op, StatArea, readiness};
use crate::buffer::RecvBuf;
use crate::lent::Lent;
use crate::result::{Failure, FileStat, Value};
use crate::sys;

impl Op {
    /// The call has ended with `ret`: if it was a close, its descriptor is nobody's any more.
    #[inline]
    pub(crate) fn closed(&mut self, ret: i64) {
        if let Op::Close { fd } = self
            && ret != CANCELED
        {
            // The kernel has closed it, also where it reports an error.
            let _ = fd.take().map(IntoRawFd::into_raw_fd);
        }
    }

    /// What it returns is a new descriptor.
    #[inline]
    pub(crate) fn makes_fd(&self) -> bool {
        matches!(self, Op::Accept { .. } | Op::Open { .. })
    }
}

/// Makes the result of a call that has ended with `ret`, a negated `errno` if it failed. The call
/// stays where it is: it is large to move.
#[inline(always)]
pub(crate) fn settle<B>(
    op: &mut Op,
    buf: Lent<B>,
    ret: i64,
    received: Option<RecvBuf>,
) -> Result<Value<B>, Failure<B>> {
    op.closed(ret);
    if ret < 0 {
        return Err(failure(ret, buf));
    }
    let n = ret as usize;
    match buf {
        Lent::One(buf) => Ok(Value::Moved { n, buf }),
        Lent::Many(bufs) => Ok(Value::MovedAll { n, bufs }),
        Lent::Nothing if matches!(op, Op::Nop | Op::Close { .. }) => Ok(Value::Done),
        Lent::Nothing if matches!(op, Op::Raw(_)) => Ok(Value::Raw(ret)),
        Lent::Nothing => Ok(value_of(op, ret, received)),
    }
}

/// What a call gives that was lent no buffer.
#[inline(never)]
fn value_of<B>(op: &mut Op, ret: i64, received: Option<RecvBuf>) -> Value<B> {
    let n = ret as usize;
    match op {
        // SAFETY: the call's result, which is settled once: its slot is free after this.
        Op::Accept { .. } => Value::Accepted(unsafe { sys::adopt(ret) }),
        // SAFETY: as above.
        Op::Open { .. } => Value::Opened(unsafe { sys::adopt(ret) }),
        Op::Recv { .. } => Value::Received(received.unwrap_or_default()),
        Op::Stat { area, .. } => Value::Stat(file_stat(area)),
        Op::Poll { .. } => Value::Ready(readiness(ret as u32)),
        Op::Sendfile { .. } | Op::Splice { .. } => Value::Sent(n),
        Op::EpollWait { events, .. } => Value::Events(events.events(n)),
        Op::Work(work) => work.settle(ret),
        _ => Value::Done,
    }
}

/// The failure that a negated `errno`, or [`CANCELED`], stands for.
#[cold]
pub(crate) fn failure<B>(ret: i64, lent: Lent<B>) -> Failure<B> {
    let ret = if ret == CANCELED { KERNEL_CANCELED } else { ret };
    let (buf, bufs) = lent.back();
    Failure { error: sys::error_of(ret), buf, bufs }
}

fn file_stat(area: &mut StatArea) -> FileStat {
    // SAFETY: zeroed when made, all of whose bit patterns are valid, then written by statx.
    of_statx(unsafe { area.get_mut().assume_init_ref() })
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

/// The descriptor number of a call that makes one.
pub(crate) fn made_fd<B>(value: &Result<Value<B>, Failure<B>>) -> Option<RawFd> {
    match value {
        Ok(Value::Accepted(fd) | Value::Opened(fd)) => Some(fd.as_raw_fd()),
        _ => None,
    }
}

/// Takes the descriptor out of the result of a call that makes one.
pub(crate) fn take_fd<B>(value: &mut Result<Value<B>, Failure<B>>) -> Option<OwnedFd> {
    made_fd(value)?;
    match std::mem::replace(value, Ok(Value::Done)) {
        Ok(Value::Accepted(fd) | Value::Opened(fd)) => Some(fd),
        _ => None,
    }
}
