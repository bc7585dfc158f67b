//! What a core does with what others tell it.

use crate::desk::{Desk, Origin};
use crate::event::{Color, StageId};
use crate::home::{Place, Settling};
use crate::hub::Message;
use crate::record::{Queued, Record};

impl<E: Send, S: Send> Desk<E, S> {
    /// Acts on one message.
    pub(crate) fn deliver(&mut self, message: Message<E, S>) {
        match message {
            Message::Open { color, state } => {
                if let Err(state) = self.open_here(color, state) {
                    self.ended.push((color, state));
                }
            }
            Message::Post { color, stage, event } => {
                let posted = match self.colors.find(color) {
                    Some(slot) => self.post_at(slot, Origin::Handler, stage, event),
                    None => Err(event),
                };
                if let Err(event) = posted {
                    self.lost.push((color, stage, event));
                }
            }
            Message::Forward { color, incarnation, stage, event } => {
                self.receive(color, incarnation, stage, event);
            }
            Message::Back { color, incarnation, stage, event } => {
                self.take_back(color, incarnation, stage, event);
            }
            Message::Return { record } => self.welcome(record),
            Message::Closed { color, incarnation } => self.strike(color, incarnation),
            Message::Cancel { timer } => self.cancel_here(timer),
        }
    }

    /// At the holder: an event from the home.
    fn receive(&mut self, color: Color, incarnation: u64, stage: StageId, event: E) {
        if let Some(slot) = self.colors.find(color)
            && let entry = self.colors.entry(slot)
            && !entry.is_home
            && let Place::Here(record) = &mut entry.place
            && record.head.incarnation == incarnation
        {
            record.head.received += 1;
            if let Err(event) = self.append(slot, stage, event) {
                self.lost.push((color, stage, event));
            }
            return;
        }
        let home = color.home(self.hub.cores());
        let message = Message::Back { color, incarnation, stage, event };
        if let Err(Message::Back { event, .. }) = self.send(home, message) {
            self.lost.push((color, stage, event));
        }
    }

    /// At the home: an event that the holder received too late.
    fn take_back(&mut self, color: Color, incarnation: u64, stage: StageId, event: E) {
        let cost_ns = self.stages[stage.index()].cost_ns();
        if let Some(slot) = self.colors.find(color)
            && let Place::Settling(settling) = &mut self.colors.entry(slot).place
            && settling.record.head.incarnation == incarnation
        {
            settling.record.head.push(Queued { stage, cost_ns, event });
            settling.missing -= 1;
            if settling.missing == 0 {
                self.settled(slot);
            }
            return;
        }
        self.lost.push((color, stage, event));
    }

    /// At the home: a stolen color comes back.
    fn welcome(&mut self, mut record: Box<Record<E, S>>) {
        let color = record.head.color;
        let Some(slot) = self.colors.find(color) else {
            return self.ended.push((color, record.state));
        };
        self.look_at_board(slot);
        let entry = self.colors.entry(slot);
        let Place::Away(away) = &entry.place else {
            return self.ended.push((color, record.state));
        };
        let missing = away.forwarded.saturating_sub(record.head.received);
        record.head.received = 0;
        entry.place = match missing {
            0 => Place::Here(record),
            _ => Place::Settling(Box::new(Settling { record, missing, later: Vec::new() })),
        };
    }

    /// Nothing is missing any more: what was posted meanwhile follows what has come back.
    fn settled(&mut self, slot: crate::event::Slot) {
        let entry = self.colors.entry(slot);
        let place = std::mem::replace(&mut entry.place, Place::Running);
        let Place::Settling(settling) = place else {
            entry.place = place;
            return;
        };
        let Settling { mut record, later, .. } = *settling;
        for queued in later {
            record.head.push(queued);
        }
        self.waiting.events += record.head.queue.len() as u64;
        self.waiting.queued_ns += record.head.queued_ns;
        self.finish(slot, record);
    }

    /// At the home: a stolen color has closed.
    fn strike(&mut self, color: Color, incarnation: u64) {
        let Some(slot) = self.colors.find(color) else { return };
        self.look_at_board(slot);
        if let Place::Away(away) = &self.colors.entry(slot).place
            && away.incarnation == incarnation
        {
            self.colors.remove(slot);
            self.stats.colors -= 1;
        }
    }
}
