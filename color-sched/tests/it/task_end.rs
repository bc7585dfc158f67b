//! How tasks end that do not end by themselves: aborts, panics, and a machine that stops. Nothing leaks.

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::{Duration, Instant};

use color_sched::task::{self, JoinError, Runtime, TimeoutError};
use color_sched::{Color, Config};

use crate::task::{start, start_greedy, stop};

const COLOR: Color = Color(1);
const CANCELLED: JoinError = JoinError::Cancelled { color: COLOR };

/// Counts what is alive.
#[derive(Clone, Default)]
struct Census(Arc<AtomicU64>);

struct Resident(Arc<AtomicU64>);

impl Census {
    fn enter(&self) -> Resident {
        self.0.fetch_add(1, Ordering::SeqCst);
        Resident(Arc::clone(&self.0))
    }

    fn alive(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn aborted_task_that_sleeps_is_dropped_long_before_its_time() {
    let (running, census) = (start(2), Census::default());
    let (resident, (to, started)) = (census.enter(), mpsc::channel());
    let handle = running.spawner().spawn(COLOR, async move {
        let _resident = resident;
        to.send(()).unwrap();
        task::sleep(Duration::from_secs(3_600)).await
    });
    started.recv().unwrap();
    handle.abort();
    handle.abort();
    assert_eq!(handle.wait(), Err(CANCELLED));
    assert_eq!(census.alive(), 0);
    stop(running);
}

#[test]
fn aborted_task_that_has_never_run_never_runs() {
    let (runtime, census) = (Runtime::new(Config::new(1, vec![])).unwrap(), Census::default());
    let resident = census.enter();
    let handle = runtime.spawner().spawn(COLOR, async move {
        drop(resident);
        unreachable!("it was aborted")
    });
    handle.abort();
    let running = runtime.start(|_| color_sched::NoSteal).unwrap();
    assert_eq!(handle.wait(), Err::<(), _>(CANCELLED));
    assert_eq!(census.alive(), 0);
    stop(running);
}

#[test]
fn abort_of_a_running_task_waits_for_the_end_of_its_poll() {
    let running = start(1);
    let ((to, started), (go, goes)) = (mpsc::channel(), mpsc::channel::<()>());
    let handle = running.spawner().spawn(COLOR, async move {
        to.send(()).unwrap();
        goes.recv().unwrap();
        task::yield_now().await;
        unreachable!("it was aborted")
    });
    started.recv().unwrap();
    handle.abort();
    assert!(!handle.is_finished());
    go.send(()).unwrap();
    assert_eq!(handle.wait(), Err::<(), _>(CANCELLED));
    stop(running);
}

#[test]
fn result_of_a_poll_that_was_aborted_too_late_stands() {
    let running = start(1);
    let ((to, started), (go, goes)) = (mpsc::channel(), mpsc::channel::<()>());
    let handle = running.spawner().spawn(COLOR, async move {
        to.send(()).unwrap();
        goes.recv().unwrap();
        7
    });
    started.recv().unwrap();
    handle.abort();
    go.send(()).unwrap();
    while !handle.is_finished() {
        std::thread::yield_now();
    }
    handle.abort();
    assert_eq!(handle.wait(), Ok(7));
    stop(running);
}

#[test]
fn task_may_abort_itself_and_its_neighbours() {
    let running = start(1);
    let neighbour = running.spawner().spawn(COLOR, pending::<()>());
    let aborter = running.spawner().spawn(COLOR, async move {
        neighbour.abort();
        neighbour.await
    });
    assert_eq!(aborter.wait(), Ok(Err(CANCELLED)));
    let (to, handles) = mpsc::channel::<task::JoinHandle<()>>();
    let (done, is_done) = mpsc::channel::<()>();
    let suicide = running.spawner().spawn(COLOR, async move {
        let _done = done;
        handles.recv().unwrap().abort();
        pending().await
    });
    to.send(suicide).unwrap();
    assert!(is_done.recv().is_err());
    stop(running);
}

#[test]
fn panic_of_a_task_is_its_own_and_the_color_goes_on() {
    let running = start(1);
    let spawner = running.spawner();
    let before = spawner.spawn(COLOR, async {
        task::sleep(Duration::from_millis(20)).await.unwrap();
        "still here"
    });
    let panics = spawner.spawn(COLOR, async {
        task::yield_now().await;
        panic!("number {}", 7)
    });
    let message = String::from("number 7");
    let panicked = JoinError::Panicked { color: COLOR, message };
    assert_eq!(panicked.to_string(), "a task of color 1 panicked: number 7");
    assert_eq!(panics.wait(), Err::<(), _>(panicked));
    assert_eq!(before.wait(), Ok("still here"));
    stop(running);
}

/// Panics when dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[test]
fn future_that_panics_when_dropped_harms_nobody_else() {
    let running = start(1);
    let spawner = running.spawner();
    let other = spawner.spawn(COLOR, async {
        task::sleep(Duration::from_millis(20)).await.unwrap();
        7
    });
    let bomb = Bomb;
    let bombed = spawner.spawn(COLOR, async move {
        let _bomb = bomb;
        pending::<()>().await;
    });
    bombed.abort();
    assert!(bombed.wait().unwrap_err().is_panic());
    assert_eq!(other.wait(), Ok(7));
    stop(running);
}

#[test]
fn machine_that_stops_drops_all_tasks_and_their_handles_say_so() {
    let (running, census) = (start_greedy(), Census::default());
    let spawner = running.spawner();
    let spawn = |n: u64| {
        let resident = census.enter();
        spawner.spawn(Color(n % 7), async move {
            let _resident = resident;
            match n % 4 {
                0 => task::sleep(Duration::from_secs(3_600)).await.unwrap(),
                1 => pending().await,
                2 => loop {
                    task::yield_now().await;
                },
                _ => _ = task::timeout(Duration::from_secs(3_600), pending::<()>()).await,
            }
        })
    };
    let handles: Vec<_> = (0..1_000).map(spawn).collect();
    std::thread::sleep(Duration::from_millis(20));
    let late = spawner.clone();
    stop(running);
    assert_eq!(census.alive(), 0);
    for handle in handles {
        assert!(handle.is_finished());
        assert!(handle.wait().unwrap_err().is_cancelled());
    }
    let resident = census.enter();
    let refused = late.spawn(COLOR, async move { drop(resident) });
    assert_eq!(refused.wait(), Err(CANCELLED));
    assert_eq!(census.alive(), 0);
}

#[test]
fn runtime_that_never_ran_cancels_what_was_spawned() {
    let (runtime, census) = (Runtime::new(Config::new(2, vec![])).unwrap(), Census::default());
    let resident = census.enter();
    let spawner = runtime.spawner();
    let handle = spawner.spawn(COLOR, async move { drop(resident) });
    drop(runtime);
    assert_eq!(handle.wait(), Err(CANCELLED));
    assert_eq!(spawner.spawn(COLOR, async {}).wait(), Err(CANCELLED));
    assert_eq!(census.alive(), 0);
}

#[test]
fn core_that_is_dropped_cancels_the_tasks_of_the_others() {
    let runtime = Runtime::new(Config::new(2, vec![])).unwrap();
    let spawner = runtime.spawner();
    let handle = spawner.spawn(Color(0), pending::<()>());
    let mut workers = runtime.into_workers();
    let dropped = workers.pop();
    let worker = workers.remove(0);
    let thread = std::thread::spawn(move || {
        let scheduler = color_sched::Fifo::new(worker.stages());
        worker.run(scheduler, &mut color_sched::NoSteal).unwrap_err().kind()
    });
    drop(dropped);
    assert!(handle.wait().unwrap_err().is_cancelled());
    assert_eq!(thread.join().unwrap(), std::io::ErrorKind::Interrupted);
}

#[test]
fn results_that_nobody_wants_are_dropped_with_their_handles() {
    let (running, census) = (start(1), Census::default());
    let spawner = running.spawner();
    let (resident, (to, wakers)) = (census.enter(), mpsc::channel());
    // The handle is dropped before the end; a waker is kept.
    let mut resident = Some(resident);
    let mut polls = 0;
    drop(spawner.spawn(
        COLOR,
        poll_fn(move |cx| {
            to.send(cx.waker().clone()).unwrap();
            polls += 1;
            if polls == 1 { Poll::Pending } else { Poll::Ready(resident.take()) }
        }),
    ));
    let waker = wakers.recv().unwrap();
    waker.wake_by_ref();
    assert_eq!(spawner.spawn(COLOR, async {}).wait(), Ok(()));
    assert_eq!(census.alive(), 0);
    // The handle is dropped after the end.
    let resident = census.enter();
    let handle = spawner.spawn(COLOR, async move { resident });
    while !handle.is_finished() {
        std::thread::yield_now();
    }
    assert_eq!(census.alive(), 1);
    drop(handle);
    assert_eq!(census.alive(), 0);
    drop(waker);
    stop(running);
}

#[test]
fn task_that_would_block_its_core_on_another_is_told_so() {
    let running = start(1);
    let handle =
        running.spawner().spawn(COLOR, async { task::spawn(COLOR, async {}).unwrap().wait() });
    assert_eq!(handle.wait(), Ok(Err(JoinError::WaitInTask { color: COLOR })));
    stop(running);
}

#[test]
fn future_is_dropped_before_its_result_is_to_be_had() {
    let (running, census) = (start(1), Census::default());
    for _ in 0..200 {
        let resident = census.enter();
        let future = poll_fn(move |_| Poll::Ready(resident.0.load(Ordering::SeqCst)));
        assert_eq!(running.spawner().spawn(COLOR, future).wait(), Ok(1));
        assert_eq!(census.alive(), 0);
    }
    stop(running);
}

#[test]
fn runtime_that_is_dropped_stops_and_waits_for_its_cores() {
    let (running, census) = (start(2), Census::default());
    let resident = census.enter();
    let handle = running.spawner().spawn(COLOR, async move {
        let _resident = resident;
        task::timeout(Duration::from_secs(3_600), pending::<()>()).await
    });
    let start = Instant::now();
    drop(running);
    assert_eq!(census.alive(), 0);
    assert_eq!(handle.wait(), Err::<Result<(), TimeoutError>, _>(CANCELLED));
    assert!(start.elapsed() < Duration::from_secs(60));
}
