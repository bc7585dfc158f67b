//! The receive pool: a slow consumer stops receives, and buffers that come home start them again.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use flexsc_ring::{AnyRing, Call, Options, Reason, RecvBuf, Ring, Value};

use crate::on_every_engine;
use crate::support::{A_MOMENT, Bench, Done};

fn buffer(done: Done) -> RecvBuf {
    match done.result {
        Ok(Value::Received(buf)) => buf,
        other => panic!("not bytes: {other:?}"),
    }
}

/// Receives until the pool is empty and nothing more comes.
fn hoard(bench: &mut Bench) -> Vec<RecvBuf> {
    let mut held = Vec::new();
    loop {
        bench.turn(A_MOMENT);
        if bench.done.is_empty() && held.len() >= 16 {
            return held;
        }
        while let Some(done) = bench.done.pop_front() {
            assert!(done.more);
            held.push(buffer(done));
        }
    }
}

on_every_engine! {
    fn a_slow_consumer_stalls_its_sender_and_loses_nothing(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i % 241) as u8).collect();
        let sent = bytes.clone();
        let writer = std::thread::spawn(move || theirs.write_all(&sent));
        bench.post(Call::recv_multishot(ours.as_raw_fd()), 1);
        let mut got = Vec::new();
        let held = hoard(bench);
        assert_eq!(held.len(), 16);
        assert!(bench.ring.stats().fallbacks(Reason::PoolEmpty) > 0);
        held.iter().for_each(|buf| got.extend_from_slice(buf));
        drop(held);
        loop {
            let done = bench.next();
            let more = done.more;
            got.extend_from_slice(&buffer(done));
            if !more {
                break;
            }
        }
        writer.join().expect("writes").expect("written");
        assert!(got == bytes, "{} of {} bytes", got.len(), bytes.len());
    }

    fn buffers_dropped_elsewhere_wake_the_ring_that_wants_them(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(&vec![7; 20_000]).expect("written");
        bench.post(Call::recv_multishot(ours.as_raw_fd()), 1);
        let held = hoard(bench);
        let elsewhere = std::thread::spawn(move || {
            std::thread::sleep(A_MOMENT);
            drop(held);
        });
        let start = std::time::Instant::now();
        while bench.done.is_empty() {
            bench.turn(Duration::from_secs(5));
        }
        assert!(start.elapsed() < Duration::from_secs(2));
        elsewhere.join().expect("dropped");
    }

    fn a_starved_receive_can_be_cancelled(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(&vec![7; 20_000]).expect("written");
        let ticket = bench.post(Call::recv_multishot(ours.as_raw_fd()), 1);
        let held = hoard(bench);
        bench.ring.cancel(ticket);
        let done = bench.next_of(1);
        assert!(!done.more && done.result.is_err_and(|failure| failure.is_cancelled()));
        drop(held);
        bench.expect_silence();
        assert_eq!(bench.ring.in_flight(), 0);
    }

    fn one_empty_pool_does_not_forget_the_other_receivers(bench) {
        let pairs: Vec<_> = (0..40).map(|_| UnixStream::pair().expect("a pair")).collect();
        for (user, (ours, theirs)) in pairs.iter().enumerate() {
            let mut theirs = theirs;
            bench.post(Call::recv_multishot(ours.as_raw_fd()), user as u64);
            theirs.write_all(&[user as u8; 100]).expect("written");
        }
        let mut seen = vec![0; pairs.len()];
        // Holds a few at a time, so that the pool runs dry again and again.
        let mut held = Vec::new();
        while seen.iter().any(|n| *n < 100) {
            let done = bench.next();
            let user = done.user as usize;
            let buf = buffer(done);
            assert!(buf.iter().all(|byte| *byte == user as u8));
            seen[user] += buf.len();
            held.push(buf);
            if held.len() == 16 {
                held.clear();
            }
        }
    }

    fn a_receive_goes_on_as_soon_as_its_buffer_is_back(bench) {
        let engine = bench.ring.engine();
        let options = Options { pool_buffers: 1, ..crate::support::options(engine) };
        bench.ring = AnyRing::new(&options).expect("another ring");
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(&vec![7; 20_000]).expect("written");
        bench.post(Call::recv_multishot(ours.as_raw_fd()), 1);
        let (start, mut got) = (std::time::Instant::now(), 0);
        while got < 20_000 {
            bench.turn(Duration::from_secs(5));
            got += bench.done.drain(..).map(|done| buffer(done).len()).sum::<usize>();
        }
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    }

    fn silent_receives_do_not_keep_the_buffers_from_those_with_bytes(bench) {
        let engine = bench.ring.engine();
        let options = Options { pool_buffers: 8, ..crate::support::options(engine) };
        bench.ring = AnyRing::new(&options).expect("another ring");
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(&vec![7; 20_000]).expect("written");
        let ticket = bench.post(Call::recv_multishot(ours.as_raw_fd()), 99);
        let mut held = Vec::new();
        while held.len() < 8 {
            held.push(buffer(bench.next()));
        }
        bench.ring.cancel(ticket);
        assert!(!bench.next_of(99).more);
        let pairs: Vec<_> = (0..20).map(|_| UnixStream::pair().expect("a pair")).collect();
        for (user, (ours, theirs)) in pairs.iter().enumerate() {
            let mut theirs = theirs;
            bench.post(Call::recv_multishot(ours.as_raw_fd()), user as u64);
            if user >= 8 {
                theirs.write_all(b"bytes").expect("written");
            }
        }
        bench.pause(A_MOMENT);
        assert!(bench.done.is_empty());
        drop(held);
        let (start, mut got) = (std::time::Instant::now(), 0);
        while got < 12 && start.elapsed() < Duration::from_secs(4) {
            bench.turn(Duration::from_secs(5));
            got += bench.done.drain(..).map(buffer).count();
        }
        assert!(start.elapsed() < Duration::from_secs(4), "{got} of 12 receives went on");
    }

    fn received_bytes_outlive_their_ring(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        theirs.write_all(b"still here").expect("written");
        bench.post(Call::recv_multishot(ours.as_raw_fd()), 1);
        let here = buffer(bench.next());
        theirs.write_all(b"and there").expect("written");
        let there = buffer(bench.next());
        let options = crate::support::options(bench.ring.engine());
        bench.ring = AnyRing::new(&options).expect("another ring");
        assert_eq!(&here[..], b"still here");
        std::thread::spawn(move || assert_eq!(&there[..], b"and there")).join().expect("read");
    }
}

#[test]
fn bytes_from_elsewhere_make_a_received_buffer() {
    let mut buf = RecvBuf::from(Box::from(&b"own"[..]));
    buf[0] = b'O';
    assert_eq!(&buf[..], b"Own");
    assert!(RecvBuf::default().is_empty());
    assert!(RecvBuf::from(Box::from(&b""[..])).is_empty());
}
