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
struct Parts<B> {
    op: Op,
    buf: Lent<B>,
    start: usize,
    end: usize,
}

impl<B> Parts<B> {
    #[inline(always)]
    fn whole(op: Op) -> Self {
        Parts { op, buf: Lent::Nothing, start: 0, end: 0 }
    }

    #[inline(always)]
    fn one(op: Op, buf: B, start: usize, end: usize) -> Self {
        Parts { op, buf: Lent::One(buf), start, end }
    }

    #[inline(always)]
    fn many(op: Op, bufs: Vec<B>) -> Self {
        Parts { op, buf: Lent::Many(bufs), start: 0, end: 0 }
    }
}

/// Room for a call taken apart. What it held before is not dropped: a free slot holds nothing, or a call
/// whose buffer has panicked when it was asked where it lies, and may again when it is dropped.
pub(crate) struct Room<'a, B> {
    pub(crate) op: &'a mut Op,
    pub(crate) buf: &'a mut Lent<B>,
}

/// What there is to know of a call that was put into its room: where its one buffer lies, and its kind.
pub(crate) struct Shape {
    pub(crate) ptr: *mut u8,
    pub(crate) len: usize,
    pub(crate) simple: bool,
    pub(crate) multishot: bool,
}

impl<B: Buffer> Room<'_, B> {
    /// From here on the buffers are left alone until the call has ended.
    #[inline(always)]
    fn take(self, Parts { op, buf, start, end }: Parts<B>) -> Shape {
        let (simple, multishot) = (op.is_simple(), op.is_multishot());
        std::mem::forget(std::mem::replace(self.op, op));
        std::mem::forget(std::mem::replace(self.buf, buf));
        let unwound = Unwound(self);
        let bytes = match unwound.0.buf {
            Lent::One(buf) => buf.as_mut().get_mut(start..end).unwrap_or_default(),
            Lent::Many(bufs) => {
                unwound.0.op.set_buffers(bufs);
                &mut []
            }
            Lent::Nothing => &mut [],
        };
        let (ptr, len) = (bytes.as_mut_ptr(), bytes.len());
        std::mem::forget(unwound);
        Shape { ptr, len, simple, multishot }
    }
}

/// A room whose call has a buffer that panics: its slot stays free, and holds nothing again.
struct Unwound<'a, B>(Room<'a, B>);

impl<B> Drop for Unwound<'_, B> {
    #[cold]
    fn drop(&mut self) {
        *self.0.op = Op::Nop;
        *self.0.buf = Lent::Nothing;
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

/// Takes a call apart into its room. Each kind goes its own way to where it stays: to bring them
/// together before would copy as much as the largest holds.
#[inline(always)]
pub(crate) fn apart<B: Buffer>(call: Call<B>, to: Room<'_, B>) -> Shape {
    match call {
        Call::Nop => {
            // It owns nothing; the compiler would ask what to drop, as no field is moved out.
            std::mem::forget(call);
            to.take(Parts::whole(Op::Nop))
        }
        Call::Raw(raw) => to.take(Parts::whole(Op::Raw(raw))),
        Call::Accept { listener, multishot } => {
            to.take(Parts::whole(Op::Accept { listener, multishot }))
        }
        Call::Recv { fd, multishot } => to.take(Parts::whole(Op::Recv { fd, multishot })),
        Call::Close(fd) => to.take(Parts::whole(Op::Close { fd: Some(fd) })),
        Call::Poll { fd, interest } => to.take(Parts::whole(Op::Poll { fd, interest })),
        Call::Send { fd, buf, start, end, more, nowait } => {
            to.take(Parts::one(Op::Send { fd, more, nowait }, buf, start, end))
        }
        Call::Read { fd, buf, start, end, offset } => to.take(Parts::one(
            Op::Read { fd, offset, vec: empty_vec(), plain: false },
            buf,
            start,
            end,
        )),
        Call::Write { fd, buf, start, end, offset } => to.take(Parts::one(
            Op::Write { fd, offset, vec: empty_vec(), plain: false },
            buf,
            start,
            end,
        )),
        Call::RecvInto { fd, buf, start, end } => {
            to.take(Parts::one(Op::RecvInto { fd }, buf, start, end))
        }
        Call::Getdents64 { fd, buf } => {
            let end = buf.as_ref().len();
            to.take(Parts::one(Op::Getdents64 { fd }, buf, 0, end))
        }
        Call::SendVectored { fd, bufs, more, nowait } => to.take(Parts::many(
            Op::SendAll { fd, message: Box::new(Message::new()), more, nowait },
            bufs,
        )),
        Call::ReadVectored { fd, bufs, offset, nowait } => {
            let parts = Vector::default();
            to.take(Parts::many(Op::ReadAll { fd, offset, parts, nowait, plain: false }, bufs))
        }
        Call::WriteVectored { fd, bufs, offset, nowait } => {
            let parts = Vector::default();
            to.take(Parts::many(Op::WriteAll { fd, offset, parts, nowait, plain: false }, bufs))
        }
        other => to.take(Parts::whole(without_buffer(other))),
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
        // Taken apart by `apart`.
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
