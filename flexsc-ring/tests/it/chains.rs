//! Chains: the same results as the calls made one after the other, one completion, nothing left.

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flexsc_ring::{
    CURRENT, CWD, Call, Cancelled, Chain, ChainFault, Engine, Failure, OPENED, Options, PostError,
    Ring, Value,
};

use crate::on_every_engine;
use crate::support::{A_MOMENT, A_WHILE, Bench, Buf, Done, Random, alone, connect, listener};
use crate::support::{SOON, on, open_files, options, registered};

mod panics;
mod programs;

type Outcome = Result<Value<Buf>, Failure<Buf>>;

fn list(done: Done) -> Vec<Outcome> {
    assert!(!done.more);
    match done.result {
        Ok(Value::Chain(list)) => list,
        other => panic!("not of a chain: {other:?}"),
    }
}

fn c(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).expect("no NUL")
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("written");
    file
}

fn whole(path: &Path) -> Chain<Buf> {
    Chain::new()
        .then(Call::open(CWD, c(path)))
        .then(Call::stat_fd(OPENED))
        .then(Call::read(OPENED, vec![0; 100], 0..100, 0))
        .then(Call::close_opened())
}

/// What a call of a chain came to, to be compared.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Done,
    Opened,
    Stat(u64, bool),
    Moved(Vec<u8>),
    Failed(i32, bool),
}

fn seen(outcome: Outcome) -> Seen {
    match outcome {
        Ok(Value::Done) => Seen::Done,
        Ok(Value::Opened(_)) => Seen::Opened,
        Ok(Value::Stat(stat)) => Seen::Stat(stat.size, stat.is_dir()),
        Ok(Value::Moved { n, buf }) => Seen::Moved(buf[..n].to_vec()),
        Ok(other) => panic!("{other:?}"),
        Err(failure) => {
            Seen::Failed(failure.error.raw_os_error().expect("errno"), failure.buf.is_some())
        }
    }
}

/// A step, as plain data: for the ring, and for std.
#[derive(Debug, Clone, Copy)]
enum Step {
    Nop,
    Open(usize),
    StatOpened,
    Stat(usize),
    ReadOpened(u64, usize),
    ReadOn(usize),
    WriteOpened,
    Close,
}

impl Step {
    fn call(self, paths: &[PathBuf]) -> Call<Buf> {
        match self {
            Step::Nop => Call::nop(),
            Step::Open(at) => Call::open(CWD, c(&paths[at])),
            Step::StatOpened => Call::stat_fd(OPENED),
            Step::Stat(at) => Call::stat(CWD, c(&paths[at])),
            Step::ReadOpened(offset, n) => Call::read(OPENED, vec![0; n], 0..n, offset),
            Step::ReadOn(n) => Call::read(OPENED, vec![0; n], 0..n, CURRENT),
            Step::WriteOpened => Call::write(OPENED, vec![1; 10], 0..10, 0),
            Step::Close => Call::close_opened(),
        }
    }

    /// The call, made by std; `open` is what the chain has open.
    fn by_std(self, paths: &[PathBuf], open: &mut Vec<Option<(File, usize)>>, at: usize) -> Seen {
        let failed = |error: std::io::Error, buf| {
            Seen::Failed(error.raw_os_error().expect("from the kernel"), buf)
        };
        let last = open.last_mut().and_then(Option::as_mut).map(|(file, _)| file);
        match (self, last) {
            (Step::Nop, _) => Seen::Done,
            (Step::Open(path), _) => match File::open(&paths[path]) {
                Ok(file) => {
                    open.push(Some((file, at)));
                    Seen::Opened
                }
                Err(error) => {
                    open.push(None);
                    failed(error, false)
                }
            },
            (Step::Stat(path), _) => match std::fs::metadata(&paths[path]) {
                Ok(found) => Seen::Stat(found.len(), found.is_dir()),
                Err(error) => failed(error, false),
            },
            (Step::StatOpened, Some(file)) => {
                let found = file.metadata().expect("open");
                Seen::Stat(found.len(), found.is_dir())
            }
            (Step::ReadOpened(offset, n), Some(file)) => {
                let mut buf = vec![0; n];
                match file.read_at(&mut buf, offset) {
                    Ok(n) => Seen::Moved(buf[..n].to_vec()),
                    Err(error) => failed(error, true),
                }
            }
            (Step::ReadOn(n), Some(file)) => {
                let mut buf = vec![0; n];
                match file.read(&mut buf) {
                    Ok(n) => Seen::Moved(buf[..n].to_vec()),
                    Err(error) => failed(error, true),
                }
            }
            (Step::WriteOpened, Some(file)) => match file.write_at(&[1; 10], 0) {
                Ok(_) => panic!("opened for reading"),
                Err(error) => failed(error, true),
            },
            (step, _) => panic!("{step:?} with nothing open"),
        }
    }
}

/// All steps by std, with the rules of chains.
fn by_std(steps: &[Step], paths: &[PathBuf]) -> Vec<Seen> {
    let mut open = Vec::new();
    let mut all: Vec<Seen> = Vec::new();
    let mut stopped = false;
    for (at, step) in steps.iter().enumerate() {
        let next = match step {
            Step::Close => match open.pop().flatten() {
                Some((_, opener)) => {
                    all[opener] = Seen::Done;
                    Seen::Done
                }
                None => Seen::Failed(libc::ECANCELED, false),
            },
            step if stopped => {
                if let Step::Open(_) = step {
                    open.push(None);
                }
                let lends =
                    matches!(step, Step::ReadOpened(..) | Step::ReadOn(_) | Step::WriteOpened);
                Seen::Failed(libc::ECANCELED, lends)
            }
            step => step.by_std(paths, &mut open, at),
        };
        stopped |= matches!(next, Seen::Failed(..));
        all.push(next);
    }
    all
}

fn random_steps(random: &mut Random, paths: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut depth = 0;
    let common = random.below(3) == 0;
    if common {
        let path = random.below(paths as u64) as usize;
        let read = Step::ReadOpened(random.below(3) * 40, 64);
        return match random.below(3) {
            0 => vec![Step::Open(path), read, Step::Close],
            1 => vec![Step::Open(path), Step::StatOpened, read, Step::Close],
            _ => vec![Step::Open(path), read, Step::Close, Step::Open(0), read, Step::Close],
        };
    }
    for _ in 0..random.below(16) {
        let path = random.below(paths as u64) as usize;
        let step = match random.below(if depth > 0 { 10 } else { 4 }) {
            0 => Step::Nop,
            1 => Step::Stat(path),
            2 | 3 => Step::Open(path),
            4 => Step::StatOpened,
            5 => Step::ReadOn(30),
            6 => Step::WriteOpened,
            7 => Step::ReadOpened(random.below(200), 50),
            _ => Step::Close,
        };
        depth += i32::from(matches!(step, Step::Open(_)));
        depth -= i32::from(matches!(step, Step::Close));
        steps.push(step);
    }
    steps
}

/// Existing, missing, without permission, empty, short, a directory, beneath a file.
fn paths(dir: &Path) -> Vec<PathBuf> {
    let at = |name: &str| dir.join(name);
    std::fs::write(at("long"), [5; 5_000]).expect("written");
    std::fs::write(at("short"), b"short").expect("written");
    std::fs::write(at("empty"), b"").expect("written");
    std::fs::write(at("shut"), b"shut").expect("written");
    std::fs::set_permissions(at("shut"), PermissionsExt::from_mode(0o000)).expect("set");
    std::fs::create_dir(at("dir")).expect("made");
    ["long", "long", "short", "empty", "shut", "dir", "missing", "long/er"].map(at).to_vec()
}

on_every_engine! {
    fn a_chain_opens_asks_reads_and_closes(bench) {
        let file = file(b"what is in it");
        bench.post(Call::chain(whole(file.path())), 5);
        let all: Vec<_> = list(bench.next_of(5)).into_iter().map(seen).collect();
        let bytes = b"what is in it".to_vec();
        assert_eq!(all, [Seen::Done, Seen::Stat(13, false), Seen::Moved(bytes), Seen::Done]);
        assert_eq!(bench.ring.in_flight(), 0);
    }

    fn random_chains_have_the_results_of_calls_made_in_order(bench) {
        let dir = tempfile::tempdir().expect("a directory");
        let paths = paths(dir.path());
        let mut random = Random(0x5eed);
        let all: Vec<Vec<Step>> = (0..400).map(|_| random_steps(&mut random, paths.len())).collect();
        for (batch, some) in all.chunks(40).enumerate() {
            for (i, steps) in some.iter().enumerate() {
                let chain: Chain<Buf> = steps.iter().map(|step| step.call(&paths)).collect();
                bench.post(Call::chain(chain), (batch * 40 + i) as u64);
            }
            for _ in some {
                let done = bench.next();
                let steps = &all[done.user as usize];
                let found: Vec<_> = list(done).into_iter().map(seen).collect();
                assert_eq!(found, by_std(steps, &paths), "{steps:?}");
            }
        }
        assert_eq!(bench.ring.in_flight(), 0);
    }

    fn a_descriptor_that_the_chain_does_not_close_is_the_callers(bench) {
        let file = file(b"kept");
        let chain = Chain::new()
            .then(Call::open(CWD, c(file.path())))
            .then(Call::read(OPENED, vec![0; 4], 0..4, 77))
            .then(Call::write(OPENED, vec![0; 4], 0..4, 0));
        bench.post(Call::chain(chain), 1);
        let mut all = list(bench.next_of(1)).into_iter();
        let Some(Ok(Value::Opened(fd))) = all.next() else { panic!("it is given") };
        assert_eq!(seen(all.next().expect("a read")), Seen::Moved(Vec::new()));
        assert_eq!(seen(all.next().expect("a write")), Seen::Failed(libc::EBADF, true));
        let mut bytes = [0; 4];
        File::from(fd).read_exact_at(&mut bytes, 0).expect("it is open");
        assert_eq!(&bytes, b"kept");
    }

    fn a_connection_can_be_answered_and_hung_up_in_one_chain(bench) {
        let listener = listener();
        let chain = Chain::new()
            .then(Call::accept(listener.as_raw_fd()))
            .then(Call::send(OPENED, b"busy".to_vec(), 0..4))
            .then(Call::recv(OPENED))
            .then(Call::close_opened());
        bench.post(Call::chain(chain), 1);
        bench.turn(A_MOMENT);
        assert_eq!(bench.ring.in_flight(), 4);
        let mut client = connect(&listener);
        let peer = std::thread::spawn(move || {
            let mut text = [0; 4];
            client.read_exact(&mut text).expect("answered");
            client.write_all(b"bye").expect("written");
            assert_eq!(client.read(&mut text).expect("ends"), 0);
        });
        let all = list(bench.next_of(1));
        assert!(matches!(&all[0], Ok(Value::Done)) && matches!(&all[3], Ok(Value::Done)));
        assert!(matches!(&all[2], Ok(Value::Received(bytes)) if bytes[..] == *b"bye"));
        peer.join().expect("the peer heard all of it");
    }

    fn what_was_read_is_sent_from_the_same_buffer(bench) {
        let file = file(b"0123456789");
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        for close_first in [false, true] {
            let mut calls = vec![
                Call::open(CWD, c(file.path())),
                Call::read(OPENED, vec![b'-'; 20], 5..20, 4),
                Call::send_read(ours.as_raw_fd()),
            ];
            calls.insert(if close_first { 2 } else { 3 }, Call::close_opened());
            bench.post(Call::chain(calls.into_iter().collect()), 1);
            let mut all = list(bench.next_of(1));
            let sent = all.remove(if close_first { 3 } else { 2 });
            assert!(matches!(&all[1], Ok(Value::Sent(6))), "{all:?}");
            assert!(matches!((&all[0], &all[2]), (Ok(Value::Done), Ok(Value::Done))));
            let Ok(Value::Moved { n: 6, buf }) = sent else { panic!("{sent:?}") };
            assert_eq!(buf, b"-----456789---------");
            let mut bytes = [0; 6];
            theirs.read_exact(&mut bytes).expect("sent");
            assert_eq!(&bytes, b"456789");
        }
        let missing = Chain::new()
            .then(Call::open(CWD, c"/missing".into()))
            .then(Call::read(OPENED, vec![0; 2], 0..2, 0))
            .then(Call::send_read(ours.as_raw_fd()));
        bench.post(Call::chain(missing), 2);
        let all: Vec<_> = list(bench.next_of(2)).into_iter().map(seen).collect();
        let cancelled = |buf| Seen::Failed(libc::ECANCELED, buf);
        assert_eq!(all, [Seen::Failed(libc::ENOENT, false), cancelled(true), cancelled(false)]);
    }

    fn a_chain_counts_until_it_is_reaped_an_empty_one_too(bench) {
        bench.post(Call::chain(Chain::new()), 9);
        assert_eq!(bench.ring.in_flight(), 1);
        assert!(list(bench.next_of(9)).is_empty());
        assert_eq!(bench.ring.in_flight(), 0);
        bench.post(Call::chain((0..3).map(|_| Call::nop()).collect()), 9);
        assert_eq!(bench.ring.in_flight(), 3, "also when all have ended, unheard");
        bench.ring.flush().expect("flushes");
        assert_eq!(bench.ring.in_flight(), 3);
        assert_eq!(list(bench.next_of(9)).len(), 3);
        assert_eq!(bench.ring.in_flight(), 0);
    }

    fn what_cannot_be_a_chain_is_given_back(bench) {
        let refuse = |bench: &mut Bench, call: Call<Buf>, place: usize, why: ChainFault| {
            match bench.ring.submit(call, 1) {
                Err(PostError::Chain { at, fault, call }) => {
                    assert_eq!((at, fault), (place, why));
                    call
                }
                other => panic!("{other:?}"),
            }
        };
        let chain = |calls: Vec<Call<Buf>>| Call::chain(calls.into_iter().collect());
        let nops = |n: usize| (0..n).map(|_| Call::nop()).collect::<Vec<Call<Buf>>>();
        let read = || Call::read(OPENED, vec![8; 3], 0..3, 0);
        drop(refuse(bench, Call::close_opened(), 0, ChainFault::Outside));
        let back = refuse(bench, read(), 0, ChainFault::Outside);
        assert_eq!(back.into_buf(), Some(vec![8; 3]));
        let nested = chain(vec![Call::nop(), chain(nops(1))]);
        drop(refuse(bench, nested, 1, ChainFault::Nested));
        drop(refuse(bench, chain(nops(17)), 16, ChainFault::TooLong));
        drop(refuse(bench, chain(vec![Call::recv_multishot(0)]), 0, ChainFault::Multishot));
        let twice = vec![
            Call::open(CWD, c"/".into()), Call::close_opened(), Call::close_opened(),
        ];
        drop(refuse(bench, chain(twice), 2, ChainFault::NothingOpened));
        drop(refuse(bench, Call::send_read(1), 0, ChainFault::Outside));
        let twice = vec![
            Call::read(0, vec![0], 0..1, 0), Call::send_read(1), Call::send_read(1),
        ];
        drop(refuse(bench, chain(twice), 2, ChainFault::NothingRead));
        let back = refuse(bench, chain(vec![Call::nop(), read()]), 1, ChainFault::NothingOpened);
        let Call::Chain(back) = back else { panic!("the chain") };
        assert_eq!(back.into_calls().pop().and_then(Call::into_buf), Some(vec![8; 3]));
        let range = chain(vec![Call::write(1, vec![0; 3], 2..4, 0)]);
        assert!(matches!(
            bench.ring.submit(range, 1),
            Err(PostError::Range { start: 2, end: 4, len: 3, .. })
        ));
        bench.post(chain(nops(16)), 2);
        assert_eq!(list(bench.next_of(2)).len(), 16);
        assert_eq!(bench.ring.stats().submitted, 16);
        assert_eq!(bench.ring.stats().completed, 16);
    }

    fn a_cancelled_chain_stops_where_it_is_and_closes(bench) {
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let file = file(b"x");
        let chain = Chain::new()
            .then(Call::open(CWD, c(file.path())))
            .then(Call::recv(ours.as_raw_fd()))
            .then(Call::read(OPENED, vec![0; 4], 0..4, 0))
            .then(Call::close_opened());
        let ticket = bench.post(Call::chain(chain), 1);
        bench.pause(A_WHILE);
        let met = bench.ring.cancel(ticket);
        assert!(matches!(met, Cancelled::Stopped | Cancelled::Requested), "{met:?}");
        let all: Vec<_> = list(bench.next_of(1)).into_iter().map(seen).collect();
        let cancelled = |buf| Seen::Failed(libc::ECANCELED, buf);
        assert_eq!(all, [Seen::Done, cancelled(false), cancelled(true), Seen::Done]);
        assert_eq!(bench.ring.cancel(ticket), Cancelled::TooLate);
        assert_eq!(bench.ring.stats().cancelled, 2);
        bench.expect_silence();
    }

    fn chains_and_calls_go_on_side_by_side(bench) {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let file = file(&[3; 64]);
        bench.post(Call::recv_multishot(ours.as_raw_fd()), 1_000);
        for user in 0..100 {
            bench.post(Call::chain(whole(file.path())), user);
            bench.post(Call::nop(), 500 + user);
        }
        theirs.write_all(b"in between").expect("written");
        for user in 0..100 {
            assert_eq!(list(bench.next_of(user)).len(), 4);
            assert!(bench.next_of(500 + user).result.is_ok());
        }
        assert!(matches!(bench.next_of(1_000).result, Ok(Value::Received(_))));
        assert_eq!(bench.ring.in_flight(), 1);
    }
}

#[test]
fn an_open_that_met_a_moving_directory_is_tried_again() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(dir.path().join("a")).expect("made");
    std::fs::create_dir(dir.path().join("moves")).expect("made");
    std::fs::write(dir.path().join("file"), b"still").expect("written");
    let root = File::open(dir.path()).expect("opened");
    // A long walk, each step up of which a directory moved elsewhere makes fail.
    let path = CString::new("a/../".repeat(250) + "file").expect("no NUL");
    let mut wrong = Vec::new();
    let over = std::sync::atomic::AtomicBool::new(false);
    let ordering = std::sync::atomic::Ordering::Relaxed;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(ordering) {
                let (from, to) = (dir.path().join("moves"), dir.path().join("moved"));
                std::fs::rename(&from, &to).expect("moved");
                std::fs::rename(&to, &from).expect("moved back");
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        for engine in [Engine::Direct, Engine::Threads, Engine::Uring, Engine::Sqpoll] {
            on(&options(engine), |bench| {
                for round in 0..500 {
                    let calls = [
                        Call::open_beneath(root.as_raw_fd(), path.clone()),
                        Call::read(OPENED, vec![0; 5], 0..5, 0),
                        Call::close_opened(),
                    ];
                    bench.post(Call::chain(calls.into_iter().collect()), round);
                    let all: Vec<_> = list(bench.next_of(round)).into_iter().map(seen).collect();
                    if all[1] != Seen::Moved(b"still".to_vec()) {
                        wrong.push((engine, all));
                    }
                }
            });
        }
        over.store(true, ordering);
    });
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn a_chain_counts_as_its_calls_against_the_bound() {
    for engine in [Engine::Direct, Engine::Threads, Engine::Uring, Engine::Sqpoll] {
        on(&Options { in_flight: 6, ..options(engine) }, |bench| {
            let (ours, _theirs) = UnixStream::pair().expect("a pair");
            let chain = || {
                let calls = [Call::recv(ours.as_raw_fd()), Call::nop(), Call::nop(), Call::nop()];
                Call::chain(calls.into_iter().collect())
            };
            let ticket = bench.post(chain(), 1);
            assert!(matches!(bench.ring.submit(chain(), 2), Err(PostError::Full(_, 6))));
            bench.post(Call::recv(ours.as_raw_fd()), 3);
            bench.post(Call::recv(ours.as_raw_fd()), 4);
            assert!(matches!(bench.ring.submit(Call::nop(), 5), Err(PostError::Full(..))));
            assert_eq!(bench.ring.in_flight(), 6);
            bench.ring.cancel(ticket);
            assert_eq!(list(bench.next_of(1)).len(), 4);
            assert_eq!(bench.ring.in_flight(), 2);
        });
    }
}

#[test]
fn a_link_goes_through_the_smallest_queue() {
    let engines = [Engine::Uring, Engine::Sqpoll];
    for (entries, engine) in [1, 2, 3, 4, 8].into_iter().flat_map(|n| engines.map(|e| (n, e))) {
        on(&Options { entries, ..options(engine) }, |bench| {
            let file = file(b"seven b");
            let chain = || {
                Chain::new()
                    .then(Call::open(CWD, c(file.path())))
                    .then(Call::read(OPENED, vec![0; 9], 0..9, 0))
                    .then(Call::close_opened())
            };
            (0..500).for_each(|user| {
                bench.post(Call::chain(chain()), user);
            });
            for user in 0..500 {
                let all: Vec<_> = list(bench.next_of(user)).into_iter().map(seen).collect();
                assert_eq!(all, [Seen::Done, Seen::Moved(b"seven b".to_vec()), Seen::Done]);
            }
        });
    }
}

/// Chains at random, cancelled at random, and a ring dropped with some on their way.
fn storm(engine: Engine) {
    let before = open_files();
    let dir = tempfile::tempdir().expect("a directory");
    let paths = paths(dir.path());
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    theirs.set_nonblocking(true).expect("set");
    on(&options(engine), |bench| {
        let mut random = Random(1 + u64::from(std::process::id()));
        let mut lent = 0;
        let (mut given, mut tickets) = (0, Vec::new());
        for user in 0..4_000 {
            let mut chain: Chain<Buf> = random_steps(&mut random, paths.len())
                .into_iter()
                .map(|step| step.call(&paths))
                .collect();
            if random.below(4) == 0 && chain.len() < 16 {
                chain = chain.then(Call::recv(ours.as_raw_fd()));
            }
            let chain: Vec<_> = chain.into_calls();
            lent += chain
                .iter()
                .filter(|call| matches!(call, Call::Read { .. } | Call::Write { .. }))
                .count();
            tickets.push(bench.post(Call::chain(chain.into_iter().collect()), user));
            if random.below(3) == 0 {
                let at = random.below(tickets.len() as u64) as usize;
                bench.ring.cancel(tickets[at]);
            }
            if random.below(8) == 0 {
                let _ = theirs.write(b"!");
                bench.turn(Duration::from_micros(random.below(30)));
            }
        }
        for ticket in &tickets {
            bench.ring.cancel(*ticket);
        }
        for _ in 0..4_000 {
            for outcome in list(bench.next()) {
                given += match outcome {
                    Ok(Value::Moved { .. }) => 1,
                    Err(failure) => usize::from(failure.buf.is_some()),
                    Ok(_) => 0,
                };
            }
        }
        assert_eq!((given, bench.ring.in_flight()), (lent, 0));
        assert_eq!(registered("UserFiles:"), 0, "descriptors of the io_uring's own");
        for user in 0..50 {
            let steps = random_steps(&mut random, paths.len());
            let chain: Chain<Buf> = steps.into_iter().map(|step| step.call(&paths)).collect();
            bench.post(Call::chain(chain.then(Call::recv(ours.as_raw_fd()))), user);
            if user == 25 {
                bench.turn(Duration::ZERO);
            }
        }
    });
    drop((ours, theirs, dir));
    let deadline = std::time::Instant::now() + SOON;
    while open_files() != before && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(open_files(), before, "descriptors");
}

#[test]
fn a_storm_of_chains_on_direct_leaves_nothing() {
    alone("chains::a_storm_of_chains_on_direct_leaves_nothing", || storm(Engine::Direct));
}

#[test]
fn a_storm_of_chains_on_threads_leaves_nothing() {
    alone("chains::a_storm_of_chains_on_threads_leaves_nothing", || storm(Engine::Threads));
}

#[test]
fn a_storm_of_chains_on_uring_leaves_nothing() {
    alone("chains::a_storm_of_chains_on_uring_leaves_nothing", || storm(Engine::Uring));
}

#[test]
fn a_storm_of_chains_on_sqpoll_leaves_nothing() {
    alone("chains::a_storm_of_chains_on_sqpoll_leaves_nothing", || storm(Engine::Sqpoll));
}
