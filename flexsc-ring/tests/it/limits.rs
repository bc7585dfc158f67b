//! Bounds: how much fits, what is refused, and that a refusal gives the call back.

use std::time::{Duration, Instant};

use flexsc_ring::{AnyRing, Call, Engine, Options, PostError, Reason, Ring, RingError};

use crate::on_every_engine;
use crate::support::{Buf, errno, on, resident_kib};

#[test]
fn a_full_ring_gives_the_call_back() {
    for engine in [Engine::Direct, Engine::Threads, Engine::Uring, Engine::Sqpoll] {
        on(&Options { in_flight: 4, ..Options::with_engine(engine) }, |bench| {
            let (reader, _writer) = std::io::pipe().expect("a pipe");
            let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
            let call = |byte| Call::read(fd, vec![byte; 3], 0..3, u64::MAX);
            let tickets: Vec<_> = (0..4).map(|user| bench.post(call(0), user)).collect();
            let refused = bench.ring.submit(call(9), 4).expect_err("full");
            assert!(matches!(refused, PostError::Full(_, 4)));
            assert!(refused.to_string().contains("Options::in_flight"), "{refused}");
            assert_eq!(refused.into_call().into_buf(), Some(vec![9; 3]));
            bench.ring.cancel(tickets[0]);
            bench.next_of(0);
            bench.post(call(1), 5);
        });
    }
}

#[test]
fn more_calls_than_either_queue_holds_all_complete() {
    on(&Options { entries: 2, ..Options::with_engine(Engine::Uring) }, |bench| {
        for user in 0..1_000 {
            bench.post(Call::nop(), user);
        }
        let mut users: Vec<u64> = (0..1_000).map(|_| bench.next().user).collect();
        users.sort_unstable();
        assert!(users.into_iter().eq(0..1_000));
        assert_eq!(bench.ring.in_flight(), 0);
    });
}

on_every_engine! {
    fn posting_does_not_wait_for_reaping(bench) {
        let file = tempfile::tempfile().expect("a file");
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        for user in 0..5_000 {
            bench.post(Call::write(fd, vec![user as u8; 1], 0..1, user), user);
        }
        for _ in 0..5_000 {
            assert!(bench.next().result.is_ok());
        }
        assert_eq!(file.metadata().expect("it is there").len(), 5_000);
    }

    fn the_counters_tell_what_happened(bench) {
        for user in 0..10 {
            bench.post(Call::nop(), user);
        }
        (0..10).for_each(|_| drop(bench.next()));
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
        let ticket = bench.post(Call::read(fd, vec![0; 1], 0..1, u64::MAX), 11);
        bench.turn(std::time::Duration::ZERO);
        bench.ring.cancel(ticket);
        bench.next_of(11);
        let stats = bench.ring.stats();
        assert_eq!((stats.submitted, stats.completed, stats.cancelled), (11, 11, 1));
        // An awake poller needs no enter.
        assert!(stats.enters > 0 || bench.ring.engine() == Engine::Sqpoll);
        let text = stats.to_string();
        assert!(Reason::ALL.iter().all(|reason| text.contains(reason.name())), "{text}");
    }
}

#[test]
fn options_out_of_bounds_are_refused_by_name() {
    let refused = |change: fn(&mut Options), name: &str| {
        for engine in [Engine::Auto, Engine::Direct, Engine::Threads, Engine::Uring] {
            let mut options = Options::with_engine(engine);
            change(&mut options);
            match AnyRing::<Buf>::new(&options) {
                Err(RingError::Option { option, .. }) => assert_eq!(option, name),
                other => panic!("{name}: {:?}", other.err()),
            }
        }
    };
    refused(|o| o.pool_buffers = 0, "pool_buffers");
    refused(|o| o.pool_buffers = 32_769, "pool_buffers");
    refused(|o| o.pool_buffer_bytes = 1, "pool_buffer_bytes");
    refused(|o| o.pool_buffer_bytes = usize::MAX, "pool_buffer_bytes");
    refused(|o| o.entries = 0, "entries");
    refused(|o| o.entries = u32::MAX, "entries");
    refused(|o| o.in_flight = 0, "in_flight");
    refused(|o| o.in_flight = usize::MAX, "in_flight");
    refused(|o| o.threads = 0, "threads");
    refused(|o| o.threads = 65, "threads");
    refused(|o| o.pages = 0, "pages");
}

#[test]
fn the_smallest_options_work() {
    for engine in [Engine::Direct, Engine::Threads, Engine::Uring, Engine::Sqpoll] {
        let smallest = Options {
            engine,
            entries: 1,
            in_flight: 1,
            pool_buffers: 1,
            pool_buffer_bytes: 64,
            threads: 1,
            pages: 1,
            spin_us: 0,
            idle: Duration::ZERO,
            placement: flexsc_ring::Placement::Anywhere,
            ..Options::default()
        };
        on(&smallest, |bench| {
            let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
            bench.post(Call::recv_multishot(std::os::fd::AsRawFd::as_raw_fd(&ours)), 1);
            for byte in 0..100u8 {
                std::io::Write::write_all(&mut theirs, &[byte; 50]).expect("written");
                assert_eq!(crate::support::received(bench.next()), [byte; 50]);
            }
        });
    }
}

#[test]
fn engines_have_names_that_parse_back() {
    for engine in [Engine::Auto, Engine::Uring, Engine::Sqpoll, Engine::Threads, Engine::Direct] {
        assert_eq!(engine.to_string().parse::<Engine>().expect("a name"), engine);
    }
    let error = "epoll".parse::<Engine>().expect_err("no such engine");
    assert!(error.to_string().contains("direct"), "{error}");
}

#[test]
fn rings_made_and_dropped_on_one_thread_leave_nothing_with_it() {
    for _ in 0..40 {
        on(&Options::with_engine(Engine::Uring), |bench| {
            let notes = &bench.ring.report().notes;
            assert!(!notes.iter().any(|note| note.contains("registered")), "{notes:?}");
            bench.call(Call::nop());
        });
    }
}

#[test]
fn a_ring_that_the_thread_has_no_room_to_register_works_and_says_so() {
    let options = Options { entries: 4, pool_buffers: 1, ..Options::with_engine(Engine::Uring) };
    let mut rings: Vec<AnyRing<Buf>> = Vec::new();
    for _ in 0..17 {
        match AnyRing::new(&options) {
            Ok(ring) => rings.push(ring),
            Err(error) => return eprintln!("skipped: {error}"),
        }
    }
    let refused =
        |ring: &AnyRing<Buf>| ring.report().notes.iter().any(|note| note.contains("registered"));
    assert!(refused(&rings[16]) && !refused(&rings[15]));
    rings.iter_mut().for_each(|ring| {
        ring.submit(Call::nop(), 1).expect("room");
        ring.wait(None).expect("waits");
        assert_eq!(ring.reap(&mut |done| assert!(done.result.is_ok())), 1);
    });
}

#[test]
fn a_call_that_waited_for_a_page_is_not_slept_over() {
    let options = Options { pages: 1, threads: 1, ..Options::with_engine(Engine::Uring) };
    on(&options, |bench| {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("set");
        while std::io::Write::write(&mut &ours, &[0; 4096]).is_ok() {}
        let file = tempfile::tempfile().expect("a file");
        file.set_len(4096).expect("it grows");
        let out = std::os::fd::AsRawFd::as_raw_fd(&ours);
        let input = std::os::fd::AsRawFd::as_raw_fd(&file);
        // The thread has gone to sleep when the page fills: the first turn finds nothing done.
        bench.call(Call::getdents64(input, vec![0; 64]));
        std::thread::sleep(Duration::from_millis(20));
        // They fill the page, and give their entries up to wait for the socket.
        for user in 0..64 {
            bench.post(Call::sendfile(out, input, 0, 4096), user);
        }
        bench.post(Call::getdents64(input, vec![0; 64]), 64);
        bench.turn(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(50));
        let start = Instant::now();
        while bench.done.is_empty() && start.elapsed() < Duration::from_secs(4) {
            bench.turn(Duration::from_secs(5));
        }
        assert_eq!(bench.next().user, 64);
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    });
}

on_every_engine! {
    fn a_number_far_beyond_any_descriptor_costs_no_memory(bench) {
        let before = resident_kib();
        for fd in [1 << 22, i32::MAX] {
            for call in [Call::poll_readable(fd), Call::recv_multishot(fd), Call::recv(fd)] {
                assert_eq!(errno(&bench.call(call)), libc::EBADF);
                // Records up to the first number would be more; other tests run beside this one.
                assert!(resident_kib() < before + (512 << 10));
            }
        }
    }
}
