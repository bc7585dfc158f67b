//! What is scheduled: colors, the cores and stages they meet at, and the time.

/// Nanoseconds since the machine was made.
pub type Nanos = u64;

/// What serialises events: events of one color never run at once, and keep their order.
///
/// Any number will do. A color is open from [`open`](crate::EventSink::open) to
/// [`close`](crate::Context::close), unless it is [transient](crate::Config::transient_colors), and its home is the core with the number `color % cores`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Color(pub u64);

impl Color {
    /// Color 0, for events that nobody gave a color: they run one after the other, on core 0 unless stolen.
    pub const DEFAULT: Self = Self(0);

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

impl Default for Color {
    fn default() -> Self {
        Self::DEFAULT
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

impl StageId {
    /// This stage, for an event that is more or less urgent than the stage's others.
    ///
    /// ```
    /// use color_sched::{Priority, StageId, Target};
    /// let target = StageId(3).at(Priority::High);
    /// assert_eq!(target, Target { stage: StageId(3), priority: Some(Priority::High) });
    /// ```
    #[must_use]
    pub const fn at(self, priority: Priority) -> Target {
        Target { stage: self, priority: Some(priority) }
    }
}

/// How urgent an event is next to others of its core: loosely kept, as in Libasync-smp (Mely §2.1). A color is as urgent
/// as the most urgent of its waiting events, and its events keep their order.
///
/// [`StageBatch`](crate::StageBatch) orders the colors of a stage by it; which stage runs is up to the election. The other
/// schedulers order all colors by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// After the others; how long at most is said by each scheduler.
    Low,
    /// What an event has that was given none.
    #[default]
    Normal,
    /// Before the others.
    High,
}

/// Number of priorities.
pub(crate) const PRIORITIES: usize = 3;

impl Priority {
    /// All, the most urgent one first.
    pub const ALL: [Self; PRIORITIES] = [Self::High, Self::Normal, Self::Low];

    /// Its place in [`ALL`](Self::ALL).
    #[inline]
    #[must_use]
    pub const fn rank(self) -> usize {
        PRIORITIES - 1 - self as usize
    }
}

/// What an event is posted to: a stage, and a priority unless it is to have that of the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The stage that is to run it.
    pub stage: StageId,
    /// Its priority; `None` is [`StageInfo::priority`](crate::StageInfo::priority).
    pub priority: Option<Priority>,
}

impl From<StageId> for Target {
    #[inline]
    fn from(stage: StageId) -> Self {
        Self { stage, priority: None }
    }
}

/// Where a core keeps a color that something waits for: small, dense, and the same until nothing waits any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

impl Slot {
    /// The number as an index.
    #[inline]
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
    /// Where the core keeps it: an index for a scheduler's own tables.
    pub slot: Slot,
    /// The stage of its first event.
    pub stage: StageId,
    /// The highest priority of its events.
    pub priority: Priority,
}

impl Ready {
    /// A color at `stage`, of normal priority: for tests of schedulers.
    #[must_use]
    pub const fn new(color: Color, slot: Slot, stage: StageId) -> Self {
        Self { color, slot, stage, priority: Priority::Normal }
    }
}
