//! A stage to everything around it: objects, calls, events, timers, files.

use std::ffi::CString;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use color_sched::{Context, Nanos};
use flexsc_ring::{Call, PostError};
use stingy_alloc::Slot;

use crate::config::{BodyPolicy, LivePolicy, Timeouts};
use crate::connection::{
    BACKLOG_LOW, BACKLOG_MAX, Connection, Ending, Outcome, Receiving, Sending,
};
use crate::files::{FileEntry, Found, Identity};
use crate::http::date::{DateCache, DateText};
use crate::http::status::Status;
use crate::live_page;
use crate::stages::{Site, Stage};
use crate::wiring::event::{Event, Tag};
use crate::wiring::worker::{Root, Worker};

/// How long a client has to read the last answer before its connection is cut.
const LINGER: Duration = Duration::from_secs(2);
/// Timers fire on multiples of this, so that many idle connections wake the worker once.
const TIMER_STEP: Nanos = 250_000_000;

/// What a stage can do.
pub struct Cx<'a, 'c, 's> {
    pub(super) worker: &'a mut Worker<'s>,
    pub(super) sched: &'a mut Context<'c, Event, Box<Connection>>,
}

/// Objects, calls and events.
impl Cx<'_, '_, '_> {
    /// An object of `site`, covered by the batch's permit. One that must hold more than the site's size comes from
    /// the system allocator and is counted.
    pub fn alloc(&mut self, site: Site, len: usize) -> Slot {
        self.worker.objects.alloc(site, len)
    }

    /// Ends an object's life. `site` says whose object it was, for the reader and for `scg`.
    pub fn free(&mut self, _site: Site, slot: Option<Slot>) {
        drop(slot);
    }

    /// Sends the connection to `stage`, after the events that it has waiting.
    pub fn next(&mut self, stage: Stage) {
        self.wake(stage, Event::Go);
    }

    /// An event for this very connection. It is refused only if more wait than a connection can have: receives are
    /// bounded by the ring's buffers, and everything else by the connection's calls.
    fn wake(&mut self, stage: Stage, event: Event) {
        let refused = self.sched.next(stage.id(), event).is_err();
        debug_assert!(!refused, "a connection has more events than its calls and buffers can make");
    }

    /// Posts a call whose completion wakes `stage`.
    pub fn post(&mut self, connection: &mut Connection, call: Call<Slot>, stage: Stage) {
        connection.calls += 1;
        let tag = Tag::of(self.sched.color(), stage).to_user();
        if let Err(error) = self.worker.calls.submit(call, tag) {
            debug_assert!(matches!(error, PostError::Full(..)), "a call names bytes that it has");
            let buf = error.into_call().into_buf();
            let error = std::io::ErrorKind::OutOfMemory.into();
            let failure = flexsc_ring::Failure::new(error, buf);
            self.wake(stage, Event::Done(Err(failure)));
        }
    }

    /// Posts the send of a chunk. Under deferred delivery it takes what the socket takes now, and the rest of the
    /// body waits in the page cache; under eager delivery the chunk waits in the kernel until all of it is sent.
    pub fn send_chunk(
        &mut self,
        connection: &mut Connection,
        chunk: Slot,
        len: usize,
        stage: Stage,
    ) {
        connection.sending = Some(Sending { len });
        let (fd, nowait) = (connection.fd(), self.worker.pairs.defers());
        let call = Call::Send { fd, buf: chunk, start: 0, end: len, more: false, nowait };
        self.post(connection, call, stage);
    }

    /// Posts the rest of an answer that the socket has not taken; it waits in the kernel until it is taken.
    pub fn send_rest(&mut self, connection: &mut Connection, rest: Box<[u8]>, stage: Stage) {
        self.metrics().stalled.add(1);
        let len = rest.len();
        connection.sending = Some(Sending { len });
        let call = Call::send(connection.fd(), Slot::from(rest), 0..len);
        self.post(connection, call, stage);
    }

    /// Asks to be woken in `stage` when the socket can take more.
    pub fn post_writable(&mut self, connection: &mut Connection, stage: Stage) {
        let call = Call::poll_writable(connection.fd());
        self.post(connection, call, stage);
    }

    /// Keeps the connection on this core while its calls are with this core's ring.
    pub fn hold(&mut self) {
        self.sched.pin();
    }

    /// Undoes one [`Cx::hold`].
    pub fn release(&mut self) {
        self.sched.unpin();
    }

    /// Nanoseconds on the scheduler's clock.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.sched.now()
    }

    /// The date of an answer.
    pub fn date(&mut self) -> &DateText {
        let now = self.sched.now();
        self.worker.clock.date(now)
    }

    /// Limits in time.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.worker.shared.config.timeouts
    }

    /// How large bodies are sent.
    #[must_use]
    pub fn body(&self) -> BodyPolicy {
        self.worker.shared.config.body
    }

    /// Has the server been told to end?
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.worker.stopping
    }
}

/// Event pairs.
impl Cx<'_, '_, '_> {
    /// The file's part for `stage` is there: goes to `stage` when the socket can take it.
    pub fn deliver(&mut self, connection: &mut Connection, stage: Stage) {
        let (color, now) = (self.sched.color(), self.sched.now());
        let socket_ready = connection.sending.is_none();
        if connection.pair.is_none() {
            // The pair is this core's: the connection stays for as long as there is one.
            self.hold();
        }
        let pairs = &mut self.worker.pairs;
        if let Some(stage) = pairs.file_ready(&mut connection.pair, color, socket_ready, stage, now)
        {
            self.wake(stage, Event::Go);
        }
    }

    /// The socket can take data. Did anything wait for that?
    pub fn socket_ready(&mut self, connection: &Connection) -> bool {
        let stage = self.worker.pairs.socket_ready(connection.pair, self.sched.now());
        if let Some(stage) = stage {
            self.wake(stage, Event::Go);
        }
        stage.is_some()
    }

    /// The socket is full.
    pub fn socket_busy(&mut self, connection: &Connection) {
        self.worker.pairs.socket_busy(connection.pair, self.sched.now());
    }

    /// The answer is complete: file and socket have no more to do with each other.
    pub fn uncorrelate(&mut self, connection: &mut Connection) {
        if connection.pair.is_some() {
            self.worker.pairs.forget(&mut connection.pair);
            self.release();
        }
    }

    /// Is data held back while its socket is not ready?
    #[must_use]
    pub fn defers(&self) -> bool {
        self.worker.pairs.defers()
    }
}

/// Files.
impl Cx<'_, '_, '_> {
    /// Is the sample site served, and not a directory?
    #[must_use]
    pub fn serves_sample(&self) -> bool {
        matches!(*self.worker.shared.root, Root::Embedded(_))
    }

    /// A page of the sample site.
    #[must_use]
    pub fn sample_page(&self, path: &[u8]) -> Option<Arc<FileEntry>> {
        match &*self.worker.shared.root {
            Root::Embedded(pages) => pages.get(path).map(Arc::clone),
            Root::Directory(_) => None,
        }
    }

    /// Looks for a file among those served lately.
    pub fn find_file(&mut self, path: &[u8]) -> Found {
        let found = self.worker.files.find(path, self.sched.now());
        let metrics = &self.worker.shared.metrics.cores[self.worker.core];
        match found {
            Found::Fresh(_) => metrics.file_hits.add(1),
            Found::Check { .. } => metrics.file_misses.add(1),
        }
        found
    }

    /// The call that opens `path`, refused by the kernel if it leads out of the root.
    pub fn open_beneath_root(&self, path: CString) -> Call<Slot> {
        let root = match &*self.worker.shared.root {
            Root::Directory(root) => root.as_raw_fd(),
            Root::Embedded(_) => -1,
        };
        Call::open_beneath(root, path)
    }

    /// The entry of a file whose present version is `identity`, if that is the one in memory.
    pub fn confirm_file(&mut self, path: &[u8], identity: &Identity) -> Option<Arc<FileEntry>> {
        self.worker.files.confirm(path, identity, self.sched.now())
    }

    /// Keeps a file that was just read, and answers with it.
    pub fn keep_file(&mut self, path: &[u8], entry: FileEntry) -> Outcome {
        let entry = Arc::new(entry);
        self.worker.files.keep(path, Arc::clone(&entry), self.sched.now());
        Outcome::File(entry)
    }

    /// Closes a file or socket that is not needed any more.
    pub fn close_file(&mut self, file: OwnedFd) {
        let _ = self.worker.calls.post_silent(Call::close(file));
    }

    /// Forgets a file that is not there any more.
    pub fn forget_file(&mut self, path: &[u8]) {
        self.worker.files.forget(path);
    }

    /// The live page or text at `path`, for those who may see it.
    #[must_use]
    pub fn live_page(
        &self,
        connection: &Connection,
        path: &[u8],
        host: &[u8],
    ) -> Option<FileEntry> {
        let shared = &self.worker.shared;
        let peer = connection.socket.as_ref();
        let allowed = shared.config.live == LivePolicy::Loopback
            && live_page::is_loopback_name(host)
            && peer.is_some_and(crate::sys::peer_is_loopback);
        allowed.then(|| live_page::at(path, &shared.metrics)).flatten()
    }
}

/// The life of a connection.
impl Cx<'_, '_, '_> {
    /// Goes on with what the client has sent meanwhile, if it has.
    pub fn begin_next(&mut self, connection: &mut Connection) {
        if connection.ending != Ending::No {
            return;
        }
        if connection.is_idle() && !connection.input.is_empty() {
            self.parse_next(connection, Stage::Parse);
        }
        if matches!(connection.receiving, Receiving::Off) && connection.input.len() <= BACKLOG_LOW {
            self.receive(connection);
        }
    }

    /// Has the next request parsed in `stage`, unless that is due already: of two such events the second would wait
    /// for an object in front of the events of a task that holds one.
    pub fn parse_next(&mut self, connection: &mut Connection, stage: Stage) {
        if !std::mem::replace(&mut connection.parse_is_due, true) {
            self.wake(stage, Event::Go);
        }
    }

    /// Posts a receive.
    pub fn receive(&mut self, connection: &mut Connection) {
        let core = self.sched.core();
        let tag = Tag::of(self.sched.color(), Stage::Receive).to_user();
        let posted = self.worker.calls.submit(Call::recv_multishot(connection.fd()), tag);
        connection.receiving =
            posted.map_or(Receiving::Ended, |ticket| Receiving::Armed(ticket, core));
    }

    /// Stops reading from a client that runs ahead of its answers. One whose receive is with another core's ring is
    /// stopped when the connection is back there; it is cut off if it cannot wait for that.
    pub fn stop_receiving(&mut self, connection: &mut Connection) {
        match connection.receiving {
            Receiving::Armed(ticket, core) if core == self.sched.core() => {
                self.worker.calls.cancel(ticket);
                connection.receiving = Receiving::Stopping;
            }
            Receiving::Armed(..) if connection.input.len() > BACKLOG_MAX => self.abort(connection),
            _ => {}
        }
    }

    /// Gives a request that has begun its time to arrive whole.
    pub fn expect_rest(&mut self, connection: &mut Connection) {
        if matches!(connection.receiving, Receiving::Ended) {
            connection.input.clear();
            connection.task = None;
            return;
        }
        if matches!(connection.receiving, Receiving::Off) {
            self.receive(connection);
        }
        let arrives = !connection.input.is_empty() || connection.task.is_some();
        if arrives && connection.arriving_since.is_none() {
            let (now, limit) = (self.sched.now(), self.timeouts().request);
            connection.arriving_since = Some(now);
            let due = now + limit.as_nanos() as Nanos;
            if connection.timer.is_none_or(|(_, at)| at > due + TIMER_STEP) {
                self.arm(connection, limit);
            }
        }
    }

    /// Makes sure that the connection is looked at again within the time that an answer may stand still.
    pub fn watch_answer(&mut self, connection: &mut Connection) {
        let limit = self.timeouts().send;
        let due = self.sched.now() + limit.as_nanos() as Nanos + TIMER_STEP;
        if connection.timer.is_none_or(|(_, at)| at > due) {
            self.arm(connection, limit);
        }
    }

    /// Ends a connection that has made no progress: what the client has not taken is not kept for it.
    pub fn cut_off(&mut self, connection: &mut Connection) {
        if let Some(socket) = &connection.socket {
            crate::sys::reset_on_close(socket);
        }
        self.abort(connection);
    }

    /// Arms the connection's timer, instead of the one armed before.
    pub fn arm(&mut self, connection: &mut Connection, after: Duration) {
        if let Some((timer, _)) = connection.timer.take() {
            self.sched.cancel(timer);
        }
        let at = (self.sched.now() + after.as_nanos() as Nanos).next_multiple_of(TIMER_STEP);
        connection.timer = Some((self.sched.arm(at, Stage::Expire.id(), Event::Expired), at));
    }

    /// Says that no more answers come, and waits a moment for the client to have read the last one.
    pub fn linger(&mut self, connection: &mut Connection) {
        if matches!(connection.receiving, Receiving::Ended) {
            return self.abort(connection);
        }
        connection.ending = Ending::Lingering;
        connection.input.clear();
        self.shut_down(connection, Shutdown::Write);
        self.arm(connection, LINGER);
        if matches!(connection.receiving, Receiving::Off) {
            self.receive(connection);
        }
    }

    /// Ends the connection now; calls in flight come back before it is gone.
    pub fn abort(&mut self, connection: &mut Connection) {
        if connection.ending != Ending::Closing {
            connection.ending = Ending::Closing;
            connection.input.clear();
            connection.transfer = None;
            connection.task = None;
            self.uncorrelate(connection);
            if connection.calls > 0 || !matches!(connection.receiving, Receiving::Ended) {
                self.shut_down(connection, Shutdown::Both);
            }
        }
        self.settle(connection);
    }

    fn shut_down(&mut self, connection: &mut Connection, how: Shutdown) {
        let call = Call::shutdown(connection.fd(), how);
        self.post(connection, call, Stage::Expire);
    }

    /// Lets a connection go for which nothing is left to do; asked at the end of every stage.
    pub fn settle(&mut self, connection: &mut Connection) {
        let ended = match connection.receiving {
            Receiving::Ended => true,
            Receiving::Off => connection.ending == Ending::Closing,
            Receiving::Armed(..) | Receiving::Stopping => false,
        };
        let done_with = match connection.ending {
            Ending::No => connection.is_idle() && connection.input.is_empty(),
            Ending::AfterAnswer => connection.is_idle(),
            Ending::Lingering | Ending::Closing => true,
        };
        if !(ended && done_with && connection.calls == 0) {
            return;
        }
        self.uncorrelate(connection);
        if let Some((timer, _)) = connection.timer.take() {
            self.sched.cancel(timer);
        }
        if let Some(socket) = connection.socket.take() {
            self.close_file(socket);
        }
        connection.ending = Ending::Closing;
        self.sched.close();
    }
}

/// Counting.
impl Cx<'_, '_, '_> {
    fn metrics(&self) -> &crate::metrics::CoreMetrics {
        &self.worker.shared.metrics.cores[self.worker.core]
    }

    /// Counts an answer by its status.
    pub fn count_answer(&mut self, status: Status) {
        let metrics = self.metrics();
        metrics.requests.add(1);
        match status.code() / 100 {
            2 => metrics.status_2xx.add(1),
            3 => metrics.status_3xx.add(1),
            4 => metrics.status_4xx.add(1),
            _ => metrics.status_5xx.add(1),
        }
    }

    /// Counts bytes that the socket took, and notes that the connection moves.
    pub fn count_sent(&mut self, connection: &mut Connection, bytes: usize) {
        connection.moved_at = self.sched.now();
        connection.has_answered = true;
        self.metrics().bytes_sent.add(bytes as u64);
    }

    /// Counts a connection whose time is up.
    pub fn count_timeout(&mut self) {
        self.metrics().timeouts.add(1);
    }
}

/// The date of answers: the system clock is read once a second.
#[derive(Debug)]
pub(super) struct Clock {
    date: DateCache,
    secs: u64,
    read_again_at: Nanos,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { date: DateCache::new(0), secs: 0, read_again_at: 0 }
    }

    fn date(&mut self, now: Nanos) -> &DateText {
        if now >= self.read_again_at {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.secs = since.as_secs();
            self.read_again_at = now + 1_000_000_000 - Nanos::from(since.subsec_nanos());
        }
        self.date.at(self.secs)
    }
}
