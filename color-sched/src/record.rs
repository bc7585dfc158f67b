//! What waits for a color: its events, its pins, its timers. One cache line while something does, nothing otherwise.

use std::collections::VecDeque;

use crate::context::TimerId;
use crate::event::{Color, Nanos, PRIORITIES, Priority, StageId};
use crate::timer::TimerKey;

/// An event that waits.
#[derive(Debug)]
pub(crate) struct Queued<E> {
    pub(crate) event: E,
    /// What it was estimated to cost when it was posted; the same number is subtracted when it leaves, so that a color
    /// with nothing waiting has no time left.
    pub(crate) cost_ns: u32,
    /// When it was posted.
    pub(crate) stamp: Stamp,
    pub(crate) stage: StageId,
    pub(crate) priority: Priority,
}

/// A time of the last hour, in units of about a microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(u32);

impl Stamp {
    const BITS: u32 = 10;

    #[inline]
    pub(crate) fn at(now: Nanos) -> Self {
        Self((now >> Self::BITS) as u32)
    }

    /// Nanoseconds from this time to `now`, which is not before it.
    #[inline]
    pub(crate) fn until(self, now: Nanos) -> Nanos {
        Nanos::from(Self::at(now).0.wrapping_sub(self.0)) << Self::BITS
    }
}

/// A timer, and when it fires.
pub(crate) type ArmedTimer = (TimerId, Nanos);

/// What few colors have: events after the first, timers after the first.
#[derive(Debug)]
pub(crate) struct More<E> {
    rest: VecDeque<Queued<E>>,
    /// Events of `rest` by the rank of their priority.
    ranks: [u32; PRIORITIES],
    pub(crate) timers: Vec<ArmedTimer>,
}

impl<E> Default for More<E> {
    fn default() -> Self {
        Self { rest: VecDeque::new(), ranks: [0; PRIORITIES], timers: Vec::new() }
    }
}

/// Where a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// No color's. `entry` is the next cell of the free list.
    Free,
    /// No event waits, but the color is pinned or has a timer.
    Resting,
    /// In the scheduler, or about to be pushed, or elected.
    Queued,
    /// Its handler runs.
    Running,
    /// On the board, in the slot of this number, with all that was here.
    Offered(u8),
}

/// Events that the buffer of a cell holds and is kept for more, once they are gone.
const KEPT_EVENTS: usize = 64;

/// What waits for one color. The first event is kept inline: a color rarely has more, and then `more`, which is another
/// line, is not looked at.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Cell<E> {
    first: Option<Queued<E>>,
    more: Option<Box<More<E>>>,
    /// Estimated time of the waiting events.
    pub(crate) queued_ns: u64,
    /// A timer on the wheel of the core that the cell is at.
    pub(crate) timer: Option<TimerKey>,
    len: u32,
    /// The color's entry.
    pub(crate) entry: u32,
    pub(crate) pins: u32,
    /// Timers beside `timer` are named in `more`.
    has_more_timers: bool,
    pub(crate) status: Status,
    /// The highest priority of the waiting events.
    pub(crate) priority: Priority,
}

impl<E> Cell<E> {
    pub(crate) const fn new() -> Self {
        Self {
            first: None,
            more: None,
            queued_ns: 0,
            timer: None,
            len: 0,
            entry: 0,
            pins: 0,
            has_more_timers: false,
            status: Status::Free,
            priority: Priority::Low,
        }
    }

    /// Events that wait.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// The stage of the first event.
    #[inline]
    pub(crate) fn stage(&self) -> Option<StageId> {
        self.first.as_ref().map(|queued| queued.stage)
    }

    /// How long the first event has waited.
    pub(crate) fn waited(&self, now: Nanos) -> Option<Nanos> {
        self.first.as_ref().map(|queued| queued.stamp.until(now))
    }

    /// Appends an event. True if it is more urgent than all that wait.
    #[inline(always)]
    pub(crate) fn push(&mut self, queued: Queued<E>) -> bool {
        self.queued_ns += u64::from(queued.cost_ns);
        self.len += 1;
        if self.len > 1 {
            return self.push_more(queued);
        }
        self.priority = queued.priority;
        self.first = Some(queued);
        false
    }

    #[inline(never)]
    fn push_more(&mut self, queued: Queued<E>) -> bool {
        let more = self.more.get_or_insert_with(Box::default);
        let priority = queued.priority;
        more.ranks[priority.rank()] += 1;
        more.rest.push_back(queued);
        let is_raised = priority > self.priority;
        self.priority = priority.max(self.priority);
        is_raised
    }

    /// Takes the first event.
    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Queued<E>> {
        let queued = self.first.take()?;
        self.queued_ns -= u64::from(queued.cost_ns);
        self.len -= 1;
        if self.len > 0 {
            self.advance();
        }
        Some(queued)
    }

    #[inline(never)]
    fn advance(&mut self) {
        let Some(more) = &mut self.more else { return };
        let Some(next) = more.rest.pop_front() else { return };
        if more.rest.is_empty() && more.rest.capacity() > KEPT_EVENTS {
            more.rest = VecDeque::new();
        }
        more.ranks[next.priority.rank()] -= 1;
        let waiting = more.ranks.iter().position(|count| *count > 0);
        self.priority =
            waiting.map_or(next.priority, |rank| next.priority.max(Priority::ALL[rank]));
        self.first = Some(next);
    }

    /// Forgets timers beside `timer`, from the last one on until `is_live` is told of one that may not be forgotten. True
    /// if there is one.
    pub(crate) fn prune_timers(&mut self, is_live: impl Fn(&ArmedTimer) -> bool) -> bool {
        if !self.has_more_timers {
            return false;
        }
        if let Some(more) = &mut self.more {
            while more.timers.last().is_some_and(|timer| !is_live(timer)) {
                more.timers.pop();
            }
            self.has_more_timers = !more.timers.is_empty();
        }
        self.has_more_timers
    }

    /// Forgets a timer beside `timer`.
    pub(crate) fn forget_timer(&mut self, timer: TimerId) {
        if self.has_more_timers
            && let Some(more) = &mut self.more
        {
            more.timers.retain(|(kept, _)| *kept != timer);
        }
    }

    /// Timers beside `timer`.
    pub(crate) fn timers(&self) -> &[ArmedTimer] {
        self.more.as_ref().map_or(&[], |more| &more.timers)
    }

    /// Takes the timers beside `timer`.
    pub(crate) fn take_timers(&mut self) -> Vec<ArmedTimer> {
        self.has_more_timers = false;
        self.more.as_mut().map(|more| std::mem::take(&mut more.timers)).unwrap_or_default()
    }

    /// Has the color armed a timer that it may not have been told of the end of?
    #[inline]
    pub(crate) fn names_timers(&self) -> bool {
        self.timer.is_some() || self.has_more_timers
    }

    /// Timers beside `timer`, for one more.
    pub(crate) fn timers_mut(&mut self) -> &mut Vec<ArmedTimer> {
        self.has_more_timers = true;
        &mut self.more.get_or_insert_with(Box::default).timers
    }

    /// Moves what waits out, into the hands of another core.
    pub(crate) fn move_out(&mut self) -> Self {
        let (entry, status) = (self.entry, self.status);
        let moved = std::mem::replace(self, Self::new());
        (self.entry, self.status) = (entry, status);
        moved
    }
}

/// What an event takes where it was posted, as estimated there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HomeCost {
    pub(crate) ns: u32,
    pub(crate) spread_ns: u32,
}

/// What a thief has to fetch of a color with small events and state, beside the line of the board that it takes it from.
const _: () = assert!(size_of::<Record<u64, u64>>() == 2 * 64);

/// A color on its way between cores: all of it.
#[derive(Debug)]
pub(crate) struct Record<E, S> {
    pub(crate) color: Color,
    /// Tells this color from an earlier one of the same number, at its home.
    pub(crate) incarnation: u32,
    /// On the way home: events that the holder received from there.
    pub(crate) received: u32,
    /// It opened by itself, and closes when nothing waits.
    pub(crate) is_transient: bool,
    /// On a board: what its first event takes at home, and how far such events are from that.
    pub(crate) home: Option<HomeCost>,
    /// `None`: no event of it has run yet.
    pub(crate) state: Option<S>,
    pub(crate) cell: Cell<E>,
}
