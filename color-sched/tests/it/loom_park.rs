//! Every interleaving of a core that goes to sleep with one or two wakers: no wake-up is lost, and none costs two calls.

use color_sched::board::Board;
use color_sched::park::{Notice, Parker, is_any_searching};
use color_sched::{Color, CoreId, Offer};
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// A parker with the work it is woken for, and a wait that ends by a call as a driver's does.
struct Bed {
    parker: Parker,
    work: [AtomicBool; 2],
    calls: AtomicUsize,
    is_woken: Mutex<bool>,
    bell: Condvar,
}

impl Bed {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            parker: Parker::default(),
            work: [AtomicBool::new(false), AtomicBool::new(false)],
            calls: AtomicUsize::new(0),
            is_woken: Mutex::new(false),
            bell: Condvar::new(),
        })
    }

    /// A waker: publishes, then notifies.
    fn publish(&self, item: usize) {
        self.work[item].store(true, Ordering::Relaxed);
        if self.parker.notify() == Notice::Wake {
            self.calls.fetch_add(1, Ordering::Relaxed);
            *self.is_woken.lock().unwrap() = true;
            self.bell.notify_one();
        }
    }

    /// The core: sleeps until `wanted` items are there, as the loop of a core does, and counts its waits.
    fn sleep_until(&self, wanted: usize) -> usize {
        let mut waits = 0;
        loop {
            if self.visible() == wanted {
                return waits;
            }
            self.parker.doze();
            if self.visible() == wanted || !self.parker.park() {
                self.parker.rise();
                continue;
            }
            waits += 1;
            let mut is_woken = self.is_woken.lock().unwrap();
            while !*is_woken {
                is_woken = self.bell.wait(is_woken).unwrap();
            }
            *is_woken = false;
            drop(is_woken);
            assert!(self.parker.rise(), "a wait ends by a notice only");
        }
    }

    fn visible(&self) -> usize {
        self.work.iter().filter(|item| item.load(Ordering::Relaxed)).count()
    }
}

#[test]
fn no_wake_up_is_lost_and_each_wait_costs_one_call() {
    loom::model(|| {
        let bed = Bed::new();
        let waker = {
            let bed = Arc::clone(&bed);
            thread::spawn(move || bed.publish(0))
        };
        let waits = bed.sleep_until(1);
        waker.join().unwrap();
        assert_eq!(bed.calls.load(Ordering::Relaxed), waits);
    });
}

#[test]
fn two_wakers_of_one_wait_make_one_call() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let bed = Bed::new();
        let wakers = [0, 1].map(|item| {
            let bed = Arc::clone(&bed);
            thread::spawn(move || bed.publish(item))
        });
        let waits = bed.sleep_until(2);
        for waker in wakers {
            waker.join().unwrap();
        }
        assert_eq!(bed.calls.load(Ordering::Relaxed), waits);
    });
}

/// A thief that searched in vain and is about to wait, while an owner offers a color and sees it searching: it must not
/// wait with the color on the board.
#[test]
fn thief_that_was_seen_searching_does_not_wait_while_a_color_is_offered() {
    loom::model(|| {
        let shared = Arc::new((Parker::default(), Board::<u32>::new()));
        let owner = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (parker, board) = &*shared;
                let offer = Offer { color: Color(7), queued_ns: 1, events: 1, penalty_pct: 100 };
                assert!(board.offer(0, Box::new(1), &offer).is_ok());
                if is_any_searching([parker].into_iter()) {
                    return Notice::Looks;
                }
                parker.notify()
            })
        };
        let (parker, board) = &*shared;
        parker.search();
        let steal = || board.read(0).and_then(|offer| board.take(0, offer.color, CoreId(1), 9));
        let mut stolen = steal();
        if stolen.is_none() {
            parker.doze();
            stolen = steal();
        }
        let waits = stolen.is_none() && parker.park();
        let notice = owner.join().unwrap();
        assert!(
            !waits || notice == Notice::Wake,
            "it waits, and the owner's notice was {notice:?}"
        );
    });
}
