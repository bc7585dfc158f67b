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

/// Estimated time of what runs between two refreshes of the board, at most, if something is on it or is worth being put
/// there.
const REFRESH_NS: Nanos = 5_000;
/// How often the board is filled while every core has work: should one get stuck, others find something there.
const FILL_NS: Nanos = 100_000;
/// Other cores that are looked at in a refresh of the board, to see whether one is idle.
const LOOKS: usize = 8;

/// What an event has to know of all this: is its color worth a note, and is it time for the board?
#[derive(Debug)]
pub(crate) struct Pace {
    /// Colors with so much waiting may be worth a theft. No color is while nobody steals.
    pub(crate) worth_ns: Nanos,
    /// Estimated time of what has run since the board was refreshed.
    since_ns: Nanos,
    /// So much of it makes another refresh due.
    due_ns: Nanos,
}

impl Pace {
    /// Nobody steals.
    pub(crate) const NEVER: Self = Self { worth_ns: Nanos::MAX, since_ns: 0, due_ns: Nanos::MAX };

    /// So much has run, as estimated.
    #[inline]
    pub(crate) fn pass(&mut self, ns: Nanos) {
        self.since_ns = self.since_ns.saturating_add(ns);
    }

    #[inline]
    fn is_due(&self) -> bool {
        self.since_ns >= self.due_ns
    }
}

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
    board: [Option<Kept>; SLOTS],
    on_board: usize,
    /// When thieves are to be woken for what is on the board already.
    remind_at: Nanos,
    /// When colors are to be offered though every core has work.
    fill_at: Nanos,
    /// Where the search for an idle core goes on.
    looked_at: usize,
}

impl Offers {
    pub(crate) fn new() -> Self {
        Self {
            worthy: Worthy::new(),
            board: [None; SLOTS],
            on_board: 0,
            remind_at: 0,
            fill_at: 0,
            looked_at: 0,
        }
    }

    /// When the board is to be refreshed, in estimated time of what runs: before thieves can have run more than half of
    /// what is on it; never, while nothing is on it and nothing is to be put there.
    fn due_ns(&self) -> Nanos {
        match self.on_board {
            0 if self.worthy.is_empty() => Nanos::MAX,
            0 => REFRESH_NS,
            _ => REFRESH_NS.min(self.visible_ns() / 2),
        }
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
        if self.pace.is_due() {
            self.refresh_board(scheduler, 0, 0);
        }
    }

    /// [Refreshes](Self::refresh_board) the board before the first batch after a poll, if there is anything to show. A
    /// core whose colors are all refused comes no further.
    #[inline]
    pub(crate) fn open_board(&mut self, scheduler: &mut impl Scheduler) {
        if self.pace.due_ns != Nanos::MAX {
            self.refresh_board(scheduler, 0, 0);
        }
    }

    /// From now on colors are offered.
    pub(crate) fn begin_offering(&mut self) {
        self.offers = Some(Offers::new());
        self.set_pace(Nanos::MAX);
    }

    fn set_pace(&mut self, due_ns: Nanos) {
        let cost_ns = self.steal_cost.ns();
        // At a cost of 0 every color is worthy.
        let worth_ns = if cost_ns == 0 { 0 } else { cost_ns.saturating_add(1) };
        self.pace = Pace { worth_ns, since_ns: 0, due_ns };
    }

    /// May so much waiting be worth a theft?
    #[inline(always)]
    pub(crate) fn may_be_worthy(&self, queued_ns: Nanos) -> bool {
        queued_ns >= self.pace.worth_ns
    }

    /// Notes a color that may be worth a theft.
    #[inline(never)]
    pub(crate) fn note_worth(&mut self, slot: Slot) {
        let Some(offers) = &mut self.offers else { return };
        let cell = self.colors.cell(slot);
        let Some(stage) = cell.stage().and_then(|stage| self.stages.get(stage.index())) else {
            return;
        };
        let left_ns = stage.left_ns(cell.queued_ns);
        if offers.worthy.note(slot, left_ns, self.steal_cost.ns()) {
            self.pace.due_ns = self.pace.due_ns.min(REFRESH_NS);
        }
    }

    /// A color that may have been worth a theft is about to run.
    #[inline(never)]
    pub(crate) fn forget_worth(&mut self, slot: Slot) {
        if let Some(offers) = &mut self.offers {
            offers.worthy.forget(slot);
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
        // A color must not be where it is going before what it has sent from here.
        self.publish();
        self.sweep(scheduler);
        // What is offered before it is in the scheduler must not be pushed there once it is stolen.
        self.is_fresh_stale |= !self.fresh.is_empty();
        let ready = scheduler.len() + self.reserve.len() + elected;
        let has_offered = (busy_ns > 0 || self.is_fill_due()) && self.fill(ready);
        let Some(offers) = &mut self.offers else { return };
        let due_ns = offers.due_ns();
        let load = Load {
            queued_ns: self.waiting.queued_ns,
            events: self.waiting.events,
            colors: ready as u64,
            slots: offers.board.iter().rposition(Option::is_some).map_or(0, |last| last + 1),
        };
        self.hub.station(self.id).load.publish(&load);
        self.set_pace(due_ns);
        // Last: who is woken reads the load as well as the board. What nobody was woken for, because others were searching,
        // or because it was worth less than a wake at the time, may be worth one now.
        let is_busy = busy_ns >= self.wake_cost.ns();
        let is_due =
            |offers: &Offers| offers.on_board > 0 && (is_busy || offers.remind_at <= self.now);
        if has_offered || self.offers.as_ref().is_some_and(is_due) {
            self.wake_thief(busy_ns);
        }
    }

    /// Is there a core to offer anything to, or has it been long?
    fn is_fill_due(&mut self) -> bool {
        let Some(offers) = &mut self.offers else { return false };
        let cores = self.hub.cores();
        let first = offers.looked_at;
        let mut seen = (first..first + LOOKS.min(cores)).map(|core| CoreId((core % cores) as u16));
        offers.looked_at = (first + LOOKS) % cores;
        let id = self.id;
        let is_idle = |core| core != id && !self.hub.station(core).parker.is_running();
        let is_due = seen.any(is_idle) || offers.fill_at <= self.now;
        if is_due {
            offers.fill_at = self.now.saturating_add(FILL_NS);
        }
        is_due
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
                self.take_ready(scheduler, color, slot);
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
                // At a price of 0 nothing is less worthy than something else.
                if self.pace.worth_ns > 0 {
                    self.reserve.note_theft(self.now);
                }
                if cost_ns > 0 {
                    self.steal_cost.observe_alone(u64::from(cost_ns));
                }
                let slot = Slot(known.cell);
                self.colors.free_cell(slot);
                if let Some(kept) = kept {
                    self.waiting.remove(kept.events, kept.queued_ns);
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

    /// Offers one color, if it is free to go. It may have run since it was noted, if thefts have become dearer in
    /// between.
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
        let penalty_pct = self.renew_penalty(stage);
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
        // What follows once there is room counts too, but not alone.
        let visible_ns = match (offers.visible_ns(), self.steal_cost.ns()) {
            (0, _) => 0,
            // Every color is worthy.
            (shown_ns, 0) => shown_ns.max(self.waiting.queued_ns),
            (shown_ns, cost_ns) => shown_ns.saturating_add(offers.worthy.at_least_ns(cost_ns)),
        };
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

    /// A stage's penalty in percent, as the whole machine has learned it by now.
    fn renew_penalty(&mut self, stage: StageId) -> u32 {
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
        self.waiting.add(record.cell.len(), record.cell.queued_ns);
        self.unpack(entry, record);
        let (_, cell, known) = self.colors.cell_of(entry);
        let Some(ready) = ready(cell, known) else { return };
        self.fresh.push(ready);
        self.trial = home.map(|home| Trial { of: ready, home });
    }
}
