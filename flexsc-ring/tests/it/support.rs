//! A ring under test: posts a call, and waits for completions with a bound on the time.

use std::collections::{BTreeSet, VecDeque};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use flexsc_ring::{AnyRing, Call, Completion, Engine, Options, Ring, RingError, Ticket, Value};

/// How long a test waits for what must come.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// How long a test waits for what must not come.
pub(crate) const A_MOMENT: Duration = Duration::from_millis(30);

pub(crate) type Buf = Vec<u8>;
pub(crate) type Done = Completion<Buf>;

/// How long a test lets a syscall thread begin what was posted, where nothing tells that it has: more
/// than a busy machine keeps a thread from running.
pub(crate) const A_WHILE: Duration = Duration::from_millis(300);
/// A drop that takes as long has waited for calls that it was to end: it gives up after a second.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(950);

/// All engines.
pub(crate) const ENGINES: [Engine; 4] =
    [Engine::Direct, Engine::Threads, Engine::Uring, Engine::Sqpoll];

/// A ring and the completions that it gave.
pub(crate) struct Bench {
    pub(crate) ring: AnyRing<Buf>,
    pub(crate) done: VecDeque<Done>,
}

/// Runs a test on one engine; says so if the machine cannot.
pub(crate) fn on(options: &Options, test: impl FnOnce(&mut Bench)) {
    if let Some(ring) = made(AnyRing::new(options)) {
        test(&mut Bench { ring, done: VecDeque::new() });
    }
}

/// What was made; says so if this machine has no such engine.
pub(crate) fn made<T>(made: Result<T, RingError>) -> Option<T> {
    match made {
        Ok(made) => Some(made),
        Err(error @ (RingError::Uring { .. } | RingError::OneProcessor)) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Makes a test for each engine out of a function over a [`Bench`].
#[macro_export]
macro_rules! on_every_engine {
    ($($(#[$meta:meta])* fn $name:ident($bench:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            fn test($bench: &mut $crate::support::Bench) $body

            $(#[$meta])*
            #[test]
            fn direct() {
                $crate::support::on(&$crate::support::options(flexsc_ring::Engine::Direct), test);
            }

            $(#[$meta])*
            #[test]
            fn threads() {
                $crate::support::on(&$crate::support::options(flexsc_ring::Engine::Threads), test);
            }

            $(#[$meta])*
            #[test]
            fn uring() {
                $crate::support::on(&$crate::support::options(flexsc_ring::Engine::Uring), test);
            }

            $(#[$meta])*
            #[test]
            fn sqpoll() {
                $crate::support::on(&$crate::support::options(flexsc_ring::Engine::Sqpoll), test);
            }
        }
    )*};
}

/// Small pool, so that tests can empty it.
pub(crate) fn options(engine: Engine) -> Options {
    Options { pool_buffers: 16, pool_buffer_bytes: 1024, ..Options::with_engine(engine) }
}

impl Bench {
    /// Posts a call.
    pub(crate) fn post(&mut self, call: Call<Buf>, user: u64) -> Ticket {
        self.ring.submit(call, user).expect("there is room")
    }

    /// One turn: waits, at most for `until`, and collects.
    pub(crate) fn turn(&mut self, until: Duration) {
        self.ring.wait(Some(until)).expect("the wait works");
        let done = &mut self.done;
        self.ring.reap(&mut |completion| done.push_back(completion));
    }

    /// Turns for a while.
    pub(crate) fn pause(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            self.turn(Duration::from_millis(1));
        }
    }

    /// The next completion.
    pub(crate) fn next(&mut self) -> Done {
        let deadline = Instant::now() + SOON;
        while self.done.is_empty() {
            assert!(Instant::now() < deadline, "a completion comes: {}", self.ring.stats());
            self.turn(Duration::from_millis(100));
        }
        self.done.pop_front().expect("not empty")
    }

    /// The next completion of one call; those of others stay.
    pub(crate) fn next_of(&mut self, user: u64) -> Done {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(at) = self.done.iter().position(|done| done.user == user) {
                return self.done.remove(at).expect("found");
            }
            assert!(Instant::now() < deadline, "completion {user}: {}", self.ring.stats());
            self.turn(Duration::from_millis(100));
        }
    }

    /// No completion comes for a while.
    pub(crate) fn expect_silence(&mut self) {
        self.pause(A_MOMENT);
        assert!(self.done.is_empty(), "nothing more comes, but {:?}", self.done);
    }

    /// Posts a call and awaits its one completion.
    pub(crate) fn call(&mut self, call: Call<Buf>) -> Done {
        const USER: u64 = 1 << 60;
        self.post(call, USER);
        let done = self.next_of(USER);
        assert!(!done.more);
        done
    }

    /// As `call`, for a call that must succeed.
    pub(crate) fn value(&mut self, call: Call<Buf>) -> Value<Buf> {
        self.call(call).result.expect("the call succeeds")
    }
}

/// The bytes of a receive.
pub(crate) fn received(done: Done) -> Vec<u8> {
    match done.result {
        Ok(Value::Received(buf)) => buf.to_vec(),
        other => panic!("not bytes: {other:?}"),
    }
}

/// The number and the buffer of a transfer.
pub(crate) fn moved(done: Done) -> (usize, Buf) {
    match done.result {
        Ok(Value::Moved { n, buf }) => (n, buf),
        other => panic!("not moved: {other:?}"),
    }
}

/// The connection of an accept.
pub(crate) fn accepted(done: Done) -> OwnedFd {
    match done.result {
        Ok(Value::Accepted(fd)) => fd,
        other => panic!("not a connection: {other:?}"),
    }
}

/// The `errno` of a failure.
pub(crate) fn errno(done: &Done) -> i32 {
    match &done.result {
        Err(failure) => failure.error.raw_os_error().expect("from the kernel"),
        Ok(value) => panic!("did not fail: {value:?}"),
    }
}

/// A listener on a free port.
pub(crate) fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

/// Connects to a listener.
pub(crate) fn connect(to: &TcpListener) -> TcpStream {
    let stream = TcpStream::connect(to.local_addr().expect("bound")).expect("connects");
    stream.set_read_timeout(Some(SOON)).expect("a timeout");
    stream
}

/// Runs a test in a process of its own, where nothing else opens files or starts threads.
pub(crate) fn alone(name: &str, test: impl FnOnce()) {
    const MARK: &str = "FLEXSC_RING_TEST_ALONE";
    if std::env::var(MARK).is_ok_and(|marked| marked == name) {
        return test();
    }
    let me = std::env::current_exe().expect("this program has a path");
    let output = std::process::Command::new(me)
        .args([name, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"])
        .env(MARK, name)
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
}

/// What must be so soon: some effects come a moment after the completion that tells of them.
pub(crate) fn soon(mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Processor time of this thread.
pub(crate) fn time_of_thread() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Open descriptors of this process.
pub(crate) fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("it is there").count()
}

/// What the io_urings of this process have registered: their own descriptors (`UserFiles:`), or
/// memory (`UserBufs:`).
pub(crate) fn registered(kind: &str) -> usize {
    let fds = std::fs::read_dir("/proc/self/fd").expect("it is there").flatten();
    let is_ring = |path: &std::path::PathBuf| {
        std::fs::read_link(path).is_ok_and(|to| to.as_os_str() == "anon_inode:[io_uring]")
    };
    let info = |path: std::path::PathBuf| {
        let info = path.to_str().expect("UTF-8").replace("/fd/", "/fdinfo/");
        std::fs::read_to_string(info).unwrap_or_default()
    };
    let count = |text: &String| {
        let lines = text.lines().skip_while(|line| !line.starts_with(kind)).skip(1);
        lines.take_while(|line| line.starts_with(' ')).filter(|l| !l.contains("<none>")).count()
    };
    // A ring with a shared poller has two descriptors, whose texts are the same.
    let texts: BTreeSet<_> = fds.map(|fd| fd.path()).filter(is_ring).map(info).collect();
    texts.iter().map(count).sum()
}

/// Threads of this process, without io_uring's own, which the kernel ends in its own time.
pub(crate) fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("it is there");
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
    tasks.flatten().filter_map(|task| name(task).ok()).filter(|n| !n.starts_with("iou-")).count()
}

/// Mappings of this process.
pub(crate) fn maps() -> usize {
    std::fs::read_to_string("/proc/self/maps").expect("it is there").lines().count()
}

/// Makes the number of mappings tell of leaks alone: fills the C library's cache of stacks, and keeps
/// it from making an arena for each thread.
pub(crate) fn steady_mappings() {
    const THREADS: usize = 40;
    // SAFETY: no pointers.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    let together = Arc::new(Barrier::new(THREADS));
    let start = |_| {
        let together = Arc::clone(&together);
        let thread = std::thread::Builder::new().stack_size(64 << 10);
        thread.spawn(move || together.wait()).expect("it starts")
    };
    let threads: Vec<_> = (0..THREADS).map(start).collect();
    threads.into_iter().for_each(|thread| drop(thread.join()));
}

/// Memory of this process that is resident, in KiB.
pub(crate) fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("it is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is listed");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The seed of a test with random faults, which it prints; `FLEXSC_RING_SEED` repeats one.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("FLEXSC_RING_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| 1 + u64::from(std::process::id()));
    println!("seed {seed} (FLEXSC_RING_SEED repeats it)");
    seed
}

/// Random numbers that a seed fixes (xorshift64*).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}
