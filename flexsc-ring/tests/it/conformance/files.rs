//! Rows on open files: positions, contents, sizes, copies, locks.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, IntoRawFd};

use super::{BAD, CLOSED, NOWHERE, Row, args, blank};

/// `struct open_how`.
#[repr(C)]
struct How {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// A part of memory, as `readv` and `writev` take it.
fn part(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() }
}

pub(super) const ROWS: &[Row] = &[
    ("openat makes a file and opens it", |w| {
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
        let fd = w.fd(libc::SYS_openat, args![libc::AT_FDCWD, w.path("new"), flags, 0o640]);
        w.note_fd(&fd);
        w.exact(libc::SYS_openat, args![libc::AT_FDCWD, w.path("new"), flags, 0o640]);
        w.exact(libc::SYS_openat, args![libc::AT_FDCWD, NOWHERE.as_ptr(), libc::O_RDONLY, 0]);
        w.exact(libc::SYS_openat, args![libc::AT_FDCWD, BAD, libc::O_RDONLY, 0]);
        w.exact(libc::SYS_openat, args![CLOSED, c"relative".as_ptr(), libc::O_RDONLY, 0]);
    }),
    ("openat2 resolves beneath a folder", |w| {
        w.file("f", b"x");
        let dir = File::open(w.dir.path()).expect("opened");
        let how = |resolve| How { flags: libc::O_CLOEXEC as u64, mode: 0, resolve };
        let good = how(libc::RESOLVE_BENEATH);
        let fd = w.fd(libc::SYS_openat2, args![dir, c"f".as_ptr(), &raw const good, 24]);
        w.note_fd(&fd);
        w.exact(libc::SYS_openat2, args![dir, c"../f".as_ptr(), &raw const good, 24]);
        w.exact(libc::SYS_openat2, args![dir, c"f".as_ptr(), &raw const good, 7]);
        let unknown = how(1 << 40);
        w.exact(libc::SYS_openat2, args![dir, c"f".as_ptr(), &raw const unknown, 24]);
    }),
    ("close closes once", |w| {
        let fd = w.file("f", b"").into_raw_fd();
        w.exact(libc::SYS_close, args![fd]);
        w.exact(libc::SYS_close, args![CLOSED]);
        w.exact(libc::SYS_close, args![-1]);
    }),
    ("read moves the position", |w| {
        let mut file = w.file("f", b"abcdef");
        let mut buf = [b'.'; 4];
        for _ in 0..3 {
            w.exact(libc::SYS_read, args![file, buf.as_mut_ptr(), 4]);
            w.note(buf);
        }
        w.note(file.stream_position().expect("has one"));
        w.exact(libc::SYS_read, args![CLOSED, buf.as_mut_ptr(), 4]);
        file.rewind().expect("seekable");
        w.exact(libc::SYS_read, args![file, BAD, 4]);
        let dir = File::open(w.dir.path()).expect("opened");
        w.exact(libc::SYS_read, args![dir, buf.as_mut_ptr(), 4]);
    }),
    ("write moves the position", |w| {
        let file = w.file("f", b"abcdef");
        w.exact(libc::SYS_write, args![file, c"XY".as_ptr(), 2]);
        w.exact(libc::SYS_write, args![file, c"Z".as_ptr(), 1]);
        w.exact(libc::SYS_write, args![file, BAD, 1]);
        let only_reads = File::open(w.dir.path().join("f")).expect("opened");
        w.exact(libc::SYS_write, args![only_reads, c"Z".as_ptr(), 1]);
        w.note_file("f");
    }),
    ("pread64 and pwrite64 leave the position alone", |w| {
        let mut file = w.file("f", b"abcdef");
        let mut buf = [b'.'; 4];
        w.exact(libc::SYS_pread64, args![file, buf.as_mut_ptr(), 4, 3]);
        w.note(buf);
        w.exact(libc::SYS_pread64, args![file, buf.as_mut_ptr(), 4, 100]);
        w.exact(libc::SYS_pread64, args![file, buf.as_mut_ptr(), 4, -1]);
        w.exact(libc::SYS_pwrite64, args![file, c"++".as_ptr(), 2, 9]);
        w.note(file.stream_position().expect("has one"));
        w.note_file("f");
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        w.exact(libc::SYS_pread64, args![reader, buf.as_mut_ptr(), 4, 0]);
    }),
    ("readv and writev take parts in order", |w| {
        let file = w.file("f", b"0123456789");
        let (mut a, mut b) = ([b'.'; 3], [b'.'; 4]);
        let parts = [part(&mut a), part(&mut b)];
        w.exact(libc::SYS_readv, args![file, parts.as_ptr(), 2]);
        w.note((a, b));
        w.exact(libc::SYS_writev, args![file, parts.as_ptr(), 2]);
        w.exact(libc::SYS_writev, args![file, parts.as_ptr(), 0]);
        w.exact(libc::SYS_readv, args![file, parts.as_ptr(), 1025]);
        w.exact(libc::SYS_writev, args![file, parts.as_ptr(), -1]);
        w.exact(libc::SYS_readv, args![file, BAD, 2]);
        w.note_file("f");
    }),
    ("preadv and pwritev take an offset", |w| {
        let file = w.file("f", b"0123456789");
        let (mut a, mut b) = ([b'.'; 3], [b'.'; 4]);
        let parts = [part(&mut a), part(&mut b)];
        w.exact(libc::SYS_preadv, args![file, parts.as_ptr(), 2, 5, 0]);
        w.note((a, b));
        w.exact(libc::SYS_pwritev, args![file, parts.as_ptr(), 2, 1, 0]);
        w.exact(libc::SYS_preadv, args![file, parts.as_ptr(), 2, -1, 0]);
        w.note_file("f");
    }),
    ("preadv2 and pwritev2 take flags", |w| {
        let file = w.file("f", b"0123456789");
        let (mut a, mut b) = ([b'.'; 3], [b'.'; 4]);
        let parts = [part(&mut a), part(&mut b)];
        w.exact(libc::SYS_preadv2, args![file, parts.as_ptr(), 2, 2, 0, 0]);
        w.note((a, b));
        w.exact(libc::SYS_pwritev2, args![file, parts.as_ptr(), 2, 0, 0, libc::RWF_APPEND]);
        w.exact(libc::SYS_pwritev2, args![file, parts.as_ptr(), 2, 0, 0, 1 << 30]);
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        let nowait = args![reader, parts.as_ptr(), 2, -1, -1, libc::RWF_NOWAIT];
        w.exact(libc::SYS_preadv2, nowait);
        w.note_file("f");
    }),
    ("lseek finds ends, data and holes", |w| {
        let file = w.file("f", &[1; 5_000]);
        for (offset, whence) in
            [(10, libc::SEEK_SET), (5, libc::SEEK_CUR), (-2, libc::SEEK_END), (-9, libc::SEEK_SET)]
        {
            w.exact(libc::SYS_lseek, args![file, offset, whence]);
        }
        w.exact(libc::SYS_lseek, args![file, 0, libc::SEEK_HOLE]);
        w.exact(libc::SYS_lseek, args![file, 0, libc::SEEK_DATA]);
        w.exact(libc::SYS_lseek, args![file, 0, 77]);
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        w.exact(libc::SYS_lseek, args![reader, 0, libc::SEEK_SET]);
    }),
    ("fstat and newfstatat tell size and mode", |w| {
        let file = w.file("f", b"12345");
        let mut stat: libc::stat = blank();
        w.exact(libc::SYS_fstat, args![file, &raw mut stat]);
        w.note((stat.st_size, stat.st_mode, stat.st_nlink));
        let mut stat: libc::stat = blank();
        let at = libc::AT_FDCWD;
        w.exact(libc::SYS_newfstatat, args![at, w.path("f"), &raw mut stat, 0]);
        w.note((stat.st_size, stat.st_mode, stat.st_nlink));
        w.exact(libc::SYS_newfstatat, args![at, NOWHERE.as_ptr(), &raw mut stat, 0]);
        w.exact(libc::SYS_newfstatat, args![at, w.path("f"), &raw mut stat, 1 << 30]);
        w.exact(libc::SYS_fstat, args![file, BAD]);
        w.exact(libc::SYS_fstat, args![CLOSED, &raw mut stat]);
    }),
    ("statx tells what is asked for", |w| {
        w.file("f", b"12345");
        let mut stat: libc::statx = blank();
        let mask = libc::STATX_BASIC_STATS;
        let at = libc::AT_FDCWD;
        w.exact(libc::SYS_statx, args![at, w.path("f"), 0, mask, &raw mut stat]);
        w.note((stat.stx_size, stat.stx_mode, stat.stx_nlink, stat.stx_uid));
        w.exact(libc::SYS_statx, args![at, NOWHERE.as_ptr(), 0, mask, &raw mut stat]);
        w.exact(libc::SYS_statx, args![at, w.path("f"), 0, mask, BAD]);
        w.exact(libc::SYS_statx, args![at, w.path("f"), 0, 0x8000_0000u32, &raw mut stat]);
    }),
    ("statfs and fstatfs tell the kind of file system", |w| {
        let file = w.file("f", b"");
        let mut stat: libc::statfs = blank();
        w.exact(libc::SYS_fstatfs, args![file, &raw mut stat]);
        w.note((stat.f_type, stat.f_bsize, stat.f_namelen));
        w.exact(libc::SYS_statfs, args![w.path("f"), &raw mut stat]);
        w.note((stat.f_type, stat.f_bsize, stat.f_namelen));
        w.exact(libc::SYS_statfs, args![w.path("absent"), &raw mut stat]);
        w.exact(libc::SYS_fstatfs, args![CLOSED, &raw mut stat]);
    }),
    ("files are synchronised, pipes are not", |w| {
        let file = w.file("f", b"dirty");
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        for number in [libc::SYS_fsync, libc::SYS_fdatasync] {
            w.exact(number, args![file]);
            w.exact(number, args![reader]);
            w.exact(number, args![CLOSED]);
        }
        let flags = 1 | 2 | 4; // wait before, write, wait after
        w.exact(libc::SYS_sync_file_range, args![file, 0, 5, flags]);
        w.exact(libc::SYS_sync_file_range, args![file, 0, 5, 1 << 20]);
        w.exact(libc::SYS_sync_file_range, args![reader, 0, 5, flags]);
        w.exact(libc::SYS_syncfs, args![CLOSED]);
        w.exact(libc::SYS_syncfs, args![File::open("/proc/self/fd").expect("opened")]);
    }),
    ("truncation changes the size", |w| {
        let file = w.file("f", b"123456");
        w.exact(libc::SYS_ftruncate, args![file, 3]);
        w.note_file("f");
        w.exact(libc::SYS_truncate, args![w.path("f"), 5]);
        w.note_file("f");
        w.exact(libc::SYS_ftruncate, args![file, -1]);
        w.exact(libc::SYS_truncate, args![NOWHERE.as_ptr(), 5]);
        w.exact(libc::SYS_truncate, args![w.path(""), 5]);
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        w.exact(libc::SYS_ftruncate, args![reader, 3]);
    }),
    ("fallocate grows and punches", |w| {
        let file = w.file("f", b"123456");
        w.exact(libc::SYS_fallocate, args![file, 0, 0, 20]);
        let punch = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        w.exact(libc::SYS_fallocate, args![file, punch, 1, 2]);
        w.note_file("f");
        w.exact(libc::SYS_fallocate, args![file, 0, -1, 20]);
        w.exact(libc::SYS_fallocate, args![file, 0, 0, 0]);
        let (_reader, writer) = std::io::pipe().expect("a pipe");
        w.exact(libc::SYS_fallocate, args![writer, 0, 0, 20]);
    }),
    ("advice is taken for files only", |w| {
        let file = w.file("f", &[7; 9_000]);
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        w.exact(libc::SYS_fadvise64, args![file, 0, 0, libc::POSIX_FADV_SEQUENTIAL]);
        w.exact(libc::SYS_fadvise64, args![file, 0, 0, 99]);
        w.exact(libc::SYS_fadvise64, args![reader, 0, 0, libc::POSIX_FADV_RANDOM]);
        w.exact(libc::SYS_readahead, args![file, 0, 4_096]);
        w.exact(libc::SYS_readahead, args![reader, 0, 4_096]);
    }),
    ("flock excludes another opening of the file", |w| {
        let (file, other) = (w.file("f", b""), w.file("f", b""));
        let (exclusive, nowait) = (libc::LOCK_EX, libc::LOCK_NB);
        w.exact(libc::SYS_flock, args![file, exclusive]);
        w.exact(libc::SYS_flock, args![other, libc::LOCK_SH | nowait]);
        w.exact(libc::SYS_flock, args![file, libc::LOCK_UN]);
        w.exact(libc::SYS_flock, args![other, libc::LOCK_SH | nowait]);
        w.exact(libc::SYS_flock, args![file, 77]);
        w.exact(libc::SYS_flock, args![CLOSED, exclusive]);
    }),
    ("fcntl reads and sets flags", |w| {
        let file = w.file("f", b"");
        w.exact(libc::SYS_fcntl, args![file, libc::F_GETFL]);
        let append = libc::O_APPEND | libc::O_NONBLOCK;
        w.exact(libc::SYS_fcntl, args![file, libc::F_SETFL, append]);
        w.exact(libc::SYS_fcntl, args![file, libc::F_GETFL]);
        let copy = w.fd(libc::SYS_fcntl, args![file, libc::F_DUPFD_CLOEXEC, 100]);
        w.note(copy.as_raw_fd() >= 100);
        w.exact(libc::SYS_fcntl, args![file, 9_999]);
        w.exact(libc::SYS_fcntl, args![CLOSED, libc::F_GETFD]);
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        w.exact(libc::SYS_fcntl, args![reader, libc::F_GETPIPE_SZ]);
    }),
    ("ioctl counts what can be read", |w| {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        std::io::Write::write_all(&mut writer, b"seven!!").expect("written");
        let mut n = 0i32;
        w.exact(libc::SYS_ioctl, args![reader, libc::FIONREAD, &raw mut n]);
        w.note(n);
        w.exact(libc::SYS_ioctl, args![reader, libc::TCGETS, BAD]);
        w.exact(libc::SYS_ioctl, args![reader, libc::FIONREAD, BAD]);
        w.exact(libc::SYS_ioctl, args![CLOSED, libc::FIONREAD, &raw mut n]);
    }),
    ("copies of a descriptor share a position", |w| {
        let file = w.file("f", b"abcdef");
        let copy = w.fd(libc::SYS_dup, args![file]);
        let mut two = [0; 2];
        File::from(copy).read_exact(&mut two).expect("read");
        w.exact(libc::SYS_lseek, args![file, 0, libc::SEEK_CUR]);
        let target = w.file("g", b"");
        let onto = target.as_raw_fd();
        let ret = w.works(libc::SYS_dup3, args![file, onto, libc::O_CLOEXEC]);
        w.note(ret == i64::from(onto));
        w.note_fd(&target);
        w.exact(libc::SYS_dup3, args![file, file, 0]);
        w.exact(libc::SYS_dup3, args![file, onto, 77]);
        w.exact(libc::SYS_dup, args![CLOSED]);
    }),
    ("getdents64 lists a folder", |w| {
        w.file("only-file", b"");
        let dir = File::open(w.dir.path()).expect("opened");
        let mut buf = [0u8; 1_024];
        let n = w.exact(libc::SYS_getdents64, args![dir, buf.as_mut_ptr(), 1_024]);
        let listed = &buf[..usize::try_from(n).unwrap_or(0)];
        w.note(listed.windows(9).any(|name| name == b"only-file"));
        w.exact(libc::SYS_getdents64, args![dir, buf.as_mut_ptr(), 1_024]);
        let again = File::open(w.dir.path()).expect("opened");
        w.exact(libc::SYS_getdents64, args![again, buf.as_mut_ptr(), 1]);
        w.exact(libc::SYS_getdents64, args![w.file("f", b""), buf.as_mut_ptr(), 1_024]);
    }),
    ("sendfile and copy_file_range copy inside the kernel", |w| {
        let (from, to) = (w.file("from", b"0123456789"), w.file("to", b""));
        let (mut at, mut onto) = (2i64, 1i64);
        w.exact(libc::SYS_sendfile, args![to, from, &raw mut at, 4]);
        w.note(at);
        let (at, onto) = (&raw mut at, &raw mut onto);
        w.exact(libc::SYS_copy_file_range, args![from, at, to, onto, 100, 0]);
        w.note_file("to");
        w.exact(libc::SYS_copy_file_range, args![from, at, to, onto, 100, 7]);
        w.exact(libc::SYS_sendfile, args![to, CLOSED, at, 4]);
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        w.exact(libc::SYS_copy_file_range, args![reader, 0, to, 0, 5, 0]);
    }),
    ("close_range closes what lies in it", |w| {
        let high = 1 << 29;
        w.exact(libc::SYS_close_range, args![high, high + 5, 0]);
        w.exact(libc::SYS_close_range, args![high + 5, high, 0]);
        w.exact(libc::SYS_close_range, args![high, high + 5, 1 << 9]);
    }),
];
