//! Makes an io_uring the best way that this kernel allows.

use std::io;
use std::os::fd::AsRawFd;

use io_uring::squeue::{self, Flags};
use io_uring::{IoUring, cqueue, opcode, register};

use crate::machine;
use crate::options::{Options, RingError};

/// Completion entries for each submission entry: multishot calls complete often.
const COMPLETIONS_PER_ENTRY: u32 = 4;

/// An io_uring, and what is not as it should be.
pub(crate) struct Made {
    pub(crate) ring: IoUring,
    pub(crate) notes: Vec<String>,
    pub(crate) deferred: bool,
    pub(crate) opcodes: Opcodes,
}

/// The opcodes that the kernel has: a bit for each.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Opcodes([u64; 4]);

impl Opcodes {
    /// Asks the kernel.
    fn of(ring: &IoUring) -> io::Result<Self> {
        let mut probe = register::Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        let mut bits = [0; 4];
        for code in (0..=u8::MAX).filter(|code| probe.is_supported(*code)) {
            bits[usize::from(code / 64)] |= 1 << (code % 64);
        }
        Ok(Opcodes(bits))
    }

    /// As if the kernel had them all.
    #[cfg(test)]
    pub(crate) fn all() -> Self {
        Opcodes([u64::MAX; 4])
    }

    /// The kernel has it.
    pub(crate) fn has(&self, code: u8) -> bool {
        self.0[usize::from(code / 64)] >> (code % 64) & 1 != 0
    }
}

type Builder = io_uring::Builder<squeue::Entry, cqueue::Entry>;

fn builder(entries: u32) -> Builder {
    let mut builder = IoUring::builder();
    let completions = entries.next_power_of_two().saturating_mul(COMPLETIONS_PER_ENTRY);
    builder.setup_clamp().setup_cqsize(completions).setup_submit_all().setup_taskrun_flag();
    builder
}

/// Makes an io_uring whose queue a kernel thread polls, and tries it.
pub(crate) fn make_polled(options: &Options) -> Result<Made, RingError> {
    if machine::processors() < 2 {
        return Err(RingError::OneProcessor);
    }
    let entries = options.entries.max(2);
    let mut builder = IoUring::builder();
    let completions = entries.next_power_of_two().saturating_mul(COMPLETIONS_PER_ENTRY);
    builder.setup_clamp().setup_cqsize(completions).setup_submit_all();
    let idle = options.sqpoll_idle.as_nanos().div_ceil(1_000_000);
    builder.setup_sqpoll(u32::try_from(idle).unwrap_or(u32::MAX));
    if let Some(cpu) = options.sqpoll_cpu {
        builder.setup_sqpoll_cpu(cpu as u32);
    }
    let with = match &options.sqpoll_with {
        Some(poller) => Some(poller.0.upgrade().ok_or(RingError::PollerGone)?),
        None => None,
    };
    if let Some(ring) = &with {
        builder.setup_attach_wq(ring.as_raw_fd());
    }
    let at = |step| move |source| RingError::Uring { step, source };
    let mut ring =
        builder.build(entries).map_err(|source| refused("io_uring_setup with SQPOLL", source))?;
    run_nops(&mut ring, 1).map_err(at("one NOP through the poller"))?;
    let opcodes = Opcodes::of(&ring).map_err(at("opcode probe"))?;
    Ok(Made { ring, notes: Vec::new(), deferred: false, opcodes })
}

/// Makes an io_uring of `entries` entries for this thread alone, and tries it: a NOP, and a linked
/// pair of them, go there and back.
pub(crate) fn make(entries: u32) -> Result<Made, RingError> {
    let mut made = set_up(entries.max(2))?;
    let at = |step| move |source| RingError::Uring { step, source };
    run_nops(&mut made.ring, 1).map_err(at("io_uring_enter with one NOP"))?;
    run_nops(&mut made.ring, 2).map_err(at("io_uring_enter with linked NOPs"))?;
    made.opcodes = Opcodes::of(&made.ring).map_err(at("opcode probe"))?;
    Ok(made)
}

fn set_up(entries: u32) -> Result<Made, RingError> {
    let mut best = builder(entries);
    best.setup_single_issuer().setup_defer_taskrun();
    match best.build(entries) {
        Ok(ring) => {
            return Ok(Made {
                ring,
                notes: Vec::new(),
                deferred: true,
                opcodes: Opcodes::default(),
            });
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
        Err(source) => return Err(refused("io_uring_setup", source)),
    }
    let mut older = builder(entries);
    older.setup_coop_taskrun();
    let ring =
        older.build(entries).map_err(|source| refused("io_uring_setup (Linux 5.19 on)", source))?;
    let note = "no DEFER_TASKRUN (Linux 6.1 on): COOP_TASKRUN instead";
    Ok(Made { ring, notes: vec![note.to_owned()], deferred: false, opcodes: Opcodes::default() })
}

fn refused(step: &'static str, source: io::Error) -> RingError {
    match source.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => RingError::Descriptor { step, source },
        _ => RingError::Uring { step, source },
    }
}

/// Runs `n` linked NOPs and counts them back.
fn run_nops(ring: &mut IoUring, n: u64) -> io::Result<()> {
    for i in 0..n {
        let link = if i + 1 < n { Flags::IO_LINK } else { Flags::empty() };
        let nop = opcode::Nop::new().build().flags(link).user_data(i);
        // SAFETY: a NOP points to nothing.
        unsafe { ring.submission().push(&nop) }.map_err(|_| io::ErrorKind::StorageFull)?;
    }
    let mut back = 0;
    while back < n {
        // With a poller, a wait that a signal ends is no error and brings nothing.
        match ring.submit_and_wait((n - back) as usize) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => drop(other?),
        }
        for entry in ring.completion() {
            back += 1;
            if entry.result() != 0 {
                return Err(io::Error::from_raw_os_error(-entry.result()));
            }
        }
    }
    Ok(())
}

/// False on the kernels whose multishot accept was seen to give wrong descriptors together with
/// `DEFER_TASKRUN`: 6.6 to 6.8 (axboe/liburing#1062).
pub(crate) fn multishot_accept_works(release: &str) -> bool {
    !["6.6.", "6.7.", "6.8."].iter().any(|bad| release.starts_with(bad))
}

/// Registers a small ring of provided buffers and takes it away again.
pub(crate) fn try_provided_buffers(ring: &IoUring) -> io::Result<()> {
    let memory = memmap2::MmapMut::map_anon(4096)?;
    let at = memory.as_ptr().expose_provenance() as u64;
    // SAFETY: room for 8 entries of 16 bytes; nothing receives before it is taken away again.
    unsafe { ring.submitter().register_buf_ring_with_flags(at, 8, 7, 0)? };
    ring.submitter().unregister_buf_ring(7)
}
