//! Tasks on running cores: results, order, colors that open and close with them, wakers that outlive everything.

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use color_sched::task::{self, JoinHandle, OutsideTask, Running, Runtime, Spawner};
use color_sched::{Color, Config, Cost, NoSteal};
use futures::channel::oneshot;

use crate::threads::Greedy;

/// A runtime of so many cores, whose colors stay at home.
pub(crate) fn start(cores: usize) -> Running {
    Runtime::new(Config::new(cores, vec![])).unwrap().start(|_| NoSteal).unwrap()
}

/// A runtime of two cores that steal whatever waits.
pub(crate) fn start_greedy() -> Running {
    let config = Config { steal_cost: Cost::fixed(0), ..Config::new(2, vec![]) };
    Runtime::new(config).unwrap().start(|_| Greedy).unwrap()
}

/// Stops, and tells how many colors were stolen. Nothing may have panicked outside of tasks.
pub(crate) fn stop(running: Running) -> u64 {
    let stats = running.stop().unwrap();
    assert_eq!(stats.iter().map(|stats| stats.panics).sum::<u64>(), 0);
    assert_eq!(stats.iter().map(|stats| stats.colors).sum::<u64>(), 0, "a color is still open");
    stats.iter().map(|stats| stats.thefts).sum()
}

#[test]
fn thread_that_waits_gets_the_result_of_a_task() {
    let running = start(2);
    let handle = running.spawner().spawn(Color(3), async { (task::color(), task::core()) });
    let (color, core) = handle.wait().unwrap();
    assert_eq!((color, core.map(|core| core.0)), (Some(Color(3)), Some(1)));
    stop(running);
}

#[test]
fn task_awaits_tasks_of_its_own_and_of_another_color() {
    let running = start(2);
    let sum = running.spawner().spawn(Color(0), async {
        let same = task::spawn(Color(0), async { 1 }).unwrap();
        let other = task::spawn(Color(1), async { task::color().unwrap().0 + 1 }).unwrap();
        same.await.unwrap() + other.await.unwrap()
    });
    assert_eq!(sum.wait(), Ok(3));
    stop(running);
}

#[test]
fn outside_of_a_task_nothing_panics_and_errors_say_why() {
    let no_task = thread::spawn(|| {
        let slept = futures::FutureExt::now_or_never(task::sleep(Duration::from_secs(1)));
        let timed = task::timeout(Duration::from_secs(1), pending::<()>());
        (slept, futures::FutureExt::now_or_never(timed), task::spawn(Color(0), async {}).err())
    });
    let (slept, timed, spawned) = no_task.join().unwrap();
    assert_eq!(slept, Some(Err(OutsideTask)));
    assert_eq!(timed, Some(Err(task::TimeoutError::Outside(OutsideTask))));
    assert_eq!(spawned, Some(OutsideTask));
    assert_eq!((task::color(), task::core()), (None, None));
    assert!(OutsideTask.to_string().contains("Spawner::spawn"));
}

/// Checks from inside of polls that no two tasks of a color run at once, and that each starts after its predecessor.
#[derive(Default)]
struct Witness {
    is_inside: AtomicBool,
    started: AtomicU64,
}

impl Witness {
    /// Something that takes a while.
    fn step(&self) {
        assert!(!self.is_inside.swap(true, Ordering::SeqCst), "two tasks of a color at once");
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_micros(5) {
            std::hint::spin_loop();
        }
        self.is_inside.store(false, Ordering::SeqCst);
    }

    async fn run(self: Arc<Self>, number: u64) {
        assert_eq!(self.started.fetch_add(1, Ordering::SeqCst), number, "out of order");
        for _ in 0..3 {
            self.step();
            task::yield_now().await;
        }
        self.step();
    }
}

#[test]
fn tasks_of_a_stolen_color_start_in_order_and_never_run_at_once() {
    const COLORS: u64 = 32;
    const TASKS: u64 = 100;
    let running = start_greedy();
    let spawner = running.spawner();
    let witnesses: Vec<_> = (0..COLORS).map(|_| Arc::new(Witness::default())).collect();
    let mut handles = Vec::new();
    for number in 0..TASKS {
        for (n, witness) in witnesses.iter().enumerate() {
            let color = Color(2 * n as u64);
            handles.push(spawner.spawn(color, Arc::clone(witness).run(number)));
        }
    }
    for handle in handles {
        assert_eq!(handle.wait(), Ok(()));
    }
    assert!(stop(running) > 0, "nothing was stolen");
}

#[test]
fn wakes_from_another_thread_keep_their_order_within_a_color() {
    const TASKS: usize = 200;
    let running = start_greedy();
    let spawner = running.spawner();
    let orders: Vec<_> = (0..8).map(|_| Arc::new(Mutex::new(Vec::new()))).collect();
    let mut senders = Vec::new();
    let mut handles = Vec::new();
    for place in (0..TASKS).map(|n| n * 7 % TASKS) {
        for (color, order) in orders.iter().enumerate() {
            let (sender, receiver) = oneshot::channel::<()>();
            senders.push((place, color, sender));
            let order = Arc::clone(order);
            handles.push(spawner.spawn(Color(2 * color as u64), async move {
                receiver.await.unwrap();
                order.lock().unwrap().push(place);
            }));
        }
    }
    // What is spawned last of a color runs after all of the others wait.
    for color in 0..orders.len() {
        assert_eq!(spawner.spawn(Color(2 * color as u64), async {}).wait(), Ok(()));
    }
    senders.sort_by_key(|(place, color, _)| (*place, *color));
    let waker = thread::spawn(move || {
        senders.into_iter().for_each(|(_, _, sender)| sender.send(()).unwrap());
    });
    waker.join().unwrap();
    handles.into_iter().for_each(|handle| handle.wait().unwrap());
    for order in orders {
        assert!(order.lock().unwrap().iter().copied().eq(0..TASKS));
    }
    stop(running);
}

#[test]
fn ten_thousand_tasks_of_a_hundred_colors_all_end() {
    let running = start_greedy();
    let spawner = running.spawner();
    let handles: Vec<_> = (0..10_000_u64)
        .map(|n| {
            spawner.spawn(Color(n % 100), async move {
                task::yield_now().await;
                let child = task::spawn(Color((n + 1) % 100), async move { n }).unwrap();
                child.await.unwrap()
            })
        })
        .collect();
    let sum: u64 = handles.into_iter().map(|handle| handle.wait().unwrap()).sum();
    assert_eq!(sum, 10_000 * 9_999 / 2);
    stop(running);
}

/// Spawns tasks that are over at once, so that their color closes and opens all the time.
fn spawn_and_check_order(spawner: &Spawner, color: Color) {
    let last = Arc::new(AtomicU64::new(0));
    let mut handles = Vec::new();
    for n in 1..=2_000 {
        let last = Arc::clone(&last);
        let run = async move { assert_eq!(last.swap(n, Ordering::Relaxed) + 1, n, "overtaken") };
        handles.push(spawner.spawn(color, run));
        // Most colors close right after a task's end: that is when the next one is to be spawned.
        while n % 4 > 0 && !handles.last().is_some_and(JoinHandle::is_finished) {
            thread::yield_now();
        }
    }
    handles.into_iter().for_each(|handle| assert_eq!(handle.wait(), Ok(())));
}

#[test]
fn task_that_is_spawned_while_its_color_closes_is_neither_lost_nor_overtaken() {
    let running = start_greedy();
    thread::scope(|scope| {
        for n in 0..4 {
            let spawner = running.spawner();
            // Two spawners a color, and colors of either core.
            scope.spawn(move || spawn_and_check_order(&spawner, Color(n / 2)));
        }
    });
    stop(running);
}

#[test]
fn future_that_wakes_itself_while_polled_is_polled_once_more_each_time() {
    let running = start(1);
    let polls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&polls);
    let handle = running.spawner().spawn(Color(0), async move {
        poll_fn(|cx| {
            // However often it wakes itself, one poll follows.
            (0..3).for_each(|_| cx.waker().wake_by_ref());
            match counted.fetch_add(1, Ordering::Relaxed) {
                100 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
        // Left over wakes do not count as a wait that is over.
        task::sleep(Duration::from_millis(5)).await
    });
    assert_eq!(handle.wait(), Ok(Ok(())));
    assert_eq!(polls.load(Ordering::Relaxed), 101);
    let events: u64 = running.stop().unwrap().iter().map(|stats| stats.events).sum();
    assert!(events < 110, "{events} events for 103 polls");
}

/// Gives its waker away, and is ready when `is_ready`.
async fn give_waker(to: mpsc::Sender<Waker>, is_ready: Arc<AtomicBool>) {
    poll_fn(|cx| {
        to.send(cx.waker().clone()).unwrap();
        match is_ready.load(Ordering::Relaxed) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

#[test]
fn waker_outlives_its_task_its_color_and_its_machine() {
    let running = start(2);
    let (to, wakers) = mpsc::channel();
    let is_ready = Arc::new(AtomicBool::new(false));
    let spawner = running.spawner();
    let handle = spawner.spawn(Color(5), give_waker(to, Arc::clone(&is_ready)));
    let stale: Waker = wakers.recv().unwrap();
    assert!(!handle.is_finished());
    is_ready.store(true, Ordering::Relaxed);
    stale.wake_by_ref();
    assert_eq!(handle.wait(), Ok(()));
    // A successor in the same place, of the same color, is not polled by its predecessor's waker.
    let polls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&polls);
    let successor = spawner.spawn(
        Color(5),
        poll_fn(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Poll::<()>::Pending
        }),
    );
    assert_eq!(spawner.spawn(Color(5), async {}).wait(), Ok(()));
    stale.wake_by_ref();
    assert_eq!(spawner.spawn(Color(5), async {}).wait(), Ok(()));
    assert_eq!(polls.load(Ordering::Relaxed), 1);
    stop(running);
    assert!(successor.is_finished());
    stale.wake_by_ref();
    drop(stale);
}

#[test]
fn tasks_of_two_machines_wake_each_other() {
    let (one, two) = (start(1), start(1));
    let there = two.spawner();
    let handle = one.spawner().spawn(Color(0), async move {
        let mut sum = 0;
        for n in 0..200 {
            let (ask, asked) = oneshot::channel();
            let echo = there.spawn(Color(0), async move { asked.await.unwrap() });
            task::yield_now().await;
            ask.send(n).unwrap();
            sum += echo.await.unwrap();
        }
        sum
    });
    assert_eq!(handle.wait(), Ok(199 * 200 / 2));
    assert_eq!((stop(one), stop(two)), (0, 0));
}

#[test]
fn what_users_hold_may_go_to_any_thread() {
    fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<Spawner>();
    is_shared::<JoinHandle<std::cell::Cell<u8>>>();
    is_shared::<Running>();
    is_shared::<task::Port>();
}
