//! Bounds: how much fits, what is refused, and that a refusal gives the call back.

use flexsc_ring::{AnyRing, Call, Engine, Options, PostError, Reason, Ring, RingError};

use crate::on_every_engine;
use crate::support::{Buf, on};

#[test]
fn a_full_ring_gives_the_call_back() {
    for engine in [Engine::Direct, Engine::Threads, Engine::Uring] {
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
        assert!(stats.enters > 0);
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
    for engine in [Engine::Direct, Engine::Threads, Engine::Uring] {
        let smallest = Options {
            engine,
            entries: 1,
            in_flight: 1,
            pool_buffers: 1,
            pool_buffer_bytes: 64,
            threads: 1,
            pages: 1,
            spin_us: 0,
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
    for engine in [Engine::Auto, Engine::Uring, Engine::Threads, Engine::Direct] {
        assert_eq!(engine.to_string().parse::<Engine>().expect("a name"), engine);
    }
    let error = "epoll".parse::<Engine>().expect_err("no such engine");
    assert!(error.to_string().contains("direct"), "{error}");
}
