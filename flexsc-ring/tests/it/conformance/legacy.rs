//! Rows on calls that only x86_64 has: the older forms.

use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;

use super::{BAD, CLOSED, NOWHERE, Row, args, blank};

pub(super) const ROWS: &[Row] = &[
    ("open, creat and access by name", |w| {
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_CLOEXEC;
        let file = w.fd(libc::SYS_open, args![w.path("f"), flags, 0o600]);
        w.note_fd(&file);
        let made = w.fd(libc::SYS_creat, args![w.path("g"), 0o640]);
        w.note_fd(&made);
        w.exact(libc::SYS_open, args![NOWHERE.as_ptr(), libc::O_RDONLY, 0]);
        w.exact(libc::SYS_creat, args![BAD, 0o640]);
        w.exact(libc::SYS_access, args![w.path("f"), libc::R_OK]);
        w.exact(libc::SYS_access, args![w.path("h"), libc::R_OK]);
    }),
    ("stat and lstat by name", |w| {
        w.file("f", b"12345");
        let mut stat: libc::stat = blank();
        for number in [libc::SYS_stat, libc::SYS_lstat] {
            w.exact(number, args![w.path("f"), &raw mut stat]);
            w.note((stat.st_size, stat.st_mode));
            w.exact(number, args![NOWHERE.as_ptr(), &raw mut stat]);
            w.exact(number, args![w.path("f"), BAD]);
        }
    }),
    ("folders and links by name", |w| {
        w.file("f", b"1");
        w.exact(libc::SYS_mkdir, args![w.path("d"), 0o700]);
        w.exact(libc::SYS_rmdir, args![w.path("d")]);
        w.exact(libc::SYS_rmdir, args![w.path("d")]);
        w.exact(libc::SYS_link, args![w.path("f"), w.path("hard")]);
        w.exact(libc::SYS_symlink, args![c"f".as_ptr(), w.path("soft")]);
        let mut buf = [b'.'; 4];
        w.exact(libc::SYS_readlink, args![w.path("soft"), buf.as_mut_ptr(), 4]);
        w.note(buf);
        w.exact(libc::SYS_rename, args![w.path("f"), w.path("moved")]);
        w.exact(libc::SYS_unlink, args![w.path("hard")]);
        w.exact(libc::SYS_unlink, args![w.path("hard")]);
        w.exact(libc::SYS_chmod, args![w.path("moved"), 0o600]);
        w.exact(libc::SYS_chown, args![w.path("moved"), -1, -1]);
        w.exact(libc::SYS_lchown, args![w.path("gone"), -1, -1]);
        let mut names: Vec<_> = fs::read_dir(w.dir.path())
            .expect("listed")
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        names.sort();
        w.note(names);
    }),
    ("older times and nodes", |w| {
        w.file("f", b"");
        let times = [5i64, 6];
        w.exact(libc::SYS_utime, args![w.path("f"), times.as_ptr()]);
        let times = [5i64, 6, 7, 8];
        w.exact(libc::SYS_utimes, args![w.path("f"), times.as_ptr()]);
        w.exact(libc::SYS_utimes, args![w.path("g"), times.as_ptr()]);
        w.exact(libc::SYS_mknod, args![w.path("fifo"), libc::S_IFIFO | 0o600, 0]);
        let mut now = -1i64;
        w.works(libc::SYS_time, args![&raw mut now]);
        w.note(now > 1_600_000_000);
        w.exact(libc::SYS_time, args![BAD]);
        w.exact(libc::SYS_getpgrp, args![]);
    }),
    ("poll, select and epoll_wait", |w| {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(b"x").expect("written");
        let fd = reader.as_raw_fd();
        let mut polled = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        w.exact(libc::SYS_poll, args![&raw mut polled, 1, 0]);
        w.note(polled.revents);
        w.exact(libc::SYS_poll, args![BAD, 1, 0]);
        let zero = [0i64; 2];
        w.exact(libc::SYS_select, args![0, 0, 0, 0, zero.as_ptr()]);
        w.exact(libc::SYS_select, args![-1, 0, 0, 0, zero.as_ptr()]);
        let epoll = w.fd(libc::SYS_epoll_create, args![1]);
        w.exact(libc::SYS_epoll_create, args![0]);
        let mut seen: libc::epoll_event = blank();
        w.exact(libc::SYS_epoll_wait, args![epoll, &raw mut seen, 1, 0]);
        w.exact(libc::SYS_epoll_wait, args![CLOSED, &raw mut seen, 1, 0]);
    }),
    ("older makers of descriptors", |w| {
        let mut fds = [-1i32; 2];
        w.works(libc::SYS_pipe, args![fds.as_mut_ptr()]);
        for fd in fds {
            w.exact(libc::SYS_close, args![fd]);
        }
        w.exact(libc::SYS_pipe, args![BAD]);
        let event = w.fd(libc::SYS_eventfd, args![3]);
        let mut count = 0u64;
        w.exact(libc::SYS_read, args![event, &raw mut count, 8]);
        w.note(count);
        w.fd(libc::SYS_inotify_init, args![]);
        let set = 1u64 << (libc::SIGUSR2 - 1);
        w.fd(libc::SYS_signalfd, args![-1, &raw const set, 8]);
        let (from, onto) = (w.file("f", b"from"), w.file("g", b""));
        w.works(libc::SYS_dup2, args![from, onto]);
        w.note_fd(&onto);
        w.exact(libc::SYS_dup2, args![CLOSED, onto]);
    }),
];
