//! Tasks that wait: never too short, not much too long, and without a timer left over.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use color_sched::task::{self, TimeoutError};
use color_sched::{Color, CoreId, NoSteal};
use futures::future::join_all;

use crate::task::{start, start_greedy, stop};

/// Polls once.
async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_pending())).await
}

#[test]
fn sleep_is_never_too_short_even_after_long_work() {
    let running = start(1);
    let handle = running.spawner().spawn(Color(0), async {
        let mut waits = Vec::new();
        for millis in [0, 1, 3, 10, 25] {
            // The core's own stamp of the time is that old now.
            let busy = Instant::now();
            while busy.elapsed() < Duration::from_millis(12) {
                std::hint::spin_loop();
            }
            let time = Duration::from_millis(millis);
            let start = Instant::now();
            task::sleep(time).await.unwrap();
            waits.push((time, start.elapsed()));
        }
        waits
    });
    for (time, waited) in handle.wait().unwrap() {
        assert!(waited >= time, "slept {waited:?} instead of {time:?}");
        assert!(waited < time + Duration::from_secs(2), "slept {waited:?} instead of {time:?}");
    }
    stop(running);
}

#[test]
fn sleep_of_centuries_is_no_overflow() {
    let running = start(1);
    let handle = running.spawner().spawn(Color(0), task::sleep(Duration::MAX));
    assert_eq!(running.spawner().spawn(Color(0), task::sleep(Duration::ZERO)).wait(), Ok(Ok(())));
    assert!(!handle.is_finished());
    handle.abort();
    assert!(handle.wait().unwrap_err().is_cancelled());
    stop(running);
}

#[test]
fn sleeps_of_stolen_colors_all_end() {
    let running = start_greedy();
    let spawner = running.spawner();
    let handles: Vec<_> = (0..2_000_u64)
        .map(|n| {
            // All at home on core 0.
            spawner.spawn(Color(2 * (n % 50)), async move {
                let mut cores = [false; 2];
                for round in 0..4 {
                    let time = Duration::from_micros(500 * (n % 7) + round);
                    task::sleep(time).await.unwrap();
                    cores[task::core().unwrap_or(CoreId(0)).index()] = true;
                }
                cores
            })
        })
        .collect();
    let mut ran = [false; 2];
    for handle in handles {
        let cores = handle.wait().unwrap();
        ran = [ran[0] | cores[0], ran[1] | cores[1]];
    }
    assert!(stop(running) > 0, "nothing was stolen");
    assert_eq!(ran, [true; 2]);
}

#[test]
fn timeout_gives_what_is_ready_in_time_and_drops_what_is_not() {
    let running = start(1);
    let handle = running.spawner().spawn(Color(0), async {
        let short = Duration::from_millis(5);
        let long = Duration::from_secs(3_600);
        let in_time = task::timeout(long, async {
            task::sleep(short).await.unwrap();
            7
        });
        let start = Instant::now();
        let outcomes = (in_time.await, task::timeout(short, pending::<()>()).await);
        let nested = task::timeout(long, task::timeout(short, task::sleep(long))).await;
        assert!(start.elapsed() >= 3 * short);
        (outcomes, nested, task::timeout(Duration::ZERO, async { 1 }).await)
    });
    let late = Err(TimeoutError::Elapsed(Duration::from_millis(5)));
    let (outcomes, nested, at_once) = handle.wait().unwrap();
    assert_eq!(outcomes, (Ok(7), Err(TimeoutError::Elapsed(Duration::from_millis(5)))));
    assert_eq!((nested, at_once), (Ok(late), Ok(1)));
    // Neither the won race's sleep nor the lost one's future has left a timer that would fire.
    let timers: u64 = running.stop().unwrap().iter().map(|stats| stats.timers).sum();
    assert_eq!(timers, 3);
}

#[test]
fn dropped_sleep_leaves_no_timer() {
    let runtime = task::Runtime::new(color_sched::Config::new(1, vec![])).unwrap();
    let running = runtime.start(|_| NoSteal).unwrap();
    let handle = running.spawner().spawn(Color(0), async {
        for _ in 0..100 {
            // Armed and dropped in one poll, and armed in one and dropped in another.
            let mut both = join_all([
                task::sleep(Duration::from_millis(1)),
                task::sleep(Duration::from_millis(2)),
            ]);
            assert!(is_pending(&mut both).await);
            task::yield_now().await;
            drop(both);
            task::timeout(Duration::from_millis(1), task::yield_now()).await.unwrap();
        }
        task::sleep(Duration::from_millis(10)).await
    });
    assert_eq!(handle.wait(), Ok(Ok(())));
    let timers: u64 = running.stop().unwrap().iter().map(|stats| stats.timers).sum();
    // Some may have fired while the loop went on.
    assert!(timers < 100, "{timers} timers fired");
}

#[test]
fn sleep_that_moves_to_another_color_outlives_the_one_that_armed_it() {
    let running = start(2);
    let spawner = running.spawner();
    let first = spawner.spawn(Color(0), async {
        let mut sleep = Box::pin(task::sleep(Duration::from_millis(30)));
        assert!(is_pending(&mut sleep).await);
        (sleep, Instant::now())
    });
    // Color 0 closes with its only task, and takes its timers with it.
    let (sleep, start) = first.wait().unwrap();
    let second = spawner.spawn(Color(1), async move {
        sleep.await.unwrap();
        start.elapsed()
    });
    let slept = second.wait().unwrap();
    assert!(slept >= Duration::from_millis(25), "{slept:?}");
    stop(running);
}
