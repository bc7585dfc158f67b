//! Buffers of the caller's, in one piece of memory that a ring can register.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::buffer::{Pool, PoolOwner, RecvBuf};
use crate::options::RingError;

const PAGE: usize = 4096;

/// Buffers of one size in one mapping, made on a thread and taken there. Registered with a ring of
/// `Uring` ([`Uring::register`](crate::Uring::register)), reads and writes of its buffers need not
/// look up and pin their pages, which pays for files opened with `O_DIRECT`; on the page cache it
/// makes no difference (measured: 0.97 to 1.00 of the time at 1 to 4 KiB, 1.09 at 64 KiB).
///
/// ```
/// use flexsc_ring::{AnyRing, BufferSlab, CWD, Call, Chain, OPENED, Options, Ring, SlabBuffer};
///
/// let mut slab = BufferSlab::new(8, 4096)?;
/// let mut ring: AnyRing<SlabBuffer> = AnyRing::new(&Options::default())?;
/// ring.register(&slab)?;
/// let buf = slab.take().expect("eight are there");
/// let chain = Chain::new()
///     .then(Call::open(CWD, c"/proc/self/stat".into()))
///     .then(Call::read(OPENED, buf, 0..4096, 0))
///     .then(Call::close_opened());
/// ring.submit(Call::chain(chain), 1)?;
/// while ring.in_flight() > 0 {
///     ring.wait(None)?;
///     ring.reap(&mut |done| assert!(done.result.is_ok()));
/// }
/// assert_eq!(slab.free(), 8); // home again, with the completion dropped
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BufferSlab {
    pool: PoolOwner,
    count: u16,
    bytes: usize,
}

impl BufferSlab {
    /// Maps `count` buffers, 1 to 32 768, of `bytes` bytes each, 64 to 2^24, together at most 1 GiB.
    /// A buffer is aligned to its size up to 4096; memory is taken from the system as it is used, or
    /// registered.
    ///
    /// # Errors
    ///
    /// If a number is out of bounds, or there is no memory.
    pub fn new(count: u16, bytes: usize) -> Result<Self, RingError> {
        let refuse = |option, value, bounds: &'static str| {
            Err(RingError::Option { option, value, bounds: bounds.into() })
        };
        if !(1..=32_768).contains(&count) {
            return refuse("slab count", count.into(), "1 to 32768");
        }
        if !(64..=1 << 24).contains(&bytes) {
            return refuse("slab bytes", bytes as u64, "64 to 16777216");
        }
        let stride =
            if bytes < PAGE { bytes.next_power_of_two() } else { bytes.next_multiple_of(PAGE) };
        let total = stride * usize::from(count);
        if total > 1 << 30 {
            return refuse("slab count * bytes", total as u64, "at most 1073741824");
        }
        let pool = PoolOwner::with_stride(count, bytes, stride, None)
            .map_err(|source| RingError::Slab { bytes: total, source })?;
        Ok(BufferSlab { pool, count, bytes })
    }

    /// A buffer of `bytes` bytes, with what its last user left in it; `None` while all are out.
    pub fn take(&mut self) -> Option<SlabBuffer> {
        if self.pool.free() == 0 {
            self.pool.reclaim();
        }
        let id = self.pool.take()?;
        Some(SlabBuffer(self.pool.received(id, self.bytes)))
    }

    /// Buffers at home.
    pub fn free(&mut self) -> usize {
        self.pool.reclaim();
        self.pool.free()
    }

    /// Number of buffers.
    pub fn count(&self) -> usize {
        self.count.into()
    }

    /// Size of a buffer in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The memory, to be kept for as long as somebody may write into it.
    pub(crate) fn share(&self) -> Arc<Pool> {
        self.pool.share()
    }
}

impl fmt::Debug for BufferSlab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BufferSlab({} of {} bytes)", self.count, self.bytes)
    }
}

/// A buffer of a [`BufferSlab`]. Dropped on any thread, it goes home; it may outlive the slab.
pub struct SlabBuffer(RecvBuf);

impl Deref for SlabBuffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for SlabBuffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl AsRef<[u8]> for SlabBuffer {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for SlabBuffer {
    #[inline]
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl fmt::Debug for SlabBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlabBuffer({} bytes)", self.len())
    }
}
