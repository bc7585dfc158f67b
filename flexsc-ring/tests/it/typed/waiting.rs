//! Rows on what waits for events and for time.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use flexsc_ring::{Call, EpollChange, Value};

use super::Got;
use crate::conformance::{CLOSED, Row, World, args, blank};

const IN: u32 = libc::EPOLLIN as u32;

impl World<'_> {
    fn changes(&mut self, epoll: i32, fd: i32, change: EpollChange) {
        let (number, events, u64) = match change {
            EpollChange::Add { events, data } => (libc::EPOLL_CTL_ADD, events, data),
            EpollChange::Modify { events, data } => (libc::EPOLL_CTL_MOD, events, data),
            EpollChange::Delete => (libc::EPOLL_CTL_DEL, 0, 0),
        };
        let event = libc::epoll_event { events, u64 };
        let args = args![epoll, number, fd, &raw const event];
        self.same(Call::epoll_ctl(epoll, fd, change), libc::SYS_epoll_ctl, args);
    }

    fn takes_events(&mut self, epoll: i32, most: usize) {
        let mut room: [libc::epoll_event; 4] = blank();
        let args = args![epoll, room.as_mut_ptr(), most, -1, 0, 0];
        let mut events = match self.same(Call::epoll_wait(epoll, most), libc::SYS_epoll_pwait, args)
        {
            Got::Value(Value::Events(events)) => events,
            Got::Value(other) => panic!("{other:?}"),
            Got::Number(n) => {
                let n = usize::try_from(n).unwrap_or(0);
                room[..n].iter().map(|event| (event.u64, event.events)).collect()
            }
        };
        events.sort_unstable();
        self.note(events);
    }
}

pub(super) const ROWS: &[Row] = &[
    ("poll", |w| {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(b"x").expect("written");
        let zero = [0i64; 2];
        for (fd, call) in [
            (reader.as_raw_fd(), Call::poll_readable(reader.as_raw_fd())),
            (writer.as_raw_fd(), Call::poll_writable(writer.as_raw_fd())),
        ] {
            let events = libc::POLLIN | libc::POLLOUT;
            let mut polled = libc::pollfd { fd, events, revents: 0 };
            let args = args![&raw mut polled, 1, zero.as_ptr(), 0, 8];
            w.same(call, libc::SYS_ppoll, args);
        }
    }),
    ("epoll_ctl and epoll_wait", |w| {
        // SAFETY: no pointers; the descriptor is new.
        let epoll = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd)
        };
        let epoll = epoll.as_raw_fd();
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let fd = reader.as_raw_fd();
        writer.write_all(b"x").expect("written");
        let add = EpollChange::Add { events: IN, data: 1 << 40 };
        for fd in [fd, fd, CLOSED, epoll, w.file("f", b"").as_raw_fd()] {
            w.changes(epoll, fd, add);
        }
        w.changes(epoll, writer.as_raw_fd(), EpollChange::Modify { events: IN, data: 3 });
        w.takes_events(epoll, 4);
        let out = libc::EPOLLOUT as u32;
        w.changes(epoll, writer.as_raw_fd(), EpollChange::Add { events: out, data: 5 });
        w.takes_events(epoll, 4);
        w.takes_events(epoll, 0);
        let once = EpollChange::Modify { events: IN | libc::EPOLLONESHOT as u32, data: 7 };
        w.changes(epoll, fd, once);
        w.takes_events(epoll, 4);
        w.takes_events(epoll, 4);
        w.changes(epoll, fd, EpollChange::Delete);
        w.changes(epoll, fd, EpollChange::Delete);
        w.takes_events(fd, 4);
        w.takes_events(CLOSED, 4);
        w.changes(CLOSED, fd, add);
        w.changes(fd, epoll, add);
    }),
    ("timeout", |w| {
        for ms in [0, 1, 3] {
            let start = Instant::now();
            let time = [0i64, ms * 1_000_000];
            let call = Call::timeout(Duration::from_millis(ms as u64));
            w.same(call, libc::SYS_nanosleep, args![time.as_ptr(), 0]);
            w.note(start.elapsed() >= Duration::from_millis(ms as u64));
        }
    }),
];
