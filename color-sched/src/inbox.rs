//! What a core does with what others tell it.

use crate::desk::Desk;
use crate::event::{Color, Target};
use crate::home::{NIL, Place, Settling};
use crate::hub::Message;
use crate::record::{Record, Status};

impl<E: Send, S: Send> Desk<E, S> {
    /// Acts on one message.
    pub(crate) fn deliver(&mut self, message: Message<E, S>) {
        match message {
            Message::Open { color, state } => {
                if let Err(state) = self.open_here(color, state) {
                    self.ended.push((color, state));
                }
            }
            Message::Post { color, target, event } => {
                if let Err(event) = self.post_from_afar(color, target, event) {
                    self.lost.push((color, target.stage, event));
                }
            }
            Message::Forward { color, incarnation, target, event } => {
                self.receive(color, incarnation, target, event);
            }
            Message::Back { color, incarnation, target, event } => {
                self.take_back(color, incarnation, target, event);
            }
            Message::Return { record } => self.welcome(record),
            Message::Closed { color, incarnation } => self.strike(color, incarnation),
            Message::Cancel { timer } => self.cancel_here(timer),
        }
    }

    /// At the holder: an event from the home.
    fn receive(&mut self, color: Color, incarnation: u32, target: Target, event: E) {
        if let Some(entry) = self.colors.find(color)
            && let known = self.colors.entry(entry)
            && !known.is_home
            && known.incarnation == incarnation
        {
            known.received = known.received.wrapping_add(1);
            if let Err(event) = self.append_here(entry, target, event) {
                self.lost.push((color, target.stage, event));
            }
            return;
        }
        let home = color.home(self.hub.cores());
        let message = Message::Back { color, incarnation, target, event };
        if let Err(Message::Back { event, .. }) = self.send(home, message) {
            self.lost.push((color, target.stage, event));
        }
    }

    /// At the home: an event that the holder received too late.
    fn take_back(&mut self, color: Color, incarnation: u32, target: Target, event: E) {
        let queued = self.queued(target, event);
        if let Some(entry) = self.colors.find(color)
            && let Place::Settling(settling) = &mut self.colors.entry(entry).place
            && settling.record.incarnation == incarnation
        {
            settling.record.cell.push(queued);
            settling.missing -= 1;
            if settling.missing == 0 {
                self.settled(entry);
            }
            return;
        }
        self.lost.push((color, queued.stage, queued.event));
    }

    /// At the home: a stolen color comes back.
    fn welcome(&mut self, record: Box<Record<E, S>>) {
        let Some(entry) = self.colors.find(record.color) else { return self.dissolve(*record) };
        self.look_at_board(entry);
        let known = self.colors.entry(entry);
        let Place::Away(away) = &known.place else { return self.dissolve(*record) };
        let missing = away.forwarded.wrapping_sub(record.received);
        if missing == 0 {
            return self.come_home(entry, *record);
        }
        known.place = Place::Settling(Box::new(Settling { record, missing, later: Vec::new() }));
    }

    /// Nothing is missing any more: what was posted meanwhile follows what has come back.
    fn settled(&mut self, entry: u32) {
        let known = self.colors.entry(entry);
        let Place::Settling(settling) = std::mem::replace(&mut known.place, Place::Running) else {
            return;
        };
        let Settling { mut record, later, .. } = *settling;
        for queued in later {
            record.cell.push(queued);
        }
        self.waiting.add(record.cell.len(), record.cell.queued_ns);
        self.come_home(entry, *record);
    }

    /// A color is complete again, and this core's to run.
    fn come_home(&mut self, entry: u32, record: Record<E, S>) {
        debug_assert_eq!(self.colors.entry(entry).cell, NIL);
        self.unpack(entry, record);
        self.colors.cell_of(entry).1.status = Status::Resting;
        self.resume(entry);
    }

    /// At the home: a stolen color has closed.
    fn strike(&mut self, color: Color, incarnation: u32) {
        let Some(entry) = self.colors.find(color) else { return };
        self.look_at_board(entry);
        let known = self.colors.entry(entry);
        if matches!(known.place, Place::Away(_)) && known.incarnation == incarnation {
            self.colors.remove(entry);
            self.stats.colors -= 1;
        }
    }
}
