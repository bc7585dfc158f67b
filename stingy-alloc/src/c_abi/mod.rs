//! How does a C program use a slab? The functions of `include/stingy.h`, which says what each does.
//!
//! | module | the question it answers |
//! |---|---|
//! | `door` | which slab and which reservation has this thread? |
//! | `free` | does an object start there, and whose is it? |
//! | `counters` | what do the counters look like in C? |
//! | `error` | what was the last error of this thread? |
//!
//! No panic enters C: what is long enough to have one catches it, and in the others, as in every
//! `extern "C"` function, it ends the process.

mod counters;
mod door;
mod error;
mod free;

use std::ffi::{CStr, OsStr, c_char, c_int, c_uint, c_void};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use crate::arena;
use crate::map::StageId;
use counters::{SiteCounters, SlabCounters};
use door::Door;
use error::Failure;

/// The text at a pointer of C; `None` at null.
///
/// # Safety
/// The pointer is null, or one to a text that ends with a zero byte and stays for `'t`.
unsafe fn text<'t>(text: *const c_char) -> Option<&'t CStr> {
    // SAFETY: as promised.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

/// 0, or the code of the failure, which becomes the thread's last error.
fn code(outcome: Result<(), Failure>) -> c_int {
    match outcome {
        Ok(()) => 0,
        Err(failure) => {
            error::say(&failure);
            failure.code()
        }
    }
}

/// What `ask` says of this thread's slab; a failure, which becomes its last error, is `None`.
fn ask<T>(ask: impl FnOnce(&Door) -> Result<T, Failure>) -> Option<T> {
    let answer = error::catch(|| door::with(ask));
    answer.inspect_err(error::say).ok()
}

/// # Safety
/// `map_text` is null, or has `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn StingyInit(map_text: *const c_char, len: usize, flags: c_uint) -> c_int {
    code(error::catch(|| {
        if map_text.is_null() {
            return Err(Failure::Null("map_text"));
        }
        // SAFETY: as promised.
        let map = unsafe { std::slice::from_raw_parts(map_text.cast::<u8>(), len) };
        door::open(map, flags)
    }))
}

/// # Safety
/// `path` is null, or a text of C.
#[unsafe(no_mangle)]
unsafe extern "C" fn StingyInitFile(path: *const c_char, flags: c_uint) -> c_int {
    code(error::catch(|| {
        // SAFETY: as promised.
        let path = unsafe { text(path) }.ok_or(Failure::Null("path"))?;
        let path = Path::new(OsStr::from_bytes(path.to_bytes()));
        let in_file = |failure: Failure| failure.in_file(path);
        let map = fs::read(path).map_err(|error| in_file(Failure::Read(error)))?;
        door::open(&map, flags).map_err(in_file)
    }))
}

#[unsafe(no_mangle)]
extern "C" fn StingyError() -> *const c_char {
    error::last()
}

#[unsafe(no_mangle)]
extern "C" fn StingyExit() {
    door::close();
}

/// # Safety
/// `name` is null, or a text of C.
#[unsafe(no_mangle)]
unsafe extern "C" fn StingyStage(name: *const c_char) -> c_int {
    // SAFETY: as promised.
    let name = unsafe { text(name) };
    ask(|door| door.stage_named(name)).map_or(-1, |stage| c_int::from(stage.0))
}

/// # Safety
/// `name` is null, or a text of C.
#[unsafe(no_mangle)]
unsafe extern "C" fn StingySite(name: *const c_char) -> c_int {
    // SAFETY: as promised.
    let name = unsafe { text(name) };
    ask(|door| door.site_named(name)).map_or(-1, |site| c_int::from(site.0))
}

#[unsafe(no_mangle)]
extern "C" fn StingyDynCheck(stage: c_uint, n: usize) -> usize {
    // What no stage has for a number is one that none has among those of 16 bits, too.
    let stage = StageId(u16::try_from(stage).unwrap_or(u16::MAX));
    match door::with(|door| door.reserve(stage, n)) {
        Ok(granted) => granted,
        Err(failure) => {
            error::say(&failure);
            0
        }
    }
}

#[unsafe(no_mangle)]
extern "C" fn StingyDone() {
    door::look(Door::done);
}

#[unsafe(no_mangle)]
extern "C" fn StingyAlloc(site: c_uint) -> *mut c_void {
    alloc(site, 0)
}

#[unsafe(no_mangle)]
extern "C" fn StingyAllocSize(site: c_uint, size: usize) -> *mut c_void {
    alloc(site, size)
}

#[inline(always)]
fn alloc(site: c_uint, size: usize) -> *mut c_void {
    match door::look(|door| door.reserved(site, size)) {
        Some(Some(object)) => object.as_ptr().cast(),
        _ => unreserved(site, size),
    }
}

#[inline(never)]
extern "C" fn unreserved(site: c_uint, size: usize) -> *mut c_void {
    match door::with(|door| door.unreserved(site, size)) {
        Ok(object) => object.as_ptr().cast(),
        Err(failure) => {
            error::say(&failure);
            ptr::null_mut()
        }
    }
}

/// # Safety
/// `object` is null, or came from `StingyAlloc`, `StingyAllocSize` or malloc(3), and the caller gives
/// it up. What lies where slabs lie is looked at first.
#[unsafe(no_mangle)]
unsafe extern "C" fn StingyFree(object: *mut c_void) {
    // SAFETY: as promised.
    unsafe { free::free(object.cast()) };
}

#[unsafe(no_mangle)]
extern "C" fn StingyOwns(object: *const c_void) -> c_int {
    arena::contains(object.addr()).into()
}

/// # Safety
/// `out` is null, or one can be written there.
#[unsafe(no_mangle)]
unsafe extern "C" fn StingyStats(out: *mut SlabCounters) {
    let counters = ask(|door| Ok(SlabCounters::of(door))).unwrap_or_default();
    if !out.is_null() {
        // SAFETY: as promised.
        unsafe { out.write(counters) };
    }
}

/// # Safety
/// `out` is null, or one can be written there.
#[unsafe(no_mangle)]
unsafe extern "C" fn StingySiteStats(site: c_uint, out: *mut SiteCounters) -> c_int {
    let counters = ask(|door| SiteCounters::of(door, site));
    if !out.is_null() {
        // SAFETY: as promised.
        unsafe { out.write(counters.unwrap_or_default()) };
    }
    if counters.is_some() { 0 } else { -1 }
}

/// # Safety
/// `buffer` is null and `len` 0, or `len` bytes can be written there.
#[unsafe(no_mangle)]
unsafe extern "C" fn StingyStatsText(buffer: *mut c_char, len: usize) -> usize {
    let text = ask(|door| Ok(door.report())).unwrap_or_default();
    if !buffer.is_null() && len > 0 {
        let part = text.len().min(len - 1);
        // SAFETY: as promised there is room for this and the zero byte, in memory of the caller's own.
        unsafe { buffer.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), part) };
        // SAFETY: the same.
        unsafe { buffer.add(part).write(0) };
    }
    text.len()
}

#[unsafe(no_mangle)]
extern "C" fn StingySeal(mode: c_uint) {
    ask(|door| door.seal(mode));
}
