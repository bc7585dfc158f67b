//! Rows on sockets and pipes.

use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use flexsc_ring::{Address, Call, SocketOption};

use crate::conformance::{CLOSED, Row, World, args};

const TCP: i32 = libc::IPPROTO_TCP;
const SOCKET: i32 = libc::SOL_SOCKET;

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("a pair")
}

fn socket(family: i32) -> OwnedFd {
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0);
    // SAFETY: it is new.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// An IPv4 address as the kernel takes it.
fn raw(address: SocketAddr) -> [u8; 16] {
    let SocketAddr::V4(v4) = address else { panic!("not IPv4: {address}") };
    let mut raw = [0; 16];
    raw[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    raw[2..4].copy_from_slice(&v4.port().to_be_bytes());
    raw[4..8].copy_from_slice(&v4.ip().octets());
    raw
}

impl World<'_> {
    fn connects(&mut self, fd: i32, to: SocketAddr) {
        let raw = raw(to);
        self.same(Call::connect(fd, to), libc::SYS_connect, args![fd, raw.as_ptr(), 16]);
    }

    fn sends_all(&mut self, fd: i32) {
        let mut bytes = *b"head, body";
        let (head, body) = bytes.split_at_mut(6);
        let mut parts =
            [head, body].map(|p| libc::iovec { iov_base: p.as_mut_ptr().cast(), iov_len: p.len() });
        // SAFETY: all zero is a message of nothing.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = parts.as_mut_ptr();
        message.msg_iovlen = 2;
        let bufs = vec![b"head, ".to_vec(), b"body".to_vec()];
        let flags = libc::MSG_NOSIGNAL;
        let args = args![fd, &raw const message, flags];
        self.same(Call::send_vectored(fd, bufs), libc::SYS_sendmsg, args);
    }

    fn sends(&mut self, fd: i32) {
        let flags = libc::MSG_NOSIGNAL;
        let args = args![fd, c"bytes".as_ptr(), 5, flags, 0, 0];
        self.same(Call::send(fd, b"(bytes)".to_vec(), 1..6), libc::SYS_sendto, args);
    }

    fn receives(&mut self, fd: i32, len: usize) {
        let args = |at| args![fd, at, len, 0, 0, 0].to_vec();
        let call = |buf| Call::recv_into(fd, buf, 0..len);
        self.fills(len, call, libc::SYS_recvfrom, args);
    }
}

pub(super) const ROWS: &[Row] = &[
    ("send, sendmsg, recv, recv_into", |w| {
        let (a, b) = pair();
        w.sends(a.as_raw_fd());
        let fd = b.as_raw_fd();
        let args = |at| args![fd, at, 8, 0, 0, 0].to_vec();
        w.fills(8, |_| Call::recv(fd), libc::SYS_recvfrom, args);
        w.sends_all(a.as_raw_fd());
        w.receives(b.as_raw_fd(), 4);
        w.receives(b.as_raw_fd(), 0);
        w.receives(b.as_raw_fd(), 20);
        a.shutdown(Shutdown::Write).expect("shut");
        w.receives(b.as_raw_fd(), 20);
        w.sends(a.as_raw_fd());
        w.sends_all(a.as_raw_fd());
        let file = w.file("f", b"");
        for fd in [CLOSED, file.as_raw_fd(), -1] {
            w.sends(fd);
            w.sends_all(fd);
            w.receives(fd, 3);
        }
    }),
    ("shutdown", |w| {
        let (a, _b) = pair();
        let file = w.file("f", b"");
        for fd in [a.as_raw_fd(), file.as_raw_fd(), CLOSED] {
            let call = Call::shutdown(fd, Shutdown::Both);
            w.same(call, libc::SYS_shutdown, args![fd, libc::SHUT_RDWR]);
        }
    }),
    ("connect and accept over the internet protocol", |w| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let to = listener.local_addr().expect("bound");
        let client = socket(libc::AF_INET);
        w.connects(client.as_raw_fd(), to);
        w.connects(client.as_raw_fd(), to);
        let fd = listener.as_raw_fd();
        w.same(Call::accept(fd), libc::SYS_accept4, args![fd, 0, 0, libc::SOCK_CLOEXEC]);
        let gone = TcpListener::bind("127.0.0.1:0").expect("a port");
        let nobody = gone.local_addr().expect("bound");
        drop(gone);
        w.connects(socket(libc::AF_INET).as_raw_fd(), nobody);
        w.connects(socket(libc::AF_UNIX).as_raw_fd(), to);
        w.connects(socket(libc::AF_INET).as_raw_fd(), "240.0.0.1:1".parse().expect("one"));
        w.connects(w.file("f", b"").as_raw_fd(), to);
        w.connects(CLOSED, to);
        let args = args![client, 0, 0, libc::SOCK_CLOEXEC];
        w.same(Call::accept(client.as_raw_fd()), libc::SYS_accept4, args);
    }),
    ("connect to a Unix socket", |w| {
        let path = w.dir.path().join("listener");
        let _listener = UnixListener::bind(&path).expect("bound");
        w.file("file", b"");
        for name in ["listener", "absent", "file"] {
            let socket = socket(libc::AF_UNIX);
            let mut raw = (libc::AF_UNIX as u16).to_ne_bytes().to_vec();
            raw.extend(w.path(name).into_bytes_with_nul());
            let call = Call::connect(socket.as_raw_fd(), Address::Unix(w.dir.path().join(name)));
            w.same(call, libc::SYS_connect, args![socket, raw.as_ptr(), raw.len()]);
        }
    }),
    ("setsockopt", |w| {
        let stream = socket(libc::AF_INET);
        let number = libc::SYS_setsockopt;
        let linger = |time| SocketOption::Linger(time);
        let other = |value| SocketOption::Other { level: 9_999, name: 1, value };
        for (option, level, name, value) in [
            (SocketOption::NoDelay(true), TCP, libc::TCP_NODELAY, vec![1]),
            (SocketOption::Cork(true), TCP, libc::TCP_CORK, vec![1]),
            (SocketOption::ReuseAddr(true), SOCKET, libc::SO_REUSEADDR, vec![1]),
            (SocketOption::ReusePort(true), SOCKET, libc::SO_REUSEPORT, vec![1]),
            (SocketOption::KeepAlive(true), SOCKET, libc::SO_KEEPALIVE, vec![1]),
            (SocketOption::SendBuffer(70_000), SOCKET, libc::SO_SNDBUF, vec![70_000]),
            (SocketOption::RecvBuffer(80_000), SOCKET, libc::SO_RCVBUF, vec![80_000]),
            (SocketOption::NotSentLowat(9), TCP, libc::TCP_NOTSENT_LOWAT, vec![9]),
            (linger(Some(Duration::from_millis(1_500))), SOCKET, libc::SO_LINGER, vec![1, 2]),
            (SocketOption::QuickAck(false), TCP, libc::TCP_QUICKACK, vec![0]),
            (
                SocketOption::DeferAccept(Duration::from_secs(3)),
                TCP,
                libc::TCP_DEFER_ACCEPT,
                vec![3],
            ),
            (SocketOption::FastOpen(5), TCP, libc::TCP_FASTOPEN, vec![5]),
            (other(7), 9_999, 1, vec![7]),
        ] {
            let len = value.len() * 4;
            for fd in [stream.as_raw_fd(), CLOSED] {
                let args = args![fd, level, name, value.as_ptr(), len];
                w.same(Call::setsockopt(fd, option), number, args);
            }
            let mut seen = [0i32; 2];
            let mut room = 8u32;
            let get = args![stream, level, name, seen.as_mut_ptr(), &raw mut room];
            w.exact(libc::SYS_getsockopt, get);
            w.note((seen, room));
        }
    }),
    ("splice", |w| {
        let (from, into) = std::io::pipe().expect("a pipe");
        let (out, to) = std::io::pipe().expect("a pipe");
        let file = w.file("f", b"0123456789");
        let number = libc::SYS_splice;
        let (fd, into) = (file.as_raw_fd(), into.as_raw_fd());
        let offset = [2u64];
        let call = Call::Splice { from: fd, from_offset: 2, to: into, to_offset: u64::MAX, len: 5 };
        w.same(call, number, args![fd, offset.as_ptr(), into, 0, 5, 0]);
        let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
        w.same(Call::splice(from, to, 3), number, args![from, 0, to, 0, 3, 0]);
        let (ours, theirs) = pair();
        let ours = ours.as_raw_fd();
        w.same(Call::splice(from, ours, 99), number, args![from, 0, ours, 0, 99, 0]);
        w.receives(theirs.as_raw_fd(), 8);
        let out = out.as_raw_fd();
        let call = Call::Splice { from: out, from_offset: u64::MAX, to: fd, to_offset: 8, len: 99 };
        let offset = [8u64];
        w.same(call, number, args![out, 0, fd, offset.as_ptr(), 99, 0]);
        w.same(Call::splice(fd, fd, 3), number, args![fd, 0, fd, 0, 3, 0]);
        w.same(Call::splice(CLOSED, to, 3), number, args![CLOSED, 0, to, 0, 3, 0]);
        w.same(Call::splice(to, from, 3), number, args![to, 0, from, 0, 3, 0]);
        w.note_file("f");
    }),
];
