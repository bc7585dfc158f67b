//! Opens, transfers and closes linked into one batch, over descriptors that only the io_uring knows.

use std::io;

use io_uring::squeue::Flags;
use io_uring::types::{DestinationSlot, Fd, Fixed, OpenHow};
use io_uring::{IoUring, opcode};

use super::Uring;
use crate::call::{Buffer, CURRENT, Call};
use crate::chain::OPENED;
use crate::engine::course::Course;
use crate::op::{CANCELED, Op};
use crate::result::Completion;
use crate::slots::{NONE, Stage};

/// Descriptors of the io_uring's own, so linked chains at once; those beyond go step by step.
const MOST: u32 = 256;

/// The table of the io_uring's own descriptors.
///
/// # Invariants
///
/// 1. A number is on `free`, or belongs to the one link whose entries are with the kernel.
/// 2. The place of a number on `free` is empty.
pub(super) struct Direct {
    free: Vec<u32>,
    links: Vec<Link>,
}

/// An open, a transfer and a close with the kernel.
#[derive(Clone, Copy, Default)]
struct Link {
    /// The slots of the three.
    slots: [u32; 3],
    /// The open is to be tried again, when the others have ended for want of it.
    again: bool,
    /// The open has succeeded, and no close after it.
    full: bool,
    /// Entries whose completions have not come.
    out: u8,
}

impl Direct {
    /// A table that links nothing.
    pub(super) fn none() -> Self {
        Direct { free: Vec::new(), links: Vec::new() }
    }

    /// Registers an empty table.
    pub(super) fn new(ring: &IoUring) -> io::Result<Self> {
        if ring.params().sq_entries() < 3 {
            return Ok(Direct::none());
        }
        ring.submitter().register_files_sparse(MOST)?;
        Ok(Direct { free: (0..MOST).rev().collect(), links: vec![Link::default(); MOST as usize] })
    }

    /// A free number for an open, if it can be linked with what is behind it.
    #[inline]
    pub(super) fn number_for<B>(&self, calls: &[Call<B>]) -> Option<u32> {
        if is_linkable(calls) { self.free.last().copied() } else { None }
    }
}

/// A read or write of the descriptor just opened, that neither waits nor is tried again.
fn is_linkable<B>(calls: &[Call<B>]) -> bool {
    match calls {
        [
            Call::OpenAt2 { .. },
            Call::Read { fd, offset, .. } | Call::Write { fd, offset, .. },
            Call::CloseOpened,
            ..,
        ] => *fd == OPENED && *offset != CURRENT,
        _ => false,
    }
}

impl<B: Buffer> Uring<B> {
    /// Posts an open of a chain, which was given out, and the transfer and the close behind it at
    /// once, over the number that [`Direct::number_for`] gave.
    pub(super) fn link(&mut self, chain: u32, place: usize, number: u32) {
        self.chains.hold(chain, place);
        let mut slots = [self.put(chain, place), NONE, NONE];
        for index in &mut slots[1..] {
            // They are given out, as nothing before them has failed.
            let Some(place) = self.chains.also(chain) else { return };
            *index = self.put(chain, place);
        }
        self.direct.free.pop();
        self.chains.began(chain);
        for index in slots {
            let slot = self.slots.at(index);
            slot.with_op_mut(|op| {
                if let Op::Open { how, .. } = op {
                    how.flags &= !(libc::O_CLOEXEC as u64);
                }
            });
            slot.stage.set(Stage::Running);
            slot.last_try.set(true);
            slot.direct.set(number);
        }
        self.direct.links[number as usize] = Link { slots, again: false, full: false, out: 3 };
        self.push_link(number);
    }

    /// Queues the entries of a link, as one.
    fn push_link(&mut self, number: u32) {
        let slots = self.direct.links[number as usize].slots;
        let entries = slots.map(|index| {
            let slot = self.slots.at(index);
            let (ptr, len) = slot.range();
            let n = u32::try_from(len).unwrap_or(u32::MAX);
            let own = Fixed(number);
            let entry = match slot.op() {
                Op::Open { dir, path, how, .. } => {
                    let how = std::ptr::from_ref(how).cast::<OpenHow>();
                    let place = DestinationSlot::try_from_slot_target(number).ok();
                    let open = opcode::OpenAt2::new(Fd(*dir), path.as_ptr(), how);
                    // Without a descriptor the others do not begin.
                    open.file_index(place).build().flags(Flags::IO_LINK)
                }
                // A failed or short transfer is closed behind all the same.
                Op::Read { offset, .. } => {
                    let read = || opcode::Read::new(own, ptr, n).offset(*offset).build();
                    self.slabs.entry(slot).unwrap_or_else(read).flags(Flags::IO_HARDLINK)
                }
                Op::Write { offset, .. } => {
                    let write = || opcode::Write::new(own, ptr, n).offset(*offset).build();
                    self.slabs.entry(slot).unwrap_or_else(write).flags(Flags::IO_HARDLINK)
                }
                _ => opcode::Close::new(own).build(),
            };
            entry.user_data(self.slots.ticket(index))
        });
        self.push_together(entries);
    }

    /// An entry has ended of which there is no other try.
    pub(super) fn on_last_try(&mut self, index: u32, ret: i64) -> Option<Completion<B>> {
        let slot = self.slots.at(index);
        let number = slot.direct.get();
        if number == NONE {
            let stopped = slot.cancelled.get() && slot.op().starts_over(ret);
            return self.finish(index, if stopped { CANCELED } else { ret }, None);
        }
        let link = &mut self.direct.links[number as usize];
        link.out -= 1;
        if index == link.slots[0] {
            link.full = ret >= 0;
            link.again = !slot.cancelled.get() && slot.op().starts_over(ret);
        } else if index == link.slots[2] && ret >= 0 {
            link.full = false;
        }
        let Link { slots, again, full, out } = *link;
        if again && out > 0 {
            return None;
        }
        if again {
            return self.link_again(number, slots);
        }
        let completion = match ret {
            0.. if index != slots[0] => self.finish_step(index, ret),
            _ => self.finish(index, ret, None),
        };
        if out == 0 {
            if full {
                // The close was cut off from its link.
                let _ = self.ring.submitter().register_files_update(number, &[-1]);
            }
            self.direct.free.push(number);
        }
        completion
    }

    /// The open asked for another try, and the others have ended.
    fn link_again(&mut self, number: u32, slots: [u32; 3]) -> Option<Completion<B>> {
        let link = &mut self.direct.links[number as usize];
        link.again = false;
        if self.slots.at(slots[0]).cancelled.get() {
            self.direct.free.push(number);
            slots.into_iter().for_each(|index| self.end(index, CANCELED));
            return None;
        }
        link.out = 3;
        self.push_link(number);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Engine, Options};
    use crate::result::{Cancelled, Value};
    use crate::ring::Ring;

    #[test]
    fn a_link_whose_open_is_cancelled_between_two_tries_is_not_tried_again() {
        let mut ring = match Uring::<Vec<u8>>::new(&Options::with_engine(Engine::Uring)) {
            Ok(ring) => ring,
            Err(error) => return eprintln!("skipped: {error}"),
        };
        let free = ring.direct.free.len();
        let calls = [
            Call::open_beneath(crate::call::CWD, c"nothing".into()),
            Call::read(OPENED, vec![7; 4], 0..4, 0),
            Call::close_opened(),
        ];
        let ticket = ring.submit(Call::chain(calls.into_iter().collect()), 5).expect("room");
        let Some(number) = (0..MOST).rev().find(|number| !ring.direct.free.contains(number)) else {
            return eprintln!("skipped: no links here");
        };
        // What the kernel says, which never sees this link: the open is to be tried again.
        let slots = ring.direct.links[number as usize].slots;
        assert!(ring.on_last_try(slots[0], -i64::from(libc::EAGAIN)).is_none());
        assert_ne!(ring.cancel(ticket), Cancelled::TooLate);
        for slot in &slots[1..] {
            assert!(ring.on_last_try(*slot, -i64::from(libc::ECANCELED)).is_none());
        }
        ring.go_on();
        assert_eq!((ring.in_flight(), ring.direct.free.len()), (3, free));
        let mut ended = Vec::new();
        ring.done.drain(&mut |completion| ended.push(completion));
        let Some(Completion { user: 5, result: Ok(Value::Chain(results)), more: false }) =
            ended.pop()
        else {
            panic!("the chain ends")
        };
        assert!(matches!(&results[..2], [Err(open), Err(read)]
            if open.is_cancelled() && read.is_cancelled() && read.buf == Some(vec![7; 4])));
        // Its entries still point into the buffer.
        drop(ring);
        drop(results);
    }
}
