//! What was the last error of this thread, what does it tell the reader, and which code has it in C?
//!
//! The text lies in plain bytes without a destructor: it can be written and read in every part of a
//! thread's life, and nothing is allocated for it.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_uint};
use std::fmt::{self, Write};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::map::{MapError, MapProblem};
use crate::slab::SlabError;

/// Bytes of a text, the zero byte at its end counted. Longer ones are cut.
const ROOM: usize = 1024;

thread_local! {
    static TEXT: [Cell<u8>; ROOM] = const { [const { Cell::new(0) }; ROOM] };
}

/// Why a function of the C interface did not do what it was called for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("this thread has a slab already; call StingyExit before StingyInit")]
    Twice,
    #[error(
        "0x{0:x} is not made of STINGY_* flags, or has both of STINGY_SEAL_COUNT and STINGY_SEAL_ABORT; pass one of these, and no bits beside the flags of stingy.h"
    )]
    Flags(c_uint),
    #[error("{0} is NULL; pass a text")]
    Null(&'static str),
    #[error("the map cannot be read: {0}; pass the path of a map that scg-analysis wrote")]
    Read(io::Error),
    #[error("byte {0} of the map is not UTF-8; pass a map that scg-analysis wrote")]
    Utf8(usize),
    #[error("{0}; in C, pass STINGY_CYCLES, and run a task without a reservation then")]
    Cycle(MapError),
    #[error(transparent)]
    Slab(SlabError),
    #[error("no handler for fork: {0}; free some memory")]
    Handler(io::Error),
    #[error("this thread is ending, and its slab would never be dropped; call StingyInit earlier")]
    Ending,
    #[error("a bug of stingy-alloc, described on standard error; please report it")]
    Bug,
    #[error("this thread has no slab; call StingyInit on it first")]
    NoSlab,
    #[error("the map has no {kind} `{name}`; add it to the map, or ask for one that is there")]
    Name { kind: &'static str, name: String },
    #[error(
        "the map has no {kind} {number}; pass a number that StingySite or StingyStage returned"
    )]
    Number { kind: &'static str, number: c_uint },
    #[error("malloc has not got {0} bytes; free some memory, or raise the counts in the map")]
    Memory(usize),
    #[error("{path}: {failure}")]
    File { path: String, failure: Box<Self> },
}

impl From<SlabError> for Failure {
    fn from(error: SlabError) -> Self {
        match error {
            SlabError::Map(error) if matches!(error.problem, MapProblem::Cycle { .. }) => {
                Self::Cycle(error)
            }
            error => Self::Slab(error),
        }
    }
}

impl Failure {
    pub(super) fn in_file(self, path: &Path) -> Self {
        Self::File { path: path.display().to_string(), failure: Box::new(self) }
    }

    /// The `STINGY_E*` of stingy.h.
    pub(super) fn code(&self) -> c_int {
        match self {
            Self::Twice => -1,
            Self::Flags(_) | Self::Null(_) => -2,
            Self::Read(_) => -3,
            Self::Utf8(_) | Self::Cycle(_) | Self::Slab(SlabError::Map(_)) => -4,
            Self::Slab(SlabError::Geometry(_) | SlabError::TooLarge { .. }) => -5,
            Self::Slab(_) | Self::Memory(_) | Self::Handler(_) => -6,
            Self::Ending => -7,
            Self::Bug => -8,
            Self::NoSlab => -9,
            Self::Name { .. } | Self::Number { .. } => -10,
            Self::File { failure, .. } => failure.code(),
        }
    }
}

/// Runs `work`; a panic is a failure.
pub(super) fn catch<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Failure::Bug))
}

/// Writes as much as there is room for, whole characters only.
struct Text<'t> {
    room: &'t [Cell<u8>],
}

impl Write for Text<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let fits = part.floor_char_boundary(self.room.len() - 1);
        for (to, from) in self.room.iter().zip(part[..fits].bytes()) {
            to.set(from);
        }
        self.room = &self.room[fits..];
        self.room[0].set(0);
        if fits < part.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Makes it the last error of this thread.
pub(super) fn say(failure: &Failure) {
    TEXT.with(|text| {
        text[0].set(0);
        // What is cut has been written up to the cut.
        let _ = write!(Text { room: text }, "{failure}");
    });
}

/// The last error of this thread, empty if there was none: a text of C that stays until the next one.
pub(super) fn last() -> *const c_char {
    TEXT.with(|text| text.as_ptr().cast())
}
