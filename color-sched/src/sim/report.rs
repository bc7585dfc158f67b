//! What came of a simulated run?

use std::fmt;

use crate::event::Nanos;

/// What one core did, until the last event had run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreReport {
    /// Time in handlers, lines that they waited for included.
    pub busy_ns: Nanos,
    /// Time of dispatching, polling, sending and offering.
    pub overhead_ns: Nanos,
    /// Time of looking at others' boards, of thefts and of misses.
    pub stealing_ns: Nanos,
    /// Time spent on waking others.
    pub waking_ns: Nanos,
    /// All other time: the core waited.
    pub idle_ns: Nanos,
    /// Part of `busy_ns`: waiting for lines that another core had.
    pub transfer_ns: Nanos,
    /// Events run.
    pub events: u64,
    /// Colors stolen by this core.
    pub thefts: u64,
    /// Thefts that came too late.
    pub misses: u64,
    /// Wakes of others that took a system call.
    pub wakes: u64,
    /// Times that this core waited.
    pub parks: u64,
    /// Handlers that panicked.
    pub panics: u64,
}

/// How long events waited from their post, or arrival, until they ran. Timers' events are left out: how late they are
/// is up to the wheel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Half of the events waited no longer.
    pub p50_ns: Nanos,
    /// 99 in 100.
    pub p99_ns: Nanos,
    /// 999 in 1000.
    pub p999_ns: Nanos,
    /// The longest wait.
    pub max_ns: Nanos,
}

impl Latency {
    pub(super) fn of(mut waits: Vec<Nanos>) -> Self {
        waits.sort_unstable();
        let rank = |per_mille: usize| {
            let rank = (waits.len() * per_mille).div_ceil(1000).max(1) - 1;
            waits.get(rank).copied().unwrap_or(0)
        };
        Self { p50_ns: rank(500), p99_ns: rank(990), p999_ns: rank(999), max_ns: rank(1000) }
    }
}

/// What came of a run. Every figure is simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The seed: with it, the same run.
    pub seed: u64,
    /// The cores, by number.
    pub cores: Vec<CoreReport>,
    /// When the last event had run.
    pub makespan_ns: Nanos,
    /// Events run.
    pub events: u64,
    /// Events that were given back to the program: refused, cancelled, or too late for their color.
    pub given_back: u64,
    /// How long events waited.
    pub latency: Latency,
    /// A number for the whole trace: two runs that differ anywhere differ here, but for one chance in 2⁶⁴.
    pub trace_hash: u64,
    /// Lines `time core what color`, if they were asked for.
    pub trace: Option<String>,
}

impl Report {
    /// Events a second.
    #[must_use]
    pub fn throughput(&self) -> f64 {
        self.events as f64 * 1e9 / self.makespan_ns.max(1) as f64
    }

    /// One of the figures, over all cores.
    #[must_use]
    pub fn sum(&self, of: impl Fn(&CoreReport) -> u64) -> u64 {
        self.cores.iter().map(of).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "simulated, seed {}: {} events in {} ns, waits p50 {} p99 {} p99.9 {} ns",
            self.seed,
            self.events,
            self.makespan_ns,
            self.latency.p50_ns,
            self.latency.p99_ns,
            self.latency.p999_ns,
        )?;
        writeln!(
            f,
            "core     busy overhead stealing   waking     idle   events thefts misses wakes"
        )?;
        for (number, core) in self.cores.iter().enumerate() {
            writeln!(
                f,
                "{number:>4} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6} {:>6} {:>5}",
                core.busy_ns,
                core.overhead_ns,
                core.stealing_ns,
                core.waking_ns,
                core.idle_ns,
                core.events,
                core.thefts,
                core.misses,
                core.wakes,
            )?;
        }
        Ok(())
    }
}
