//! Which policies run, and how the command line and a file say so.
//!
//! [`Options`] is both the argument list of `serve` and the schema of `--config FILE`; what the command line says
//! wins over the file, and the file over the defaults.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use thiserror::Error;

/// Declares a policy switch: its values, and their names on the command line and in a file.
macro_rules! policy {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let value = self.to_possible_value().expect("no value is skipped");
                f.write_str(value.get_name())
            }
        }
    };
}

policy! {
    /// Where a task's objects live.
    AllocPolicy {
        /// Each object from the system allocator.
        System,
        /// Objects in the core's cache slab, under permits.
        Stingy,
    }
}

policy! {
    /// What happens when a started server has to ask the system allocator for an object, as the slab has no room.
    SealPolicy {
        /// It is served.
        Open,
        /// It is served and counted.
        Count,
        /// The server ends, and names the site.
        Abort,
    }
}

policy! {
    /// Which event runs next.
    SchedulerPolicy {
        /// In order of arrival, one at a time.
        Fifo,
        /// Color by color in one list, at most ten events of each (Libasync-smp).
        Flat,
        /// Color by color, at most ten events of each; what is worth stealing is at hand (Mely).
        Color,
        /// Stage by stage, in batches as large as the slab permits (Stingy).
        Stage,
    }
}

policy! {
    /// Whom an idle core robs.
    StealPolicy {
        /// Nobody.
        None,
        /// The most loaded core, of its first color with less than half of the events (Libasync-smp).
        Libasync,
        /// By locality, time left and penalty, as `--steal-by` says (Mely).
        Mely,
    }
}

policy! {
    /// A heuristic of Mely's stealing.
    Heuristic {
        /// Near cores first.
        Locality,
        /// Only colors with more work left than the theft costs.
        TimeLeft,
        /// Colors that leave little memory behind.
        Penalty,
    }
}

policy! {
    /// How system calls are made.
    RingPolicy {
        /// io_uring where the kernel has it, syscall threads where not.
        Auto,
        /// A trap for each call, readiness by epoll.
        Direct,
        /// Syscall pages and syscall threads.
        Threads,
        /// io_uring, and syscall threads for calls that it lacks.
        Uring,
        /// The same, its queue polled by a thread of the kernel.
        Sqpoll,
    }
}

policy! {
    /// Where the syscall threads of [`RingPolicy::Threads`] run.
    PlacementPolicy {
        /// Where the core's worker may run.
        Anywhere,
        /// With the core's worker, when it waits.
        Poster,
        /// On another CPU, or not at all, by the measured load.
        Measured,
    }
}

policy! {
    /// When a file's data is delivered to the server.
    DeliveryPolicy {
        /// As soon as it can be read.
        Eager,
        /// When the socket can take it too (deferred event delivery).
        Ded,
    }
}

policy! {
    /// How a large body gets from the file to the socket.
    BodyPolicy {
        /// Through an object of the server.
        Copy,
        /// By the kernel.
        Sendfile,
    }
}

policy! {
    /// Who may see the live page and the metrics.
    LivePolicy {
        /// Nobody.
        Off,
        /// Clients on this machine that call it by a loopback name.
        Loopback,
    }
}

/// The options of `serve`, each optional so that a file can supply what the command line does not.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Options {
    /// Directory to serve; without it, the embedded sample site
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    pub http: Option<SocketAddr>,
    /// CPUs to run on, one worker each: 0 or 0,1 or 0-3 [default: 0]
    #[arg(long, value_name = "LIST")]
    pub cores: Option<String>,
    /// Where a task's objects live [default: stingy]
    #[arg(long, value_enum, value_name = "POLICY", hide_possible_values = true)]
    #[arg(help = "Where a task's objects live: system, stingy [default: stingy]")]
    pub alloc: Option<AllocPolicy>,
    /// What an object outside of the slab means
    #[arg(long, value_enum, value_name = "POLICY", hide_possible_values = true)]
    #[arg(help = "An object that must come from the system: open, count, abort [default: count]")]
    pub seal: Option<SealPolicy>,
    /// Which event runs next
    #[arg(long, value_enum, value_name = "POLICY", hide_possible_values = true)]
    #[arg(help = "Which event runs next: fifo, flat, color, stage [default: stage]")]
    pub scheduler: Option<SchedulerPolicy>,
    /// Whom an idle core robs
    #[arg(long, value_enum, value_name = "POLICY", hide_possible_values = true)]
    #[arg(help = "Whom an idle core robs: none, libasync, mely [default: mely]")]
    pub steal: Option<StealPolicy>,
    /// Heuristics of mely
    #[arg(long, value_enum, value_name = "LIST", hide_possible_values = true)]
    #[arg(value_delimiter = ',')]
    #[arg(help = "Heuristics of mely: some of locality,time-left,penalty [default: all three]")]
    pub steal_by: Option<Vec<Heuristic>>,
    /// How system calls are made
    #[arg(long, value_enum, value_name = "ENGINE", hide_possible_values = true)]
    #[arg(
        help = "How system calls are made: auto, direct, threads, uring, sqpoll [default: auto]"
    )]
    pub ring: Option<RingPolicy>,
    /// Where syscall threads run
    #[arg(long, value_enum, value_name = "WHERE", hide_possible_values = true)]
    #[arg(help = "Where syscall threads run: anywhere, poster, measured [default: anywhere]")]
    pub placement: Option<PlacementPolicy>,
    /// When a file's data is delivered
    #[arg(long, value_enum, value_name = "POLICY", hide_possible_values = true)]
    #[arg(help = "When a file's data is delivered: eager, ded [default: ded]")]
    pub delivery: Option<DeliveryPolicy>,
    /// How a large body gets to the socket
    #[arg(long, value_enum, value_name = "POLICY", hide_possible_values = true)]
    #[arg(help = "How a large body gets to the socket: copy, sendfile [default: copy]")]
    pub body: Option<BodyPolicy>,
    /// Who sees the live page
    #[arg(long, value_enum, value_name = "WHO", hide_possible_values = true)]
    #[arg(help = "Who sees the live page at /-/: off, loopback [default: loopback]")]
    pub live: Option<LivePolicy>,
    /// Memory map to load instead of the built-in one
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// File for what each core did last, written at the end, for ui.perfetto.dev
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Bytes of small files kept in memory, a core [default: 16777216]
    #[arg(long, value_name = "BYTES")]
    pub file_cache: Option<usize>,
    /// Milliseconds for which a file is served without a look at the disk [default: 1000]
    #[arg(long, value_name = "MS")]
    pub fresh_ms: Option<u64>,
    /// Connections at most; more are told 503 [default: the descriptor limit less 512]
    #[arg(long, value_name = "N")]
    pub max_connections: Option<usize>,
    /// Milliseconds that a connection may be idle [default: 60000]
    #[arg(long, value_name = "MS")]
    pub idle_ms: Option<u64>,
    /// Milliseconds for a request to arrive whole [default: 10000]
    #[arg(long, value_name = "MS")]
    pub request_ms: Option<u64>,
    /// Milliseconds without progress of an answer [default: 30000]
    #[arg(long, value_name = "MS")]
    pub send_ms: Option<u64>,
    /// Milliseconds for requests in flight when told to stop [default: 10000]
    #[arg(long, value_name = "MS")]
    pub grace_ms: Option<u64>,
}

/// What is wrong with a configuration, and what to do about it.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is not there or cannot be read.
    #[error("{}: {source}; --config wants a readable TOML file", path.display())]
    Read {
        /// The file asked for.
        path: PathBuf,
        /// Why it could not be read.
        source: std::io::Error,
    },
    /// The file is not what [`Options`] describes; the message has line and column.
    #[error("{}: {source}", path.display())]
    Parse {
        /// The file asked for.
        path: PathBuf,
        /// What the parser found.
        source: Box<toml::de::Error>,
    },
    /// The list of CPUs means nothing, or a CPU is not there.
    #[error("--cores {list}: {why}; write CPU numbers as 0 or 0,1 or 0-3")]
    Cores {
        /// The list as given.
        list: String,
        /// What is wrong with it.
        why: String,
    },
    /// The directory cannot be served.
    #[error("--root {}: {source}; name a directory that this user may enter", path.display())]
    Root {
        /// The directory asked for.
        path: PathBuf,
        /// Why it could not be opened.
        source: std::io::Error,
    },
    /// The memory map cannot be used.
    #[error("--map {name}: {why}")]
    Map {
        /// The file, or `built-in`.
        name: String,
        /// What the map's parser says.
        why: String,
    },
    /// The trace could not be written.
    #[error("--trace {}: {source}; name a file that this user may write", path.display())]
    Trace {
        /// The file asked for.
        path: PathBuf,
        /// Why it could not be opened.
        source: std::io::Error,
    },
    /// A number that would make the server useless.
    #[error("--{option} {value}: {why}")]
    Number {
        /// The option, without its dashes.
        option: &'static str,
        /// The value as given.
        value: u64,
        /// What would go wrong, and a value that works.
        why: &'static str,
    },
}

/// Limits in time.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// A connection without a request.
    pub idle: Duration,
    /// From a request's first byte to its last.
    pub request: Duration,
    /// An answer that makes no progress.
    pub send: Duration,
    /// Requests in flight when the server stops.
    pub grace: Duration,
}

/// A configuration that has been checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory to serve; none for the embedded site.
    pub root: Option<PathBuf>,
    /// Address to listen on.
    pub http: SocketAddr,
    /// CPUs to run on, one worker each.
    pub cores: Vec<usize>,
    /// Where a task's objects live.
    pub alloc: AllocPolicy,
    /// What an object outside of the slab means.
    pub seal: SealPolicy,
    /// Which event runs next.
    pub scheduler: SchedulerPolicy,
    /// Whom an idle core robs.
    pub steal: StealPolicy,
    /// Heuristics of [`StealPolicy::Mely`].
    pub steal_by: Vec<Heuristic>,
    /// How system calls are made.
    pub ring: RingPolicy,
    /// Where syscall threads run.
    pub placement: PlacementPolicy,
    /// When a file's data is delivered.
    pub delivery: DeliveryPolicy,
    /// How a large body gets to the socket.
    pub body: BodyPolicy,
    /// Who sees the live page.
    pub live: LivePolicy,
    /// Memory map to load; none for the built-in one.
    pub map: Option<PathBuf>,
    /// File that the trace is written to at the end; none for no trace.
    pub trace: Option<PathBuf>,
    /// Bytes of small files kept in memory, a core.
    pub file_cache: usize,
    /// For how long a file is served without a look at the disk.
    pub fresh: Duration,
    /// Connections at most over all cores; none for what the descriptor limit allows.
    pub max_connections: Option<usize>,
    /// Limits in time.
    pub timeouts: Timeouts,
}

impl Options {
    /// Reads a file of options; an unknown key is an error with its line.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        let text = fs::read_to_string(path).map_err(read)?;
        let parse = |source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) };
        toml::from_str(&text).map_err(parse)
    }

    /// Takes from `file` what `self` leaves open.
    #[must_use]
    pub fn or(self, file: Self) -> Self {
        Self {
            root: self.root.or(file.root),
            http: self.http.or(file.http),
            cores: self.cores.or(file.cores),
            alloc: self.alloc.or(file.alloc),
            seal: self.seal.or(file.seal),
            scheduler: self.scheduler.or(file.scheduler),
            steal: self.steal.or(file.steal),
            steal_by: self.steal_by.or(file.steal_by),
            ring: self.ring.or(file.ring),
            placement: self.placement.or(file.placement),
            delivery: self.delivery.or(file.delivery),
            body: self.body.or(file.body),
            live: self.live.or(file.live),
            map: self.map.or(file.map),
            trace: self.trace.or(file.trace),
            file_cache: self.file_cache.or(file.file_cache),
            fresh_ms: self.fresh_ms.or(file.fresh_ms),
            max_connections: self.max_connections.or(file.max_connections),
            idle_ms: self.idle_ms.or(file.idle_ms),
            request_ms: self.request_ms.or(file.request_ms),
            send_ms: self.send_ms.or(file.send_ms),
            grace_ms: self.grace_ms.or(file.grace_ms),
        }
    }

    /// Fills in the defaults and checks every value against the others; touches neither disk nor network.
    pub fn check(self) -> Result<Config, ConfigError> {
        let timeouts = Timeouts {
            idle: positive("idle-ms", self.idle_ms, 60_000)?,
            request: positive("request-ms", self.request_ms, 10_000)?,
            send: positive("send-ms", self.send_ms, 30_000)?,
            grace: time("grace-ms", self.grace_ms, 10_000)?,
        };
        if self.max_connections == Some(0) {
            let why = "nobody could connect; leave the option out, or allow at least 1";
            return Err(ConfigError::Number { option: "max-connections", value: 0, why });
        }
        Ok(Config {
            root: self.root,
            http: self.http.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            cores: parse_cores(self.cores.as_deref().unwrap_or("0"))?,
            alloc: self.alloc.unwrap_or(AllocPolicy::Stingy),
            seal: self.seal.unwrap_or(SealPolicy::Count),
            scheduler: self.scheduler.unwrap_or(SchedulerPolicy::Stage),
            steal: self.steal.unwrap_or(StealPolicy::Mely),
            steal_by: self.steal_by.unwrap_or_else(|| Heuristic::value_variants().to_vec()),
            ring: self.ring.unwrap_or(RingPolicy::Auto),
            placement: self.placement.unwrap_or(PlacementPolicy::Anywhere),
            delivery: self.delivery.unwrap_or(DeliveryPolicy::Ded),
            body: self.body.unwrap_or(BodyPolicy::Copy),
            live: self.live.unwrap_or(LivePolicy::Loopback),
            map: self.map,
            trace: self.trace,
            file_cache: self.file_cache.unwrap_or(16 << 20),
            fresh: time("fresh-ms", self.fresh_ms, 1000)?,
            max_connections: self.max_connections,
            timeouts,
        })
    }
}

impl Config {
    /// Are all CPUs there, and this process allowed to run on them?
    pub fn check_cpus(&self) -> Result<(), ConfigError> {
        let Ok(allowed) = crate::load::sys::allowed_cpus() else { return Ok(()) };
        let Some(missing) = self.cores.iter().find(|cpu| !allowed.contains(cpu)) else {
            return Ok(());
        };
        let list: Vec<_> = self.cores.iter().map(ToString::to_string).collect();
        let why = format!("this process may not run on CPU {missing}, only on {allowed:?}");
        Err(ConfigError::Cores { list: list.join(","), why })
    }
}

/// The longest time that an option can give: a year.
const LONGEST_MS: u64 = 365 * 24 * 60 * 60 * 1000;

fn positive(option: &'static str, ms: Option<u64>, default: u64) -> Result<Duration, ConfigError> {
    if ms == Some(0) {
        let why = "every request would time out at once; give at least 1";
        return Err(ConfigError::Number { option, value: 0, why });
    }
    time(option, ms, default)
}

fn time(option: &'static str, ms: Option<u64>, default: u64) -> Result<Duration, ConfigError> {
    let value = ms.unwrap_or(default);
    if value > LONGEST_MS {
        let why = "that is more than a year; give at most 31536000000";
        return Err(ConfigError::Number { option, value, why });
    }
    Ok(Duration::from_millis(value))
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let error = || "write IP:PORT, such as 127.0.0.1:8080 or [::1]:8080".to_owned();
    text.parse().map_err(|_| error())
}

/// Reads `0,2-4` as the CPUs 0, 2, 3 and 4, each at most once.
fn parse_cores(list: &str) -> Result<Vec<usize>, ConfigError> {
    let error = |why: String| ConfigError::Cores { list: list.to_owned(), why };
    let mut cores = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| {
            text.trim().parse::<usize>().map_err(|_| error(format!("`{text}` is no CPU number")))
        };
        let (first, last) = (number(first)?, number(last)?);
        if last < first || last - first >= 1024 {
            return Err(error(format!("`{part}` is no range of CPUs")));
        }
        for core in first..=last {
            if cores.contains(&core) {
                return Err(error(format!("CPU {core} is there twice")));
            }
            cores.push(core);
        }
    }
    Ok(cores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cores_is_numbers_and_ranges() {
        assert_eq!(parse_cores("0").unwrap(), [0]);
        assert_eq!(parse_cores("0,2-4").unwrap(), [0, 2, 3, 4]);
        for bad in ["", "x", "1-0", "0,0", "-1", "0-", "0-99999999999", "1,,2"] {
            assert!(parse_cores(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_command_line_wins_over_the_file_and_the_file_over_the_defaults() {
        let file: Options = toml::from_str("idle-ms = 5\nalloc = 'system'\ncores = '1'").unwrap();
        let line = Options { idle_ms: Some(7), ..Options::default() };
        let config = line.or(file).check().unwrap();
        assert_eq!(config.timeouts.idle, Duration::from_millis(7));
        assert_eq!(config.alloc, AllocPolicy::System);
        assert_eq!(config.cores, [1]);
        assert_eq!(config.scheduler, SchedulerPolicy::Stage);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = toml::from_str::<Options>("idle-ms = 5\nidel-ms = 6").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
