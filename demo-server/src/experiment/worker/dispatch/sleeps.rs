//! What do arming and cancelling cost among many timers of tokio?
//!
//! The same as in `timers`, by the `Sleep` of a current-thread runtime: armed by the first poll, cancelled by its drop, and
//! armed again by `reset`. Deadlines are given as times, so that arming does not look at the clock.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::runtime::Builder;
use tokio::time::{Instant, Sleep, sleep_until};

use super::timers::{ROUND, Times};
use super::{Case, DispatchArgs, Found, timed};
use crate::experiment::worker::clock::Clock;

/// Runs the worker.
pub(super) fn run(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async { of(args, clock) })
}

/// Inside of a runtime, whose clock does not go on meanwhile.
fn of(args: &DispatchArgs, clock: Clock) -> anyhow::Result<Found> {
    // The times begin when the last of them is armed, or else the first would be due before the end.
    let base = Instant::now() + Duration::from_secs(600);
    let mut times = Times::new();
    let at = |ns: u64| base + Duration::from_nanos(ns);
    let mut timers: Vec<Pin<Box<Sleep>>> =
        (0..args.live).map(|_| Box::pin(sleep_until(at(times.draw().0)))).collect();
    for timer in &mut timers {
        ensure!(is_armed(timer.as_mut()), "a timer is due as soon as it is armed");
    }
    timed(clock, ROUND, || {
        for _ in 0..ROUND {
            let (ns, any) = times.draw();
            if args.case == Case::Timer {
                let timer = pin!(sleep_until(at(ns)));
                ensure!(is_armed(timer), "a timer is due as soon as it is armed");
            } else {
                let timer = timers.get_mut(((any * args.live as u64) >> 32) as usize);
                timer.context("a number below the number of timers")?.as_mut().reset(at(ns));
            }
        }
        Ok(())
    })
}

fn is_armed(timer: Pin<&mut Sleep>) -> bool {
    timer.poll(&mut Context::from_waker(Waker::noop())) == Poll::Pending
}
