//! The receive buffers that the kernel may choose from: io_uring's provided buffer ring.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use memmap2::MmapMut;

use crate::buffer::PoolOwner;

/// The group that receives name.
pub(super) const GROUP: u16 = 0;

/// How many buffers are on offer at first. A small set goes round faster and so stays in the
/// caches; it grows when a turn has used half of it.
const FIRST_OFFER: u32 = 64;

/// The ring of buffers shared with the kernel.
///
/// # Invariants
///
/// 1. `memory` holds `mask + 1` entries; only this type writes them, and the kernel reads those
///    between its head and the tail.
/// 2. At most as many ids are on offer as the pool has, which is no more than there are entries.
pub(super) struct Offer {
    memory: MmapMut,
    mask: u16,
    tail: u16,
    on_offer: u32,
    target: u32,
    most: u32,
    used: u32,
}

impl Offer {
    /// Registers an empty ring for `count` buffers.
    pub(super) fn new(ring: &IoUring, count: u16) -> io::Result<Self> {
        let entries = count.next_power_of_two();
        let bytes = usize::from(entries) * size_of::<BufRingEntry>();
        let memory = MmapMut::map_anon(bytes)?;
        let at = memory.as_ptr().expose_provenance() as u64;
        // SAFETY: `memory` holds `entries` entries. The kernel pins its pages for as long as it may
        // read them, which can be longer than `memory` is mapped. It writes to the buffers that
        // entries name only for receives in flight: when `Uring` goes none is left, or else it
        // leaks the pool.
        unsafe { ring.submitter().register_buf_ring_with_flags(at, entries, GROUP, 0)? };
        let most = u32::from(count);
        let target = FIRST_OFFER.min(most);
        Ok(Offer { memory, mask: entries - 1, tail: 0, on_offer: 0, target, most, used: 0 })
    }

    /// Offers buffers from the pool until the kernel has enough of them.
    #[inline]
    pub(super) fn refill(&mut self, pool: &mut PoolOwner) {
        if self.used * 2 > self.target {
            self.target = (self.target * 2).min(self.most);
        }
        self.used = 0;
        let before = self.on_offer;
        while self.on_offer < self.target {
            let Some(id) = pool.take() else { break };
            let (at, bytes) = pool.memory(id);
            self.push(at, bytes, id);
        }
        if self.on_offer != before {
            self.publish();
        }
    }

    /// The kernel has taken a buffer.
    #[inline]
    pub(super) fn taken(&mut self) {
        self.on_offer -= 1;
        self.used += 1;
    }

    /// The kernel found no buffer: offer more, if the pool has them.
    pub(super) fn ran_dry(&mut self) {
        self.target = (self.target * 2).min(self.most);
    }

    /// Buffers that the kernel may choose from.
    pub(super) fn on_offer(&self) -> u32 {
        self.on_offer
    }

    fn push(&mut self, at: *mut u8, bytes: usize, id: u16) {
        let entries = self.memory.as_mut_ptr().cast::<BufRingEntry>();
        // SAFETY: masked, so inside of `memory` (1); by (2) the kernel does not read this entry
        // now. Entry 0 holds the tail too, which these setters do not touch.
        let entry = unsafe { &mut *entries.add(usize::from(self.tail & self.mask)) };
        entry.set_addr(at.expose_provenance() as u64);
        entry.set_len(bytes as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
        self.on_offer += 1;
    }

    /// Takes back what is on offer, when no receive is in flight any more. The kernel takes
    /// buffers in the order of their offering, so those left are the last ones.
    pub(super) fn withdraw(&mut self, pool: &mut PoolOwner) {
        let entries = self.memory.as_ptr().cast::<BufRingEntry>();
        while self.on_offer > 0 {
            self.tail = self.tail.wrapping_sub(1);
            self.on_offer -= 1;
            // SAFETY: masked, so inside of `memory` (1), and written by `push` before.
            let id = unsafe { (*entries.add(usize::from(self.tail & self.mask))).bid() };
            pool.put(id);
        }
    }

    fn publish(&self) {
        let entries = self.memory.as_ptr().cast::<BufRingEntry>();
        // SAFETY: `entries` is the base of a ring (1); the tail is an aligned u16 in it, which the
        // kernel reads atomically.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(entries).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}
