//! What does a free on another CPU cost?
//!
//! One thread makes objects and writes a word of each, another, on another CPU, frees them. They pass
//! batches through a mailbox. The figure is the time that both spend on making and freeing, without what
//! they spend on passing and waiting, which is the same whatever the allocator.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{hint, iter, mem, thread};

use anyhow::{Context, bail, ensure};
use stingy_alloc::{Object, StageId, free_all};

use super::clock::Clock;
use super::heap::{Blob, Heap, System};
use super::slab::of_size;
use super::{Answer, Source, WorkerArgs};
use crate::load::sys::pin_this_thread;

/// Bytes of an object.
pub(in super::super) const SIZE: usize = 4096;
/// Objects that change hands at a time, at most: a slab may have fewer left.
const BATCH: usize = 32;
/// Batches of a round.
const ROUND: usize = 256;
/// Objects that may be out: being made, in the mailbox, being freed.
const OUT: usize = 3 * BATCH;
/// How often a waiting thread looks before it lets others run.
const LOOKS: u32 = 1 << 10;

/// Runs the worker.
pub(super) fn run(args: &WorkerArgs, clock: Clock) -> anyhow::Result<Answer> {
    ensure!(args.size == SIZE, "objects of this job have {SIZE} bytes");
    match args.from {
        Source::Stingy | Source::StingySlot => {
            let slab = of_size(SIZE, OUT)?;
            let site = slab.site::<Blob<{ SIZE - 8 }>>("object")?;
            let at_once: fn(&mut Vec<_>) = |batch| free_all(batch.drain(..));
            let free = if args.at_once { at_once } else { Vec::clear };
            let fill = |batch: &mut Vec<_>| {
                let permit = slab.admit(StageId(0), BATCH);
                let Ok(lane) = permit.lane(site) else { return };
                batch.extend(iter::from_fn(|| Some(Object::write(lane.take()?, Blob::new(1)))));
            };
            pass(args, clock, fill, free)
        }
        Source::System => pass_boxes(args, clock, System::boxed::<{ SIZE - 8 }>),
        #[cfg(feature = "peers")]
        Source::Mimalloc => pass_boxes(args, clock, super::heap::MiMalloc::boxed::<{ SIZE - 8 }>),
        #[cfg(not(feature = "peers"))]
        Source::Mimalloc => super::without_peers(),
        Source::Global => bail!("objects that change hands are typed: from stingy"),
    }
}

fn pass_boxes<O: Send>(
    args: &WorkerArgs,
    clock: Clock,
    make: impl Fn(u64) -> O,
) -> anyhow::Result<Answer> {
    let fill = |batch: &mut Vec<O>| batch.extend((0..BATCH).map(|_| make(1)));
    pass(args, clock, fill, Vec::clear)
}

/// A batch under way, if it is `full`; only then the other side takes it.
struct Mailbox<O> {
    full: AtomicBool,
    batch: Mutex<Vec<O>>,
}

impl<O> Mailbox<O> {
    fn new() -> Mailbox<O> {
        let batch = Mutex::new(Vec::with_capacity(BATCH));
        Mailbox { full: AtomicBool::new(false), batch }
    }

    /// Exchanges what is in it for `batch` once it is as `full` as said, unless the others have `left`.
    fn exchange(&self, full: bool, batch: &mut Vec<O>, left: &AtomicBool) -> bool {
        let mut looks = 0;
        while self.full.load(Ordering::Acquire) != full {
            if left.load(Ordering::Relaxed) && self.full.load(Ordering::Acquire) != full {
                return false;
            }
            looks += 1;
            if looks % LOOKS == 0 { thread::yield_now() } else { hint::spin_loop() }
        }
        let Ok(mut inside) = self.batch.lock() else { return false };
        mem::swap(&mut *inside, batch);
        self.full.store(!full, Ordering::Release);
        true
    }
}

/// Says that this side has left, however it ends.
struct Leaving<'a>(&'a AtomicBool);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Fills batches here and frees them on the other CPU.
fn pass<O: Send>(
    args: &WorkerArgs,
    clock: Clock,
    mut fill: impl FnMut(&mut Vec<O>),
    free: fn(&mut Vec<O>),
) -> anyhow::Result<Answer> {
    let mailbox = Mailbox::new();
    let (maker_left, taker_left) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let taker = scope.spawn(|| {
            let _leaving = Leaving(&taker_left);
            take(&mailbox, args.other_cpu, free, &maker_left)
        });
        let (mut batch, mut made, mut busy) = (Vec::with_capacity(BATCH), 0, Duration::ZERO);
        let leaving = Leaving(&maker_left);
        let measured = clock.measure((ROUND * BATCH) as u64, || {
            for _ in 0..ROUND {
                let begun = Instant::now();
                fill(&mut batch);
                busy += begun.elapsed();
                made += batch.len();
                let passed = mailbox.exchange(false, &mut batch, &taker_left);
                ensure!(passed, "the freeing thread has left");
            }
            Ok(())
        });
        drop(leaving);
        let taken = taker.join().map_err(|_| anyhow::anyhow!("the freeing thread panicked"))?;
        // Why the other side has left says more than that it has.
        let (freed, spent_freeing) = taken?;
        measured?;
        ensure!(freed == made, "{made} objects were made and {freed} freed");
        let ns = (busy + spent_freeing).as_nanos() as f64 / made.max(1) as f64;
        Ok(Answer { ns, units: made as u64 })
    })
}

/// Frees what is in the mailbox until the other side has left; how many, and how long that took.
fn take<O>(
    mailbox: &Mailbox<O>,
    cpu: Option<usize>,
    free: fn(&mut Vec<O>),
    maker_left: &AtomicBool,
) -> anyhow::Result<(usize, Duration)> {
    if let Some(cpu) = cpu {
        pin_this_thread(&[cpu]).with_context(|| format!("cannot use CPU {cpu}"))?;
    }
    let (mut batch, mut freed, mut busy) = (Vec::with_capacity(BATCH), 0, Duration::ZERO);
    while mailbox.exchange(true, &mut batch, maker_left) {
        freed += batch.len();
        let begun = Instant::now();
        free(&mut batch);
        busy += begun.elapsed();
    }
    Ok((freed, busy))
}
