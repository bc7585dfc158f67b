//! What happens to a color when its event begins and ends, and when the color itself ends?

use std::mem;

use crate::desk::{Desk, ready};
use crate::event::{Ready, Slot};
use crate::home::{Next, Place};
use crate::hub::Message;
use crate::offers::Waiting;
use crate::record::{Queued, Record, Status};
use crate::scheduler::Scheduler;

/// An event that is about to run, with the state of its color.
#[derive(Debug)]
pub(crate) struct Begun<E, S> {
    pub(crate) entry: u32,
    /// `None`: no event of the color has run yet.
    pub(crate) state: Option<S>,
    pub(crate) queued: Queued<E>,
}

impl<E: Send, S: Send> Desk<E, S> {
    /// Takes the next event of an elected color, which then runs. `None`: it was stolen, or nothing waits for it.
    #[inline(always)]
    pub(crate) fn begin(&mut self, elected: Ready) -> Option<Begun<E, S>> {
        let (mut cell, mut known) = self.colors.waiting(elected.color, elected.slot)?;
        if let Status::Offered(_) = cell.status {
            let offered = cell.entry;
            self.look_at_board(offered);
            (cell, known) = self.colors.waiting(elected.color, elected.slot)?;
        }
        if cell.status != Status::Queued {
            return None;
        }
        let was_worthy = cell.queued_ns >= self.pace.worth_ns;
        let queued = cell.pop()?;
        let state = match mem::replace(&mut known.place, Place::Running) {
            Place::Here(state) => Some(state),
            _ => None,
        };
        cell.status = Status::Running;
        let entry = cell.entry;
        self.waiting.remove(1, u64::from(queued.cost_ns));
        if was_worthy {
            self.forget_worth(elected.slot);
        }
        Some(Begun { entry, state, queued })
    }

    /// The next event of a running color, if it is of the same stage, needs no memory, and nothing else has become ready or
    /// is to be sent: then there is nothing to elect.
    #[inline(always)]
    pub(crate) fn next_if_alone(&mut self, ran: Ready) -> Option<Queued<E>> {
        let is_alone = self.fresh.is_empty() && self.outbox.is_empty();
        let cell = self.colors.cell(ran.slot);
        if !is_alone || cell.stage() != Some(ran.stage) || self.needs_admission(ran.stage) {
            return None;
        }
        let queued = self.colors.cell(ran.slot).pop()?;
        self.waiting.remove(1, u64::from(queued.cost_ns));
        Some(queued)
    }

    /// Puts a color back after its event has run. Its state comes back if that was its end.
    #[inline(always)]
    pub(crate) fn finish(
        &mut self,
        ran: Ready,
        entry: u32,
        state: S,
        scheduler: &mut impl Scheduler,
    ) -> Option<S> {
        match self.colors.put_back(entry, ran.slot, state) {
            Next::Ready(stage, priority) => {
                let ready = Ready { stage, priority, ..ran };
                if self.fresh.is_empty() {
                    scheduler.push(ready);
                } else {
                    self.fresh.push(ready);
                }
                let queued_ns = self.colors.cell(ran.slot).queued_ns;
                if self.may_be_worthy(queued_ns) && self.colors.entry(entry).is_home {
                    self.note_worth(ran.slot);
                }
                None
            }
            Next::Idle => None,
            Next::Over(state) => {
                self.stats.colors -= 1;
                Some(state)
            }
            Next::Rests => self.rest(ran.slot, entry),
        }
    }

    /// As [`Self::finish`] for a color that runs no handler: one that has come home.
    pub(crate) fn resume(&mut self, entry: u32) {
        let (_, cell, known) = self.colors.cell_of(entry);
        if let Some(ready) = ready(cell, known) {
            cell.status = Status::Queued;
            let queued_ns = cell.queued_ns;
            self.fresh.push(ready);
            if self.may_be_worthy(queued_ns) {
                self.note_worth(ready.slot);
            }
            return;
        }
        let (slot, color) = (Slot(known.cell), known.color);
        if let Some(state) = self.rest(slot, entry) {
            self.ended.push((color, state));
        }
    }

    /// Decides about a color for which no event waits: it stays for its pins and timers, goes home, ends, or is idle.
    fn rest(&mut self, slot: Slot, entry: u32) -> Option<S> {
        let has_timers = self.has_timers(slot);
        let known = self.colors.entry(entry);
        let (is_home, is_transient) = (known.is_home, known.is_transient);
        if self.colors.cell(slot).pins > 0 {
            return None;
        }
        if !is_home {
            // Its home could not tell when a timer of this core has fired, nor so when nothing waits any more.
            if !(is_transient && self.has_own_timers(slot)) {
                self.send_home(slot, entry);
            }
            return None;
        }
        if has_timers {
            return None;
        }
        self.colors.free_cell(slot);
        if !is_transient {
            return None;
        }
        self.stats.colors -= 1;
        match self.colors.remove(entry) {
            Place::Here(state) => Some(state),
            _ => None,
        }
    }

    /// Boxes all that is a color's own. Its entry and its cell stay, empty.
    pub(crate) fn pack(&mut self, entry: u32) -> Box<Record<E, S>> {
        let (_, cell, known) = self.colors.cell_of(entry);
        let mut cell = cell.move_out();
        let state = match mem::replace(&mut known.place, Place::Running) {
            Place::Here(state) => Some(state),
            _ => None,
        };
        let (color, incarnation, received) = (known.color, known.incarnation, known.received);
        let is_transient = known.is_transient;
        self.name_timer(&mut cell);
        Box::new(Record { color, incarnation, received, is_transient, home: None, state, cell })
    }

    /// Undoes [`Self::pack`]: what waits for the color waits here again. Its status is `Queued`, which is for the caller to
    /// correct if no event waits.
    pub(crate) fn unpack(&mut self, entry: u32, record: Record<E, S>) {
        let (_, cell, known) = self.colors.cell_of(entry);
        let Record { state, cell: mut packed, .. } = record;
        (packed.entry, packed.status) = (cell.entry, Status::Queued);
        *cell = packed;
        known.place = state.map_or(Place::Unborn, Place::Here);
    }

    /// Takes a color out of the tables, with all that is its own.
    pub(crate) fn take_out(&mut self, entry: u32) -> Box<Record<E, S>> {
        let record = self.pack(entry);
        let slot = Slot(self.colors.entry(entry).cell);
        self.colors.free_cell(slot);
        self.colors.remove(entry);
        record
    }

    /// Sends a stolen color home.
    fn send_home(&mut self, slot: Slot, entry: u32) {
        debug_assert_eq!(self.colors.entry(entry).cell, slot.0);
        let record = self.take_out(entry);
        self.stats.returned += 1;
        let home = record.color.home(self.hub.cores());
        if let Err(Message::Return { record }) = self.send(home, Message::Return { record }) {
            self.dissolve(*record);
        }
    }

    /// Ends a color whose event has run, on its own request or after a panic.
    #[cold]
    pub(crate) fn close(&mut self, entry: u32, state: Option<S>) {
        let known = self.colors.entry(entry);
        let is_home = known.is_home;
        known.place = match state {
            Some(state) => Place::Here(state),
            None => Place::Unborn,
        };
        let record = self.take_out(entry);
        if is_home {
            self.stats.colors -= 1;
        } else {
            let (color, incarnation) = (record.color, record.incarnation);
            let home = color.home(self.hub.cores());
            // A home that has ended has no use for the news.
            let _ = self.send(home, Message::Closed { color, incarnation });
        }
        self.waiting.remove(record.cell.len(), record.cell.queued_ns);
        self.dissolve(*record);
    }

    /// Gives all that a color has to the program.
    pub(crate) fn dissolve(&mut self, record: Record<E, S>) {
        let Record { color, state, mut cell, .. } = record;
        while let Some(queued) = cell.pop() {
            self.lost.push((color, queued.stage, queued.event));
        }
        for (timer, _) in cell.take_timers() {
            if let Some(armed) = self.cancel_anywhere(timer) {
                self.lost.push((armed.color, armed.target.stage, armed.event));
            }
        }
        self.ended.extend(state.map(|state| (color, state)));
    }

    /// Gives everything to the program: the machine has failed.
    pub(crate) fn abandon_all(&mut self) {
        for entry in 0..self.colors.entries() {
            self.look_at_board(entry);
            match &mut self.colors.entry(entry).place {
                Place::Vacant(_) => {}
                Place::Here(_) | Place::Unborn | Place::Running => {
                    let record = self.take_out(entry);
                    self.dissolve(*record);
                }
                Place::Away(_) | Place::Offered | Place::Settling(_) => {
                    if let Place::Settling(settling) = self.colors.remove(entry) {
                        let color = settling.record.color;
                        self.dissolve(*settling.record);
                        let later = settling.later.into_iter();
                        self.lost.extend(later.map(|queued| (color, queued.stage, queued.event)));
                    }
                }
            }
        }
        self.waiting = Waiting::default();
        self.stats.colors = 0;
        let armed = self.wheel.drain();
        self.lost.extend(armed.map(|armed| (armed.color, armed.target.stage, armed.event)));
    }
}
