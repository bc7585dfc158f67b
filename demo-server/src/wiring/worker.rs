//! A core's scheduler to its ring: completions become events, stages run them.

use std::any::Any;
use std::collections::HashMap;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use color_sched::{
    Admission, AfterPanic, Color, Context, CoreId, CoreStats, Driver, EventSink, Handler, Local,
    Nanos, StageId, Wait,
};
use flexsc_ring::{AnyRing, Call, EventLoop};
use stingy_alloc::Slot;

use crate::config::Config;
use crate::connection::{Connection, Receiving};
use crate::files::{FileCache, FileEntry};
use crate::metrics::{CoreMetrics, Metrics};
use crate::stages::{self, Stage};
use crate::wiring::arrivals::{self, Accepting, Arrivals};
use crate::wiring::cx::{Clock, Cx};
use crate::wiring::event::{self, Event, Tag};
use crate::wiring::neighborhood::Neighborhood;
use crate::wiring::objects::Objects;
use crate::wiring::pairs::Pairs;
use crate::wiring::panic_report;

/// The whole answer to a connection above the limit.
const SHED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What is served.
#[derive(Debug)]
pub enum Root {
    /// The sample site, by path.
    Embedded(HashMap<&'static [u8], Arc<FileEntry>>),
    /// A directory.
    Directory(OwnedFd),
}

/// What all workers share.
#[derive(Debug)]
pub struct Shared {
    /// The configuration.
    pub config: Config,
    /// What is served.
    pub root: Arc<Root>,
    /// The counters.
    pub metrics: Metrics,
    /// Which cores are near.
    pub neighborhood: Neighborhood,
    /// Connections at most, over all cores.
    pub max_connections: usize,
}

/// The core's calls: those of connections come back as events, new connections by a callback.
pub(super) type Calls = EventLoop<Arrivals, Slot>;

/// One core's part of the server.
pub struct Worker<'s> {
    pub(super) core: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) calls: Calls,
    pub(super) objects: Objects<'s>,
    pub(super) pairs: Pairs,
    pub(super) files: FileCache,
    pub(super) clock: Clock,
    pub(super) stopping: bool,
    listener: Option<OwnedFd>,
    sequence: u64,
    pub(super) now: Nanos,
    pub(super) tables_at: Nanos,
    pub(super) tables_due: bool,
}

impl<'s> Worker<'s> {
    /// A worker that accepts from `listener` and makes its calls through `ring`.
    pub fn new(
        core: usize,
        shared: Arc<Shared>,
        listener: OwnedFd,
        ring: AnyRing<Slot>,
        objects: Objects<'s>,
    ) -> Self {
        let config = &shared.config;
        let (pairs, files) = (
            Pairs::new(config.delivery),
            FileCache::new(config.file_cache, config.fresh.as_nanos() as Nanos),
        );
        Self {
            core,
            calls: EventLoop::with_ring(ring, Arrivals::default()),
            objects,
            pairs,
            files,
            clock: Clock::new(),
            stopping: false,
            listener: Some(listener),
            sequence: 0,
            now: 0,
            tables_at: 0,
            tables_due: false,
            shared,
        }
    }

    fn metrics(&self) -> &CoreMetrics {
        &self.shared.metrics.cores[self.core]
    }

    fn arm_accept(&mut self) {
        let Accepting::At(at) = self.calls.state().accepting else { return };
        let Some(listener) = self.listener.as_ref().filter(|_| at <= self.now) else { return };
        let call = Call::accept_multishot(listener.as_raw_fd());
        self.calls.state_mut().accepting = match self.calls.post_many(call, arrivals::arrived) {
            Ok(ticket) => Accepting::Armed(ticket),
            Err(_) => Accepting::At(self.now + arrivals::PAUSE),
        };
    }

    fn stop_accepting(&mut self) {
        if let Accepting::Armed(ticket) = self.calls.state().accepting {
            self.calls.cancel(ticket);
        }
        self.calls.state_mut().accepting = Accepting::Never;
        self.listener = None;
    }

    /// Opens the connections that have arrived.
    fn open_arrived(&mut self, sink: &mut impl EventSink<Event, Box<Connection>>) {
        let failed = std::mem::take(&mut self.calls.state_mut().failed);
        self.metrics().shed.add(if self.stopping { 0 } else { failed });
        if self.calls.state().sockets.is_empty() {
            return;
        }
        let mut sockets = std::mem::take(&mut self.calls.state_mut().sockets);
        for socket in sockets.drain(..) {
            self.open_connection(socket, sink);
        }
        self.calls.state_mut().sockets = sockets;
    }

    fn open_connection(
        &mut self,
        socket: OwnedFd,
        sink: &mut impl EventSink<Event, Box<Connection>>,
    ) {
        let open = self.shared.metrics.open.fetch_add(1, Ordering::Relaxed);
        if self.stopping || open >= self.shared.max_connections {
            self.shared.metrics.open.fetch_sub(1, Ordering::Relaxed);
            self.metrics().shed.add(1);
            return crate::sys::shed(socket, SHED);
        }
        self.sequence += 1;
        let color =
            Color::at_home(CoreId(self.core as u16), self.sequence, self.shared.config.cores.len());
        let receive = Call::recv_multishot(socket.as_raw_fd());
        let posted = self.calls.submit(receive, Tag::of(color, Stage::Receive).to_user());
        let Ok(ticket) = posted else {
            self.shared.metrics.open.fetch_sub(1, Ordering::Relaxed);
            return crate::sys::shed(socket, SHED);
        };
        let connection =
            Connection::new(socket, Receiving::Armed(ticket, CoreId(self.core as u16)), self.now);
        if sink.open(color, Box::new(connection)).is_err() {
            self.shared.metrics.open.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        self.metrics().accepted.add(1);
        let _ = sink.post(color, Stage::Open.id(), Event::Go);
    }

    /// How long the ring may wait: until the scheduler's next deadline or one of ours.
    fn limit(&mut self, wait: Wait) -> Option<Duration> {
        let accept_at = match self.calls.state().accepting {
            Accepting::At(at) => Some(at),
            _ => None,
        };
        let tables_at = std::mem::take(&mut self.tables_due).then_some(self.tables_at);
        let ours = [accept_at, tables_at, self.objects.retry_at(self.now)];
        let ours = ours.into_iter().flatten().min();
        let until = match wait {
            Wait::No => return Some(Duration::ZERO),
            Wait::Until(at) => Some(ours.map_or(at, |ours| ours.min(at))),
            Wait::Forever => ours,
        };
        until.map(|at| Duration::from_nanos(at.saturating_sub(self.now)))
    }
}

impl Admission for Worker<'_> {
    #[inline]
    fn admit(&mut self, stage: StageId, wanted: usize) -> usize {
        self.objects.admit(stage, wanted, self.now)
    }
}

impl Driver for Worker<'_> {
    type Event = Event;
    type State = Box<Connection>;

    fn poll(
        &mut self,
        sink: &mut impl EventSink<Event, Box<Connection>>,
        wait: Wait,
    ) -> io::Result<usize> {
        self.now = sink.now();
        self.calls.state_mut().now = self.now;
        self.arm_accept();
        let limit = self.limit(wait);
        let taken = self.calls.turn_with(limit, &mut |completion| {
            let Tag { color, stage } = Tag::of_user(completion.user);
            let event = event::of_completion(stage, completion.result);
            let cut_off = !completion.more && matches!(event, Event::Received(_));
            let _ = sink.post(color, stage.id(), event);
            if cut_off {
                let cause = io::ErrorKind::Interrupted.into();
                let _ = sink.post(color, stage.id(), Event::ReceiveEnded(Some(cause)));
            }
        })?;
        self.now = sink.now();
        self.open_arrived(sink);
        Ok(taken)
    }

    fn waker(&self) -> color_sched::Waker {
        let waker = self.calls.waker();
        color_sched::Waker::new(move || waker.wake())
    }
}

impl Handler for Worker<'_> {
    type Event = Event;
    type State = Box<Connection>;

    fn run(
        &mut self,
        cx: &mut Context<'_, Event, Box<Connection>>,
        connection: &mut Box<Connection>,
        event: Event,
    ) {
        let Some(stage) = Stage::ALL.get(usize::from(cx.stage().0)) else { return };
        if matches!(event, Event::Done(_)) {
            connection.calls -= 1;
        }
        stages::run(*stage, &mut Cx { worker: self, sched: cx }, connection, event);
    }

    fn panicked(
        &mut self,
        color: Color,
        stage: StageId,
        payload: Box<dyn Any + Send>,
    ) -> AfterPanic {
        let line = panic_report::line(self.core, color, stage, &*payload);
        // Whoever read it may be gone, and `eprintln!` would panic for that and end the server.
        let _ = writeln!(io::stderr(), "{line}");
        AfterPanic::Close
    }

    fn batch_end(&mut self, _stage: StageId) {
        self.objects.end_batch();
    }

    fn stopping(&mut self, local: &mut Local<'_, Event, Box<Connection>>) {
        self.stopping = true;
        self.stop_accepting();
        for color in local.colors() {
            let _ = local.post(color, Stage::Expire.id(), Event::Stop);
        }
    }

    fn closed(&mut self, _color: Color, mut connection: Box<Connection>) {
        self.shared.metrics.open.fetch_sub(1, Ordering::Relaxed);
        self.metrics().closed.add(1);
        self.pairs.forget(&mut connection.pair);
    }

    fn turn(&mut self, stats: &CoreStats) {
        self.publish(stats);
    }
}
