//! The one file that enters the kernel: pinning threads.

use std::io;
use std::mem;

/// Pins the calling thread to one CPU, by the kernel's number for it.
///
/// # Errors
/// The kernel's, if the CPU is offline or outside of the thread's cpuset; [`io::ErrorKind::InvalidInput`] if its number
/// is beyond what a CPU set can hold.
pub fn pin_thread(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        let message = format!("CPU {cpu} is beyond the {} of a CPU set", libc::CPU_SETSIZE);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    // SAFETY: a CPU set is plain words, for which zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `cpu` is below CPU_SETSIZE, so the bit is inside of the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is a valid set of the size given, and pid 0 is the calling thread.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
