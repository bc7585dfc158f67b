//! Which callback belongs to a call in flight?
//!
//! A key, which a ring carries as `user`, is a place and the place's generation: a completion that
//! comes for a callback that has gone finds nobody.

use super::EventLoop;
use crate::call::Buffer;
use crate::result::{Completion, Ticket};
use crate::ring::Ring;

/// Tells the loop's keys from numbers that a program gives to the ring by itself.
const OURS: u64 = 1 << 63;
/// Generations count in the bits between `OURS` and the place.
const GENERATIONS: u32 = (1 << 31) - 1;
/// No place; ends the list of free ones.
const NONE: u32 = u32::MAX;

/// The key of every call that has no callback: no place has this index.
pub(super) const SILENT: u64 = OURS | NONE as u64;

/// Runs once, for the one completion of a call.
pub(super) type Once<S, B, R> = Box<dyn FnOnce(&mut EventLoop<S, B, R>, Completion<B>)>;
/// Runs for each completion of a call.
pub(super) type Many<S, B, R> = Box<dyn FnMut(&mut EventLoop<S, B, R>, Completion<B>)>;

enum Place<S, B: Buffer, R: Ring<B>> {
    Free {
        next: u32,
    },
    Once(Once<S, B, R>),
    Many(Many<S, B, R>),
    /// Its callback is running, and comes back.
    Out,
}

struct Slot<S, B: Buffer, R: Ring<B>> {
    generation: u32,
    ticket: Ticket,
    place: Place<S, B, R>,
}

/// What a completion finds.
pub(super) enum Found<S, B: Buffer, R: Ring<B>> {
    /// Its callback, for its only or last completion; the key is void now.
    Last(Ticket, Run<S, B, R>),
    /// Its callback, to be brought back.
    Lent(Ticket, Many<S, B, R>),
    /// Nobody.
    Nobody,
}

/// A callback that is to run for the last time.
pub(super) enum Run<S, B: Buffer, R: Ring<B>> {
    Once(Once<S, B, R>),
    Many(Many<S, B, R>),
}

/// The callbacks of all calls in flight.
pub(super) struct Handlers<S, B: Buffer, R: Ring<B>> {
    slots: Vec<Slot<S, B, R>>,
    free: u32,
}

impl<S, B: Buffer, R: Ring<B>> Handlers<S, B, R> {
    pub(super) fn new() -> Self {
        Handlers { slots: Vec::new(), free: NONE }
    }

    /// The key that the next callback will have.
    #[inline]
    pub(super) fn next_key(&self) -> u64 {
        match self.slots.get(self.free as usize) {
            Some(slot) => key(slot.generation, self.free),
            None => key(0, self.slots.len() as u32),
        }
    }

    pub(super) fn add_once(&mut self, ticket: Ticket, run: Once<S, B, R>) {
        self.add(ticket, Place::Once(run));
    }

    pub(super) fn add_many(&mut self, ticket: Ticket, run: Many<S, B, R>) {
        self.add(ticket, Place::Many(run));
    }

    #[inline]
    fn add(&mut self, ticket: Ticket, place: Place<S, B, R>) {
        let Some(slot) = self.slots.get_mut(self.free as usize) else {
            self.slots.push(Slot { generation: 0, ticket, place });
            return;
        };
        if let Place::Free { next } = std::mem::replace(&mut slot.place, place) {
            self.free = next;
        }
        slot.ticket = ticket;
    }

    /// Takes the callback for a completion; with `more`, further ones follow.
    #[inline]
    pub(super) fn take(&mut self, key: u64, more: bool) -> Found<S, B, R> {
        let Some((index, slot)) = self.at(key) else { return Found::Nobody };
        let ticket = slot.ticket;
        match std::mem::replace(&mut slot.place, Place::Out) {
            Place::Many(run) if more => Found::Lent(ticket, run),
            Place::Many(run) => {
                self.release(index);
                Found::Last(ticket, Run::Many(run))
            }
            Place::Once(run) => {
                self.release(index);
                Found::Last(ticket, Run::Once(run))
            }
            other => {
                slot.place = other;
                Found::Nobody
            }
        }
    }

    /// Brings a callback back that has run. It is dropped if nobody waits for it.
    #[inline]
    pub(super) fn bring_back(&mut self, key: u64, run: Many<S, B, R>) {
        if let Some((_, slot)) = self.at(key).filter(|(_, slot)| matches!(slot.place, Place::Out)) {
            slot.place = Place::Many(run);
        }
    }

    /// A callback that was taken will not come back: its key is void.
    pub(super) fn give_up(&mut self, key: u64) {
        let out = self.at(key).filter(|(_, slot)| matches!(slot.place, Place::Out));
        if let Some(index) = out.map(|(index, _)| index) {
            self.release(index);
        }
    }

    fn at(&mut self, key: u64) -> Option<(u32, &mut Slot<S, B, R>)> {
        let index = key as u32;
        let slot = self.slots.get_mut(index as usize)?;
        (self::key(slot.generation, index) == key).then_some((index, slot))
    }

    fn release(&mut self, index: u32) {
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.generation = (slot.generation + 1) & GENERATIONS;
            slot.place = Place::Free { next: self.free };
            self.free = index;
        }
    }
}

/// Was this number given by a loop, for a callback or for none?
#[inline]
pub(super) fn is_ours(user: u64) -> bool {
    user & OURS != 0
}

fn key(generation: u32, index: u32) -> u64 {
    OURS | u64::from(generation) << 32 | u64::from(index)
}
