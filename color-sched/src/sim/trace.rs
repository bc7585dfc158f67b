//! What happened, in order: a line each, and one number for all of them.

use std::fmt::{self, Write};

use super::dice::mix;
use crate::event::{Color, CoreId, Nanos};

/// What a line of a trace says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Run,
    End,
    Steal,
    Miss,
    Park,
    Rise,
    GiveBack,
    Close,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Run => "run",
            Self::End => "end",
            Self::Steal => "steal",
            Self::Miss => "miss",
            Self::Park => "park",
            Self::Rise => "rise",
            Self::GiveBack => "give-back",
            Self::Close => "close",
        })
    }
}

/// The trace of a run.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) hash: u64,
    /// Lines `time core what color`, if they are kept.
    pub(super) text: Option<String>,
}

impl Trace {
    pub(super) fn note(&mut self, at: Nanos, core: CoreId, what: What, color: Option<Color>) {
        let number = color.map_or(u64::MAX, |color| color.0);
        let place = u64::from(core.0) << 8 | what as u64;
        self.hash = mix(self.hash.rotate_left(5) ^ at).wrapping_add(mix(number ^ place << 32));
        let Some(text) = &mut self.text else { return };
        // Writing to a string cannot fail.
        let _ = match color {
            Some(color) => writeln!(text, "{at} {} {what} {}", core.0, color.0),
            None => writeln!(text, "{at} {} {what} -", core.0),
        };
    }
}
