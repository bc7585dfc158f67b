//! How many calls a second does a thread get done, alone and with another core?
//!
//! Reads of `x` bytes that are in memory, 32 in flight. In the busy case the program computes as long with each result
//! as a read takes by trap, and then posts the next.

use std::os::fd::AsRawFd;
use std::time::Instant;

use flexsc_ring::{Call, Ring, Value};

use super::super::dispatch::spin;
use super::files::open_file;
use super::{Buf, Case, Clock, Found, Metric, SyscallsArgs, ring, sys};

/// Reads in flight.
const IN_FLIGHT: usize = 32;
/// Turns of the loop that is timed to learn how long one takes.
const TURNS: u64 = 100_000;
/// Reads that are timed to learn how long one takes.
const READS: u32 = 2_000;

/// Runs the worker.
pub(super) fn run(args: &SyscallsArgs, clock: Clock) -> anyhow::Result<Found> {
    let file = open_file(args.x)?;
    let mut buffers: Vec<Buf> = vec![vec![0; args.x].into(); IN_FLIGHT];
    let turns = match args.case {
        Case::OffloadBusy => turns_of_a_read(&file, &mut buffers[0])?,
        _ => 0,
    };
    let answer = match ring(args)? {
        None => clock.measure(IN_FLIGHT as u64, || {
            for buf in &mut buffers {
                sys::read(&file, buf)?;
                spin(turns);
            }
            Ok(())
        })?,
        Some(mut ring) => {
            let read = |buf| Call::read(file.as_raw_fd(), buf, 0..args.x, 0);
            for buf in buffers {
                ring.submit(read(buf), 0)?;
            }
            let mut done = Vec::with_capacity(IN_FLIGHT);
            clock.measure(IN_FLIGHT as u64, || {
                let mut left = IN_FLIGHT;
                while left > 0 {
                    ring.wait(None)?;
                    ring.reap(&mut |completion| done.push(completion.result));
                    left = left.saturating_sub(done.len());
                    for result in done.drain(..) {
                        spin(turns);
                        if let Value::Moved { buf, .. } = result? {
                            ring.submit(read(buf), 0)?;
                        }
                    }
                }
                Ok(())
            })?
        }
    };
    Ok(Found { units: answer.units, values: vec![(Metric::Rate, 1e9 / answer.ns)] })
}

/// How many turns of an empty loop take as long as a read.
fn turns_of_a_read(file: &std::fs::File, buf: &mut [u8]) -> anyhow::Result<u64> {
    let begun = Instant::now();
    for _ in 0..READS {
        sys::read(file, buf)?;
    }
    let read = begun.elapsed().as_nanos() as f64 / f64::from(READS);
    let begun = Instant::now();
    spin(TURNS);
    let turn = begun.elapsed().as_nanos() as f64 / TURNS as f64;
    Ok((read / turn) as u64)
}
