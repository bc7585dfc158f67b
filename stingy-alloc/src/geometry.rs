//! Size, ways and line of one cache, read from the kernel: from them follow W, the sets and the slab.

use std::fs;
use std::path::{Path, PathBuf};

use crate::layout::LINE;
use crate::sys;

/// Caches beyond this are taken for a misread figure rather than a cache.
pub(crate) const LARGEST_CACHE: usize = 256 << 20;

/// Bytes of the shortest line that a slab can be laid out for.
const SHORTEST_LINE: usize = 16;

/// The shape of the cache that a slab is laid out for, normally the L2 of one core.
///
/// With W = [`way_bytes`](Self::way_bytes), `k` blocks of W bytes that are W-aligned and physically
/// contiguous hold exactly `k` lines in every set of the cache.
///
/// ```
/// let l2 = stingy_alloc::Geometry::new(1 << 20, 16, 64)?;
/// assert_eq!((l2.way_bytes(), l2.sets(), l2.k), (64 << 10, 1024, 12));
/// assert_eq!(l2.slab_bytes(), 768 << 10);
/// # Ok::<(), stingy_alloc::GeometryError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry {
    /// Bytes of the whole cache.
    pub size: usize,
    /// Associativity: lines that one set holds.
    pub ways: usize,
    /// Bytes of a line.
    pub line: usize,
    /// Ways that the slab takes; the others are left to code, kernel and everything else.
    /// Three quarters of the ways unless set by [`with_k`](Self::with_k).
    pub k: usize,
}

/// Why no cache geometry could be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// No unified or data cache of level 2 is described there.
    #[error("{}: no level 2 cache is described; pass Geometry::new(size, ways, line)", .0.display())]
    NoL2(PathBuf),
    /// A file is missing, unreadable or not a number.
    #[error("{}: {why}; pass Geometry::new(size, ways, line)", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        why: String,
    },
    /// The figures contradict each other, so none of them is believed.
    #[error(
        "a cache of {size} bytes, {ways} ways, lines of {line} bytes and {sets} sets does not add up; \
         pass Geometry::new with the figures of the data sheet"
    )]
    Inconsistent {
        /// Bytes of the cache.
        size: usize,
        /// Ways.
        ways: usize,
        /// Bytes of a line.
        line: usize,
        /// Sets, as reported or as they follow from the other three.
        sets: usize,
    },
    /// Objects are kept apart by lines of 64 bytes, so that longer ones would be shared, and the
    /// start-up check writes a word into each line.
    #[error(
        "lines of {line} bytes; slabs are laid out for lines of 16 to 64 bytes, so pass \
         Geometry::new with such a line, or use another allocator on this machine"
    )]
    Line {
        /// Bytes of a line.
        line: usize,
    },
    /// `k` has to leave the cache at least one way and to take at least one.
    #[error("k = {k} of {ways} ways; choose 1 to {ways}")]
    K {
        /// The value asked for.
        k: usize,
        /// The ways there are.
        ways: usize,
    },
}

impl Geometry {
    /// A geometry from known figures, with `k` at three quarters of the ways.
    ///
    /// Sets and line must be powers of two, as an address selects its set by its bits; a line has 16
    /// to 64 bytes.
    pub fn new(size: usize, ways: usize, line: usize) -> Result<Self, GeometryError> {
        let geometry = Self { size, ways, line, k: (ways / 4 * 3 + ways % 4 * 3 / 4).max(1) };
        geometry.check()?;
        Ok(geometry)
    }

    /// Reads the L2 cache of the processor that runs this call.
    pub fn detect() -> Result<Self, GeometryError> {
        let root = Path::new("/sys/devices/system/cpu");
        match sys::current_cpu() {
            Some(cpu) => Self::from_cpu(&root.join(format!("cpu{cpu}"))),
            None => Self::from_sysfs(root),
        }
    }

    /// Reads the L2 cache of the first processor under `root`, which is laid out like
    /// `/sys/devices/system/cpu`.
    pub fn from_sysfs(root: &Path) -> Result<Self, GeometryError> {
        let entries = fs::read_dir(root).map_err(|e| unreadable(root, &e.to_string()))?;
        let first = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix("cpu")?.parse().ok())
            .min();
        match first {
            Some::<u32>(cpu) => Self::from_cpu(&root.join(format!("cpu{cpu}"))),
            None => Err(GeometryError::NoL2(root.to_owned())),
        }
    }

    /// Reads the L2 cache in `cpu/cache/index*`.
    fn from_cpu(cpu: &Path) -> Result<Self, GeometryError> {
        let cache = cpu.join("cache");
        let Ok(entries) = fs::read_dir(&cache) else { return Err(GeometryError::NoL2(cache)) };
        let mut indexes: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"index"))
            })
            .collect();
        indexes.sort();
        for index in indexes {
            if number(&index.join("level"))? == 2 && text(&index.join("type"))? != "Instruction" {
                return Self::from_index(&index);
            }
        }
        Err(GeometryError::NoL2(cache))
    }

    fn from_index(index: &Path) -> Result<Self, GeometryError> {
        let size = number(&index.join("size"))?;
        let ways = number(&index.join("ways_of_associativity"))?;
        let line = number(&index.join("coherency_line_size"))?;
        let sets = number(&index.join("number_of_sets"))?;
        let geometry = Self::new(size, ways, line)?;
        if geometry.sets() != sets {
            return Err(GeometryError::Inconsistent { size, ways, line, sets });
        }
        Ok(geometry)
    }

    /// The same cache with a slab of `k` ways.
    pub fn with_k(self, k: usize) -> Result<Self, GeometryError> {
        let geometry = Self { k, ..self };
        geometry.check()?;
        Ok(geometry)
    }

    /// The fields are public, so whoever relies on them checks them first.
    pub(crate) fn check(&self) -> Result<(), GeometryError> {
        let Self { size, ways, line, k } = *self;
        let sets = self.sets();
        let adds_up = ways > 0
            && line.is_power_of_two()
            && sets.is_power_of_two()
            && size <= LARGEST_CACHE
            && sets.checked_mul(ways).and_then(|lines| lines.checked_mul(line)) == Some(size);
        if !adds_up {
            return Err(GeometryError::Inconsistent { size, ways, line, sets });
        }
        if !(SHORTEST_LINE..=LINE).contains(&line) {
            return Err(GeometryError::Line { line });
        }
        if k == 0 || k > ways {
            return Err(GeometryError::K { k, ways });
        }
        Ok(())
    }

    /// W, the bytes of one way: two addresses W apart fall into the same set.
    pub fn way_bytes(&self) -> usize {
        self.size.checked_div(self.ways).unwrap_or(0)
    }

    /// Sets of the cache.
    pub fn sets(&self) -> usize {
        self.way_bytes().checked_div(self.line).unwrap_or(0)
    }

    /// Bytes of the slab: k·W.
    pub fn slab_bytes(&self) -> usize {
        self.k.saturating_mul(self.way_bytes())
    }
}

fn unreadable(path: &Path, why: &str) -> GeometryError {
    GeometryError::Unreadable { path: path.to_owned(), why: why.to_owned() }
}

fn text(path: &Path) -> Result<String, GeometryError> {
    let text = fs::read_to_string(path).map_err(|e| unreadable(path, &e.to_string()))?;
    Ok(text.trim().to_owned())
}

/// A count, or a size with the kernel's suffix `K` or `M`.
fn number(path: &Path) -> Result<usize, GeometryError> {
    let text = text(path)?;
    let (digits, shift) = match text.strip_suffix(['K', 'M']) {
        Some(digits) => (digits, if text.ends_with('K') { 10 } else { 20 }),
        None => (text.as_str(), 0),
    };
    digits
        .parse::<usize>()
        .ok()
        .and_then(|n| n.checked_mul(1 << shift))
        .ok_or_else(|| unreadable(path, &format!("`{text}` is not a number")))
}
