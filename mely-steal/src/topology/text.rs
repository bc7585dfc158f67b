//! Which machine does a text describe? hwloc's synthetic description, and sets of CPUs for what it cannot say.
//!
//! ```text
//! description = level { blank level }                    # and comments; lines are as good as blanks
//! level       = kind ":" count [ "(" attributes ")" ]    counts: so many in each group of the level before
//!             | "[" node [ "(" attributes ")" ] "]"      one node a group of the level before, as lstopo writes it
//!             | kind "=" set { "/" set }
//!               [ "(" attributes ")" ]                   sets: these CPUs; all levels one way or all the other
//! kind        = node, numanode | core | pu | l1, l2, L2Cache, l1d, … | package, socket, die, group, machine, l1i
//! attributes  = indexes=0,4 (node, pu)  distances=10,21,21,10 (node, row by row)  offline=3,5-6 (pu)
//!               size= memory= memorysidecachesize= (not used)
//! ```
//!
//! Threads of a core share an L1, be it named or not. Packages and groups structure the counts, and have no distance.
//! `indexes` numbers CPUs and nodes: a list, or hwloc's interleaving (`2*4:1*2`). Without node there is one, in counts;
//! in sets a CPU may have no node, or no cache. Memory is at 10, of another node at 20, if no distances are given.

mod attributes;
mod counts;
mod sets;
mod words;

use std::path::Path;
use std::str::FromStr;

use super::{Problem, TextError, Topology, TopologyError};
use crate::sys;
use words::{Value, Word, words};

/// No description needs more.
const MAX_BYTES: u64 = 1 << 20;

/// What a level groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Node,
    Cache(u8),
    Core,
    Pu,
    /// Has no distance of its own.
    Other,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Some(match name.as_str() {
            "node" | "numanode" | "numa" => Self::Node,
            "core" => Self::Core,
            "pu" => Self::Pu,
            "package" | "pack" | "socket" | "sock" | "die" | "machine" => Self::Other,
            _ if name.trim_end_matches(|c: char| c.is_ascii_digit()) == "group" => Self::Other,
            _ => {
                let cache = name.strip_suffix("cache").unwrap_or(&name).strip_prefix('l')?;
                let digits = cache.trim_end_matches(|c: char| c.is_ascii_alphabetic());
                let level = digits.parse().ok().filter(|_| !digits.starts_with('+'))?;
                match &cache[digits.len()..] {
                    "" | "u" | "d" => Self::Cache(level),
                    "i" => Self::Other,
                    _ => return None,
                }
            }
        })
    }
}

/// Reads a description after hwloc's: counts, from the outside in, or sets of CPUs.
///
/// ```
/// use color_sched::CoreId;
/// use mely_steal::{Distance, Topology};
/// // Two nodes of two cores of two threads; CPU 6 does not run.
/// let counts: Topology = "node:2(distances=10,21,21,10) l3:1 core:2 pu:2(offline=6)".parse()?;
/// assert_eq!(counts.distance(CoreId(0), CoreId(4)), Distance::Memory(21));
/// // What counts cannot say: three CPUs share an L3, the fourth is alone, and there are holes.
/// let sets: Topology = "node=0,2,4,9 l3=0,2,4/9 pu=0,2,4,9".parse()?;
/// assert_eq!(sets.distance(CoreId(2), CoreId(3)), Distance::Memory(10));
/// // Each is written as it was read, or shorter.
/// assert_eq!(counts.to_string().parse(), Ok(counts));
/// assert_eq!(sets.to_string().parse(), Ok(sets));
/// # Ok::<(), mely_steal::topology::TextError>(())
/// ```
impl FromStr for Topology {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let words = words(text)?;
        let Some(first) = words.first() else { return Err(TextError::at_end(text)) };
        let are_sets = |word: &Word<'_>| matches!(word.value, Value::Sets(_));
        if let Some(word) = words.iter().find(|&word| are_sets(word) != are_sets(first)) {
            return Err(word.error(Problem::Mixed));
        }
        for (index, word) in words.iter().enumerate() {
            let is_known = |earlier: &Word<'_>| earlier.kind == word.kind;
            if word.kind != Kind::Other && words[..index].iter().any(is_known) {
                return Err(word.error(Problem::Twice));
            }
        }
        if are_sets(first) { sets::read(&words) } else { counts::read(&words) }
    }
}

impl Topology {
    /// The machine that a file describes, in the form that [`str::parse`] reads and [`Display`](std::fmt::Display)
    /// writes; what `lstopo --of synthetic machine.txt` writes is one. At most 1 MiB.
    ///
    /// ```
    /// use mely_steal::Topology;
    /// let dir = tempfile::tempdir()?;
    /// let path = dir.path().join("harpertown.txt");
    /// std::fs::write(&path, "package:2 l2:2 # pairs share 6 MB\n core:2 pu:1(indexes=0,4,2,6,1,5,3,7)\n")?;
    /// assert_eq!(Topology::from_file(&path)?.cores(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The file cannot be read, or describes no machine: then the error says where, and what could stand there.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, TopologyError> {
        let path = path.as_ref();
        let bytes = sys::read_at_most(path, MAX_BYTES)
            .map_err(|source| TopologyError::File { path: path.to_owned(), source })?;
        let text = str::from_utf8(&bytes).map_err(|error| {
            let (sound, rest) = bytes.split_at(error.valid_up_to());
            let mut source = TextError::at_end(&String::from_utf8_lossy(sound));
            source.problem = Problem::NotText(rest.first().copied().unwrap_or_default());
            source
        });
        text.and_then(str::parse)
            .map_err(|source| TopologyError::Text { path: path.to_owned(), source })
    }
}
