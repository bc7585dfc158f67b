//! What becomes of a color that ends: its state and all that waits for it go back to the program.

use crate::desk::{Desk, Waiting};
use crate::event::Slot;
use crate::home::Place;
use crate::hub::Message;
use crate::record::Record;

impl<E: Send, S: Send> Desk<E, S> {
    /// Ends a color that is not in the table any more or runs.
    pub(crate) fn close(&mut self, slot: Slot, record: Record<E, S>) {
        let entry = self.colors.entry(slot);
        let (color, is_home) = (entry.color, entry.is_home);
        self.colors.remove(slot);
        if is_home {
            self.stats.colors -= 1;
        } else {
            let incarnation = record.head.incarnation;
            let home = color.home(self.hub.cores());
            // A home that has ended has no use for the news.
            let _ = self.send(home, Message::Closed { color, incarnation });
        }
        self.waiting.events -= record.head.queue.len() as u64;
        self.waiting.queued_ns -= record.head.queued_ns;
        self.dissolve(record);
    }

    /// Gives all that a color has to the program.
    pub(crate) fn dissolve(&mut self, mut record: Record<E, S>) {
        let color = record.head.color;
        while let Some(queued) = record.head.pop() {
            self.lost.push((color, queued.stage, queued.event));
        }
        while let Some(timer) = record.head.timers.pop() {
            if let Some(armed) = self.cancel_anywhere(timer) {
                self.lost.push((armed.color, armed.stage, armed.event));
            }
        }
        self.ended.push((color, record.state));
    }

    /// Gives everything to the program: the machine has failed.
    pub(crate) fn abandon_all(&mut self) {
        for slot in self.colors.slots() {
            if let Place::Offered(board_slot) = self.colors.entry(slot).place {
                self.reclaim(slot, board_slot);
            }
            if matches!(self.colors.entry(slot).place, Place::Vacant(_)) {
                continue;
            }
            match self.colors.remove(slot) {
                Place::Here(record) => self.dissolve(*record),
                Place::Settling(settling) => {
                    let color = settling.record.head.color;
                    self.dissolve(*settling.record);
                    let later = settling.later.into_iter();
                    self.lost.extend(later.map(|queued| (color, queued.stage, queued.event)));
                }
                _ => {}
            }
        }
        self.waiting = Waiting::default();
        self.stats.colors = 0;
    }
}
