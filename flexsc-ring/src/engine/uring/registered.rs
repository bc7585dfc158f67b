//! Which memory has the kernel pinned already, and which reads and writes use it?

use std::io;
use std::sync::Arc;

use io_uring::opcode;
use io_uring::squeue::Entry;
use io_uring::types::{Fd, Fixed};

use super::Uring;
use crate::buffer::Pool;
use crate::call::Buffer;
use crate::op::Op;
use crate::options::RingError;
use crate::slab::BufferSlab;
use crate::slots::{NONE, Slot};

/// The most slabs that one ring registers.
const MOST: u16 = 64;

/// The slabs of a ring.
#[derive(Default)]
pub(super) struct Slabs {
    /// A slab's place is its index in the kernel's table.
    pools: Vec<Arc<Pool>>,
    /// The kernel has a table, with room for [`MOST`].
    table: bool,
}

impl Slabs {
    /// The index of the slab that these bytes lie in.
    #[inline]
    fn find(&self, ptr: *const u8, len: usize) -> Option<u16> {
        let at = ptr.addr();
        let lies_in = |pool: &Arc<Pool>| {
            let (start, size) = pool.extent();
            at >= start.addr() && at + len <= start.addr() + size
        };
        if len == 0 {
            return None;
        }
        self.pools.iter().position(lies_in).map(|index| index as u16)
    }

    /// The entry of a read or write of registered memory; `None` for any other call.
    #[inline]
    pub(super) fn entry<B>(&self, slot: &Slot<B>) -> Option<Entry> {
        if self.pools.is_empty() {
            return None;
        }
        let (ptr, len) = slot.range();
        let n = u32::try_from(len).ok()?;
        let own = slot.direct.get();
        Some(match slot.op() {
            Op::Read { offset, .. } if own != NONE => {
                let buf = self.find(ptr, len)?;
                opcode::ReadFixed::new(Fixed(own), ptr, n, buf).offset(*offset).build()
            }
            Op::Read { fd, offset, .. } => {
                let buf = self.find(ptr, len)?;
                opcode::ReadFixed::new(Fd(*fd), ptr, n, buf).offset(*offset).build()
            }
            Op::Write { offset, .. } if own != NONE => {
                let buf = self.find(ptr, len)?;
                opcode::WriteFixed::new(Fixed(own), ptr, n, buf).offset(*offset).build()
            }
            Op::Write { fd, offset, .. } => {
                let buf = self.find(ptr, len)?;
                opcode::WriteFixed::new(Fd(*fd), ptr, n, buf).offset(*offset).build()
            }
            _ => return None,
        })
    }
}

impl<B: Buffer> Uring<B> {
    /// Registers the memory of a slab, at most 64 of them: the kernel pins it, so that reads and
    /// writes of its buffers need not. It stays pinned, and mapped, until the ring is dropped.
    ///
    /// # Errors
    ///
    /// If more memory would be pinned than this process may pin. The slab's buffers can be used all
    /// the same.
    pub fn register(&mut self, slab: &BufferSlab) -> Result<(), RingError> {
        let pool = slab.share();
        if self.slabs.pools.iter().any(|known| Arc::ptr_eq(known, &pool)) {
            return Ok(());
        }
        let (start, bytes) = pool.extent();
        let refuse = |source| RingError::Register { bytes, source };
        let index = self.slabs.pools.len();
        if index >= usize::from(MOST) {
            let full = "64 slabs are registered with this ring already";
            return Err(refuse(io::Error::other(full)));
        }
        let submitter = self.ring.submitter();
        if !self.slabs.table {
            submitter.register_buffers_sparse(MOST.into()).map_err(refuse)?;
            self.slabs.table = true;
        }
        let all = libc::iovec { iov_base: start.cast(), iov_len: bytes };
        // SAFETY: `pool` keeps the memory mapped for as long as the ring is there.
        unsafe { submitter.register_buffers_update(index as u32, &[all], None) }.map_err(refuse)?;
        self.slabs.pools.push(pool);
        Ok(())
    }
}
