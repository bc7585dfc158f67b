//! What does a call cost in a batch, in each engine?
//!
//! `x` calls or chains are posted, and awaited together. By traps they are made one after the other. Either way each has a
//! buffer of its own, as in a program that serves as many clients.

use std::hint::black_box;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use anyhow::bail;
use flexsc_ring::{AnyRing, CWD, Call, Chain, OPENED, Ring, Value};

use super::files::{PIECE, SMALL, Small, open_file};
use super::{Buf, Case, Clock, Found, SyscallsArgs, reap_all, ring, sys, timed};

/// Runs the worker.
pub(super) fn run(args: &SyscallsArgs, clock: Clock) -> anyhow::Result<Found> {
    let x = args.x;
    match (args.case, ring(args)?) {
        (Case::Chain, Some(ring)) => chains(ring, x, clock),
        (_, Some(ring)) => calls(ring, args.case, x, clock),
        (Case::Chain, None) => {
            let files = Small::new(x)?;
            let mut buffers = vec![vec![0; SMALL]; x];
            let mut all = move || {
                let mut each = buffers.iter_mut().enumerate();
                each.try_for_each(|(i, buf)| files.by_traps(i, buf))
            };
            timed(clock, x as u64, &mut all)
        }
        (case, None) => {
            let file = open_file(PIECE)?;
            let mut buffers = vec![vec![0; PIECE]; x];
            timed(clock, x as u64, || {
                buffers.iter_mut().try_for_each(|buf| trap(case, file.as_fd(), buf))
            })
        }
    }
}

/// One call by trap.
fn trap(case: Case, file: BorrowedFd<'_>, buf: &mut [u8]) -> anyhow::Result<()> {
    match case {
        Case::Nop => sys::nothing(),
        Case::Stat => drop(black_box(sys::stat(file)?)),
        _ => drop(black_box(sys::read(file, buf)?)),
    }
    Ok(())
}

/// One call as it is posted.
fn call(case: Case, file: RawFd, buffers: &mut Vec<Buf>) -> Call<Buf> {
    match case {
        Case::Nop => Call::nop(),
        Case::Stat => Call::stat_fd(file),
        _ => {
            let buf = buffers.pop().unwrap_or_else(|| vec![0; PIECE].into());
            Call::read(file, buf, 0..PIECE, 0)
        }
    }
}

fn calls(mut ring: AnyRing<Buf>, case: Case, x: usize, clock: Clock) -> anyhow::Result<Found> {
    let file = open_file(PIECE)?;
    let fd = file.as_raw_fd();
    let mut buffers = Vec::new();
    timed(clock, x as u64, || {
        for user in 0..x {
            ring.submit(call(case, fd, &mut buffers), user as u64)?;
        }
        reap_all(&mut ring, x, |done| {
            if let Value::Moved { buf, .. } = done.result? {
                buffers.push(buf);
            }
            Ok(())
        })
    })
}

fn chains(mut ring: AnyRing<Buf>, x: usize, clock: Clock) -> anyhow::Result<Found> {
    let files = Small::new(x)?;
    let mut buffers: Vec<Buf> = (0..x).map(|_| vec![0; SMALL].into()).collect();
    timed(clock, x as u64, || {
        for (user, path) in files.paths.iter().enumerate() {
            let buf = buffers.pop().unwrap_or_default();
            let chain = Chain::new()
                .then(Call::open(CWD, path.clone()))
                .then(Call::stat_fd(OPENED))
                .then(Call::read(OPENED, buf, 0..SMALL, 0))
                .then(Call::close_opened());
            ring.submit(Call::chain(chain), user as u64)?;
        }
        reap_all(&mut ring, x, |done| {
            let Value::Chain(results) = done.result? else { bail!("not a chain's result") };
            for result in results {
                match result? {
                    Value::Moved { buf, n } => {
                        black_box(n);
                        buffers.push(buf);
                    }
                    Value::Stat(stat) => drop(black_box(stat.size)),
                    _ => {}
                }
            }
            Ok(())
        })
    })
}
