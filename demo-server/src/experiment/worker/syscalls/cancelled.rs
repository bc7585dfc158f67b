//! How long does it take to cancel a call?
//!
//! A call that has not begun: what the cancellation takes the poster. A call that waits inside of the kernel: from
//! the cancellation until its last completion is in the poster's hands. For a syscall thread that is a lock of a file
//! which somebody else has, for io_uring a receive.

use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use flexsc_ring::{AnyRing, Call, Cancelled, Lock, Ring};

use super::super::dispatch::samples::Samples;
use super::{Buf, By, Case, Found, Metric, SyscallsArgs, reap_all, ring};
use crate::experiment::scratch::Scratch;

/// Calls that are posted and cancelled at once.
const BATCH: usize = 64;
/// How long a call is given to begin.
const TO_BEGIN: Duration = Duration::from_micros(200);
/// Times that are kept.
const SAMPLES: usize = 1 << 16;

/// Runs the worker.
pub(super) fn run(args: &SyscallsArgs) -> anyhow::Result<Found> {
    let mut ring = ring(args)?.context("cancelling takes a ring: give another --by")?;
    let until = Instant::now() + Duration::from_millis(args.ms);
    let mut samples = Samples::new(SAMPLES);
    match args.case {
        Case::CancelPosted => {
            while Instant::now() < until {
                samples.add(posted(&mut ring)?);
            }
        }
        _ => {
            let waits = Waits::new(args.by)?;
            while Instant::now() < until {
                samples.add(running(&mut ring, &waits)?);
            }
        }
    }
    let asked = [(Metric::P50, 0.5), (Metric::P99, 0.99)];
    Ok(Found { units: samples.len() as u64, values: samples.quantiles(1.0, &asked) })
}

/// Posts a batch and cancels it; the time of a cancellation in nanoseconds.
fn posted(ring: &mut AnyRing<Buf>) -> anyhow::Result<u64> {
    let mut tickets = Vec::with_capacity(BATCH);
    for user in 0..BATCH {
        tickets.push(ring.submit(Call::nop(), user as u64)?);
    }
    let begun = Instant::now();
    for ticket in &tickets {
        std::hint::black_box(ring.cancel(*ticket));
    }
    let elapsed = begun.elapsed();
    reap_all(ring, BATCH, |_| Ok(()))?;
    Ok(elapsed.as_nanos() as u64 / BATCH as u64)
}

/// What a call waits for that nobody will do.
struct Waits {
    pair: (UnixStream, UnixStream),
    locked: File,
    other: File,
    by_lock: bool,
    _dir: Scratch,
}

impl Waits {
    fn new(by: By) -> anyhow::Result<Waits> {
        let dir = Scratch::new().context("cannot make a temporary directory")?;
        let path = dir.path().join("lock");
        let locked = File::create(&path)?;
        locked.lock()?;
        let other = File::open(&path)?;
        let by_lock = matches!(by, By::Threads | By::OtherCpu);
        Ok(Waits { pair: UnixStream::pair()?, locked, other, by_lock, _dir: dir })
    }

    fn call(&self) -> Call<Buf> {
        let fd: RawFd = self.other.as_raw_fd();
        if self.by_lock {
            Call::flock(fd, Lock::Exclusive)
        } else {
            Call::recv(self.pair.0.as_raw_fd())
        }
    }
}

/// Has a call wait inside of the kernel, and cancels it; nanoseconds until its end is known.
fn running(ring: &mut AnyRing<Buf>, waits: &Waits) -> anyhow::Result<u64> {
    let ticket = ring.submit(waits.call(), 0)?;
    let begun = Instant::now();
    while begun.elapsed() < TO_BEGIN {
        ring.flush()?;
    }
    let begun = Instant::now();
    let met = ring.cancel(ticket);
    let mut ended = None;
    while ended.is_none() {
        ring.wait(None)?;
        ring.reap(&mut |done| ended = Some(done.result.err().is_some_and(|f| f.is_cancelled())));
    }
    let elapsed = begun.elapsed();
    ensure!(
        met != Cancelled::Unknown && ended == Some(true),
        "the call was not cancelled: {met:?}"
    );
    Ok(elapsed.as_nanos() as u64)
}

impl Drop for Waits {
    fn drop(&mut self) {
        // Errors do not matter: the file goes.
        let _ = self.locked.unlock();
    }
}
