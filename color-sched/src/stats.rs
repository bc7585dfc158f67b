//! What a core counts.

use crate::histogram::Histogram;

/// Counters of one core since it started. Plain numbers: the core writes them, and shows them to its program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreStats {
    /// Events run.
    pub events: u64,
    /// Batches run.
    pub batches: u64,
    /// Polls of the driver.
    pub polls: u64,
    /// Polls that were allowed to wait.
    pub parks: u64,
    /// Elections in which everything that waited was refused.
    pub refusals: u64,
    /// Stolen colors that were held here in the last of those, those with nothing to run too; 0 once something has run.
    pub refused_stolen: u64,
    /// Colors that are open and have their home here.
    pub colors: u64,
    /// Events sent to other cores.
    pub sent: u64,
    /// Events that came here and were sent on to the core that holds their color.
    pub forwarded: u64,
    /// Colors put on the board.
    pub offers: u64,
    /// Colors stolen by this core.
    pub thefts: u64,
    /// Times that those thefts took.
    pub stealing: Histogram,
    /// Estimated times of the events that came with them.
    pub loot: Histogram,
    /// Thefts that took longer than what came with them will, as estimated.
    pub losses: u64,
    /// Thefts that were planned and came too late.
    pub misses: u64,
    /// Plans that made no sense, and were ignored.
    pub nonsense: u64,
    /// Colors stolen from this core.
    pub stolen: u64,
    /// Stolen colors sent home.
    pub returned: u64,
    /// Wakes of other cores that took a system call.
    pub wakes: u64,
    /// Timers that fired.
    pub timers: u64,
    /// Handlers that panicked.
    pub panics: u64,
    /// Times from the post of an event to its run, to a microsecond or so: of the first and each eighth event of a timed
    /// batch. At least one event in 61 is in a timed batch, and every one is when there is a trace.
    pub queueing: Histogram,
    /// Times of events, election and all, as means over each of those batches.
    pub running: Histogram,
    /// Events given back because their color had closed or had too many waiting.
    pub abandoned: u64,
    /// What a theft costs, as learned from this core's thefts and from those of others here, or as pinned, in
    /// nanoseconds.
    pub steal_cost_ns: u64,
    /// What a wake costs, from the call to the woken core's first turn, in nanoseconds.
    pub wake_cost_ns: u64,
    /// What an event of each stage costs, in nanoseconds.
    pub stage_cost_ns: Vec<u64>,
    /// How far events of each stage are from that, on average, in nanoseconds.
    pub stage_spread_ns: Vec<u64>,
    /// How long stolen events of each stage take, in percent of others: as learned by the whole machine, or as pinned.
    pub stage_penalty_pct: Vec<u32>,
}
