//! The atomics and cells that the protocols are written in: std's, or loom's under `cfg(loom)`.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// A plain memory cell that a protocol hands from thread to thread. Under loom every access is
/// checked against the happens-before order of the model.
#[derive(Debug)]
pub(crate) struct Plain<T>(
    #[cfg(not(loom))] std::cell::UnsafeCell<T>,
    #[cfg(loom)] loom::cell::UnsafeCell<T>,
);

impl<T: Copy> Plain<T> {
    /// A cell that holds `value`.
    pub(crate) fn new(value: T) -> Self {
        #[cfg(not(loom))]
        return Plain(std::cell::UnsafeCell::new(value));
        #[cfg(loom)]
        return Plain(loom::cell::UnsafeCell::new(value));
    }

    /// The value.
    ///
    /// # Safety
    ///
    /// No other thread writes the cell at the same time.
    #[inline]
    pub(crate) unsafe fn get(&self) -> T {
        // SAFETY: the caller holds the protocol's right to read.
        #[cfg(not(loom))]
        return unsafe { *self.0.get() };
        #[cfg(loom)]
        // SAFETY: as above; loom checks it.
        return self.0.with(|p| unsafe { *p });
    }

    /// Replaces the value.
    ///
    /// # Safety
    ///
    /// No other thread reads or writes the cell at the same time.
    #[inline]
    pub(crate) unsafe fn set(&self, value: T) {
        // SAFETY: the caller holds the protocol's right to write.
        #[cfg(not(loom))]
        unsafe {
            *self.0.get() = value;
        }
        #[cfg(loom)]
        // SAFETY: as above; loom checks it.
        self.0.with_mut(|p| unsafe { *p = value });
    }
}
