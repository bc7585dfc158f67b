//! How a server starts, runs and ends.

mod trace;

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use color_sched::{Control, Core, Machine};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use stingy_alloc::{MemoryMap, Slab};

use crate::config::{AllocPolicy, Config, ConfigError};
use crate::connection::Connection;
use crate::files::FileEntry;
use crate::metrics::Metrics;
use crate::wiring::neighborhood::Neighborhood;
use crate::wiring::objects::{Objects, SlabObjects};
use crate::wiring::worker::{Shared, Worker};
use crate::wiring::{Event, Root, policy};
use crate::{site, sys};

use trace::TraceFile;
pub use trace::check as check_trace;

/// The memory map that `scg stingygen` wrote from `src/stages`.
pub const BUILT_IN_MAP: &str = include_str!("../stages.map");

/// Descriptors that the server needs besides those of connections, where there are enough.
const SPARE_DESCRIPTORS: u64 = 512;

type ServerCore = Core<Event, Box<Connection>>;
type ServerControl = Control<Event, Box<Connection>>;

/// Serves until SIGINT or SIGTERM; requests in flight are finished first.
pub fn run(config: &Config) -> anyhow::Result<ExitCode> {
    config.check_cpus()?;
    let map = read_map(config)?;
    let root = Arc::new(open_root(config)?);
    // Registered before anything runs, so that a signal during start-up is not lost.
    let signals = Signals::new([SIGINT, SIGTERM]).context("signals cannot be received")?;
    if is_taken_for_long(config.http) {
        return Err(anyhow!("{} is in use; choose another --http address", config.http));
    }
    let trace = TraceFile::create(config)?;
    let descriptors = sys::raise_descriptor_limit();
    let spare = SPARE_DESCRIPTORS.min(descriptors / 4);
    let by_descriptors = (descriptors - spare).max(1) as usize;
    let max_connections = config.max_connections.unwrap_or(by_descriptors).min(by_descriptors);
    let metrics = Metrics::new(config.cores.len());
    let neighborhood = Neighborhood::new(config, &metrics);
    let shared = Shared { config: config.clone(), root, metrics, neighborhood, max_connections };
    let shared = Arc::new(shared);

    let (control, cores) = Machine::new(policy::machine(config))?;
    let (mut addr, mut workers) = (config.http, Vec::new());
    let (ready, started) = std::sync::mpsc::channel();
    for (index, core) in cores.into_iter().enumerate() {
        let listener = sys::listen(addr)
            .with_context(|| format!("{addr}: cannot listen; choose another --http address"))?;
        addr = sys::local_addr(&listener)?;
        let start = Start { index, listener, shared: Arc::clone(&shared), map: map.clone() };
        workers.push(spawn(start, core, ready.clone(), control.clone())?);
    }
    drop(ready);
    for _ in 0..workers.len() {
        if !started.recv().unwrap_or(false) {
            control.stop();
            return finish(workers);
        }
    }
    announce(&shared, addr);
    let handle = signals.handle();
    let (stopper, stopped) = (control.clone(), Arc::clone(&shared));
    let waiter = thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || stop_when_told(signals, &stopper, &stopped))?;
    let mut outcome = finish(workers);
    if let Some(Err(error)) = trace.map(|file| file.write(&control.trace())) {
        if outcome.is_ok() {
            outcome = Err(error);
        } else {
            say(&format!("{error:#}"));
        }
    }
    handle.close();
    let _ = waiter.join();
    outcome
}

fn stop_when_told(mut signals: Signals, control: &ServerControl, shared: &Shared) {
    let mut signals = signals.forever();
    if signals.next().is_some() {
        let open = shared.metrics.open.load(Ordering::Relaxed);
        let grace = shared.config.timeouts.grace.as_secs_f64();
        say(&format!("stopping: {open} connections open, {grace} s at most; again to stop now"));
        control.stop();
    }
    if signals.next().is_some() {
        say("told twice to stop: requests in flight are cut off");
        std::process::exit(1);
    }
}

/// A line on stderr. Whoever read it may be gone: `eprintln!` would panic for that, and nothing would stop the server.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A server that was killed a moment ago may still be letting go of its address.
fn is_taken_for_long(addr: std::net::SocketAddr) -> bool {
    (0..20).all(|_| {
        let taken = sys::is_taken(addr);
        if taken {
            thread::sleep(std::time::Duration::from_millis(50));
        }
        taken
    })
}

fn announce(shared: &Shared, addr: std::net::SocketAddr) {
    if let Ok(mut notes) = shared.metrics.notes.lock() {
        notes.sort();
        notes.push(format!("at most {} connections", shared.max_connections));
        for note in notes.iter() {
            eprintln!("{note}");
        }
    }
    eprintln!("listening on http://{addr}");
}

fn finish(workers: Vec<JoinHandle<anyhow::Result<()>>>) -> anyhow::Result<ExitCode> {
    let mut first: anyhow::Result<ExitCode> = Ok(ExitCode::SUCCESS);
    for worker in workers {
        let Err(error) = worker.join().unwrap_or_else(|_| Err(anyhow!("a worker panicked"))) else {
            continue;
        };
        if first.as_ref().err().is_none_or(is_consequence) {
            first = Err(error);
        }
    }
    first
}

/// Did a worker end only because another one had?
fn is_consequence(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::Interrupted)
}

/// What a worker's thread begins with.
struct Start {
    index: usize,
    listener: OwnedFd,
    shared: Arc<Shared>,
    map: MemoryMap,
}

fn spawn(
    start: Start,
    core: ServerCore,
    ready: std::sync::mpsc::Sender<bool>,
    control: ServerControl,
) -> std::io::Result<JoinHandle<anyhow::Result<()>>> {
    let name = format!("core-{}", start.index);
    thread::Builder::new().name(name).spawn(move || {
        let result = work(start, core, &ready);
        if result.is_err() {
            let _ = ready.send(false);
            control.stop();
        }
        result
    })
}

/// The life of a worker: what it owns is made on its own thread, on its own CPU.
fn work(
    start: Start,
    core: ServerCore,
    ready: &std::sync::mpsc::Sender<bool>,
) -> anyhow::Result<()> {
    let Start { index, listener, shared, map } = start;
    let config = &shared.config;
    let cpu = config.cores[index];
    color_sched::pin_thread(cpu).with_context(|| {
        format!("--cores: this process may not run on CPU {cpu}; see `nproc` and `taskset -p $$`")
    })?;
    let (ring, report) = policy::ring(config)?;
    let slab = match config.alloc {
        AllocPolicy::System => None,
        AllocPolicy::Stingy => {
            // A slot that another core frees may be what a refused stage here waits for.
            let waker = ring.waker();
            let wake: stingy_alloc::Wake = Arc::new(move || waker.wake());
            let options = stingy_alloc::Options { wake: Some(wake), ..Default::default() };
            Some(Slab::new(&map, options)?)
        }
    };
    let objects = match &slab {
        Some(slab) => Objects::Stingy(Box::new(SlabObjects::new(slab)?)),
        None => Objects::System,
    };
    note(&shared, index, &report, slab.as_ref());
    let mut worker = Worker::new(index, Arc::clone(&shared), listener, ring, objects);
    let _ = ready.send(true);
    let run = || policy::run(&shared, core, &mut worker);
    match &slab {
        Some(slab) => {
            slab.seal(policy::seal(config.seal));
            slab.on_stack(run)?;
        }
        None => run()?,
    }
    Ok(())
}

fn note(shared: &Shared, index: usize, report: &str, slab: Option<&Slab>) {
    let config = &shared.config;
    let Ok(mut notes) = shared.metrics.notes.lock() else { return };
    if index == 0 {
        notes.push(format!(
            "alloc {}, scheduler {}, steal {}, delivery {}, body {}",
            config.alloc, config.scheduler, config.steal, config.delivery, config.body
        ));
    }
    let slab = slab.map_or("no slab".to_owned(), |slab| format!("slab {}", slab.report()));
    notes.push(format!("core {index} on CPU {}: ring {report}; {slab}", config.cores[index]));
}

/// The map that the configuration names, parsed.
pub fn read_map(config: &Config) -> Result<MemoryMap, ConfigError> {
    let name = config.map.as_ref().map_or("built-in".to_owned(), |path| path.display().to_string());
    let wrong = |why: String| ConfigError::Map { name: name.clone(), why };
    let text = match &config.map {
        Some(path) => fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?,
        None => BUILT_IN_MAP.to_owned(),
    };
    MemoryMap::parse(&text).map_err(|error| wrong(error.to_string()))
}

/// What the configuration serves, opened.
pub fn open_root(config: &Config) -> Result<Root, ConfigError> {
    if let Some(path) = &config.root {
        let wrong = |source| ConfigError::Root { path: path.clone(), source };
        return sys::open_root(path).map(Root::Directory).map_err(wrong);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let entry = |page: &'static site::Page| {
        let entry = FileEntry::embedded(page.bytes, page.content_type, now);
        (page.path.as_bytes(), Arc::new(entry))
    };
    Ok(Root::Embedded(site::PAGES.iter().map(entry).collect::<HashMap<_, _>>()))
}
