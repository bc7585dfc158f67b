//! One client connection: what is still to be written, what is still to be answered.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::reply::{Reply, ReplyReader};
use super::sys::{self, Poller};

/// Every connection asks for the same thing, so what it has to write is a position in one endless
/// repetition of the request.
pub(super) struct Script {
    repeated: Vec<u8>,
    request_len: usize,
}

impl Script {
    /// A script that can write `at_once` requests in one call.
    pub(super) fn new(request: &[u8], at_once: usize) -> Script {
        Script { repeated: request.repeat(at_once), request_len: request.len() }
    }
}

/// Why a connection is of no more use.
#[derive(Debug)]
pub(super) enum Broken {
    /// It never was connected.
    Connect,
    /// Reading failed, or the connection ended before the reply did.
    Read,
    /// Writing failed.
    Write,
    /// The server sent something that is no HTTP reply, or that nobody asked for.
    Protocol,
    /// It kept silent for too long.
    Timeout,
    /// The server said or showed that it answers no more, which it is free to do between two
    /// replies.
    Ended,
}

/// An open connection, or one that is being opened.
pub(super) struct Connection {
    stream: TcpStream,
    index: usize,
    reader: ReplyReader,
    /// When the requests that are not answered yet were to be sent, oldest first.
    started: VecDeque<Instant>,
    /// Bytes still to be written.
    unsent: usize,
    /// Where in the script the next byte to write is.
    position: usize,
    /// Requests made in the connection's life.
    asked: u32,
    /// When it was opened, or was asked while it had nothing to do, or last sent something.
    progressed: Instant,
    connected: bool,
    watches_writable: bool,
}

impl Connection {
    pub(super) fn open(
        addr: SocketAddr,
        index: usize,
        poller: &Poller,
        now: Instant,
    ) -> io::Result<Connection> {
        let stream = sys::connect(addr)?;
        poller.add(&stream, index, true)?;
        Ok(Connection {
            stream,
            index,
            reader: ReplyReader::default(),
            started: VecDeque::new(),
            unsent: 0,
            position: 0,
            asked: 0,
            progressed: now,
            connected: false,
            watches_writable: true,
        })
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// Requests made in the connection's life.
    pub(super) fn asked(&self) -> u32 {
        self.asked
    }

    /// Requests made and not answered yet.
    pub(super) fn in_flight(&self) -> usize {
        self.started.len()
    }

    /// For how long nothing has come although something should: a reply, or the connection itself.
    pub(super) fn waiting(&self, now: Instant) -> Duration {
        if self.connected && self.started.is_empty() {
            return Duration::ZERO;
        }
        now.saturating_duration_since(self.progressed)
    }

    /// Adds one request, whose latency counts from `started`; `flush` writes it.
    pub(super) fn ask(&mut self, started: Instant, now: Instant, script: &Script) {
        if self.connected && self.started.is_empty() {
            self.progressed = now;
        }
        self.started.push_back(started);
        self.unsent += script.request_len;
        self.asked += 1;
    }

    /// Writes what the socket takes.
    pub(super) fn flush(&mut self, script: &Script, poller: &Poller) -> Result<(), Broken> {
        if !self.connected {
            return Ok(());
        }
        while self.unsent > 0 {
            let end = script.repeated.len().min(self.position + self.unsent);
            match self.stream.write(&script.repeated[self.position..end]) {
                Ok(0) => return Err(Broken::Write),
                Ok(written) => {
                    self.unsent -= written;
                    self.position = (self.position + written) % script.request_len;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Broken::Write),
            }
        }
        self.watch_writable(self.unsent > 0, poller)
    }

    fn watch_writable(&mut self, wanted: bool, poller: &Poller) -> Result<(), Broken> {
        if wanted != self.watches_writable {
            poller.modify(&self.stream, self.index, wanted).map_err(|_| Broken::Write)?;
            self.watches_writable = wanted;
        }
        Ok(())
    }

    /// The socket became writable: finishes connecting, then writes what waits.
    pub(super) fn on_writable(&mut self, script: &Script, poller: &Poller) -> Result<(), Broken> {
        if !self.connected {
            self.finish_connecting()?;
        }
        self.flush(script, poller)
    }

    fn finish_connecting(&mut self) -> Result<(), Broken> {
        match self.stream.take_error() {
            Ok(None) => self.connected = true,
            _ => return Err(Broken::Connect),
        }
        Ok(())
    }

    /// The socket became readable: reads what there is, adds to `bytes`, and calls `answered` with
    /// each reply and the start of its request.
    pub(super) fn on_readable(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        bytes: &mut u64,
        answered: &mut impl FnMut(Reply, Instant),
    ) -> Result<(), Broken> {
        if !self.connected {
            self.finish_connecting()?;
        }
        self.progressed = now;
        loop {
            let read = match self.stream.read(buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(Broken::Read),
            };
            *bytes += read as u64;
            let (mut ends, mut unasked) = (false, false);
            let mut finished = |reply: Reply| {
                ends |= reply.close;
                match self.started.pop_front() {
                    Some(started) => answered(reply, started),
                    None => unasked = true,
                }
            };
            if read == 0 {
                self.reader.end().into_iter().for_each(&mut finished);
            } else if self.reader.feed(&buffer[..read], &mut finished).is_err() {
                return Err(Broken::Protocol);
            }
            match read {
                _ if unasked => return Err(Broken::Protocol),
                _ if ends => return Err(Broken::Ended),
                0 if self.started.is_empty() => return Err(Broken::Ended),
                0 => return Err(Broken::Read),
                _ if read < buffer.len() => return Ok(()),
                _ => {}
            }
        }
    }

    /// The requests that were made and not answered, given back.
    pub(super) fn into_unanswered(self) -> VecDeque<Instant> {
        self.started
    }
}
