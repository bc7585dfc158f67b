//! Ctrl-C and SIGTERM as a question that can be asked, so that servers are stopped and files
//! removed before we go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// How long a sleep goes on after a signal, at most.
const STEP: Duration = Duration::from_millis(10);

/// Has a signal asked us to end?
#[derive(Clone, Debug)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on the first SIGINT or SIGTERM is a question, and the second ends the process at
    /// once.
    pub(super) fn install() -> anyhow::Result<Interrupt> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&flag))
                .and_then(|_| flag::register(signal, Arc::clone(&flag)))
                .context("cannot handle Ctrl-C")?;
        }
        Ok(Interrupt(flag))
    }

    /// An error once a signal has come.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            bail!("interrupted; the servers are stopped and their files removed");
        }
        Ok(())
    }

    /// Sleeps until `done` gives something, asking at every `step`; `None` after `limit`.
    pub(super) fn wait_for<T>(
        &self,
        limit: Duration,
        step: Duration,
        mut done: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<Option<T>> {
        let until = Instant::now() + limit;
        loop {
            self.check()?;
            if let Some(done) = done()? {
                return Ok(Some(done));
            }
            let now = Instant::now();
            if now >= until {
                return Ok(None);
            }
            thread::sleep(step.min(STEP).min(until - now));
        }
    }
}
