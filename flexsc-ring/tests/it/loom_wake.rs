//! Models of sleep and wake: no wake is lost, and none costs more than its sleep.

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::epoch::Epoch;

/// Stands for the event descriptor: a sleep takes all signals that have come.
struct Event {
    pending: Mutex<usize>,
    changed: Condvar,
}

impl Event {
    fn signal(&self) {
        *self.pending.lock().unwrap() += 1;
        self.changed.notify_one();
    }

    fn sleep(&self) {
        let mut pending = self.pending.lock().unwrap();
        while *pending == 0 {
            pending = self.changed.wait(pending).unwrap();
        }
        *pending = 0;
    }
}

struct Shared {
    epoch: Epoch,
    event: Event,
    inbox: [AtomicUsize; 2],
    signals: AtomicUsize,
}

fn shared() -> Arc<Shared> {
    let event = Event { pending: Mutex::new(0), changed: Condvar::new() };
    let inbox = [AtomicUsize::new(0), AtomicUsize::new(0)];
    Arc::new(Shared { epoch: Epoch::new(), event, inbox, signals: AtomicUsize::new(0) })
}

fn send(shared: &Shared, to: usize) {
    shared.inbox[to].store(1, Ordering::Relaxed);
    if shared.epoch.wake() {
        shared.signals.fetch_add(1, Ordering::Relaxed);
        shared.event.signal();
    }
}

/// Sleeps until both messages are in; how many sleeps it took. A lost wake is a deadlock.
fn receive(shared: &Shared, messages: usize) -> usize {
    let mut sleeps = 0;
    let here = |s: &Shared| s.inbox.iter().filter(|m| m.load(Ordering::Relaxed) == 1).count();
    while here(shared) < messages {
        if shared.epoch.arm() {
            sleeps += 1;
            shared.event.sleep();
            shared.epoch.disarm();
        }
    }
    sleeps
}

#[test]
fn a_message_from_one_sender_wakes_the_sleeper() {
    loom::model(|| {
        let here = shared();
        let there = Arc::clone(&here);
        let sender = thread::spawn(move || send(&there, 0));
        receive(&here, 1);
        sender.join().unwrap();
    });
}

#[test]
fn two_senders_are_both_heard_and_signal_once_a_sleep() {
    // Unbounded, the search takes minutes.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let here = shared();
        let senders: Vec<_> = (0..2)
            .map(|i| {
                let there = Arc::clone(&here);
                thread::spawn(move || send(&there, i))
            })
            .collect();
        let sleeps = receive(&here, 2);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert!(here.signals.load(Ordering::Relaxed) <= sleeps, "signals only for sleeps");
    });
}

#[test]
fn a_ring_that_never_sleeps_costs_its_wakers_no_signal() {
    loom::model(|| {
        let here = shared();
        let there = Arc::clone(&here);
        let sender = thread::spawn(move || send(&there, 0));
        here.epoch.pass();
        here.epoch.pass();
        sender.join().unwrap();
        assert_eq!(here.signals.load(Ordering::Relaxed), 0);
    });
}
