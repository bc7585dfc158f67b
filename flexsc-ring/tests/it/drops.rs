//! A ring that is dropped with calls in flight gives back or keeps, but never frees too early.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flexsc_ring::{AnyRing, Call, Engine, Options, Ring, RingError};

use crate::support::{AT_ONCE, alone, connect, listener, open_files, options, threads};

const ENGINES: [Engine; 4] = [Engine::Direct, Engine::Threads, Engine::Uring, Engine::Sqpoll];

/// A buffer that tells when it is dropped. It holds its bytes inline, so that it must not move.
struct Counted {
    bytes: [u8; 64],
    _alive: Arc<()>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for Counted {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

fn each_engine<B: flexsc_ring::Buffer>(test: impl Fn(AnyRing<B>)) {
    for engine in ENGINES {
        match AnyRing::new(&options(engine)) {
            Ok(ring) => test(ring),
            Err(error @ (RingError::Uring { .. } | RingError::OneProcessor)) => {
                eprintln!("skipped: {error}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn buffers_of_waiting_calls_are_dropped_with_the_ring() {
    each_engine(|mut ring| {
        let alive = Arc::new(());
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        for user in 0..100 {
            let buf = Counted { bytes: [0; 64], _alive: Arc::clone(&alive) };
            let call = Call::read(reader.as_raw_fd(), buf, 0..64, flexsc_ring::CURRENT);
            ring.submit(call, user).expect("there is room");
        }
        ring.flush().expect("flushed");
        assert_eq!(Arc::strong_count(&alive), 101);
        let start = Instant::now();
        drop(ring);
        assert_eq!(Arc::strong_count(&alive), 1);
        assert!(start.elapsed() < AT_ONCE);
    });
}

#[test]
fn inline_buffers_receive_their_bytes_in_place() {
    each_engine(|mut ring| {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let alive = Arc::new(());
        for user in 0..10 {
            let buf = Counted { bytes: [0; 64], _alive: Arc::clone(&alive) };
            ring.submit(Call::read(reader.as_raw_fd(), buf, 8..16, u64::MAX), user).expect("room");
        }
        std::io::Write::write_all(&mut writer, &[5; 80]).expect("written");
        let mut sum = 0;
        let deadline = Instant::now() + crate::support::SOON;
        while ring.in_flight() > 0 && Instant::now() < deadline {
            ring.wait(Some(Duration::from_millis(50))).expect("waits");
            ring.reap(&mut |done| match done.result {
                Ok(flexsc_ring::Value::Moved { buf, .. }) => {
                    assert!(buf.bytes[..8].iter().chain(&buf.bytes[16..]).all(|byte| *byte == 0));
                    sum += buf.bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
                }
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(sum, 5 * 80);
    });
}

#[test]
fn a_dropped_ring_leaves_no_descriptor_and_no_thread() {
    alone("drops::a_dropped_ring_leaves_no_descriptor_and_no_thread", || {
        let before = (open_files(), threads());
        for _ in 0..3 {
            each_engine::<Vec<u8>>(|mut ring| {
                let listener = listener();
                let pair = UnixStream::pair().expect("a pair");
                ring.submit(Call::accept_multishot(listener.as_raw_fd()), 1).expect("room");
                ring.submit(Call::recv_multishot(pair.0.as_raw_fd()), 2).expect("room");
                ring.submit(Call::close(pair.1.into()), 3).expect("room");
                ring.submit(Call::through_a_thread(), 4).expect("room");
                ring.flush().expect("flushed");
                // Taken by the kernel or not, reaped or not: nobody keeps them.
                let _clients: Vec<_> = (0..5).map(|_| connect(&listener)).collect();
                ring.flush().expect("flushed");
                ring.submit(Call::open(flexsc_ring::CWD, c"/".into()), 5).expect("room");
                drop(ring);
            });
        }
        settle(before);
    });
}

/// io_uring closes what a ring held a moment after the ring itself.
fn settle(before: (usize, usize)) {
    let deadline = Instant::now() + Duration::from_secs(3);
    while (open_files(), threads()) != before && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!((open_files(), threads()), before);
}

/// A call that needs a syscall thread.
trait NeedsThread {
    fn through_a_thread() -> Self;
}

impl NeedsThread for Call<Vec<u8>> {
    fn through_a_thread() -> Self {
        // SAFETY: no pointers, no effect.
        unsafe { Call::raw(libc::SYS_getppid as u16, [0; 6]) }
    }
}

#[test]
fn a_running_call_is_interrupted_and_does_not_hold_the_drop() {
    for engine in [Engine::Threads, Engine::Uring, Engine::Sqpoll] {
        let mut ring: AnyRing<Vec<u8>> = match AnyRing::new(&Options::with_engine(engine)) {
            Ok(ring) => ring,
            Err(error) => {
                eprintln!("skipped: {error}");
                continue;
            }
        };
        let time: &'static [i64; 2] = Box::leak(Box::new([30, 0]));
        let args = [time.as_ptr() as u64, 0, 0, 0, 0, 0];
        // SAFETY: `time` is a timespec that is never freed.
        let sleep = unsafe { Call::raw(libc::SYS_nanosleep as u16, args) };
        ring.submit(sleep, 1).expect("room");
        ring.wait(Some(Duration::from_millis(20))).expect("waits");
        let start = Instant::now();
        drop(ring);
        assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    }
}

/// A buffer that notes if it is dropped where it was lent, that is while its call still had it.
struct Touchy {
    bytes: [u8; 64],
    lent_at: usize,
    panics: bool,
    in_place: Arc<AtomicBool>,
}

impl AsRef<[u8]> for Touchy {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for Touchy {
    fn as_mut(&mut self) -> &mut [u8] {
        self.lent_at = self.bytes.as_ptr().addr();
        &mut self.bytes
    }
}

impl Drop for Touchy {
    fn drop(&mut self) {
        if self.lent_at == self.bytes.as_ptr().addr() {
            self.in_place.store(true, Ordering::Relaxed);
        }
        assert!(!self.panics, "a buffer that panics when it is dropped");
    }
}

#[test]
fn a_buffer_that_panics_does_not_free_the_others_under_the_kernel() {
    each_engine(|mut ring| {
        let in_place = Arc::new(AtomicBool::new(false));
        let touchy = |panics| {
            let in_place = Arc::clone(&in_place);
            Touchy { bytes: [0; 64], lent_at: 0, panics, in_place }
        };
        let file = tempfile::tempfile().expect("a file");
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        let pending = Call::read(reader.as_raw_fd(), touchy(false), 0..64, flexsc_ring::CURRENT);
        ring.submit(pending, 1).expect("room");
        ring.submit(Call::read(file.as_raw_fd(), touchy(true), 0..64, 0), 2).expect("room");
        ring.flush().expect("flushed");
        std::thread::sleep(Duration::from_millis(20));
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(ring)));
        assert!(dropped.is_err(), "the panic is not hidden");
        assert!(!in_place.load(Ordering::Relaxed));
    });
}

#[test]
fn a_ring_does_not_wait_for_threads_that_look_for_work() {
    let spinning = Options { spin_us: 1_000_000, ..Options::with_engine(Engine::Threads) };
    for _ in 0..10 {
        let ring = AnyRing::<Vec<u8>>::new(&spinning).expect("threads");
        std::thread::sleep(Duration::from_millis(5));
        let start = Instant::now();
        drop(ring);
        assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    }
    let refused = AnyRing::<Vec<u8>>::new(&Options { spin_us: 1_000_001, ..spinning });
    assert!(matches!(refused, Err(RingError::Option { option: "spin_us", .. })));
}
