//! The pool that receives go into, and the buffers that come out of it.

use std::cell::UnsafeCell;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::MmapMut;

use crate::returns::{Pushed, Returns};
use crate::waker::Waker;

/// Spreads the buffers' first lines over the cache's sets: each starts one line further on in its
/// page than the one before it.
const STAGGER: usize = 64;

/// A number for this thread that no other thread of the process ever has.
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static ID: u64 = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    ID.with(|id| *id)
}

/// Buffers of one ring.
///
/// # Invariants
///
/// 1. A buffer's id is in exactly one place: on `local.free`, on `returns`, with the kernel, or in
///    a `RecvBuf`. Who holds the id owns the bytes.
/// 2. Each id stands for one reference count of the pool while the ring lives; the ring gives up
///    the counts of the ids that are home when it goes, and each other `RecvBuf` gives up its own.
/// 3. `local` is used by the thread `owner` alone.
pub(crate) struct Pool {
    memory: MmapMut,
    base: NonNull<u8>,
    stride: usize,
    bytes: usize,
    owner: u64,
    local: UnsafeCell<Local>,
    returns: Returns,
    /// Of the ring that may sleep for want of a buffer.
    waker: Option<Waker>,
}

struct Local {
    free: Vec<u16>,
    open: bool,
}

// SAFETY: `local` is used by the owner alone (3), the bytes by who holds the id (1), and the rest
// is immutable or atomic.
unsafe impl Send for Pool {}
// SAFETY: as above.
unsafe impl Sync for Pool {}

impl Pool {
    /// Where the buffers lie, and how many bytes that are.
    pub(crate) fn extent(&self) -> (*mut u8, usize) {
        (self.base.as_ptr(), self.memory.len())
    }

    /// Gives buffer `id` home, from any thread.
    fn give_back(this: NonNull<Pool>, id: u16) {
        // SAFETY: the id's own reference count keeps the pool alive (2).
        let pool = unsafe { this.as_ref() };
        if pool.owner == this_thread() {
            // SAFETY: this is the owner's thread (3), and the borrow ends before any other code.
            let local = unsafe { &mut *pool.local.get() };
            if local.open {
                return local.free.push(id);
            }
        }
        // Once pushed, the id's count is no longer ours; this one keeps the waker in reach.
        // SAFETY: alive, see above.
        let pool = unsafe {
            Arc::increment_strong_count(this.as_ptr());
            Arc::from_raw(this.as_ptr())
        };
        match pool.returns.push(id) {
            Pushed::Stacked => {}
            Pushed::Awaited => pool.waker.iter().for_each(Waker::wake),
            // SAFETY: the ring has gone and left this id's count to us (2).
            Pushed::Closed => unsafe { Arc::decrement_strong_count(this.as_ptr()) },
        }
    }
}

/// The ring's end of a pool.
pub(crate) struct PoolOwner {
    pool: Arc<Pool>,
    _not_send: std::marker::PhantomData<*mut ()>,
}

impl PoolOwner {
    /// Maps `count` buffers of `bytes` bytes; pages are taken from the system as they are used.
    pub(crate) fn new(count: u16, bytes: usize, waker: Waker) -> io::Result<Self> {
        let stride = bytes.next_multiple_of(STAGGER) + STAGGER;
        Self::with_stride(count, bytes, stride, Some(waker))
    }

    /// Maps `count` buffers of `bytes` bytes that start `stride` bytes from each other.
    pub(crate) fn with_stride(
        count: u16,
        bytes: usize,
        stride: usize,
        waker: Option<Waker>,
    ) -> io::Result<Self> {
        let mut memory = MmapMut::map_anon(stride * usize::from(count))?;
        let base = NonNull::from(&mut memory[..]).cast();
        let free: Vec<u16> = (0..count).rev().collect();
        let pool = Arc::new(Pool {
            memory,
            base,
            stride,
            bytes,
            owner: this_thread(),
            local: UnsafeCell::new(Local { free, open: true }),
            returns: Returns::new(count),
            waker,
        });
        for _ in 0..count {
            std::mem::forget(Arc::clone(&pool));
        }
        Ok(PoolOwner { pool, _not_send: std::marker::PhantomData })
    }

    fn local(&mut self) -> &mut Local {
        // SAFETY: a `PoolOwner` stays on the thread that made it, which is `owner` (3); the borrow
        // cannot overlap with another, as no other code runs while it is used.
        unsafe { &mut *self.pool.local.get() }
    }

    /// Takes a buffer, the one that came home last.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<u16> {
        self.local().free.pop()
    }

    /// Puts a buffer back that no `RecvBuf` was made of.
    #[inline]
    pub(crate) fn put(&mut self, id: u16) {
        self.local().free.push(id);
    }

    /// Collects what other threads gave back.
    #[inline]
    pub(crate) fn reclaim(&mut self) {
        let pool = Arc::as_ptr(&self.pool);
        // SAFETY: `pool` is alive; `local` as in `local()`, and `returns` is another field.
        let (returns, local) = unsafe { (&(*pool).returns, &mut *(*pool).local.get()) };
        returns.drain(|id| local.free.push(id));
    }

    /// Buffers at home.
    pub(crate) fn free(&mut self) -> usize {
        self.local().free.len()
    }

    /// Asks that the next return from another thread wakes the ring. False: one has come.
    pub(crate) fn hunger(&self) -> bool {
        self.pool.returns.hunger()
    }

    /// Where buffer `id` is, and its size.
    #[inline]
    pub(crate) fn memory(&self, id: u16) -> (*mut u8, usize) {
        // SAFETY: ids are below the count, so this stays inside of the mapping.
        let at = unsafe { self.pool.base.add(usize::from(id) * self.pool.stride) };
        (at.as_ptr(), self.pool.bytes)
    }

    /// Makes a buffer of `id`, whose first `len` bytes have been received.
    #[inline]
    pub(crate) fn received(&self, id: u16, len: usize) -> RecvBuf {
        let (data, bytes) = self.memory(id);
        RecvBuf {
            // SAFETY: neither pointer is null.
            data: unsafe { NonNull::new_unchecked(data) },
            len: len.min(bytes),
            id,
            // SAFETY: as above.
            pool: Some(unsafe { NonNull::new_unchecked(Arc::as_ptr(&self.pool).cast_mut()) }),
        }
    }

    /// The memory, mapped for as long as somebody has it.
    pub(crate) fn share(&self) -> Arc<Pool> {
        Arc::clone(&self.pool)
    }

    /// Keeps the memory for ever: the kernel may still write into it.
    pub(crate) fn leak(&self) {
        std::mem::forget(Arc::clone(&self.pool));
    }
}

impl Drop for PoolOwner {
    fn drop(&mut self) {
        let local = self.local();
        local.open = false;
        let mut home = std::mem::take(&mut local.free);
        self.pool.returns.close(|id| home.push(id));
        for _ in home {
            // SAFETY: the id is home and will not come again: its count is ours to give up (2).
            unsafe { Arc::decrement_strong_count(Arc::as_ptr(&self.pool)) };
        }
    }
}

/// Bytes that a [`Call::Recv`](crate::Call::Recv) received. Dropping it, on any thread, gives its
/// memory back to the ring's pool; it may outlive the ring.
pub struct RecvBuf {
    data: NonNull<u8>,
    len: usize,
    id: u16,
    /// `None`: `data` and `len` are a boxed slice, or nothing at all.
    pool: Option<NonNull<Pool>>,
}

// SAFETY: it owns its bytes, and `Pool` is made to be shared.
unsafe impl Send for RecvBuf {}
// SAFETY: as above; a shared reference only reads.
unsafe impl Sync for RecvBuf {}

impl Default for RecvBuf {
    /// No bytes: the end of a stream.
    fn default() -> Self {
        RecvBuf { data: NonNull::dangling(), len: 0, id: 0, pool: None }
    }
}

impl From<Box<[u8]>> for RecvBuf {
    /// Bytes from elsewhere; for rings implemented outside of this crate.
    fn from(bytes: Box<[u8]>) -> Self {
        let len = bytes.len();
        let data = NonNull::from(Box::leak(bytes)).cast();
        RecvBuf { data, len, id: 0, pool: None }
    }
}

impl Deref for RecvBuf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes from `data` on are this value's alone (1).
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }
}

impl DerefMut for RecvBuf {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.len) }
    }
}

impl AsRef<[u8]> for RecvBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for RecvBuf {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl fmt::Debug for RecvBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecvBuf({} bytes)", self.len)
    }
}

impl Drop for RecvBuf {
    #[inline]
    fn drop(&mut self) {
        match self.pool {
            Some(pool) => Pool::give_back(pool, self.id),
            None if self.len == 0 => {}
            None => {
                let bytes = std::ptr::slice_from_raw_parts_mut(self.data.as_ptr(), self.len);
                // SAFETY: made of a boxed slice of this length by `From`.
                drop(unsafe { Box::from_raw(bytes) });
            }
        }
    }
}
