//! The owner's side of the board: what is offered to thieves, and what has been taken.

use crate::board::{Found, SLOTS};
use crate::desk::{Desk, ready};
use crate::event::{CoreId, Nanos, Slot, StageId};
use crate::home::{Away, Place};
use crate::park::{Notice, is_any_searching};
use crate::record::{Record, Status};
use crate::scheduler::Scheduler;
use crate::stealer::{Load, Offer};
use crate::theft::Trial;
use crate::worthy::Worthy;

/// Estimated time after which a board is looked at that has something on it.
const SEEN_NS: Nanos = 5_000;

/// What the owner remembers of a color on its board.
#[derive(Clone, Copy, Debug)]
struct Kept {
    entry: u32,
    /// What is booked for it as waiting.
    events: usize,
    queued_ns: u64,
    /// The stage of the first event.
    stage: StageId,
    /// What thieves were told last.
    offer: Offer,
}

/// Events and their estimated time that wait at a core.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) events: u64,
    pub(crate) queued_ns: u64,
}

impl Waiting {
    #[inline]
    pub(crate) fn add(&mut self, events: usize, queued_ns: u64) {
        self.events += events as u64;
        self.queued_ns += queued_ns;
    }

    #[inline]
    pub(crate) fn remove(&mut self, events: usize, queued_ns: u64) {
        self.events -= events as u64;
        self.queued_ns -= queued_ns;
    }
}

/// Colors worth offering, and those on the board.
#[derive(Debug)]
pub(crate) struct Offers {
    pub(crate) worthy: Worthy,
    pub(crate) waiting: Waiting,
    board: [Option<Kept>; SLOTS],
    on_board: usize,
    /// When thieves are to be woken for what is on the board already.
    remind_at: Nanos,
    /// Estimated time of what has run since the board was refreshed.
    unseen_ns: Nanos,
    /// Thieves have been told that something is on the board.
    is_shown: bool,
}

impl Offers {
    pub(crate) fn new() -> Self {
        Self {
            worthy: Worthy::new(),
            waiting: Waiting::default(),
            board: [None; SLOTS],
            on_board: 0,
            remind_at: 0,
            unseen_ns: 0,
            is_shown: false,
        }
    }

    /// So much has run, as estimated.
    #[inline]
    pub(crate) fn pass(&mut self, ns: Nanos) {
        self.unseen_ns += ns;
    }

    /// Is it time to see what has been taken, and what there is instead? Not before thieves may have run half of what is
    /// on the board; and never while there is nothing on it, and nothing to be put there.
    #[inline]
    fn is_due(&self) -> bool {
        if self.on_board == 0 {
            return self.is_shown || !self.worthy.is_empty();
        }
        self.unseen_ns >= SEEN_NS || self.unseen_ns >= self.visible_ns() / 2
    }

    /// Nothing is in this slot of the board any more.
    fn withdraw(&mut self, board_slot: usize) -> Option<Kept> {
        let kept = self.board.get_mut(board_slot)?.take();
        self.on_board -= usize::from(kept.is_some());
        kept
    }

    fn enter(&mut self, board_slot: usize, kept: Kept) {
        self.board[board_slot] = Some(kept);
        self.on_board += 1;
    }

    fn visible_ns(&self) -> u64 {
        self.board.iter().flatten().map(|kept| kept.offer.queued_ns).sum()
    }
}

impl<E: Send, S: Send> Desk<E, S> {
    /// [Refreshes](Self::refresh_board) the board between two batches, if it is time.
    #[inline]
    pub(crate) fn tend_board(&mut self, scheduler: &mut impl Scheduler) {
        if self.offers.as_ref().is_some_and(Offers::is_due) {
            self.refresh_board(scheduler, 0, 0);
        }
    }

    /// Finds out what was stolen, offers what is worthy, and tells thieves how much there is. `elected` colors have left
    /// the scheduler and not run yet: they can be stolen as well. For `busy_ns` the core will run nothing of what it offers.
    pub(crate) fn refresh_board(
        &mut self,
        scheduler: &mut impl Scheduler,
        elected: usize,
        busy_ns: Nanos,
    ) {
        self.sweep(scheduler);
        let ready = scheduler.len() + elected;
        let has_offered = self.fill(ready);
        let Some(offers) = &mut self.offers else { return };
        offers.unseen_ns = 0;
        offers.is_shown = offers.on_board > 0;
        let load = Load {
            queued_ns: offers.waiting.queued_ns,
            events: offers.waiting.events,
            colors: ready as u64,
            slots: offers.board.iter().rposition(Option::is_some).map_or(0, |last| last + 1),
        };
        self.hub.station(self.id).load.publish(&load);
        // Last: who is woken reads the load as well as the board. What nobody was woken for, because others were searching,
        // or because it was worth less than a wake at the time, may be worth one now.
        let is_busy = busy_ns >= self.wake_cost.ns();
        let is_due =
            |offers: &Offers| offers.on_board > 0 && (is_busy || offers.remind_at <= self.now);
        if has_offered || self.offers.as_ref().is_some_and(is_due) {
            self.wake_thief(busy_ns);
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
                let known = self.colors.entry(kept.entry);
                let (color, slot) = (known.color, Slot(known.cell));
                self.reclaim(kept.entry, board_slot);
                scheduler.take_color(color, slot);
            }
        }
    }

    /// If the color is on the board, takes it back, or learns who has it.
    #[inline]
    pub(crate) fn look_at_board(&mut self, entry: u32) {
        let known = self.colors.entry(entry);
        if !matches!(known.place, Place::Offered) {
            return;
        }
        let (color, slot) = (known.color, Slot(known.cell));
        if let Status::Offered(board_slot) = self.colors.cell(slot).status
            && !self.reclaim(entry, usize::from(board_slot))
        {
            self.gone.push((color, slot));
        }
    }

    /// Takes an offered color back. False if it has been stolen.
    fn reclaim(&mut self, entry: u32, board_slot: usize) -> bool {
        let found = self.hub.station(self.id).board.reclaim(board_slot);
        let kept = self.offers.as_mut().and_then(|offers| offers.withdraw(board_slot));
        match found {
            Found::Item(record) => {
                self.unpack(entry, *record);
                true
            }
            Found::Taken { thief, cost_ns } => {
                let known = self.colors.entry(entry);
                known.place = Place::Away(Box::new(Away { holder: thief, forwarded: 0 }));
                if cost_ns > 0 {
                    self.steal_cost.observe_alone(u64::from(cost_ns));
                }
                let slot = Slot(known.cell);
                self.colors.free_cell(slot);
                if let (Some(offers), Some(kept)) = (&mut self.offers, kept) {
                    offers.waiting.remove(kept.events, kept.queued_ns);
                }
                self.stats.stolen += 1;
                false
            }
            Found::Empty => false,
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
        let cell = self.colors.cell(slot);
        let (entry, pins) = (cell.entry, cell.pins);
        let Some(stage) = cell.stage() else { return false };
        if cell.status != Status::Queued || pins > 0 || !self.colors.entry(entry).is_home {
            return false;
        }
        let mut record = self.pack(entry);
        record.home = self.stages[stage.index()].home_cost();
        let (events, queued_ns) = (record.cell.len(), record.cell.queued_ns);
        let penalty_pct = self.look_at_penalty(stage);
        let shown_events = u32::try_from(events).unwrap_or(u32::MAX);
        let offer = Offer { color: record.color, queued_ns, events: shown_events, penalty_pct };
        match self.hub.station(self.id).board.offer(board_slot, record, &offer) {
            Ok(()) => {
                self.colors.entry(entry).place = Place::Offered;
                self.colors.cell(slot).status = Status::Offered(board_slot as u8);
                if let Some(offers) = &mut self.offers {
                    offers.enter(board_slot, Kept { entry, events, queued_ns, stage, offer });
                }
                self.stats.offers += 1;
                true
            }
            Err(record) => {
                self.unpack(entry, *record);
                false
            }
        }
    }

    /// Wakes one core that waits, if there is work on the board for more than that costs and nobody looks for work.
    fn wake_thief(&mut self, busy_ns: Nanos) {
        self.appraise();
        let Some(offers) = &mut self.offers else { return };
        offers.remind_at = self.now.saturating_add(self.wake_cost.ns());
        // Little work is done sooner by the core itself than by one that has to be woken, if the core gets to it.
        let visible_ns = offers.visible_ns();
        if visible_ns == 0 || visible_ns.max(busy_ns) < self.wake_cost.ns() {
            return;
        }
        self.wake_any();
    }

    /// Says anew how long the offered colors take, by what has been learned since.
    fn appraise(&mut self) {
        let Some(offers) = &mut self.offers else { return };
        for (board_slot, kept) in offers.board.iter_mut().enumerate() {
            let Some(kept) = kept else { continue };
            let Some(stage) = self.stages.get(kept.stage.index()) else { continue };
            let now_ns = kept.events as u64 * u64::from(stage.ns());
            let penalty_pct = self.hub.slow_down(kept.stage).pct();
            if now_ns > kept.offer.queued_ns || penalty_pct != kept.offer.penalty_pct {
                kept.offer.queued_ns = kept.offer.queued_ns.max(now_ns);
                kept.offer.penalty_pct = penalty_pct;
                self.hub.station(self.id).board.appraise(board_slot, &kept.offer);
            }
        }
    }

    /// Wakes one core that waits, unless one is searching.
    fn wake_any(&mut self) {
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

    /// A theft has ended this core's search: if the victim still offers more than a wake costs, and nobody else searches,
    /// another core is woken for it.
    pub(crate) fn pass_on(&mut self, victim: CoreId) {
        self.hub.station(self.id).parker.rise();
        let board = &self.hub.station(victim).board;
        let offered = (0..SLOTS).filter_map(|slot| board.read(slot));
        let visible_ns: u64 = offered.map(|offer| offer.queued_ns).sum();
        if visible_ns >= self.wake_cost.ns() {
            self.wake_any();
        }
    }

    /// What the machine has learned of a stage's penalty.
    fn look_at_penalty(&mut self, stage: StageId) -> u32 {
        let penalty_pct = self.hub.slow_down(stage).pct();
        self.stages[stage.index()].penalty_pct = penalty_pct;
        penalty_pct
    }

    /// Makes a stolen color this core's to run.
    pub(crate) fn adopt(&mut self, record: Record<E, S>) {
        let home = record.home;
        let entry = match self.colors.insert(record.color, Place::Running) {
            Ok(entry) => entry,
            // A thief holds no color that its home still offers.
            Err(_) => return self.dissolve(record),
        };
        let known = self.colors.entry(entry);
        known.is_home = false;
        known.is_transient = record.is_transient;
        known.incarnation = record.incarnation;
        if let Some(offers) = &mut self.offers {
            offers.waiting.add(record.cell.len(), record.cell.queued_ns);
        }
        self.unpack(entry, record);
        let (_, cell, known) = self.colors.cell_of(entry);
        let Some(ready) = ready(cell, known) else { return };
        self.fresh.push(ready);
        self.trial = home.map(|home| Trial { of: ready, home });
    }
}
