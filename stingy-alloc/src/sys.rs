//! The kernel and the processor: every call that leaves the program.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

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

fn done(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Pages of address space, owned by the caller: nothing else of the program lies there.
///
/// The methods that change what lies there are for that owner alone, and only for as much of it as
/// holds nothing that is in use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pages {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: only the name of a range; who may do what with it is the contract of the methods.
unsafe impl Send for Pages {}
// SAFETY: the same.
unsafe impl Sync for Pages {}

/// How [`Pages::map`] maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Zeroed, of plain pages.
    Plain,
    /// Zeroed, of the pool of reserved huge pages.
    HugeTlb,
    /// Not accessible, and without memory.
    Hole,
    /// The same, and only where nothing is mapped.
    NewHole,
}

/// What the kernel is told about a range, by the names of madvise(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    PopulateWrite,
    HugePage,
    NoHugePage,
    Collapse,
    DontFork,
}

impl Pages {
    /// Reserves inaccessible address space, aligned to `align`, for as long as the process lives.
    pub(crate) fn reserve(len: usize, align: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let null = std::ptr::null_mut();
        // SAFETY: a new mapping where the kernel likes, which can hurt nobody.
        let start = unsafe { libc::mmap(null, len + align, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = start.cast::<u8>();
        // The few pages before and after the aligned part stay reserved and unused.
        let start = start.wrapping_add(start.align_offset(align));
        NonNull::new(start)
            .map(|start| Self { start, len })
            .ok_or_else(|| io::Error::other("the kernel mapped the null page"))
    }

    pub(crate) fn start(self) -> NonNull<u8> {
        self.start
    }

    pub(crate) fn len(self) -> usize {
        self.len
    }

    /// A part of it.
    pub(crate) fn part(self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {self:?}");
        // SAFETY: within the range, by the assertion.
        Self { start: unsafe { self.start.add(range.start) }, len: range.len() }
    }

    /// Puts fresh memory there, or a hole.
    ///
    /// # Safety
    /// The caller owns these pages, and nothing in them is in use.
    pub(crate) unsafe fn map(self, kind: Kind) -> io::Result<()> {
        let mut flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let mut access = libc::PROT_READ | libc::PROT_WRITE;
        match kind {
            Kind::Plain => flags |= libc::MAP_NORESERVE,
            Kind::HugeTlb => flags |= libc::MAP_HUGETLB | libc::MAP_HUGE_2MB,
            Kind::Hole | Kind::NewHole => {
                flags |= libc::MAP_NORESERVE;
                access = libc::PROT_NONE;
            }
        }
        if kind == Kind::NewHole {
            flags = flags & !libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE;
        }
        // SAFETY: replaces pages that, as promised, are the caller's and unused.
        let at = unsafe { libc::mmap(self.start.as_ptr().cast(), self.len, access, flags, -1, 0) };
        if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Tells the kernel about pages that [`map`](Self::map) mapped; their contents stay.
    pub(crate) fn advise(self, advice: Advice) -> io::Result<()> {
        let advice = match advice {
            Advice::PopulateWrite => libc::MADV_POPULATE_WRITE,
            Advice::HugePage => libc::MADV_HUGEPAGE,
            Advice::NoHugePage => libc::MADV_NOHUGEPAGE,
            Advice::Collapse => MADV_COLLAPSE,
            Advice::DontFork => libc::MADV_DONTFORK,
        };
        // SAFETY: none of these changes a byte of this process.
        done(unsafe { libc::madvise(self.start.as_ptr().cast(), self.len, advice) })
    }

    /// Keeps the pages in memory.
    pub(crate) fn lock(self) -> io::Result<()> {
        // SAFETY: locking keeps their contents.
        done(unsafe { libc::mlock(self.start.as_ptr().cast(), self.len) })
    }

    /// How many bytes are mapped by huge pages, as the page tables have it now.
    pub(crate) fn huge_bytes(self) -> io::Result<usize> {
        huge_bytes(self.start.addr().get(), self.len)
    }
}

/// Has `child` run in the child after every `fork`, before `fork` returns there.
pub(crate) fn after_fork(child: extern "C" fn()) -> io::Result<()> {
    // SAFETY: the handler is a function of the whole program. A library that holds it may be unloaded
    // only together with its handlers, which glibc sees to.
    match unsafe { libc::pthread_atfork(None, None, Some(child)) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// `len` bytes of malloc(3).
pub(crate) fn malloc(len: usize) -> Option<NonNull<u8>> {
    // SAFETY: takes any length, and says null if there is no memory.
    NonNull::new(unsafe { libc::malloc(len) }.cast())
}

/// Gives back what malloc(3) gave.
///
/// # Safety
/// It did, here or in another part of the program, and the caller gives the block up.
#[inline]
pub(crate) unsafe fn free(block: NonNull<u8>) {
    // SAFETY: as promised.
    unsafe { libc::free(block.as_ptr().cast()) };
}

fn huge_bytes(start: usize, len: usize) -> io::Result<usize> {
    let start = start as u64;
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
