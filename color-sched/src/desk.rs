//! What a core owns, and how events are posted to its colors. No waiting, no policy.

use std::sync::Arc;

use crate::event::{Color, CoreId, Nanos, Ready, Slot, StageId, Target};
use crate::home::{Colors, Entry, NIL, Place};
use crate::hub::{Hub, Message};
use crate::learn::Estimate;
use crate::machine::Config;
use crate::offers::{Offers, Pace, Waiting};
use crate::outbox::Outbox;
use crate::record::{Cell, Queued, Status};
use crate::reserve::Reserve;
use crate::stage_cost::StageCost;
use crate::stats::CoreStats;
use crate::theft::Trial;
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
    pub(crate) target: Target,
    pub(crate) event: E,
}

/// A core's possessions.
#[derive(Debug)]
pub(crate) struct Desk<E, S> {
    pub(crate) id: CoreId,
    pub(crate) hub: Arc<Hub<E, S>>,
    pub(crate) colors: Colors<E, S>,
    pub(crate) wheel: Wheel<Armed<E>>,
    /// Colors that have become ready and are not in the scheduler yet.
    pub(crate) fresh: Vec<Ready>,
    /// Colors that are in the scheduler and have become more urgent.
    pub(crate) raised: Vec<(Color, Slot)>,
    /// Colors among `fresh` may have been offered, and stolen.
    pub(crate) is_fresh_stale: bool,
    /// Colors that are in the scheduler and were found stolen.
    pub(crate) gone: Vec<(Color, Slot)>,
    /// Events whose color has closed, for the program.
    pub(crate) lost: Vec<(Color, StageId, E)>,
    /// States of colors that have closed, for the program.
    pub(crate) ended: Vec<(Color, S)>,
    pub(crate) outbox: Outbox<E, S>,
    pub(crate) stages: Vec<StageCost>,
    /// Of thefts by this core, and of thefts from it as the thieves say.
    pub(crate) steal_cost: Estimate,
    /// Of thefts by this core, by victim.
    pub(crate) steal_costs: Vec<Estimate>,
    /// A theft whose first event is to be compared with those at home.
    pub(crate) trial: Option<Trial>,
    pub(crate) wake_cost: Estimate,
    /// Present while this core's colors are offered to others.
    pub(crate) offers: Option<Offers>,
    pub(crate) pace: Pace,
    pub(crate) waiting: Waiting,
    pub(crate) reserve: Reserve,
    queue_limit: usize,
    has_transients: bool,
    /// Saves a division where the number of cores is a power of two.
    home_mask: Option<u64>,
    /// The program has been told to stop.
    pub(crate) is_stopping: bool,
    /// No color is open on any core, and nothing is sent any more.
    pub(crate) is_sealed: bool,
    /// The time of the last stamp.
    pub(crate) now: Nanos,
    /// The driver may have waited since.
    pub(crate) is_stale: bool,
    pub(crate) stats: CoreStats,
}

impl<E: Send, S: Send> Desk<E, S> {
    pub(crate) fn new(id: CoreId, hub: Arc<Hub<E, S>>, config: &Config) -> Self {
        let cores = hub.cores();
        Self {
            id,
            hub,
            colors: Colors::new(cores),
            wheel: Wheel::default(),
            fresh: Vec::new(),
            raised: Vec::new(),
            is_fresh_stale: false,
            gone: Vec::new(),
            lost: Vec::new(),
            ended: Vec::new(),
            outbox: Outbox::new(cores),
            stages: config.stages.iter().map(StageCost::new).collect(),
            steal_cost: Estimate::new(config.steal_cost),
            steal_costs: vec![Estimate::new(config.steal_cost); cores],
            trial: None,
            wake_cost: Estimate::new(config.wake_cost),
            offers: None,
            pace: Pace::NEVER,
            waiting: Waiting::default(),
            reserve: Reserve::default(),
            queue_limit: config.queue_limit,
            has_transients: config.transient_colors,
            home_mask: cores.is_power_of_two().then(|| cores as u64 - 1),
            is_stopping: false,
            is_sealed: false,
            now: 0,
            is_stale: false,
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
        if self.is_stopping {
            return Err(state);
        }
        match self.colors.insert(color, Place::Here(state)) {
            Ok(_) => {
                self.stats.colors += 1;
                Ok(())
            }
            Err((_, Place::Here(state))) => Err(state),
            Err(_) => Ok(()),
        }
    }

    /// Appends an event to a color, wherever it is.
    #[inline]
    pub(crate) fn post(
        &mut self,
        origin: Origin,
        color: Color,
        target: Target,
        event: E,
    ) -> Result<(), E> {
        match self.colors.find(color) {
            Some(entry) if self.colors.entry(entry).is_at_home() => {
                self.append(entry, target, event)
            }
            None if self.has_transients && self.is_home_of(color) => {
                self.post_new(color, target, event)
            }
            found => self.post_elsewhere(found, origin, color, target, event),
        }
    }

    /// As [`Self::post`], for a color that is not simply at home.
    #[inline(never)]
    fn post_elsewhere(
        &mut self,
        found: Option<u32>,
        origin: Origin,
        color: Color,
        target: Target,
        event: E,
    ) -> Result<(), E> {
        match found {
            Some(entry) => self.post_astray(entry, origin, target, event),
            None if target.stage.index() >= self.stages.len() => Err(event),
            None if self.is_home_of(color) => Err(event),
            None => self.post_home(color, target, event),
        }
    }

    /// An event from elsewhere for a color with its home here.
    pub(crate) fn post_from_afar(
        &mut self,
        color: Color,
        target: Target,
        event: E,
    ) -> Result<(), E> {
        match self.colors.find(color) {
            Some(entry) => self.post_at(entry, Origin::Handler, target, event),
            None => self.post_new(color, target, event),
        }
    }

    /// The first event of a color that nobody opened: opens it, if colors open by themselves.
    #[inline(never)]
    fn post_new(&mut self, color: Color, target: Target, event: E) -> Result<(), E> {
        let is_known = target.stage.index() < self.stages.len();
        if !self.has_transients || self.is_stopping || !is_known {
            return Err(event);
        }
        let entry = self.colors.insert_new(color, Place::Unborn, true);
        self.stats.colors += 1;
        self.append(entry, target, event)
    }

    /// Is this core the home of `color`?
    #[inline]
    fn is_home_of(&self, color: Color) -> bool {
        match self.home_mask {
            Some(mask) => color.0 & mask == u64::from(self.id.0),
            None => color.home(self.hub.cores()) == self.id,
        }
    }

    /// Sends an event to the home of its color.
    fn post_home(&mut self, color: Color, target: Target, event: E) -> Result<(), E> {
        let home = color.home(self.hub.cores());
        match self.send(home, Message::Post { color, target, event }) {
            Err(Message::Post { event, .. }) => Err(event),
            _ => {
                self.stats.sent += 1;
                Ok(())
            }
        }
    }

    fn post_at(&mut self, entry: u32, origin: Origin, target: Target, event: E) -> Result<(), E> {
        match self.colors.entry(entry).is_at_home() {
            true => self.append_here(entry, target, event),
            false => self.post_astray(entry, origin, target, event),
        }
    }

    /// Appends an event to a color that is not simply at home.
    #[cold]
    fn post_astray(
        &mut self,
        entry: u32,
        origin: Origin,
        target: Target,
        event: E,
    ) -> Result<(), E> {
        if target.stage.index() >= self.stages.len() {
            return Err(event);
        }
        self.look_at_board(entry);
        let known = self.colors.entry(entry);
        let (color, is_home, slot) = (known.color, known.is_home, Slot(known.cell));
        match &mut known.place {
            Place::Here(_) | Place::Running | Place::Unborn => {
                let stays = is_home
                    || origin == Origin::Timer
                    || (origin == Origin::Driver
                        && slot.0 != NIL
                        && self.colors.cell(slot).pins > 0);
                match stays {
                    true => self.append_here(entry, target, event),
                    false => self.post_home(color, target, event),
                }
            }
            Place::Away(away) => {
                away.forwarded = away.forwarded.wrapping_add(1);
                let (holder, incarnation) = (away.holder, known.incarnation);
                self.stats.forwarded += 1;
                let message = Message::Forward { color, incarnation, target, event };
                match self.send(holder, message) {
                    Err(Message::Forward { event, .. }) => Err(event),
                    _ => Ok(()),
                }
            }
            Place::Settling(settling) => {
                let stage = &self.stages[target.stage.index()];
                settling.later.push(stage.queued(target, event, self.now));
                Ok(())
            }
            Place::Vacant(_) | Place::Offered => Err(event),
        }
    }

    /// As [`Self::append`], out of line.
    #[inline(never)]
    pub(crate) fn append_here(&mut self, entry: u32, target: Target, event: E) -> Result<(), E> {
        self.append(entry, target, event)
    }

    /// Appends an event to a color that is here.
    #[inline(always)]
    fn append(&mut self, entry: u32, target: Target, event: E) -> Result<(), E> {
        let Some(stage) = self.stages.get(target.stage.index()) else { return Err(event) };
        let (slot, cell, known) = self.colors.cell_of(entry);
        if cell.len() >= self.queue_limit {
            return Err(event);
        }
        let cost_ns = u64::from(stage.ns());
        let is_raised = cell.push(stage.queued(target, event, self.now));
        self.waiting.add(1, cost_ns);
        let (queued_ns, is_home) = (cell.queued_ns, known.is_home);
        match cell.status {
            Status::Queued => {
                if is_raised {
                    self.raised.push((known.color, slot));
                }
            }
            // It is noted when it has run.
            Status::Running => return Ok(()),
            _ => {
                cell.status = Status::Queued;
                let (color, stage, priority) = (known.color, target.stage, cell.priority);
                self.fresh.push(Ready { color, slot, stage, priority });
            }
        }
        if self.may_be_worthy(queued_ns) && is_home {
            self.note_worth(slot);
        }
        Ok(())
    }

    /// Appends an event to the color that is running.
    #[inline(always)]
    pub(crate) fn next(&mut self, slot: Slot, target: Target, event: E) -> Result<(), E> {
        let Some(stage) = self.stages.get(target.stage.index()) else { return Err(event) };
        let cell = self.colors.cell(slot);
        if cell.len() >= self.queue_limit {
            return Err(event);
        }
        let cost_ns = u64::from(stage.ns());
        cell.push(stage.queued(target, event, self.now));
        self.waiting.add(1, cost_ns);
        Ok(())
    }

    /// Looks at the clock, if the driver may have waited since the last time.
    #[inline]
    pub(crate) fn refresh_now(&mut self) {
        if self.is_stale {
            self.is_stale = false;
            self.now = self.hub.clock.now().max(self.now);
        }
    }

    /// An event for a color that is settling.
    pub(crate) fn queued(&self, target: Target, event: E) -> Queued<E> {
        self.stages[target.stage.index()].queued(target, event, self.now)
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

    /// What an event of `stage` is estimated to cost; nothing is known of a stage that does not exist.
    #[inline]
    pub(crate) fn cost_ns(&self, stage: StageId) -> Nanos {
        self.stages.get(stage.index()).map_or(0, |stage| u64::from(stage.ns()))
    }

    /// Must a batch of `stage` be admitted?
    #[inline]
    pub(crate) fn needs_admission(&self, stage: StageId) -> bool {
        self.stages.get(stage.index()).is_none_or(|stage| stage.allocates)
    }

    /// Has no batch of `stage` been timed yet?
    #[inline]
    pub(crate) fn is_unknown(&self, stage: StageId) -> bool {
        self.stages.get(stage.index()).is_some_and(|stage| stage.is_unknown)
    }

    /// Learns that `n` events of `stage` took `total_ns` together.
    pub(crate) fn learn(&mut self, stage: StageId, total_ns: Nanos, n: usize) {
        if let Some(stage) = self.stages.get_mut(stage.index()) {
            stage.observe(total_ns, n);
        }
    }

    /// Learns that `n` events of a color that has just been stolen took `total_ns` together. At home such events take
    /// something else, so that it counts as what they cost only if nothing is known of that.
    pub(crate) fn learn_away(&mut self, trial: &Trial, total_ns: Nanos, n: usize) {
        let (stage, Some(mean_ns)) = (trial.of.stage, total_ns.checked_div(n as u64)) else {
            return;
        };
        let (home_ns, spread_ns) = (u64::from(trial.home.ns), u64::from(trial.home.spread_ns));
        self.hub.slow_down(stage).observe(mean_ns, home_ns, spread_ns);
        if self.is_unknown(stage) {
            self.learn(stage, total_ns, n);
        }
    }

    /// Puts what has been learned into the counters.
    pub(crate) fn note_costs(&mut self) {
        self.stats.steal_cost_ns = self.steal_cost.ns();
        self.stats.wake_cost_ns = self.wake_cost.ns();
        self.stats.stage_cost_ns.clear();
        self.stats.stage_cost_ns.extend(self.stages.iter().map(|stage| stage.estimate.ns()));
        self.stats.stage_spread_ns.clear();
        let spreads = self.stages.iter().map(|stage| stage.estimate.spread_ns());
        self.stats.stage_spread_ns.extend(spreads);
        for (stage, slow_down) in self.stages.iter_mut().zip(self.hub.slow_downs().stages()) {
            stage.penalty_pct = slow_down.pct();
        }
        self.stats.stage_penalty_pct.clear();
        self.stats.stage_penalty_pct.extend(self.stages.iter().map(|stage| stage.penalty_pct));
    }
}

/// A color with events, as the scheduler is to know it.
pub(crate) fn ready<E, S>(cell: &Cell<E>, entry: &Entry<E, S>) -> Option<Ready> {
    let stage = cell.stage()?;
    Some(Ready { color: entry.color, slot: Slot(entry.cell), stage, priority: cell.priority })
}
