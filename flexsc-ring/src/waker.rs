//! Ends a ring's `wait` from another thread.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use crate::epoch::Epoch;
use crate::sys;

/// Ends the `wait` of one ring, from any thread. Cheap to call often: only the first call for each
/// sleep makes a system call, and none does while the ring is awake.
///
/// A wake that meets a ring that is awake makes its next `wait` return at once.
#[derive(Debug, Clone)]
pub struct Waker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    epoch: Epoch,
    event: OwnedFd,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Waker(Arc::new(Shared { epoch: Epoch::new(), event: sys::eventfd()? })))
    }

    /// Ends the current `wait`, or the next.
    pub fn wake(&self) {
        if self.0.epoch.wake() {
            sys::signal(&self.0.event);
        }
    }

    pub(crate) fn epoch(&self) -> &Epoch {
        &self.0.epoch
    }

    /// The descriptor that becomes readable.
    pub(crate) fn event(&self) -> RawFd {
        self.0.event.as_raw_fd()
    }
}
