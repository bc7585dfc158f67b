//! What does a syscall thread do? Takes calls, makes them, looks around for a while, sleeps, ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::seat::{NO_SEAT, Seat};
use crate::bell::Bell;
use crate::entry::{Ended, Entry};
use crate::idle::Idle;
use crate::interrupt::{self, Attended, NOT_MADE};
use crate::op::CANCELED;
use crate::pages::Pages;
use crate::program;
use crate::sys;
use crate::trap::{self, NOTHING, PROGRAM};
use crate::waker::Waker;

const INTERRUPTED: i64 = -(libc::EINTR as i64);
/// How often a call is made again that says EINTR without any signal.
const MOST_REPEATS: u32 = 3;

/// What the poster and the threads share.
pub(super) struct Shared {
    pub(super) pages: Pages,
    pub(super) idle: Idle,
    pub(super) stop: AtomicBool,
    /// Threads that have ended and were not joined.
    pub(super) ended: AtomicUsize,
    pub(super) spin: Duration,
    /// A thread beyond the first ends when it has slept for so long.
    pub(super) rest: Duration,
    pub(super) seat: Seat,
    pub(super) samples: Samples,
    #[cfg(test)]
    pub(super) without_stub: bool,
    pub(super) waker: Waker,
}

/// How long calls took on the threads: one of [`SAMPLED`] is timed, if anybody asks.
pub(super) struct Samples {
    wanted: bool,
    pub(super) calls: AtomicU64,
    pub(super) nanos: AtomicU64,
}

/// One call of so many is timed.
pub(super) const SAMPLED: u64 = 16;
/// A call that takes longer has waited, which is not its service.
pub(super) const LONGEST: Duration = Duration::from_micros(100);

impl Samples {
    pub(super) fn new(wanted: bool) -> Self {
        Samples { wanted, calls: AtomicU64::new(0), nanos: AtomicU64::new(0) }
    }

    fn add(&self, took: Duration) {
        if took < LONGEST {
            self.nanos.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
            self.calls.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A thread at work.
struct Worker {
    attended: Attended,
    me: u16,
    /// Signals that were meant for this thread, so far.
    due: u32,
    /// Where it sits, as of when it last looked.
    sits: usize,
    made: u64,
}

/// Tells that a thread has ended, also if it panics.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Release);
    }
}

/// Thread `me`, which sleeps when there is nothing to do; all but number 0 end after a long sleep.
pub(super) fn serve(shared: &Arc<Shared>, me: u16, bell: Arc<Bell>) {
    let _ending = Ending(Arc::clone(shared));
    let mut worker = Worker::new(shared, me, bell);
    // It was made on the poster's processor, which the poster may not leave to it for long.
    shared.seat.sit(me, &mut worker.sits);
    let me = usize::from(me);
    loop {
        worker.work(shared);
        if shared.stop.load(Ordering::Acquire) {
            return;
        }
        if look_around(shared) || sleep(shared, me) || me == 0 {
            continue;
        }
        shared.idle.retire(me);
        if !shared.pages.any_unclaimed() {
            return;
        }
        shared.idle.arrive(me);
    }
}

/// A spare thread: ends when it finds nothing to do.
pub(super) fn serve_once(shared: &Arc<Shared>, me: u16, bell: Arc<Bell>) {
    let _ending = Ending(Arc::clone(shared));
    Worker::new(shared, me, bell).work(shared);
}

impl Worker {
    #[cfg_attr(not(test), allow(unused_variables, reason = "tests choose by it"))]
    fn new(shared: &Shared, me: u16, bell: Arc<Bell>) -> Self {
        #[cfg(test)]
        interrupt::without_stub::choose(shared.without_stub);
        let attended = Attended::new(bell, interrupt::signal());
        Worker { attended, me, due: 0, sits: NO_SEAT, made: 0 }
    }

    /// Makes calls until none is posted.
    fn work(&mut self, shared: &Shared) {
        while let Some((page, i)) = shared.pages.claim() {
            // After the claim, which has seen what the poster wrote before it published.
            shared.seat.sit(self.me, &mut self.sits);
            self.run(shared, page, i);
        }
    }

    fn run(&mut self, shared: &Shared, page: usize, i: usize) {
        let entry = shared.pages.page(page).entry(i);
        let Some((number, args)) = entry.begin(self.me) else { return };
        let steps = (number == PROGRAM).then(|| trap::steps(&args));
        let bell = self.attended.bell();
        self.made += u64::from(shared.samples.wanted);
        // A program is no single call.
        let start = (self.made % SAMPLED == 1 && steps.is_none()).then(Instant::now);
        let ret = match steps {
            Some(steps) => {
                // SAFETY: while the program runs its steps are this thread's alone.
                let steps = unsafe { &mut *steps };
                program::run(steps, |number, args| make(entry, number, args, bell))
            }
            None => make(entry, number, &args, bell),
        };
        if let Some(start) = start {
            shared.samples.add(start.elapsed());
        }
        let finished = entry.finish(ret);
        match finished.ended {
            Ended::Wanted => {
                shared.pages.complete(page, i);
                shared.waker.wake();
            }
            Ended::Abandoned => {
                // SAFETY: nobody else is left who could touch the steps.
                let steps = steps.map_or(&[][..], |steps| unsafe { &*steps });
                for fd in program::left_open(steps, ret) {
                    // SAFETY: opened by these steps, whose poster has gone.
                    unsafe { sys::close_raw(fd) };
                }
            }
            // SAFETY: this call has just made it, for a poster that has gone.
            Ended::Orphan => unsafe { sys::close_raw(ret) },
            // SAFETY: this call has just mapped it, for a poster that has gone.
            Ended::OrphanMapping => unsafe { sys::unmap(ret as u64, args[1]) },
        }
        if finished.signalled {
            self.due = self.due.wrapping_add(1);
            self.settle();
        }
    }

    /// Waits until every signal that was meant for this thread has come, so that none hits the next
    /// call. The poster is between its mark and the signal, or the signal is on its way.
    fn settle(&self) {
        for round in 0u32.. {
            if self.attended.bell().is_settled(self.due) {
                return;
            }
            match round {
                0..64 => std::hint::spin_loop(),
                64..128 => thread::yield_now(),
                _ => thread::sleep(Duration::from_micros(50)),
            }
        }
    }
}

/// Makes a call, again if a signal ended it that was not for this call.
fn make(entry: &Entry, number: u16, args: &[u64; 6], bell: &Bell) -> i64 {
    if number == NOTHING {
        return 0;
    }
    let mut repeats = 0;
    loop {
        let heard = bell.count();
        // SAFETY: the poster made the arguments by `Op::trap` of a slot that stays as it is until
        // this call has ended, or for ever if the poster goes before.
        let ret = unsafe { interrupt::call(entry, number, args) };
        if ret != INTERRUPTED && ret != NOT_MADE {
            return ret;
        }
        // The kernel has closed it; what was interrupted is only a wait for its data.
        if ret == INTERRUPTED && libc::c_long::from(number) == libc::SYS_close {
            return 0;
        }
        if !entry.is_wanted() {
            return CANCELED;
        }
        // A connection goes on being made; to ask for it again is an error.
        if ret == INTERRUPTED && libc::c_long::from(number) == libc::SYS_connect {
            return ret;
        }
        if ret == INTERRUPTED && bell.count() == heard {
            repeats += 1;
            if repeats > MOST_REPEATS {
                return ret;
            }
        }
    }
}

/// Looks for work for a little while, or until the ring goes.
fn look_around(shared: &Shared) -> bool {
    watch(shared.spin, || shared.pages.any_unclaimed() || shared.stop.load(Ordering::Acquire))
}

/// Looks until `seen` or until the time is over.
pub(super) fn watch(time: Duration, seen: impl Fn() -> bool) -> bool {
    if time.is_zero() {
        return false;
    }
    let start = Instant::now();
    while start.elapsed() < time {
        for _ in 0..16 {
            if seen() {
                return true;
            }
            std::hint::spin_loop();
        }
    }
    false
}

/// Sleeps until there is something to do; false: the time for that is over.
fn sleep(shared: &Shared, me: usize) -> bool {
    shared.idle.enter(me);
    let start = Instant::now();
    let mut awake = true;
    if !shared.pages.any_unclaimed() && !shared.stop.load(Ordering::Acquire) {
        if me == 0 {
            thread::park();
        } else {
            thread::park_timeout(shared.rest);
            awake = start.elapsed() < shared.rest;
        }
    }
    let picked = !shared.idle.leave(me);
    awake || picked
}
