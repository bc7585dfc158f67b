//! What does it cost the poster to post a call and to take its result, with 1 to 64 in flight, and with
//! 100 000 dormant calls beside them? And to cancel one?
//!
//! All through the public `Ring` of `Engine::Threads`, so the ring's own part is included: the slot, the
//! call taken apart, the completion queued and handed out. `post` is `submit` alone: the entry is
//! filled, nobody is woken. `take` is `wait(0)` and `reap` when all results are there, per call: the
//! look at the pages, the results, and one look at the epoll for the batch. The threads' time is not
//! included. Dormant calls are receives on silent sockets, which wait in the poster's epoll.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use flexsc_ring::{AnyRing, Call, Engine, Options, Ring, Ticket};

type Buf = Vec<u8>;

/// A real system call, the cheapest.
fn getppid() -> Call<Buf> {
    // SAFETY: no pointers, no effect.
    unsafe { Call::raw(libc::SYS_getppid as u16, [0; 6]) }
}

struct World {
    ring: AnyRing<Buf>,
    dormant: usize,
    _silent: Vec<(UnixStream, UnixStream)>,
}

/// A ring with dormant receives, 1 000 on each of some sockets.
fn world(dormant: usize) -> World {
    let options = Options { pool_buffers: 64, ..Options::with_engine(Engine::Threads) };
    let mut ring: AnyRing<Buf> = AnyRing::new(&options).expect("threads");
    let silent: Vec<_> =
        (0..dormant.div_ceil(1_000)).map(|_| UnixStream::pair().expect("a pair")).collect();
    for i in 0..dormant {
        let fd = silent[i / 1_000].0.as_raw_fd();
        ring.submit(Call::recv_multishot(fd), 1).expect("room");
    }
    ring.flush().expect("flushed");
    World { ring, dormant, _silent: silent }
}

/// Posts `n` calls and takes their results; the time of either, without the threads' own.
fn round(world: &mut World, n: usize, call: fn() -> Call<Buf>) -> (Duration, Duration) {
    let ring = &mut world.ring;
    let start = Instant::now();
    for _ in 0..n {
        ring.submit(call(), 0).expect("room");
    }
    let posted = start.elapsed();
    ring.flush().expect("shown to the threads");
    // Long enough for the threads to have made all of them.
    let pause = Instant::now();
    while pause.elapsed() < Duration::from_micros(200) {
        std::hint::spin_loop();
    }
    let start = Instant::now();
    let mut taken = 0;
    while ring.in_flight() > world.dormant {
        ring.flush().expect("collected");
        taken += ring.reap(&mut |done| drop(done));
    }
    assert!(taken <= n);
    (posted, start.elapsed())
}

fn entries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("entry");
    for dormant in [0, 100_000] {
        let mut world = world(dormant);
        for n in [1, 4, 16, 64] {
            for (name, call) in [("getppid", getppid as fn() -> Call<Buf>), ("nop", Call::nop)] {
                let id =
                    |part: &str| BenchmarkId::new(format!("{part}/{name}/dormant_{dormant}"), n);
                group.bench_function(id("post"), |b| {
                    b.iter_custom(|rounds| {
                        (0..rounds).map(|_| round(&mut world, n, call).0).sum::<Duration>()
                            / n as u32
                    });
                });
                group.bench_function(id("take"), |b| {
                    b.iter_custom(|rounds| {
                        (0..rounds).map(|_| round(&mut world, n, call).1).sum::<Duration>()
                            / n as u32
                    });
                });
            }
        }
    }
    group.finish();
}

/// Posts `n` calls and cancels all of them before a thread sees them: the time of the cancellations.
fn cancel_posted(world: &mut World, n: usize, tickets: &mut Vec<Ticket>) -> Duration {
    let ring = &mut world.ring;
    tickets.extend((0..n).map(|_| ring.submit(getppid(), 0).expect("room")));
    let start = Instant::now();
    for ticket in tickets.drain(..) {
        ring.cancel(ticket);
    }
    let took = start.elapsed();
    ring.reap(&mut |done| drop(done));
    took
}

/// Cancels a sleeping call; the time until its completion is there.
fn cancel_running(world: &mut World) -> Duration {
    static LONG: [i64; 2] = [100, 0];
    let ring = &mut world.ring;
    // SAFETY: a static time.
    let call =
        unsafe { Call::raw(libc::SYS_nanosleep as u16, [LONG.as_ptr() as u64, 0, 0, 0, 0, 0]) };
    let ticket = ring.submit(call, 0).expect("room");
    ring.flush().expect("shown to the threads");
    let pause = Instant::now();
    while pause.elapsed() < Duration::from_micros(100) {
        std::hint::spin_loop();
    }
    let start = Instant::now();
    ring.cancel(ticket);
    while ring.reap(&mut |done| drop(done)) == 0 {
        ring.flush().expect("collected");
    }
    start.elapsed()
}

fn cancellations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cancel");
    for dormant in [0, 100_000] {
        let (mut world, mut tickets) = (world(dormant), Vec::new());
        group.bench_function(BenchmarkId::new("posted", dormant), |b| {
            b.iter_custom(|rounds| {
                let one = |_| cancel_posted(&mut world, 64, &mut tickets);
                (0..rounds).map(one).sum::<Duration>() / 64
            });
        });
        group.bench_function(BenchmarkId::new("running", dormant), |b| {
            b.iter_custom(|rounds| (0..rounds).map(|_| cancel_running(&mut world)).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, entries, cancellations);
criterion_main!(benches);
