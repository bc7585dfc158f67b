//! A process that we started: on the CPUs it was given, with its words kept, and gone when we are done.
//!
//! It ends on every way out: normally and on errors and panics as the guard is dropped; on Ctrl-C because `interrupt` turns that into an
//! error (a terminal sends it to the whole process group too); and if we are killed outright by `setpriv
//! --pdeathsig`, where util-linux has it. Only processes that we started are ever signalled, by their number, while we have not waited for
//! them, so the number cannot have passed to another.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use sysinfo::{Pid, ProcessesToUpdate, System};

use super::usage::Accountant;
use crate::load::sys;

/// How long a process has to end when asked to; then it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// Where servers are that are not on everybody's path.
const MORE_PATH: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];

/// A running process. Dropping it ends it, and what it started.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// The program's path, if it is installed.
pub(super) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(MORE_PATH.iter().map(PathBuf::from));
    dirs.map(|dir| dir.join(name)).find(|program| program.is_file())
}

impl Process {
    /// Starts `command` on `cpus`. What it prints goes to a file in `logs`.
    pub(super) fn start(
        name: &str,
        command: &Command,
        cpus: &[usize],
        logs: &Path,
    ) -> anyhow::Result<Process> {
        let log = logs.join(format!("{name}.log"));
        let out = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut command = bound_to_us(command);
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = spawn_on(&mut command, cpus).with_context(|| format!("cannot start {name}"))?;
        Ok(Process { name: name.into(), child, log })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub(super) fn exited(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot wait for {}", self.name))
    }

    /// The last lines it printed, for messages.
    pub(super) fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut lines: Vec<&str> =
            text.lines().rev().filter(|line| !line.trim().is_empty()).take(3).collect();
        lines.reverse();
        if lines.is_empty() { "it printed nothing".into() } else { lines.join("; ") }
    }

    fn stop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) || sys::terminate(self.child.id()).is_err() {
            return;
        }
        let until = Instant::now() + GRACE;
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
        self.kill();
    }

    /// Kills it, and whatever it has started and would leave behind.
    fn kill(&mut self) {
        let tree = Accountant::new()
            .map(|mut accountant| accountant.tree(self.child.id()))
            .unwrap_or_default();
        let others: Vec<Pid> =
            tree.into_iter().filter(|&pid| pid != self.child.id()).map(Pid::from_u32).collect();
        if let Ok(mut system) = System::new() {
            system.refresh_processes(ProcessesToUpdate::Some(&others), true);
            others.iter().filter_map(|&pid| system.process(pid)).for_each(|process| {
                process.kill();
            });
        }
        if self.child.kill().and_then(|()| self.child.wait()).is_err() {
            eprintln!("demo-server: cannot end {} (process {})", self.name, self.child.id());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The same command, ended by the kernel when the thread that started it ends.
fn bound_to_us(command: &Command) -> Command {
    let mut bound = match find_program("setpriv") {
        Some(setpriv) => {
            let mut bound = Command::new(setpriv);
            bound.args(["--pdeathsig", "TERM", "--"]).arg(command.get_program());
            bound
        }
        None => Command::new(command.get_program()),
    };
    bound.args(command.get_args());
    if let Some(dir) = command.get_current_dir() {
        bound.current_dir(dir);
    }
    bound
}

/// Starts the command with this thread's CPUs changed to `cpus` meanwhile, because a child begins with those of the thread that starts it.
pub(super) fn spawn_on(command: &mut Command, cpus: &[usize]) -> anyhow::Result<Child> {
    let ours = sys::allowed_cpus()?;
    sys::pin_this_thread(cpus).with_context(|| format!("cannot use CPUs {cpus:?}"))?;
    let child = command.spawn();
    sys::pin_this_thread(&ours)?;
    Ok(child?)
}
