//! Where does a connection go: an address as the caller has it, and as the kernel takes it?

use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Whom a [`Call::Connect`](crate::Call::Connect) connects to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// An address and port of IPv4 or IPv6.
    Ip(SocketAddr),
    /// The path of a Unix socket: 1 to 107 bytes without NUL.
    Unix(PathBuf),
    /// The name of a Unix socket that has no path, at most 107 bytes.
    Abstract(Vec<u8>),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Address::Ip(address)
    }
}

/// Bytes of `sun_path`.
const PATH: usize = 108;

/// Most bytes of a name: one goes to the NUL before or behind it.
pub(crate) const MOST_NAME: usize = PATH - 1;

impl Address {
    /// The length of a name that does not fit, or names nothing.
    pub(crate) fn bad_name(&self) -> Option<usize> {
        let (name, named) = match self {
            Address::Ip(_) => return None,
            Address::Unix(path) => {
                let name = path.as_os_str().as_bytes();
                (name, !name.is_empty() && !name.contains(&0))
            }
            Address::Abstract(name) => (&name[..], true),
        };
        (!named || name.len() > MOST_NAME).then_some(name.len())
    }
}

/// A socket address as the kernel takes it.
#[repr(C, align(8))]
pub(crate) struct RawAddress {
    bytes: [u8; 128],
    len: u32,
    unix: bool,
}

impl RawAddress {
    /// Of an address that has no `bad_name`.
    pub(crate) fn new(address: &Address) -> Self {
        let mut raw = RawAddress { bytes: [0; 128], len: 0, unix: false };
        match address {
            Address::Ip(SocketAddr::V4(v4)) => {
                raw.put(&(libc::AF_INET as u16).to_ne_bytes());
                raw.put(&v4.port().to_be_bytes());
                raw.put(&v4.ip().octets());
                raw.put(&[0; 8]);
            }
            Address::Ip(SocketAddr::V6(v6)) => {
                raw.put(&(libc::AF_INET6 as u16).to_ne_bytes());
                raw.put(&v6.port().to_be_bytes());
                raw.put(&v6.flowinfo().to_be_bytes());
                raw.put(&v6.ip().octets());
                raw.put(&v6.scope_id().to_ne_bytes());
            }
            Address::Unix(path) => {
                raw.put(&(libc::AF_UNIX as u16).to_ne_bytes());
                raw.put(path.as_os_str().as_bytes());
                raw.put(&[0]);
                raw.unix = true;
            }
            Address::Abstract(name) => {
                raw.put(&(libc::AF_UNIX as u16).to_ne_bytes());
                raw.put(&[0]);
                raw.put(name);
                raw.unix = true;
            }
        }
        raw
    }

    fn put(&mut self, bytes: &[u8]) {
        let room = self.bytes.iter_mut().skip(self.len as usize);
        self.len += room.zip(bytes).map(|(room, byte)| *room = *byte).count() as u32;
    }

    /// A socket of the machine itself, whose connections are not announced by readiness.
    pub(crate) fn is_unix(&self) -> bool {
        self.unix
    }

    /// Where it is, and its length in bytes.
    pub(crate) fn parts(&self) -> (*const libc::sockaddr, u32) {
        (self.bytes.as_ptr().cast(), self.len)
    }
}
