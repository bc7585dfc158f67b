//! When does it fire? A wheel of wheels: six levels of 64 buckets, insert and cancel in O(1).
//!
//! A tick is 2²⁰ ns (1.05 ms). A timer sits at the level of the highest six bits in which its tick and the current one
//! differ, in the bucket of those bits, and moves down when the wheel turns that far (Varghese and Lauck 1987, scheme 7).
//! Six levels span 2³⁶ ticks, 2.3 years; what lies beyond waits in the last bucket and is placed again from there.
//! A timer never fires early, and at most one tick late; timers of one tick fire in the order in which they were armed.

use std::num::NonZeroU32;

use crate::event::Nanos;

/// Nanoseconds of a tick, as a power of two.
pub const TICK_BITS: u32 = 20;
const LEVELS: usize = 6;
const LEVEL_BITS: u32 = 6;
const BUCKETS: usize = 1 << LEVEL_BITS;
const SPAN: u64 = 1 << (LEVEL_BITS * LEVELS as u32);
const NIL: u32 = u32::MAX;

/// A timer of one wheel. A key that has fired or was cancelled never names a later timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerKey {
    index: u32,
    generation: NonZeroU32,
}

#[derive(Debug)]
struct Entry<T> {
    tick: u64,
    prev: u32,
    next: u32,
    generation: NonZeroU32,
    bucket: u16,
    value: Option<T>,
}

/// Timers with a value each.
#[derive(Debug)]
pub struct Wheel<T> {
    entries: Vec<Entry<T>>,
    free: u32,
    len: usize,
    /// The last tick that has been fired.
    current: u64,
    first: [u32; LEVELS * BUCKETS],
    last: [u32; LEVELS * BUCKETS],
    occupied: [u64; LEVELS],
}

impl<T> Default for Wheel<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            free: NIL,
            len: 0,
            current: 0,
            first: [NIL; LEVELS * BUCKETS],
            last: [NIL; LEVELS * BUCKETS],
            occupied: [0; LEVELS],
        }
    }
}

impl<T> Wheel<T> {
    /// Number of timers that have not fired.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Will no timer fire?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a timer that fires at the first tick that is not before `at` and has not been fired yet.
    pub fn insert(&mut self, at: Nanos, value: T) -> TimerKey {
        let tick = at.div_ceil(1 << TICK_BITS).max(self.current + 1);
        let index = self.allocate(tick, value);
        self.link(index);
        self.len += 1;
        TimerKey { index, generation: self.entries[index as usize].generation }
    }

    /// Removes a timer that has not fired.
    pub fn cancel(&mut self, key: TimerKey) -> Option<T> {
        let entry = self.entries.get(key.index as usize)?;
        if entry.generation != key.generation || entry.value.is_none() {
            return None;
        }
        self.unlink(key.index);
        self.release(key.index)
    }

    /// Is this timer still to fire?
    #[must_use]
    pub fn is_armed(&self, key: TimerKey) -> bool {
        self.entries
            .get(key.index as usize)
            .is_some_and(|entry| entry.generation == key.generation && entry.value.is_some())
    }

    /// Takes all timers that have not fired, in no order.
    pub fn drain(&mut self) -> impl Iterator<Item = T> {
        let all = std::mem::take(self);
        all.entries.into_iter().filter_map(|entry| entry.value)
    }

    /// When a timer that is still to fire is due, rounded up to a tick.
    #[must_use]
    pub fn due(&self, key: TimerKey) -> Option<Nanos> {
        let entry = self.entries.get(key.index as usize)?;
        let is_armed = entry.generation == key.generation && entry.value.is_some();
        is_armed.then(|| entry.tick.saturating_mul(1 << TICK_BITS))
    }

    /// Takes the next timer that is due at `now`, the earlier tick first. `None`: none is due any more.
    pub fn advance(&mut self, now: Nanos) -> Option<T> {
        let target = now >> TICK_BITS;
        while self.current < target || self.due_now() {
            if let Some(value) = self.fire() {
                return Some(value);
            }
            if self.current >= target {
                break;
            }
            self.current = match self.next_tick() {
                Some(tick) if tick <= target => tick,
                _ => target,
            };
            self.cascade();
        }
        None
    }

    /// When to call [`advance`](Self::advance) next: the time of the next timer, or sooner.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Nanos> {
        let tick = if self.due_now() { self.current } else { self.next_tick()? };
        Some(tick.saturating_mul(1 << TICK_BITS))
    }

    fn due_now(&self) -> bool {
        self.occupied[0] & (1 << (self.current & (BUCKETS as u64 - 1))) != 0
    }

    /// Fires one timer of the current tick.
    fn fire(&mut self) -> Option<T> {
        let index = self.first[(self.current & (BUCKETS as u64 - 1)) as usize];
        if index == NIL {
            return None;
        }
        self.unlink(index);
        self.release(index)
    }

    /// The next tick at which a bucket has to be looked at: fired at level 0, moved down at the others.
    fn next_tick(&self) -> Option<u64> {
        for level in 0..LEVELS {
            let shift = LEVEL_BITS * level as u32;
            let here = (self.current >> shift) & (BUCKETS as u64 - 1);
            let later = self.occupied[level] & !(u64::MAX >> (63 - here));
            if later != 0 {
                let above = (self.current >> shift) & !(BUCKETS as u64 - 1);
                return Some((above + u64::from(later.trailing_zeros())) << shift);
            }
        }
        // Only what lies beyond the span is left, in a bucket that the top level reaches when it starts over.
        let span = (self.current & !(SPAN - 1)) + SPAN;
        (self.len > 0).then_some(span)
    }

    /// Moves the timers of the buckets that begin at the current tick to where they belong now.
    fn cascade(&mut self) {
        for level in (1..LEVELS).rev() {
            let shift = LEVEL_BITS * level as u32;
            if self.current & ((1 << shift) - 1) != 0 {
                continue;
            }
            let bucket = (self.current >> shift) & (BUCKETS as u64 - 1);
            let slot = level * BUCKETS + bucket as usize;
            let mut index = self.first[slot];
            self.first[slot] = NIL;
            self.last[slot] = NIL;
            self.occupied[level] &= !(1 << bucket);
            while index != NIL {
                let next = self.entries[index as usize].next;
                self.link(index);
                index = next;
            }
        }
    }

    fn bucket_of(&self, tick: u64) -> usize {
        let differ = self.current ^ tick;
        if differ >= SPAN {
            // The bucket that comes round last: the top level's first one, reached when it starts over.
            return (LEVELS - 1) * BUCKETS;
        }
        let level = ((63 - (differ | 1).leading_zeros()) / LEVEL_BITS) as usize;
        let bucket = (tick >> (LEVEL_BITS * level as u32)) & (BUCKETS as u64 - 1);
        level * BUCKETS + bucket as usize
    }

    fn link(&mut self, index: u32) {
        let slot = self.bucket_of(self.entries[index as usize].tick);
        let last = self.last[slot];
        let entry = &mut self.entries[index as usize];
        entry.prev = last;
        entry.next = NIL;
        entry.bucket = slot as u16;
        if last == NIL {
            self.first[slot] = index;
        } else {
            self.entries[last as usize].next = index;
        }
        self.last[slot] = index;
        self.occupied[slot / BUCKETS] |= 1 << (slot % BUCKETS);
    }

    fn unlink(&mut self, index: u32) {
        let Entry { prev, next, bucket, .. } = self.entries[index as usize];
        let slot = bucket as usize;
        if prev == NIL {
            self.first[slot] = next;
            if next == NIL {
                self.occupied[slot / BUCKETS] &= !(1 << (slot % BUCKETS));
            }
        } else {
            self.entries[prev as usize].next = next;
        }
        if next == NIL {
            self.last[slot] = prev;
        } else {
            self.entries[next as usize].prev = prev;
        }
    }

    fn allocate(&mut self, tick: u64, value: T) -> u32 {
        if self.free == NIL {
            let index = self.entries.len() as u32;
            let generation = NonZeroU32::MIN;
            let entry =
                Entry { tick, prev: NIL, next: NIL, generation, bucket: 0, value: Some(value) };
            self.entries.push(entry);
            return index;
        }
        let index = self.free;
        let entry = &mut self.entries[index as usize];
        self.free = entry.next;
        entry.tick = tick;
        entry.value = Some(value);
        index
    }

    fn release(&mut self, index: u32) -> Option<T> {
        let entry = &mut self.entries[index as usize];
        entry.generation = entry.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        entry.next = self.free;
        self.free = index;
        self.len -= 1;
        entry.value.take()
    }
}
