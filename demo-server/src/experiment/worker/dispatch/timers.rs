//! What do arming and cancelling cost among many timers?
//!
//! `live` timers are armed, due within two minutes in an order without pattern. Timer: one more is armed, and cancelled
//! at once. Rearm: one of them, any, is cancelled and armed again, as a server does with a connection that was heard of.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use color_sched::timer::Wheel;

use super::{By, Case, DispatchArgs, Found, shuffled, timed};
use crate::experiment::worker::clock::Clock;

/// Timers of a round.
pub(super) const ROUND: u64 = 1 << 12;
const SECOND: u64 = 1_000_000_000;

/// Times without pattern, from one second on to two minutes.
pub(super) struct Times(u64);

impl Times {
    pub(super) fn new() -> Times {
        Times(0x9e37_79b9_7f4a_7c15)
    }

    /// A time in nanoseconds, and a number that has nothing to do with it.
    #[inline]
    pub(super) fn draw(&mut self) -> (u64, u64) {
        self.0 = shuffled(self.0);
        let high = self.0 >> 32;
        (SECOND + ((119 * SECOND) >> 32) * high, self.0 & 0xffff_ffff)
    }
}

/// Timers that can be armed and cancelled.
trait Timers: Default {
    type Key;

    fn arm(&mut self, at: u64, value: u64) -> Self::Key;
    fn cancel(&mut self, key: Self::Key) -> Option<u64>;
}

impl Timers for Wheel<u64> {
    type Key = color_sched::timer::TimerKey;

    #[inline]
    fn arm(&mut self, at: u64, value: u64) -> Self::Key {
        self.insert(at, value)
    }

    #[inline]
    fn cancel(&mut self, key: Self::Key) -> Option<u64> {
        Wheel::cancel(self, key)
    }
}

/// The timers of a tree by time, and by number where times are equal.
#[derive(Default)]
struct Tree {
    timers: BTreeMap<(u64, u64), u64>,
    armed: u64,
}

impl Timers for Tree {
    type Key = (u64, u64);

    #[inline]
    fn arm(&mut self, at: u64, value: u64) -> Self::Key {
        self.armed += 1;
        self.timers.insert((at, self.armed), value);
        (at, self.armed)
    }

    #[inline]
    fn cancel(&mut self, key: Self::Key) -> Option<u64> {
        self.timers.remove(&key)
    }
}

/// Runs the worker.
pub(super) fn run(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    match args.by {
        By::Std => of::<Tree>(args, clock),
        _ => of::<Wheel<u64>>(args, clock),
    }
}

fn of<T: Timers>(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    let (mut timers, mut times) = (T::default(), Times::new());
    let mut keys: Vec<Option<T::Key>> =
        (0..args.live as u64).map(|value| Some(timers.arm(times.draw().0, value))).collect();
    timed(clock, ROUND, || {
        for _ in 0..ROUND {
            let (at, any) = times.draw();
            let cancelled = if args.case == Case::Timer {
                let key = timers.arm(at, any);
                timers.cancel(key)
            } else {
                let slot = keys.get_mut(((any * args.live as u64) >> 32) as usize);
                let slot = slot.context("a number below the number of timers")?;
                let cancelled = slot.take().and_then(|key| timers.cancel(key));
                *slot = Some(timers.arm(at, any));
                cancelled
            };
            ensure!(cancelled.is_some(), "a timer that was armed cannot be cancelled");
        }
        Ok(())
    })
}
