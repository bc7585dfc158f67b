//! A seeded fault injector. Peers reset, half-close and dribble; descriptors are closed under
//! waiting calls; disks, pipes, pools and queues are full; signals interrupt every wait; rings are
//! dropped at random points. Whatever happens: every call completes exactly once, with a value or an
//! `errno` of its own set; what was received is what was sent; and at the end all is given back.
//!
//! `FLEXSC_RING_SEED=<seed>` repeats a run.

mod kinds;

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flexsc_ring::{
    AnyRing, Call, Cancelled, Engine, Options, PostError, Reason, RecvBuf, Ring, Ticket, Value,
};

use crate::support::{
    Buf, Done, ENGINES, Random, SOON, alone, made, maps, on, open_files, options, resident_kib,
    steady_mappings, threads,
};

/// Worlds of an engine, the first of which only warms up.
const WORLDS: u64 = 40;
const ROUNDS: u64 = 12;
/// How large a file may grow: `RLIMIT_FSIZE`.
const LARGEST_FILE: u64 = 1 << 20;

/// A call that was posted, and what has come of it.
struct Posted {
    what: &'static str,
    /// With which it may fail.
    allowed: &'static [i32],
    ticket: Ticket,
    ended: bool,
    bytes: Vec<u8>,
    moved: usize,
    errno: Option<i32>,
}

/// The number of a call of this world: its place in the ledger.
type Id = usize;

/// A ring, and the ledger of the calls that were posted to it.
struct World {
    random: Random,
    ring: AnyRing<Buf>,
    ledger: Vec<Posted>,
    /// Received buffers that are held to empty the pool.
    held: Vec<RecvBuf>,
    hoarding: bool,
    elsewhere: Sender<RecvBuf>,
    /// Buffers that the other thread was sent, and those that it has dropped.
    sent: usize,
    dropped: Arc<AtomicUsize>,
}

type Step = Box<dyn FnOnce(&mut World)>;

/// What is done to calls that were posted, and what must be true when they have ended.
struct Fault {
    inflict: Step,
    check: Step,
}

impl World {
    /// Posts a call; a full ring is turned until there is room.
    fn post(&mut self, what: &'static str, allowed: &'static [i32], call: Call<Buf>) -> Id {
        let deadline = Instant::now() + SOON;
        let mut call = call;
        loop {
            match self.try_post(what, allowed, call) {
                Ok(id) => return id,
                Err(PostError::Full(given_back, _)) => call = given_back,
                Err(error) => panic!("{what}: {error}"),
            }
            assert!(Instant::now() < deadline, "{what}: no room: {}", self.ring.stats());
            self.turn(Duration::from_millis(1));
        }
    }

    fn try_post(
        &mut self,
        what: &'static str,
        allowed: &'static [i32],
        call: Call<Buf>,
    ) -> Result<Id, PostError<Buf>> {
        let id = self.ledger.len();
        let ticket = self.ring.submit(call, id as u64)?;
        let (bytes, errno) = (Vec::new(), None);
        self.ledger.push(Posted { what, allowed, ticket, ended: false, bytes, moved: 0, errno });
        Ok(id)
    }

    fn cancel(&mut self, id: Id) {
        let met = self.ring.cancel(self.ledger[id].ticket);
        assert_ne!(met, Cancelled::Unknown, "{}", self.ledger[id].what);
    }

    fn turn(&mut self, until: Duration) {
        self.ring.wait(Some(until)).expect("waits, whatever signals come");
        let mut done = Vec::new();
        self.ring.reap(&mut |completion| done.push(completion));
        done.into_iter().for_each(|completion| self.take(completion));
    }

    /// Enters a completion into the ledger.
    fn take(&mut self, done: Done) {
        let call = &mut self.ledger[done.user as usize];
        assert!(!call.ended, "{}: a completion after the last: {done:?}", call.what);
        call.ended = !done.more;
        match done.result {
            Ok(Value::Received(bytes)) => {
                call.bytes.extend_from_slice(&bytes);
                match self.random.below(3) {
                    _ if self.hoarding => self.held.push(bytes),
                    0 => drop(bytes),
                    _ => self.send(bytes),
                }
            }
            Ok(Value::Moved { n, buf }) => {
                assert!(n <= buf.len(), "{}: {n} of {}", call.what, buf.len());
                call.moved += n;
                call.bytes = buf;
            }
            Ok(Value::Accepted(fd) | Value::Opened(fd)) => drop(fd),
            Ok(_) => {}
            Err(failure) => {
                let errno = failure.error.raw_os_error().expect("an errno");
                assert!(call.allowed.contains(&errno), "{} failed: {failure}", call.what);
                assert!(!done.more, "{}: more after a failure", call.what);
                call.errno = Some(errno);
            }
        }
    }

    fn await_end(&mut self, id: Id) {
        let deadline = Instant::now() + SOON;
        while !self.ledger[id].ended {
            assert!(Instant::now() < deadline, "{} ends", self.ledger[id].what);
            self.turn(Duration::from_millis(1));
        }
    }

    /// Waits until every call has ended.
    fn settle(&mut self) {
        self.hoarding = false;
        let deadline = Instant::now() + SOON;
        while self.ring.in_flight() > 0 {
            for bytes in std::mem::take(&mut self.held) {
                self.send(bytes);
            }
            let late = Instant::now() > deadline;
            let open = || self.ledger.iter().filter(|call| !call.ended).map(|call| call.what);
            assert!(!late, "{:?} end: {}", open().collect::<Vec<_>>(), self.ring.stats());
            self.turn(Duration::from_millis(5));
        }
        self.turn(Duration::ZERO);
        assert!(self.ledger.iter().all(|call| call.ended));
        let stats = self.ring.stats();
        let posted = self.ledger.len() as u64;
        assert_eq!((stats.submitted, stats.completed), (posted, posted), "{stats}");
    }

    /// A few faults at once. False: the ring is to be dropped as it stands.
    fn round(&mut self) -> bool {
        let mut inflict = Vec::new();
        let mut check = Vec::new();
        for _ in 0..1 + self.random.below(4) {
            let make = kinds::ALL[self.random.below(kinds::ALL.len() as u64) as usize];
            let fault = make(self);
            inflict.push(fault.inflict);
            check.push(fault.check);
            self.dawdle();
        }
        while !inflict.is_empty() {
            let at = self.random.below(inflict.len() as u64) as usize;
            inflict.swap_remove(at)(self);
            self.dawdle();
        }
        if self.random.below(2 * ROUNDS) == 0 {
            return false;
        }
        self.settle();
        check.into_iter().for_each(|check| check(self));
        true
    }

    /// Lets the other thread drop a buffer.
    fn send(&mut self, bytes: RecvBuf) {
        self.sent += 1;
        self.elsewhere.send(bytes).expect("the other thread lives");
    }

    /// Lets calls get to where they wait for their descriptor: no receive lacks a buffer, and the
    /// kernel, which on sqpoll comes when it likes, has taken what was posted.
    fn quieten(&mut self) {
        self.hoarding = false;
        self.held.clear();
        let deadline = Instant::now() + SOON;
        let mut quiet = 0;
        while quiet < 4 {
            assert!(Instant::now() < deadline, "it gets quiet: {}", self.ring.stats());
            let before = (self.ring.stats().fallbacks(Reason::PoolEmpty), self.sent);
            (0..4).for_each(|_| self.turn(Duration::from_micros(500)));
            let last = self.post("nop", &[], Call::nop());
            self.await_end(last);
            let after = (self.ring.stats().fallbacks(Reason::PoolEmpty), self.sent);
            let home = self.dropped.load(Ordering::Acquire) == self.sent;
            quiet = if home && before == after { quiet + 1 } else { 0 };
        }
    }

    fn dawdle(&mut self) {
        for _ in 0..self.random.below(3) {
            let until = Duration::from_micros(self.random.below(200));
            self.turn(until);
        }
    }
}

/// A thread that drops what it is sent.
fn dropper() -> (Sender<RecvBuf>, Arc<AtomicUsize>, JoinHandle<()>) {
    let (sender, receiver) = channel::<RecvBuf>();
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dropped);
    let drop_all = move || {
        for bytes in receiver {
            drop(bytes);
            count.fetch_add(1, Ordering::Release);
        }
    };
    (sender, dropped, std::thread::spawn(drop_all))
}

/// One ring and its faults. False: the machine has no such engine.
fn world(engine: Engine, seed: u64) -> bool {
    let mut random = Random(seed);
    let options = Options {
        entries: if random.below(2) == 0 { 1 } else { 64 },
        in_flight: 256,
        pool_buffers: 16,
        pool_buffer_bytes: 512,
        pages: 1 + random.below(3) as usize,
        ..Options::with_engine(engine)
    };
    let Some(ring) = made(AnyRing::new(&options)) else { return false };
    let (elsewhere, dropped, thread) = dropper();
    let (ledger, held) = (Vec::new(), Vec::new());
    let mut world =
        World { random, ring, ledger, held, hoarding: false, elsewhere, sent: 0, dropped };
    for _ in 0..ROUNDS {
        if !world.round() {
            break;
        }
    }
    drop(world);
    thread.join().expect("it only drops");
    true
}

/// Descriptors, threads, mappings.
fn census() -> (usize, usize, usize) {
    (open_files(), threads(), maps())
}

fn faults_leave_nothing(engine: Engine) {
    let seed = crate::support::seed();
    prepare_process();
    steady_mappings();
    let mut before = None;
    for n in 0..WORLDS {
        println!("world {n}");
        if !world(engine, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (n + 1) << 20) {
            return;
        }
        if n == WORLDS / 4 {
            settle_down(before);
            before = Some((census(), resident_kib()));
        }
    }
    settle_down(before);
}

/// Waits until all that was there is there again and no more: io_uring lets go of what a ring held
/// a moment after the ring itself.
fn settle_down(before: Option<((usize, usize, usize), u64)>) {
    let deadline = Instant::now() + Duration::from_secs(3);
    let Some((counts, resident)) = before else {
        return std::thread::sleep(Duration::from_millis(200));
    };
    let back = |(files, threads, maps): (usize, usize, usize)| {
        (files, threads) == (counts.0, counts.1) && maps <= counts.2 + 4
    };
    while !back(census()) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(back(census()), "(descriptors, threads, mappings): {:?} of {counts:?}", census());
    let grown = resident_kib().saturating_sub(resident);
    assert!(grown < 6 << 10, "{grown} KiB more are resident");
}

/// Bounds the size of files, and lets a signal interrupt the poster again and again.
fn prepare_process() {
    extern "C" fn nothing(_: libc::c_int) {}
    let limit = libc::rlimit { rlim_cur: LARGEST_FILE, rlim_max: LARGEST_FILE };
    let often = libc::timeval { tv_sec: 0, tv_usec: 300 };
    let timer = libc::itimerval { it_interval: often, it_value: often };
    // SAFETY: the structures outlive the calls; the handler does nothing.
    unsafe {
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &limit), 0);
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
        assert_eq!(libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut()), 0);
        assert_eq!(libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()), 0);
    }
}

/// Mounts a file system of `bytes` bytes that only this thread, and those it starts, can see. False:
/// that takes more privilege.
fn mount_small_disk(at: &std::path::Path, bytes: usize) -> bool {
    let at = std::ffi::CString::new(at.as_os_str().as_encoded_bytes()).expect("no NUL");
    let options = std::ffi::CString::new(format!("size={bytes}")).expect("no NUL");
    let private = libc::MS_REC | libc::MS_PRIVATE;
    let none = std::ptr::null();
    // SAFETY: all strings outlive the calls.
    unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(none, c"/".as_ptr(), none, private, none.cast()) == 0
            && libc::mount(
                c"none".as_ptr(),
                at.as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                options.as_ptr().cast(),
            ) == 0
    }
}

#[test]
fn a_disk_that_fills_up_takes_what_fits_and_refuses_the_rest() {
    const ROOM: usize = 64 << 10;
    const PIECE: usize = 24 << 10;
    alone("faults::a_disk_that_fills_up_takes_what_fits_and_refuses_the_rest", || {
        let dir = tempfile::tempdir().expect("a directory");
        if !mount_small_disk(dir.path(), ROOM) {
            return eprintln!("skipped: no mount: {}", std::io::Error::last_os_error());
        }
        for engine in ENGINES {
            on(&options(engine), |bench| {
                let path = dir.path().join("file");
                let file = std::fs::File::create(&path).expect("made");
                let mut at = 0;
                let refused = loop {
                    let call = Call::write(file.as_raw_fd(), vec![7; PIECE], 0..PIECE, at as u64);
                    match bench.call(call).result {
                        Ok(Value::Moved { n, .. }) if n > 0 => at += n,
                        Err(failure) => break failure,
                        other => panic!("{other:?}"),
                    }
                };
                assert_eq!(refused.error.raw_os_error(), Some(libc::ENOSPC));
                assert_eq!(refused.buf, Some(vec![7; PIECE]));
                assert_eq!(at, ROOM);
                assert!(std::fs::read(&path).expect("it is there") == vec![7; ROOM]);
                std::fs::remove_file(path).expect("removed");
            });
        }
    });
}

#[test]
fn faults_on_direct_lose_nothing_and_leave_nothing() {
    alone("faults::faults_on_direct_lose_nothing_and_leave_nothing", || {
        faults_leave_nothing(Engine::Direct);
    });
}

#[test]
fn faults_on_threads_lose_nothing_and_leave_nothing() {
    alone("faults::faults_on_threads_lose_nothing_and_leave_nothing", || {
        faults_leave_nothing(Engine::Threads);
    });
}

#[test]
fn faults_on_uring_lose_nothing_and_leave_nothing() {
    alone("faults::faults_on_uring_lose_nothing_and_leave_nothing", || {
        faults_leave_nothing(Engine::Uring);
    });
}

#[test]
fn faults_on_sqpoll_lose_nothing_and_leave_nothing() {
    alone("faults::faults_on_sqpoll_lose_nothing_and_leave_nothing", || {
        faults_leave_nothing(Engine::Sqpoll);
    });
}
