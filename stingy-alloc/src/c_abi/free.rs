//! Does an object start there, and whose is it? What C gives back is looked at before it is believed.

use std::io::{self, Write};
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use crate::arena::{self, STRIDE};
use crate::home;
use crate::layout::LINE;
use crate::unit::{self, LARGEST_SLAB, Lies, NOWHERE, TOP, Unit};
use crate::{sys, thread};

/// Where the largest cache slab starts in its stride.
const LOW: usize = TOP - LARGEST_SLAB;

/// Takes an object back, or a block of malloc; null is nothing. A pointer into a slab at which no object
/// starts ends the process.
///
/// # Safety
/// A block of malloc starts there if it lies in no slab, and the caller gives up what starts there.
#[inline]
pub(super) unsafe fn free(object: *mut u8) {
    let here = thread::here();
    let offset = object.addr().wrapping_sub(here.addr());
    if offset.wrapping_sub(LOW) < LARGEST_SLAB && offset.is_multiple_of(LINE) {
        // SAFETY: not null, as it is where this thread's home lies or an address of no stride.
        let start = unsafe { NonNull::new_unchecked(here) };
        // SAFETY: this thread's own slab, and mapped until it leaves `here`.
        let unit = unsafe { Unit::new(start) };
        let place = unit::place(offset);
        // What is free is nobody's own, and what is on its way home has a place in its entry.
        // SAFETY: a line of the cache slab.
        let at_rest = unsafe { is_at_rest(unit, place) };
        // SAFETY: if it is of a site it is out, and the caller gives it up.
        if at_rest && unsafe { unit.give_own(place) } {
            return;
        }
    }
    // SAFETY: as promised.
    unsafe { free_any(object) };
}

/// Whether the entry of a place has no place in it, as those of objects that are out.
///
/// # Safety
/// A line of the cache slab or of the high slab starts there.
#[inline]
unsafe fn is_at_rest(unit: Unit, place: u32) -> bool {
    // SAFETY: as promised.
    unit::place_in(unsafe { unit.entry(place) }.load(Ordering::Relaxed)) == 0
}

/// Whether an object starts there that is out, and not on its way home.
fn is_out(unit: Unit, offset: usize) -> bool {
    let place = unit::place(offset);
    offset.is_multiple_of(LINE)
        && unit.lies(place) != Lies::Nothing
        // SAFETY: something lies there.
        && unsafe { is_at_rest(unit, place) }
}

/// The same for all that is not of this thread's slab, or shares its region.
///
/// # Safety
/// As for [`free`].
#[inline(never)]
unsafe extern "C" fn free_any(object: *mut u8) {
    let address = object.addr();
    let Some(object) = NonNull::new(object) else { return };
    if !arena::contains(address) {
        // SAFETY: as promised.
        return unsafe { sys::free(object) };
    }
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
        // SAFETY: an object that is out, as was just seen, and the caller gives it up.
        unsafe { home::free(object) };
        return;
    }
    let place = unit::place(offset);
    // Of two threads that free it at the same time, one finds that it is on its way.
    // SAFETY: something lies there.
    let mark = unsafe { this.unit.entry(place) }.fetch_or(NOWHERE, Ordering::Relaxed);
    if unit::place_in(mark) != 0 {
        nothing_there(address);
    }
    // SAFETY: the object was out, and is now this function's.
    unsafe { home::send_one(home, place) };
}

#[cold]
#[inline(never)]
fn nothing_there(address: usize) -> ! {
    let _ = writeln!(
        io::stderr(),
        "stingy-alloc: StingyFree(0x{address:x}): no object starts there: it was freed before, or the pointer \
         leads into an object; free each object once, by the pointer that StingyAlloc returned"
    );
    std::process::abort();
}
