//! Rows on memory: mappings, their protection and advice, memory files, other eyes on it.

use std::fs::File;
use std::io::Read;

use super::{BAD, CLOSED, Row, World, args};

const PAGE: u64 = 4_096;
const READ_WRITE: i32 = libc::PROT_READ | libc::PROT_WRITE;
const ANONYMOUS: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

impl World<'_> {
    /// Maps pages of zeros.
    fn map(&mut self, pages: u64) -> u64 {
        let at = self.works(libc::SYS_mmap, args![0, pages * PAGE, READ_WRITE, ANONYMOUS, -1, 0]);
        u64::try_from(at).expect("mapped")
    }

    fn unmap(&mut self, at: u64, pages: u64) {
        self.exact(libc::SYS_munmap, args![at, pages * PAGE]);
    }
}

/// The byte at an address of a mapping.
fn byte(at: u64) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(at as usize)
}

pub(super) const ROWS: &[Row] = &[
    ("mmap gives zeros, munmap takes them back", |w| {
        let at = w.map(2);
        // SAFETY: mapped for reading and writing above, and nobody else's.
        let seen = unsafe {
            byte(at).write(7);
            (byte(at).read(), byte(at + PAGE).read())
        };
        w.note(seen);
        w.unmap(at, 2);
        w.exact(libc::SYS_munmap, args![at + 1, PAGE]);
        w.exact(libc::SYS_munmap, args![at, 0]);
        w.exact(libc::SYS_mmap, args![0, 0, READ_WRITE, ANONYMOUS, -1, 0]);
        w.exact(libc::SYS_mmap, args![0, PAGE, READ_WRITE, 0, -1, 0]);
        w.exact(libc::SYS_mmap, args![0, PAGE, READ_WRITE, libc::MAP_SHARED, CLOSED, 0]);
    }),
    ("a mapped file shows its bytes, msync writes them", |w| {
        let file = w.file("f", b"mapped bytes");
        let shared = libc::MAP_SHARED;
        let at = w.works(libc::SYS_mmap, args![0, PAGE, READ_WRITE, shared, file, 0]) as u64;
        // SAFETY: mapped above; the file has twelve bytes.
        w.note(unsafe { (byte(at).read(), byte(at + 11).read()) });
        // SAFETY: as above.
        unsafe { byte(at).write(b'M') };
        w.exact(libc::SYS_msync, args![at, PAGE, libc::MS_SYNC]);
        w.exact(libc::SYS_msync, args![at + 1, PAGE, libc::MS_SYNC]);
        w.exact(libc::SYS_msync, args![at, PAGE, libc::MS_SYNC | libc::MS_ASYNC]);
        w.note_file("f");
        w.unmap(at, 1);
        w.exact(libc::SYS_mmap, args![0, PAGE, READ_WRITE, shared, file, 5]);
    }),
    ("mprotect, madvise and mincore look after pages", |w| {
        let at = w.map(4);
        w.exact(libc::SYS_mprotect, args![at, PAGE, libc::PROT_READ]);
        w.exact(libc::SYS_mprotect, args![at + 3, PAGE, libc::PROT_READ]);
        w.exact(libc::SYS_mprotect, args![at, PAGE, 1 << 20]);
        // SAFETY: mapped above; the second page is still writable.
        unsafe { byte(at + PAGE).write(9) };
        let mut there = [9u8; 4];
        w.exact(libc::SYS_mincore, args![at + PAGE, PAGE, there.as_mut_ptr()]);
        w.note(there);
        w.exact(libc::SYS_madvise, args![at + PAGE, PAGE, libc::MADV_DONTNEED]);
        // SAFETY: as above.
        w.note(unsafe { byte(at + PAGE).read() });
        w.exact(libc::SYS_madvise, args![at, PAGE, 9_999]);
        w.exact(libc::SYS_madvise, args![at + 1, PAGE, libc::MADV_NORMAL]);
        w.exact(libc::SYS_mincore, args![at, PAGE, BAD]);
        w.unmap(at, 4);
    }),
    ("mremap moves a mapping with its bytes", |w| {
        let at = w.map(1);
        // SAFETY: mapped above.
        unsafe { byte(at).write(5) };
        let grown = args![at, PAGE, 3 * PAGE, libc::MREMAP_MAYMOVE];
        let at = w.works(libc::SYS_mremap, grown) as u64;
        // SAFETY: three pages, the first one moved with its byte.
        w.note(unsafe { (byte(at).read(), byte(at + 2 * PAGE).read()) });
        w.exact(libc::SYS_mremap, args![at, PAGE, 0, 0]);
        w.exact(libc::SYS_mremap, args![at, PAGE, PAGE, 1 << 20]);
        w.unmap(at, 3);
    }),
    ("pages are locked and unlocked", |w| {
        let at = w.map(1);
        w.exact(libc::SYS_mlock, args![at, PAGE]);
        w.exact(libc::SYS_munlock, args![at, PAGE]);
        w.exact(libc::SYS_mlock2, args![at, PAGE, libc::MLOCK_ONFAULT]);
        w.exact(libc::SYS_mlock2, args![at, PAGE, 77]);
        w.unmap(at, 1);
        w.exact(libc::SYS_mlock, args![BAD, PAGE]);
        w.exact(libc::SYS_munlock, args![BAD, PAGE]);
    }),
    ("a memory file is a file", |w| {
        let make = libc::SYS_memfd_create;
        let memory = w.fd(make, args![c"note".as_ptr(), libc::MFD_CLOEXEC]);
        w.exact(libc::SYS_pwrite64, args![memory, c"kept".as_ptr(), 4, 0]);
        let mut text = String::new();
        let mut file = File::from(memory);
        file.read_to_string(&mut text).expect("read");
        w.note(text);
        w.exact(make, args![c"note".as_ptr(), 1 << 30]);
        w.exact(make, args![BAD, 0]);
    }),
    ("a process reads its own memory from outside", |w| {
        let (mut from, mut to) = (*b"here", *b"....");
        let local = libc::iovec { iov_base: to.as_mut_ptr().cast(), iov_len: 4 };
        let remote = libc::iovec { iov_base: from.as_mut_ptr().cast(), iov_len: 4 };
        let me = std::process::id();
        let (local, remote) = (&raw const local, &raw const remote);
        w.exact(libc::SYS_process_vm_readv, args![me, local, 1, remote, 1, 0]);
        w.note(to);
        w.exact(libc::SYS_process_vm_writev, args![me, local, 1, remote, 1, 0]);
        w.exact(libc::SYS_process_vm_readv, args![me, local, 1, remote, 1, 77]);
        w.exact(libc::SYS_process_vm_readv, args![me, BAD, 1, remote, 1, 0]);
    }),
    ("random bytes are given", |w| {
        let mut bytes = [0u8; 32];
        w.exact(libc::SYS_getrandom, args![bytes.as_mut_ptr(), 32, 0]);
        w.note(bytes != [0; 32]);
        w.exact(libc::SYS_getrandom, args![bytes.as_mut_ptr(), 32, 77 << 8]);
        w.exact(libc::SYS_getrandom, args![BAD, 32, 0]);
    }),
    ("a barrier says what it can do", |w| {
        w.exact(libc::SYS_membarrier, args![libc::MEMBARRIER_CMD_QUERY, 0, 0]);
        w.exact(libc::SYS_membarrier, args![libc::MEMBARRIER_CMD_QUERY, 77, 0]);
        w.exact(libc::SYS_membarrier, args![1 << 30, 0, 0]);
    }),
];
