//! Rows on names: folders, links, permissions, times, attributes.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::{BAD, CLOSED, NOWHERE, Row, World, args, blank};

const CWD: i32 = libc::AT_FDCWD;

impl World<'_> {
    /// Notes kind, permissions, links and owner of what has a name.
    fn note_name(&mut self, name: &str) {
        let seen = fs::symlink_metadata(self.dir.path().join(name))
            .map(|m| (m.file_type(), m.permissions().mode(), m.nlink(), m.uid(), m.gid()));
        self.note(seen.map_err(|error| error.kind()));
    }
}

/// A name that no file system holds.
fn long_name() -> std::ffi::CString {
    std::ffi::CString::new(vec![b'x'; 5_000]).expect("no NUL")
}

pub(super) const ROWS: &[Row] = &[
    ("mkdirat makes a folder once", |w| {
        w.exact(libc::SYS_mkdirat, args![CWD, w.path("d"), 0o750]);
        w.exact(libc::SYS_mkdirat, args![CWD, w.path("d"), 0o750]);
        w.exact(libc::SYS_mkdirat, args![CWD, w.path("a/b"), 0o750]);
        w.exact(libc::SYS_mkdirat, args![CWD, long_name(), 0o750]);
        w.exact(libc::SYS_mkdirat, args![CLOSED, c"d".as_ptr(), 0o750]);
        w.note_name("d");
    }),
    ("unlinkat takes files, and folders if asked", |w| {
        w.file("f", b"");
        fs::create_dir(w.dir.path().join("d")).expect("made");
        w.exact(libc::SYS_unlinkat, args![CWD, w.path("d"), 0]);
        w.exact(libc::SYS_unlinkat, args![CWD, w.path("f"), libc::AT_REMOVEDIR]);
        w.exact(libc::SYS_unlinkat, args![CWD, w.path("d"), libc::AT_REMOVEDIR]);
        w.exact(libc::SYS_unlinkat, args![CWD, w.path("f"), 0]);
        w.exact(libc::SYS_unlinkat, args![CWD, w.path("f"), 0]);
        w.exact(libc::SYS_unlinkat, args![CWD, w.path("f"), 1]);
        w.note_name("f");
        w.note_name("d");
    }),
    ("renameat replaces, renameat2 may refuse or exchange", |w| {
        w.file("a", b"a");
        w.file("b", b"b");
        w.exact(libc::SYS_renameat, args![CWD, w.path("a"), CWD, w.path("b")]);
        w.note_file("b");
        w.file("a", b"new");
        let flags = libc::RENAME_NOREPLACE;
        w.exact(libc::SYS_renameat2, args![CWD, w.path("a"), CWD, w.path("b"), flags]);
        let flags = libc::RENAME_EXCHANGE;
        w.exact(libc::SYS_renameat2, args![CWD, w.path("a"), CWD, w.path("b"), flags]);
        w.exact(libc::SYS_renameat2, args![CWD, w.path("a"), CWD, w.path("b"), 1 << 20]);
        w.exact(libc::SYS_renameat, args![CWD, NOWHERE.as_ptr(), CWD, w.path("b")]);
        w.note_file("a");
        w.note_file("b");
    }),
    ("linkat and symlinkat make links, readlinkat reads them", |w| {
        w.file("f", b"one");
        w.exact(libc::SYS_linkat, args![CWD, w.path("f"), CWD, w.path("hard"), 0]);
        w.exact(libc::SYS_linkat, args![CWD, w.path("f"), CWD, w.path("hard"), 0]);
        w.exact(libc::SYS_symlinkat, args![c"f".as_ptr(), CWD, w.path("soft")]);
        w.exact(libc::SYS_symlinkat, args![c"".as_ptr(), CWD, w.path("none")]);
        let mut buf = [b'.'; 8];
        w.exact(libc::SYS_readlinkat, args![CWD, w.path("soft"), buf.as_mut_ptr(), 8]);
        w.note(buf);
        w.exact(libc::SYS_readlinkat, args![CWD, w.path("hard"), buf.as_mut_ptr(), 8]);
        w.exact(libc::SYS_readlinkat, args![CWD, w.path("soft"), buf.as_mut_ptr(), 0]);
        w.note_name("hard");
        w.note_name("soft");
    }),
    ("a node of a kind can be made", |w| {
        w.exact(libc::SYS_mknodat, args![CWD, w.path("fifo"), libc::S_IFIFO | 0o600, 0]);
        w.exact(libc::SYS_mknodat, args![CWD, w.path("fifo"), libc::S_IFIFO | 0o600, 0]);
        w.exact(libc::SYS_mknodat, args![CWD, w.path("odd"), libc::S_IFDIR | 0o600, 0]);
        w.note_name("fifo");
    }),
    ("permissions are changed by descriptor and by name", |w| {
        let file = w.file("f", b"");
        w.exact(libc::SYS_fchmod, args![file, 0o604]);
        w.note_name("f");
        w.exact(libc::SYS_fchmodat, args![CWD, w.path("f"), 0o611]);
        w.note_name("f");
        w.exact(libc::SYS_fchmodat, args![CWD, NOWHERE.as_ptr(), 0o611]);
        w.exact(libc::SYS_fchmod, args![CLOSED, 0o611]);
    }),
    ("owners are changed to who they are", |w| {
        let file = w.file("f", b"");
        w.exact(libc::SYS_fchown, args![file, -1, -1]);
        w.exact(libc::SYS_fchownat, args![CWD, w.path("f"), -1, -1, 0]);
        w.exact(libc::SYS_fchownat, args![CWD, w.path("f"), -1, -1, 1 << 20]);
        w.exact(libc::SYS_fchownat, args![CWD, w.path("absent"), -1, -1, 0]);
        w.exact(libc::SYS_fchown, args![CLOSED, -1, -1]);
        w.note_name("f");
    }),
    ("times are set", |w| {
        w.file("f", b"");
        let times = [1_000i64, 7, 2_000, 9];
        w.exact(libc::SYS_utimensat, args![CWD, w.path("f"), times.as_ptr(), 0]);
        let seen = fs::metadata(w.dir.path().join("f")).expect("it is there");
        w.note((seen.atime(), seen.atime_nsec(), seen.mtime(), seen.mtime_nsec()));
        let bad = [0i64, 2_000_000_000, 0, 0];
        w.exact(libc::SYS_utimensat, args![CWD, w.path("f"), bad.as_ptr(), 0]);
        w.exact(libc::SYS_utimensat, args![CWD, w.path("f"), BAD, 0]);
        w.exact(libc::SYS_utimensat, args![CWD, w.path("absent"), times.as_ptr(), 0]);
    }),
    ("access is told", |w| {
        w.file("f", b"");
        for mode in [libc::F_OK, libc::R_OK | libc::W_OK, 77] {
            w.exact(libc::SYS_faccessat, args![CWD, w.path("f"), mode]);
            w.exact(libc::SYS_faccessat2, args![CWD, w.path("f"), mode, libc::AT_EACCESS]);
        }
        w.exact(libc::SYS_faccessat, args![CWD, w.path("absent"), libc::F_OK]);
        w.exact(libc::SYS_faccessat2, args![CWD, w.path("f"), libc::F_OK, 1 << 20]);
    }),
    ("extended attributes, where the file system has them", |w| {
        let file = w.file("f", b"");
        let (name, value) = (c"user.note".as_ptr(), b"good");
        let mut buf = [b'.'; 8];
        w.exact(libc::SYS_setxattr, args![w.path("f"), name, value.as_ptr(), 4, 0]);
        w.exact(libc::SYS_getxattr, args![w.path("f"), name, buf.as_mut_ptr(), 8]);
        w.note(buf);
        w.exact(libc::SYS_getxattr, args![w.path("f"), name, buf.as_mut_ptr(), 2]);
        w.exact(libc::SYS_fsetxattr, args![file, name, value.as_ptr(), 2, libc::XATTR_CREATE]);
        w.exact(libc::SYS_fsetxattr, args![file, name, value.as_ptr(), 2, libc::XATTR_REPLACE]);
        w.exact(libc::SYS_fgetxattr, args![file, name, buf.as_mut_ptr(), 8]);
        w.exact(libc::SYS_lgetxattr, args![w.path("f"), name, buf.as_mut_ptr(), 8]);
        w.exact(libc::SYS_removexattr, args![w.path("f"), name]);
        w.exact(libc::SYS_fremovexattr, args![file, name]);
        w.exact(libc::SYS_getxattr, args![w.path("f"), BAD, buf.as_mut_ptr(), 8]);
    }),
    ("attributes are listed", |w| {
        let file = w.file("f", b"");
        let mut buf = [0u8; 256];
        w.exact(libc::SYS_listxattr, args![w.path("f"), buf.as_mut_ptr(), 256]);
        w.exact(libc::SYS_flistxattr, args![file, buf.as_mut_ptr(), 256]);
        w.note(&buf[..]);
        w.exact(libc::SYS_listxattr, args![NOWHERE.as_ptr(), buf.as_mut_ptr(), 256]);
        w.exact(libc::SYS_flistxattr, args![CLOSED, buf.as_mut_ptr(), 256]);
    }),
    ("the working directory is told", |w| {
        let mut buf = [0u8; 4_096];
        w.exact(libc::SYS_getcwd, args![buf.as_mut_ptr(), 4_096]);
        w.note(std::ffi::CStr::from_bytes_until_nul(&buf));
        w.exact(libc::SYS_getcwd, args![buf.as_mut_ptr(), 1]);
        w.exact(libc::SYS_getcwd, args![BAD, 4_096]);
    }),
    ("a handle names a file for ever", |w| {
        w.file("f", b"");
        let mut handle = [0u32; 64];
        handle[0] = 128;
        let mut mount = 0i32;
        let number = libc::SYS_name_to_handle_at;
        let pointers = (handle.as_mut_ptr(), &raw mut mount);
        w.exact(number, args![CWD, w.path("f"), pointers.0, pointers.1, 0]);
        w.note((handle[0], handle[1]));
        w.exact(number, args![CWD, NOWHERE.as_ptr(), pointers.0, pointers.1, 0]);
        w.exact(number, args![CWD, w.path("f"), BAD, pointers.1, 0]);
    }),
    ("a folder cannot be mounted from nowhere", |w| {
        let mut stat: libc::statvfs = blank();
        w.exact(libc::SYS_umount2, args![w.path("absent"), 0]);
        w.exact(libc::SYS_swapoff, args![BAD]);
        w.exact(libc::SYS_statfs, args![BAD, &raw mut stat]);
        w.exact(libc::SYS_fchdir, args![CLOSED]);
        w.exact(libc::SYS_chdir, args![NOWHERE.as_ptr()]);
    }),
];
