//! The request path of the slab makes no call to the system allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use stingy_alloc::adapt::Global;
use stingy_alloc::{MemoryMap, SiteId, StageId};

use crate::{slab, small};

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// The system allocator, with the calls of each thread counted.
struct Counting;

// SAFETY: every call goes to `System` as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.with(|calls| calls.set(calls.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        CALLS.with(|calls| calls.set(calls.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// All tests of this binary run behind the adapter.
#[global_allocator]
static ALLOCATOR: Global<Counting> = Global(Counting);

#[test]
fn admit_alloc_free_and_refuse_call_no_allocator() {
    let map =
        MemoryMap::builder().geometry(small()).site("a", 1000, 8).stage("s", &[], &[("a", 1)]);
    let slab = slab(&map.build().unwrap());
    let before = CALLS.get();
    for wanted in 0..50 {
        let permit = slab.admit(StageId(0), wanted);
        for _ in 0..permit.granted() {
            drop(std::hint::black_box(permit.alloc(SiteId(0))));
        }
        assert!(permit.alloc(SiteId(0)).is_err());
    }
    assert_eq!(slab.admit(StageId(7), 1).granted(), 0);
    assert_eq!((slab.live(), CALLS.get()), (0, before));
    drop((slab.escape(SiteId(0)), slab.oversize(SiteId(0), 5000)));
    assert_eq!(CALLS.get(), before, "the high slab has room");
    drop(slab.oversize(SiteId(0), 1 << 20));
    assert_eq!(CALLS.get(), before + 2, "the counter counts");
}
