//! Does an object start there, and whose is it? What C gives back is looked at before it is believed.

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use crate::arena::{self, STRIDE};
use crate::home;
use crate::layout::LINE;
use crate::unit::{self, Lies, NOWHERE, Unit};
use crate::{sys, thread};

/// Takes an object back, or a block of malloc. A pointer into a slab at which no object starts ends the
/// process.
///
/// # Safety
/// A block of malloc starts there if it lies in no slab, and the caller gives up what starts there.
#[inline]
pub(super) unsafe fn free(object: NonNull<u8>) {
    let address = object.addr().get();
    let here = thread::here();
    let offset = address.wrapping_sub(here.addr());
    if offset < STRIDE {
        // SAFETY: not null, as it is where this thread's home lies or an address of no stride.
        let start = unsafe { NonNull::new_unchecked(here) };
        // SAFETY: this thread's own slab, and mapped until it leaves `here`.
        if !is_out(unsafe { Unit::new(start) }, offset) {
            nothing_there(address);
        }
        // SAFETY: an object that is out, as was just seen, and the caller gives it up.
        unsafe { home::free(object) };
    } else if !arena::contains(address) {
        // SAFETY: as promised.
        unsafe { sys::free(object) };
    } else {
        free_elsewhere(object);
    }
}

/// Whether an object starts there that is out, and not on its way home.
#[inline]
fn is_out(unit: Unit, offset: usize) -> bool {
    let place = unit::place(offset);
    offset.is_multiple_of(LINE)
        && unit.lies(place) != Lies::Nothing
        && unit::place_in(unit.entry(place).load(Ordering::Relaxed)) == 0
}

/// Takes back what lies where slabs lie, and not in the one of this thread.
#[cold]
#[inline(never)]
fn free_elsewhere(object: NonNull<u8>) {
    let address = object.addr().get();
    let Some(home) = arena::home_of(address) else { nothing_there(address) };
    // SAFETY: alive as long as one of its objects is out. Whoever frees something else, and no object is
    // out, may find that the slab goes meanwhile: so it is with any allocator.
    let this = unsafe { home.as_ref() };
    if this.is_lost() {
        return;
    }
    let offset = address % STRIDE;
    if !is_out(this.unit, offset) {
        nothing_there(address);
    }
    if !this.is_elsewhere() {
        // SAFETY: an object that is out, as was just seen.
        unsafe { home::free(object) };
        return;
    }
    // Of two threads that free it at the same time, one finds that it is on its way.
    let place = unit::place(offset);
    let mark = this.unit.entry(place).fetch_or(NOWHERE, Ordering::Relaxed);
    if unit::place_in(mark) != 0 {
        nothing_there(address);
    }
    // SAFETY: the object was out, and is now this function's.
    unsafe { home::send_one(home, place) };
}

#[cold]
#[inline(never)]
fn nothing_there(address: usize) -> ! {
    eprintln!(
        "stingy-alloc: StingyFree(0x{address:x}): no object starts there: it was freed before, or the pointer \
         leads into an object; free each object once, by the pointer that StingyAlloc returned"
    );
    std::process::abort();
}
