//! What is counted: one block of counters a core, written by its worker alone and read by anyone.
//!
//! A counter is a relaxed load and store, not an atomic addition: there is one writer, and a reader wants a figure
//! that was true a moment ago. Each core's block has its own cache lines.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A counter with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `n` more. Only the core that owns the block calls it.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Replaces the figure by one that is counted elsewhere.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The figure as of a moment ago.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Shares of the events whose times are shown: half, all but one in a hundred, all but one in a thousand.
pub const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

/// Times within which each of the [`QUANTILES`] was done, in nanoseconds.
#[derive(Debug, Default)]
pub struct Times([Counter; QUANTILES.len()]);

impl Times {
    /// Replaces the times by what `quantile` says of each share. Only the core that owns the block calls it.
    pub fn set(&self, quantile: impl Fn(f64) -> u64) {
        for (time, share) in self.0.iter().zip(QUANTILES) {
            time.set(quantile(share));
        }
    }

    /// The time of one of the [`QUANTILES`], by its index there.
    #[must_use]
    pub fn get(&self, index: usize) -> Duration {
        Duration::from_nanos(self.0.get(index).map_or(0, Counter::get))
    }
}

/// Finds one distribution of times in a core's block.
pub type ReadTimes = fn(&CoreMetrics) -> &Times;

/// Name, help and accessor of every distribution of times, in the order of the page.
pub const TIMES: &[(&str, &str, ReadTimes)] = &[
    (
        "event_queueing_seconds",
        "From an event's post to its run, since the start: within this time for such a share of those timed",
        |core| &core.queueing,
    ),
    (
        "event_running_seconds",
        "A handler's run, as the mean of its batch, since the start: within this time for such a share of those timed",
        |core| &core.running,
    ),
    (
        "stealing_seconds",
        "A theft by this core, since the start: within this time for such a share of them",
        |core| &core.stealing,
    ),
];

/// What a core has learned of a stage.
#[derive(Clone, Copy, Debug)]
pub struct StageMetrics {
    /// The stage's name.
    pub name: &'static str,
    /// What an event costs, in nanoseconds.
    pub cost_ns: u64,
    /// How far events are from that, on average, in nanoseconds.
    pub spread_ns: u64,
    /// How long a stolen event takes, in percent of others.
    pub penalty_pct: u32,
}

/// Reads a figure of a stage.
pub type ReadStage = fn(&StageMetrics) -> u64;

/// A stage's figures by name, with their help.
pub const STAGE_FIGURES: &[(&str, &str, ReadStage)] = &[
    ("stage_cost_nanoseconds", "What an event of the stage costs, as learned", |stage| {
        stage.cost_ns
    }),
    ("stage_spread_nanoseconds", "How far events are from that, on average", |stage| {
        stage.spread_ns
    }),
    (
        "stage_penalty_percent",
        "How long a stolen event of the stage takes, in percent of others, as learned by all cores",
        |stage| stage.penalty_pct.into(),
    ),
];

/// Declares the counters of a core: field, name for scrapers, and what it counts.
macro_rules! counters {
    ($($field:ident, $name:literal, $kind:ident, $help:literal;)*) => {
        /// The counters of one core.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct CoreMetrics {
            $(#[doc = $help] pub $field: Counter,)*
            /// From an event's post to its run.
            pub queueing: Times,
            /// A handler's run.
            pub running: Times,
            /// A theft.
            pub stealing: Times,
            /// What has been learned of each stage; renewed a few times a second.
            pub stages: Mutex<Vec<StageMetrics>>,
            /// Tables of the crates below, as their own text; renewed a few times a second.
            pub tables: Mutex<Vec<(&'static str, String)>>,
        }

        /// Name, kind, help and accessor of every counter, in the order of the page.
        pub const COUNTERS: &[(&str, Kind, &str, fn(&CoreMetrics) -> u64)] =
            &[$(($name, Kind::$kind, $help, |core| core.$field.get()),)*];
    };
}

/// What a figure does over time, in the words of the Prometheus text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Rises and falls.
    Gauge,
}

counters! {
    requests, "requests_total", Counter, "Requests answered";
    bytes_sent, "bytes_sent_total", Counter, "Bytes of answers that the sockets took";
    status_2xx, "responses_2xx_total", Counter, "Answers with a status of 200 to 299";
    status_3xx, "responses_3xx_total", Counter, "Answers with a status of 300 to 399";
    status_4xx, "responses_4xx_total", Counter, "Answers with a status of 400 to 499";
    status_5xx, "responses_5xx_total", Counter, "Answers with a status of 500 to 599";
    connections, "connections", Gauge, "Connections open now, at the core that accepted them";
    accepted, "accepted_total", Counter, "Connections accepted";
    closed, "closed_total", Counter, "Connections that ended on this core, wherever they were accepted";
    shed, "shed_total", Counter, "Connections refused with 503 at the limit, or not accepted for want of descriptors";
    timeouts, "timeouts_total", Counter, "Connections closed because they made no progress in time";
    file_hits, "file_cache_hits_total", Counter, "Requests answered from a file entry in memory";
    file_misses, "file_cache_misses_total", Counter, "Requests that had to open their file";
    slab_objects, "slab_objects", Gauge, "Objects of tasks that are live";
    permits, "permits_total", Counter, "Batches that the slab granted a permit for";
    refusals, "permit_refusals_total", Counter, "Batches for which the slab had no room at that moment";
    escapes, "escapes_total", Counter, "Tasks let through without a permit so that the server goes on";
    stalled, "answers_stalled_total", Counter, "Answers that their client did not take at once, and that left the slab for that";
    fallbacks, "slab_fallbacks_total", Counter, "Objects that the cache slab had no place for";
    unsealed, "slab_unsealed_total", Counter, "Those of them that came from the system allocator, not from the high slab";
    events, "events_total", Counter, "Events run";
    timed, "events_timed_total", Counter, "Events whose queueing and running were timed: one in 61 at least";
    batches, "batches_total", Counter, "Batches run: events for each is the batch size";
    panics, "panics_total", Counter, "Handlers that panicked; their connections were closed";
    abandoned, "abandoned_total", Counter, "Events whose connection was gone when they came";
    thefts, "thefts_total", Counter, "Colors stolen by this core";
    misses, "thefts_missed_total", Counter, "Thefts by this core that came too late";
    losses, "thefts_at_a_loss_total", Counter, "Thefts by this core that took longer than what came with them will";
    steal_cost, "steal_cost_nanoseconds", Gauge, "What a theft costs, as learned";
    wake_cost, "wake_cost_nanoseconds", Gauge, "What a wake costs, as learned";
    parks, "parks_total", Counter, "Times the worker went to sleep";
    submitted, "calls_posted_total", Counter, "System calls given to the ring, short ones that the core made itself included";
    completed, "calls_completed_total", Counter, "Completions reaped from the ring";
    enters, "kernel_entries_total", Counter, "Traps made by the ring: calls posted for each is the batching";
    ring_fallbacks, "ring_fallbacks_total", Counter, "Calls that the chosen engine could not take itself";
    made_here, "short_calls_made_here_total", Counter, "Calls that need not wait, made by the core itself (--placement measured)";
    posted_elsewhere, "short_calls_posted_total", Counter, "Such calls posted to another core";
    taken_back, "short_calls_taken_back_total", Counter, "Posted ones that the core made after all, having nothing else to do";
    elsewhere, "short_calls_elsewhere", Gauge, "Cores whose short calls another core makes now";
    moves, "short_calls_moves_total", Counter, "Times that short calls have moved between the core and another";
    delivered, "pairs_delivered_total", Counter, "File data delivered at once, its socket ready (RR)";
    pairs, "pairs", Gauge, "Pairs of a file and a socket";
    deferred, "pairs_deferred_total", Counter, "File data held back, its socket not ready (RW)";
    released, "pairs_released_total", Counter, "Held file data delivered when the socket became ready";
}

/// What all cores share: their blocks, and the limit on connections.
#[derive(Debug)]
pub struct Metrics {
    /// One block a core.
    pub cores: Vec<CoreMetrics>,
    /// Connections open over all cores.
    pub open: AtomicUsize,
    /// When the server started.
    pub started: Instant,
    /// Lines about the configuration: what was asked for, and what was found instead.
    pub notes: Mutex<Vec<String>>,
}

impl Metrics {
    /// Counters for `cores` workers, all zero.
    #[must_use]
    pub fn new(cores: usize) -> Self {
        Self {
            cores: (0..cores).map(|_| CoreMetrics::default()).collect(),
            open: AtomicUsize::new(0),
            started: Instant::now(),
            notes: Mutex::new(Vec::new()),
        }
    }

    /// Adds a line about the configuration.
    pub fn note(&self, line: &str) {
        eprintln!("{line}");
        if let Ok(mut notes) = self.notes.lock() {
            notes.push(line.to_owned());
        }
    }

    /// A figure over all cores.
    pub fn total(&self, read: fn(&CoreMetrics) -> u64) -> u64 {
        self.cores.iter().map(read).sum()
    }
}
