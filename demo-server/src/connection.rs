//! What is known of a connection between two of its events: the state that moves with its color.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use color_sched::{CoreId, Nanos, TimerId};
use ecem::PairId;
use flexsc_ring::{RecvBuf, Ticket};

use crate::files::{FileEntry, Opening};
use crate::http::body::Drain;
use crate::http::range::Part;
use crate::http::status::Status;
use crate::stages::request::Request;

/// Input that a connection may run ahead of its answers before the server stops reading from it.
pub const BACKLOG_HIGH: usize = 64 << 10;
/// Input at which a server that stopped reading starts again.
pub const BACKLOG_LOW: usize = 16 << 10;
/// Input at which a client that cannot be stopped, because its connection is away from home, is cut off.
pub const BACKLOG_MAX: usize = 4 * BACKLOG_HIGH;

/// One connection.
///
/// | field | some while |
/// |---|---|
/// | `task` | a request has been read and its answer is not under way |
/// | `sending` | a send of an answer is with the kernel |
/// | `transfer` | a body is on its way in chunks |
/// | `pair` | file and socket of the task or transfer are correlated |
#[derive(Debug)]
pub struct Connection {
    /// The socket; closed through the ring when the connection ends.
    pub socket: Option<OwnedFd>,
    /// Bytes received and not yet understood.
    pub input: Input,
    /// Is a receive with the kernel?
    pub receiving: Receiving,
    /// Does an event that parses the next request wait?
    pub parse_is_due: bool,
    /// The request that is being worked on.
    pub task: Option<Task>,
    /// The answer that the kernel is sending.
    pub sending: Option<Sending>,
    /// The body that is being sent in chunks.
    pub transfer: Option<Box<Transfer>>,
    /// The event pair of the file and this socket.
    pub pair: Option<PairId>,
    /// How the connection is coming to its end, if it is.
    pub ending: Ending,
    /// Calls with the kernel besides the receive: the connection stays until they are back.
    pub calls: u32,
    /// Has any answer been sent?
    pub has_answered: bool,
    /// When something last moved.
    pub moved_at: Nanos,
    /// Since when a request has been arriving that is not whole.
    pub arriving_since: Option<Nanos>,
    /// When the server, which is ending, will wait no longer.
    pub ends_at: Option<Nanos>,
    /// The armed timer and when it fires.
    pub timer: Option<(TimerId, Nanos)>,
}

/// Is a multishot receive with the kernel?
#[derive(Debug)]
pub enum Receiving {
    /// Yes: with the ring of this core, which alone can cancel it.
    Armed(Ticket, CoreId),
    /// It was told to stop because the client runs ahead; its last completion is to come.
    Stopping,
    /// No, and it may be armed again.
    Off,
    /// No, and the client will send nothing more.
    Ended,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It does not yet.
    No,
    /// After the answer in progress: the client or the server asked for that.
    AfterAnswer,
    /// Our side is closed; what the client still sends is thrown away so that it sees the answer.
    Lingering,
    /// Both sides are closed; calls in flight come back, then the connection is gone.
    Closing,
}

/// A request between its stages.
#[derive(Debug)]
pub struct Task {
    /// What the client asked for; absent when the request could not be understood.
    pub request: Option<Request>,
    /// The body to be thrown away before the answer.
    pub drain: Option<Drain>,
    /// What to answer, once known.
    pub outcome: Option<Outcome>,
    /// The file, while it is being opened.
    pub opening: Opening,
    /// Does the connection go on after the answer?
    pub keep_alive: bool,
}

/// What a request comes to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A whole file.
    File(Arc<FileEntry>),
    /// A part of a file.
    Part(Arc<FileEntry>, Part),
    /// The client has the file.
    NotModified(Arc<FileEntry>),
    /// The range starts behind the end of a file of this size.
    Unsatisfiable(u64),
    /// The path names a directory and lacks its closing slash.
    Moved,
    /// No file.
    Status(Status),
}

/// An answer that is with the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Sending {
    /// Bytes posted.
    pub len: usize,
}

/// A body on its way in chunks.
#[derive(Debug)]
pub struct Transfer {
    /// What is sent.
    pub file: Arc<FileEntry>,
    /// The next byte of the file to send.
    pub offset: u64,
    /// Where the part of the file that was asked for ends.
    pub end: u64,
    /// The head, until the socket has taken it.
    pub head: Vec<u8>,
    /// Does the connection go on after it?
    pub keep_alive: bool,
}

impl Connection {
    /// A connection that has just been accepted.
    #[must_use]
    pub fn new(socket: OwnedFd, receiving: Receiving, now: Nanos) -> Self {
        Self {
            socket: Some(socket),
            input: Input::default(),
            receiving,
            parse_is_due: false,
            task: None,
            sending: None,
            transfer: None,
            pair: None,
            ending: Ending::No,
            calls: 0,
            has_answered: false,
            moved_at: now,
            arriving_since: None,
            ends_at: None,
            timer: None,
        }
    }

    /// The descriptor for calls to be posted; -1 once the socket is on its way to be closed.
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.socket.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// Is nothing being done for the client?
    ///
    /// Only then the next request is begun: its events run in order with those of the answer before it, and one that
    /// waits for an object must not keep another from being given back.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.task.is_none() && self.sending.is_none() && self.transfer.is_none()
    }
}

/// Received bytes that wait to be understood.
///
/// A whole request in one receive, the usual case, is read where the kernel put it. Only what has to wait is copied,
/// so that a slow client holds no receive buffer.
#[derive(Debug, Default)]
pub struct Input {
    held: Option<RecvBuf>,
    spill: Vec<u8>,
    consumed: usize,
    /// Bytes that have been found to be no whole request.
    pub partial: usize,
}

impl Input {
    /// Adds what was received.
    pub fn push(&mut self, received: RecvBuf) {
        if self.is_empty() {
            self.clear();
            self.held = Some(received);
        } else {
            self.release();
            self.spill.extend_from_slice(&received);
        }
    }

    /// The bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let all = self.held.as_deref().unwrap_or(&self.spill);
        &all[self.consumed..]
    }

    /// Takes `n` bytes off the front.
    pub fn consume(&mut self, n: usize) {
        self.partial = 0;
        self.consumed += n.min(self.len());
        if self.is_empty() {
            self.clear();
        }
    }

    /// Copies what waits out of the receive buffer, so that the kernel can have it back.
    pub fn release(&mut self) {
        if let Some(held) = self.held.take() {
            self.spill.clear();
            self.spill.extend_from_slice(&held[self.consumed..]);
            self.consumed = 0;
        } else if self.consumed > self.spill.len() / 2 {
            self.spill.drain(..self.consumed);
            self.consumed = 0;
        }
    }

    /// Throws everything away, memory included.
    pub fn clear(&mut self) {
        self.held = None;
        self.consumed = 0;
        self.partial = 0;
        self.spill = Vec::new();
    }

    /// Number of bytes that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Does nothing wait?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
