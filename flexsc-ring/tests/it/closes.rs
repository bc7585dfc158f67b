//! Closing through the ring: calls that use the descriptor end, and it is closed once, whatever the
//! close says.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use flexsc_ring::{CWD, Call, Chain, Engine, Reason, Ring, Value};

use crate::fuse::{self, Closing};
use crate::growth::forbid_threads;
use crate::support::{A_WHILE, Bench, ENGINES, alone, errno, on, options};

fn receive_and_close_at_once(bench: &mut Bench) {
    for round in 0..300 {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        bench.post(Call::recv(ours.as_raw_fd()), 1);
        if round % 3 == 0 {
            bench.turn(Duration::ZERO);
        }
        bench.post(Call::close(ours.into()), 2);
        bench.turn(Duration::ZERO);
        // io_uring's receive holds on to the socket itself.
        drop(theirs);
        let end = bench.next_of(1);
        match &end.result {
            Ok(Value::Received(bytes)) => assert!(bytes.is_empty()),
            Ok(other) => panic!("{other:?}"),
            Err(failure) => {
                assert!([libc::ECANCELED, libc::EBADF].contains(&errno(&end)), "{failure}");
            }
        }
        bench.next_of(2).result.expect("closed");
    }
}

#[test]
fn a_receive_whose_descriptor_is_closed_in_the_same_batch_ends() {
    // Elsewhere, other tests would open files that get the descriptor's number.
    alone("closes::a_receive_whose_descriptor_is_closed_in_the_same_batch_ends", || {
        for engine in ENGINES {
            on(&options(engine), receive_and_close_at_once);
        }
    });
}

/// Closes a file of a file system that fails every close; whoever gets the number keeps it. False:
/// io_uring had no worker for the close, which counted as made.
fn close_once(bench: &mut Bench, path: &Path, closing: &Closing, how: Way, errno: i32) -> bool {
    let engine = bench.ring.engine();
    let (result, number) = match how {
        Way::Alone => {
            let file = File::open(path).expect("opened");
            let number = file.as_raw_fd();
            closing.expect(number);
            (bench.call(Call::close(file.into())).result, number)
        }
        Way::Chain => {
            let file = CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL");
            // The lowest number that is free, which the open gets.
            let number = File::open("/dev/null").expect("it is there").as_raw_fd();
            closing.expect(number);
            let chain = Chain::new().then(Call::open(CWD, file)).then(Call::close_opened());
            match bench.value(Call::chain(chain)) {
                Value::Chain(mut results) => (results.pop().expect("two"), number),
                other => panic!("{engine}: {other:?}"),
            }
        }
    };
    let said = result.as_ref().err().and_then(|failure| failure.error.raw_os_error());
    if said == Some(libc::ECANCELED) && !closing.number_is_taken() {
        assert!(matches!(engine, Engine::Uring | Engine::Sqpoll), "{engine} gives no close up");
        // SAFETY: the number is still the file's, and nobody else closes it.
        unsafe { libc::close(number) };
        return false;
    }
    assert_eq!(said, Some(errno), "{engine}: {result:?}");
    true
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Alone,
    Chain,
}

#[test]
fn a_close_that_fails_is_made_once_whatever_the_file_system_says() {
    alone("closes::a_close_that_fails_is_made_once_whatever_the_file_system_says", || {
        for errno in [libc::ECANCELED, libc::EIO, libc::EAGAIN] {
            let dir = tempfile::tempdir().expect("a directory");
            let closing = Closing::new(errno);
            if !fuse::mount(dir.path(), &closing) {
                return eprintln!("skipped: no mount: {}", std::io::Error::last_os_error());
            }
            for engine in ENGINES {
                for how in [Way::Alone, Way::Chain] {
                    on(&options(engine), |bench| {
                        let path = dir.path().join("file");
                        let is_made = (0..20).any(|_| {
                            closing.clear();
                            close_once(bench, &path, &closing, how, errno)
                        });
                        assert!(is_made, "{engine} has no worker");
                        bench.expect_silence();
                        assert!(closing.number_is_taken(), "{engine}, {how:?}, {errno}");
                    });
                    closing.clear();
                }
            }
            // What serves it ends with this process.
            std::mem::forget(dir);
        }
    });
}

#[test]
fn a_close_of_a_chain_that_io_uring_gives_up_for_want_of_a_worker_is_made_all_the_same() {
    let name = "closes::\
                a_close_of_a_chain_that_io_uring_gives_up_for_want_of_a_worker_is_made_all_the_same";
    alone(name, || {
        let dir = tempfile::tempdir().expect("a directory");
        let closing = Closing::new(libc::EIO);
        if !fuse::mount(dir.path(), &closing) {
            return eprintln!("skipped: no mount: {}", std::io::Error::last_os_error());
        }
        on(&options(Engine::Uring), |bench| {
            let file = File::open(dir.path().join("file")).expect("opened");
            closing.expect(file.as_raw_fd());
            forbid_threads();
            let chain = Chain::new().then(Call::close(file.into()));
            let Value::Chain(results) = bench.value(Call::chain(chain)) else { panic!("a chain") };
            let Err(failure) = &results[0] else { panic!("{results:?}") };
            assert_eq!(failure.error.raw_os_error(), Some(libc::EIO), "the close's own word");
            assert!(closing.number_is_taken());
            assert_eq!(bench.ring.stats().fallbacks(Reason::Trapped), 1);
        });
        std::mem::forget(dir);
    });
}

#[test]
fn closes_of_chains_that_wait_for_a_worker_are_made_when_their_ring_is_dropped() {
    let name =
        "closes::closes_of_chains_that_wait_for_a_worker_are_made_when_their_ring_is_dropped";
    alone(name, || {
        let dir = tempfile::tempdir().expect("a directory");
        let closing = Closing::new(0);
        if !fuse::mount(dir.path(), &closing) {
            return eprintln!("skipped: no mount: {}", std::io::Error::last_os_error());
        }
        // More than the ring lets io_uring have workers.
        const FILES: u64 = 24;
        on(&options(Engine::Uring), |bench| {
            let other = flexsc_ring::AnyRing::new(&options(Engine::Direct)).expect("a ring");
            let path = dir.path().join("file");
            let files: Vec<File> = (0..FILES).map(|_| File::open(&path).expect("opened")).collect();
            let numbers: Vec<_> = files.iter().map(AsRawFd::as_raw_fd).collect();
            // SAFETY: no pointers.
            let is_open = |fd: &i32| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0;
            closing.hold(true);
            for (user, file) in (0..).zip(files) {
                bench.post(Call::chain(Chain::new().then(Call::close(file.into()))), user);
            }
            bench.pause(A_WHILE);
            assert!(numbers.iter().any(is_open), "some wait for a worker");
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(A_WHILE);
                    closing.hold(false);
                });
                drop(std::mem::replace(&mut bench.ring, other));
            });
            assert_eq!(numbers.iter().filter(|fd| is_open(fd)).count(), 0);
        });
        std::mem::forget(dir);
    });
}

#[test]
fn a_close_that_io_uring_gives_up_for_want_of_a_worker_is_made_all_the_same() {
    alone(
        "closes::a_close_that_io_uring_gives_up_for_want_of_a_worker_is_made_all_the_same",
        || {
            let dir = tempfile::tempdir().expect("a directory");
            let closing = Closing::new(libc::EIO);
            if !fuse::mount(dir.path(), &closing) {
                return eprintln!("skipped: no mount: {}", std::io::Error::last_os_error());
            }
            let open = || File::open(dir.path().join("file")).expect("opened");
            let (alone, in_chain) = (open(), open());
            on(&options(Engine::Uring), |bench| {
                forbid_threads();
                closing.expect(in_chain.as_raw_fd());
                let chain = Chain::new().then(Call::nop()).then(Call::close(in_chain.into()));
                match bench.value(Call::chain(chain)) {
                    Value::Chain(results) => {
                        let failure = results[1].as_ref().expect_err("it fails");
                        assert_eq!(failure.error.raw_os_error(), Some(libc::EIO));
                    }
                    other => panic!("{other:?}"),
                }
                assert!(closing.number_is_taken());
                closing.clear();
                closing.expect(alone.as_raw_fd());
                let end = bench.call(Call::close(alone.into()));
                assert_eq!(errno(&end), libc::EIO, "the close's own word");
                assert!(closing.number_is_taken());
                assert_eq!(bench.ring.stats().fallbacks(Reason::NoThread), 1);
            });
            std::mem::forget(dir);
        },
    );
}
