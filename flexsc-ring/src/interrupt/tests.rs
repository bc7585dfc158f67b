//! Are calls interrupted also where the architecture has no stub, so that signals may be lost?

use std::io::Write;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use super::without_stub;
use crate::call::Call;
use crate::fallback::Reason;
use crate::options::{Engine, Options};
use crate::result::Value;
use crate::ring::Ring;
use crate::{AnyRing, Ticket};

const SOON: Duration = Duration::from_secs(20);
const CANCELS: usize = 1_000;
const LANES: usize = 4;

type Threads = AnyRing<Vec<u8>>;

static LONG: [i64; 2] = [100, 0];
static NAP: [i64; 2] = [0, 20_000];

fn sleep(time: &'static [i64; 2]) -> Call<Vec<u8>> {
    let at = time.as_ptr().expose_provenance() as u64;
    // SAFETY: the time is never freed.
    unsafe { Call::raw(libc::SYS_nanosleep as u16, [at, 0, 0, 0, 0, 0]) }
}

fn ring() -> Threads {
    let options = Options { threads: LANES, ..Options::with_engine(Engine::Threads) };
    AnyRing::new(&options).expect("threads are everywhere")
}

/// The results of the next calls, `n` of them: their numbers, and whether they were cancelled.
fn next(ring: &mut Threads, n: usize) -> Vec<(u64, bool)> {
    let deadline = Instant::now() + SOON;
    let mut ended = Vec::new();
    while ended.len() < n {
        assert!(Instant::now() < deadline, "{} of {n} end: {}", ended.len(), ring.stats());
        ring.wait(Some(Duration::from_millis(5))).expect("waits");
        ring.reap(&mut |done| {
            let cancelled = match &done.result {
                Ok(Value::Raw(0) | Value::Moved { .. }) => false,
                Err(failure) if failure.is_cancelled() => true,
                other => panic!("{other:?}"),
            };
            ended.push((done.user, cancelled));
        });
    }
    ended
}

#[test]
fn a_storm_of_cancellations_ends_each_call_though_signals_are_lost() {
    without_stub::choose(true);
    let mut ring = ring();
    let mut cancels = 0;
    for round in 0u64.. {
        if cancels >= CANCELS {
            break;
        }
        let post = |ring: &mut Threads, user: u64| -> Ticket {
            let time = if user == 0 { &NAP } else { &LONG };
            ring.submit(sleep(time), user).expect("room")
        };
        let tickets: Vec<_> = (0..LANES as u64).map(|user| post(&mut ring, user)).collect();
        ring.wait(Some(Duration::ZERO)).expect("waits");
        let start = Instant::now();
        while start.elapsed() < Duration::from_nanos(round * 7_919 % 600_000) {
            std::hint::spin_loop();
        }
        for ticket in &tickets[1..] {
            ring.cancel(*ticket);
            cancels += 1;
        }
        for (user, cancelled) in next(&mut ring, LANES) {
            assert_eq!(cancelled, user != 0, "call {user} of round {round}");
        }
    }
    let again = ring.stats().fallbacks(Reason::SignalledAgain);
    assert!(again > 0, "no signal was lost");
    drop(ring);
    without_stub::choose(false);
}

#[test]
fn a_read_that_is_cancelled_takes_no_byte_though_signals_are_lost() {
    without_stub::choose(true);
    let mut ring = ring();
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let read = || {
        let at = Box::leak(Box::new([0u8; 1])).as_mut_ptr().expose_provenance() as u64;
        let args = [reader.as_raw_fd() as u64, at, 1, 0, 0, 0];
        // SAFETY: the byte is never freed.
        unsafe { Call::raw(libc::SYS_read as u16, args) }
    };
    for round in 0..200u64 {
        let ticket = ring.submit(read(), round).expect("room");
        ring.wait(Some(Duration::ZERO)).expect("waits");
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(round * 7 % 500) {
            std::hint::spin_loop();
        }
        ring.cancel(ticket);
        assert_eq!(next(&mut ring, 1), [(round, true)]);
    }
    writer.write_all(&[1]).expect("written");
    ring.submit(read(), 0).expect("room");
    ring.wait(Some(SOON)).expect("waits");
    let mut got = Vec::new();
    let deadline = Instant::now() + SOON;
    while got.is_empty() && Instant::now() < deadline {
        ring.wait(Some(Duration::from_millis(5))).expect("waits");
        ring.reap(&mut |done| got.push(done.result));
    }
    assert!(matches!(&got[..], [Ok(Value::Raw(1))]), "{got:?}");
    drop(ring);
    without_stub::choose(false);
}
