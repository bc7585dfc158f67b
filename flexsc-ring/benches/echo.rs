//! What CPU time does a message cost an echo server: on the event loop, by engine, against an epoll
//! loop written by hand?
//!
//! 64 and 1024 connections, each with one message in flight. The server runs on the bench's thread
//! and counts that thread's CPU time; clients run on another. The time of syscall threads and of
//! io_uring's workers is counted too, since they do a part of the server's work.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::thread::JoinHandle;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use flexsc_ring::{Call, Completion, Engine, EventLoop, Options, RecvBuf, Value};

const BYTES: usize = 64;

/// CPU time of this thread, and of the threads that make its calls.
fn server_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    let own = Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
    own + helpers_time()
}

/// How long the kernel says that syscall threads and io_uring's workers have run.
fn helpers_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("it is there").flatten();
    let ours = tasks.filter(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        name.starts_with("syscall-") || name.starts_with("iou-")
    });
    let time = ours.map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
    });
    Duration::from_nanos(time.sum())
}

/// Clients: one thread that sends a message on each connection, reads each reply and answers it with
/// the next message, for ever.
struct Clients {
    server: Vec<OwnedFd>,
    thread: JoinHandle<()>,
}

fn clients(connections: usize) -> Clients {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let mut server = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..connections {
        let client = TcpStream::connect(address).expect("connects");
        let (accepted, _) = listener.accept().expect("it has come");
        for socket in [&client, &accepted] {
            socket.set_nodelay(true).expect("set");
        }
        server.push(OwnedFd::from(accepted));
        clients.push(client);
    }
    let thread = std::thread::spawn(move || talk(clients));
    Clients { server, thread }
}

/// Until the server goes.
fn talk(mut clients: Vec<TcpStream>) {
    let mut bytes = [7; BYTES];
    let mut epoll = Epoll::new();
    for (n, client) in clients.iter_mut().enumerate() {
        epoll.add(client.as_raw_fd(), libc::EPOLLIN, n as u64);
        client.write_all(&bytes).expect("there is room");
    }
    loop {
        for n in epoll.wait() {
            let client = &mut clients[n as usize];
            if client.read_exact(&mut bytes).is_err() || client.write_all(&bytes).is_err() {
                return;
            }
        }
    }
}

/// An epoll. Edge-triggered is safe for messages that are smaller than the buffer.
struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    fn new() -> Self {
        // SAFETY: no pointers; the descriptor is new and nobody else's.
        let fd = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            assert!(fd >= 0);
            <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd)
        };
        Epoll { fd, events: vec![libc::epoll_event { events: 0, u64: 0 }; 256] }
    }

    fn add(&mut self, fd: RawFd, events: i32, data: u64) {
        let mut event = libc::epoll_event { events: events as u32, u64: data };
        // SAFETY: `event` outlives the call.
        let ret =
            unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) };
        assert_eq!(ret, 0);
    }

    fn wait(&mut self) -> impl Iterator<Item = u64> + '_ {
        let (at, room) = (self.events.as_mut_ptr(), self.events.len() as libc::c_int);
        // SAFETY: `events` has `room` entries.
        let n = unsafe { libc::epoll_wait(self.fd.as_raw_fd(), at, room, -1) };
        self.events[..usize::try_from(n).unwrap_or(0)].iter().map(|event| event.u64)
    }
}

/// The loop written by hand: a receive and a send for each ready connection.
struct ByHand {
    epoll: Epoll,
    sockets: Vec<OwnedFd>,
    buf: Box<[u8]>,
}

impl ByHand {
    fn new(sockets: Vec<OwnedFd>, events: i32) -> Self {
        let mut epoll = Epoll::new();
        for socket in &sockets {
            epoll.add(socket.as_raw_fd(), events, socket.as_raw_fd() as u64);
        }
        ByHand { epoll, sockets, buf: vec![0; 4096].into() }
    }

    /// Echoes at least `messages` messages; how many.
    fn serve(&mut self, messages: u64) -> u64 {
        let mut served = 0;
        while served < messages {
            for fd in self.epoll.wait() {
                let (fd, at) = (fd as RawFd, self.buf.as_mut_ptr().cast());
                let nowait = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
                // SAFETY: `buf` is valid for its length, and `n` is no more than that.
                unsafe {
                    let n = libc::recv(fd, at, self.buf.len(), libc::MSG_DONTWAIT);
                    assert!(n > 0, "clients stay");
                    assert_eq!(libc::send(fd, at, n as usize, nowait), n);
                }
                served += 1;
            }
        }
        black_box(self.sockets.len());
        served
    }
}

type Events = EventLoop<Served, RecvBuf>;

/// Messages whose reply was sent, and how many are to be sent before the loop stops.
struct Served {
    sent: u64,
    until: u64,
}

/// The same on the crate's loop: a multishot receive a connection, and a send for each message.
struct OnLoop {
    events: Events,
    _sockets: Vec<OwnedFd>,
}

impl OnLoop {
    fn new(engine: Engine, sockets: Vec<OwnedFd>) -> Option<Self> {
        let options = Options { pool_buffers: 2048, ..Options::with_engine(engine) };
        let mut events = Events::new(&options, Served { sent: 0, until: 0 }).ok()?;
        for socket in &sockets {
            let fd = socket.as_raw_fd();
            let heard = move |events: &mut Events, done| heard(events, fd, done);
            events.post_many(Call::recv_multishot(fd), heard).expect("room");
        }
        Some(OnLoop { events, _sockets: sockets })
    }

    fn serve(&mut self, messages: u64) -> u64 {
        let before = self.events.state().sent;
        self.events.state_mut().until = before + messages;
        while self.events.state().sent < self.events.state().until {
            self.events.turn(None).expect("waits");
        }
        self.events.state().sent - before
    }
}

fn heard(events: &mut Events, fd: RawFd, done: Completion<RecvBuf>) {
    let Ok(Value::Received(bytes)) = done.result else { panic!("clients stay: {done:?}") };
    let len = bytes.len();
    events.post(Call::send(fd, bytes, 0..len), sent).expect("room");
}

fn sent(events: &mut Events, done: Completion<RecvBuf>) {
    match done.result {
        Ok(Value::Moved { n, buf }) => assert_eq!(n, buf.len()),
        other => panic!("clients stay: {other:?}"),
    }
    events.state_mut().sent += 1;
}

/// Measures the server's time for `iters` messages.
fn measure(iters: u64, mut serve: impl FnMut(u64) -> u64) -> Duration {
    let before = server_time();
    let served = serve(iters);
    (server_time() - before).mul_f64(iters as f64 / served as f64)
}

fn echo(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("echo_cpu");
    for connections in [64, 1024] {
        let level = ("epoll_level", libc::EPOLLIN);
        let edge = ("epoll_edge", libc::EPOLLIN | libc::EPOLLET);
        for (name, events) in [level, edge] {
            let Clients { server, thread } = clients(connections);
            let mut by_hand = ByHand::new(server, events);
            group.bench_function(BenchmarkId::new(name, connections), |b| {
                b.iter_custom(|iters| measure(iters, |messages| by_hand.serve(messages)));
            });
            drop(by_hand);
            thread.join().expect("they end with the server");
        }
        for engine in [Engine::Direct, Engine::Threads, Engine::Uring] {
            let Clients { server, thread } = clients(connections);
            let Some(mut on_loop) = OnLoop::new(engine, server) else {
                println!("{engine} cannot be measured here");
                thread.join().expect("they end with the server");
                continue;
            };
            group.bench_function(BenchmarkId::new(engine.name(), connections), |b| {
                b.iter_custom(|iters| measure(iters, |messages| on_loop.serve(messages)));
            });
            drop(on_loop);
            thread.join().expect("they end with the server");
        }
    }
    group.finish();
}

criterion_group!(benches, echo);
criterion_main!(benches);
