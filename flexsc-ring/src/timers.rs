//! Which calls wait for a time, and which is the next?

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// The slots that wait for a time, in its order. Adding, taking and removing cost a logarithm.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(Instant, u32)>,
}

/// A time from now, or one that no program will see.
pub(crate) fn at(after: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(1 << 32);
    let now = Instant::now();
    now.checked_add(after).unwrap_or(now + FAR)
}

impl Timers {
    pub(crate) fn add(&mut self, at: Instant, slot: u32) {
        self.queue.insert((at, slot));
    }

    pub(crate) fn remove(&mut self, at: Instant, slot: u32) {
        self.queue.remove(&(at, slot));
    }

    /// Nobody waits for a time.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes a slot whose time has come.
    pub(crate) fn due(&mut self, now: Instant) -> Option<u32> {
        let (at, slot) = *self.queue.first()?;
        if at > now {
            return None;
        }
        self.queue.pop_first();
        Some(slot)
    }

    /// Shortens a sleep so that it ends at the next time.
    pub(crate) fn bound(&self, sleep: Option<Duration>) -> Option<Duration> {
        let Some((at, _)) = self.queue.first() else { return sleep };
        let left = at.saturating_duration_since(Instant::now());
        Some(sleep.map_or(left, |sleep| sleep.min(left)))
    }
}
