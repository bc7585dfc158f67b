//! All connections of one thread, and what they have seen.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::connection::{Broken, Connection, Script};
use super::sys::{Poller, Readiness};
use super::{Errors, Histogram, LoadOptions};

/// Bytes read by one call.
const READ_AT_ONCE: usize = 256 * 1024;
/// A connection that could not be opened is tried again after this time.
const RETRY_AFTER: Duration = Duration::from_millis(10);
/// How often the connections are searched for one that waits too long.
const SWEEP_EVERY: Duration = Duration::from_millis(100);

/// What a thread has counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) errors: Errors,
    pub(super) bytes: u64,
    pub(super) opened: u64,
    pub(super) latency: Histogram,
}

/// One thread's connections.
pub(super) struct Client<'a> {
    options: &'a LoadOptions,
    script: Script,
    poller: Poller,
    /// `None` while it waits to be opened again.
    connections: Vec<Option<Connection>>,
    /// Connections to open again, and when.
    closed: VecDeque<(Instant, usize)>,
    readiness: Vec<Readiness>,
    buffer: Vec<u8>,
    swept: Instant,
    pub(super) tally: Tally,
    /// Requests that a server ended the connection on, politely: to be asked again, with their
    /// first start.
    pub(super) given_back: VecDeque<Instant>,
}

impl<'a> Client<'a> {
    /// Begins to open `connections` connections.
    pub(super) fn new(options: &'a LoadOptions, connections: usize) -> io::Result<Client<'a>> {
        let now = Instant::now();
        let mut client = Client {
            options,
            script: Script::new(&options.request, options.pipeline),
            poller: Poller::new()?,
            connections: (0..connections).map(|_| None).collect(),
            closed: (0..connections).map(|index| (now, index)).collect(),
            readiness: Vec::new(),
            buffer: vec![0; READ_AT_ONCE],
            swept: now,
            tally: Tally::default(),
            given_back: VecDeque::new(),
        };
        client.reopen(now, &mut Vec::new());
        Ok(client)
    }

    /// Waits until every connection is open, has failed, or `until` has come. Says how many are
    /// open.
    pub(super) fn connect(&mut self, until: Instant) -> io::Result<usize> {
        let mut ready = Vec::new();
        loop {
            let pending = self.connections.iter().flatten().filter(|it| !it.is_connected()).count();
            let now = Instant::now();
            if pending == 0 || now >= until {
                return Ok(self.connections.iter().flatten().count() - pending);
            }
            self.poll(until - now, &mut ready)?;
        }
    }

    /// The numbers of the connections.
    pub(super) fn indices(&self) -> Range<usize> {
        0..self.connections.len()
    }

    /// How many more requests a connection takes now.
    pub(super) fn room(&self, index: usize) -> usize {
        let Some(connection) = self.connections.get(index).and_then(Option::as_ref) else {
            return 0;
        };
        let left = match self.options.requests_per_connection {
            Some(limit) => limit.get().saturating_sub(connection.asked()) as usize,
            None => usize::MAX,
        };
        left.min(self.options.pipeline - connection.in_flight())
    }

    /// Makes one request, whose latency counts from `started`. Only where there is `room`; `send`
    /// then writes it.
    pub(super) fn ask(&mut self, index: usize, started: Instant, now: Instant) {
        if let Some(connection) = &mut self.connections[index] {
            connection.ask(started, now, &self.script);
        }
    }

    /// Writes the requests of a connection.
    pub(super) fn send(&mut self, index: usize) {
        let Some(connection) = &mut self.connections[index] else { return };
        if let Err(broken) = connection.flush(&self.script, &self.poller) {
            self.close(index, &broken);
        }
    }

    /// Requests made and not answered yet, of all connections.
    pub(super) fn in_flight(&self) -> usize {
        self.connections.iter().flatten().map(Connection::in_flight).sum()
    }

    /// Waits for at most `wait`, handles what has happened, and adds to `ready` the connections
    /// that may have got room.
    pub(super) fn poll(&mut self, wait: Duration, ready: &mut Vec<usize>) -> io::Result<()> {
        let mut readiness = std::mem::take(&mut self.readiness);
        let wait = if self.closed.is_empty() { wait } else { wait.min(RETRY_AFTER) };
        self.poller.wait(wait.min(SWEEP_EVERY), &mut readiness)?;
        for event in &readiness {
            if let Err(broken) = self.handle(event) {
                self.close(event.index, &broken);
            }
            ready.push(event.index);
        }
        self.readiness = readiness;
        let now = Instant::now();
        self.sweep(now);
        self.reopen(now, ready);
        Ok(())
    }

    fn handle(&mut self, event: &Readiness) -> Result<(), Broken> {
        let Some(connection) = &mut self.connections[event.index] else { return Ok(()) };
        if event.writable {
            connection.on_writable(&self.script, &self.poller)?;
        }
        if event.readable {
            let tally = &mut self.tally;
            let now = Instant::now();
            connection.on_readable(
                now,
                &mut self.buffer,
                &mut tally.bytes,
                &mut |reply, started| {
                    tally.requests += 1;
                    tally.errors.status += u64::from(!(200..400).contains(&reply.status));
                    tally.latency.record(now.saturating_duration_since(started));
                },
            )?;
        }
        let served = self
            .options
            .requests_per_connection
            .is_some_and(|limit| connection.asked() >= limit.get());
        if served && connection.in_flight() == 0 { Err(Broken::Ended) } else { Ok(()) }
    }

    /// Closes a connection, counts why, and has it opened again.
    fn close(&mut self, index: usize, broken: &Broken) {
        let Some(connection) = self.connections[index].take() else { return };
        let unanswered = connection.into_unanswered();
        let lost = unanswered.len().max(1) as u64;
        let errors = &mut self.tally.errors;
        let mut wait = Duration::ZERO;
        match broken {
            Broken::Connect => {
                errors.connect += lost;
                wait = RETRY_AFTER;
            }
            Broken::Read => errors.read += lost,
            Broken::Write => errors.write += lost,
            Broken::Protocol => errors.protocol += lost,
            Broken::Timeout => errors.timeout += lost,
            Broken::Ended => self.given_back.extend(unanswered),
        }
        self.closed.push_back((Instant::now() + wait, index));
    }

    /// Opens the connections whose time has come, and adds them to `ready`: they can be asked
    /// before they are connected.
    fn reopen(&mut self, now: Instant, ready: &mut Vec<usize>) {
        for _ in 0..self.closed.len() {
            let Some((at, index)) = self.closed.pop_front() else { return };
            if at > now {
                self.closed.push_back((at, index));
                continue;
            }
            match Connection::open(self.options.addr, index, &self.poller, now) {
                Ok(connection) => {
                    self.connections[index] = Some(connection);
                    self.tally.opened += 1;
                    ready.push(index);
                }
                Err(_) => {
                    self.tally.errors.connect += 1;
                    self.closed.push_back((now + RETRY_AFTER, index));
                }
            }
        }
    }

    /// Closes the connections that have waited too long.
    fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept) < SWEEP_EVERY {
            return;
        }
        self.swept = now;
        for index in 0..self.connections.len() {
            let waiting =
                self.connections[index].as_ref().map(|connection| connection.waiting(now));
            if waiting.is_some_and(|waiting| waiting > self.options.timeout) {
                self.close(index, &Broken::Timeout);
            }
        }
    }
}
