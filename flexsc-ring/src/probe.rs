//! What does this kernel allow? Found out by doing, not by version.

use std::fmt;

use io_uring::register;

use crate::engine::setup;
use crate::options::RingError;
use crate::sys;

/// What a trial of io_uring has shown. Containers and administrators forbid it in several ways; the
/// only sure sign is a ring that works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// `uname -r`.
    pub kernel: String,
    /// A ring was made, and a NOP and a linked pair of NOPs went through it.
    pub usable: bool,
    /// What failed, if anything did.
    pub why_not: Option<String>,
    /// Opcodes that the kernel supports.
    pub opcodes: usize,
    /// Completions are run only when the owner enters the kernel (Linux 6.1 on).
    pub deferred: bool,
    /// Receives can choose their buffers (Linux 5.19 on).
    pub provided_buffers: bool,
    /// Logical processors; with one, syscall threads do not spin.
    pub processors: usize,
}

impl Probe {
    /// Tries io_uring on this thread; takes a fraction of a millisecond.
    pub fn run() -> Probe {
        let mut probe = Probe {
            kernel: sys::kernel_release(),
            usable: false,
            why_not: None,
            opcodes: 0,
            deferred: false,
            provided_buffers: false,
            processors: std::thread::available_parallelism().map_or(1, |n| n.get()),
        };
        match probe.try_all() {
            Ok(()) => probe.usable = true,
            Err(RingError::Uring { step, source }) => {
                probe.why_not = Some(format!("{step}: {source}"));
            }
            Err(error) => probe.why_not = Some(error.to_string()),
        }
        probe
    }

    fn try_all(&mut self) -> Result<(), RingError> {
        let made = setup::make(8)?;
        self.deferred = made.deferred;
        let ring = made.ring;
        let mut opcodes = register::Probe::new();
        let at = |step| move |source| RingError::Uring { step, source };
        ring.submitter().register_probe(&mut opcodes).map_err(at("opcode probe"))?;
        self.opcodes = (0..=u8::MAX).filter(|op| opcodes.is_supported(*op)).count();
        setup::try_provided_buffers(&ring).map_err(at("provided buffer ring"))?;
        self.provided_buffers = true;
        Ok(())
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Linux {}, {} processors, io_uring ", self.kernel, self.processors)?;
        match &self.why_not {
            Some(why) => write!(f, "not usable: {why}"),
            None => {
                let deferred = if self.deferred { "deferred" } else { "cooperative" };
                write!(f, "usable: {} opcodes, {deferred} completions", self.opcodes)
            }
        }
    }
}
