//! How many bytes does an acknowledgement release? (ECEM §4)
//!
//! TCP clocks itself: acknowledgements come back at the rate at which the path carries data, and
//! each empties a part of the send buffer. The paper sends as much new data as was acknowledged,
//! in the interrupt that brought the acknowledgement. User space sees no acknowledgements, but it
//! can ask for the length of the send queue (`SIOCOUTQ`: bytes sent or waiting, not yet
//! acknowledged), and the difference of two lengths says the same:
//!
//! ```text
//! released = length before + bytes sent in between - length after
//! ```

/// Counts what was sent and what was acknowledged, and says how much may be sent now: never more
/// than `window` bytes beyond the last acknowledged one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckClock {
    window: u64,
    sent: u64,
    acked: u64,
}

impl AckClock {
    /// A clock for a connection with an empty send queue. `window` bounds the bytes in flight; the
    /// paper's is the size of the send buffer.
    pub fn new(window: u64) -> Self {
        AckClock { window, sent: 0, acked: 0 }
    }

    /// `bytes` were given to the socket. Count everything sent on it, headers too: the queue
    /// length does.
    pub fn on_sent(&mut self, bytes: u64) {
        self.sent = self.sent.saturating_add(bytes);
    }

    /// The send queue is now `queued` bytes long; returns the bytes acknowledged since the last
    /// call. A length above what was sent releases nothing.
    pub fn on_queue(&mut self, queued: u64) -> u64 {
        let acked = self.sent.saturating_sub(queued).max(self.acked);
        let released = acked - self.acked;
        self.acked = acked;
        released
    }

    /// Bytes that may be sent now.
    pub fn credit(&self) -> u64 {
        self.window.saturating_sub(self.in_flight())
    }

    /// Bytes sent and not yet known to be acknowledged.
    pub fn in_flight(&self) -> u64 {
        self.sent - self.acked
    }

    /// Bytes given to the socket since the start.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes known to be acknowledged since the start.
    pub fn acked(&self) -> u64 {
        self.acked
    }
}
