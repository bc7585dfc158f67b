//! Whose timers are armed, and where? A core's wheel, and each color's own list of its timers on any core.

use crate::context::TimerId;
use crate::desk::{Armed, Desk, Origin};
use crate::event::{Color, Nanos, Slot, Target};
use crate::hub::Message;
use crate::record::Cell;
use crate::timer::TimerKey;

/// On another core a timer is taken for fired when it should have been this long ago.
const SURELY_FIRED_NS: Nanos = 1_000_000_000;
/// Timers of a color beyond the first that are kept before the ones that have fired are looked for.
const TIMERS_KEPT: usize = 8;

impl<E: Send, S: Send> Desk<E, S> {
    /// Arms a timer of the running color.
    pub(crate) fn arm(
        &mut self,
        slot: Slot,
        color: Color,
        at: Nanos,
        target: Target,
        event: E,
    ) -> TimerId {
        let key = self.wheel.insert(at, Armed { color, target, event });
        let timer = TimerId { core: self.id, key };
        let (id, now, wheel) = (self.id, self.now, &self.wheel);
        let cell = self.colors.cell(slot);
        if cell.timer.is_none_or(|first| !wheel.is_armed(first)) {
            cell.timer = Some(key);
            return timer;
        }
        let timers = cell.timers_mut();
        if timers.len() >= TIMERS_KEPT && timers.len() == timers.capacity() {
            timers.retain(|&(timer, due)| match timer.core == id {
                true => wheel.is_armed(timer.key),
                false => due.saturating_add(SURELY_FIRED_NS) > now,
            });
            // Looked through again only after as many more.
            timers.reserve(timers.len());
        }
        timers.push((timer, at));
        timer
    }

    /// Is a timer of the color in `slot` still to fire?
    pub(crate) fn has_timers(&mut self, slot: Slot) -> bool {
        let (id, now, wheel) = (self.id, self.now, &self.wheel);
        let cell = self.colors.cell(slot);
        if cell.timer.is_some_and(|timer| wheel.is_armed(timer)) {
            return true;
        }
        cell.timer = None;
        cell.prune_timers(|&(timer, due)| match timer.core == id {
            true => wheel.is_armed(timer.key),
            false => due.saturating_add(SURELY_FIRED_NS) > now,
        })
    }

    /// Is a timer of the color in `slot` still to fire on this core?
    pub(crate) fn has_own_timers(&mut self, slot: Slot) -> bool {
        let (id, wheel) = (self.id, &self.wheel);
        let cell = self.colors.cell(slot);
        cell.timer.is_some_and(|timer| wheel.is_armed(timer))
            || cell.timers().iter().any(|(timer, _)| timer.core == id && wheel.is_armed(timer.key))
    }

    /// Gives the timer of a cell that is to move its full name.
    pub(crate) fn name_timer(&mut self, cell: &mut Cell<E>) {
        let Some(key) = cell.timer.take() else { return };
        if let Some(at) = self.wheel.due(key) {
            cell.timers_mut().push((TimerId { core: self.id, key }, at));
        }
    }

    /// Cancels a timer of the running color.
    pub(crate) fn cancel(&mut self, slot: Slot, timer: TimerId) -> Option<E> {
        let cell = self.colors.cell(slot);
        if timer.core != self.id {
            cell.forget_timer(timer);
        } else if cell.timer == Some(timer.key) {
            cell.timer = None;
        }
        // Another name of a timer of this core stays until it is found to be dead: a search for it would cost more.
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

    pub(crate) fn cancel_here(&mut self, timer: TimerKey) {
        if let Some(armed) = self.wheel.cancel(timer) {
            self.lost.push((armed.color, armed.target.stage, armed.event));
        }
    }

    /// Posts the events of the timers that are due.
    pub(crate) fn fire_timers(&mut self) {
        while let Some(Armed { color, target, event }) = self.wheel.advance(self.now) {
            self.stats.timers += 1;
            if let Err(event) = self.post(Origin::Timer, color, target, event) {
                self.lost.push((color, target.stage, event));
            }
        }
    }
}
