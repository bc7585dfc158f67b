//! What may a callback ask for? The operations of Libasync, and how they reach the core that runs it.
//!
//! A running callback has the core's seat in a thread-local. What is asked for there is noted and carried out when the
//! callback has returned, or panicked; only descriptors are told of to the kernel at once, so that its errors can be
//! given back.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime};

use thiserror::Error;

use super::callback::{Callback, FdCallback};
use super::descriptors::SelOp;
use super::program::{CPU, Event, Shared, TIME};
use super::timers::{TimeCb, Timer};
use crate::event::{Color, Nanos, Target};

/// Why an operation was refused.
#[derive(Debug, Error)]
pub enum Reason {
    /// It is for callbacks only.
    #[error("not inside of a callback; call it in one, the first being that of Libasync::run")]
    Outside,
    /// The kernel does not wait for this descriptor.
    #[error("descriptor {fd} cannot be waited for: {source}; {}", advice(.source))]
    Descriptor {
        /// The descriptor.
        fd: RawFd,
        /// What the kernel says.
        source: io::Error,
    },
}

/// What to do about an error of the kernel's.
fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EBADF) => "open it first, and remove its callbacks before it is closed",
        Some(libc::EPERM) => "files are always ready: use cpucb",
        Some(libc::ENOSPC) => "raise /proc/sys/fs/epoll/max_user_watches",
        _ => "it is left as it was",
    }
}

/// An operation that was refused, with the callback that was passed.
pub struct Refused<C> {
    /// What was passed.
    pub callback: C,
    /// Why it was refused.
    pub reason: Reason,
}

impl<C> fmt::Debug for Refused<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<C> fmt::Display for Refused<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<C> Error for Refused<C> {}

/// What a callback has asked for.
pub(super) enum Command {
    Post(Color, Target, Event),
    Stop,
}

/// A core, for the callbacks that run on it.
struct Seat {
    shared: Arc<Shared>,
    /// A callback is running.
    is_taken: bool,
    commands: Vec<Command>,
}

thread_local! {
    static SEAT: RefCell<Option<Seat>> = const { RefCell::new(None) };
}

/// This thread's seat, until it is dropped.
pub(super) struct Seated;

impl Seated {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        SEAT.set(Some(Seat { shared, is_taken: false, commands: Vec::new() }));
        Self
    }

    /// Calls `callback`, and gives what it asked for, a panic or not, in exchange for the empty `commands`.
    pub(super) fn call(
        &self,
        callback: impl FnOnce(),
        commands: &mut Vec<Command>,
    ) -> thread::Result<()> {
        let take = |is_taken| {
            SEAT.with_borrow_mut(|seat| seat.iter_mut().for_each(|seat| seat.is_taken = is_taken));
        };
        take(true);
        let result = panic::catch_unwind(AssertUnwindSafe(callback));
        take(false);
        SEAT.with_borrow_mut(|seat| {
            seat.iter_mut().for_each(|seat| mem::swap(commands, &mut seat.commands));
        });
        result
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        SEAT.set(None);
    }
}

/// Does something with the seat of the running callback; `None` outside of one. Nothing of the program's may run in it, be
/// it a drop.
fn seated<R>(act: impl FnOnce(&mut Seat) -> R) -> Option<R> {
    let act = |seat: &RefCell<Option<Seat>>| {
        seat.borrow_mut().as_mut().filter(|seat| seat.is_taken).map(act)
    };
    SEAT.try_with(act).ok().flatten()
}

/// Is a callback running on this thread?
pub(super) fn is_inside() -> bool {
    seated(|_| ()).is_some()
}

/// Notes what is to be done once the running callback has returned.
fn ask(command: Command) {
    seated(|seat| seat.commands.push(command));
}

fn outside<C>(callback: C) -> Refused<C> {
    Refused { callback, reason: Reason::Outside }
}

/// Has `callback` called each time that `fd` is ready for `op`, until it is replaced or, by `None`, removed. Returns
/// whether there was one before.
///
/// It is called again as long as the descriptor stays ready, once what waited for its color meanwhile has run. After a
/// removal in a callback of its own color it is not called any more; after one in another color it may just be running.
/// If it panics it is removed. It is to be removed before the descriptor is closed: else it is dropped, or, if the
/// number has been opened again, waits for the new descriptor.
///
/// # Errors
/// The callback comes back outside of the loop, and if the kernel cannot wait for the descriptor: because it is not open,
/// or a file. What was there stays.
pub fn fdcb<C: FdCallback>(fd: RawFd, op: SelOp, callback: C) -> Result<bool, Refused<C>> {
    let Some(shared) = seated(|seat| Arc::clone(&seat.shared)) else {
        return Err(outside(callback));
    };
    let Some(place) = callback.place() else {
        return Ok(shared.descriptors.unwatch(fd, op).is_some());
    };
    match shared.descriptors.watch(fd, op, place, callback) {
        Ok(old) => Ok(old.is_some()),
        Err((callback, source)) => {
            Err(Refused { callback, reason: Reason::Descriptor { fd, source } })
        }
    }
}

/// Has `callback` called after so long: not sooner, and some 2 ms later if the core keeps up.
///
/// # Errors
/// The callback comes back outside of the loop.
pub fn delaycb<C: Callback>(sec: u64, nsec: u32, callback: C) -> Result<TimeCb, Refused<C>> {
    after(Duration::from_secs(sec).saturating_add(Duration::from_nanos(nsec.into())), callback)
}

/// Has `callback` called at this time of day, as it is known now: if the clock is set meanwhile, the delay stays.
///
/// # Errors
/// The callback comes back outside of the loop.
pub fn timecb<C: Callback>(when: SystemTime, callback: C) -> Result<TimeCb, Refused<C>> {
    after(when.duration_since(SystemTime::now()).unwrap_or_default(), callback)
}

fn after<C: Callback>(delay: Duration, callback: C) -> Result<TimeCb, Refused<C>> {
    let Some(now) = seated(|seat| seat.shared.clock.now()) else { return Err(outside(callback)) };
    let at = now.saturating_add(Nanos::try_from(delay.as_nanos()).unwrap_or(Nanos::MAX));
    let place = callback.place();
    let timer = Timer::new(place, at, callback.into_once());
    ask(Command::Post(place.color, TIME.into(), Event::Arm(Arc::clone(&timer))));
    Ok(TimeCb(timer))
}

/// Calls a callback off. False: it has been called, or is being called, or was removed before.
///
/// # Errors
/// The timer comes back outside of the loop.
pub fn timecb_remove(timer: TimeCb) -> Result<bool, Refused<TimeCb>> {
    if !is_inside() {
        return Err(outside(timer));
    }
    let was_waiting = timer.0.take().is_some();
    if was_waiting {
        ask(Command::Post(timer.0.place.color, TIME.into(), Event::Disarm(timer.0)));
    }
    Ok(was_waiting)
}

/// Has `callback` called as soon as a core is free for it: after what waits for its color already.
///
/// # Errors
/// The callback comes back outside of the loop.
pub fn cpucb<C: Callback>(callback: C) -> Result<(), Refused<C>> {
    if !is_inside() {
        return Err(outside(callback));
    }
    let place = callback.place();
    let target = CPU.at(place.priority);
    ask(Command::Post(place.color, target, Event::Call(callback.into_once())));
    Ok(())
}

/// Ends the loop: no further callback is called, on any core, and [`amain`](super::amain) returns when those that are
/// running have returned.
///
/// # Errors
/// There is no loop to end outside of one.
pub fn aexit() -> Result<(), Refused<()>> {
    let exit = |seat: &mut Seat| {
        seat.shared.is_exiting.store(true, Ordering::Relaxed);
        seat.commands.push(Command::Stop);
    };
    seated(exit).ok_or_else(|| outside(()))
}
