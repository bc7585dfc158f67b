//! Async code from elsewhere, which knows nothing of colors: channels, joins and streams of the futures crate.

use std::thread;
use std::time::Duration;

use color_sched::{Color, task};
use futures::channel::{mpsc, oneshot};
use futures::future::{Either, join, join_all, select};
use futures::stream::{FuturesUnordered, StreamExt};
use futures::{SinkExt, pin_mut};

use crate::task::{start, start_greedy, stop};

#[test]
fn bounded_channel_between_stolen_colors_keeps_its_messages_in_order() {
    const PAIRS: u64 = 16;
    let running = start_greedy();
    let spawner = running.spawner();
    let mut sums = Vec::new();
    for pair in 0..PAIRS {
        let (mut sender, mut receiver) = mpsc::channel(4);
        drop(spawner.spawn(Color(4 * pair), async move {
            for n in 0..1_000_u64 {
                sender.send(n).await.unwrap();
            }
        }));
        sums.push(spawner.spawn(Color(4 * pair + 2), async move {
            let mut next = 0;
            while let Some(n) = receiver.next().await {
                assert_eq!(n, next);
                next += 1;
            }
            next
        }));
    }
    assert!(sums.into_iter().all(|sum| sum.wait() == Ok(1_000)));
    stop(running);
}

#[test]
fn sleeps_under_another_waker_than_the_tasks_end_too() {
    let running = start(1);
    let handle = running.spawner().spawn(Color(0), async {
        let sleep = |n: u64| async move {
            task::sleep(Duration::from_millis(20 - 4 * n)).await.unwrap();
            n
        };
        let unordered: FuturesUnordered<_> = (0..5).map(sleep).collect();
        let joined = join(unordered.collect::<Vec<_>>(), join_all((0..5).map(sleep)));
        joined.await
    });
    let (by_time, by_number) = handle.wait().unwrap();
    assert_eq!((by_time, by_number), (vec![4, 3, 2, 1, 0], vec![0, 1, 2, 3, 4]));
    stop(running);
}

#[test]
fn thread_that_answers_wakes_the_task_that_asked() {
    let running = start_greedy();
    let (ask, asked) = std::sync::mpsc::channel::<(u64, oneshot::Sender<u64>)>();
    let server = thread::spawn(move || {
        for (question, reply) in asked {
            reply.send(question * 2).unwrap();
        }
    });
    let spawner = running.spawner();
    let handles: Vec<_> = (0..100)
        .map(|n| {
            let ask = ask.clone();
            spawner.spawn(Color(n % 10), async move {
                let mut answer = n;
                for _ in 0..20 {
                    let (reply, replied) = oneshot::channel();
                    ask.send((answer % 1_000, reply)).unwrap();
                    answer = replied.await.unwrap();
                }
                answer
            })
        })
        .collect();
    drop(ask);
    assert!(handles.into_iter().all(|handle| handle.wait().unwrap() < 2_000));
    server.join().unwrap();
    stop(running);
}

#[test]
fn first_of_two_wins_and_handles_are_futures_anywhere() {
    let running = start(2);
    let spawner = running.spawner();
    let quick = spawner.spawn(Color(0), async { "quick" });
    let slow = spawner.spawn(Color(1), task::sleep(Duration::from_secs(3_600)));
    let race = spawner.spawn(Color(2), async move {
        pin_mut!(quick, slow);
        match select(slow, quick).await {
            Either::Left(_) => "slow",
            Either::Right((quick, slow)) => {
                slow.abort();
                assert!(slow.await.unwrap_err().is_cancelled());
                quick.unwrap()
            }
        }
    });
    assert_eq!(race.wait(), Ok("quick"));
    stop(running);
}
