//! Which of io_uring's abilities work here? Each is tried on an io_uring of its own.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use io_uring::types::{BufRingEntry, DestinationSlot, Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, register, squeue};
use memmap2::MmapMut;

use crate::engine::setup;
use crate::machine;
use crate::options::RingError;
use crate::sys;

/// An ability, by the name that reports give it, and how it is tried.
pub(super) type Trial = (&'static str, fn() -> io::Result<()>);

pub(super) const MULTISHOT_ACCEPT: Trial = ("multishot accept", multishot_accept);
pub(super) const MULTISHOT_RECV: Trial = ("multishot receive", multishot_recv);
pub(super) const CANCEL: Trial = ("cancellation", cancel);
pub(super) const DIRECT_DESCRIPTORS: Trial = ("direct descriptors", direct_descriptors);
pub(super) const SQPOLL: Trial = ("SQPOLL", sqpoll);

/// The opcodes that the engine uses, by the kernel's names.
const OPCODES: [(&str, u8); 11] = [
    ("NOP", opcode::Nop::CODE),
    ("ACCEPT", opcode::Accept::CODE),
    ("RECV", opcode::Recv::CODE),
    ("SEND", opcode::Send::CODE),
    ("READ", opcode::Read::CODE),
    ("WRITE", opcode::Write::CODE),
    ("OPENAT2", opcode::OpenAt2::CODE),
    ("STATX", opcode::Statx::CODE),
    ("CLOSE", opcode::Close::CODE),
    ("POLL_ADD", opcode::PollAdd::CODE),
    ("ASYNC_CANCEL", opcode::AsyncCancel::CODE),
];

/// How many opcodes the kernel has, and which of the engine's it lacks.
pub(super) fn opcodes(ring: &IoUring) -> io::Result<(usize, Vec<&'static str>)> {
    let mut known = register::Probe::new();
    ring.submitter().register_probe(&mut known)?;
    let count = (0..=u8::MAX).filter(|op| known.is_supported(*op)).count();
    let missing = OPCODES.iter().filter(|(_, code)| !known.is_supported(*code));
    Ok((count, missing.map(|(name, _)| *name).collect()))
}

/// How long a completion may take that should come at once.
const SOON: Timespec = Timespec::new().sec(1);

/// `user_data` of what is tried, and of its cancellation.
const TRIED: u64 = 1;
const CANCELLING: u64 = 2;

fn ring() -> io::Result<IoUring> {
    setup::make(8).map(|made| made.ring).map_err(|error| match error {
        RingError::Uring { source, .. } | RingError::Descriptor { source, .. } => source,
        other => io::Error::other(other),
    })
}

fn push(ring: &mut IoUring, entry: squeue::Entry, user: u64) -> io::Result<()> {
    // SAFETY: the trials push entries whose memory outlives the io_uring, or its last completion.
    unsafe { ring.submission().push(&entry.user_data(user)) }
        .map_err(|_| io::ErrorKind::StorageFull.into())
}

/// Submits, and waits for the next completion.
fn next(ring: &mut IoUring) -> io::Result<cqueue::Entry> {
    if let Some(entry) = ring.completion().next() {
        return Ok(entry);
    }
    ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&SOON))?;
    ring.completion().next().ok_or_else(|| io::ErrorKind::TimedOut.into())
}

/// As `next`, for a completion that succeeds.
fn good(ring: &mut IoUring) -> io::Result<cqueue::Entry> {
    let entry = next(ring)?;
    match entry.result() {
        0.. => Ok(entry),
        errno => Err(sys::error_of(errno.into())),
    }
}

fn expect(holds: bool, what: &str) -> io::Result<()> {
    if holds { Ok(()) } else { Err(io::Error::other(what.to_owned())) }
}

/// Two connections by one accept; each is the one that was made, which was not so on some kernels.
fn multishot_accept() -> io::Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    expect(
        setup::multishot_accept_works(&machine::kernel_release()),
        "kernels 6.6 to 6.8 were seen to give wrong descriptors",
    )?;
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("flexsc-ring probe {} {number}", std::process::id());
    let address = SocketAddr::from_abstract_name(name)?;
    let listener = UnixListener::bind_addr(&address)?;
    let mut ring = ring()?;
    let accept = opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).flags(libc::SOCK_CLOEXEC);
    push(&mut ring, accept.build(), TRIED)?;
    for byte in [1, 2] {
        let mut client = UnixStream::connect_addr(&address)?;
        client.write_all(&[byte])?;
        let entry = good(&mut ring)?;
        // SAFETY: the result of an accept, which is looked at once.
        let mut accepted = UnixStream::from(unsafe { sys::adopt(entry.result().into()) });
        accepted.set_nonblocking(true)?;
        let mut got = [0];
        accepted.read_exact(&mut got)?;
        expect(got == [byte], "another connection than the one that was made")?;
        expect(cqueue::more(entry.flags()), "the accept ended after one connection")?;
    }
    Ok(())
}

/// A ring of provided buffers: two entries in one page, two buffers in the next.
fn provide(ring: &IoUring, group: u16) -> io::Result<MmapMut> {
    const ENTRIES: u16 = 2;
    const PAGE: usize = 4096;
    let mut memory = MmapMut::map_anon(2 * PAGE)?;
    let base = memory.as_mut_ptr();
    let entries = base.cast::<BufRingEntry>();
    for id in 0..ENTRIES {
        // SAFETY: both entries lie in the first page, both buffers of 64 bytes in the second.
        unsafe {
            let entry = &mut *entries.add(usize::from(id));
            entry.set_addr(base.add(PAGE + 64 * usize::from(id)).expose_provenance() as u64);
            entry.set_len(64);
            entry.set_bid(id);
        }
    }
    // SAFETY: the caller keeps the memory for as long as a receive may use it.
    unsafe {
        let at = base.expose_provenance() as u64;
        ring.submitter().register_buf_ring_with_flags(at, ENTRIES, group, 0)?;
        // The tail lies in the first entry, aligned; the kernel reads it atomically.
        AtomicU16::from_ptr(BufRingEntry::tail(entries).cast_mut())
            .store(ENTRIES, Ordering::Release);
    }
    Ok(memory)
}

/// Two messages and the end of a stream by one receive.
fn multishot_recv() -> io::Result<()> {
    const GROUP: u16 = 7;
    let (ours, mut theirs) = UnixStream::pair()?;
    let mut ring = ring()?;
    let memory = provide(&ring, GROUP)?;
    push(&mut ring, opcode::RecvMulti::new(Fd(ours.as_raw_fd()), GROUP).build(), TRIED)?;
    let received = (|| {
        for _ in 0..2 {
            theirs.write_all(&[1])?;
            let entry = good(&mut ring)?;
            expect(entry.result() == 1 && cqueue::more(entry.flags()), "it ended too early")?;
        }
        Ok(())
    })();
    // The memory may go only when nothing receives any more.
    drop(theirs);
    let ended = received.is_ok() && next(&mut ring).is_ok_and(|end| !cqueue::more(end.flags()));
    drop(ring);
    if !ended {
        std::mem::forget(memory);
    }
    received.and_then(|()| expect(ended, "its last completion did not come"))
}

/// A poll that would wait for ever ends when it is cancelled.
fn cancel() -> io::Result<()> {
    let (ours, _theirs) = UnixStream::pair()?;
    let mut ring = ring()?;
    let poll = opcode::PollAdd::new(Fd(ours.as_raw_fd()), libc::POLLIN as u32);
    push(&mut ring, poll.build(), TRIED)?;
    ring.submit()?;
    push(&mut ring, opcode::AsyncCancel::new(TRIED).build(), CANCELLING)?;
    for _ in 0..2 {
        let entry = next(&mut ring)?;
        let expected = if entry.user_data() == TRIED { -libc::ECANCELED } else { 0 };
        expect(entry.result() == expected, "the call went on")?;
    }
    Ok(())
}

/// A directory is opened into the ring's own table, and closed there.
fn direct_descriptors() -> io::Result<()> {
    let mut ring = ring()?;
    ring.submitter().register_files_sparse(1)?;
    let slot = DestinationSlot::try_from_slot_target(0)
        .map_err(|_| io::Error::from(io::ErrorKind::Unsupported))?;
    let open = opcode::OpenAt::new(Fd(libc::AT_FDCWD), c"/".as_ptr());
    let open = open.flags(libc::O_RDONLY | libc::O_DIRECTORY).file_index(Some(slot));
    push(&mut ring, open.build(), TRIED)?;
    good(&mut ring)?;
    push(&mut ring, opcode::Close::new(Fixed(0)).build(), TRIED)?;
    good(&mut ring).map(drop)
}

/// A kernel thread takes an entry from the queue.
fn sqpoll() -> io::Result<()> {
    let mut ring = IoUring::builder().setup_sqpoll(1).build(2)?;
    push(&mut ring, opcode::Nop::new().build(), TRIED)?;
    good(&mut ring).map(drop)
}
