//! How much slower is a program's own code between its calls? (FlexSC, Fig. 1)
//!
//! The program looks words up in a table of a quarter of a megabyte and computes with them; every `x` instructions it makes a
//! call, or posts one. Only its own pieces are timed. Posted calls are submitted and reaped between pieces, 32 at a
//! time, where the clock stands still as it does over a trap.

use std::hint::black_box;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use flexsc_ring::{AnyRing, Call, Ring, Value};

use super::super::dispatch::shuffled;
use super::files::{PIECE, open_file};
use super::{Buf, Case, Clock, Found, Metric, SyscallsArgs, reap_all, ring, sys};

/// Words of the table.
const WORDS: usize = 1 << 15;
/// Instructions of one step of the program, counted in its machine code (x86-64, optimised).
const STEP: usize = 23;
/// Calls that are posted before they are submitted.
const BATCH: usize = 32;

/// The program.
struct Program {
    table: Vec<u64>,
    state: u64,
}

impl Program {
    fn new() -> Program {
        let mut word = 0x9e37_79b9_7f4a_7c15;
        let table = (0..WORDS).map(|_| {
            word = shuffled(word);
            word
        });
        Program { table: table.collect(), state: word }
    }

    /// Runs that many steps.
    #[inline(never)]
    fn run(&mut self, steps: usize) {
        let mut x = self.state;
        for _ in 0..steps {
            let word = self.table[x as usize % WORDS];
            x = shuffled(if word & 1 == 0 {
                x ^ word
            } else {
                x.wrapping_add(word.rotate_left(7))
            });
        }
        self.state = black_box(x);
    }
}

/// Runs the worker.
pub(super) fn run(args: &SyscallsArgs, clock: Clock) -> anyhow::Result<Found> {
    let mut program = Program::new();
    let steps = (args.x / STEP).max(1);
    let file = open_file(PIECE)?;
    let mut ring = ring(args)?;
    let mut calls = Calls { buffers: vec![vec![0; PIECE].into(); BATCH], posted: 0 };
    let mut own = Duration::ZERO;
    let mut pieces = 0;
    let answer = clock.measure(1, || {
        let begun = Instant::now();
        program.run(steps);
        own += begun.elapsed();
        pieces += 1;
        match &mut ring {
            Some(ring) => calls.post(ring, args.case, &file),
            None => calls.make(args.case, &file),
        }
    })?;
    let user_ns = own.as_nanos() as f64 / f64::from(pieces);
    Ok(Found { units: answer.units, values: vec![(Metric::UserNs, user_ns)] })
}

/// The program's calls.
struct Calls {
    buffers: Vec<Buf>,
    posted: usize,
}

impl Calls {
    fn make(&mut self, case: Case, file: &std::fs::File) -> anyhow::Result<()> {
        match case {
            Case::UserNull => sys::nothing(),
            Case::UserWrite => drop(sys::write(file, &self.buffers[0])?),
            Case::UserRead => drop(sys::read(file, &mut self.buffers[0])?),
            _ => {}
        }
        Ok(())
    }

    fn post(
        &mut self,
        ring: &mut AnyRing<Buf>,
        case: Case,
        file: &std::fs::File,
    ) -> anyhow::Result<()> {
        let (fd, mut buf) = (file.as_raw_fd(), || self.buffers.pop().unwrap_or_default());
        let call = match case {
            Case::UserWrite => Call::write(fd, buf(), 0..PIECE, 0),
            Case::UserRead => Call::read(fd, buf(), 0..PIECE, 0),
            Case::UserNull => Call::nop(),
            _ => return Ok(()),
        };
        ring.submit(call, 0)?;
        self.posted += 1;
        if self.posted < BATCH {
            return Ok(());
        }
        let buffers = &mut self.buffers;
        reap_all(ring, std::mem::take(&mut self.posted), |done| {
            if let Value::Moved { buf, .. } = done.result? {
                buffers.push(buf);
            }
            Ok(())
        })
    }
}
