//! Which options of a socket do servers set, and how does the kernel take them?

use std::time::Duration;

/// What a [`Call::SetSockOpt`](crate::Call::SetSockOpt) sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketOption {
    /// `TCP_NODELAY`: a small segment is sent at once.
    NoDelay(bool),
    /// `TCP_CORK`: only full segments are sent until it is taken off (200 ms at most).
    Cork(bool),
    /// `SO_REUSEADDR`: bind to a port whose old connections have not timed out.
    ReuseAddr(bool),
    /// `SO_REUSEPORT`: several listeners share a port.
    ReusePort(bool),
    /// `SO_KEEPALIVE`: ask a silent peer whether it is there.
    KeepAlive(bool),
    /// `SO_SNDBUF` in bytes; the kernel doubles it.
    SendBuffer(u32),
    /// `SO_RCVBUF` in bytes; the kernel doubles it.
    RecvBuffer(u32),
    /// `TCP_NOTSENT_LOWAT` in bytes: writable only with less than this unsent.
    NotSentLowat(u32),
    /// `SO_LINGER`: how long a close waits for unsent bytes, rounded up to seconds; zero resets the
    /// connection, `None` closes in the background.
    Linger(Option<Duration>),
    /// `TCP_QUICKACK`: acknowledge at once, for now.
    QuickAck(bool),
    /// `TCP_DEFER_ACCEPT`: accept only when bytes are there, or after this time; seconds.
    DeferAccept(Duration),
    /// `TCP_FASTOPEN`: connections in the queue of those that brought bytes with their SYN.
    FastOpen(u32),
    /// Any other option whose value is one `int`.
    Other {
        /// `SOL_*` or `IPPROTO_*`.
        level: i32,
        /// The option's number at that level.
        name: i32,
        /// Its value.
        value: i32,
    },
}

/// An option as the kernel takes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawOption {
    pub(crate) level: i32,
    pub(crate) name: i32,
    pub(crate) value: [i32; 2],
    pub(crate) len: u32,
}

fn number(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// Whole seconds, rounded up.
fn seconds(time: Duration) -> i32 {
    let up = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    i32::try_from(up).unwrap_or(i32::MAX)
}

impl SocketOption {
    pub(crate) fn raw(self) -> RawOption {
        use SocketOption as Of;
        let tcp = |name, value| (libc::IPPROTO_TCP, name, value);
        let socket = |name, value| (libc::SOL_SOCKET, name, value);
        let (level, name, value) = match self {
            Of::NoDelay(on) => tcp(libc::TCP_NODELAY, on.into()),
            Of::Cork(on) => tcp(libc::TCP_CORK, on.into()),
            Of::ReuseAddr(on) => socket(libc::SO_REUSEADDR, on.into()),
            Of::ReusePort(on) => socket(libc::SO_REUSEPORT, on.into()),
            Of::KeepAlive(on) => socket(libc::SO_KEEPALIVE, on.into()),
            Of::SendBuffer(bytes) => socket(libc::SO_SNDBUF, number(bytes)),
            Of::RecvBuffer(bytes) => socket(libc::SO_RCVBUF, number(bytes)),
            Of::NotSentLowat(bytes) => tcp(libc::TCP_NOTSENT_LOWAT, number(bytes)),
            Of::Linger(time) => {
                let value = [time.is_some().into(), time.map_or(0, seconds)];
                let (level, name) = (libc::SOL_SOCKET, libc::SO_LINGER);
                return RawOption { level, name, value, len: 8 };
            }
            Of::QuickAck(on) => tcp(libc::TCP_QUICKACK, on.into()),
            Of::DeferAccept(time) => tcp(libc::TCP_DEFER_ACCEPT, seconds(time)),
            Of::FastOpen(queue) => tcp(libc::TCP_FASTOPEN, number(queue)),
            Of::Other { level, name, value } => (level, name, value),
        };
        RawOption { level, name, value: [value, 0], len: 4 }
    }
}
