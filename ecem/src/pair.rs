//! Two events of different subsystems, one of which must happen before the other, and the four
//! states of such a pair (ECEM §3.1, Table 2).
//!
//! | pre ⇒ post | state | conventional system | with deferred delivery |
//! |---|---|---|---|
//! | ready ⇒ ready | RR | deliver | deliver |
//! | ready ⇒ wait  | RW | deliver; the receiver then blocks | **defer** |
//! | wait ⇒ ready  | WR | nothing to deliver | nothing to deliver |
//! | wait ⇒ wait   | WW | nothing to deliver | nothing to deliver |

use std::fmt;

/// Whether one side of a pair can be executed without blocking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Readiness {
    /// The device is free, or its resource is available.
    Ready,
    /// It is not.
    Wait,
}

/// State of a pair: the first letter is the pre-event's, the second the post-event's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PairState {
    /// Both can be executed without blocking.
    RR,
    /// The pre-event can be executed, but its receiver would then block: what deferring avoids.
    RW,
    /// As soon as the pre-event is ready, the post-event can be executed.
    WR,
    /// Neither can be executed.
    WW,
}

impl PairState {
    /// All four, in the order of Table 2.
    pub const ALL: [PairState; 4] = [PairState::RR, PairState::RW, PairState::WR, PairState::WW];

    /// The state of a pair whose sides are `pre` and `post`.
    pub fn of(pre: Readiness, post: Readiness) -> Self {
        match (pre, post) {
            (Readiness::Ready, Readiness::Ready) => PairState::RR,
            (Readiness::Ready, Readiness::Wait) => PairState::RW,
            (Readiness::Wait, Readiness::Ready) => PairState::WR,
            (Readiness::Wait, Readiness::Wait) => PairState::WW,
        }
    }

    /// The pre side.
    pub fn pre(self) -> Readiness {
        match self {
            PairState::RR | PairState::RW => Readiness::Ready,
            PairState::WR | PairState::WW => Readiness::Wait,
        }
    }

    /// The post side.
    pub fn post(self) -> Readiness {
        match self {
            PairState::RR | PairState::WR => Readiness::Ready,
            PairState::RW | PairState::WW => Readiness::Wait,
        }
    }
}

impl fmt::Display for PairState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PairState::RR => "RR",
            PairState::RW => "RW",
            PairState::WR => "WR",
            PairState::WW => "WW",
        })
    }
}

/// Names a pair without a hash: a small index and the generation of its slot, so that the id of a
/// deleted pair names nothing, also after its slot is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl PairId {
    /// The slot: below the highest number of pairs that were ever alive at once. Two live pairs
    /// never share one, so it can index a table beside the correlator.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// One pair as it stands: `pre` ⇒ `post`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Key of the event that must happen first: the disk side, in the paper's servers.
    pub pre: u64,
    /// Key of the event that follows: the network side.
    pub post: u64,
    /// Where the pair stands.
    pub state: PairState,
    /// Events held for it.
    pub held: usize,
}
