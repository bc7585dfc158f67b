//! Calls at random, cancelled at random, on rings dropped at random: at the end everything is back.
//!
//! Twenty thousand calls an engine here; a million of them in the soak:
//! `cargo test --release -p flexsc-ring --test it -- --ignored soak`.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use flexsc_ring::{AnyRing, Call, Engine, Failure, Options, Ring, RingError, Ticket, Value};

use crate::support::{
    Buf, Random, SOON, alone, connect, listener, maps, open_files, resident_kib, seed,
    steady_mappings, threads,
};

/// Calls of one engine in the ordinary run, and in the soak.
const CALLS: u64 = 20_000;
const SOAK: u64 = 334_000;
const MOST_IN_FLIGHT: usize = 300;
/// A ring serves this many calls at most.
const MOST_OF_A_RING: u64 = 4_000;

struct Storm {
    random: Random,
    listener: std::net::TcpListener,
    pairs: Vec<(UnixStream, UnixStream)>,
    file: File,
    clients: Vec<std::net::TcpStream>,
}

impl Storm {
    fn call(&mut self) -> Call<Buf> {
        let at = self.random.below(self.pairs.len() as u64) as usize;
        let ours = self.pairs[at].0.as_raw_fd();
        let file = self.file.as_raw_fd();
        match self.random.below(16) {
            0 => Call::nop(),
            1 => Call::recv(ours),
            2 => Call::recv_multishot(ours),
            3 | 4 => Call::send(ours, vec![1; 5_000], 0..5_000),
            5 => Call::read(file, vec![0; 512], 0..512, self.random.below(4_000)),
            6 => Call::write(file, vec![2; 512], 0..512, self.random.below(4_000)),
            7 => Call::open(flexsc_ring::CWD, c"/dev/null".into()),
            8 => Call::stat_fd(file),
            9 => Call::stat(flexsc_ring::CWD, c"/dev/null".into()),
            10 => Call::close(OwnedFd::from(self.file.try_clone().expect("a copy"))),
            11 => Call::poll_readable(ours),
            12 => Call::sendfile(ours, file, 0, 1_000),
            13 => {
                self.clients.push(connect(&self.listener));
                Call::accept(self.listener.as_raw_fd())
            }
            14 => Call::accept_multishot(self.listener.as_raw_fd()),
            _ => Call::poll_writable(ours),
        }
    }

    /// The peers write and read, come and go.
    fn disturb(&mut self) {
        let at = self.random.below(self.pairs.len() as u64) as usize;
        let theirs = &mut self.pairs[at].1;
        match self.random.below(8) {
            0..=3 => drop(theirs.write(&[3; 700])),
            4..=6 => drop(std::io::Read::read(theirs, &mut [0; 9_000])),
            _ => self.clients.clear(),
        }
    }
}

fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    theirs.set_nonblocking(true).expect("set");
    (ours, theirs)
}

/// Takes a completion in; true if it was the call's last.
fn check(result: Result<Value<Buf>, Failure<Buf>>, more: bool) -> bool {
    match result {
        Ok(Value::Moved { buf, n }) => assert!(n <= buf.len()),
        Ok(Value::Accepted(fd) | Value::Opened(fd)) => drop(fd),
        Ok(Value::Received(buf)) => assert!(more || buf.iter().all(|byte| *byte == 3)),
        Ok(_) => {}
        Err(failure) => {
            let errno = failure.error.raw_os_error();
            let fine = [libc::ECANCELED, libc::EPIPE, libc::EAGAIN];
            assert!(errno.is_some_and(|errno| fine.contains(&errno)), "{failure}");
        }
    }
    !more
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut storm = Storm {
            random: Random(seed),
            listener: listener(),
            pairs: (0..8).map(|_| pair()).collect(),
            file: tempfile::tempfile().expect("a file"),
            clients: Vec::new(),
        };
        storm.file.write_all(&[2; 8_192]).expect("written");
        storm
    }
}

/// Posts `calls` calls, then drops the ring as it is, or counts all of them back.
fn storm(mut ring: AnyRing<Buf>, storm: &mut Storm, calls: u64) {
    let mut tickets: Vec<Option<Ticket>> = Vec::new();
    let mut held = Vec::new();
    while (tickets.len() as u64) < calls {
        for _ in 0..storm.random.below(20) {
            let user = tickets.len() as u64;
            let call = storm.call();
            tickets.push(Some(ring.submit(call, user).expect("room")));
        }
        storm.disturb();
        let many = ring.in_flight() > MOST_IN_FLIGHT;
        for _ in 0..if many { tickets.len() as u64 } else { storm.random.below(8) } {
            let at = storm.random.below(tickets.len().max(1) as u64) as usize;
            if let Some(Some(ticket)) = tickets.get(at) {
                ring.cancel(*ticket);
            }
        }
        ring.wait(Some(Duration::from_micros(storm.random.below(50)))).expect("waits");
        ring.reap(&mut |done| {
            let (user, more) = (done.user as usize, done.more);
            assert!(tickets[user].is_some(), "no completion after the last one: {user}");
            let result = match done.result {
                Ok(Value::Received(buf)) if user % 3 == 0 => {
                    held.push(buf);
                    Ok(Value::Done)
                }
                other => other,
            };
            if check(result, more) {
                tickets[user] = None;
            }
        });
        if held.len() > 10 {
            held.clear();
        }
    }
    if storm.random.below(2) == 0 {
        drop(ring);
        drop(held);
    } else {
        drop(held);
        calm(&mut ring, tickets);
    }
}

/// Cancels what is left, and counts everything back.
fn calm(ring: &mut AnyRing<Buf>, mut tickets: Vec<Option<Ticket>>) {
    for ticket in tickets.iter().flatten() {
        ring.cancel(*ticket);
    }
    let deadline = Instant::now() + SOON;
    while ring.in_flight() > 0 {
        assert!(Instant::now() < deadline, "all calls end: {}", ring.stats());
        ring.wait(Some(Duration::from_millis(10))).expect("waits");
        ring.reap(&mut |done| {
            if check(done.result, done.more) {
                tickets[done.user as usize] = None;
            }
        });
    }
    assert!(tickets.iter().all(Option::is_none), "each call had its last completion");
    let stats = ring.stats();
    assert_eq!((stats.submitted, stats.completed), (tickets.len() as u64, tickets.len() as u64));
}

fn census() -> (usize, usize) {
    (open_files(), threads())
}

fn leaves_nothing(engine: Engine, calls: u64) {
    let mut random = Random(seed());
    let options =
        Options { pool_buffers: 24, pool_buffer_bytes: 512, ..Options::with_engine(engine) };
    let (before, mut memory) = (census(), None);
    steady_mappings();
    let mut posted = 0;
    while posted < calls {
        let ring = match AnyRing::new(&options) {
            Ok(ring) => ring,
            Err(error @ (RingError::Uring { .. } | RingError::OneProcessor)) => {
                return eprintln!("skipped: {error}");
            }
            Err(error) => panic!("{error}"),
        };
        let some = (1 + random.below(MOST_OF_A_RING)).min(calls - posted);
        storm(ring, &mut Storm::new(1 + random.below(u64::MAX)), some);
        posted += some;
        // The first half fills the caches of the C library and of the kernel.
        if posted >= calls / 2 {
            memory.get_or_insert_with(|| (maps(), resident_kib()));
        }
    }
    let deadline = Instant::now() + Duration::from_secs(3);
    while census() != before && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(census(), before, "descriptors and threads");
    let (maps_then, resident) = memory.expect("half of the calls are posted at some time");
    assert!(maps() <= maps_then + 4, "mappings: {} of {maps_then}", maps());
    let grown = resident_kib().saturating_sub(resident);
    assert!(grown < 8 << 10, "{grown} KiB more are resident");
}

#[test]
fn a_storm_on_direct_leaves_nothing() {
    alone("storm::a_storm_on_direct_leaves_nothing", || leaves_nothing(Engine::Direct, CALLS));
}

#[test]
fn a_storm_on_threads_leaves_nothing() {
    alone("storm::a_storm_on_threads_leaves_nothing", || leaves_nothing(Engine::Threads, CALLS));
}

#[test]
fn a_storm_on_uring_leaves_nothing() {
    alone("storm::a_storm_on_uring_leaves_nothing", || leaves_nothing(Engine::Uring, CALLS));
}

#[test]
#[ignore = "a soak"]
fn a_soak_on_direct_leaves_nothing() {
    alone("storm::a_soak_on_direct_leaves_nothing", || leaves_nothing(Engine::Direct, SOAK));
}

#[test]
#[ignore = "a soak"]
fn a_soak_on_threads_leaves_nothing() {
    alone("storm::a_soak_on_threads_leaves_nothing", || leaves_nothing(Engine::Threads, SOAK));
}

#[test]
#[ignore = "a soak"]
fn a_soak_on_uring_leaves_nothing() {
    alone("storm::a_soak_on_uring_leaves_nothing", || leaves_nothing(Engine::Uring, SOAK));
}

#[test]
fn a_storm_on_sqpoll_leaves_nothing() {
    alone("storm::a_storm_on_sqpoll_leaves_nothing", || leaves_nothing(Engine::Sqpoll, CALLS));
}
