//! The calls that a program makes itself, by trap.

use std::ffi::CStr;
use std::hint::black_box;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};

/// Enters the kernel and does nothing there.
pub(super) fn nothing() {
    black_box(rustix::process::getppid());
}

/// Opens a file for reading.
pub(super) fn open(path: &CStr) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Asks about an open file: its length in bytes.
pub(super) fn stat(file: impl AsFd) -> io::Result<u64> {
    let (flags, wanted) = (AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS);
    Ok(rustix::fs::statx(file, c"", flags, wanted)?.stx_size)
}

/// Reads from the file's beginning.
pub(super) fn read(file: impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::pread(file, buf, 0)?)
}

/// Writes to the file's beginning.
pub(super) fn write(file: impl AsFd, buf: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::pwrite(file, buf, 0)?)
}
