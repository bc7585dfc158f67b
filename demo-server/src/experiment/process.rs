//! A process that we started: on the CPUs it was given, with its words kept, and gone when we are
//! done, with all it has started.
//!
//! It leads a process group of its own, and its number is kept (it is not waited for) until that
//! whole group was told to end, so what is signalled is always what was started here. That happens
//! when the guard is dropped: after success, errors and panics, and on Ctrl-C and SIGTERM, which
//! `interrupt` turns into an error. If we are killed outright, the kernel ends it, where
//! util-linux's `setpriv --pdeathsig` is installed; a server then ends its own workers.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::sys::{self, Ended};
use crate::load::sys::{allowed_cpus, pin_this_thread};

/// How long a process has to end when asked to; then it is killed.
const GRACE: Duration = Duration::from_secs(3);
/// Where servers are that are not on everybody's path.
const MORE_PATH: [&str; 4] = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];

/// A process and all it starts. Dropping it ends them.
#[derive(Debug)]
pub struct Process {
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
    /// Starts the command's program, arguments, environment and directory on `cpus`, or wherever this thread may
    /// run if there are none. What it prints goes to a file in `logs`.
    ///
    /// It must not outlive the calling thread: where the kernel watches over it, it ends with that
    /// thread.
    pub fn start(
        name: &str,
        command: &Command,
        cpus: &[usize],
        logs: &Path,
    ) -> anyhow::Result<Process> {
        let log = logs.join(format!("{name}.log"));
        let out = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut command = bound_to_us(command);
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0);
        let child = spawn_on(&mut command, cpus).with_context(|| format!("cannot start {name}"))?;
        Ok(Process { name: name.into(), child, log })
    }

    /// Its number, which stays its own until the guard is dropped.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> anyhow::Result<Option<Ended>> {
        sys::ended(self.pid()).with_context(|| format!("cannot look at {}", self.name))
    }

    /// What it has printed so far, on both of its outputs.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines it printed, for messages.
    pub fn last_words(&self) -> String {
        let text = self.output();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(3)..];
        if last.is_empty() { "it printed nothing".into() } else { last.join("; ") }
    }

    /// Asks the group to end, and kills what is left of it: at once when the process itself has
    /// ended, else after `GRACE`.
    fn stop(&mut self) -> std::io::Result<()> {
        let pid = self.pid();
        let until = Instant::now() + GRACE;
        if sys::ended(pid)?.is_none() {
            sys::terminate_group(pid)?;
        }
        while sys::ended(pid)?.is_none() && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
        sys::kill_group(pid)?;
        self.child.wait().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("demo-server: cannot end {} (process {}): {error}", self.name, self.pid());
        }
    }
}

/// The same command, asked by the kernel to end when the thread that starts it has ended.
fn bound_to_us(command: &Command) -> Command {
    let mut bound = match setpriv() {
        Some(setpriv) => {
            let mut bound = Command::new(setpriv);
            bound.args(["--pdeathsig", "TERM", "--"]).arg(command.get_program());
            bound
        }
        None => Command::new(command.get_program()),
    };
    bound.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(name, value),
            None => bound.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        bound.current_dir(dir);
    }
    bound
}

/// The `setpriv` of util-linux; others of that name do not know the option, and are not used.
fn setpriv() -> Option<&'static Path> {
    static SETPRIV: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let setpriv = find_program("setpriv")?;
        let works = Command::new(&setpriv).args(["--pdeathsig", "TERM", "--", "true"]).output();
        works.is_ok_and(|output| output.status.success()).then_some(setpriv)
    };
    SETPRIV.get_or_init(find).as_deref()
}

/// Starts the command with this thread's CPUs changed to `cpus` meanwhile, because a child begins
/// with those of the thread that starts it.
fn spawn_on(command: &mut Command, cpus: &[usize]) -> anyhow::Result<Child> {
    if cpus.is_empty() {
        return Ok(command.spawn()?);
    }
    let ours = allowed_cpus()?;
    pin_this_thread(cpus).with_context(|| format!("cannot use CPUs {cpus:?}"))?;
    let child = command.spawn();
    pin_this_thread(&ours)?;
    Ok(child?)
}
