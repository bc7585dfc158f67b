//! The kernel and the processor: every call that leaves the program, apart from mmap by `memmap2`.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use memmap2::MmapRaw;

/// Bytes of the huge page that a slab asks for.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// Since Linux 6.1; libc has it for glibc only.
const MADV_COLLAPSE: libc::c_int = 25;
/// `_IOWR('f', 16, struct pm_scan_arg)`, since Linux 6.7.
const PAGEMAP_SCAN: u64 = 0xC060_6610;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_HUGE: u64 = 1 << 6;

/// `struct pm_scan_arg` of linux/fs.h.
#[repr(C)]
#[derive(Default)]
struct PmScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region` of linux/fs.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct PageRegion {
    start: u64,
    end: u64,
    categories: u64,
}

/// The processor that runs this thread.
pub(crate) fn current_cpu() -> Option<u32> {
    // SAFETY: takes nothing and touches no memory of ours.
    u32::try_from(unsafe { libc::sched_getcpu() }).ok()
}

/// Whether a hypervisor is beneath us, where the processor tells.
pub(crate) fn hypervisor() -> Option<bool> {
    #[cfg(target_arch = "x86_64")]
    return Some(std::arch::x86_64::__cpuid(1).ecx >> 31 == 1);
    #[cfg(not(target_arch = "x86_64"))]
    return None;
}

/// The address range of `len` bytes from `offset` in a mapping, if it lies within.
fn range(map: &MmapRaw, offset: usize, len: usize) -> io::Result<*mut libc::c_void> {
    match offset.checked_add(len).is_some_and(|end| end <= map.len()) {
        true => Ok(map.as_mut_ptr().wrapping_add(offset).cast()),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gathers faulted pages into huge ones, whatever the system-wide switch says.
pub(crate) fn collapse(map: &MmapRaw, offset: usize, len: usize) -> io::Result<()> {
    let start = range(map, offset, len)?;
    // SAFETY: the range lies within a live mapping, and collapsing keeps its contents.
    done(unsafe { libc::madvise(start, len, MADV_COLLAPSE) })
}

/// Keeps the range in memory.
pub(crate) fn lock(map: &MmapRaw, offset: usize, len: usize) -> io::Result<()> {
    let start = range(map, offset, len)?;
    // SAFETY: the range lies within a live mapping, and locking keeps its contents.
    done(unsafe { libc::mlock(start, len) })
}

/// How many bytes of the range are mapped by huge pages, as the page tables have it now.
pub(crate) fn huge_bytes(map: &MmapRaw, offset: usize, len: usize) -> io::Result<usize> {
    let start = range(map, offset, len)? as u64;
    let pagemap = File::open("/proc/self/pagemap")?;
    let (mut at, end, mut found) = (start, start + len as u64, 0);
    while at < end {
        let mut regions = [PageRegion::default(); 16];
        let mut arg = PmScanArg {
            size: size_of::<PmScanArg>() as u64,
            start: at,
            end,
            vec: regions.as_mut_ptr() as u64,
            vec_len: regions.len() as u64,
            category_mask: PAGE_IS_PRESENT | PAGE_IS_HUGE,
            return_mask: PAGE_IS_HUGE,
            ..PmScanArg::default()
        };
        // SAFETY: the kernel writes the two structures, which have its layout and outlive the call,
        // and at most `vec_len` regions; it only looks at the page tables of the range.
        let n = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN as _, &raw mut arg) };
        let Ok(n) = usize::try_from(n) else { return Err(io::Error::last_os_error()) };
        found +=
            regions.iter().take(n).map(|r| r.end.saturating_sub(r.start) as usize).sum::<usize>();
        if arg.walk_end <= at {
            break;
        }
        at = arg.walk_end;
    }
    Ok(found)
}
