//! What arrives for nobody is given up: descriptors, mappings and buffers after random cancellations
//! and drops.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flexsc_ring::{
    Address, Advice, AnyRing, CWD, Call, Engine, EpollChange, Lock, Mapping, Options, Ring, Value,
};

use crate::support::{Buf, Random, SOON, alone, open_files, threads};

/// What the calls of a round work on.
struct Things {
    dir: tempfile::TempDir,
    file: std::fs::File,
    listener: std::net::TcpListener,
    pair: (UnixStream, UnixStream),
    pipe: (std::io::PipeReader, std::io::PipeWriter),
    epoll: std::os::fd::OwnedFd,
    socket: std::net::UdpSocket,
    memory: Arc<Mapping>,
}

/// Bytes of a mapping: a few of them left over would be seen among all that the process maps.
const MAPPED: usize = 1 << 28;
/// What the allocator may map anew for threads, in kilobytes.
const SLACK: usize = 1 << 20;
/// The name of the file that is mapped.
const NAME: &str = "mapped-by-this-test";

/// Mappings of the file, and kilobytes of memory that the process has mapped in all.
fn mappings() -> (usize, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("it is there");
    let status = std::fs::read_to_string("/proc/self/status").expect("it is there");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let size = size.and_then(|size| size.trim().trim_end_matches(" kB").parse().ok());
    (maps.lines().filter(|line| line.contains(NAME)).count(), size.expect("a number"))
}

impl Things {
    fn new(ring: &mut AnyRing<Buf>) -> Self {
        let mut memory = None;
        ring.submit(Call::map_memory(8_192), 0).expect("room");
        let deadline = Instant::now() + SOON;
        while memory.is_none() && Instant::now() < deadline {
            ring.wait(Some(Duration::from_millis(10))).expect("waits");
            ring.reap(&mut |done| match done.result {
                Ok(Value::Mapped(mapping)) => memory = Some(Arc::new(mapping)),
                other => panic!("{other:?}"),
            });
        }
        let epoll = {
            // SAFETY: no pointers; the descriptor is new.
            unsafe {
                let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
                <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd)
            }
        };
        let dir = tempfile::tempdir().expect("a directory");
        Things {
            file: std::fs::File::options()
                .create_new(true)
                .read(true)
                .write(true)
                .open(dir.path().join(NAME))
                .expect("a file"),
            dir,
            listener: crate::support::listener(),
            pair: UnixStream::pair().expect("a pair"),
            pipe: std::io::pipe().expect("a pipe"),
            epoll,
            socket: std::net::UdpSocket::bind("127.0.0.1:0").expect("a port"),
            memory: memory.expect("mapped"),
        }
    }

    fn call(&self, random: &mut Random) -> Call<Buf> {
        let file = self.file.as_raw_fd();
        let ours = self.pair.0.as_raw_fd();
        let path = |name: &str| {
            let path = self.dir.path().join(name).into_os_string().into_encoded_bytes();
            std::ffi::CString::new(path).expect("no NUL")
        };
        let bufs = || vec![vec![1; 100], vec![2; 50]];
        match random.below(24) {
            0..=3 => {
                let populate = false;
                Call::Mmap { file: None, offset: 0, len: MAPPED, writable: true, populate }
            }
            4 => Call::map_file(file, 0, MAPPED),
            5 | 6 => Call::open(CWD, c"/dev/null".into()),
            7 => Call::timeout(Duration::from_micros(random.below(3_000))),
            8 => Call::send_vectored(ours, bufs()),
            9 => Call::recv_into(ours, vec![0; 64], 0..64),
            10 => Call::read_vectored(file, bufs(), 0),
            11 => Call::write_vectored(file, bufs(), random.below(1_000)),
            12 => Call::fsync(file),
            13 => Call::mkdir(CWD, path("d"), 0o700),
            14 => Call::rmdir(CWD, path("d")),
            15 => Call::rename(CWD, path("a"), CWD, path("b")),
            16 => Call::ftruncate(file, random.below(5_000)),
            17 => Call::Flock { fd: file, lock: Lock::Shared, nowait: true },
            18 => Call::splice(ours, self.pipe.1.as_raw_fd(), 40),
            19 => Call::epoll_wait(self.epoll.as_raw_fd(), 4),
            20 => {
                let change = EpollChange::Add { events: libc::EPOLLIN as u32, data: 1 };
                Call::epoll_ctl(self.epoll.as_raw_fd(), self.pipe.0.as_raw_fd(), change)
            }
            21 => Call::accept(self.listener.as_raw_fd()),
            22 => {
                let to = Address::Ip(self.socket.local_addr().expect("bound"));
                Call::connect(self.socket.as_raw_fd(), to)
            }
            _ => Call::madvise(Arc::clone(&self.memory), 0..8_192, Advice::WillNeed),
        }
    }
}

/// Posts and cancels at random; the ring is then dropped as it is.
fn round(engine: Engine, random: &mut Random) -> usize {
    let mut ring: AnyRing<Buf> = AnyRing::new(&Options::with_engine(engine)).expect("made");
    let things = Things::new(&mut ring);
    let mut tickets = Vec::new();
    let mut mapped = 0;
    for _ in 0..random.below(60) {
        for _ in 0..random.below(12) {
            let call = things.call(random);
            tickets.push(ring.submit(call, 1).expect("room"));
        }
        for _ in 0..random.below(8) {
            let at = random.below(tickets.len().max(1) as u64) as usize;
            tickets.get(at).map(|ticket| ring.cancel(*ticket));
        }
        if random.below(3) > 0 {
            ring.wait(Some(Duration::from_micros(random.below(200)))).expect("waits");
        }
        if random.below(2) > 0 {
            ring.reap(&mut |done| {
                mapped += usize::from(matches!(done.result, Ok(Value::Mapped(_))))
            });
        }
    }
    drop(ring);
    assert_eq!(Arc::strong_count(&things.memory), 1, "no call keeps it");
    mapped
}

fn leaves_nothing(engine: Engine) {
    let seed = std::env::var("FLEXSC_RING_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| 1 + u64::from(std::process::id()));
    println!("seed {seed} (FLEXSC_RING_SEED repeats it)");
    if let Err(error) = AnyRing::<Buf>::new(&Options::with_engine(engine)) {
        return eprintln!("skipped: {error}");
    }
    let mut random = Random(seed);
    round(engine, &mut random);
    let before = (open_files(), threads());
    let (_, kilobytes) = mappings();
    let mapped: usize = (0..40).map(|_| round(engine, &mut random)).sum();
    assert!(mapped > 20, "mappings were made: {mapped}");
    let now = || (open_files(), threads());
    let deadline = Instant::now() + Duration::from_secs(3);
    while now() > before && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(now(), before, "descriptors and threads");
    let (of_the_file, in_all) = mappings();
    assert_eq!(of_the_file, 0);
    assert!(in_all < kilobytes + SLACK, "{in_all} kB are mapped, {kilobytes} kB before");
}

#[test]
fn nothing_is_left_of_typed_calls_on_direct() {
    alone("orphans::nothing_is_left_of_typed_calls_on_direct", || leaves_nothing(Engine::Direct));
}

#[test]
fn nothing_is_left_of_typed_calls_on_threads() {
    alone("orphans::nothing_is_left_of_typed_calls_on_threads", || leaves_nothing(Engine::Threads));
}

#[test]
fn nothing_is_left_of_typed_calls_on_uring() {
    alone("orphans::nothing_is_left_of_typed_calls_on_uring", || leaves_nothing(Engine::Uring));
}

#[test]
fn nothing_is_left_of_typed_calls_on_sqpoll() {
    alone("orphans::nothing_is_left_of_typed_calls_on_sqpoll", || leaves_nothing(Engine::Sqpoll));
}
