//! Is every event run once, and no color on two cores at once?

use super::memory::CORES;

/// The model has done what no runtime may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::experiment) enum BooksError {
    /// Cores run the same color.
    #[error(
        "the model ran color {color} on cores {first} and {second} at once: its queues are wrong"
    )]
    TwoCores { color: u32, first: usize, second: usize },
    /// An event ran again.
    #[error("the model ran event {serial} twice: its queues are wrong")]
    Twice { serial: usize },
    /// Events were registered and never ran.
    #[error("the model lost {events} events: its queues are wrong")]
    Lost { events: usize },
}

#[derive(Debug, Default)]
pub(super) struct Books {
    /// For each event, has it run?
    has_run: Vec<bool>,
    run: usize,
    running: [Option<u32>; CORES],
}

impl Books {
    /// A new event's serial number.
    pub(super) fn register(&mut self) -> usize {
        self.has_run.push(false);
        self.has_run.len() - 1
    }

    pub(super) fn start(
        &mut self,
        core: usize,
        serial: usize,
        color: u32,
    ) -> Result<(), BooksError> {
        if let Some(first) = self.running.iter().position(|&running| running == Some(color)) {
            return Err(BooksError::TwoCores { color, first, second: core });
        }
        if std::mem::replace(&mut self.has_run[serial], true) {
            return Err(BooksError::Twice { serial });
        }
        self.run += 1;
        self.running[core] = Some(color);
        Ok(())
    }

    pub(super) fn end(&mut self, core: usize) {
        self.running[core] = None;
    }

    pub(super) const fn run(&self) -> usize {
        self.run
    }

    /// To be asked when nothing more is to run.
    pub(super) fn close(&self) -> Result<(), BooksError> {
        match self.has_run.len() - self.run {
            0 => Ok(()),
            events => Err(BooksError::Lost { events }),
        }
    }
}
