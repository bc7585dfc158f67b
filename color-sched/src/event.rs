//! What is scheduled: colors, the cores and stages they meet at, and the time.

/// Nanoseconds since the machine was made.
pub type Nanos = u64;

/// What serialises events: events of one color never run at once, and keep their order.
///
/// Any number will do. A color is open from [`open`](crate::EventSink::open) to
/// [`close`](crate::Context::close), and its home is the core with the number `color % cores`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Color(pub u64);

impl Color {
    /// The `n`th color whose home is `core` on a machine of `cores` cores.
    ///
    /// ```
    /// use color_sched::{Color, CoreId};
    /// assert_eq!(Color::at_home(CoreId(1), 5, 4).home(4), CoreId(1));
    /// ```
    #[must_use]
    pub const fn at_home(core: CoreId, n: u64, cores: usize) -> Self {
        Self(n.wrapping_mul(cores as u64).wrapping_add(core.0 as u64))
    }

    /// The core that posts to this color are sent to. A machine without cores has no homes: core 0.
    #[must_use]
    pub const fn home(self, cores: usize) -> CoreId {
        match self.0.checked_rem(cores as u64) {
            Some(core) => CoreId(core as u16),
            None => CoreId(0),
        }
    }
}

/// A core: one thread that runs events, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CoreId(pub u16);

impl CoreId {
    /// The number as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A stage: the handler code that an event needs, counted from 0 in the order in which a task meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageId(pub u16);

impl StageId {
    /// The number as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a core keeps a color: small, dense, and the same for as long as the color is known there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

impl Slot {
    /// The number as an index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A color with at least one event waiting; it waits at the stage of the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The color.
    pub color: Color,
    /// The stage of its first event.
    pub stage: StageId,
    /// Where the core keeps it: an index for a scheduler's own tables.
    pub slot: Slot,
}
