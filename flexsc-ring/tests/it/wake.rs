//! A wait ends when it is told to, and not before its time without a reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flexsc_ring::{Call, Ring};

use crate::on_every_engine;
use crate::support::{A_MOMENT, SOON};

on_every_engine! {
    fn a_wake_ends_a_wait_for_ever(bench) {
        let waker = bench.ring.waker();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(A_MOMENT);
            waker.wake();
        });
        bench.ring.wait(None).expect("woken");
        thread.join().expect("woke");
    }

    fn a_wake_before_the_wait_is_not_lost(bench) {
        bench.ring.waker().wake();
        bench.ring.wait(None).expect("returns at once");
        let start = Instant::now();
        bench.ring.wait(Some(A_MOMENT)).expect("sleeps");
        assert!(start.elapsed() >= A_MOMENT / 2, "one wake ends one wait");
    }

    fn a_wait_ends_at_its_time(bench) {
        for ms in [1, 20] {
            let start = Instant::now();
            bench.ring.wait(Some(Duration::from_millis(ms))).expect("sleeps");
            let took = start.elapsed();
            assert!(took < Duration::from_secs(2), "{took:?}");
        }
        bench.ring.wait(Some(Duration::from_micros(30))).expect("sleeps");
        bench.ring.flush().expect("does not sleep");
    }

    fn a_wait_for_ages_still_ends_with_a_completion(bench) {
        for until in [Duration::MAX, Duration::from_secs(u64::MAX / 2)] {
            bench.post(Call::nop(), 1);
            let deadline = Instant::now() + SOON;
            while bench.done.pop_front().is_none() {
                assert!(Instant::now() < deadline);
                bench.turn(until);
            }
        }
    }

    fn no_message_to_a_sleeping_ring_is_lost(bench) {
        const MESSAGES: u64 = 20_000;
        let (posted, waker) = (Arc::new(AtomicU64::new(0)), bench.ring.waker());
        let ours = Arc::clone(&posted);
        let sender = std::thread::spawn(move || {
            for n in 1..=MESSAGES {
                ours.store(n, Ordering::Release);
                waker.wake();
                if n % 64 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        // The last message leaves the mark at MESSAGES: a lost wake would sleep for ever.
        while posted.load(Ordering::Acquire) < MESSAGES {
            bench.ring.wait(None).expect("woken");
        }
        sender.join().expect("sent");
    }
}
