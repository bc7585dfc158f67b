//! The slab's stack: work runs there, panics leave it, and too deep a recursion breaks nothing.

use std::cell::Cell;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use stingy_alloc::{MemoryMap, SiteId, Slab, Slot, StageId};

use crate::process::{alone, signal, text};
use crate::{slab, small};

const STACK: usize = 8 << 10;

fn map_with(stack: usize) -> MemoryMap {
    let builder = MemoryMap::builder().geometry(small()).stack(stack).site("object", 64, 32);
    builder.stage("stage", &[], &[("object", 1)]).build().unwrap()
}

fn with_stack() -> Slab {
    slab(&map_with(STACK))
}

/// The lowest object of the slab, which lies right above its stack.
fn lowest(slab: &Slab) -> usize {
    let object = slab.take(SiteId(0)).expect("a free slab");
    object.as_ptr().addr()
}

/// An address of the frame that calls this.
#[inline(always)]
fn here() -> usize {
    let local = 0u8;
    black_box(ptr::from_ref(&local)).addr()
}

fn is_on(slab: &Slab, address: usize) -> bool {
    (lowest(slab) - (4 << 20)..lowest(slab)).contains(&address)
}

/// Goes `depth` calls deeper, by at least 1 KiB each; returns the lowest address.
#[inline(never)]
fn deep(depth: usize) -> usize {
    let frame = black_box([depth as u8 | 1; 1024]);
    let lowest = if depth == 0 { here() } else { deep(depth - 1) };
    black_box(&frame);
    lowest
}

#[test]
fn work_runs_on_the_stack_of_its_slab_and_what_it_calls_as_well() {
    let slab = with_stack();
    let text = String::from("moved in");
    let (address, deeper, text) = slab.on_stack(move || (here(), deep(3), text + " and out"));
    assert!(is_on(&slab, address) && is_on(&slab, deeper), "{address:x} {deeper:x}");
    assert_eq!(text, "moved in and out");
    assert!(!is_on(&slab, here()));
}

#[test]
fn a_stack_of_any_size_is_aligned_as_a_stack() {
    for bytes in [1, 63, 1000, 4097] {
        let slab = slab(&map_with(bytes));
        let rest = slab.on_stack(|| {
            let word = black_box(0u128);
            black_box(ptr::from_ref(&word)).addr() % 16
        });
        assert_eq!(rest, 0, "{bytes}");
        assert!(slab.on_stack(|| is_on(&slab, here())), "{bytes}");
    }
}

#[test]
fn a_nested_call_stays_where_it_is() {
    let (slab, other) = (with_stack(), with_stack());
    slab.on_stack(|| {
        let outer = here();
        let inner = slab.on_stack(here);
        assert!(is_on(&slab, inner) && inner < outer && outer - inner < STACK);
        // A slab whose stack is free is another matter, and back again stays there.
        other.on_stack(|| {
            assert!(is_on(&other, here()));
            assert!(slab.on_stack(|| is_on(&other, here())));
        });
        assert!(is_on(&slab, here()));
    });
}

#[test]
fn a_panic_passes_through_with_its_payload_and_the_stack_is_free_again() {
    let slab = with_stack();
    let dropped = Cell::new(false);
    struct Tell<'a>(&'a Cell<bool>);
    impl Drop for Tell<'_> {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    for _ in 0..3 {
        dropped.set(false);
        let work = || {
            slab.on_stack(|| {
                let _tell = Tell(&dropped);
                panic_any(String::from("payload"))
            })
        };
        let payload: Box<dyn std::any::Any + Send> = match catch_unwind(AssertUnwindSafe(work)) {
            Err(payload) => payload,
            Ok(()) => panic!("the panic was swallowed"),
        };
        assert_eq!(payload.downcast_ref::<String>().unwrap(), "payload");
        assert!(dropped.get());
        assert!(slab.on_stack(|| is_on(&slab, here())), "the stack counts as in use");
    }
}

#[test]
fn the_peak_is_as_deep_as_the_deepest_call() {
    let slab = with_stack();
    assert_eq!(slab.stack_peak(), 0);
    let mut last = 0;
    for depth in [0, 4, 20, 200] {
        let (top, lowest) = slab.on_stack(|| (here(), deep(depth)));
        let (peak, reached) = (slab.stack_peak(), top - lowest);
        // What lies above the first local, and below the last.
        assert!((reached..reached + 6 * 1024).contains(&peak), "{peak} at {reached}");
        assert!(peak > last);
        last = peak;
        slab.on_stack(|| deep(0));
        assert_eq!(slab.stack_peak(), peak, "it is the deepest ever");
    }
}

#[test]
fn a_stack_deeper_than_its_region_spills_below_and_not_into_objects() {
    let slab = with_stack();
    let permit = slab.admit(StageId(0), 32);
    let mut objects: Vec<Slot> = (0..32).map(|_| permit.alloc(SiteId(0)).unwrap()).collect();
    objects.iter_mut().for_each(|object| object.fill(0x77));
    let lowest = slab.on_stack(|| deep(1000));
    let bottom = objects.iter().map(|object| object.as_ptr().addr()).min().unwrap();
    assert!(bottom - lowest > 64 * STACK);
    assert!(objects.iter().all(|object| object.iter().all(|byte| *byte == 0x77)));
}

#[test]
fn a_map_without_a_stack_runs_work_in_place() {
    let slab = slab(&map_with(0));
    let address = slab.on_stack(here);
    assert!(!is_on(&slab, address) && here().abs_diff(address) < 64 << 10);
    assert_eq!(slab.stack_peak(), 0);
}

#[test]
fn thread_locals_and_backtraces_are_those_of_the_thread() {
    thread_local!(static LOCAL: Cell<u32> = const { Cell::new(0) });
    let slab = with_stack();
    LOCAL.set(1);
    let trace = slab.on_stack(|| {
        LOCAL.set(LOCAL.get() + 1);
        std::backtrace::Backtrace::force_capture().to_string()
    });
    assert_eq!(LOCAL.get(), 2);
    assert!(trace.contains("thread_locals_and_backtraces"), "{trace}");
}

#[test]
fn endless_recursion_ends_the_process_as_on_any_stack() {
    let output = alone(|| {
        let slab = with_stack();
        slab.on_stack(|| deep(usize::MAX));
    });
    assert_eq!(signal(&output), Some(libc::SIGSEGV), "{}", text(&output.stderr));
}

/// Objects that a stack that is too deep must not reach: their addresses and bytes.
static KEPT: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];

/// Ends the process well if all of them are as they were, and the fault lies in no memory.
extern "C" fn look(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel's, for this signal.
    let fault = unsafe { (*info).si_addr() }.addr();
    for (i, kept) in KEPT.iter().enumerate() {
        let object = ptr::with_exposed_provenance::<[u8; 64]>(kept.load(Ordering::Relaxed));
        // SAFETY: objects that the test holds.
        let is_whole = unsafe { object.read_volatile() } == [i as u8 | 0x80; 64];
        // Both slabs lie far from the fault.
        if !is_whole || object.addr().abs_diff(fault) < 64 << 10 {
            // SAFETY: ends the process.
            unsafe { libc::_exit(3) };
        }
    }
    // SAFETY: the same.
    unsafe { libc::_exit(42) };
}

/// Has SIGSEGV handled on a stack of its own.
fn handle_segv() {
    let stack = Box::leak(Box::new([0u8; 64 << 10]));
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: 64 << 10 };
    let handler: extern "C" fn(_, _, _) = look;
    // SAFETY: the stack is leaked, and the handler only reads and exits.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        assert_eq!(libc::sigaltstack(&raw const stack, ptr::null_mut()), 0);
        assert_eq!(libc::sigaction(libc::SIGSEGV, &raw const action, ptr::null_mut()), 0);
    }
}

#[test]
fn endless_recursion_corrupts_neither_its_slab_nor_the_one_below() {
    for on_the_upper in [true, false] {
        let output = alone(|| {
            let slabs = [with_stack(), with_stack()];
            let mut objects: Vec<Slot> = slabs
                .iter()
                .flat_map(|slab| (0..32).map(|_| slab.take(SiteId(0)).unwrap()))
                .collect();
            for ((i, object), kept) in objects.iter_mut().enumerate().zip(&KEPT) {
                object.fill(i as u8 | 0x80);
                kept.store(object.as_mut_ptr().expose_provenance(), Ordering::Relaxed);
            }
            handle_segv();
            slabs[usize::from(on_the_upper)].on_stack(|| deep(usize::MAX));
        });
        assert_eq!(output.status.code(), Some(42), "{}", text(&output.stderr));
    }
}
