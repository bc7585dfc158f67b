//! How is a call taken apart, and which one is refused before?

use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;

use super::{Ends, How, Op, StatArea, Tries};
use crate::address::{MOST_NAME, RawAddress};
use crate::call::{Buffer, Call};
use crate::lent::{EventArea, Lent, MOST_BUFFERS, Message, Vector};
use crate::result::PostError;
use crate::work::{Offsets, Work, epoll_change};

/// Events that one `epoll_wait` takes at most.
const MOST_EVENTS: usize = 4096;
/// Bytes that the kernel moves at most by one call (`MAX_RW_COUNT`).
const MOST_BYTES: usize = 0x7fff_f000;

/// A call taken apart: its numbers, its buffers, and the range of the one buffer that it moves.
pub(crate) struct Parts<B> {
    pub(crate) op: Op,
    pub(crate) buf: Lent<B>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What is wrong with a call that the kernel could not be told of.
pub(crate) enum Fault {
    Range { start: usize, end: usize, len: usize },
    Buffers { count: usize },
    Address { len: usize },
}

impl Fault {
    /// Gives `call` back, which has the fault or is the chain of one that has.
    pub(crate) fn refuse<B>(self, call: Call<B>) -> PostError<B> {
        match self {
            Fault::Range { start, end, len } => PostError::Range { call, start, end, len },
            Fault::Buffers { count } => PostError::Buffers { call, count, most: MOST_BUFFERS },
            Fault::Address { len } => PostError::Address { call, len, most: MOST_NAME },
        }
    }
}

/// The first thing wrong with a call.
pub(crate) fn fault_of<B: Buffer>(call: &Call<B>) -> Option<Fault> {
    let (start, end, len) = match call {
        Call::Send { buf, start, end, .. }
        | Call::Write { buf, start, end, .. }
        | Call::Read { buf, start, end, .. }
        | Call::RecvInto { buf, start, end, .. } => (*start, *end, buf.as_ref().len()),
        Call::Madvise { mapping, start, end, .. } => (*start, *end, mapping.size()),
        Call::SendVectored { bufs, .. }
        | Call::ReadVectored { bufs, .. }
        | Call::WriteVectored { bufs, .. } => {
            let count = bufs.len();
            return (count > MOST_BUFFERS).then_some(Fault::Buffers { count });
        }
        Call::Connect { to, .. } => return to.bad_name().map(|len| Fault::Address { len }),
        _ => return None,
    };
    (start > end || end > len).then_some(Fault::Range { start, end, len })
}

/// Takes a call apart.
#[inline(always)]
pub(crate) fn split<B: Buffer>(call: Call<B>) -> Parts<B> {
    let whole = |op| Parts { op, buf: Lent::Nothing, start: 0, end: 0 };
    let one = |op, buf, start, end| Parts { op, buf: Lent::One(buf), start, end };
    let many = |op, bufs| Parts { op, buf: Lent::Many(bufs), start: 0, end: 0 };
    match call {
        Call::Nop => whole(Op::Nop),
        Call::Accept { listener, multishot } => whole(Op::Accept { listener, multishot }),
        Call::Recv { fd, multishot } => whole(Op::Recv { fd, multishot }),
        Call::Close(fd) => whole(Op::Close { fd: Some(fd) }),
        Call::Poll { fd, interest } => whole(Op::Poll { fd, interest }),
        Call::Raw(raw) => whole(Op::Raw(raw)),
        Call::Send { fd, buf, start, end, more, nowait } => {
            one(Op::Send { fd, more, nowait }, buf, start, end)
        }
        Call::Read { fd, buf, start, end, offset } => {
            one(Op::Read { fd, offset, vec: empty_vec(), plain: false }, buf, start, end)
        }
        Call::Write { fd, buf, start, end, offset } => {
            one(Op::Write { fd, offset, vec: empty_vec(), plain: false }, buf, start, end)
        }
        Call::RecvInto { fd, buf, start, end } => one(Op::RecvInto { fd }, buf, start, end),
        Call::Getdents64 { fd, buf } => {
            let end = buf.as_ref().len();
            one(Op::Getdents64 { fd }, buf, 0, end)
        }
        Call::SendVectored { fd, bufs, more, nowait } => {
            many(Op::SendAll { fd, message: Box::new(Message::new()), more, nowait }, bufs)
        }
        Call::ReadVectored { fd, bufs, offset, nowait } => {
            many(Op::ReadAll { fd, offset, parts: Vector::default(), nowait, plain: false }, bufs)
        }
        Call::WriteVectored { fd, bufs, offset, nowait } => {
            many(Op::WriteAll { fd, offset, parts: Vector::default(), nowait, plain: false }, bufs)
        }
        other => whole(without_buffer(other)),
    }
}

/// A less frequent call that has no buffer, taken apart.
#[inline(never)]
fn without_buffer<B>(call: Call<B>) -> Op {
    let work = match call {
        Call::OpenAt2 { dir, path, flags, mode, resolve } => {
            let how = How { flags: flags | libc::O_CLOEXEC as u64, mode, resolve };
            return Op::Open { dir, path, how, moved: Cell::new(0) };
        }
        Call::Statx { dir, path } => {
            return Op::Stat { dir, path: Some(path), area: stat_area() };
        }
        Call::StatxFd { fd } => return Op::Stat { dir: fd, path: None, area: stat_area() },
        Call::Sendfile { out, input, offset, len } => {
            let offset = UnsafeCell::new(offset.try_into().unwrap_or(i64::MAX));
            return Op::Sendfile { out, input, offset, len };
        }
        Call::Shutdown { fd, how } => return Op::Shutdown { fd, how },
        Call::Connect { fd, to } => {
            return Op::Connect { fd, to: Box::new(RawAddress::new(&to)), tries: Tries::default() };
        }
        Call::Splice { from, from_offset, to, to_offset, len } => {
            let offsets = Offsets::new(from_offset, to_offset);
            let len = len.min(MOST_BYTES);
            return Op::Splice { from, to, offsets, len, ends: Ends::default() };
        }
        Call::EpollWait { epoll, most } => {
            return Op::EpollWait { epoll, events: EventArea::new(most.min(MOST_EVENTS)) };
        }
        Call::Timeout { after } => return Op::Timeout { after, until: Cell::new(None) },
        Call::Fsync { fd, data_only } => Work::Fsync { fd, data_only },
        Call::Rename { from_dir, from, to_dir, to, flags } => {
            Work::Rename { from_dir, from, to_dir, to, flags }
        }
        Call::Unlink { dir, path, directory } => Work::Unlink { dir, path, directory },
        Call::Mkdir { dir, path, mode } => Work::Mkdir { dir, path, mode },
        Call::Ftruncate { fd, len } => Work::Ftruncate { fd, len },
        Call::Fallocate { fd, mode, offset, len } => Work::Fallocate { fd, mode, offset, len },
        Call::Flock { fd, lock, nowait } => Work::Flock { fd, lock, nowait },
        Call::CopyFileRange { from, from_offset, to, to_offset, len } => {
            let offsets = Offsets::new(from_offset, to_offset);
            Work::CopyFileRange { from, to, offsets, len: len.min(MOST_BYTES) }
        }
        Call::Mmap { file, offset, len, writable, populate } => {
            Work::Mmap { file, offset, len, writable, populate }
        }
        Call::Madvise { mapping, start, end, advice } => {
            Work::Madvise { mapping, start, len: end.saturating_sub(start), advice }
        }
        Call::SetSockOpt { fd, option } => Work::SetSockOpt { fd, option: Box::new(option.raw()) },
        Call::EpollCtl { epoll, fd, change } => {
            let (number, event) = epoll_change(change);
            Work::EpollCtl { epoll, fd, number, event }
        }
        // Its descriptor is told when it is there.
        Call::CloseOpened => return Op::Close { fd: None },
        // Taken apart by `chains`, never posted as they are.
        Call::SendRead { .. } | Call::Chain(_) => return Op::Nop,
        // Taken apart by `split`.
        Call::Nop
        | Call::Accept { .. }
        | Call::Recv { .. }
        | Call::Close(_)
        | Call::Poll { .. }
        | Call::Raw(_)
        | Call::Send { .. }
        | Call::Read { .. }
        | Call::Write { .. }
        | Call::RecvInto { .. }
        | Call::Getdents64 { .. }
        | Call::SendVectored { .. }
        | Call::ReadVectored { .. }
        | Call::WriteVectored { .. } => return Op::Nop,
    };
    Op::Work(work)
}

fn stat_area() -> StatArea {
    Box::new(UnsafeCell::new(MaybeUninit::zeroed()))
}

fn empty_vec() -> UnsafeCell<libc::iovec> {
    UnsafeCell::new(libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 })
}
