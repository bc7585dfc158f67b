//! Rows on waiting: polls, epolls, event, timer and signal descriptors, watches, pipes.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::{BAD, CLOSED, Row, args, blank};

/// The signals of a set, as the kernel has it.
const SIGNAL_SET: usize = 8;

pub(super) const ROWS: &[Row] = &[
    ("ppoll and pselect6 tell what is ready", |w| {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let fd = reader.as_raw_fd();
        let mut polled = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let zero = [0i64; 2];
        for _ in 0..2 {
            w.exact(libc::SYS_ppoll, args![&raw mut polled, 1, zero.as_ptr(), 0, SIGNAL_SET]);
            w.note(polled.revents);
            writer.write_all(b"x").expect("written");
        }
        let mut bits = [0u64; 16];
        w.exact(libc::SYS_pselect6, args![1024, bits.as_mut_ptr(), 0, 0, zero.as_ptr(), 0]);
        w.exact(libc::SYS_pselect6, args![-1, 0, 0, 0, zero.as_ptr(), 0]);
        w.exact(libc::SYS_ppoll, args![BAD, 1, zero.as_ptr(), 0, SIGNAL_SET]);
        w.exact(libc::SYS_ppoll, args![&raw mut polled, 1, BAD, 0, SIGNAL_SET]);
    }),
    ("an epoll watches and tells", |w| {
        let epoll = w.fd(libc::SYS_epoll_create1, args![libc::EPOLL_CLOEXEC]);
        w.exact(libc::SYS_epoll_create1, args![77]);
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 42 };
        let ctl = libc::SYS_epoll_ctl;
        for fd in [reader.as_raw_fd(), reader.as_raw_fd(), CLOSED, epoll.as_raw_fd()] {
            w.exact(ctl, args![epoll, libc::EPOLL_CTL_ADD, fd, &raw const event]);
        }
        let file = w.file("f", b"");
        w.exact(ctl, args![epoll, libc::EPOLL_CTL_ADD, file, &raw const event]);
        w.exact(ctl, args![epoll, libc::EPOLL_CTL_MOD, writer, &raw const event]);
        let mut seen: [libc::epoll_event; 4] = blank();
        let wait = libc::SYS_epoll_pwait;
        w.exact(wait, args![epoll, seen.as_mut_ptr(), 4, 0, 0, SIGNAL_SET]);
        writer.write_all(b"x").expect("written");
        w.exact(wait, args![epoll, seen.as_mut_ptr(), 4, 0, 0, SIGNAL_SET]);
        let (events, data) = (seen[0].events, seen[0].u64);
        w.note((events, data));
        let zero = [0i64; 2];
        let wait2 = libc::SYS_epoll_pwait2;
        w.exact(wait2, args![epoll, seen.as_mut_ptr(), 4, zero.as_ptr(), 0, SIGNAL_SET]);
        w.exact(wait, args![epoll, seen.as_mut_ptr(), 0, 0, 0, SIGNAL_SET]);
        w.exact(wait, args![epoll, BAD, 4, 0, 0, SIGNAL_SET]);
        w.exact(wait, args![reader, seen.as_mut_ptr(), 4, 0, 0, SIGNAL_SET]);
        w.exact(ctl, args![epoll, libc::EPOLL_CTL_DEL, reader, 0]);
        w.exact(ctl, args![epoll, libc::EPOLL_CTL_DEL, reader, 0]);
    }),
    ("an event descriptor counts", |w| {
        let flags = libc::EFD_CLOEXEC | libc::EFD_NONBLOCK;
        let event = w.fd(libc::SYS_eventfd2, args![5, flags]);
        w.exact(libc::SYS_eventfd2, args![5, 77]);
        let mut count = 3u64;
        w.exact(libc::SYS_write, args![event, &raw const count, 8]);
        w.exact(libc::SYS_read, args![event, &raw mut count, 8]);
        w.note(count);
        w.exact(libc::SYS_read, args![event, &raw mut count, 8]);
        w.exact(libc::SYS_read, args![event, &raw mut count, 4]);
    }),
    ("a timer descriptor is set, read and expires", |w| {
        let make = libc::SYS_timerfd_create;
        let timer = w.fd(make, args![libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC]);
        w.exact(make, args![9_999, 0]);
        let far = [0i64, 0, 1_000, 0];
        let mut seen = [-1i64; 4];
        w.exact(libc::SYS_timerfd_settime, args![timer, 0, far.as_ptr(), seen.as_mut_ptr()]);
        w.note(seen);
        w.exact(libc::SYS_timerfd_gettime, args![timer, seen.as_mut_ptr()]);
        w.note((&seen[..2], (900..=1_000).contains(&seen[2])));
        let soon = [0i64, 0, 0, 1];
        w.exact(libc::SYS_timerfd_settime, args![timer, 0, soon.as_ptr(), 0]);
        let mut times = 0u64;
        w.exact(libc::SYS_read, args![timer, &raw mut times, 8]);
        w.note(times);
        let wrong = [0i64, 0, 0, -1];
        w.exact(libc::SYS_timerfd_settime, args![timer, 0, wrong.as_ptr(), 0]);
        w.exact(libc::SYS_timerfd_gettime, args![w.file("f", b""), seen.as_mut_ptr()]);
    }),
    ("a signal descriptor is made for a set", |w| {
        let set = 1u64 << (libc::SIGUSR2 - 1);
        let make = libc::SYS_signalfd4;
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        w.fd(make, args![-1, &raw const set, SIGNAL_SET, flags]);
        w.exact(make, args![-1, &raw const set, 3, flags]);
        w.exact(make, args![-1, &raw const set, SIGNAL_SET, 77]);
        w.exact(make, args![-1, BAD, SIGNAL_SET, 0]);
    }),
    ("a watch tells of what is made", |w| {
        let notify = w.fd(libc::SYS_inotify_init1, args![libc::IN_CLOEXEC]);
        w.exact(libc::SYS_inotify_init1, args![77]);
        let add = libc::SYS_inotify_add_watch;
        let watch = w.exact(add, args![notify, w.path(""), libc::IN_CREATE]);
        w.exact(add, args![notify, w.path("absent"), libc::IN_CREATE]);
        w.exact(add, args![notify, w.path(""), 0]);
        w.file("new", b"");
        let mut buf = [0u8; 128];
        w.exact(libc::SYS_read, args![notify, buf.as_mut_ptr(), 128]);
        w.note(buf.windows(3).any(|name| name == b"new"));
        w.exact(libc::SYS_inotify_rm_watch, args![notify, watch]);
        w.exact(libc::SYS_inotify_rm_watch, args![notify, watch]);
        w.exact(libc::SYS_inotify_rm_watch, args![CLOSED, watch]);
    }),
    ("pipe2 makes two ends", |w| {
        let mut fds = [-1i32; 2];
        w.exact(libc::SYS_pipe2, args![fds.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK]);
        // SAFETY: both are new.
        let (reader, writer) =
            unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) };
        let mut buf = [b'.'; 8];
        w.exact(libc::SYS_read, args![reader, buf.as_mut_ptr(), 8]);
        w.exact(libc::SYS_write, args![writer, c"pipe".as_ptr(), 4]);
        w.exact(libc::SYS_read, args![reader, buf.as_mut_ptr(), 8]);
        w.note(buf);
        drop(writer);
        w.exact(libc::SYS_read, args![reader, buf.as_mut_ptr(), 8]);
        w.exact(libc::SYS_pipe2, args![fds.as_mut_ptr(), 77]);
        w.exact(libc::SYS_pipe2, args![BAD, 0]);
    }),
    ("splice, tee and vmsplice move between pipes", |w| {
        let (from, mut into) = std::io::pipe().expect("a pipe");
        let (mut out, to) = std::io::pipe().expect("a pipe");
        into.write_all(b"0123456789").expect("written");
        let nowait = libc::SPLICE_F_NONBLOCK;
        w.exact(libc::SYS_tee, args![from, to, 4, nowait]);
        w.exact(libc::SYS_splice, args![from, 0, to, 0, 6, nowait]);
        let mut text = *b"memory";
        let part = libc::iovec { iov_base: text.as_mut_ptr().cast(), iov_len: 6 };
        w.exact(libc::SYS_vmsplice, args![to, &raw const part, 1, 0]);
        let mut got = [0; 16];
        out.read_exact(&mut got).expect("read");
        w.note(got);
        let file = w.file("f", b"a file");
        let mut at = 2i64;
        w.exact(libc::SYS_splice, args![file, &raw mut at, to, 0, 10, nowait]);
        w.note(at);
        w.exact(libc::SYS_splice, args![out, &raw mut at, file, 0, 10, nowait]);
        w.exact(libc::SYS_splice, args![file, 0, file, 0, 10, 0]);
        w.exact(libc::SYS_tee, args![file, to, 4, nowait]);
        w.exact(libc::SYS_vmsplice, args![CLOSED, &raw const part, 1, 0]);
        w.exact(libc::SYS_vmsplice, args![to, BAD, 1, 0]);
    }),
];
