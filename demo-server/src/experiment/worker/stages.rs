//! What does a task cost that goes through three stages (Stingy, Fig. 2)?
//!
//! Stage one makes a small object and writes it, stage two makes a large one, writes it and updates the
//! small one, stage three reads both and frees them. Of all the tasks in flight, a batch goes through a
//! stage before the next stage runs: as many as the slab admits, all of them, or one.

use std::hint::black_box;
use std::marker::PhantomData;

use anyhow::{Context, bail, ensure};
use stingy_alloc::{Permit, SiteId, Slab, StageId};

use super::clock::Clock;
use super::heap::{Heap, System};
use super::lines::{ByteSlot, FromSlot, LineSlot, Touch};
use super::slab::{LARGE, SMALL, of_stages, tasks_at_once};
use super::{Answer, Bound, Kernel, Source, WorkerArgs};

const FIRST: StageId = StageId(0);
const SECOND: StageId = StageId(1);
const THIRD: StageId = StageId(2);
const SMALL_SITE: SiteId = SiteId(0);
const LARGE_SITE: SiteId = SiteId(1);

/// A task in flight.
struct Task<O> {
    number: u64,
    small: Option<O>,
    large: Option<O>,
}

/// Admits tasks to stages.
trait Supply {
    type Object: Touch;
    type Grant<'s>: Grant<Object = Self::Object>
    where
        Self: 's;

    fn admit(&self, stage: StageId, wanted: usize) -> Self::Grant<'_>;
}

/// Makes the objects of the tasks admitted.
trait Grant {
    type Object;

    fn granted(&self) -> usize;
    fn object(&mut self, site: SiteId, word: u64) -> anyhow::Result<Self::Object>;
}

/// Runs the worker.
pub(super) fn run(args: &WorkerArgs, clock: Clock) -> anyhow::Result<Answer> {
    let lines = args.kernel == Kernel::Lines;
    match args.from {
        Source::Stingy | Source::StingySlot if lines => {
            rounds(&SlabSupply::<LineSlot>(of_stages()?, PhantomData), args.tasks, clock)
        }
        Source::Stingy | Source::StingySlot => {
            rounds(&SlabSupply::<ByteSlot>(of_stages()?, PhantomData), args.tasks, clock)
        }
        Source::System => on_heap::<System>(args, clock),
        #[cfg(feature = "peers")]
        Source::Mimalloc => on_heap::<super::heap::MiMalloc>(args, clock),
        #[cfg(not(feature = "peers"))]
        Source::Mimalloc => super::without_peers(),
        Source::Global => bail!("stages choose their sites themselves: from stingy"),
    }
}

fn on_heap<H: Heap>(args: &WorkerArgs, clock: Clock) -> anyhow::Result<Answer> {
    let bound = match args.bound {
        Bound::None => usize::MAX,
        Bound::Slab => tasks_at_once()?,
        Bound::One => 1,
    };
    match args.kernel {
        Kernel::Lines => rounds(&HeapSupply { bound, make: H::lines }, args.tasks, clock),
        Kernel::Bytes => {
            let make = |bytes, word| H::bytes(bytes, word as u8);
            rounds(&HeapSupply { bound, make }, args.tasks, clock)
        }
    }
}

fn rounds<S: Supply>(supply: &S, tasks: usize, clock: Clock) -> anyhow::Result<Answer> {
    let mut all = in_flight::<S::Object>(tasks as u64);
    clock.measure(tasks as u64, || {
        black_box(round(supply, &mut all)?);
        Ok(())
    })
}

fn in_flight<O>(tasks: u64) -> Vec<Task<O>> {
    (0..tasks).map(|number| Task { number, small: None, large: None }).collect()
}

/// Carries every task through the stages once.
fn round<S: Supply>(supply: &S, mut tasks: &mut [Task<S::Object>]) -> anyhow::Result<u64> {
    let mut sum = 0u64;
    while !tasks.is_empty() {
        let batch = first(supply, tasks)?;
        let (admitted, others) = tasks.split_at_mut(batch);
        second(supply, admitted)?;
        sum = sum.wrapping_add(third(supply, admitted)?);
        tasks = others;
    }
    Ok(sum)
}

/// As many tasks as are admitted.
fn first<S: Supply>(supply: &S, tasks: &mut [Task<S::Object>]) -> anyhow::Result<usize> {
    let mut grant = supply.admit(FIRST, tasks.len());
    let granted = grant.granted().min(tasks.len());
    ensure!(granted > 0, "nothing is admitted, although nothing is out");
    for task in &mut tasks[..granted] {
        task.small = Some(grant.object(SMALL_SITE, task.number)?);
    }
    Ok(granted)
}

fn second<S: Supply>(supply: &S, tasks: &mut [Task<S::Object>]) -> anyhow::Result<()> {
    let mut grant = supply.admit(SECOND, tasks.len());
    ensure!(
        grant.granted() >= tasks.len(),
        "a task with a small object has no room for a large one"
    );
    for task in tasks {
        task.large = Some(grant.object(LARGE_SITE, task.number)?);
        if let Some(small) = &mut task.small {
            small.update(task.number);
        }
    }
    Ok(())
}

fn third<S: Supply>(supply: &S, tasks: &mut [Task<S::Object>]) -> anyhow::Result<u64> {
    let grant = supply.admit(THIRD, tasks.len());
    ensure!(grant.granted() >= tasks.len(), "a stage that allocates nothing is refused");
    let mut sum = 0u64;
    for task in tasks {
        let (small, large) = (task.small.take(), task.large.take());
        let (small, large) = small.zip(large).context("a task came without its objects")?;
        sum = sum.wrapping_add(small.sum()).wrapping_add(large.sum());
    }
    Ok(sum)
}

/// The slab, whose permits say how many.
struct SlabSupply<O>(Slab, PhantomData<fn() -> O>);

impl<O: FromSlot> Supply for SlabSupply<O> {
    type Object = O;
    type Grant<'s>
        = SlabGrant<'s, O>
    where
        O: 's;

    #[inline]
    fn admit(&self, stage: StageId, wanted: usize) -> SlabGrant<'_, O> {
        SlabGrant(self.0.admit(stage, wanted), PhantomData)
    }
}

struct SlabGrant<'s, O>(Permit<'s>, PhantomData<fn() -> O>);

impl<O: FromSlot> Grant for SlabGrant<'_, O> {
    type Object = O;

    #[inline]
    fn granted(&self) -> usize {
        self.0.granted()
    }

    #[inline]
    fn object(&mut self, site: SiteId, word: u64) -> anyhow::Result<O> {
        Ok(O::from_slot(self.0.alloc(site)?, word))
    }
}

/// A general allocator, which never refuses, and the bound that is set for it.
struct HeapSupply<F> {
    bound: usize,
    make: F,
}

impl<O: Touch, F: Fn(usize, u64) -> O> Supply for HeapSupply<F> {
    type Object = O;
    type Grant<'s>
        = HeapGrant<'s, F>
    where
        F: 's;

    #[inline]
    fn admit(&self, _: StageId, wanted: usize) -> HeapGrant<'_, F> {
        HeapGrant { granted: wanted.min(self.bound), make: &self.make }
    }
}

struct HeapGrant<'s, F> {
    granted: usize,
    make: &'s F,
}

impl<O, F: Fn(usize, u64) -> O> Grant for HeapGrant<'_, F> {
    type Object = O;

    #[inline]
    fn granted(&self) -> usize {
        self.granted
    }

    #[inline]
    fn object(&mut self, site: SiteId, word: u64) -> anyhow::Result<O> {
        Ok((self.make)(if site == SMALL_SITE { SMALL } else { LARGE }, word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Once over all tasks, and the sum of what was read.
    fn once<S: Supply>(supply: &S, tasks: u64) -> u64 {
        round(supply, &mut in_flight(tasks)).expect("memory")
    }

    #[test]
    fn work_is_the_same_in_batches_of_whatever_size() {
        let lines = |bytes| (bytes / 64) as u64;
        // A small object's words were updated by the number that they held.
        let expected: u64 = (0..100).map(|number| (2 * lines(SMALL) + lines(LARGE)) * number).sum();
        for bound in [1, 7, 100, usize::MAX] {
            let sum = once(&HeapSupply { bound, make: System::lines }, 100);
            assert_eq!(sum, expected, "batches of {bound}");
        }
        let slab = SlabSupply::<LineSlot>(of_stages().expect("a slab"), PhantomData);
        assert_eq!(once(&slab, 100), expected);
        assert_eq!(slab.0.live(), 0);
    }

    #[test]
    fn every_byte_of_a_slot_is_touched_as_that_of_a_box() {
        let make = |bytes, word| System::bytes(bytes, word as u8);
        let slab = SlabSupply::<ByteSlot>(of_stages().expect("a slab"), PhantomData);
        let heap = once(&HeapSupply { bound: 9, make }, 50);
        assert_eq!(once(&slab, 50), heap);
        let words = |bytes| (bytes / 8) as u64;
        let filled = |number: u64| u64::from_ne_bytes([number as u8; 8]);
        let of_task = |number| {
            let small = filled(number).wrapping_add(number).wrapping_mul(words(SMALL));
            small.wrapping_add(filled(number).wrapping_mul(words(LARGE)))
        };
        assert_eq!(heap, (0..50).map(of_task).fold(0, u64::wrapping_add));
    }

    #[test]
    fn slab_bounds_what_a_stage_is_admitted_for() {
        let slab = SlabSupply::<LineSlot>(of_stages().expect("a slab"), PhantomData);
        let most = tasks_at_once().expect("a cache");
        assert_eq!(slab.admit(FIRST, usize::MAX).granted(), most);
        assert_eq!(slab.admit(SECOND, most).granted(), most);
    }
}
