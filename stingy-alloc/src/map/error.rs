//! What can be wrong with a map, where, and what to do about it.

/// A map was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapError {
    /// Line of the text, from 1; 0 for a map made in code.
    pub line: usize,
    /// Column of the text in bytes, from 1; 0 for a map made in code.
    pub column: usize,
    /// What is wrong.
    pub problem: MapProblem,
}

impl std::error::Error for MapError {}

impl std::fmt::Display for MapError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "map: {}", self.problem),
            line => write!(f, "map:{line}:{}: {}", self.column, self.problem),
        }
    }
}

/// What is wrong with a map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapProblem {
    /// The first line is not the version that this crate reads.
    #[error("`{0}` is not a map of version 1; the first line must read `scg-map 1`")]
    Version(String),
    /// The text stops without an `end` line.
    #[error(
        "the map has no `end` line: it is cut short, so write it again, or, if you wrote it by hand, end it with `end crc32=0`"
    )]
    MissingEnd,
    /// The checksum does not match the text.
    #[error(
        "crc32={found} does not match the text, which has {expected}; if the edit was meant, write crc32={expected}"
    )]
    Checksum {
        /// The checksum of the text.
        expected: String,
        /// The checksum in the text.
        found: String,
    },
    /// Text follows the `end` line.
    #[error("`{0}` follows the `end` line; remove it")]
    AfterEnd(String),
    /// A line starts with a word that is no record.
    #[error(
        "`{0}` is no record of a map; expected geometry, stack, global, region, site, stage, dominates or end"
    )]
    UnknownRecord(String),
    /// A record has a key that it does not know.
    #[error("`{record}` has no key `{key}`; remove it")]
    UnknownKey {
        /// The record.
        record: String,
        /// The key.
        key: String,
    },
    /// A record lacks a key.
    #[error("`{record}` lacks {key}=…")]
    MissingKey {
        /// The record.
        record: String,
        /// The key.
        key: String,
    },
    /// A record has a key or a line twice.
    #[error("`{0}` is given twice; keep one")]
    Twice(String),
    /// A value is not of the kind that its key takes.
    #[error("`{value}` is not {expected}")]
    Value {
        /// The text.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A record stands before the first `geometry` line, or there is none.
    #[error("no `geometry` line stands before this; say which cache the counts are for")]
    NoGeometry,
    /// The geometry is not one of a cache.
    #[error("{0}")]
    Geometry(String),
    /// An id is beyond the limit.
    #[error("id {id}: ids go up to {}; number from 0", super::MAX_IDS - 1)]
    Id {
        /// The id.
        id: usize,
    },
    /// A site, stage or region is named that the map does not have.
    #[error("the map has no {kind} `{name}`")]
    Unknown {
        /// Site, stage or region.
        kind: &'static str,
        /// Its name or number.
        name: String,
    },
    /// A count or size of zero.
    #[error("{0} is 0; it must be at least 1")]
    Zero(&'static str),
    /// The layout does not fit into the slab.
    #[error(
        "the layout needs {needs} bytes up to here and the slab has {has}; lower the counts, or raise k"
    )]
    Overflow {
        /// Bytes up to the end of this record.
        needs: usize,
        /// Bytes of the slab.
        has: usize,
    },
    /// An object is larger, or aligned wider, than the slots of its region.
    #[error(
        "site `{site}`: {what} {value} does not suit slots of {slot} bytes; raise slot= of region {region}"
    )]
    Slot {
        /// The site.
        site: String,
        /// Size or alignment.
        what: &'static str,
        /// Its value.
        value: usize,
        /// Bytes of a slot.
        slot: usize,
        /// The region.
        region: u16,
    },
    /// A site may have more objects than its region has slots.
    #[error("site `{site}`: cap {cap} exceeds the {slots} slots of region {region}; lower cap=")]
    Cap {
        /// The site.
        site: String,
        /// Its cap.
        cap: u32,
        /// Slots of the region.
        slots: u32,
        /// The region.
        region: u16,
    },
    /// A dominating site has fewer objects than the one it dominates.
    #[error(
        "site {above} dominates site {below}, yet has {above_cap} objects and the other {below_cap}; raise cap= of site {above}"
    )]
    Dominance {
        /// The dominating site.
        above: u16,
        /// Its cap.
        above_cap: u32,
        /// The dominated site.
        below: u16,
        /// Its cap.
        below_cap: u32,
    },
    /// A stage allocates more than there can ever be, so that it could never be admitted.
    #[error(
        "stage `{stage}` takes {takes} of {what}, which has {has}: it could never run; raise the count"
    )]
    Never {
        /// The stage.
        stage: String,
        /// The site or region.
        what: String,
        /// Objects that one task takes.
        takes: u64,
        /// Objects that there are.
        has: u32,
    },
    /// A stage allocates from too many sites.
    #[error(
        "stage `{stage}` allocates from {count} sites; {} is the limit: split the stage",
        super::MAX_ALLOCS
    )]
    TooManyAllocs {
        /// The stage.
        stage: String,
        /// Its sites.
        count: usize,
    },
    /// Tasks may wait for each other's objects for ever, as [`cycle`](crate::MemoryMap::cycle) says.
    #[error(
        "tasks can wait for each other's objects for ever: {regions}; give the two sites regions of their own, allocate both in one stage, or set Options::cycles to Cycles::Escape and call Slab::escape when nothing is admissible"
    )]
    Cycle {
        /// The regions in the direction of the cycle, each step with a stage and its sites.
        regions: String,
    },
    /// Two geometry sections describe different sites or stages.
    #[error(
        "this geometry section has other sites or stages than the first; their ids, names and sizes must agree"
    )]
    Sections,
    /// Not even one object of everything fits into the slab of this machine.
    #[error(
        "one task of every stage needs {needs} bytes and the slab of this machine has {has}; raise k, or shrink the sites"
    )]
    DoesNotFit {
        /// Bytes needed.
        needs: usize,
        /// Bytes there are.
        has: usize,
    },
}

impl MapError {
    pub(super) fn at(line: usize, column: usize, problem: MapProblem) -> Self {
        Self { line, column, problem }
    }

    pub(super) fn in_code(problem: MapProblem) -> Self {
        Self::at(0, 0, problem)
    }
}
