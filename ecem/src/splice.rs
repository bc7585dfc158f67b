//! Disk-to-network splicing as a pure state machine (ECEM §4, §5.2): read ahead, send, or wait?
//!
//! The paper joins "an acknowledgement arrived" ⇒ "read from disk": each acknowledgement sends
//! as many bytes as it released, out of pages that were fetched before, so that the sending
//! routine never blocks. If a page is missing, it returns and tries again at the next one.
//!
//! Differs: the acknowledgement is learned from the length of the send queue ([`AckClock`]), and
//! the caller carries the actions out, by `sendfile` and `readahead` or by any other calls.

use std::ops::Range;

use crate::AckClock;

/// What to do next. An action counts as begun once it is returned: carry it out and report.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Bring these bytes of the file into memory, then call [`Splice::on_prefetched`].
    Prefetch {
        /// First byte in the file.
        offset: u64,
        /// How many; at least 1.
        len: u64,
    },
    /// Send these bytes, which are in memory, without blocking; then call [`Splice::on_sent`].
    Send {
        /// First byte in the file.
        offset: u64,
        /// How many; at least 1.
        len: u64,
    },
    /// Nothing to begin: wait for a completion, or for an acknowledgement.
    Wait,
    /// Every byte was given to the socket.
    Done,
}

/// A completion that does not fit what was asked for. The splice is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// More bytes were reported than the action asked for.
    #[error("{got} bytes reported for an action of {asked}; report what the call returned")]
    TooMany {
        /// Length of the action.
        asked: u64,
        /// Length reported.
        got: u64,
    },
    /// No such action is under way.
    #[error("{got} bytes reported, but no such action is under way; carry out what next() returns")]
    NotAsked {
        /// Length reported.
        got: u64,
    },
}

/// How far a splice runs ahead. 0 counts as 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead {
    /// Bytes sent and not yet acknowledged, at most.
    pub window: u64,
    /// Bytes in memory and not yet sent, at most. The next fetch begins when half of them are
    /// gone.
    pub fetch: u64,
}

impl Default for Ahead {
    /// 128 KiB in flight, and the paper's page prefetch: 31 pages of 4 KiB (§5.2).
    fn default() -> Self {
        Ahead { window: 128 * 1024, fetch: 31 * 4096 }
    }
}

/// One file range on its way to one socket. At most one fetch and one send are under way.
///
/// Invariant: `start <= sent <= fetched <= end`, and `sent` is at most `window` beyond the last
/// acknowledged byte. Bytes are sent in order, none twice, none left out.
#[derive(Debug, Clone)]
pub struct Splice {
    sent: u64,
    fetched: u64,
    end: u64,
    missing: u64,
    clock: AckClock,
    fetch_ahead: u64,
    fetching: Option<u64>,
    sending: Option<u64>,
    /// The socket took less than it was offered: nothing more until an acknowledgement.
    full: bool,
}

impl Splice {
    /// Sends the bytes `range` of a file. An inverted range is empty.
    pub fn new(range: Range<u64>, ahead: Ahead) -> Self {
        Splice {
            sent: range.start,
            fetched: range.start,
            end: range.end.max(range.start),
            missing: 0,
            clock: AckClock::new(ahead.window.max(1)),
            fetch_ahead: ahead.fetch.max(1),
            fetching: None,
            sending: None,
            full: false,
        }
    }

    /// What to do next. Call it after every report until it returns [`Action::Wait`] or
    /// [`Action::Done`]: a fetch and a send may be under way together.
    pub fn next_action(&mut self) -> Action {
        if self.sent == self.end {
            return Action::Done;
        }
        if self.sending.is_none() && !self.full {
            let len = (self.fetched - self.sent).min(self.clock.credit());
            if len > 0 {
                self.sending = Some(len);
                return Action::Send { offset: self.sent, len };
            }
        }
        let in_memory = self.fetched - self.sent;
        if self.fetching.is_none() && in_memory <= self.fetch_ahead / 2 {
            let len = (self.fetch_ahead - in_memory).min(self.end - self.fetched);
            if len > 0 {
                self.fetching = Some(len);
                return Action::Prefetch { offset: self.fetched, len };
            }
        }
        Action::Wait
    }

    /// The fetch under way brought `got` bytes into memory; fewer than asked are fetched again. 0
    /// says that the file ends here: the splice ends with it, see [`missing`](Splice::missing).
    ///
    /// # Errors
    /// When no fetch is under way, or it asked for less.
    pub fn on_prefetched(&mut self, got: u64) -> Result<(), SpliceError> {
        take(&mut self.fetching, got)?;
        if got == 0 {
            self.missing = self.end - self.fetched;
            self.end = self.fetched;
        }
        self.fetched += got;
        Ok(())
    }

    /// The socket took `got` bytes of the send under way. After fewer than asked, 0 included, the
    /// rest is offered at the next acknowledgement.
    ///
    /// # Errors
    /// When no send is under way, or it asked for less.
    pub fn on_sent(&mut self, got: u64) -> Result<(), SpliceError> {
        let asked = take(&mut self.sending, got)?;
        self.full = got < asked;
        self.sent += got;
        self.clock.on_sent(got);
        Ok(())
    }

    /// The send queue is now `queued` bytes long (`SIOCOUTQ`); returns the bytes acknowledged
    /// since the last call. An empty queue, or one that an acknowledgement shortened, takes more.
    pub fn on_queue(&mut self, queued: u64) -> u64 {
        let released = self.clock.on_queue(queued);
        if released > 0 || queued == 0 {
            self.full = false;
        }
        released
    }

    /// Bytes given to the socket and not yet known to be acknowledged.
    pub fn in_flight(&self) -> u64 {
        self.clock.in_flight()
    }

    /// Bytes not yet given to the socket.
    pub fn left(&self) -> u64 {
        self.end - self.sent
    }

    /// Bytes of the range that the file turned out not to have.
    pub fn missing(&self) -> u64 {
        self.missing
    }
}

fn take(under_way: &mut Option<u64>, got: u64) -> Result<u64, SpliceError> {
    match *under_way {
        None => Err(SpliceError::NotAsked { got }),
        Some(asked) if got > asked => Err(SpliceError::TooMany { asked, got }),
        Some(asked) => {
            *under_way = None;
            Ok(asked)
        }
    }
}
