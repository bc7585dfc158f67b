//! The experiments' system calls: looking at a child without forgetting it, and ending its group.

use std::fmt;
use std::io;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    code: Option<i32>,
    signal: Option<i32>,
}

impl Ended {
    /// It ended by itself and with status 0.
    pub fn is_success(self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit status {code}"),
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) => f.write_str("in an unknown way"),
        }
    }
}

fn pid(number: u32) -> io::Result<Pid> {
    let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no process number"))
}

/// How the child `number` ended, if it has. It stays a zombie, so its number stays ours.
pub(super) fn ended(number: u32) -> io::Result<Option<Ended>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let status = waitid(WaitId::Pid(pid(number)?), options)?;
    Ok(status
        .map(|status| Ended { code: status.exit_status(), signal: status.terminating_signal() }))
}

/// Asks every process of the group to end, as `kill` does without a signal named.
pub(super) fn terminate_group(leader: u32) -> io::Result<()> {
    Ok(kill_process_group(pid(leader)?, Signal::TERM)?)
}

/// Ends every process of the group.
pub(super) fn kill_group(leader: u32) -> io::Result<()> {
    Ok(kill_process_group(pid(leader)?, Signal::KILL)?)
}
