//! Did everything happen once, in order, in one place at a time? The simulation's books.

use std::collections::HashMap;

use super::fault::Fault;
use super::trace::{Trace, What};
use crate::event::{Color, CoreId, Nanos, StageId};

/// Who made an event. Events of one producer for one color keep their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Producer {
    /// A color, from its opening to its closing.
    Color(u64),
    /// Arrivals at a core.
    Arrival(CoreId),
    /// Completions of a color's calls at a core.
    Ring(CoreId, u64),
    /// A timer, which has no order.
    Timer,
}

/// What the books know an event by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag {
    pub(super) id: u64,
    pub(super) producer: Producer,
    seq: u64,
    /// When it was posted, has arrived, or is due.
    since: Nanos,
    /// Where it was made.
    pub(super) core: CoreId,
    stage: StageId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Waits,
    HasRun,
    GivenBack,
}

/// Where a color runs, or ran last.
#[derive(Clone, Copy, Debug)]
struct Visit {
    core: CoreId,
    /// `None`: it runs.
    until: Option<Nanos>,
}

/// The books of a run.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) trace: Trace,
    fates: Vec<Fate>,
    sent: HashMap<(Producer, Color), u64>,
    seen: HashMap<(Producer, Color), u64>,
    visits: HashMap<Color, Visit>,
    /// Events and calls that have yet to come to something.
    pub(super) left: u64,
    pub(super) events: u64,
    pub(super) given_back: u64,
    pub(super) waits: Vec<Nanos>,
    /// When something last came to an end.
    pub(super) last_at: Nanos,
    pub(super) opened: u64,
    pub(super) closed: u64,
    /// The first thing that went wrong.
    pub(super) fault: Option<(Nanos, CoreId, Fault)>,
}

impl Ledger {
    pub(super) fn blame(&mut self, at: Nanos, core: CoreId, fault: Fault) {
        self.fault.get_or_insert((at, core, fault));
    }

    /// An event is about to be posted.
    pub(super) fn make(
        &mut self,
        producer: Producer,
        color: Color,
        stage: StageId,
        core: CoreId,
        since: Nanos,
    ) -> Tag {
        let seq = self.sent.entry((producer, color)).or_default();
        *seq += 1;
        let tag = Tag { id: self.fates.len() as u64, producer, seq: *seq, since, core, stage };
        self.fates.push(Fate::Waits);
        self.left += 1;
        tag
    }

    fn settle(&mut self, at: Nanos, core: CoreId, color: Color, id: u64, fate: Fate) {
        self.last_at = self.last_at.max(at);
        match self.fates.get_mut(id as usize) {
            Some(known @ Fate::Waits) => {
                *known = fate;
                self.left -= 1;
            }
            _ => self.blame(at, core, Fault::Twice { id, color }),
        }
    }

    /// An event was refused, cancelled, or abandoned.
    pub(super) fn give_back(&mut self, at: Nanos, core: CoreId, color: Color, tag: &Tag) {
        self.trace.note(at, core, What::GiveBack, Some(color));
        self.given_back += 1;
        self.settle(at, core, color, tag.id, Fate::GivenBack);
    }

    /// An event begins to run. Tells the core on which the color ran before.
    pub(super) fn begin(
        &mut self,
        at: Nanos,
        core: CoreId,
        (color, stage): (Color, StageId),
        tag: &Tag,
    ) -> Option<CoreId> {
        self.trace.note(at, core, What::Run, Some(color));
        let id = tag.id;
        if tag.stage != stage {
            self.blame(at, core, Fault::Misled { id, color, stage });
        }
        if at < tag.since {
            self.blame(at, core, Fault::Early { id, color, due_ns: tag.since });
        }
        if tag.producer != Producer::Timer {
            self.waits.push(at.saturating_sub(tag.since));
            let seen = self.seen.entry((tag.producer, color)).or_default();
            let is_overtaken = *seen >= tag.seq;
            *seen = (*seen).max(tag.seq);
            if is_overtaken {
                self.blame(at, core, Fault::Overtaken { id, color });
            }
        }
        let before = self.visits.insert(color, Visit { core, until: None });
        if let Some(visit) = before
            && visit.until.is_none_or(|until| until > at)
        {
            let until_ns = visit.until.unwrap_or(at);
            self.blame(at, core, Fault::Overlap { color, other: visit.core, until_ns });
        }
        before.map(|visit| visit.core)
    }

    /// An event has run.
    pub(super) fn end(&mut self, at: Nanos, core: CoreId, color: Color, tag: &Tag) {
        self.trace.note(at, core, What::End, Some(color));
        self.visits.insert(color, Visit { core, until: Some(at) });
        self.events += 1;
        self.settle(at, core, color, tag.id, Fate::HasRun);
    }

    /// Everything is over: what is missing?
    pub(super) fn audit(&mut self, at: Nanos, core: CoreId) {
        let is_left = |fate: &Fate| *fate == Fate::Waits;
        if let Some(first) = self.fates.iter().position(is_left) {
            let count = self.fates.iter().filter(|fate| is_left(fate)).count() as u64;
            self.blame(at, core, Fault::Lost { count, first: first as u64 });
        }
        if self.opened != self.closed {
            let (opened, closed) = (self.opened, self.closed);
            self.blame(at, core, Fault::States { opened, closed });
        }
    }
}
