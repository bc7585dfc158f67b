//! What has the caller lent to a call: nothing, a buffer, or many?

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

use crate::call::Call;

/// Most buffers that one call takes (`IOV_MAX`).
pub(crate) const MOST_BUFFERS: usize = 1024;

/// The buffers of a call.
pub(crate) enum Lent<B> {
    Nothing,
    One(B),
    Many(Vec<B>),
}

impl<B> Lent<B> {
    /// What was lent to a call that is not made.
    pub(crate) fn of(call: Call<B>) -> Self {
        match call {
            Call::SendVectored { bufs, .. }
            | Call::ReadVectored { bufs, .. }
            | Call::WriteVectored { bufs, .. } => Lent::Many(bufs),
            one => one.into_buf().map_or(Lent::Nothing, Lent::One),
        }
    }

    /// The buffers, as a failure gives them back.
    pub(crate) fn back(self) -> (Option<B>, Vec<B>) {
        match self {
            Lent::Nothing => (None, Vec::new()),
            Lent::One(buf) => (Some(buf), Vec::new()),
            Lent::Many(bufs) => (None, bufs),
        }
    }
}

/// Where each of many buffers lies.
pub(crate) type Vector = Box<[libc::iovec]>;

/// Where the buffers lie, for a call that takes them all.
pub(crate) fn vector_of<B: AsMut<[u8]>>(bufs: &mut [B]) -> Vector {
    let part = |buf: &mut B| {
        let bytes = buf.as_mut();
        libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() }
    };
    bufs.iter_mut().map(part).collect()
}

/// A message whose bytes lie in many buffers.
pub(crate) struct Message {
    pub(crate) parts: Vector,
    head: UnsafeCell<libc::msghdr>,
}

impl Message {
    pub(crate) fn new() -> Self {
        // SAFETY: all zero is a message of nothing.
        let head = unsafe { MaybeUninit::zeroed().assume_init() };
        Message { parts: Vector::default(), head: UnsafeCell::new(head) }
    }

    /// The message's head, which points to the parts. Not to be called while the kernel reads it.
    pub(crate) fn head(&self) -> *const libc::msghdr {
        let head = self.head.get();
        // SAFETY: nobody else looks at the cell before the call is made.
        unsafe {
            (*head).msg_iov = self.parts.as_ptr().cast_mut();
            (*head).msg_iovlen = self.parts.len() as _;
        }
        head
    }
}

/// Where `epoll_wait` writes. Shared access only, so that the kernel's pointer stays good.
pub(crate) struct EventArea(Box<[UnsafeCell<MaybeUninit<libc::epoll_event>>]>);

impl EventArea {
    /// Room for `most` events.
    pub(crate) fn new(most: usize) -> Self {
        EventArea((0..most).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect())
    }

    /// Where it is, and for how many events.
    pub(crate) fn room(&self) -> (*mut libc::epoll_event, usize) {
        (self.0.as_ptr().cast_mut().cast(), self.0.len())
    }

    /// The first `n` events, which the kernel has written: data and bits.
    pub(crate) fn events(&mut self, n: usize) -> Vec<(u64, u32)> {
        let events = self.0.iter_mut().take(n).map(|event| {
            // SAFETY: written by `epoll_wait`, which returned at least this many.
            let event = unsafe { event.get_mut().assume_init() };
            (event.u64, event.events)
        });
        events.collect()
    }
}
