//! What does each thing cost on the simulated machine?
//!
//! The defaults were measured on two virtual cores of a Zen 4 at 3.66 GHz under Linux 6.18. They are a table to be set,
//! not a claim about other machines. What one line costs between two cores is the [`Topology`](super::Topology)'s to say.

use crate::event::Nanos;

/// Costs in nanoseconds of what a core does besides running handlers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Costs {
    /// Pushing, electing and starting one event. 11: measured as 10.1 to 10.6 for an event of a known color, 15 to 16 for
    /// one of a new color.
    pub dispatch_ns: Nanos,
    /// A poll of the driver that finds nothing. 10: a look at memory that the core owns; a driver that makes a system
    /// call costs some 250 instead.
    pub poll_ns: Nanos,
    /// A locked instruction on a line that is at hand. 2: measured as 2.2 for a lock and its release, 1.9 for a fence. Paid
    /// for each offer (the owner takes it back by one) and each theft that came too late.
    pub rmw_ns: Nanos,
    /// The sender's part of a message to another core. 10: measured as the producer's part of a hand-over. The receiver
    /// pays a line when it runs the event.
    pub message_ns: Nanos,
    /// The part of a theft that does not depend on where the victim is. 38: with one line, what was measured as 350 to 480
    /// cycles when a line cost 75 ns and 1150 when it cost 256.
    pub theft_ns: Nanos,
    /// Lines that a thief waits for, one after the other. 1: it needs three (board, color, event), but two of them travel
    /// in the shadow of the first.
    pub theft_lines: u32,
    /// Lines that a core fetches at once (at least 1) when it looks at many others that have nothing to do with each
    /// other. 8: a guess, as cores have some ten to twenty buffers for lines under way.
    pub looks_at_once: u32,
    /// What a waker pays for waking a core that waits. 7 000: measured as 6 to 8 µs, as the host has a part in it.
    pub wake_call_ns: Nanos,
    /// From the waker's call to the woken core's next instruction. 20 000: measured as 12 to 26 µs. Paid too by a core
    /// that waits when something arrives at its driver.
    pub wake_latency_ns: Nanos,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            dispatch_ns: 11,
            poll_ns: 10,
            rmw_ns: 2,
            message_ns: 10,
            theft_ns: 38,
            theft_lines: 1,
            looks_at_once: 8,
            wake_call_ns: 7_000,
            wake_latency_ns: 20_000,
        }
    }
}

impl Costs {
    /// A machine on which nothing but handlers takes time, but for one nanosecond a poll: without that an idle core
    /// that looks around would do so for ever at one instant.
    #[must_use]
    pub const fn free() -> Self {
        Self {
            dispatch_ns: 0,
            poll_ns: 1,
            rmw_ns: 0,
            message_ns: 0,
            theft_ns: 0,
            theft_lines: 0,
            looks_at_once: 8,
            wake_call_ns: 0,
            wake_latency_ns: 0,
        }
    }
}
