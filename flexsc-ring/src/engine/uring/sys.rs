//! The ways into the kernel that are io_uring's own.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use crate::sys::seconds;

/// Enters an io_uring: submits, and waits for `want` completions, at most for `timeout`.
/// `ring` is a descriptor, or the index of a registered one with `REGISTERED_RING` in `flags`.
pub(crate) fn uring_enter(
    ring: RawFd,
    submit: u32,
    want: u32,
    flags: u32,
    timeout: Option<Duration>,
) -> io::Result<u32> {
    #[repr(C)]
    struct Arg {
        sigmask: u64,
        sigmask_size: u32,
        min_wait_us: u32,
        timespec: u64,
    }
    #[repr(C)]
    struct Timespec {
        secs: i64,
        nanos: i64,
    }
    let number = libc::SYS_io_uring_enter;
    let ret = match timeout {
        None => {
            let none = std::ptr::null::<u8>();
            // SAFETY: no argument structure; the entries were pushed under their own contract.
            unsafe { libc::syscall(number, ring, submit, want, flags, none, 0) }
        }
        Some(t) => {
            let spec = Timespec { secs: seconds(t), nanos: t.subsec_nanos().into() };
            let timespec = (&raw const spec).expose_provenance() as u64;
            let arg = Arg { sigmask: 0, sigmask_size: 0, min_wait_us: 0, timespec };
            let flags = flags | io_uring::EnterFlags::EXT_ARG.bits();
            // SAFETY: `arg` and `spec` outlive the call.
            unsafe { libc::syscall(number, ring, submit, want, flags, &arg, size_of::<Arg>()) }
        }
    };
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret as u32) }
}

/// `io_uring_rsrc_update`.
#[repr(C)]
struct RingFd {
    offset: u32,
    reserved: u32,
    data: u64,
}

fn update_ring_fds(ring: RawFd, operation: u32, update: &mut RingFd) -> io::Result<()> {
    let number = libc::SYS_io_uring_register;
    // SAFETY: `update` outlives the call and has the layout of `io_uring_rsrc_update`.
    let ret = unsafe { libc::syscall(number, ring, operation, std::ptr::from_mut(update), 1) };
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Registers an io_uring's own descriptor with this thread, which holds 16 of them; gives the index
/// to enter it by. The thread keeps the io_uring alive until `unregister_ring_fd`.
pub(crate) fn register_ring_fd(ring: RawFd) -> io::Result<RawFd> {
    const REGISTER_RING_FDS: u32 = 20;
    let mut update = RingFd { offset: u32::MAX, reserved: 0, data: ring as u64 };
    update_ring_fds(ring, REGISTER_RING_FDS, &mut update)?;
    Ok(update.offset as RawFd)
}

/// Takes back what `register_ring_fd` did on this thread.
pub(crate) fn unregister_ring_fd(ring: RawFd, index: RawFd) {
    const UNREGISTER_RING_FDS: u32 = 21;
    let mut update = RingFd { offset: index as u32, reserved: 0, data: 0 };
    let _ = update_ring_fds(ring, UNREGISTER_RING_FDS, &mut update);
}
