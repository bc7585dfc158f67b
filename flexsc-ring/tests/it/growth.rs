//! Threads come when calls block and go when they are idle, and nothing comes to a standstill.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use flexsc_ring::{AnyRing, Call, Engine, Options, Reason, Ring, RingError, Value};

use crate::support::{Bench, Buf, SOON, alone, errno, on, threads};

fn raw(number: libc::c_long, args: [u64; 3]) -> Call<Buf> {
    let [a, b, c] = args;
    // SAFETY: the callers below pass memory that is never freed.
    unsafe { Call::raw(number as u16, [a, b, c, 0, 0, 0]) }
}

fn sleep(ms: i64) -> Call<Buf> {
    let time: &'static [i64; 2] = Box::leak(Box::new([0, ms * 1_000_000]));
    raw(libc::SYS_nanosleep, [time.as_ptr() as u64, 0, 0])
}

/// Reads that nothing but the writes behind them can end, all through the ring.
fn reads_wait_for_writes_behind_them(bench: &mut Bench, pairs: u64) {
    let pipes: Vec<_> = (0..pairs).map(|_| std::io::pipe().expect("a pipe")).collect();
    let bytes: &'static [u64] = Vec::leak(vec![0; 2 * pairs as usize]);
    let at = |i: u64| bytes.as_ptr().wrapping_add(i as usize).expose_provenance() as u64;
    for (user, (reader, _)) in (0..).zip(&pipes) {
        bench.post(raw(libc::SYS_read, [reader.as_raw_fd() as u64, at(user), 1]), user);
    }
    bench.turn(Duration::from_millis(1));
    for (user, (_, writer)) in (0..).zip(&pipes) {
        let args = [writer.as_raw_fd() as u64, at(pairs + user), 1];
        bench.post(raw(libc::SYS_write, args), pairs + user);
    }
    let mut users: Vec<u64> = Vec::new();
    for _ in 0..2 * pairs {
        let done = bench.next();
        assert!(matches!(done.result, Ok(Value::Raw(1))), "{done:?}");
        users.push(done.user);
    }
    users.sort_unstable();
    assert!(users.into_iter().eq(0..2 * pairs));
}

/// Turns until this process has no more than `most` threads.
fn shrinks_to(bench: &mut Bench, most: usize) {
    let deadline = Instant::now() + SOON;
    while threads() > most {
        assert!(Instant::now() < deadline, "{} threads, not {most}", threads());
        bench.turn(Duration::from_millis(5));
    }
}

fn few(engine: Engine, pages: usize) -> Options {
    let idle = Duration::from_millis(20);
    Options { threads: 2, pages, idle, ..Options::with_engine(engine) }
}

#[test]
fn calls_that_wait_for_calls_behind_the_bound_all_end() {
    alone("growth::calls_that_wait_for_calls_behind_the_bound_all_end", || {
        for (engine, pages) in [(Engine::Threads, 4), (Engine::Threads, 1), (Engine::Uring, 1)] {
            on(&few(engine, pages), |bench| {
                let one = threads();
                let start = Instant::now();
                reads_wait_for_writes_behind_them(bench, 200);
                assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
                // Uring starts its first when it needs it.
                shrinks_to(bench, one + 1);
                // And a second time, with what the first has left.
                reads_wait_for_writes_behind_them(bench, 100);
            });
        }
    });
}

#[test]
fn idle_threads_end_but_the_first() {
    alone("growth::idle_threads_end_but_the_first", || {
        let idle = Duration::from_millis(20);
        on(&Options { threads: 8, idle, ..Options::with_engine(Engine::Threads) }, |bench| {
            let one = threads();
            for _ in 0..3 {
                let pipes = [(); 8].map(|()| std::io::pipe().expect("a pipe"));
                let byte = Box::leak(Box::new([0u64; 1])).as_ptr().expose_provenance() as u64;
                for (user, (reader, _)) in (0..).zip(&pipes) {
                    let args = [reader.as_raw_fd() as u64, byte, 1];
                    bench.post(raw(libc::SYS_read, args), user);
                }
                let deadline = Instant::now() + SOON;
                while threads() <= one + 2 {
                    assert!(Instant::now() < deadline, "{} threads", threads());
                    bench.turn(Duration::from_millis(1));
                }
                let (readers, writers): (Vec<_>, Vec<_>) = pipes.into_iter().unzip();
                drop(writers);
                (0..8).for_each(|_| assert!(bench.next().result.is_ok()));
                drop(readers);
                shrinks_to(bench, one);
                assert!(bench.call(sleep(1)).result.is_ok());
                shrinks_to(bench, one);
            }
        });
    });
}

/// No further thread may be started in this process; root could start any.
pub(crate) fn forbid_threads() {
    // SAFETY: no pointers but to `limit`, which outlives the call.
    unsafe {
        let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        assert_eq!(libc::setrlimit(libc::RLIMIT_NPROC, &limit), 0);
        if libc::getuid() == 0 {
            assert_eq!(libc::setresuid(65_534, 65_534, 65_534), 0);
        }
    }
}

#[test]
fn where_no_thread_can_be_started_calls_wait_for_those_there_are() {
    alone("growth::where_no_thread_can_be_started_calls_wait_for_those_there_are", || {
        on(&Options { threads: 8, ..Options::with_engine(Engine::Threads) }, |bench| {
            forbid_threads();
            for user in 0..4 {
                bench.post(sleep(10), user);
            }
            (0..4).for_each(|_| assert!(bench.next().result.is_ok()));
            assert!(bench.ring.stats().fallbacks(Reason::NoThread) > 0);
        });
    });
}

#[test]
fn where_there_is_no_thread_at_all_a_call_is_given_back() {
    alone("growth::where_there_is_no_thread_at_all_a_call_is_given_back", || {
        on(&Options::with_engine(Engine::Uring), |bench| {
            forbid_threads();
            let call = Call::getdents64(0, vec![7; 3]);
            let done = bench.call(call);
            assert_eq!(errno(&done), libc::EAGAIN);
            assert_eq!(done.result.expect_err("failed").buf, Some(vec![7; 3]));
            assert_eq!(bench.ring.stats().fallbacks(Reason::NoThread), 1);
        });
        match AnyRing::<Buf>::new(&Options::with_engine(Engine::Threads)) {
            Err(RingError::Threads(error)) => assert_eq!(error.raw_os_error(), Some(libc::EAGAIN)),
            other => panic!("{:?}", other.err()),
        }
    });
}
