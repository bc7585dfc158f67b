//! Does any system call have the same result, errno and effect through a ring as made directly?
//!
//! A row sets a small world up, makes its calls through the world's door, and notes their results
//! and what can be seen of their effects. It runs twice on equal worlds: once the door is
//! `libc::syscall`, once a ring; the notes must be equal.
//!
//! What belongs to a thread is left out, as a syscall thread has its own: `gettid`, signal masks,
//! `prctl`, scheduling and affinity, `setpriority`, `unshare`, `personality`, `set_robust_list`,
//! `arch_prctl`, `rt_sigreturn`, `sigaltstack`, `get_mempolicy`. So is what would take the test
//! program with it: `exit`, `execve`, `fork`, signals, `setuid` and its kin, `chroot`, `reboot`.

mod events;
mod files;
mod identity;
#[cfg(target_arch = "x86_64")]
mod legacy;
mod memory;
mod paths;
mod sockets;
mod time;

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fmt::Debug;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use flexsc_ring::{Call, Engine, Value};

use crate::support::{Bench, on, options};

/// What a row is called, and what it does.
pub(crate) type Row = (&'static str, fn(&mut World<'_>));

/// Where a world's calls go.
pub(crate) enum Door<'a> {
    Trap,
    Ring(&'a mut Bench),
}

/// A folder, a way into the kernel, and what was seen.
pub(crate) struct World<'a> {
    pub(crate) door: Door<'a>,
    pub(crate) dir: tempfile::TempDir,
    log: Vec<String>,
    numbers: BTreeSet<i64>,
}

/// What can be an argument of a system call.
pub(crate) trait Arg {
    fn arg(&self) -> u64;
}

macro_rules! numbers_are_arguments {
    ($($number:ty),*) => {$(
        impl Arg for $number {
            fn arg(&self) -> u64 {
                *self as i64 as u64
            }
        }
    )*};
}
numbers_are_arguments!(i32, u32, i64, u64, usize);

impl<T> Arg for *const T {
    fn arg(&self) -> u64 {
        self.expose_provenance() as u64
    }
}

impl<T> Arg for *mut T {
    fn arg(&self) -> u64 {
        self.expose_provenance() as u64
    }
}

macro_rules! descriptors_are_arguments {
    ($($fd:ty),*) => {$(
        impl Arg for $fd {
            fn arg(&self) -> u64 {
                self.as_raw_fd().arg()
            }
        }
    )*};
}
descriptors_are_arguments!(OwnedFd, File, std::io::PipeReader, std::io::PipeWriter);

impl Arg for CString {
    fn arg(&self) -> u64 {
        self.as_ptr().arg()
    }
}

/// The arguments of a call, as the kernel takes them.
macro_rules! args {
    ($($arg:expr),* $(,)?) => {
        &[$($crate::conformance::Arg::arg(&$arg)),*]
    };
}
pub(crate) use args;

/// A path that leads nowhere.
pub(crate) const NOWHERE: &std::ffi::CStr = c"/nowhere/at/all";
/// An address that nothing is mapped at.
const BAD: u64 = 8;
/// A descriptor number that is never open.
pub(crate) const CLOSED: i32 = i32::MAX;

/// A C structure of numbers, all zero.
pub(crate) fn blank<T: Copy>() -> T {
    // SAFETY: the rows use it for structures of integers and pointers only.
    unsafe { std::mem::MaybeUninit::zeroed().assume_init() }
}

/// Makes a call directly. The rows pass pointers to memory of their own, or to nothing.
fn trap(number: i64, [a, b, c, d, e, f]: [u64; 6]) -> i64 {
    // SAFETY: see above.
    match unsafe { libc::syscall(number, a, b, c, d, e, f) } {
        -1 => -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        ret => ret,
    }
}

impl World<'_> {
    /// Makes a call and waits for its result, a negated errno if it failed. The rows pass pointers
    /// to memory of their own that outlives this, or to nothing.
    pub(crate) fn call(&mut self, number: i64, args: &[u64]) -> i64 {
        self.numbers.insert(number);
        let mut six = [0; 6];
        six[..args.len()].copy_from_slice(args);
        match &mut self.door {
            Door::Trap => trap(number, six),
            Door::Ring(bench) => {
                // SAFETY: see above.
                let call = unsafe { Call::raw(number as u16, six) };
                match bench.call(call).result {
                    Ok(Value::Raw(ret)) => ret,
                    Ok(other) => panic!("a raw call gives a number, not {other:?}"),
                    Err(failure) => -i64::from(failure.error.raw_os_error().unwrap_or(0)),
                }
            }
        }
    }

    /// Makes a call and notes its result.
    pub(crate) fn exact(&mut self, number: i64, args: &[u64]) -> i64 {
        let ret = self.call(number, args);
        self.log.push(format!("{number} = {ret}"));
        ret
    }

    /// Makes a call and notes whether it worked, or its errno.
    fn works(&mut self, number: i64, args: &[u64]) -> i64 {
        let ret = self.call(number, args);
        self.log.push(format!("{number} = {}", if ret < 0 { ret } else { 0 }));
        ret
    }

    /// Makes a call that makes a descriptor, and notes its flags, or the errno.
    fn fd(&mut self, number: i64, args: &[u64]) -> OwnedFd {
        let ret = self.call(number, args);
        assert!(ret >= 0, "call {number} makes a descriptor: errno {}", -ret);
        let fd = ret as i32;
        // SAFETY: no pointers.
        let flags = unsafe { (libc::fcntl(fd, libc::F_GETFD), libc::fcntl(fd, libc::F_GETFL)) };
        self.log.push(format!("{number} = a descriptor, {flags:?}"));
        // SAFETY: the call has made it, for nobody else.
        unsafe { OwnedFd::from_raw_fd(fd) }
    }

    /// Notes what can be seen.
    pub(crate) fn note(&mut self, seen: impl Debug) {
        self.log.push(format!("{seen:?}"));
    }

    /// A path in the world's folder.
    pub(crate) fn path(&self, name: &str) -> CString {
        let path = self.dir.path().join(name).into_os_string().into_encoded_bytes();
        CString::new(path).expect("no NUL")
    }

    /// A file of these bytes, open for reading and writing.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> File {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).expect("written");
        File::options().read(true).write(true).open(path).expect("opened")
    }

    /// Notes what a file holds.
    pub(crate) fn note_file(&mut self, name: &str) {
        let bytes = fs::read(self.dir.path().join(name)).map_err(|error| error.kind());
        self.note(bytes);
    }

    /// Notes what a descriptor is of.
    fn note_fd(&mut self, fd: &impl AsRawFd) {
        // SAFETY: the caller's is open.
        let fd = unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) };
        let file = File::from(fd.try_clone_to_owned().expect("a copy"));
        let seen = file.metadata().map(|m| (m.len(), m.file_type(), m.permissions()));
        self.note(seen.map_err(|error| error.kind()));
    }
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for table in [
        files::ROWS,
        paths::ROWS,
        sockets::ROWS,
        events::ROWS,
        memory::ROWS,
        time::ROWS,
        identity::ROWS,
        #[cfg(target_arch = "x86_64")]
        legacy::ROWS,
    ] {
        rows.extend_from_slice(table);
    }
    rows
}

/// Runs a row in a new world; its notes, and the numbers of its calls.
pub(crate) fn run(door: Door<'_>, row: Row) -> (Vec<String>, BTreeSet<i64>) {
    let dir = tempfile::tempdir().expect("a directory");
    let mut world = World { door, dir, log: Vec::new(), numbers: BTreeSet::new() };
    (row.1)(&mut world);
    (world.log, world.numbers)
}

pub(crate) fn every_row_is_as_if_made_directly(engine: Engine, rows: &[Row]) {
    on(&options(engine), |bench| {
        for row in rows.iter().copied() {
            let (expected, _) = run(Door::Trap, row);
            let (found, _) = run(Door::Ring(bench), row);
            assert_eq!(found, expected, "{}, on {engine}", row.0);
        }
    });
}

#[test]
fn raw_calls_on_direct_are_as_if_made_directly() {
    every_row_is_as_if_made_directly(Engine::Direct, &rows());
}

#[test]
fn raw_calls_on_threads_are_as_if_made_directly() {
    every_row_is_as_if_made_directly(Engine::Threads, &rows());
}

#[test]
fn raw_calls_on_uring_are_as_if_made_directly() {
    every_row_is_as_if_made_directly(Engine::Uring, &rows());
}

#[test]
fn raw_calls_on_sqpoll_are_as_if_made_directly() {
    every_row_is_as_if_made_directly(Engine::Sqpoll, &rows());
}

#[test]
fn the_table_has_at_least_eighty_different_system_calls() {
    let mut numbers = BTreeSet::new();
    rows().into_iter().for_each(|row| numbers.extend(run(Door::Trap, row).1));
    numbers.retain(|number| *number != identity::UNKNOWN);
    println!("{} system calls, {} rows", numbers.len(), rows().len());
    assert!(numbers.len() >= 80, "{}: {numbers:?}", numbers.len());
}

#[test]
fn every_row_of_the_table_says_something_else() {
    let names: BTreeSet<_> = rows().into_iter().map(|row| row.0).collect();
    assert_eq!(names.len(), rows().len());
}
