//! What does this kernel allow? Found out by doing, not by version.

mod cause;
mod limits;
mod trials;

use std::fmt;
use std::path::Path;
use std::thread;

pub use self::cause::Cause;
use self::cause::Signs;
pub use self::limits::Limit;
use self::trials::Trial;
use crate::engine::{AnyRing, setup};
use crate::machine::{self, Resource};
use crate::options::{Engine, Options, RingError};

/// What trials on this thread have shown: what io_uring can do here, or why it cannot be used,
/// whether syscall threads can be started, which bounds apply, and which engine comes of it.
///
/// Containers and administrators forbid io_uring in several ways; the only sure sign is a ring that
/// works. The text form is a few lines, each of which ends with the next step if something is
/// missing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probe {
    /// `uname -r`.
    pub kernel: String,
    /// A ring was made, a NOP and a linked pair of NOPs went through it, and it takes provided
    /// buffers: the engine `uring` works.
    pub usable: bool,
    /// What failed, if anything did, with the `errno`.
    pub why_not: Option<String>,
    /// The likely reason of that.
    pub cause: Option<Cause>,
    /// Opcodes that the kernel supports.
    pub opcodes: usize,
    /// Opcodes that the engine uses and the kernel lacks, by the kernel's names without
    /// `IORING_OP_`.
    pub missing: Vec<&'static str>,
    /// Completions are run only when the owner enters the kernel (Linux 6.1 on).
    pub deferred: bool,
    /// Receives can choose their buffers (Linux 5.19 on).
    pub provided_buffers: bool,
    /// One accept takes connection after connection.
    pub multishot_accept: bool,
    /// One receive takes message after message.
    pub multishot_recv: bool,
    /// A waiting call can be cancelled.
    pub cancel: bool,
    /// A ring can keep open files in a table of its own.
    pub direct_descriptors: bool,
    /// A kernel thread can serve a ring's queue.
    pub sqpoll: bool,
    /// What was tried and does not work: `ability: reason`.
    pub failed: Vec<String>,
    /// `kernel.io_uring_disabled` (Linux 6.6 on): 0 allowed, 1 with privilege only, 2 forbidden.
    pub uring_disabled: Option<u32>,
    /// This thread's seccomp mode: 0 none, 2 a filter.
    pub seccomp: Option<u32>,
    /// Logical processors that the process may use; with one, syscall threads do not spin.
    pub processors: usize,
    /// Their numbers, such as `0-3,8`.
    pub cpus: String,
    /// `RLIMIT_MEMLOCK`, in bytes.
    pub locked_memory: Limit,
    /// `RLIMIT_NOFILE`: one above the greatest descriptor.
    pub open_files: Limit,
    /// `RLIMIT_NPROC`: tasks of this user; root is not bound by it.
    pub tasks: Limit,
    /// `pids.max`: tasks of the control group, if it has such a bound.
    pub group_tasks: Option<u64>,
    /// A thread was started as syscall threads are.
    pub syscall_threads: bool,
    /// Why none could be.
    pub why_no_thread: Option<String>,
    /// What [`Engine::Auto`] takes; `None` if no ring can be made.
    pub auto: Option<Engine>,
    /// Why not another engine, or why none; and what is not at its best.
    pub notes: Vec<String>,
}

impl Probe {
    /// Tries all of it on this thread; takes some milliseconds. The rings it makes are gone when it
    /// returns.
    pub fn run() -> Probe {
        let mut probe = Probe {
            kernel: machine::kernel_release(),
            usable: false,
            why_not: None,
            cause: None,
            opcodes: 0,
            missing: Vec::new(),
            deferred: false,
            provided_buffers: false,
            multishot_accept: false,
            multishot_recv: false,
            cancel: false,
            direct_descriptors: false,
            sqpoll: false,
            failed: Vec::new(),
            uring_disabled: limits::number_in(Path::new("/proc/sys/kernel/io_uring_disabled"))
                .and_then(|value| value.try_into().ok()),
            seccomp: limits::status("Seccomp").and_then(|mode| mode.parse().ok()),
            processors: thread::available_parallelism().map_or(1, |n| n.get()),
            cpus: limits::status("Cpus_allowed_list").unwrap_or_default(),
            locked_memory: Limit::of(Resource::LockedMemory),
            open_files: Limit::of(Resource::OpenFiles),
            tasks: Limit::of(Resource::Tasks),
            group_tasks: limits::most_tasks_of_the_group(),
            syscall_threads: false,
            why_no_thread: None,
            auto: None,
            notes: Vec::new(),
        };
        match probe.try_uring() {
            Ok(()) => {
                probe.usable = true;
                probe.try_abilities();
            }
            Err(error) => probe.note_refusal(error),
        }
        probe.try_thread();
        probe.try_auto();
        probe
    }

    fn try_uring(&mut self) -> Result<(), RingError> {
        let made = setup::make(8)?;
        self.deferred = made.deferred;
        let at = |step| move |source| RingError::Uring { step, source };
        (self.opcodes, self.missing) =
            trials::opcodes(&made.ring).map_err(at("io_uring_register of an opcode probe"))?;
        setup::try_provided_buffers(&made.ring).map_err(at("provided buffer ring"))?;
        self.provided_buffers = true;
        Ok(())
    }

    fn note_refusal(&mut self, error: RingError) {
        let (text, errno) = match &error {
            RingError::Uring { step, source } | RingError::Descriptor { step, source } => {
                (format!("{step}: {source}"), source.raw_os_error())
            }
            other => (other.to_string(), None),
        };
        let signs =
            Signs { disabled: self.uring_disabled, seccomp: self.seccomp, kernel: &self.kernel };
        self.cause = Some(Cause::of(errno, &signs));
        self.why_not = Some(text);
    }

    fn try_abilities(&mut self) {
        let failed = &mut self.failed;
        let mut works = |(name, trial): Trial| match trial() {
            Ok(()) => true,
            Err(error) => {
                failed.push(format!("{name}: {error}"));
                false
            }
        };
        self.multishot_accept = works(trials::MULTISHOT_ACCEPT);
        self.multishot_recv = works(trials::MULTISHOT_RECV);
        self.cancel = works(trials::CANCEL);
        self.direct_descriptors = works(trials::DIRECT_DESCRIPTORS);
        self.sqpoll = works(trials::SQPOLL);
    }

    fn try_thread(&mut self) {
        match thread::Builder::new().name("syscall-trial".to_owned()).spawn(|| {}) {
            Ok(thread) => self.syscall_threads = thread.join().is_ok(),
            Err(error) => self.why_no_thread = Some(error.to_string()),
        }
    }

    fn try_auto(&mut self) {
        match AnyRing::<Vec<u8>>::new(&Options::default()) {
            Ok(ring) => {
                self.auto = Some(ring.engine());
                self.notes = ring.report().notes.clone();
            }
            Err(error) => self.notes = vec![error.to_string()],
        }
    }

    fn write_uring(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Probe { kernel, processors, cpus, opcodes, .. } = self;
        write!(f, "Linux {kernel}, {processors} processors (CPUs {cpus}), io_uring ")?;
        if let Some(why) = &self.why_not {
            write!(f, "not usable: {why}")?;
            return self.cause.iter().try_for_each(|cause| write!(f, "; {cause}"));
        }
        let deferred = if self.deferred { "deferred" } else { "cooperative" };
        write!(f, "usable: {opcodes} opcodes, {deferred} completions")?;
        if !self.deferred {
            f.write_str("; use Linux 6.1 or later for deferred ones")?;
        }
        if !self.missing.is_empty() {
            write!(f, "; no opcode {}: use a later kernel", self.missing.join(", "))?;
        }
        f.write_str("\nio_uring's abilities: ")?;
        if self.failed.is_empty() {
            return f.write_str("all that were tried work");
        }
        write!(f, "not {}", self.failed.join("; not "))?;
        f.write_str("; use a later kernel, or do without")
    }

    fn write_limits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Probe { locked_memory, open_files, tasks, .. } = self;
        write!(f, "limits: {locked_memory} bytes of locked memory, {tasks} tasks of this user, ")?;
        if let Some(tasks) = self.group_tasks {
            write!(f, "{tasks} tasks of the control group, ")?;
        }
        write!(f, "{open_files} open files")?;
        if open_files.soft.is_some_and(|files| files < FEW_FILES) {
            f.write_str("; a server needs one a connection: raise ulimit -n")?;
        }
        Ok(())
    }
}

/// Fewer open files than this are worth a word.
const FEW_FILES: u64 = 4096;

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_uring(f)?;
        f.write_str("\n")?;
        self.write_limits(f)?;
        match &self.why_no_thread {
            None => f.write_str("\nsyscall threads: can be started")?,
            Some(why) => write!(
                f,
                "\nsyscall threads: none can be started: {why}; raise ulimit -u, pids.max or memory"
            )?,
        }
        match self.auto {
            Some(engine) => write!(f, "\nengine `auto`: {engine}")?,
            None => f.write_str("\nengine `auto`: none can be made")?,
        }
        self.notes.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}
