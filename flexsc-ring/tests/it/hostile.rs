//! A queue too small for its completions, signals without end, a fork: nothing is lost.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::thread::JoinHandleExt;
use std::time::{Duration, Instant};

use flexsc_ring::{AnyRing, Call, Engine, Options, Reason, Report, Ring, Value};

use crate::on_every_engine;
use crate::placement::{allowed, stay_on};
use crate::support::{Bench, Buf, SOON, alone, connect, listener, on, options, received};

/// Several connections send at once; their bytes are counted back.
fn flood(bench: &mut Bench) {
    const PEERS: usize = 8;
    const PIECES: usize = 400;
    let pairs: Vec<_> = (0..PEERS).map(|_| UnixStream::pair().expect("a pair")).collect();
    for (user, (ours, _)) in pairs.iter().enumerate() {
        bench.post(Call::recv_multishot(ours.as_raw_fd()), user as u64);
    }
    bench.turn(Duration::ZERO);
    let (mut got, mut sent) = (vec![0; PEERS], 0);
    while sent < PIECES {
        for _ in 0..20 {
            for (_, theirs) in &pairs {
                (&mut &*theirs).write_all(&[sent as u8; 3]).expect("written");
            }
            sent += 1;
        }
        while got.iter().sum::<usize>() < sent * PEERS * 3 {
            let done = bench.next();
            let user = done.user as usize;
            got[user] += received(done).len();
        }
    }
    assert_eq!(got, [PIECES * 3; PEERS]);
    pairs.iter().for_each(|(_, theirs)| theirs.shutdown(Shutdown::Write).expect("shut"));
    for user in 0..PEERS as u64 {
        assert!(received(bench.next_of(user)).is_empty());
    }
    assert_eq!(bench.ring.in_flight(), 0);
}

on_every_engine! {
    fn a_flood_of_multishot_completions_is_counted_back(bench) {
        flood(bench);
    }
}

#[test]
fn a_tiny_completion_queue_overflows_and_loses_nothing() {
    for engine in [Engine::Uring, Engine::Sqpoll] {
        on(&Options { entries: 1, pool_buffers: 512, ..options(engine) }, |bench| {
            flood(bench);
            // More completions at once than its queue of eight has room for.
            for user in 0..2_000 {
                bench.post(Call::nop(), user);
            }
            let mut seen = vec![false; 2_000];
            let deadline = Instant::now() + SOON;
            for _ in 0..2_000 {
                // Without a sleep, in which the kernel would be entered anyway.
                while bench.done.is_empty() && Instant::now() < deadline {
                    bench.turn(Duration::ZERO);
                }
                let done = bench.done.pop_front().expect("it comes");
                assert!(!std::mem::replace(&mut seen[done.user as usize], true), "once each");
            }
            assert!(bench.ring.stats().fallbacks(Reason::Overflow) > 0, "{}", bench.ring.stats());
        });
    }
}

#[test]
fn a_crowd_at_the_door_overflows_and_every_connection_is_accepted() {
    on(&Options { entries: 1, ..options(Engine::Uring) }, |bench| {
        let listener = listener();
        bench.post(Call::accept_multishot(listener.as_raw_fd()), 1);
        bench.turn(Duration::ZERO);
        for _ in 0..40 {
            let clients: Vec<_> = (0..50).map(|_| connect(&listener)).collect();
            for _ in &clients {
                assert!(matches!(bench.next_of(1).result, Ok(Value::Accepted(_))));
            }
        }
        // Where the kernel's multishot accept cannot be used, one comes at a time.
        let Report { notes, .. } = bench.ring.report();
        let one_by_one = notes.iter().any(|note| note.contains("made of single ones"));
        let stats = bench.ring.stats();
        assert!(one_by_one || stats.fallbacks(Reason::Overflow) > 0, "{stats}");
    });
}

extern "C" fn ignore(_signal: libc::c_int) {}

/// Makes SIGUSR1 end waits instead of the process.
fn handle_signal() {
    // SAFETY: the handler does nothing; the structure is zeroed, which is a valid one.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as extern "C" fn(libc::c_int) as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
    }
}

/// Everything that a ring does.
fn everything(engine: Engine) {
    on(&options(engine), |bench| {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), [7; 700]).expect("written");
        let fd = file.as_file().as_raw_fd();
        bench.post(Call::recv_multishot(ours.as_raw_fd()), 0);
        for round in 1..2_000u64 {
            bench.post(Call::read(fd, vec![0; 700], 0..700, 0), round);
            let ticket = bench.post(Call::poll_readable(ours.as_raw_fd()), u64::MAX);
            bench.ring.cancel(ticket);
            theirs.write_all(b"storm").expect("written");
            let (mut bytes, mut n) = (0, 0);
            while bytes < 5 {
                bytes += received(bench.next_of(0)).len();
            }
            match bench.next_of(round).result {
                Ok(Value::Moved { n: moved, .. }) => n += moved,
                other => panic!("{other:?}"),
            }
            bench.next_of(u64::MAX);
            assert_eq!((bytes, n), (5, 700));
        }
        assert_eq!(bench.ring.in_flight(), 1);
    });
}

/// Runs `work` on a thread that a storm of signals hits.
fn under_signals(work: impl FnOnce() + Send + 'static) {
    handle_signal();
    let worker = std::thread::spawn(work);
    let thread = worker.as_pthread_t();
    while !worker.is_finished() {
        // SAFETY: the thread is not joined before the loop ends.
        unsafe { libc::pthread_kill(thread, libc::SIGUSR1) };
        std::thread::sleep(Duration::from_micros(20));
    }
    worker.join().expect("nothing was lost");
}

#[test]
fn signals_without_end_lose_nothing() {
    alone("hostile::signals_without_end_lose_nothing", || {
        [Engine::Direct, Engine::Threads, Engine::Uring, Engine::Sqpoll]
            .into_iter()
            .for_each(|engine| under_signals(move || everything(engine)));
    });
}

#[test]
fn signals_do_not_keep_a_ring_from_being_made() {
    alone("hostile::signals_do_not_keep_a_ring_from_being_made", || {
        let cpu = allowed()[0];
        // The poller has to wait for its processor, and the ring's maker for the poller. Ends with the process.
        std::thread::spawn(move || {
            stay_on(cpu);
            loop {
                std::hint::spin_loop();
            }
        });
        let make = move |engine| {
            AnyRing::<Buf>::new(&Options { sqpoll_cpu: Some(cpu), ..options(engine) }).is_ok()
        };
        let engines = [Engine::Threads, Engine::Uring, Engine::Sqpoll];
        let usable = engines.map(make);
        under_signals(move || (0..20).for_each(|_| assert_eq!(engines.map(make), usable)));
    });
}

/// Forks a child that runs `then`, and waits for its end.
fn fork(then: impl FnOnce()) {
    // SAFETY: the process is alone, and its other threads, syscall threads, hold no lock that the child
    // takes: the C library keeps its own in order over a fork.
    match unsafe { libc::fork() } {
        0 => {
            then();
            // SAFETY: ends the child without running the parent's exit handlers.
            unsafe { libc::_exit(0) }
        }
        child => {
            assert!(child > 0);
            let mut status = 0;
            // SAFETY: `status` outlives the call.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0, "the child ended well");
        }
    }
}

fn survives_a_fork(engine: Engine) {
    on(&options(engine), |bench| {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        for round in 0..10u8 {
            bench.post(Call::recv_multishot(ours.as_raw_fd()), 1);
            if round % 2 == 0 {
                bench.turn(Duration::ZERO);
            }
            bench.post(Call::nop(), 2);
            // One child drops its copy of the ring, one just ends.
            fork(|| {
                // SAFETY: a bitwise copy, in a process that uses the original no more.
                drop(unsafe { std::ptr::read(&bench.ring) });
            });
            fork(|| {});
            assert!(bench.next_of(2).result.is_ok());
            theirs.write_all(&[round; 9]).expect("written");
            let done = bench.next_of(1);
            assert!(done.more);
            assert_eq!(received(done), [round; 9]);
            let ticket = bench.post(Call::nop(), 3);
            bench.ring.cancel(ticket);
            bench.next_of(3);
            theirs.shutdown(Shutdown::Write).expect("shut");
            assert!(received(bench.next_of(1)).is_empty());
            theirs = renew(&ours);
        }
    });
}

/// Another pair in the place of one that has ended: `ours` keeps its number.
fn renew(ours: &UnixStream) -> UnixStream {
    let (new, theirs) = UnixStream::pair().expect("a pair");
    theirs.set_read_timeout(Some(SOON)).expect("set");
    // SAFETY: both descriptors are open and owned here; `ours` goes on to own its number.
    assert!(unsafe { libc::dup2(new.as_raw_fd(), ours.as_raw_fd()) } >= 0);
    theirs
}

#[test]
fn a_child_that_drops_its_copy_of_a_ring_disturbs_nobody() {
    alone("hostile::a_child_that_drops_its_copy_of_a_ring_disturbs_nobody", || {
        [Engine::Direct, Engine::Threads, Engine::Uring, Engine::Sqpoll]
            .into_iter()
            .for_each(survives_a_fork);
    });
}

#[test]
fn a_pending_receive_is_cancelled_in_one_system_call() {
    on(&options(Engine::Uring), |bench| {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        for multishot in [false, true] {
            let fd = ours.as_raw_fd();
            let call = if multishot { Call::recv_multishot(fd) } else { Call::recv(fd) };
            let ticket = bench.post(call, 1);
            bench.turn(Duration::ZERO);
            let before = bench.ring.stats().enters;
            bench.ring.cancel(ticket);
            bench.turn(Duration::ZERO);
            assert_eq!((bench.done.len(), bench.ring.in_flight()), (1, 0));
            assert_eq!(bench.ring.stats().enters, before + 1);
            bench.done.clear();
        }
        theirs.write_all(b"late").expect("written");
        let mut bytes = [0; 4];
        (&ours).read_exact(&mut bytes).expect("nobody took them");
    });
}
