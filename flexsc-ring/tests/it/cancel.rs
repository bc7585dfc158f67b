//! Cancellation: it may lose the race, it says what it met, and the last completion always comes.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use flexsc_ring::{Call, Cancelled, Engine, Options, Reason, Ring, Ticket, Value};

use crate::on_every_engine;
use crate::support::{A_WHILE, Bench, connect, errno, listener, on, received};

fn stops(bench: &mut Bench, call: Call<Vec<u8>>) -> Option<Vec<u8>> {
    let ticket = bench.post(call, 1);
    bench.turn(Duration::ZERO);
    let met = bench.ring.cancel(ticket);
    assert!(matches!(met, Cancelled::Stopped | Cancelled::Requested), "{met:?}");
    let done = bench.next_of(1);
    assert!(!done.more);
    assert_eq!(errno(&done), libc::ECANCELED);
    assert_eq!(bench.ring.in_flight(), 0);
    let failure = done.result.expect_err("cancelled");
    assert!(failure.is_cancelled());
    failure.buf
}

/// Sends until a further send has to wait.
fn fill(bench: &mut Bench, socket: &UnixStream) {
    let full = |bench: &mut Bench| {
        let buf = vec![0; 1 << 16];
        let call = Call::Send {
            fd: socket.as_raw_fd(),
            buf,
            start: 0,
            end: 1 << 16,
            more: false,
            nowait: true,
        };
        bench.call(call).result.is_err()
    };
    while !full(bench) {}
}

/// A raw call that sleeps in the kernel for `ms` milliseconds.
fn sleep(ms: i64) -> Call<Vec<u8>> {
    let time: &'static [i64; 2] = Box::leak(Box::new([ms / 1_000, ms % 1_000 * 1_000_000]));
    // SAFETY: `time` is a timespec that is never freed.
    unsafe { Call::raw(libc::SYS_nanosleep as u16, [time.as_ptr() as u64, 0, 0, 0, 0, 0]) }
}

on_every_engine! {
    fn what_waits_is_stopped(bench) {
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let listener = listener();
        stops(bench, Call::recv(ours.as_raw_fd()));
        stops(bench, Call::recv_multishot(ours.as_raw_fd()));
        stops(bench, Call::accept(listener.as_raw_fd()));
        stops(bench, Call::accept_multishot(listener.as_raw_fd()));
        stops(bench, Call::poll_readable(ours.as_raw_fd()));
        fill(bench, &ours);
        let buf = stops(bench, Call::send(ours.as_raw_fd(), b"waits".to_vec(), 0..5));
        assert_eq!(buf.as_deref(), Some(&b"waits"[..]));
    }

    fn what_was_not_yet_seen_by_the_kernel_is_stopped_too(bench) {
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let ticket = bench.post(Call::recv(ours.as_raw_fd()), 1);
        bench.ring.cancel(ticket);
        assert_eq!(errno(&bench.next_of(1)), libc::ECANCELED);
    }

    fn a_receive_can_be_paused_without_losing_bytes(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let mut got = Vec::new();
        let mut sent = Vec::new();
        for round in 0..20u8 {
            let ticket = bench.post(Call::recv_multishot(ours.as_raw_fd()), 1);
            theirs.write_all(&[round; 10]).expect("written");
            sent.extend([round; 10]);
            let first = bench.next_of(1);
            let mut more = first.more;
            got.extend(received(first));
            theirs.write_all(&[round; 3]).expect("written");
            sent.extend([round; 3]);
            bench.ring.cancel(ticket);
            while more {
                let done = bench.next_of(1);
                more = done.more;
                match done.result {
                    Ok(Value::Received(buf)) => got.extend_from_slice(&buf),
                    Ok(other) => panic!("{other:?}"),
                    Err(failure) => assert!(failure.is_cancelled()),
                }
            }
            assert_eq!(bench.ring.in_flight(), 0);
        }
        bench.post(Call::recv_multishot(ours.as_raw_fd()), 2);
        drop(theirs);
        loop {
            let bytes = received(bench.next_of(2));
            if bytes.is_empty() {
                break;
            }
            got.extend(bytes);
        }
        assert_eq!(got, sent);
    }

    fn a_call_that_has_ended_is_too_late_to_cancel(bench) {
        let ticket = bench.post(Call::nop(), 1);
        bench.next_of(1);
        assert_eq!(bench.ring.cancel(ticket), Cancelled::TooLate);
        let other = bench.post(Call::nop(), 2);
        assert_ne!(ticket, other);
        assert_eq!(bench.ring.cancel(ticket), Cancelled::TooLate);
        bench.next_of(2);
    }

    fn a_ticket_of_no_call_is_unknown(bench) {
        for number in [0, 1, u64::MAX, u64::MAX - 1, 77 << 32 | 3] {
            assert_eq!(bench.ring.cancel(Ticket::new(number)), Cancelled::Unknown);
        }
        bench.call(Call::nop());
        assert_eq!(bench.ring.cancel(Ticket::new(9 << 32)), Cancelled::Unknown);
    }

    fn cancelling_twice_gives_one_completion(bench) {
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let ticket = bench.post(Call::recv_multishot(ours.as_raw_fd()), 1);
        bench.turn(Duration::ZERO);
        bench.ring.cancel(ticket);
        bench.ring.cancel(ticket);
        bench.next_of(1);
        bench.expect_silence();
    }

    fn a_connection_that_races_with_the_cancellation_is_not_lost(bench) {
        for _ in 0..50 {
            let listener = listener();
            let ticket = bench.post(Call::accept(listener.as_raw_fd()), 1);
            bench.turn(Duration::ZERO);
            let mut client = connect(&listener);
            bench.ring.cancel(ticket);
            let done = bench.next_of(1);
            assert!(!done.more);
            match done.result {
                Ok(Value::Accepted(fd)) => drop(fd),
                Ok(other) => panic!("{other:?}"),
                Err(failure) => assert!(failure.is_cancelled()),
            }
            drop(listener);
            // Accepted and closed, or never accepted: the client hears of it either way.
            assert!(matches!(client.read(&mut [0; 1]), Ok(0) | Err(_)));
        }
    }
}

fn one_thread(engine: Engine) -> Options {
    Options { threads: 1, ..Options::with_engine(engine) }
}

/// Cancels a call that is posted while the only thread is busy, and then the one that keeps it busy.
fn cancel_behind(bench: &mut Bench) -> Cancelled {
    let running = bench.post(sleep(10_000), 1);
    bench.pause(A_WHILE);
    let behind = bench.post(sleep(10_000), 2);
    bench.turn(Duration::ZERO);
    let met = bench.ring.cancel(behind);
    assert_eq!(errno(&bench.next_of(2)), libc::ECANCELED);
    assert_eq!(bench.ring.cancel(running), Cancelled::Requested);
    let start = Instant::now();
    assert_eq!(errno(&bench.next_of(1)), libc::ECANCELED);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(bench.ring.stats().fallbacks(Reason::Uninterrupted), 0);
    met
}

#[test]
fn a_call_behind_a_busy_thread_is_stopped_and_the_running_one_is_interrupted() {
    for engine in [Engine::Threads, Engine::Uring, Engine::Sqpoll] {
        let mut met = Vec::new();
        // On a machine that pauses a spare thread may have begun it.
        while met.len() < 10 && !met.contains(&Cancelled::Stopped) {
            let before = met.len();
            on(&one_thread(engine), |bench| met.push(cancel_behind(bench)));
            if met.len() == before {
                break;
            }
        }
        assert!(met.is_empty() || met.contains(&Cancelled::Stopped), "{engine:?}: {met:?}");
    }
}

#[test]
fn calls_beyond_the_page_wait_in_line_and_can_be_stopped() {
    let options = Options { pages: 1, ..one_thread(Engine::Threads) };
    on(&options, |bench| {
        let before = bench.post(sleep(100_000), 0);
        bench.pause(A_WHILE);
        let tickets: Vec<_> = (1..=200).map(|user| bench.post(Call::nop(), user)).collect();
        for ticket in tickets.iter().step_by(2) {
            assert_eq!(bench.ring.cancel(*ticket), Cancelled::Stopped);
        }
        bench.ring.cancel(before);
        let mut stopped = 0;
        for _ in 0..=200 {
            stopped += u32::from(bench.next().result.is_err());
        }
        assert_eq!((stopped, bench.ring.in_flight()), (101, 0));
    });
}

#[test]
fn blocked_threads_are_joined_by_others() {
    for engine in [Engine::Threads, Engine::Uring, Engine::Sqpoll] {
        on(&Options { threads: 8, ..Options::with_engine(engine) }, |bench| {
            let blocked: Vec<_> = (0..7).map(|user| bench.post(sleep(100_000), user)).collect();
            // SAFETY: no pointers.
            let call = unsafe { Call::raw(libc::SYS_getppid as u16, [0; 6]) };
            assert!(bench.call(call).result.is_ok(), "an eighth thread makes it");
            for ticket in blocked {
                bench.ring.cancel(ticket);
            }
            (0..7).for_each(|_| assert_eq!(errno(&bench.next()), libc::ECANCELED));
        });
    }
}

#[test]
fn a_read_cancelled_while_it_is_tried_does_not_go_on_to_wait() {
    on(&one_thread(Engine::Threads), |bench| {
        // SAFETY: no pointers; the descriptor is new and nobody else's.
        let watch = unsafe {
            let fd = libc::inotify_init1(libc::IN_CLOEXEC);
            assert!(fd >= 0);
            std::os::fd::OwnedFd::from_raw_fd(fd)
        };
        // An inotify descriptor cannot be tried without waiting: its first try fails.
        for _ in 0..20 {
            let call = Call::read(watch.as_raw_fd(), vec![0; 64], 0..64, flexsc_ring::CURRENT);
            let ticket = bench.post(call, 1);
            bench.turn(Duration::ZERO);
            std::thread::sleep(Duration::from_millis(5));
            bench.ring.cancel(ticket);
            assert_eq!(errno(&bench.next_of(1)), libc::ECANCELED);
        }
    });
}
