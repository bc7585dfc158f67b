//! A URL, taken apart into what a connection and a request need.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use thiserror::Error;

/// Where a load goes: `http://HOST[:PORT][/PATH]`.
///
/// ```
/// let target: demo_server::load::Target = "http://127.0.0.1:8080/a?b".parse().unwrap();
/// assert_eq!((target.port, target.path.as_str()), (8080, "/a?b"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name or address, without the brackets of an IPv6 address.
    pub host: String,
    /// The port, 80 if the URL names none.
    pub port: u16,
    /// Path and query, `/` if the URL has none.
    pub path: String,
}

/// Why a URL is no target.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TargetError {
    /// Not `http://`.
    #[error("`{0}` does not start with http://; the load generator speaks plain HTTP/1.1")]
    Scheme(String),
    /// No host, or an address in brackets that does not end.
    #[error("`{0}` names no host; write http://127.0.0.1:8080/")]
    Host(String),
    /// A port that is not a number from 1 to 65535.
    #[error("`{0}` is no port; write a number from 1 to 65535")]
    Port(String),
    /// A space, a control byte or a byte outside of ASCII, which a request line cannot carry.
    #[error("`{0}` has bytes that a request line cannot carry; percent-encode them")]
    Bytes(String),
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(url: &str) -> Result<Target, TargetError> {
        let rest = url.strip_prefix("http://").ok_or_else(|| TargetError::Scheme(url.into()))?;
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TargetError::Bytes(url.into()));
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (host, port) = host_and_port(authority).ok_or_else(|| TargetError::Host(url.into()))?;
        let port = match port {
            None | Some("") => 80,
            Some(text) => match text.parse() {
                Ok(port) if port != 0 => port,
                _ => return Err(TargetError::Port(text.into())),
            },
        };
        let path = if path.starts_with('/') { path.into() } else { format!("/{path}") };
        Ok(Target { host: host.into(), port, path })
    }
}

/// Splits `HOST`, `HOST:PORT`, `[V6]` or `[V6]:PORT`; `None` if there is no host.
fn host_and_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return None,
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    (!host.is_empty() && !host.contains('@')).then_some((host, port))
}

impl Target {
    /// The first address that the host resolves to.
    pub fn resolve(&self) -> io::Result<SocketAddr> {
        let none =
            || io::Error::new(io::ErrorKind::NotFound, format!("{} has no address", self.host));
        (self.host.as_str(), self.port).to_socket_addrs()?.next().ok_or_else(none)
    }

    /// The bytes of a GET request for the target, to be kept alive.
    pub fn request(&self) -> Vec<u8> {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("GET {} HTTP/1.1\r\nHost: {host}:{}\r\n\r\n", self.path, self.port).into_bytes()
    }
}
