//! Why can a topology not be read, and what would be read?

use std::io;
use std::path::PathBuf;

/// Why a topology could not be read.
///
/// ```
/// use mely_steal::{Topology, TopologyError};
/// let error = Topology::from_file("/nowhere/machine.txt").unwrap_err();
/// assert!(matches!(error, TopologyError::File { .. }));
/// ```
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// A file of the kernel could not be read.
    #[error("{path}: {source}; without sysfs use Topology::uniform", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of the kernel holds something else than expected.
    #[error("{path}: `{text}` is not {expected}; without a sound sysfs use Topology::uniform", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it holds.
        text: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A CPU was asked for that does not run.
    #[error("CPU {cpu} is not online; choose from {online}")]
    NotOnline {
        /// The CPU.
        cpu: usize,
        /// Those that are online, as the kernel writes them.
        online: String,
    },
    /// A description could not be read from its file.
    #[error("{path}: {source}; give a file of at most 1 MiB that holds, say, `node:2 l3:1 core:4 pu:2`", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file holds no description of a machine.
    #[error("{path}:{source}", path = path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// Where and why not.
        source: TextError,
    },
}

/// Where, and why, a text is no [description](crate::Topology#impl-FromStr-for-Topology) of a machine.
///
/// ```
/// use mely_steal::Topology;
/// let error = "node:2 l2:0 pu:2".parse::<Topology>().unwrap_err();
/// assert_eq!((error.line, error.column), (1, 8));
/// assert_eq!(error.to_string(), "1:8: `l2:0`: `0` is no number of groups; write one from 1 to 65536");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: `{word}`: {problem}")]
pub struct TextError {
    /// The line, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
    /// The word there, or its beginning.
    pub word: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a word of a description.
///
/// ```
/// use mely_steal::{Topology, topology::Problem};
/// let error = "l2:4 pu:1000000000".parse::<Topology>().unwrap_err();
/// assert_eq!(error.problem, Problem::TooManyCores);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No level is called so.
    #[error(
        "no level is called `{0}`; write package, node, l3, l2, l1, core, pu, or another of hwloc's"
    )]
    Level(String),
    /// Neither a count nor sets follow the level.
    #[error("say how many (l2:4) or which (l2=0-1/2-3)")]
    NoValue,
    /// It is no number of groups.
    #[error("`{0}` is no number of groups; write one from 1 to 65536")]
    Count(String),
    /// The product of the counts, or the list, is too long.
    #[error("these are more than 65536 cores; describe a smaller machine")]
    TooManyCores,
    /// More nodes than any kernel has.
    #[error("these are more than 1024 nodes; describe a smaller machine")]
    TooManyNodes,
    /// More levels than caches, packages and groups make.
    #[error("these are more than 512 levels; leave out package and group, which have no distance")]
    TooManyLevels,
    /// The level was there already.
    #[error("this level is described twice; leave one")]
    Twice,
    /// Counts and sets in one description.
    #[error(
        "other levels are given the other way; give all as counts (l2:4) or all as sets (l2=0-1/2-3)"
    )]
    Mixed,
    /// Levels below the CPUs.
    #[error("nothing is inside of a PU; write pu last")]
    InsidePu,
    /// The CPUs are missing.
    #[error("the CPUs are missing; end with pu:1, or with pu=0-3 after sets")]
    NoPu,
    /// A parenthesis or bracket that has no partner, or stands within a word.
    #[error("( and ), [ and ] come in pairs, on one line, at the end of a word")]
    Unpaired,
    /// It is no list of numbers.
    #[error("`{0}` is no list of numbers below 65536 such as 0-3,8")]
    List(String),
    /// A set without members.
    #[error("a set is empty; write CPUs such as 0-3 between two /")]
    EmptySet,
    /// A CPU is in two sets of one level, or counted twice.
    #[error("CPU {0} is named twice; each CPU is in one group of a level")]
    CpuTwice(usize),
    /// A CPU that `pu` does not have.
    #[error("CPU {0} is none of the machine's; add it to pu")]
    NotACpu(usize),
    /// No such attribute, or not of this level.
    #[error(
        "`{0}` is no attribute of this level; node has indexes= and distances=, pu has indexes= and offline="
    )]
    Attribute(String),
    /// An attribute is there twice.
    #[error("`{0}` is given twice; leave one")]
    AttributeTwice(String),
    /// A list of the wrong length.
    #[error("`{name}` has {found} numbers; write {expected}")]
    Length {
        /// The attribute.
        name: &'static str,
        /// How many there are.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// A node's number is used twice.
    #[error("node {0} is named twice; number the nodes apart")]
    NodeTwice(usize),
    /// It is no list of distances.
    #[error("`{0}` is no list of distances such as 10,21,21,10; write - for an unknown one")]
    Distances(String),
    /// Not even text.
    #[error("byte {0:#04x} is not UTF-8; write plain text")]
    NotText(u8),
}
