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

/// Room for a call taken apart. What it held before is not dropped: a free slot holds nothing.
pub(crate) struct Room<'a, B> {
    pub(crate) op: &'a mut Op,
    pub(crate) buf: &'a mut Lent<B>,
}

/// What there is to know of a call that was put into its room.
pub(crate) struct Shape {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) simple: bool,
    pub(crate) multishot: bool,
}

impl<B> Room<'_, B> {
    #[inline(always)]
    pub(crate) fn put(self, op: Op, buf: Lent<B>, start: usize, end: usize) -> Shape {
        let shape = Shape { start, end, simple: op.is_simple(), multishot: op.is_multishot() };
        std::mem::forget(std::mem::replace(self.op, op));
        std::mem::forget(std::mem::replace(self.buf, buf));
        shape
    }

    #[inline(always)]
    fn whole(self, op: Op) -> Shape {
        self.put(op, Lent::Nothing, 0, 0)
    }

    #[inline(always)]
    fn one(self, op: Op, buf: B, start: usize, end: usize) -> Shape {
        self.put(op, Lent::One(buf), start, end)
    }

    #[inline(always)]
    fn many(self, op: Op, bufs: Vec<B>) -> Shape {
        self.put(op, Lent::Many(bufs), 0, 0)
    }
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

/// Takes a call apart into a slot's room. Each kind is written where it stays: to bring them together
/// before would copy as much as the largest holds.
#[inline(always)]
pub(crate) fn apart<B: Buffer>(call: Call<B>, at: Room<'_, B>) -> Shape {
    match call {
        Call::Nop => {
            // It holds nothing to drop, which is not seen to where no field is moved out.
            std::mem::forget(call);
            at.whole(Op::Nop)
        }
        Call::Raw(raw) => at.whole(Op::Raw(raw)),
        Call::Accept { listener, multishot } => at.whole(Op::Accept { listener, multishot }),
        Call::Recv { fd, multishot } => at.whole(Op::Recv { fd, multishot }),
        Call::Close(fd) => at.whole(Op::Close { fd: Some(fd) }),
        Call::Poll { fd, interest } => at.whole(Op::Poll { fd, interest }),
        Call::Send { fd, buf, start, end, more, nowait } => {
            at.one(Op::Send { fd, more, nowait }, buf, start, end)
        }
        Call::Read { fd, buf, start, end, offset } => {
            at.one(Op::Read { fd, offset, vec: empty_vec(), plain: false }, buf, start, end)
        }
        Call::Write { fd, buf, start, end, offset } => {
            at.one(Op::Write { fd, offset, vec: empty_vec(), plain: false }, buf, start, end)
        }
        Call::RecvInto { fd, buf, start, end } => at.one(Op::RecvInto { fd }, buf, start, end),
        Call::Getdents64 { fd, buf } => {
            let end = buf.as_ref().len();
            at.one(Op::Getdents64 { fd }, buf, 0, end)
        }
        Call::SendVectored { fd, bufs, more, nowait } => {
            at.many(Op::SendAll { fd, message: Box::new(Message::new()), more, nowait }, bufs)
        }
        Call::ReadVectored { fd, bufs, offset, nowait } => at
            .many(Op::ReadAll { fd, offset, parts: Vector::default(), nowait, plain: false }, bufs),
        Call::WriteVectored { fd, bufs, offset, nowait } => at.many(
            Op::WriteAll { fd, offset, parts: Vector::default(), nowait, plain: false },
            bufs,
        ),
        other => at.whole(without_buffer(other)),
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
