//! What did valgrind count: instructions, and misses of the caches that this machine has?

use std::fmt;
use std::fs;
use std::path::Path;

/// A cache as valgrind simulates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Bytes.
    pub size: u64,
    /// Lines of a set.
    pub ways: u64,
    /// Bytes of a line.
    pub line: u64,
}

/// Why a cache or a count cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValgrindError {
    /// The kernel does not say.
    #[error("{0} does not describe a level {1} cache; nothing can be simulated")]
    UnknownCache(String, u8),
    /// Its sets are not a power of two, or its line is not.
    #[error("valgrind cannot simulate a cache of {0}: it has no power of two of sets")]
    OddCache(Cache),
    /// The file has no such line or column.
    #[error("valgrind's output has no `{0}`; is this valgrind older than 3.13?")]
    Missing(&'static str),
    /// A count is no number.
    #[error("valgrind's output has a `{0}` that is no number")]
    Malformed(&'static str),
}

impl fmt::Display for Cache {
    /// As valgrind's options take it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.size, self.ways, self.line)
    }
}

impl Cache {
    /// The cache for data of that level, from a folder like `/sys/devices/system/cpu/cpu0/cache`.
    pub fn read(folder: &Path, level: u8) -> Result<Cache, ValgrindError> {
        let unknown = || ValgrindError::UnknownCache(folder.display().to_string(), level);
        let indexes = fs::read_dir(folder).map_err(|_| unknown())?;
        let found = indexes.flatten().find_map(|index| {
            let read = |name: &str| fs::read_to_string(index.path().join(name)).ok();
            let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
            let holds_data = read("type")?.trim() != "Instruction";
            (holds_data && number("level")? == u64::from(level)).then_some(())?;
            let size = read("size")?.trim().strip_suffix('K')?.parse::<u64>().ok()? << 10;
            let (ways, line) = (number("ways_of_associativity")?, number("coherency_line_size")?);
            Some(Cache { size, ways, line })
        });
        let cache = found.ok_or_else(unknown)?;
        let way = cache.ways.checked_mul(cache.line).filter(|&way| way > 0).ok_or_else(unknown)?;
        let sets = cache.size / way;
        if !(sets.is_power_of_two() && cache.line.is_power_of_two() && sets * way == cache.size) {
            return Err(ValgrindError::OddCache(cache));
        }
        Ok(cache)
    }
}

/// What a run of cachegrind or callgrind counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    events: Vec<String>,
    totals: Vec<u64>,
}

impl Counts {
    /// Reads the file that `--cachegrind-out-file` or `--callgrind-out-file` named.
    pub fn parse(text: &str) -> Result<Counts, ValgrindError> {
        let after = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
        let events = after("events:").ok_or(ValgrindError::Missing("events:"))?;
        let totals = after("summary:").or_else(|| after("totals:"));
        let totals = totals.ok_or(ValgrindError::Missing("summary:"))?;
        let totals = totals.split_whitespace().map(str::parse).collect::<Result<_, _>>();
        Ok(Counts {
            events: events.split_whitespace().map(String::from).collect(),
            totals: totals.map_err(|_| ValgrindError::Malformed("summary:"))?,
        })
    }

    fn of(&self, event: &'static str) -> Result<u64, ValgrindError> {
        let at = self.events.iter().position(|name| name == event);
        let count = at.and_then(|at| self.totals.get(at).copied());
        count.ok_or(ValgrindError::Missing(event))
    }

    /// Instructions.
    pub fn instructions(&self) -> Result<u64, ValgrindError> {
        self.of("Ir")
    }

    /// Reads and writes of data that missed the last level that was simulated.
    pub fn data_misses(&self) -> Result<u64, ValgrindError> {
        Ok(self.of("DLmr")? + self.of("DLmw")?)
    }
}

/// Counts a unit of work, of two runs that differ in nothing but how much of it they did, so that starting
/// up and warming up cancel out: (count, units) of each. None if the longer run counted less, as chance then
/// outweighs the work.
pub fn net(fewer: (u64, u64), more: (u64, u64)) -> Option<f64> {
    let units = more.1.checked_sub(fewer.1).filter(|&units| units > 0)?;
    Some(more.0.checked_sub(fewer.0)? as f64 / units as f64)
}
