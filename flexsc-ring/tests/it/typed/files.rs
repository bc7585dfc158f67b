//! Rows on files, names and mappings.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use flexsc_ring::{
    Advice, AnyRing, CURRENT, CWD, Call, Engine, Lock, Mapping, Options, Ring, Value,
};

use super::Got;
use crate::conformance::{CLOSED, Door, Row, World, args, blank};

/// A name that no file system holds.
fn long_name() -> CString {
    CString::new(vec![b'x'; 5_000]).expect("no NUL")
}

fn parts(bytes: &mut [u8], cut: usize) -> [libc::iovec; 2] {
    let (a, b) = bytes.split_at_mut(cut);
    [a, b].map(|p| libc::iovec { iov_base: p.as_mut_ptr().cast(), iov_len: p.len() })
}

/// Memory that a ring has mapped.
fn memory(len: usize) -> Mapping {
    let mut ring: AnyRing<Vec<u8>> =
        AnyRing::new(&Options::with_engine(Engine::Direct)).expect("made");
    ring.submit(Call::map_memory(len), 1).expect("room");
    ring.flush().expect("flushed");
    let mut mapped = None;
    ring.reap(&mut |done| mapped = done.result.ok());
    match mapped {
        Some(Value::Mapped(mapping)) => mapping,
        other => panic!("not mapped: {other:?}"),
    }
}

impl World<'_> {
    fn opens(&mut self, call: Call<Vec<u8>>, args: &[u64]) {
        let fd = match self.same(call, libc::SYS_openat2, args) {
            Got::Value(Value::Opened(fd)) => fd,
            // SAFETY: the oracle has just made it.
            Got::Number(fd @ 0..) => unsafe { std::os::fd::FromRawFd::from_raw_fd(fd as i32) },
            _ => return,
        };
        self.note(File::from(fd).metadata().map(|m| (m.len(), m.file_type())).ok());
    }

    fn names(&mut self) {
        let entries = fs::read_dir(self.dir.path()).expect("listed");
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        self.note(names);
    }

    /// Reads into two buffers, of three bytes and of five.
    fn reads_all(&mut self, file: &impl AsRawFd, offset: u64, nowait: bool) {
        let fd = file.as_raw_fd();
        let bufs = vec![vec![b'.'; 3], vec![b'.'; 5]];
        let call = Call::ReadVectored { fd, bufs, offset, nowait };
        let mut ours = [b'.'; 8];
        let parts = parts(&mut ours, 3);
        let flags = if nowait { libc::RWF_NOWAIT } else { 0 };
        let args = args![fd, parts.as_ptr(), 2, offset, 0, flags];
        match self.same(call, libc::SYS_preadv2, args) {
            Got::Value(Value::MovedAll { bufs, .. }) => self.note(bufs.concat()),
            Got::Value(other) => panic!("{other:?}"),
            Got::Number(_) => self.note(ours.to_vec()),
        }
    }

    fn writes_all(&mut self, file: &impl AsRawFd, offset: u64) {
        let fd = file.as_raw_fd();
        let call = Call::write_vectored(fd, vec![b"one, ".to_vec(), b"two".to_vec()], offset);
        let mut ours = *b"one, two";
        let parts = parts(&mut ours, 5);
        self.same(call, libc::SYS_pwritev2, args![fd, parts.as_ptr(), 2, offset, 0, 0]);
    }
}

pub(super) const ROWS: &[Row] = &[
    ("nothing", |w| {
        w.same(Call::nop(), libc::SYS_sched_yield, args![]);
    }),
    ("open, stat, close", |w| {
        w.file("f", b"12345");
        let how = [libc::O_CLOEXEC as u64, 0, 0];
        for path in [w.path("f"), w.path("absent"), w.path(""), long_name()] {
            let call = Call::open(CWD, path.clone());
            w.opens(call, args![CWD, path, how.as_ptr(), 24]);
            let mut stat: libc::statx = blank();
            let args = args![CWD, path, 0, libc::STATX_BASIC_STATS, &raw mut stat];
            match w.same(Call::stat(CWD, path.clone()), libc::SYS_statx, args) {
                Got::Value(Value::Stat(stat)) => w.note((stat.mode, stat.nlink)),
                Got::Value(other) => panic!("{other:?}"),
                Got::Number(0) => w.note((u32::from(stat.stx_mode), stat.stx_nlink)),
                Got::Number(_) => {}
            }
        }
        w.opens(Call::open(CLOSED, c"f".into()), args![CLOSED, c"f".as_ptr(), how.as_ptr(), 24]);
        let fd = OwnedFd::from(w.file("f", b""));
        match &w.door {
            Door::Trap => {
                let raw = std::os::fd::IntoRawFd::into_raw_fd(fd);
                w.same(Call::nop(), libc::SYS_close, args![raw]);
            }
            Door::Ring(_) => drop(w.same(Call::close(fd), libc::SYS_close, args![])),
        }
    }),
    ("read and write", |w| {
        let file = w.file("f", b"0123456789");
        let fd = file.as_raw_fd();
        for (offset, len) in [(0, 4), (8, 4), (100, 4), (3, 0)] {
            let args = |at| args![fd, at, len, offset].to_vec();
            w.fills(len, |buf| Call::read(fd, buf, 0..len, offset), libc::SYS_pread64, args);
        }
        for _ in 0..4 {
            let call = |buf| Call::read(fd, buf, 0..4, CURRENT);
            w.fills(4, call, libc::SYS_read, |at| args![fd, at, 4].to_vec());
        }
        let text = || b"+++".to_vec();
        let put = libc::SYS_pwrite64;
        w.same(Call::write(fd, text(), 1..3, 4), put, args![fd, c"++".as_ptr(), 2, 4]);
        w.same(Call::write(fd, text(), 1..1, 4), put, args![fd, c"++".as_ptr(), 0, 4]);
        w.same(Call::write(CLOSED, text(), 0..3, 4), put, args![CLOSED, c"+++".as_ptr(), 3, 4]);
        let reader = File::open(w.dir.path().join("f")).expect("opened");
        let fd = reader.as_raw_fd();
        w.same(Call::write(fd, text(), 0..3, 4), put, args![fd, c"+++".as_ptr(), 3, 4]);
        let dir = File::open(w.dir.path()).expect("opened");
        let fd = dir.as_raw_fd();
        let args = |at| args![fd, at, 4, 0].to_vec();
        w.fills(4, |buf| Call::read(fd, buf, 0..4, 0), libc::SYS_pread64, args);
        w.note_file("f");
    }),
    ("read_vectored and write_vectored", |w| {
        let file = w.file("f", b"0123456789");
        w.reads_all(&file, 0, false);
        w.reads_all(&file, 6, false);
        w.reads_all(&file, 600, false);
        w.reads_all(&file, 0, true);
        w.reads_all(&file, CURRENT, false);
        w.reads_all(&file, CURRENT, false);
        w.writes_all(&file, 1);
        w.writes_all(&file, CURRENT);
        let nothing = Call::read_vectored(file.as_raw_fd(), Vec::new(), 0);
        w.same(nothing, libc::SYS_preadv2, args![file, 0, 0, 0, 0, 0]);
        let closed = Call::write_vectored(CLOSED, vec![b"x".to_vec()], 0);
        w.same(closed, libc::SYS_pwritev2, args![CLOSED, 0, 0, 0, 0, 0]);
        let dir = File::open(w.dir.path()).expect("opened");
        w.reads_all(&dir, 0, false);
        let (reader, writer) = std::io::pipe().expect("a pipe");
        w.reads_all(&reader, CURRENT, true);
        w.writes_all(&writer, CURRENT);
        w.reads_all(&reader, CURRENT, false);
        w.note_file("f");
    }),
    ("read_vectored without waiting, where nobody can tell", |w| {
        let zero = File::open("/proc/self/status").expect("opened");
        w.reads_all(&zero, 0, true);
    }),
    ("fsync and fdatasync", |w| {
        let file = w.file("f", b"dirty");
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        for fd in [file.as_raw_fd(), reader.as_raw_fd(), CLOSED] {
            w.same(Call::fsync(fd), libc::SYS_fsync, args![fd]);
            w.same(Call::fdatasync(fd), libc::SYS_fdatasync, args![fd]);
        }
    }),
    ("rename", |w| {
        w.file("a", b"a");
        w.file("b", b"b");
        let number = libc::SYS_renameat2;
        for (from, to) in [("a", "b"), ("a", "c"), ("b", "no/such"), ("b", "b")] {
            let (from, to) = (w.path(from), w.path(to));
            let call = Call::rename(CWD, from.clone(), CWD, to.clone());
            w.same(call, number, args![CWD, from, CWD, to, 0]);
        }
        w.file("c", b"c");
        for flags in [libc::RENAME_NOREPLACE, libc::RENAME_EXCHANGE, 1 << 20] {
            let (from, to) = (w.path("b"), w.path("c"));
            let args = args![CWD, from, CWD, to, flags];
            let (from, to) = (from.clone(), to.clone());
            w.same(Call::Rename { from_dir: CWD, from, to_dir: CWD, to, flags }, number, args);
        }
        let call = Call::rename(CLOSED, c"b".into(), CWD, w.path("d"));
        w.same(call, number, args![CLOSED, c"b".as_ptr(), CWD, w.path("d"), 0]);
        let call = Call::rename(CWD, w.path("b"), CWD, long_name());
        w.same(call, number, args![CWD, w.path("b"), CWD, long_name(), 0]);
        w.names();
        w.note_file("b");
        w.note_file("c");
    }),
    ("mkdir, unlink, rmdir", |w| {
        w.file("f", b"");
        for path in [w.path("d"), w.path("d"), w.path("a/b"), long_name()] {
            let args = args![CWD, path, 0o700];
            w.same(Call::mkdir(CWD, path.clone(), 0o700), libc::SYS_mkdirat, args);
        }
        for path in [w.path("d"), w.path("f"), w.path("f"), long_name()] {
            w.same(Call::unlink(CWD, path.clone()), libc::SYS_unlinkat, args![CWD, path, 0]);
            let args = args![CWD, path, libc::AT_REMOVEDIR];
            w.same(Call::rmdir(CWD, path.clone()), libc::SYS_unlinkat, args);
        }
        let args = args![CLOSED, c"d".as_ptr(), 0o700];
        w.same(Call::mkdir(CLOSED, c"d".into(), 0o700), libc::SYS_mkdirat, args);
        w.names();
    }),
    ("ftruncate and fallocate", |w| {
        let file = w.file("f", b"123456");
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        for fd in [file.as_raw_fd(), reader.as_raw_fd(), CLOSED] {
            for len in [3, 9, u64::MAX] {
                w.same(Call::ftruncate(fd, len), libc::SYS_ftruncate, args![fd, len]);
            }
            for (offset, len) in [(4, 10), (0, 0), (u64::MAX, 1)] {
                let args = args![fd, 0, offset, len];
                w.same(Call::fallocate(fd, offset, len), libc::SYS_fallocate, args);
            }
        }
        let (fd, mode) = (file.as_raw_fd(), libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE);
        let call = Call::Fallocate { fd, mode, offset: 1, len: 1 };
        w.same(call, libc::SYS_fallocate, args![fd, mode, 1, 1]);
        w.note_file("f");
    }),
    ("flock", |w| {
        let (file, other) = (w.file("f", b""), w.file("f", b""));
        let number = libc::SYS_flock;
        let fd = file.as_raw_fd();
        w.same(Call::flock(fd, Lock::Exclusive), number, args![fd, libc::LOCK_EX]);
        let try_shared = |fd| Call::Flock { fd, lock: Lock::Shared, nowait: true };
        let nowait = libc::LOCK_SH | libc::LOCK_NB;
        w.same(try_shared(other.as_raw_fd()), number, args![other, nowait]);
        w.same(Call::flock(fd, Lock::Unlock), number, args![fd, libc::LOCK_UN]);
        w.same(try_shared(other.as_raw_fd()), number, args![other, nowait]);
        w.same(Call::flock(CLOSED, Lock::Shared), number, args![CLOSED, libc::LOCK_SH]);
    }),
    ("copy_file_range and sendfile", |w| {
        let (from, to) = (w.file("from", b"0123456789"), w.file("to", b""));
        let (a, b) = (from.as_raw_fd(), to.as_raw_fd());
        let copy = libc::SYS_copy_file_range;
        for (from, at, to, onto) in [(a, 2, b, 1), (a, 20, b, 0), (CLOSED, 0, b, 0), (a, 0, a, 2)] {
            let call = Call::copy_file_range(from, at, to, onto, 5);
            let (at, onto) = ([at], [onto]);
            w.same(call, copy, args![from, at.as_ptr(), to, onto.as_ptr(), 5, 0]);
        }
        let call = Call::copy_file_range(a, CURRENT, b, CURRENT, 3);
        w.same(call, copy, args![a, 0, b, 0, 3, 0]);
        let offset = [4u64];
        let send = libc::SYS_sendfile;
        w.same(Call::sendfile(b, a, 4, 100), send, args![b, a, offset.as_ptr(), 100]);
        let args = args![b, CLOSED, offset.as_ptr(), 100];
        w.same(Call::sendfile(b, CLOSED, 4, 100), send, args);
        w.note_file("to");
    }),
    ("getdents64", |w| {
        let dir = File::open(w.dir.path()).expect("opened");
        let file = w.file("f", b"");
        for (fd, len) in [(dir.as_raw_fd(), 1), (file.as_raw_fd(), 99), (CLOSED, 99)] {
            let args = |at| args![fd, at, len].to_vec();
            w.fills(len, |buf| Call::getdents64(fd, buf), libc::SYS_getdents64, args);
        }
    }),
    ("mmap and madvise", |w| {
        let file = w.file("f", b"mapped");
        let (shared, own) = (libc::MAP_SHARED, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let (read, write) = (libc::PROT_READ, libc::PROT_READ | libc::PROT_WRITE);
        let number = libc::SYS_mmap;
        for len in [10_000, 0, usize::MAX] {
            w.same(Call::map_memory(len), number, args![0, len, write, own, -1, 0]);
        }
        let fd = file.as_raw_fd();
        for (fd, offset, len) in [(fd, 0, 6), (fd, 1, 6), (fd, 0, 0), (CLOSED, 0, 6)] {
            let args = args![0, len, read, shared, fd, offset];
            w.same(Call::map_file(fd, offset, len), number, args);
        }
        let dir = File::open(w.dir.path()).expect("opened");
        let args = args![0, 6, read, shared, dir, 0];
        w.same(Call::map_file(dir.as_raw_fd(), 0, 6), number, args);
    }),
    ("madvise", |w| {
        let mapping = Arc::new(memory(10_000));
        for (start, end, advice, raw) in [
            (0, 4_096, Advice::Normal, libc::MADV_NORMAL),
            (0, 8_192, Advice::PopulateWrite, libc::MADV_POPULATE_WRITE),
            (0, 0, Advice::WillNeed, libc::MADV_WILLNEED),
            (1, 4_097, Advice::Random, libc::MADV_RANDOM),
            (4_096, 10_000, Advice::Cold, libc::MADV_COLD),
            (0, 4_096, Advice::PageOut, libc::MADV_PAGEOUT),
            (0, 4_096, Advice::NoHugePage, libc::MADV_NOHUGEPAGE),
        ] {
            let call = Call::madvise(Arc::clone(&mapping), start..end, advice);
            let at = mapping.as_ptr().wrapping_add(start);
            w.same(call, libc::SYS_madvise, args![at, end - start, raw]);
        }
        w.note(mapping.iter().all(|byte| *byte == 0));
    }),
];
