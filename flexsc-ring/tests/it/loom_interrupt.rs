//! Models of a signal to a syscall thread: it ends the call that it is for, wherever it meets it, and
//! no other.
//!
//! A signal is a flag that the poster sets and that the thread notices between any two of its steps,
//! where its handler then runs: at the steps before the call it leads on, inside of it it interrupts.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use crate::bell::Bell;
use crate::entry::{Entry, Met};
use crate::trap::Trap;

const NOT_MADE: i64 = i64::MIN;
const INTERRUPTED: i64 = -4;
const CANCELED: i64 = -125;

struct Thread {
    entries: [Entry; 2],
    bell: Bell,
    /// Signals on their way.
    pending: AtomicU32,
}

impl Thread {
    fn new() -> Arc<Self> {
        let entries = [Entry::new(), Entry::new()];
        Arc::new(Thread { entries, bell: Bell::new(), pending: AtomicU32::new(0) })
    }

    /// Here a signal could come: true if one did.
    fn deliver(&self) -> bool {
        let came = self.pending.swap(0, Ordering::AcqRel);
        (0..came).for_each(|_| self.bell.ring(true));
        came > 0
    }

    /// The stub, with a call that waits `long` or not at all.
    fn call(&self, entry: &Entry, long: bool) -> i64 {
        // Before the last look.
        self.deliver();
        if !entry.is_wanted() {
            return NOT_MADE;
        }
        // Between the look and the call.
        if self.deliver() {
            return NOT_MADE;
        }
        while long {
            if self.deliver() {
                return INTERRUPTED;
            }
            thread::yield_now();
        }
        7
    }

    fn make(&self, entry: &Entry, long: bool) -> i64 {
        loop {
            let ret = self.call(entry, long);
            if ret != NOT_MADE && ret != INTERRUPTED {
                return ret;
            }
            if !entry.is_wanted() {
                return CANCELED;
            }
        }
    }

    /// Takes the call of one entry, and waits for the signals that are due.
    fn run(&self, i: usize, long: bool, due: &mut u32) -> Option<i64> {
        let entry = &self.entries[i];
        entry.begin(i as u16)?;
        let ret = self.make(entry, long);
        if entry.finish(ret).signalled {
            *due += 1;
        }
        while !self.bell.is_settled(*due) {
            self.deliver();
            thread::yield_now();
        }
        Some(ret)
    }

    /// The poster's part; `sent`: the kernel took the signal.
    fn cancel(&self, i: usize, sent: bool) -> bool {
        let met = self.entries[i].cancel(true);
        match met {
            Met::Running(runner) => {
                assert_eq!(runner, i as u16, "the entry names the thread that runs it");
                if sent {
                    self.pending.fetch_add(1, Ordering::AcqRel);
                } else {
                    self.bell.lose();
                }
                true
            }
            Met::Posted | Met::Coming => false,
        }
    }
}

fn trap(mark: u64) -> Trap {
    Trap { number: mark as u16, makes_fd: false, makes_mapping: false, args: [mark; 6] }
}

#[test]
fn a_call_that_would_wait_for_ever_ends_whenever_it_is_cancelled() {
    loom::model(|| {
        let here = Thread::new();
        here.entries[0].post(&trap(1));
        let there = Arc::clone(&here);
        let thread = thread::spawn(move || there.run(0, true, &mut 0));
        let signalled = here.cancel(0, true);
        let ret = thread.join().unwrap();
        // Stopped before it began, or made to end; a signal that did nothing would be a deadlock.
        assert_eq!(ret, signalled.then_some(CANCELED));
        assert_eq!(here.entries[0].take(), ret);
    });
}

#[test]
fn the_next_call_of_the_thread_is_not_hit() {
    loom::model(|| {
        let here = Thread::new();
        here.entries[0].post(&trap(1));
        here.entries[1].post(&trap(2));
        let there = Arc::clone(&here);
        let thread = thread::spawn(move || {
            let mut due = 0;
            let first = there.run(0, false, &mut due);
            let heard = there.bell.count();
            there.entries[1].begin(1).expect("posted");
            let second = there.call(&there.entries[1], false);
            let _ = there.entries[1].finish(second);
            (first, second, there.bell.count() - heard)
        });
        here.cancel(0, true);
        let (first, second, late) = thread.join().unwrap();
        assert!(matches!(first, None | Some(7 | CANCELED)), "{first:?}");
        assert_eq!((second, late), (7, 0), "no signal comes late");
    });
}

#[test]
fn a_signal_that_was_refused_is_not_waited_for() {
    loom::model(|| {
        let here = Thread::new();
        here.entries[0].post(&trap(1));
        let there = Arc::clone(&here);
        let thread = thread::spawn(move || there.run(0, false, &mut 0));
        here.cancel(0, false);
        assert!(matches!(thread.join().unwrap(), None | Some(7 | CANCELED)));
    });
}
