//! One line on a terminal that says how far an experiment is; nothing anywhere else.

use std::io::{self, IsTerminal, Write};

/// The line, cleared when it goes out of scope.
pub(super) struct Progress {
    shown: bool,
    done: usize,
    of: usize,
}

impl Progress {
    /// A line for `of` steps, on standard error if that is a terminal.
    pub(super) fn new(of: usize) -> Progress {
        Progress { shown: io::stderr().is_terminal(), done: 0, of }
    }

    /// Begins the next step.
    pub(super) fn step(&mut self, what: &str) {
        self.done += 1;
        if self.shown {
            eprint!("\r\x1b[K[{}/{}] {what}", self.done, self.of);
            let _ = io::stderr().flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}
