//! The poller: posting enters the kernel only to wake it, rings share it, and it can be refused.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use flexsc_ring::{AnyRing, Call, Engine, Options, Ring, RingError, Uring, Value};

use crate::support::{Bench, Buf, SOON, alone, on, open_files, options};

fn patient() -> Options {
    Options { sqpoll_idle: Duration::from_secs(5), ..options(Engine::Sqpoll) }
}

/// Collects `n` completions by turns that do not sleep.
fn collect(bench: &mut Bench, n: usize) {
    let deadline = Instant::now() + SOON;
    while bench.done.len() < n {
        assert!(Instant::now() < deadline, "{}", bench.ring.stats());
        bench.turn(Duration::ZERO);
    }
    bench.done.clear();
}

#[test]
fn an_awake_poller_costs_no_system_call() {
    on(&patient(), |bench| {
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        bench.post(Call::recv(ours.as_raw_fd()), 0);
        bench.post(Call::nop(), 1);
        collect(bench, 1);
        let before = bench.ring.stats().enters;
        for _ in 0..200 {
            (0..10).for_each(|user| {
                bench.post(Call::nop(), user);
            });
            collect(bench, 10);
            bench.turn(Duration::ZERO);
        }
        assert_eq!(bench.ring.stats().enters, before, "no enter");
    });
}

#[test]
fn a_poller_that_fell_asleep_is_woken() {
    let options = Options { sqpoll_idle: Duration::from_millis(1), ..options(Engine::Sqpoll) };
    on(&options, |bench| {
        let mut woken = 0;
        for user in 0..20 {
            std::thread::sleep(Duration::from_millis(20));
            let before = bench.ring.stats().enters;
            bench.post(Call::nop(), user);
            collect(bench, 1);
            woken += bench.ring.stats().enters - before;
        }
        assert!((1..=20).contains(&woken), "one enter a wake at most: {woken}");
    });
}

#[test]
fn bytes_come_and_go_while_the_caller_sleeps() {
    on(&options(Engine::Sqpoll), |bench| {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        bench.post(Call::recv_multishot(ours.as_raw_fd()), 1);
        let peer = std::thread::spawn(move || {
            for round in 0..50u8 {
                std::thread::sleep(Duration::from_millis(u64::from(round % 8)));
                theirs.write_all(&[round; 4]).expect("written");
            }
        });
        let mut got = Vec::new();
        while got.len() < 200 {
            match bench.next_of(1).result {
                Ok(Value::Received(bytes)) => got.extend_from_slice(&bytes),
                other => panic!("{other:?}"),
            }
        }
        peer.join().expect("the peer wrote all");
        let all: Vec<u8> = (0..50).flat_map(|round| [round; 4]).collect();
        assert_eq!(got, all);
    });
}

/// Kernel threads that poll for this process.
fn pollers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("it is there");
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
    tasks.flatten().filter_map(|task| name(task).ok()).filter(|n| n.starts_with("iou-sqp-")).count()
}

#[test]
fn rings_of_two_threads_share_one_poller() {
    alone("sqpoll::rings_of_two_threads_share_one_poller", || {
        on(&options(Engine::Sqpoll), |bench| {
            assert_eq!(bench.ring.engine(), Engine::Sqpoll);
            let poller = bench.ring.poller();
            assert!(poller.is_some());
            let shared = Options { sqpoll_with: poller, ..options(Engine::Sqpoll) };
            let turns = |bench: &mut Bench| {
                for user in 0..1_000 {
                    bench.post(Call::nop(), user);
                    assert_eq!(bench.next().user, user);
                }
            };
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    on(&shared, |other| {
                        turns(other);
                        assert_eq!(pollers(), 1);
                    })
                });
                turns(bench);
            });
        });
    });
}

#[test]
fn a_poller_whose_ring_is_gone_is_not_shared() {
    let mut kept = None;
    on(&options(Engine::Sqpoll), |bench| kept = bench.ring.poller());
    let Some(poller) = kept else { return };
    let refused = Uring::<Buf>::new(&Options { sqpoll_with: Some(poller), ..patient() });
    assert!(matches!(refused, Err(RingError::PollerGone)));
}

#[test]
fn other_engines_have_no_poller() {
    for engine in [Engine::Direct, Engine::Threads, Engine::Uring] {
        on(&options(engine), |bench| assert!(bench.ring.poller().is_none()));
    }
}

#[test]
fn a_processor_that_is_not_there_is_refused() {
    let refused = AnyRing::<Buf>::new(&Options { sqpoll_cpu: Some(100_000), ..patient() });
    assert!(matches!(refused, Err(RingError::Option { option: "sqpoll_cpu", .. })));
    on(&Options { sqpoll_cpu: Some(0), ..patient() }, |bench| {
        assert!(bench.call(Call::nop()).result.is_ok());
    });
}

#[test]
fn a_dropped_ring_takes_its_poller_along() {
    alone("sqpoll::a_dropped_ring_takes_its_poller_along", || {
        let before = open_files();
        for _ in 0..10 {
            on(&options(Engine::Sqpoll), |bench| {
                let (ours, _theirs) = UnixStream::pair().expect("a pair");
                bench.post(Call::recv_multishot(ours.as_raw_fd()), 1);
                bench.turn(Duration::ZERO);
            });
        }
        let deadline = Instant::now() + SOON;
        while (pollers(), open_files()) != (0, before) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!((pollers(), open_files()), (0, before));
    });
}
