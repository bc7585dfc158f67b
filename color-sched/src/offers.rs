//! The owner's side of the board: what is offered to thieves, and what has been taken.

use crate::board::SLOTS;
use crate::desk::Desk;
use crate::event::{Ready, Slot};
use crate::home::Place;
use crate::park::{Notice, is_any_searching};
use crate::record::Record;
use crate::scheduler::Scheduler;
use crate::stealer::{Load, Offer};
use crate::worthy::Worthy;

/// What the owner remembers of a color on its board.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept {
    slot: u32,
    pub(crate) incarnation: u64,
    pub(crate) events: u64,
    pub(crate) queued_ns: u64,
}

/// Colors worth offering, and those on the board.
#[derive(Debug)]
pub(crate) struct Offers {
    pub(crate) worthy: Worthy,
    board: [Option<Kept>; SLOTS],
    on_board: usize,
}

impl Offers {
    pub(crate) fn new() -> Self {
        Self { worthy: Worthy::new(), board: [None; SLOTS], on_board: 0 }
    }

    /// Nothing is in this slot of the board any more.
    pub(crate) fn withdraw(&mut self, board_slot: usize) -> Option<Kept> {
        let kept = self.board.get_mut(board_slot)?.take();
        self.on_board -= usize::from(kept.is_some());
        kept
    }

    fn enter(&mut self, board_slot: usize, kept: Kept) {
        self.board[board_slot] = Some(kept);
        self.on_board += 1;
    }

    fn visible_ns(&self) -> u64 {
        self.board.iter().flatten().map(|kept| kept.queued_ns).sum()
    }
}

impl<E: Send, S: Send> Desk<E, S> {
    /// Finds out what was stolen, offers what is worthy, and tells thieves how much there is. `elected` colors have left
    /// the scheduler and not run yet: they can be stolen as well.
    pub(crate) fn refresh_board(&mut self, scheduler: &mut impl Scheduler, elected: usize) {
        if self.offers.is_none() {
            return;
        }
        self.sweep(scheduler);
        let ready = scheduler.len() + elected;
        let has_offered = self.fill(ready);
        let load = Load {
            queued_ns: self.waiting.queued_ns,
            events: self.waiting.events,
            colors: ready as u64,
            slots: SLOTS,
        };
        self.hub.station(self.id).load.publish(&load);
        // Last: who is woken reads the load as well as the board.
        if has_offered {
            self.wake_thief();
        }
    }

    fn sweep(&mut self, scheduler: &mut impl Scheduler) {
        for board_slot in 0..SLOTS {
            let Some(offers) = &self.offers else { return };
            if offers.on_board == 0 {
                return;
            }
            let Some(kept) = offers.board[board_slot] else { continue };
            if self.hub.station(self.id).board.is_taken(board_slot) {
                let slot = Slot(kept.slot);
                self.reclaim(slot, board_slot as u8);
                scheduler.take_color(self.colors.entry(slot).color, slot);
            }
        }
    }

    /// Offers worthy colors while there is room, and leaves the owner one of its `ready` colors. True if it offered any.
    fn fill(&mut self, ready: usize) -> bool {
        let mut has_offered = false;
        let mut board_slot = 0;
        while board_slot < SLOTS {
            let Some(offers) = &mut self.offers else { break };
            if offers.on_board + 1 >= ready {
                break;
            }
            if offers.board[board_slot].is_none() {
                let Some(slot) = offers.worthy.pop() else { break };
                if !self.offer(slot, board_slot) {
                    continue;
                }
                has_offered = true;
            }
            board_slot += 1;
        }
        has_offered
    }

    /// Offers one color, if it is free to go.
    fn offer(&mut self, slot: Slot, board_slot: usize) -> bool {
        let entry = self.colors.entry(slot);
        let is_free = entry.is_home && entry.is_queued;
        let record = match std::mem::replace(&mut entry.place, Place::Running) {
            Place::Here(record) if is_free && record.head.pins == 0 => record,
            place => {
                entry.place = place;
                return false;
            }
        };
        let head = &record.head;
        let events = head.queue.len();
        let stage = head.queue.stage().map_or(0, |stage| stage.index());
        let offer = Offer {
            color: head.color,
            queued_ns: head.queued_ns,
            events: u32::try_from(events).unwrap_or(u32::MAX),
            penalty: self.stages[stage].penalty,
        };
        let kept = Kept {
            slot: slot.0,
            incarnation: head.incarnation,
            events: events as u64,
            queued_ns: head.queued_ns,
        };
        match self.hub.station(self.id).board.offer(board_slot, record, &offer) {
            Ok(()) => {
                entry.place = Place::Offered(board_slot as u8);
                if let Some(offers) = &mut self.offers {
                    offers.enter(board_slot, kept);
                }
                self.stats.offers += 1;
                true
            }
            Err(record) => {
                entry.place = Place::Here(record);
                false
            }
        }
    }

    /// Wakes one core that waits, if there is work on the board for more than that costs and nobody looks for work.
    fn wake_thief(&mut self) {
        let visible_ns = self.offers.as_ref().map_or(0, Offers::visible_ns);
        if visible_ns < self.wake_cost.ns() {
            return;
        }
        if is_any_searching(self.hub.others(self.id).map(|station| &*station.parker)) {
            return;
        }
        for station in self.hub.others(self.id) {
            match self.hub.wake_station(station) {
                Notice::Runs => {}
                Notice::Looks | Notice::Kept => return,
                Notice::Wake => {
                    self.stats.wakes += 1;
                    return;
                }
            }
        }
    }

    /// Makes a stolen color this core's to run.
    pub(crate) fn adopt(&mut self, mut record: Box<Record<E, S>>) {
        record.head.received = 0;
        let color = record.head.color;
        let stage = record.head.queue.stage();
        self.waiting.events += record.head.queue.len() as u64;
        self.waiting.queued_ns += record.head.queued_ns;
        let slot = self.colors.insert(color, false, Place::Here(record));
        if let Some(stage) = stage {
            self.colors.entry(slot).is_queued = true;
            self.fresh.push(Ready { color, stage, slot });
        }
    }
}
