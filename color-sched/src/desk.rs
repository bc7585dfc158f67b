//! What a core owns, and what may be done with it: open, post, run, close. No waiting, no policy.

use std::mem;
use std::sync::Arc;

use crate::board::Found;
use crate::context::TimerId;
use crate::event::{Color, CoreId, Nanos, Ready, Slot, StageId};
use crate::home::{Away, Colors, Place};
use crate::hub::{Hub, Message};
use crate::learn::Estimate;
use crate::machine::Config;
use crate::offers::Offers;
use crate::record::{Head, Queued, Record};
use crate::scheduler::Scheduler;
use crate::stats::CoreStats;
use crate::timer::Wheel;

/// Who posts: whether an event for a stolen color may stay with its holder depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The core's driver: stays if the color is pinned here.
    Driver,
    /// A handler of another color, or another core: goes by the home.
    Handler,
    /// A timer of the color itself: stays.
    Timer,
}

/// The event of a timer.
#[derive(Debug)]
pub(crate) struct Armed<E> {
    pub(crate) color: Color,
    pub(crate) stage: StageId,
    pub(crate) event: E,
}

/// What a stage costs.
#[derive(Debug)]
pub(crate) struct StageCost {
    pub(crate) estimate: Estimate,
    pub(crate) penalty: u32,
}

impl StageCost {
    #[inline]
    pub(crate) fn cost_ns(&self) -> u32 {
        self.estimate.ns().min(u64::from(u32::MAX)) as u32
    }
}

/// Events and their estimated time that wait at a core.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) events: u64,
    pub(crate) queued_ns: u64,
}

/// A color whose event is about to run, and that event.
pub(crate) type Begun<E, S> = (Box<Record<E, S>>, Queued<E>);

/// A core's possessions.
#[derive(Debug)]
pub(crate) struct Desk<E, S> {
    pub(crate) id: CoreId,
    pub(crate) hub: Arc<Hub<E, S>>,
    pub(crate) colors: Colors<E, S>,
    wheel: Wheel<Armed<E>>,
    /// Colors that have become ready and are not in the scheduler yet.
    pub(crate) fresh: Vec<Ready>,
    /// Colors that are in the scheduler and were found stolen.
    pub(crate) gone: Vec<(Color, Slot)>,
    /// Events whose color has closed, for the program.
    pub(crate) lost: Vec<(Color, StageId, E)>,
    /// States of colors that have closed, for the program.
    pub(crate) ended: Vec<(Color, S)>,
    /// Cores that messages were sent to, to be woken.
    touched: Vec<CoreId>,
    pub(crate) stages: Vec<StageCost>,
    pub(crate) steal_cost: Estimate,
    pub(crate) wake_cost: Estimate,
    pub(crate) waiting: Waiting,
    /// Present while this core's colors are offered to others.
    pub(crate) offers: Option<Offers>,
    queue_limit: usize,
    /// The program has been told to stop.
    pub(crate) is_stopping: bool,
    /// No color is open on any core, and nothing is sent any more.
    pub(crate) is_sealed: bool,
    /// The time of the last stamp.
    pub(crate) now: Nanos,
    pub(crate) stats: CoreStats,
}

impl<E: Send, S: Send> Desk<E, S> {
    pub(crate) fn new(id: CoreId, hub: Arc<Hub<E, S>>, config: &Config) -> Self {
        let stage = |info: &crate::StageInfo| StageCost {
            estimate: Estimate::new(info.cost),
            penalty: info.penalty.max(1),
        };
        Self {
            id,
            hub,
            colors: Colors::new(),
            wheel: Wheel::default(),
            fresh: Vec::new(),
            gone: Vec::new(),
            lost: Vec::new(),
            ended: Vec::new(),
            touched: Vec::new(),
            stages: config.stages.iter().map(stage).collect(),
            steal_cost: Estimate::new(config.steal_cost),
            wake_cost: Estimate::new(config.wake_cost),
            waiting: Waiting::default(),
            offers: None,
            queue_limit: config.queue_limit,
            is_stopping: false,
            is_sealed: false,
            now: 0,
            stats: CoreStats::default(),
        }
    }

    /// Opens a color, here or at its home.
    pub(crate) fn open(&mut self, color: Color, state: S) -> Result<(), S> {
        if self.is_stopping {
            return Err(state);
        }
        let home = color.home(self.hub.cores());
        if home == self.id {
            return self.open_here(color, state);
        }
        match self.send(home, Message::Open { color, state }) {
            Err(Message::Open { state, .. }) => Err(state),
            _ => Ok(()),
        }
    }

    pub(crate) fn open_here(&mut self, color: Color, state: S) -> Result<(), S> {
        if self.is_stopping || self.colors.find(color).is_some() {
            return Err(state);
        }
        let record = Box::new(Record::new(color, self.colors.incarnate(), state));
        self.colors.insert(color, true, Place::Here(record));
        self.stats.colors += 1;
        Ok(())
    }

    /// Appends an event to a color, wherever it is.
    #[inline]
    pub(crate) fn post(
        &mut self,
        origin: Origin,
        color: Color,
        stage: StageId,
        event: E,
    ) -> Result<(), E> {
        if stage.index() >= self.stages.len() {
            return Err(event);
        }
        match self.colors.find(color) {
            Some(slot) => self.post_at(slot, origin, stage, event),
            None => self.post_home(color, stage, event),
        }
    }

    /// Sends an event to the home of its color.
    fn post_home(&mut self, color: Color, stage: StageId, event: E) -> Result<(), E> {
        let home = color.home(self.hub.cores());
        if home == self.id {
            return Err(event);
        }
        match self.send(home, Message::Post { color, stage, event }) {
            Err(Message::Post { event, .. }) => Err(event),
            _ => {
                self.stats.sent += 1;
                Ok(())
            }
        }
    }

    #[inline(always)]
    pub(crate) fn post_at(
        &mut self,
        slot: Slot,
        origin: Origin,
        stage: StageId,
        event: E,
    ) -> Result<(), E> {
        let entry = self.colors.entry(slot);
        if entry.is_home && matches!(entry.place, Place::Here(_)) {
            return self.append(slot, stage, event);
        }
        self.post_astray(slot, origin, stage, event)
    }

    /// Appends an event to a color that is not simply at home.
    #[cold]
    fn post_astray(
        &mut self,
        slot: Slot,
        origin: Origin,
        stage: StageId,
        event: E,
    ) -> Result<(), E> {
        self.look_at_board(slot);
        let cost_ns = self.stages[stage.index()].cost_ns();
        let entry = self.colors.entry(slot);
        let color = entry.color;
        match &mut entry.place {
            Place::Here(record) => {
                let stays = entry.is_home
                    || origin == Origin::Timer
                    || (origin == Origin::Driver && record.head.pins > 0);
                match stays {
                    true => self.append(slot, stage, event),
                    false => self.post_home(color, stage, event),
                }
            }
            Place::Away(away) => {
                away.forwarded += 1;
                let (holder, incarnation) = (away.holder, away.incarnation);
                self.stats.forwarded += 1;
                let message = Message::Forward { color, incarnation, stage, event };
                match self.send(holder, message) {
                    Err(Message::Forward { event, .. }) => Err(event),
                    _ => Ok(()),
                }
            }
            Place::Settling(settling) => {
                settling.later.push(Queued { stage, cost_ns, event });
                Ok(())
            }
            Place::Running | Place::Vacant(_) | Place::Offered(_) => Err(event),
        }
    }

    /// Appends an event to a color that is here.
    #[inline(always)]
    pub(crate) fn append(&mut self, slot: Slot, stage: StageId, event: E) -> Result<(), E> {
        let cost_ns = self.stages[stage.index()].cost_ns();
        let entry = self.colors.entry(slot);
        let Place::Here(record) = &mut entry.place else { return Err(event) };
        if record.head.queue.len() >= self.queue_limit {
            return Err(event);
        }
        record.head.push(Queued { stage, cost_ns, event });
        self.waiting.events += 1;
        self.waiting.queued_ns += u64::from(cost_ns);
        if !entry.is_queued {
            entry.is_queued = true;
            self.fresh.push(Ready { color: entry.color, stage, slot });
        } else if let Some(offers) = &mut self.offers {
            let ready = Ready { color: entry.color, stage, slot };
            offers.worthy.note(ready, record.head.queued_ns, self.steal_cost.ns());
        }
        Ok(())
    }

    /// Appends an event to the color that is running.
    #[inline]
    pub(crate) fn next(&mut self, head: &mut Head<E>, stage: StageId, event: E) -> Result<(), E> {
        let Some(known) = self.stages.get(stage.index()) else { return Err(event) };
        if head.queue.len() >= self.queue_limit {
            return Err(event);
        }
        let cost_ns = known.cost_ns();
        head.push(Queued { stage, cost_ns, event });
        self.waiting.events += 1;
        self.waiting.queued_ns += u64::from(cost_ns);
        Ok(())
    }

    /// Takes the record of an elected color, which then runs. `None`: it was stolen, or nothing waits for it.
    #[inline]
    pub(crate) fn begin(&mut self, ready: Ready) -> Option<Begun<E, S>> {
        let mut entry = self.colors.get(ready.slot)?;
        if let Place::Offered(board_slot) = entry.place {
            self.reclaim(ready.slot, board_slot);
            entry = self.colors.entry(ready.slot);
        }
        if entry.color != ready.color {
            return None;
        }
        let Place::Here(record) = &mut entry.place else { return None };
        let queued = record.head.pop()?;
        entry.is_queued = false;
        let Place::Here(record) = mem::replace(&mut entry.place, Place::Running) else {
            return None;
        };
        self.waiting.events -= 1;
        self.waiting.queued_ns -= u64::from(queued.cost_ns);
        if let Some(offers) = &mut self.offers {
            offers.worthy.forget(ready.slot);
        }
        Some((record, queued))
    }

    /// Puts a record back after its event has run.
    #[inline]
    pub(crate) fn finish(&mut self, slot: Slot, record: Box<Record<E, S>>) {
        if record.head.is_closing {
            return self.close(slot, *record);
        }
        let entry = self.colors.entry(slot);
        match record.head.queue.stage() {
            Some(stage) => {
                entry.is_queued = true;
                self.fresh.push(Ready { color: entry.color, stage, slot });
            }
            None if !entry.is_home && record.head.pins == 0 => return self.send_home(slot, record),
            None => {}
        }
        entry.place.put_back(record);
    }

    /// Sends a stolen color home.
    fn send_home(&mut self, slot: Slot, record: Box<Record<E, S>>) {
        self.colors.remove(slot);
        self.stats.returned += 1;
        let home = record.head.color.home(self.hub.cores());
        if let Err(Message::Return { record }) = self.send(home, Message::Return { record }) {
            self.dissolve(*record);
        }
    }

    /// If the color is on the board, takes it back, or learns who has it.
    #[inline]
    pub(crate) fn look_at_board(&mut self, slot: Slot) {
        let entry = self.colors.entry(slot);
        if let Place::Offered(board_slot) = entry.place {
            let color = entry.color;
            if !self.reclaim(slot, board_slot) {
                self.gone.push((color, slot));
            }
        }
    }

    /// Takes an offered color back. False if it has been stolen.
    pub(crate) fn reclaim(&mut self, slot: Slot, board_slot: u8) -> bool {
        let found = self.hub.station(self.id).board.reclaim(usize::from(board_slot));
        let kept = self.offers.as_mut().and_then(|offers| offers.withdraw(usize::from(board_slot)));
        let entry = self.colors.entry(slot);
        match found {
            Found::Item(record) => {
                entry.place = Place::Here(record);
                true
            }
            Found::Taken(holder) => {
                let kept = kept.unwrap_or_default();
                let away = Away { holder, incarnation: kept.incarnation, forwarded: 0 };
                entry.place = Place::Away(Box::new(away));
                entry.is_queued = false;
                self.waiting.events -= kept.events;
                self.waiting.queued_ns -= kept.queued_ns;
                self.stats.stolen += 1;
                false
            }
            Found::Empty => false,
        }
    }

    /// Arms a timer of the running color.
    pub(crate) fn arm(
        &mut self,
        head: &mut Head<E>,
        at: Nanos,
        stage: StageId,
        event: E,
    ) -> TimerId {
        let key = self.wheel.insert(at, Armed { color: head.color, stage, event });
        let timer = TimerId { core: self.id, key };
        let (id, now, wheel) = (self.id, self.now, &self.wheel);
        let is_live = |&(other, due): &(TimerId, Nanos)| match other.core == id {
            true => wheel.is_armed(other.key),
            // On another core: taken for fired when it should have been a second ago.
            false => due.saturating_add(1_000_000_000) > now,
        };
        head.timers.insert((timer, at), is_live);
        timer
    }

    /// Cancels a timer of the running color.
    pub(crate) fn cancel(&mut self, head: &mut Head<E>, timer: TimerId) -> Option<E> {
        head.timers.remove(timer);
        self.cancel_anywhere(timer).map(|armed| armed.event)
    }

    pub(crate) fn cancel_anywhere(&mut self, timer: TimerId) -> Option<Armed<E>> {
        if timer.core == self.id {
            return self.wheel.cancel(timer.key);
        }
        // A core that has ended fires no timers.
        let _ = self.send(timer.core, Message::Cancel { timer: timer.key });
        None
    }

    pub(crate) fn cancel_here(&mut self, timer: crate::timer::TimerKey) {
        if let Some(armed) = self.wheel.cancel(timer) {
            self.lost.push((armed.color, armed.stage, armed.event));
        }
    }

    /// Posts the events of the timers that are due.
    pub(crate) fn fire_timers(&mut self) {
        while let Some(Armed { color, stage, event }) = self.wheel.advance(self.now) {
            self.stats.timers += 1;
            if let Err(event) = self.post(Origin::Timer, color, stage, event) {
                self.lost.push((color, stage, event));
            }
        }
    }

    /// When the next timer may be due.
    pub(crate) fn next_timer(&self) -> Option<Nanos> {
        self.wheel.next_deadline()
    }

    /// Sends a message; its core is woken by [`Desk::wake_touched`]. It comes back if that core, or this one, has ended.
    pub(crate) fn send(
        &mut self,
        core: CoreId,
        message: Message<E, S>,
    ) -> Result<(), Message<E, S>> {
        if self.is_sealed {
            return Err(message);
        }
        self.hub.send(core, message)?;
        if !self.touched.contains(&core) {
            self.touched.push(core);
        }
        Ok(())
    }

    /// Wakes the cores that messages were sent to since the last time.
    #[inline]
    pub(crate) fn wake_touched(&mut self) {
        while let Some(core) = self.touched.pop() {
            self.stats.wakes += u64::from(self.hub.wake(core));
        }
    }

    /// The open colors whose home is here, in order of their numbers.
    pub(crate) fn homed(&self) -> Vec<Color> {
        let cores = self.hub.cores();
        let mut homed: Vec<_> =
            self.colors.iter().filter(|color| color.home(cores) == self.id).collect();
        homed.sort_unstable();
        homed
    }

    /// Stolen colors that are here.
    pub(crate) fn held(&self) -> u64 {
        (self.colors.len() as u64).saturating_sub(self.stats.colors)
    }

    /// Moves what has become ready into the scheduler.
    #[inline]
    pub(crate) fn push_fresh(&mut self, scheduler: &mut impl Scheduler) {
        if !self.gone.is_empty() {
            for (color, slot) in self.gone.drain(..) {
                scheduler.take_color(color, slot);
            }
        }
        for index in 0..self.fresh.len() {
            let ready = self.fresh[index];
            // A color may have been offered and stolen in the batch that made it ready.
            let Some(entry) = self.colors.get(ready.slot) else { continue };
            if entry.color != ready.color || !entry.is_queued {
                continue;
            }
            scheduler.push(ready);
            if let Some(offers) = &mut self.offers
                && let Place::Here(record) = &entry.place
            {
                offers.worthy.note(ready, record.head.queued_ns, self.steal_cost.ns());
            }
        }
        self.fresh.clear();
    }

    /// Puts what has been learned into the counters.
    pub(crate) fn note_costs(&mut self) {
        self.stats.steal_cost_ns = self.steal_cost.ns();
        self.stats.wake_cost_ns = self.wake_cost.ns();
        self.stats.stage_cost_ns.clear();
        self.stats.stage_cost_ns.extend(self.stages.iter().map(|stage| stage.estimate.ns()));
    }
}
