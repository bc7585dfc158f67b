//! A color between its events: one box, allocated when the color opens, that moves whole.

use std::collections::VecDeque;

use crate::context::TimerId;
use crate::event::{Color, Nanos, StageId};

/// An event that waits.
#[derive(Debug)]
pub(crate) struct Queued<E> {
    pub(crate) stage: StageId,
    /// What it was estimated to cost when it was posted; the same number is subtracted when it leaves, so that a color
    /// with nothing waiting has no time left.
    pub(crate) cost_ns: u32,
    pub(crate) event: E,
}

/// The events of one color, in order. The first is kept inline: a color rarely has more, and then `rest`, which is
/// another cache line, is neither allocated nor looked at.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct EventQueue<E> {
    len: usize,
    first: Option<Queued<E>>,
    rest: VecDeque<Queued<E>>,
}

impl<E> EventQueue<E> {
    const fn new() -> Self {
        Self { len: 0, first: None, rest: VecDeque::new() }
    }

    #[inline]
    fn push(&mut self, queued: Queued<E>) {
        if self.len == 0 {
            self.first = Some(queued);
        } else {
            self.rest.push_back(queued);
        }
        self.len += 1;
    }

    #[inline]
    fn pop(&mut self) -> Option<Queued<E>> {
        let first = self.first.take()?;
        self.len -= 1;
        if self.len > 0 {
            self.first = self.rest.pop_front();
        }
        Some(first)
    }

    /// The stage of the first event.
    #[inline]
    pub(crate) fn stage(&self) -> Option<StageId> {
        self.first.as_ref().map(|queued| queued.stage)
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// A timer, and when it fires.
pub(crate) type ArmedTimer = (TimerId, Nanos);

/// The timers that a color has armed, on whichever core. Some of them may have fired.
#[derive(Debug, Default)]
pub(crate) struct TimerSet {
    first: Option<ArmedTimer>,
    rest: Vec<ArmedTimer>,
}

/// Timers of a color beyond the first that are kept before the ones that have fired are looked for.
const TIMERS_KEPT: usize = 8;

impl TimerSet {
    /// Adds a timer; `is_live` tells which ones may not be forgotten.
    pub(crate) fn insert(&mut self, timer: ArmedTimer, is_live: impl Fn(&ArmedTimer) -> bool) {
        if self.first.is_none_or(|first| !is_live(&first)) {
            self.first = Some(timer);
            return;
        }
        if self.rest.len() >= TIMERS_KEPT && self.rest.len() == self.rest.capacity() {
            self.rest.retain(is_live);
        }
        self.rest.push(timer);
    }

    pub(crate) fn remove(&mut self, timer: TimerId) {
        if self.first.is_some_and(|(first, _)| first == timer) {
            self.first = None;
        } else {
            self.rest.retain(|(kept, _)| *kept != timer);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<TimerId> {
        self.first.take().or_else(|| self.rest.pop()).map(|(timer, _)| timer)
    }
}

/// All of a color that is not its user's; what every event touches comes first, on a line of its own where it fits.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Head<E> {
    pub(crate) color: Color,
    /// Estimated time of `queue`.
    pub(crate) queued_ns: u64,
    pub(crate) pins: u32,
    pub(crate) is_closing: bool,
    pub(crate) queue: EventQueue<E>,
    /// Tells this color from an earlier one of the same number, at its home.
    pub(crate) incarnation: u64,
    /// Away from home: events that have been received from there.
    pub(crate) received: u64,
    pub(crate) timers: TimerSet,
}

impl<E> Head<E> {
    /// Takes the first event.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Queued<E>> {
        let queued = self.queue.pop()?;
        self.queued_ns -= u64::from(queued.cost_ns);
        Some(queued)
    }

    /// Appends an event.
    #[inline]
    pub(crate) fn push(&mut self, queued: Queued<E>) {
        self.queued_ns += u64::from(queued.cost_ns);
        self.queue.push(queued);
    }
}

/// A color.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Record<E, S> {
    pub(crate) head: Head<E>,
    pub(crate) state: S,
}

impl<E, S> Record<E, S> {
    pub(crate) fn new(color: Color, incarnation: u64, state: S) -> Self {
        let head = Head {
            color,
            incarnation,
            queue: EventQueue::new(),
            queued_ns: 0,
            received: 0,
            timers: TimerSet::default(),
            pins: 0,
            is_closing: false,
        };
        Self { head, state }
    }
}
