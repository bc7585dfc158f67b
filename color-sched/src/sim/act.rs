//! What may a simulated handler do? What any handler may, and take time.

use std::fmt;

use super::dice::Dice;
use super::ledger::{Producer, Tag};
use super::workload::{Call, Calls};
use super::world::{On, World, Yielder};
use crate::context::{Context, TimerId};
use crate::event::{Color, CoreId, Nanos, StageId, Target};

/// An event as the machine knows it.
#[derive(Debug)]
pub(super) enum Job<E> {
    /// An event of the workload.
    Event { tag: Tag, completes: Option<u64>, event: E },
    /// The color is to close, as nothing is left to do.
    Close,
}

/// A color's state as the machine knows it.
#[derive(Debug)]
pub(super) struct Kept<S> {
    /// Tells this color from an earlier one of the same number.
    pub(super) serial: u64,
    pub(super) state: S,
}

/// One event of one color, while its simulated handler runs.
pub struct Act<'a, 'cx, E, S> {
    pub(super) cx: &'a mut Context<'cx, Job<E>, Kept<S>>,
    pub(super) world: &'a World,
    pub(super) fiber: &'a Yielder,
    pub(super) calls: &'a mut Calls<E, S>,
    pub(super) dice: &'a mut Dice,
    pub(super) serial: u64,
    /// What one of the color's lines costs to bring here.
    pub(super) line_ns: Nanos,
}

impl<E, S> fmt::Debug for Act<'_, '_, E, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Act").field("serial", &self.serial).finish_non_exhaustive()
    }
}

impl<E: Send, S: Send> Act<'_, '_, E, S> {
    /// The color.
    #[must_use]
    pub fn color(&self) -> Color {
        self.cx.color()
    }

    /// The stage.
    #[must_use]
    pub fn stage(&self) -> StageId {
        self.cx.stage()
    }

    /// The core that it runs on.
    #[must_use]
    pub fn core(&self) -> CoreId {
        self.cx.core()
    }

    /// Number of cores.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.cx.cores()
    }

    /// The core's time.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.world.now()
    }

    /// Dice of this core. What they show depends on what ran here before, so the fate of an event should hang on dice of
    /// its own if runs on different machines are to be compared.
    pub fn dice(&mut self) -> &mut Dice {
        self.dice
    }

    /// Works for so long. What is done before and after is done at its own time: other cores run meanwhile.
    pub fn spend(&mut self, ns: Nanos) {
        self.world.pay(self.fiber, self.cx.core(), On::Handlers, ns);
    }

    /// Uses `lines` cache lines of what the color keeps. Free if the color's last event ran here too; else each of them
    /// has to come from the core where that one ran.
    pub fn touch(&mut self, lines: u32) {
        let ns = u64::from(lines) * self.line_ns;
        self.world.pay(self.fiber, self.cx.core(), On::Transfers, ns);
    }

    fn tag(&self, producer: Producer, color: Color, stage: StageId, since: Nanos) -> Tag {
        self.world.ledger().make(producer, color, stage, self.cx.core(), since)
    }

    fn refused(&self, color: Color, job: Job<E>) -> Result<(), E> {
        let Job::Event { tag, event, .. } = job else { return Ok(()) };
        self.world.ledger().give_back(self.world.now(), self.cx.core(), color, &tag);
        Err(event)
    }

    /// See [`Context::post`].
    ///
    /// # Errors
    /// As there.
    pub fn post(&mut self, color: Color, target: impl Into<Target>, event: E) -> Result<(), E> {
        let target = target.into();
        let tag = self.tag(Producer::Color(self.serial), color, target.stage, self.now());
        let posted = self.cx.post(color, target, Job::Event { tag, completes: None, event });
        posted.or_else(|job| self.refused(color, job))
    }

    /// See [`Context::next`].
    ///
    /// # Errors
    /// As there.
    pub fn next(&mut self, target: impl Into<Target>, event: E) -> Result<(), E> {
        self.post(self.color(), target, event)
    }

    /// Starts a call on this core that ends after `delay_ns`: the core's driver then posts `event` to this color, which is
    /// [pinned](Context::pin) until that has run.
    pub fn call(&mut self, delay_ns: Nanos, stage: StageId, event: E) {
        self.cx.pin();
        self.world.ledger().left += 1;
        let (color, serial) = (self.color(), self.serial);
        let at = self.now().saturating_add(delay_ns);
        self.calls.push(at, Call::Completion { color, serial, stage, event });
    }

    /// See [`Context::arm`]; the time is counted from now.
    pub fn arm(&mut self, delay_ns: Nanos, target: impl Into<Target>, event: E) -> TimerId {
        let target = target.into();
        let at = self.now().saturating_add(delay_ns);
        let tag = self.tag(Producer::Timer, self.color(), target.stage, at);
        self.cx.arm(at, target, Job::Event { tag, completes: None, event })
    }

    /// See [`Context::cancel`].
    pub fn cancel(&mut self, timer: TimerId) -> Option<E> {
        let job = self.cx.cancel(timer)?;
        self.refused(self.color(), job).err()
    }

    /// See [`Context::open`].
    ///
    /// # Errors
    /// As there.
    pub fn open(&mut self, color: Color, state: S) -> Result<(), S> {
        let serial = {
            let mut ledger = self.world.ledger();
            ledger.opened += 1;
            ledger.opened
        };
        let opened = self.cx.open(color, Kept { serial, state });
        opened.map_err(|kept| {
            self.world.ledger().closed += 1;
            kept.state
        })
    }

    /// See [`Context::close`].
    pub fn close(&mut self) {
        self.cx.close();
    }
}
