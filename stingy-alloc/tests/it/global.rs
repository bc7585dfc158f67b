//! The adapters: a program's own allocations in objects of a stage, and collections in those of a site.

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};

use allocator_api2::vec::Vec as ApiVec;
use proptest::prelude::*;
use stingy_alloc::adapt::{Global, Heap};
use stingy_alloc::{MemoryMap, Reason, Seal, SiteId, Slab, StageId};

use crate::{slab, small};

const STAGE: StageId = StageId(0);
const LARGE: SiteId = SiteId(0);
const SMALL: SiteId = SiteId(1);

/// Four objects of 1000 bytes and four of 100; a task takes one of each. The larger site comes first.
fn map() -> MemoryMap {
    MemoryMap::builder()
        .geometry(small())
        .site("large", 1000, 4)
        .site("small", 100, 4)
        .stage("stage", &[], &[("large", 1), ("small", 1)])
        .build()
        .unwrap()
}

fn live(slab: &Slab) -> (u32, u32) {
    let stats = slab.stats();
    (stats.site(LARGE).unwrap().live, stats.site(SMALL).unwrap().live)
}

fn counted(slab: &Slab, reasons: &[Reason]) -> Vec<u64> {
    let stats = slab.stats();
    reasons.iter().map(|reason| stats.fallback(*reason)).collect()
}

#[test]
fn an_allocation_in_a_scope_takes_the_smallest_site_that_it_fits_into() {
    let slab = slab(&map());
    let permit = slab.admit(STAGE, 2);
    let outside = vec![1u8; 64];
    let (a, b, c) = permit.scope(|| (vec![1u8; 100], vec![2u8; 101], Box::new([3u8; 1000])));
    assert_eq!(live(&slab), (2, 1));
    drop(outside);
    assert_eq!(live(&slab), (2, 1), "an allocation outside of a scope came from the slab");
    assert!(a.iter().all(|b| *b == 1) && b.iter().all(|b| *b == 2) && c.iter().all(|b| *b == 3));
    drop((a, b, c));
    assert_eq!(live(&slab), (0, 0));
}

#[test]
fn a_full_site_passes_on_to_the_next_larger_one_and_then_to_the_fallback() {
    let slab = slab(&map());
    let permit = slab.admit(STAGE, 1);
    let held = permit.scope(|| [Box::new([0u8; 50]), Box::new([0u8; 50]), Box::new([0u8; 50])]);
    assert_eq!(live(&slab), (1, 1));
    assert_eq!(counted(&slab, &[Reason::NoPermit, Reason::SizeGuard]), [1, 0]);
    drop(held);
    let too_large = permit.scope(|| Box::new([0u8; 1001]));
    assert_eq!(counted(&slab, &[Reason::NoPermit, Reason::SizeGuard]), [1, 1]);
    drop(too_large);
    let layout = Layout::from_size_align(64, 128).unwrap();
    // SAFETY: a layout of some bytes, freed as it was allocated.
    permit.scope(|| unsafe {
        let block = Global(System).alloc(layout);
        assert_eq!(block.addr() % 128, 0);
        Global(System).dealloc(block, layout);
    });
    assert_eq!(counted(&slab, &[Reason::Align]), [1]);
}

#[test]
fn scopes_nest_and_a_panic_leaves_them() {
    let (outer, inner) = (slab(&map()), slab(&map()));
    let (outer_permit, inner_permit) = (outer.admit(STAGE, 4), inner.admit(STAGE, 4));
    let held = outer_permit.scope(|| {
        let a = Box::new([0u8; 10]);
        let b = inner_permit.scope(|| Box::new([0u8; 10]));
        (a, b, Box::new([0u8; 10]))
    });
    assert_eq!((live(&outer), live(&inner)), ((0, 2), (0, 1)));
    drop(held);
    let panicked = catch_unwind(AssertUnwindSafe(|| outer_permit.scope(|| panic!("on purpose"))));
    assert!(panicked.is_err());
    drop(panicked);
    let before = outer.live();
    drop(std::hint::black_box(Box::new([0u8; 10])));
    let held = std::hint::black_box(Box::new([0u8; 10]));
    assert_eq!(outer.live(), before, "the scope outlived its panic");
    drop(held);
}

#[test]
fn a_scope_is_of_its_thread_alone() {
    let slab = slab(&map());
    let permit = slab.admit(STAGE, 4);
    let elsewhere = permit.scope(|| {
        std::thread::scope(|threads| {
            threads.spawn(|| std::hint::black_box(Box::new([7u8; 80]))).join().unwrap()
        })
    });
    let here = permit.scope(|| Box::new([8u8; 80]));
    std::thread::spawn(move || drop(here)).join().unwrap();
    drop(elsewhere);
    drop(permit);
    assert_eq!(slab.live(), 0);
    assert!(slab.stats().remote_frees > 0);
}

#[test]
fn a_vec_grows_in_its_object_then_moves_out_with_its_contents() {
    let slab = slab(&map());
    let permit = slab.admit(STAGE, 1);
    permit.scope(|| {
        let mut bytes = Vec::with_capacity(10);
        bytes.extend(0..10u8);
        let first = bytes.as_ptr();
        bytes.reserve_exact(90);
        assert_eq!(bytes.as_ptr(), first, "100 bytes fit where 10 did");
        bytes.extend(10..100);
        bytes.reserve_exact(800);
        assert_eq!(live(&slab), (1, 0));
        bytes.reserve_exact(5000);
        assert_eq!(live(&slab), (0, 0));
        assert!(bytes.iter().copied().eq(0..100));
    });
    assert_eq!(counted(&slab, &[Reason::SizeGuard]), [1]);
}

#[test]
fn zeroed_memory_is_zero_also_where_an_object_lay() {
    let slab = slab(&map());
    let permit = slab.admit(STAGE, 4);
    permit.scope(|| drop(vec![0xFFu8; 90]));
    let zeroed = permit.scope(|| vec![0u8; 100]);
    assert_eq!(live(&slab), (0, 1));
    assert!(zeroed.iter().all(|byte| *byte == 0));
}

#[test]
fn a_sealed_slab_counts_what_a_scope_takes_from_the_fallback() {
    let slab = slab(&map());
    slab.seal(Seal::Count);
    let permit = slab.admit(STAGE, 1);
    permit.scope(|| drop(Box::new([0u8; 2000])));
    assert_eq!(counted(&slab, &[Reason::SizeGuard, Reason::Sealed]), [1, 1]);
}

#[test]
fn a_collection_lives_in_an_object_of_its_site_until_it_outgrows_it() {
    let slab = slab(&map());
    let permit = slab.admit(STAGE, 2);
    let mut numbers = ApiVec::<u32, _>::new_in(permit.at(SMALL));
    numbers.extend(0..25);
    assert_eq!(live(&slab), (0, 1));
    numbers.extend(25..100);
    assert_eq!(live(&slab), (0, 0));
    assert!(numbers.iter().copied().eq(0..100));
    assert_eq!(counted(&slab, &[Reason::SizeGuard]), [1], "400 bytes at once");
    let second = ApiVec::<u8, _>::with_capacity_in(1, permit.at(SMALL));
    let third = ApiVec::<u8, _>::with_capacity_in(1, permit.at(SMALL));
    let unknown = ApiVec::<u8, _>::with_capacity_in(1, permit.at(SiteId(9)));
    assert_eq!((live(&slab), counted(&slab, &[Reason::NoPermit])), ((0, 1), vec![2]));
    drop((numbers, second, third, unknown));
    let none = ApiVec::<(), _>::new_in(permit.at(SMALL));
    assert_eq!((none.len(), live(&slab)), (0, (0, 0)));
}

#[test]
fn a_collection_that_shrinks_stays_in_its_object() {
    let slab = slab(&map());
    let permit = slab.admit(STAGE, 1);
    let mut bytes = ApiVec::<u8, _>::with_capacity_in(100, permit.at(SMALL));
    bytes.extend_from_slice(b"kept");
    let place = bytes.as_ptr();
    bytes.shrink_to_fit();
    let bytes = bytes.into_boxed_slice();
    assert_eq!((bytes.as_ptr(), &bytes[..]), (place, b"kept".as_slice()));
    assert_eq!((live(&slab), counted(&slab, &[Reason::NoPermit])), ((0, 1), vec![0]));
    drop(bytes);
    let mut outside = ApiVec::<u8, _>::with_capacity_in(5000, permit.at(SMALL));
    outside.extend_from_slice(b"elsewhere");
    outside.shrink_to_fit();
    assert_eq!((outside.capacity(), &outside[..]), (9, b"elsewhere".as_slice()));
    outside.clear();
    outside.shrink_to_fit();
    assert_eq!((outside.capacity(), live(&slab)), (0, (0, 0)));
}

#[test]
fn what_is_wrapped_in_outside_does_not_come_from_the_scope_around() {
    let slab = slab(&map());
    let permit = slab.admit(STAGE, 2);
    let (kept, held) = permit.scope(|| {
        let kept = stingy_alloc::adapt::outside(|| Box::new([1u8; 50]));
        (kept, Box::new([2u8; 50]))
    });
    assert_eq!(live(&slab), (0, 1));
    drop((kept, held));
}

#[test]
fn any_global_allocator_takes_a_collection() {
    let mut text = ApiVec::new_in(Heap(&System));
    text.extend_from_slice(b"posted");
    text.extend_from_slice(&[b'!'; 1000]);
    assert_eq!((text.len(), &text[..7]), (1006, b"posted!".as_slice()));
    drop(ApiVec::<u64, _>::new_in(Heap(&System)));
}

/// What a program does with its blocks: take one of a layout, resize one, free one here or elsewhere.
#[derive(Clone, Copy, Debug)]
enum Step {
    Take { size: usize, align: usize, zeroed: bool },
    Resize { which: usize, size: usize },
    Free { which: usize, elsewhere: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![1..300usize, 900..1100usize];
    prop_oneof![
        3 => (size.clone(), 0..8u32, any::<bool>())
            .prop_map(|(size, align, zeroed)| Step::Take { size, align: 1 << align, zeroed }),
        1 => (any::<usize>(), size).prop_map(|(which, size)| Step::Resize { which, size }),
        2 => (any::<usize>(), any::<bool>())
            .prop_map(|(which, elsewhere)| Step::Free { which, elsewhere }),
    ]
}

/// A block and the byte that all of it holds.
struct Block {
    start: *mut u8,
    layout: Layout,
    stamp: u8,
}

// SAFETY: a block is its holder's alone.
unsafe impl Send for Block {}

impl Block {
    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: its own, written when it was taken.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.layout.size()) }
    }

    fn free(self) {
        // SAFETY: allocated by it with this layout.
        unsafe { Global(System).dealloc(self.start, self.layout) };
    }
}

fn take(size: usize, align: usize, zeroed: bool, stamp: u8) -> Block {
    let layout = Layout::from_size_align(size, align).unwrap();
    // SAFETY: not for no bytes.
    let start = unsafe {
        if zeroed { Global(System).alloc_zeroed(layout) } else { Global(System).alloc(layout) }
    };
    assert_eq!(start.addr() % align, 0);
    let mut block = Block { start, layout, stamp };
    if zeroed {
        assert!(block.bytes().iter().all(|byte| *byte == 0));
    } else {
        // SAFETY: as many bytes as it has.
        unsafe { start.write_bytes(0, size) };
    }
    block.bytes().fill(stamp);
    block
}

fn resize(mut block: Block, size: usize) -> Block {
    // SAFETY: allocated by it with this layout, and not for no bytes.
    block.start = unsafe { Global(System).realloc(block.start, block.layout, size) };
    let kept = size.min(block.layout.size());
    // SAFETY: the bytes beyond are new, and within the block.
    unsafe { block.start.add(kept).write_bytes(block.stamp, size - kept) };
    block.layout = Layout::from_size_align(size, block.layout.align()).unwrap();
    block
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn blocks_of_the_global_allocator_never_overlap_and_keep_their_bytes(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let slab = slab(&map());
        let mut blocks: Vec<Block> = Vec::new();
        for (i, step) in steps.into_iter().enumerate() {
            let permit = slab.admit(STAGE, 1);
            match step {
                Step::Take { size, align, zeroed } => {
                    let block = permit.scope(|| take(size, align, zeroed, i as u8));
                    blocks.push(block);
                }
                Step::Resize { which, size } if !blocks.is_empty() => {
                    let block = blocks.swap_remove(which % blocks.len());
                    let block = permit.scope(|| resize(block, size));
                    blocks.push(block);
                }
                Step::Free { which, elsewhere } if !blocks.is_empty() => {
                    let block = blocks.swap_remove(which % blocks.len());
                    match elsewhere {
                        true => std::thread::spawn(move || block.free()).join().unwrap(),
                        false => block.free(),
                    }
                }
                _ => {}
            }
            for block in &mut blocks {
                let stamp = block.stamp;
                prop_assert!(block.bytes().iter().all(|byte| *byte == stamp));
            }
        }
        blocks.into_iter().for_each(Block::free);
        prop_assert_eq!(slab.live(), 0);
    }
}
