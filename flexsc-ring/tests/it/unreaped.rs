//! What of a call that has ended, before its completion is reaped, and if it never is? In the engines
//! that keep it in its slot until then.

use std::ffi::CString;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use flexsc_ring::{CWD, Call, Cancelled, Engine, Ring, Ticket, Value};

use crate::support::{Bench, SOON, alone, on, options};

fn on_each(test: fn(&mut Bench)) {
    for engine in [Engine::Direct, Engine::Threads] {
        on(&options(engine), test);
    }
}

/// Turns without reaping until so many calls have ended.
fn await_ends(bench: &mut Bench, completed: u64) {
    let deadline = Instant::now() + SOON;
    while bench.ring.stats().completed < completed {
        assert!(Instant::now() < deadline, "they end: {}", bench.ring.stats());
        bench.ring.wait(Some(Duration::from_millis(10))).expect("waits");
    }
}

#[test]
fn a_call_that_has_ended_is_too_late_to_cancel_before_it_is_reaped() {
    on_each(|bench| {
        let ticket = bench.post(Call::nop(), 7);
        await_ends(bench, 1);
        assert_eq!(bench.ring.in_flight(), 1);
        assert_eq!(bench.ring.cancel(ticket), Cancelled::TooLate);
        // The slot's next ticket, which nobody was given yet.
        let next = Ticket::new(ticket.number() + (1 << 32));
        assert_eq!(bench.ring.cancel(next), Cancelled::TooLate);
        assert!(matches!(bench.next_of(7).result, Ok(Value::Done)));
        assert_eq!(bench.ring.in_flight(), 0);
        bench.expect_silence();
    });
}

#[test]
fn a_sink_that_panics_loses_its_own_completion_and_no_other() {
    on_each(|bench| {
        for user in 0..5 {
            bench.post(Call::nop(), user);
        }
        await_ends(bench, 5);
        let mut seen = Vec::new();
        let reaped = catch_unwind(AssertUnwindSafe(|| {
            bench.ring.reap(&mut |done| {
                seen.push(done.user);
                assert_ne!(seen.len(), 2, "the sink's own fault");
            })
        }));
        assert!(reaped.is_err());
        assert_eq!(bench.ring.in_flight(), 3);
        bench.post(Call::nop(), 5);
        while seen.len() < 6 {
            seen.push(bench.next().user);
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
        assert_eq!(bench.ring.in_flight(), 0);
    });
}

#[test]
fn completions_come_in_the_order_of_the_ends() {
    on_each(|bench| {
        let (reader, mut writer) = UnixStream::pair().expect("a pair");
        bench.post(Call::recv_multishot(reader.as_raw_fd()), 1);
        bench.pause(Duration::from_millis(5));
        for n in 1..=3 {
            writer.write_all(b"bytes").expect("written");
            // The bytes do not end their call: only that a turn took them tells that they are there.
            for _ in 0..20 {
                bench.ring.wait(Some(Duration::from_millis(1))).expect("waits");
                std::thread::sleep(Duration::from_millis(1));
            }
            bench.post(Call::nop(), 2);
            await_ends(bench, n);
        }
        let mut users = Vec::new();
        while users.len() < 6 {
            users.push(bench.next().user);
        }
        assert_eq!(users, [1, 2, 1, 2, 1, 2]);
    });
}

fn times_open(path: &Path) -> usize {
    let fds = std::fs::read_dir("/proc/self/fd").expect("it is there").flatten();
    fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).filter(|to| to == path).count()
}

#[test]
fn a_ring_dropped_with_ends_unreaped_closes_what_was_opened_and_nothing_twice() {
    let name = "unreaped::\
                a_ring_dropped_with_ends_unreaped_closes_what_was_opened_and_nothing_twice";
    alone(name, || {
        on_each(|bench| {
            let file = tempfile::NamedTempFile::new().expect("a file");
            let path = CString::new(file.path().as_os_str().as_bytes()).expect("no NUL");
            let closed: OwnedFd = file.reopen().expect("opened").into();
            let number = closed.as_raw_fd();
            bench.post(Call::Close(closed), 1);
            await_ends(bench, 1);
            // It gets the number that was closed.
            let again = file.reopen().expect("opened");
            assert_eq!(again.as_raw_fd(), number);
            bench.post(Call::open(CWD, path), 2);
            await_ends(bench, 2);
            assert_eq!(times_open(file.path()), 3);
            let other = flexsc_ring::AnyRing::new(&options(Engine::Direct)).expect("a ring");
            drop(std::mem::replace(&mut bench.ring, other));
            assert_eq!(times_open(file.path()), 2, "the file and `again`");
            assert!(again.metadata().is_ok());
        });
    });
}
