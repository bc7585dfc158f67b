//! The stack region: a worker's stack at the bottom of the cache slab, the low slab beneath (TUX §4.3).
//!
//! A stack that is deeper than the map says spills into the low slab, which costs misses and breaks
//! nothing. Beneath the low slab lies inaccessible memory, so that deeper still ends the process as any
//! stack overflow does. `psm` switches the stack pointer.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;

use crate::home::Home;
use crate::layout::{LINE, Layout};
use crate::unit::TOP;

/// The stack of one slab.
///
/// # Invariants
/// 1. `bottom..bottom + len` is mapped as long as the home, holds nothing but the stack, begins at a page
///    with an inaccessible one beneath it, and ends at a line. `len` is 0 if the map has no stack region.
#[derive(Debug)]
pub(crate) struct Stack {
    bottom: NonNull<u8>,
    len: usize,
    running: Cell<bool>,
}

impl Stack {
    pub(crate) fn new(home: &Home) -> Self {
        let low = home.mapping.low();
        // To the end of its last line, as nothing shares one.
        let end = Layout::new(home.map.section()).stack.end.next_multiple_of(LINE);
        let top = TOP - home.map.geometry().slab_bytes() + end;
        // SAFETY: the low slab lies in the unit.
        let bottom = unsafe { home.unit.start().add(low) };
        let len = if home.map.stack().bytes > 0 { top - low } else { 0 };
        Self { bottom, len, running: Cell::new(false) }
    }

    pub(crate) fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        if self.len == 0 || self.running.replace(true) {
            return work();
        }
        // A panic cannot cross to the other stack by itself.
        let caught = || catch_unwind(AssertUnwindSafe(work));
        let result = self.switch(caught);
        self.running.set(false);
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// `work` must not unwind.
    fn switch<R>(&self, work: impl FnOnce() -> R) -> R {
        psm::psm_stack_manipulation! {
            // SAFETY: by (1) a stack with a guard beneath, aligned as one; it is not in use, by `running`,
            // and `work` does not unwind.
            yes { unsafe { psm::on_stack(self.bottom.as_ptr(), self.len, work) } }
            no { work() }
        }
    }

    /// Bytes from the top to the deepest one that is not zero. Looks at all that was never reached.
    pub(crate) fn peak(&self) -> usize {
        let words = self.len / size_of::<u64>();
        let start = self.bottom.cast::<u64>();
        // SAFETY: by (1) mapped; volatile, as this may be called on that very stack.
        let unused = (0..words).take_while(|&i| unsafe { start.add(i).read_volatile() } == 0);
        self.len - unused.count() * size_of::<u64>()
    }
}
