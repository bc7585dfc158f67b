//! The server's own system calls: the root directory, the listeners, who is at the other end.
//!
//! Everything on a request's way is posted through `flexsc-ring`; what is here happens at start, at a connection's
//! unhappy end, or for the live page.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel keeps for us before `accept`.
const BACKLOG: i32 = 4096;

/// Opens the directory that everything is served from; paths are resolved beneath this descriptor by the kernel.
pub(crate) fn open_root(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// A listening socket of its own for a core: the kernel spreads new connections over those of one port.
///
/// `TCP_NODELAY` is set here because accepted sockets inherit it.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The address that a listener got, which differs from the one asked for when the port was 0.
pub(crate) fn local_addr(listener: &impl AsFd) -> io::Result<SocketAddr> {
    socket2::SockRef::from(listener)
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("not an internet address"))
}

/// Is anybody listening at `addr` already? Listeners share a port with `SO_REUSEPORT`, so a second server of the
/// same user would silently take half of the first one's connections.
pub(crate) fn is_taken(addr: SocketAddr) -> bool {
    if addr.port() == 0 {
        return false;
    }
    let probe = || -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&addr.into())
    };
    matches!(probe(), Err(error) if error.kind() == io::ErrorKind::AddrInUse)
}

/// Does the connection come from this machine?
pub(crate) fn peer_is_loopback(socket: &impl AsFd) -> bool {
    let peer = socket2::SockRef::from(socket).peer_addr();
    peer.ok().and_then(|addr| addr.as_socket()).is_some_and(|addr| match addr {
        SocketAddr::V4(v4) => v4.ip().is_loopback(),
        SocketAddr::V6(v6) => v6.ip().to_canonical().is_loopback(),
    })
}

/// Has the kernel throw away what the other end has not taken when `socket` is closed.
pub(crate) fn reset_on_close(socket: &impl AsFd) {
    let _ = socket2::SockRef::from(socket).set_linger(Some(std::time::Duration::ZERO));
}

/// Raises the soft limit of descriptors to the hard one and returns it.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if rustix::process::setrlimit(Resource::Nofile, raised).is_ok() {
        limit.maximum.unwrap_or(u64::MAX)
    } else {
        limit.current.unwrap_or(u64::MAX)
    }
}

/// Does this error of the kernel mean that there are no descriptors left?
pub(crate) fn is_out_of_descriptors(code: i32) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| errno.raw_os_error() == code)
}

/// Does this error of the kernel mean that a disk failed?
pub(crate) fn is_io_failure(code: i32) -> bool {
    [Errno::IO, Errno::STALE].iter().any(|errno| errno.raw_os_error() == code)
}

/// Tells a connection that there is no room for it, if it listens, and closes it.
pub(crate) fn shed(socket: OwnedFd, answer: &[u8]) {
    let socket = Socket::from(socket);
    let _ = socket.set_nonblocking(true);
    let _ = socket.send(answer);
    let _ = socket.shutdown(std::net::Shutdown::Write);
}

/// Bytes of memory that this process has resident, from `/proc`.
pub(crate) fn resident_bytes() -> Option<u64> {
    let mut text = String::new();
    File::open("/proc/self/statm").ok()?.read_to_string(&mut text).ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}
