//! What a ring is made with, why it could not be made, and what was chosen.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Weak;
use std::time::Duration;

use crate::machine;

/// Who makes the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// The first of `Uring`, `Threads`, `Direct` that this machine can do.
    Auto,
    /// The kernel, through io_uring.
    Uring,
    /// The kernel, through io_uring, by a thread of its own that polls the queue: posting costs no
    /// system call while it is awake, and the calls run on another processor. It takes that
    /// processor for itself while there is work, so `Auto` never chooses it. It lets go of a closed file
    /// a moment after the close has completed.
    Sqpoll,
    /// Syscall threads that read syscall pages, as in the FlexSC papers.
    Threads,
    /// The poster itself, by trap, with an epoll for what would block: the usual event loop.
    Direct,
}

impl Engine {
    /// The engine's name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Auto => "auto",
            Engine::Uring => "uring",
            Engine::Sqpoll => "sqpoll",
            Engine::Threads => "threads",
            Engine::Direct => "direct",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Engine {
    type Err = RingError;

    fn from_str(name: &str) -> Result<Self, RingError> {
        let all = [Engine::Auto, Engine::Uring, Engine::Sqpoll, Engine::Threads, Engine::Direct];
        let found = all.into_iter().find(|engine| engine.name() == name);
        found.ok_or_else(|| RingError::Engine { name: name.to_owned() })
    }
}

/// Where syscall threads run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// Where the kernel's scheduler puts them, among the processors that the poster may use.
    #[default]
    Anywhere,
    /// Pinned to these processors, one each in turn; numbered as in `/proc/cpuinfo`. Calls are shown to
    /// them while they are being posted, eight at a time, and not only when the poster waits.
    Cpus(Vec<usize>),
    /// On the poster's own processor, also when it moves. Nobody spins: a batch of calls runs when the
    /// poster waits, which is the batching of the paper on one core (§3.2.1).
    Poster,
    /// On another processor than the poster's. By measured load the poster makes calls that never
    /// wait by trap itself, or posts them (§6.1, [`Specializer`](crate::Specializer)), and then makes
    /// those that no thread has begun when a `wait` finds no result.
    /// [`Stats::made_here`](crate::Stats::made_here) and
    /// [`Stats::posted_elsewhere`](crate::Stats::posted_elsewhere) count what became of them,
    /// [`Stats::place`](crate::Stats::place) and [`Stats::moves`](crate::Stats::moves) tell what is done now.
    /// Reads of files are such calls as far as the file is in memory; several calls of a
    /// [`Chain`](crate::Chain) that are made as one count as one, if none of them may wait. Calls that
    /// may wait, opens among them, are always posted.
    /// For `Engine::Threads`; on `Engine::Uring` the threads get the calls without an opcode in any
    /// case.
    Measured,
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Placement::Anywhere => f.write_str("anywhere"),
            Placement::Cpus(cpus) => write!(f, "cpus {cpus:?}"),
            Placement::Poster => f.write_str("poster"),
            Placement::Measured => f.write_str("measured"),
        }
    }
}

impl Placement {
    fn check(&self) -> Result<(), RingError> {
        let Placement::Cpus(asked) = self else { return Ok(()) };
        let refused = asked.iter().copied().find(|cpu| !machine::can_run_on(*cpu));
        if refused.is_none() && !asked.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = machine::allowed_cpus().iter().map(usize::to_string).collect();
        let bounds = format!("one or more of the processors {}", names.join(", "));
        let (option, value) = match refused {
            Some(cpu) => ("placement", cpu as u64),
            None => ("placement (count of processors)", 0),
        };
        Err(RingError::Option { option, value, bounds: bounds.into() })
    }
}

/// What a ring is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Who makes the calls.
    pub engine: Engine,
    /// Entries of io_uring's submission queue; rounded up to a power of two. Its completion queue
    /// has four times as many. Posting more between two waits costs an extra system call.
    pub entries: u32,
    /// Calls that may be in flight at once; beyond that `submit` says `Full`. A chain counts as its
    /// calls; what has ended does not count, but may keep its memory until it is reaped. Each costs about
    /// 150 bytes and the size of a buffer handle, from the first time it is used.
    pub in_flight: usize,
    /// Buffers of the receive pool, at most 32 768.
    pub pool_buffers: u16,
    /// Size of each in bytes. Memory is taken from the system as buffers are first used.
    pub pool_buffer_bytes: usize,
    /// Bound on syscall threads, at most 64. `Threads` makes calls on them; `Uring` only those
    /// without an opcode, and starts none before the first such call. When all of them are blocked
    /// for some milliseconds and calls wait, spare threads serve these, at most one for each entry of
    /// the pages, which end when they find nothing to do.
    pub threads: usize,
    /// Syscall pages of 64 entries that the threads read; calls beyond wait their turn. When all
    /// entries hold calls that do not end and others wait, further pages are added, up to 512.
    pub pages: usize,
    /// How long an idle syscall thread looks for work before it sleeps, and the poster for a result, in
    /// microseconds, at most 1 000 000. With `Threads` a `wait` looks no longer than it may take; after a
    /// running call was cancelled it looks for 60 us at least, unless this is 0. Where the poster and
    /// the threads have one processor between them neither ever looks.
    pub spin_us: u32,
    /// A syscall thread beyond the first ends after it has slept for so long.
    pub idle: Duration,
    /// Where syscall threads run. What has no effect on an engine is noted in its [`Report`].
    pub placement: Placement,
    /// How long the poller of `Sqpoll` looks for work before it sleeps, 1 ms to 1 h, rounded up to
    /// milliseconds. A post that finds it asleep costs the next `wait` a system call.
    pub sqpoll_idle: Duration,
    /// The processor that the poller of `Sqpoll` stays on; `None` leaves that to the scheduler.
    pub sqpoll_cpu: Option<usize>,
    /// The poller of another ring of this process, to be shared: it serves its rings in turn, and
    /// looks for work as long as the most patient of them asks for.
    pub sqpoll_with: Option<SharedPoller>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            engine: Engine::Auto,
            entries: 1024,
            in_flight: 1 << 17,
            pool_buffers: 1024,
            pool_buffer_bytes: 4096,
            threads: 16,
            pages: 4,
            spin_us: 20,
            idle: Duration::from_secs(10),
            placement: Placement::Anywhere,
            sqpoll_idle: Duration::from_millis(5),
            sqpoll_cpu: None,
            sqpoll_with: None,
        }
    }
}

impl Options {
    /// The defaults with another engine.
    pub fn with_engine(engine: Engine) -> Self {
        Options { engine, ..Options::default() }
    }

    /// What was asked for that has no effect on `engine`, a line each.
    pub(crate) fn unheeded(&self, engine: Engine) -> Vec<String> {
        let why_not_placed = match (engine, &self.placement) {
            (_, Placement::Anywhere) | (Engine::Threads, _) => None,
            (Engine::Direct, _) => Some("has no syscall threads"),
            (_, Placement::Measured) => Some("has the kernel make the calls"),
            _ => None,
        };
        let mut notes: Vec<String> = Vec::new();
        let is_measured = engine == Engine::Threads && self.placement == Placement::Measured;
        if is_measured && machine::allowed_cpus().len() < 2 {
            notes.push(
                "`placement`: there is one processor, so the poster makes short calls".into(),
            );
        }
        notes.extend(
            why_not_placed.map(|why| format!("no effect of `placement`: `{engine}` {why}")),
        );
        if engine != Engine::Sqpoll && (self.sqpoll_cpu.is_some() || self.sqpoll_with.is_some()) {
            notes.push(format!("no effect of `sqpoll_cpu` or `sqpoll_with`: `{engine}` serves"));
        }
        notes
    }

    /// What serves instead of what was asked for.
    pub(crate) fn report(&self, engine: Engine) -> Report {
        let notes = self.unheeded(engine);
        Report { asked: self.engine, engine, placement: self.placement.clone(), notes }
    }

    pub(crate) fn check(&self) -> Result<(), RingError> {
        let refuse = |option, value: usize, bounds: &'static str| {
            Err(RingError::Option { option, value: value as u64, bounds: bounds.into() })
        };
        if !(1..=32_768).contains(&self.pool_buffers) {
            return refuse("pool_buffers", self.pool_buffers.into(), "1 to 32768");
        }
        if !(64..=1 << 24).contains(&self.pool_buffer_bytes) {
            return refuse("pool_buffer_bytes", self.pool_buffer_bytes, "64 to 16777216");
        }
        if !(1..=32_768).contains(&self.entries) {
            return refuse("entries", self.entries as usize, "1 to 32768");
        }
        if !(1..=1 << 24).contains(&self.in_flight) {
            return refuse("in_flight", self.in_flight, "1 to 16777216");
        }
        if !(1..=64).contains(&self.threads) {
            return refuse("threads", self.threads, "1 to 64");
        }
        if !(1..=512).contains(&self.pages) {
            return refuse("pages", self.pages, "1 to 512");
        }
        if self.spin_us > 1_000_000 {
            return refuse("spin_us", self.spin_us as usize, "0 to 1000000");
        }
        let idle = self.sqpoll_idle;
        if !(Duration::from_millis(1)..=Duration::from_secs(3_600)).contains(&idle) {
            let us = usize::try_from(idle.as_micros()).unwrap_or(usize::MAX);
            return refuse("sqpoll_idle (us)", us, "1000 to 3600000000, which is 1 ms to 1 h");
        }
        if let Some(cpu) = self.sqpoll_cpu.filter(|cpu| *cpu >= machine::processors()) {
            return refuse("sqpoll_cpu", cpu, "the number of a processor that is there, from 0 on");
        }
        self.placement.check()
    }
}

/// Why a ring could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RingError {
    /// io_uring cannot be used.
    #[error(
        "io_uring is not usable here: {step}: {source}; choose the engine `threads` or `auto`, or \
         allow io_uring (sysctl kernel.io_uring_disabled=0, the container's seccomp profile; \
         `Probe::run` says which)"
    )]
    Uring {
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// No syscall thread can be started.
    #[error("no syscall thread can be started: {0}; raise the limit of tasks, or choose `direct`")]
    Threads(#[source] io::Error),
    /// The poller of `Sqpoll` would take the only processor for itself.
    #[error("the engine `sqpoll` needs a second processor for its poller; choose `uring`")]
    OneProcessor,
    /// The poller that was to be shared is no more.
    #[error("the ring whose poller is to be shared was dropped; make that ring again first")]
    PollerGone,
    /// A descriptor could not be made.
    #[error("{step}: {source}; raise the limit of open files (ulimit -n)")]
    Descriptor {
        /// What was tried.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The receive pool could not be mapped.
    #[error("receive pool of {bytes} bytes: {source}; lower Options::pool_buffers")]
    Pool {
        /// Its size in bytes.
        bytes: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// A slab could not be mapped.
    #[error("slab of {bytes} bytes: {source}; make it of fewer or smaller buffers")]
    Slab {
        /// Its size in bytes.
        bytes: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// A slab could not be registered.
    #[error(
        "slab of {bytes} bytes cannot be registered: {source}; raise the limit of locked memory \
         (ulimit -l), or use its buffers as they are"
    )]
    Register {
        /// Its size in bytes.
        bytes: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// An option is out of its bounds.
    #[error("option {option} is {value}; use {bounds}")]
    Option {
        /// The field of [`Options`], or the number that a [`BufferSlab`](crate::BufferSlab) was asked for.
        option: &'static str,
        /// What it was.
        value: u64,
        /// What it may be.
        bounds: Cow<'static, str>,
    },
    /// No engine has that name.
    #[error("no engine is called `{name}`; use auto, uring, sqpoll, threads or direct")]
    Engine {
        /// The name that was given.
        name: String,
    },
}

/// The poller of a ring of [`Engine::Sqpoll`], for further rings to be served by it, on any thread.
/// It holds nothing: when the ring that made it is dropped before, no further one can join.
#[derive(Debug, Clone)]
pub struct SharedPoller(pub(crate) Weak<OwnedFd>);

/// Which engine serves a ring, and why not another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What was asked for.
    pub asked: Engine,
    /// What serves.
    pub engine: Engine,
    /// Where syscall threads were asked to run. What [`Placement::Measured`] has come to is in
    /// [`Stats::place`](crate::Stats::place).
    pub placement: Placement,
    /// One line for each thing that is not as it was asked for, or not as fast as it could be.
    pub notes: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "engine {} (asked for {})", self.engine, self.asked)?;
        if self.placement != Placement::Anywhere {
            write!(f, ", placement {}", self.placement)?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}
