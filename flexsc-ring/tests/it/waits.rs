//! Calls that wait without holding anybody: connections, splices, epolls, receives, timeouts.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use flexsc_ring::{Address, Call, Cancelled, Engine, EpollChange, Options, PostError, Ring, Value};
use tempfile::TempDir;

use crate::on_every_engine;
use crate::support::{Bench, SOON, errno, listener, moved, on, time_of_thread};

fn socket(family: i32, flags: i32) -> OwnedFd {
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC | flags, 0) };
    assert!(fd >= 0);
    // SAFETY: it is new.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn epoll() -> OwnedFd {
    // SAFETY: no pointers; the descriptor is new.
    unsafe { OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC)) }
}

fn sent(value: Value<Vec<u8>>) -> usize {
    match value {
        Value::Sent(n) => n,
        other => panic!("not sent: {other:?}"),
    }
}

fn done(value: Value<Vec<u8>>) {
    assert!(matches!(value, Value::Done), "{value:?}");
}

/// A listener of one waiting connection, which has come already, so that others wait.
fn full_listener() -> (TcpListener, Vec<OwnedFd>) {
    let listener = listener();
    // SAFETY: no pointers.
    unsafe { libc::listen(listener.as_raw_fd(), 0) };
    let to = listener.local_addr().expect("bound");
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let socket = socket(libc::AF_INET, libc::SOCK_NONBLOCK);
        let mut raw = [0u8; 16];
        raw[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
        raw[2..4].copy_from_slice(&to.port().to_be_bytes());
        raw[4..8].copy_from_slice(&[127, 0, 0, 1]);
        // SAFETY: `raw` is a socket address of that length.
        unsafe { libc::connect(socket.as_raw_fd(), raw.as_ptr().cast(), 16) };
        waiting.push(socket);
    }
    (listener, waiting)
}

/// Writes until a pipe is full; how many bytes that were.
fn fill(to: &std::io::PipeWriter) -> usize {
    // SAFETY: no pointers.
    unsafe { libc::fcntl(to.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    let mut to = to;
    let mut filled = 0;
    while let Ok(n) = to.write(&[0; 4_096]) {
        filled += n;
    }
    filled
}

/// A listener that has no room for another connection, its path, and the connection that fits.
fn full_unix_listener() -> (TempDir, PathBuf, UnixListener, UnixStream) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("listener");
    let listener = UnixListener::bind(&path).expect("bound");
    // SAFETY: no pointers.
    unsafe { libc::listen(listener.as_raw_fd(), 0) };
    let first = UnixStream::connect(&path).expect("the one that fits");
    (dir, path, listener, first)
}

fn cancels(bench: &mut Bench, call: Call<Vec<u8>>) {
    let ticket = bench.post(call, 9);
    bench.pause(Duration::from_millis(5));
    let met = bench.ring.cancel(ticket);
    assert!(matches!(met, Cancelled::Stopped | Cancelled::Requested), "{met:?}");
    // A worker of io_uring's that was just beginning may miss a request.
    let deadline = Instant::now() + SOON;
    while bench.ring.in_flight() > 0 && Instant::now() < deadline {
        bench.pause(Duration::from_millis(50));
        bench.ring.cancel(ticket);
    }
    assert_eq!(errno(&bench.next_of(9)), libc::ECANCELED);
    assert_eq!(bench.ring.in_flight(), 0);
}

on_every_engine! {
    fn a_connection_stands_when_its_call_completes(bench) {
        for flags in [0, libc::SOCK_NONBLOCK] {
            let listener = listener();
            let client = socket(libc::AF_INET, flags);
            let to = listener.local_addr().expect("bound");
            done(bench.value(Call::connect(client.as_raw_fd(), to)));
            let (mut server, _) = listener.accept().expect("a connection");
            moved(bench.call(Call::send(client.as_raw_fd(), b"hello".to_vec(), 0..5)));
            let mut got = [0; 5];
            server.read_exact(&mut got).expect("read");
            assert_eq!(&got, b"hello");
        }
    }

    fn a_connection_to_nobody_is_refused_in_any_mode(bench) {
        let to = listener().local_addr().expect("bound");
        for flags in [0, libc::SOCK_NONBLOCK] {
            let client = socket(libc::AF_INET, flags);
            let done = bench.call(Call::connect(client.as_raw_fd(), to));
            assert_eq!(errno(&done), libc::ECONNREFUSED);
        }
    }

    fn a_connection_that_is_not_answered_waits_and_can_be_cancelled(bench) {
        let (full, _waiting) = full_listener();
        let to = full.local_addr().expect("bound");
        for flags in [0, libc::SOCK_NONBLOCK] {
            let client = socket(libc::AF_INET, flags);
            cancels(bench, Call::connect(client.as_raw_fd(), to));
        }
        bench.call(Call::nop());
    }

    fn a_full_unix_listener_is_waited_for(bench) {
        let (_dir, path, listener, first) = full_unix_listener();
        for flags in [0, libc::SOCK_NONBLOCK] {
            let client = socket(libc::AF_UNIX, flags);
            let to = || Address::Unix(path.clone());
            cancels(bench, Call::connect(client.as_raw_fd(), to()));
            let client = socket(libc::AF_UNIX, flags);
            bench.post(Call::connect(client.as_raw_fd(), to()), 1);
            bench.expect_silence();
            drop(listener.accept().expect("one"));
            done(bench.next_of(1).result.expect("connects"));
        }
        drop(first);
    }

    fn a_connection_that_pauses_is_tried_again_by_its_time_alone(bench) {
        let (_dir, path, listener, _first) = full_unix_listener();
        // A socket that is connected already waits for the full listener before it is told so.
        let (mut ours, mut theirs) = UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("set");
        theirs.set_nonblocking(true).expect("set");
        let mut room = vec![0; 1 << 20];
        while ours.write(&[0; 4_096]).is_ok() {}
        bench.post(Call::send(ours.as_raw_fd(), vec![0; 9], 0..9), 1);
        bench.post(Call::connect(ours.as_raw_fd(), Address::Unix(path)), 2);
        bench.turn(Duration::ZERO);
        for _ in 0..40 {
            // It becomes writable while the connection pauses.
            while theirs.read(&mut room).is_ok() {}
            bench.pause(Duration::from_micros(700));
            while ours.write(&[0; 4_096]).is_ok() {}
            bench.turn(Duration::ZERO);
        }
        drop(listener.accept().expect("one"));
        moved(bench.next_of(1));
        assert_eq!(errno(&bench.next_of(2)), libc::EISCONN);
        // No time is left over that would make a call of its own.
        bench.pause(Duration::from_millis(100));
        assert_eq!((bench.done.len(), bench.ring.in_flight()), (0, 0));
    }

    fn an_abstract_name_is_found(bench) {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("flexsc-ring-{}-{:?}", std::process::id(), bench.ring.engine());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
        let _listener = UnixListener::bind_addr(&address).expect("bound");
        let client = socket(libc::AF_UNIX, 0);
        let to = Address::Abstract(name.into_bytes());
        done(bench.value(Call::connect(client.as_raw_fd(), to)));
    }

    fn a_name_that_no_unix_socket_has_is_refused_with_the_call(bench) {
        use std::path::PathBuf;
        for to in [
            Address::Unix(PathBuf::from("x".repeat(108))),
            Address::Unix(PathBuf::new()),
            Address::Unix(PathBuf::from("a\0b")),
            Address::Abstract(vec![1; 108]),
        ] {
            let refused = bench.ring.submit(Call::connect(0, to.clone()), 1).expect_err("bad");
            assert!(matches!(refused, PostError::Address { most: 107, .. }), "{refused}");
            match refused.into_call() {
                Call::Connect { to: back, .. } => assert_eq!(back, to),
                other => panic!("another call: {other:?}"),
            }
        }
        let fits = Address::Unix(PathBuf::from("y".repeat(107)));
        assert_eq!(errno(&bench.call(Call::connect(-1, fits))), libc::EBADF);
    }

    fn a_splice_waits_for_bytes_and_then_for_room(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let (from, to) = std::io::pipe().expect("a pipe");
        bench.post(Call::splice(ours.as_raw_fd(), to.as_raw_fd(), 1 << 20), 1);
        bench.expect_silence();
        theirs.write_all(b"spliced").expect("written");
        assert_eq!(sent(bench.next_of(1).result.expect("moves")), 7);
        // The pipe fills, then the call waits for its reader.
        theirs.set_nonblocking(true).expect("set");
        let mut all = 7;
        let waits = loop {
            while theirs.write(&[0; 1_000]).is_ok() {}
            bench.post(Call::splice(ours.as_raw_fd(), to.as_raw_fd(), 1 << 20), 2);
            bench.pause(Duration::from_millis(20));
            match bench.done.pop_front() {
                Some(done) => all += sent(done.result.expect("moves")),
                None => break all,
            }
        };
        let mut reader = from;
        reader.read_exact(&mut vec![0; waits]).expect("read");
        assert!(sent(bench.next_of(2).result.expect("moves")) > 0);
    }

    fn a_splice_to_a_slow_peer_waits_for_room(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let (from, mut to) = std::io::pipe().expect("a pipe");
        ours.set_nonblocking(true).expect("set");
        while (&ours).write(&[0; 4_096]).is_ok() {}
        ours.set_nonblocking(false).expect("set");
        to.write_all(b"at last").expect("written");
        bench.post(Call::splice(from.as_raw_fd(), ours.as_raw_fd(), 100), 1);
        bench.expect_silence();
        bench.call(Call::nop());
        theirs.set_nonblocking(true).expect("set");
        let mut got = Vec::new();
        let deadline = Instant::now() + crate::support::SOON;
        while !got.ends_with(b"at last") && Instant::now() < deadline {
            let _ = theirs.read_to_end(&mut got);
            bench.turn(Duration::from_millis(1));
        }
        assert_eq!(sent(bench.next_of(1).result.expect("moves")), 7);
    }

    fn a_splice_that_waits_for_both_ends_waits_for_one_after_the_other(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        for cancelled in [false, true] {
            let (mut reader, to) = std::io::pipe().expect("a pipe");
            let filled = fill(&to);
            let ticket = bench.post(Call::splice(ours.as_raw_fd(), to.as_raw_fd(), 100), 1);
            bench.expect_silence();
            theirs.write_all(b"both").expect("written");
            bench.expect_silence();
            if cancelled {
                bench.ring.cancel(ticket);
                assert_eq!(errno(&bench.next_of(1)), libc::ECANCELED);
            } else {
                reader.read_exact(&mut vec![0; filled]).expect("read");
                assert_eq!(sent(bench.next_of(1).result.expect("moves")), 4);
            }
            // Nobody waits on either end any more: a receive is not disturbed by the splice.
            if cancelled {
                let got = bench.call(Call::recv_into(ours.as_raw_fd(), vec![0; 4], 0..4));
                assert_eq!(moved(got), (4, b"both".to_vec()));
            }
            bench.post(Call::recv_into(ours.as_raw_fd(), vec![0; 4], 0..4), 2);
            bench.expect_silence();
            theirs.write_all(b"next").expect("written");
            assert_eq!(moved(bench.next_of(2)), (4, b"next".to_vec()));
        }
    }

    fn a_splice_that_waits_can_be_cancelled(bench) {
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let (from, to) = std::io::pipe().expect("a pipe");
        cancels(bench, Call::splice(ours.as_raw_fd(), to.as_raw_fd(), 9));
        cancels(bench, Call::splice(from.as_raw_fd(), ours.as_raw_fd(), 9));
    }

    fn an_epoll_is_waited_for_through_the_ring(bench) {
        let epoll = epoll();
        let pipes: Vec<_> = (0..20).map(|_| std::io::pipe().expect("a pipe")).collect();
        for (i, (reader, _)) in pipes.iter().enumerate() {
            let change = EpollChange::Add { events: libc::EPOLLIN as u32, data: i as u64 };
            done(bench.value(Call::epoll_ctl(epoll.as_raw_fd(), reader.as_raw_fd(), change)));
        }
        bench.post(Call::epoll_wait(epoll.as_raw_fd(), 64), 1);
        bench.expect_silence();
        (&pipes[7].1).write_all(b"x").expect("written");
        let events = |done: crate::support::Done| match done.result {
            Ok(Value::Events(events)) => events,
            other => panic!("no events: {other:?}"),
        };
        assert_eq!(events(bench.next_of(1)), [(7, libc::EPOLLIN as u32)]);
        for i in [3, 11] {
            (&pipes[i].1).write_all(b"x").expect("written");
        }
        let mut ready: Vec<_> =
            events(bench.call(Call::epoll_wait(epoll.as_raw_fd(), 64))).iter().map(|e| e.0).collect();
        ready.sort_unstable();
        assert_eq!(ready, [3, 7, 11]);
        assert_eq!(events(bench.call(Call::epoll_wait(epoll.as_raw_fd(), 2))).len(), 2);
    }

    fn an_epoll_with_nothing_to_tell_can_be_cancelled(bench) {
        cancels(bench, Call::epoll_wait(epoll().as_raw_fd(), 8));
    }

    fn a_receive_into_a_buffer_fills_its_range_only(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        bench.post(Call::recv_into(ours.as_raw_fd(), vec![b'.'; 10], 2..6), 1);
        bench.expect_silence();
        theirs.write_all(b"abcdef").expect("written");
        let (n, buf) = moved(bench.next_of(1));
        assert_eq!((n, &buf[..]), (4, &b"..abcd...."[..]));
        let (n, buf) = moved(bench.call(Call::recv_into(ours.as_raw_fd(), buf, 0..10)));
        assert_eq!((n, &buf[..]), (2, &b"efabcd...."[..]));
        drop(theirs);
        assert_eq!(moved(bench.call(Call::recv_into(ours.as_raw_fd(), buf, 0..10))).0, 0);
        let outside = Call::recv_into(ours.as_raw_fd(), vec![0; 4], 2..5);
        let refused = bench.ring.submit(outside, 1).expect_err("outside");
        assert!(matches!(refused, PostError::Range { start: 2, end: 5, len: 4, .. }));
    }
}

on_every_engine! {
    fn timeouts_complete_in_their_order_and_never_early(bench) {
        let start = Instant::now();
        let times = [30u64, 5, 20, 5, 0, 12];
        for ms in times {
            bench.post(Call::timeout(Duration::from_millis(ms)), ms);
        }
        let mut seen = Vec::new();
        for _ in times {
            let completion = bench.next();
            assert!(start.elapsed() >= Duration::from_millis(completion.user));
            seen.push(completion.user);
            done(completion.result.expect("passes"));
        }
        assert_eq!(seen, [0, 5, 5, 12, 20, 30]);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }

    fn a_wait_without_end_ends_with_the_next_timeout(bench) {
        let start = Instant::now();
        bench.post(Call::timeout(Duration::from_millis(20)), 1);
        let mut completed = 0;
        let waker = bench.ring.waker();
        let (over, is_over) = std::sync::mpsc::channel::<()>();
        let watchdog = std::thread::spawn(move || {
            if is_over.recv_timeout(Duration::from_secs(3)).is_err() {
                waker.wake();
            }
        });
        while completed == 0 && start.elapsed() < Duration::from_secs(2) {
            bench.ring.wait(None).expect("waits");
            completed += bench.ring.reap(&mut |_| ());
        }
        over.send(()).expect("it listens");
        watchdog.join().expect("it ends");
        assert!((20..2_000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
        assert!(bench.ring.stats().enters < 50, "it sleeps: {}", bench.ring.stats());
    }

    fn timeouts_are_cancelled_without_a_scan(bench) {
        let before = time_of_thread();
        let tickets: Vec<_> = (0..100_000)
            .map(|i| bench.post(Call::timeout(Duration::from_secs(3_600 + i % 977)), i))
            .collect();
        bench.turn(Duration::ZERO);
        for ticket in tickets.iter().rev() {
            assert_eq!(bench.ring.cancel(*ticket), Cancelled::Stopped);
        }
        let mut cancelled = 0;
        bench.turn(Duration::ZERO);
        for completion in bench.done.drain(..) {
            cancelled += u32::from(completion.result.is_err_and(|failure| failure.is_cancelled()));
        }
        assert_eq!((cancelled, bench.ring.in_flight()), (100_000, 0));
        // Searching for each of them would take minutes.
        let took = time_of_thread() - before;
        assert!(took < Duration::from_secs(10), "{took:?}");
    }

    fn a_timeout_of_for_ever_is_no_mistake(bench) {
        let ticket = bench.post(Call::timeout(Duration::MAX), 1);
        bench.expect_silence();
        assert_eq!(bench.ring.cancel(ticket), Cancelled::Stopped);
        assert_eq!(errno(&bench.next_of(1)), libc::ECANCELED);
        assert_eq!(bench.ring.cancel(ticket), Cancelled::TooLate);
    }

    fn what_waits_for_a_time_is_dropped_with_the_ring(bench) {
        let fd: RawFd = epoll().as_raw_fd();
        bench.post(Call::timeout(Duration::from_secs(1_000)), 1);
        bench.post(Call::epoll_wait(fd, 4), 2);
        bench.turn(Duration::ZERO);
    }
}

#[test]
fn a_lock_that_somebody_has_is_waited_for_by_a_thread() {
    use flexsc_ring::{Engine, Lock};
    for engine in [Engine::Threads, Engine::Uring] {
        crate::support::on(&crate::support::options(engine), |bench| {
            let file = tempfile::NamedTempFile::new().expect("a file");
            let other = file.reopen().expect("opened");
            let lock = |fd: &std::fs::File, lock| Call::flock(fd.as_raw_fd(), lock);
            done(bench.value(lock(file.as_file(), Lock::Exclusive)));
            bench.post(lock(&other, Lock::Shared), 1);
            bench.expect_silence();
            done(bench.value(lock(file.as_file(), Lock::Unlock)));
            done(bench.next_of(1).result.expect("locks"));
        });
    }
}

#[test]
fn a_wait_looks_for_results_no_longer_than_it_may_take() {
    let options = Options { spin_us: 1_000_000, ..Options::with_engine(Engine::Threads) };
    on(&options, |bench| {
        let time: &'static [i64; 2] = Box::leak(Box::new([100, 0]));
        let args = [time.as_ptr().expose_provenance() as u64, 0, 0, 0, 0, 0];
        // SAFETY: the time is never freed.
        let ticket = bench.post(unsafe { Call::raw(libc::SYS_nanosleep as u16, args) }, 1);
        let start = Instant::now();
        (0..3).for_each(|_| bench.ring.wait(Some(Duration::from_micros(50))).expect("waits"));
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        bench.ring.cancel(ticket);
        assert_eq!(errno(&bench.next_of(1)), libc::ECANCELED);
    });
}
