//! Rows on sockets: names, options, bytes, messages, ends.

use std::os::fd::{FromRawFd, OwnedFd};

use super::{BAD, CLOSED, Row, World, args, blank};

/// The size of an internet address.
const IN: u32 = size_of::<libc::sockaddr_in>() as u32;

/// An address on the loopback device.
fn loopback(port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    }
}

/// A pair of connected sockets, made by the way.
fn pair(kind: i32) -> (OwnedFd, OwnedFd) {
    let mut fds = [0i32; 2];
    // SAFETY: two numbers are written.
    let made = unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) };
    assert_eq!(made, 0);
    // SAFETY: both are new.
    unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) }
}

impl World<'_> {
    fn socket(&mut self, kind: i32) -> OwnedFd {
        self.fd(libc::SYS_socket, args![libc::AF_INET, kind | libc::SOCK_CLOEXEC, 0])
    }
}

/// A message of one part.
fn message(part: &mut libc::iovec) -> libc::msghdr {
    let mut message: libc::msghdr = blank();
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message
}

fn part(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() }
}

pub(super) const ROWS: &[Row] = &[
    ("socket makes what there is", |w| {
        w.socket(libc::SOCK_STREAM);
        w.socket(libc::SOCK_DGRAM | libc::SOCK_NONBLOCK);
        w.exact(libc::SYS_socket, args![9_999, libc::SOCK_STREAM, 0]);
        w.exact(libc::SYS_socket, args![libc::AF_INET, 77, 0]);
        w.exact(libc::SYS_socket, args![libc::AF_INET, libc::SOCK_STREAM, 9_999]);
    }),
    ("socketpair makes two that are connected", |w| {
        let mut fds = [-1i32; 2];
        let number = libc::SYS_socketpair;
        w.exact(number, args![libc::AF_UNIX, libc::SOCK_STREAM, 0, fds.as_mut_ptr()]);
        // SAFETY: both are new.
        let (a, b) = unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) };
        w.exact(libc::SYS_write, args![a, c"through".as_ptr(), 7]);
        let mut buf = [b'.'; 9];
        w.exact(libc::SYS_read, args![b, buf.as_mut_ptr(), 9]);
        w.note(buf);
        w.exact(number, args![libc::AF_INET, libc::SOCK_STREAM, 0, fds.as_mut_ptr()]);
        w.exact(number, args![libc::AF_UNIX, libc::SOCK_STREAM, 0, BAD]);
    }),
    ("bind, listen, connect and accept4 make a connection", |w| {
        let listener = w.socket(libc::SOCK_STREAM);
        let mut address = loopback(0);
        let mut len = IN;
        w.exact(libc::SYS_bind, args![listener, &raw const address, IN]);
        w.exact(libc::SYS_bind, args![listener, &raw const address, IN]);
        w.exact(libc::SYS_listen, args![listener, 4]);
        w.exact(libc::SYS_getsockname, args![listener, &raw mut address, &raw mut len]);
        w.note((address.sin_family, address.sin_addr.s_addr, len));
        let client = w.socket(libc::SOCK_STREAM);
        w.exact(libc::SYS_connect, args![client, &raw const address, IN]);
        w.exact(libc::SYS_connect, args![client, &raw const address, IN]);
        let mut peer: libc::sockaddr_in = blank();
        let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        let server = w.fd(libc::SYS_accept4, args![listener, &raw mut peer, &raw mut len, flags]);
        w.note((peer.sin_family, peer.sin_addr.s_addr, len));
        w.exact(libc::SYS_getpeername, args![client, &raw mut peer, &raw mut len]);
        w.note(peer.sin_port == address.sin_port);
        let mut byte = [0u8; 1];
        w.exact(libc::SYS_recvfrom, args![server, byte.as_mut_ptr(), 1, 0, 0, 0]);
    }),
    ("what cannot be connected says so", |w| {
        let closed = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.local_addr().expect("bound").port()
        };
        let socket = w.socket(libc::SOCK_STREAM);
        let address = loopback(closed);
        w.exact(libc::SYS_connect, args![socket, &raw const address, IN]);
        w.exact(libc::SYS_connect, args![socket, BAD, IN]);
        w.exact(libc::SYS_connect, args![socket, &raw const address, 3]);
        w.exact(libc::SYS_connect, args![w.file("f", b""), &raw const address, IN]);
        w.exact(libc::SYS_getpeername, args![socket, BAD, BAD]);
        w.exact(libc::SYS_listen, args![CLOSED, 1]);
        w.exact(libc::SYS_accept4, args![socket, 0, 0, 0]);
        w.exact(libc::SYS_accept4, args![socket, 0, 0, 1 << 30]);
        w.exact(libc::SYS_bind, args![CLOSED, &raw const address, IN]);
    }),
    ("options are set and read back", |w| {
        let socket = w.socket(libc::SOCK_STREAM);
        let (one, mut seen, mut len) = (1i32, 0i32, 4u32);
        for (level, option) in [
            (libc::IPPROTO_TCP, libc::TCP_NODELAY),
            (libc::SOL_SOCKET, libc::SO_KEEPALIVE),
            (libc::SOL_SOCKET, 9_999),
            (9_999, 1),
        ] {
            let set = args![socket, level, option, &raw const one, 4];
            w.exact(libc::SYS_setsockopt, set);
            let get = args![socket, level, option, &raw mut seen, &raw mut len];
            w.exact(libc::SYS_getsockopt, get);
            w.note((seen, len));
        }
        let (level, option) = (libc::SOL_SOCKET, libc::SO_REUSEADDR);
        w.exact(libc::SYS_setsockopt, args![socket, level, option, &raw const one, 2]);
        w.exact(libc::SYS_setsockopt, args![socket, level, option, BAD, 4]);
        w.exact(libc::SYS_getsockopt, args![w.file("f", b""), level, option, BAD, BAD]);
    }),
    ("sendto and recvfrom carry bytes", |w| {
        let (a, b) = pair(libc::SOCK_STREAM);
        w.exact(libc::SYS_sendto, args![a, c"bytes".as_ptr(), 5, 0, 0, 0]);
        let mut buf = [b'.'; 8];
        w.exact(libc::SYS_recvfrom, args![b, buf.as_mut_ptr(), 3, libc::MSG_PEEK, 0, 0]);
        w.exact(libc::SYS_recvfrom, args![b, buf.as_mut_ptr(), 8, 0, 0, 0]);
        w.note(buf);
        w.exact(libc::SYS_recvfrom, args![b, buf.as_mut_ptr(), 8, libc::MSG_DONTWAIT, 0, 0]);
        w.exact(libc::SYS_sendto, args![a, BAD, 5, 0, 0, 0]);
        drop(b);
        w.exact(libc::SYS_sendto, args![a, c"x".as_ptr(), 1, libc::MSG_NOSIGNAL, 0, 0]);
        w.exact(libc::SYS_recvfrom, args![a, buf.as_mut_ptr(), 8, 0, 0, 0]);
        w.exact(libc::SYS_sendto, args![CLOSED, c"x".as_ptr(), 1, 0, 0, 0]);
    }),
    ("sendmsg and recvmsg carry parts", |w| {
        let (a, b) = pair(libc::SOCK_DGRAM);
        let mut text = *b"datagram";
        let mut sent = part(&mut text);
        let out = message(&mut sent);
        w.exact(libc::SYS_sendmsg, args![a, &raw const out, 0]);
        let mut room = [b'.'; 4];
        let mut into = part(&mut room);
        let mut got = message(&mut into);
        w.exact(libc::SYS_recvmsg, args![b, &raw mut got, 0]);
        w.note((room, got.msg_flags));
        w.exact(libc::SYS_recvmsg, args![b, &raw mut got, libc::MSG_DONTWAIT]);
        w.exact(libc::SYS_sendmsg, args![a, BAD, 0]);
        w.exact(libc::SYS_recvmsg, args![CLOSED, &raw mut got, 0]);
    }),
    ("sendmmsg and recvmmsg carry several messages", |w| {
        let (a, b) = pair(libc::SOCK_DGRAM);
        let mut texts = [*b"one", *b"two"];
        let [first, second] = &mut texts;
        let (mut first, mut second) = (part(first), part(second));
        let all = [&mut first, &mut second]
            .map(|part| libc::mmsghdr { msg_hdr: message(part), msg_len: 0 });
        w.exact(libc::SYS_sendmmsg, args![a, all.as_ptr(), 2, 0]);
        w.note(all.map(|message| message.msg_len));
        let mut room = [[b'.'; 3]; 2];
        let [first, second] = &mut room;
        let (mut first, mut second) = (part(first), part(second));
        let mut all = [&mut first, &mut second]
            .map(|part| libc::mmsghdr { msg_hdr: message(part), msg_len: 0 });
        let nowait = libc::MSG_DONTWAIT;
        w.exact(libc::SYS_recvmmsg, args![b, all.as_mut_ptr(), 2, nowait, 0]);
        w.note((all.map(|message| message.msg_len), room));
        w.exact(libc::SYS_recvmmsg, args![b, all.as_mut_ptr(), 2, nowait, 0]);
    }),
    ("shutdown ends one direction", |w| {
        let (a, b) = pair(libc::SOCK_STREAM);
        w.exact(libc::SYS_shutdown, args![a, libc::SHUT_WR]);
        let mut byte = [0u8; 1];
        w.exact(libc::SYS_recvfrom, args![b, byte.as_mut_ptr(), 1, 0, 0, 0]);
        let flags = libc::MSG_NOSIGNAL;
        w.exact(libc::SYS_sendto, args![a, byte.as_ptr(), 1, flags, 0, 0]);
        w.exact(libc::SYS_sendto, args![b, byte.as_ptr(), 1, flags, 0, 0]);
        w.exact(libc::SYS_shutdown, args![a, 77]);
        let alone = w.socket(libc::SOCK_STREAM);
        w.exact(libc::SYS_shutdown, args![alone, libc::SHUT_RD]);
        w.exact(libc::SYS_shutdown, args![w.file("f", b""), libc::SHUT_RD]);
    }),
];
