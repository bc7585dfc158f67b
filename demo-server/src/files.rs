//! Which file is meant, and is it in memory?
//!
//! A worker keeps the files that it served lately: of a small one the bytes, of a large one the descriptor, and
//! of both the header fields, rendered. For [`Config::fresh`](crate::config::Config::fresh) an entry is served
//! without a look at the disk; after that one request looks again while the others are still served from it.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use color_sched::Nanos;
use flexsc_ring::FileStat;
use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use crate::http::conditional::Validators;
use crate::http::mime::ContentType;
use crate::http::reply::Prepared;

/// Files up to this size are kept in memory whole.
pub const SMALL: u64 = 64 << 10;
/// Bytes that an entry costs besides its content.
const OVERHEAD: u64 = 512;
/// Entries that the cache expects; it grows beyond.
const EXPECTED_ENTRIES: usize = 1024;
/// Descriptors of large files that a worker keeps open, as a share of the budget in bytes each.
const OPEN_FILE_WEIGHT: u64 = 128 << 10;

/// A file that can be served.
#[derive(Debug)]
pub struct FileEntry {
    /// The fields of its head.
    pub prepared: Prepared,
    /// Its bytes, or where they are.
    pub content: Content,
    /// Which version of which file this is; none for what was never a file.
    pub identity: Option<Identity>,
}

/// Where the bytes of a file are.
#[derive(Debug)]
pub enum Content {
    /// In memory.
    Memory(Box<[u8]>),
    /// In the program.
    Static(&'static [u8]),
    /// In an open file.
    Open(OwnedFd),
    /// In memory, made for one request and not to be stored by anyone.
    Text(ContentType, Box<[u8]>),
}

/// One version of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    dev: u64,
    ino: u64,
    size: u64,
    modified: (i64, u32),
}

impl Identity {
    /// The version that `stat` is of.
    #[must_use]
    pub fn of(stat: &FileStat) -> Self {
        Self {
            dev: stat.dev,
            ino: stat.ino,
            size: stat.size,
            modified: (stat.mtime_secs, stat.mtime_nanos),
        }
    }
}

impl FileEntry {
    /// A file as found on disk.
    #[must_use]
    pub fn of(path: &[u8], stat: &FileStat, content: Content) -> Self {
        let size = match &content {
            Content::Memory(bytes) => bytes.len() as u64,
            _ => stat.size,
        };
        let validators = Validators::of(stat.mtime_secs, stat.mtime_nanos, size);
        let prepared = Prepared::new(size, ContentType::of(path), validators);
        Self { prepared, content, identity: Some(Identity::of(stat)) }
    }

    /// A page of the embedded site, as old as the program's start.
    #[must_use]
    pub fn embedded(bytes: &'static [u8], content_type: ContentType, started: u64) -> Self {
        let validators = Validators::of(started as i64, 0, bytes.len() as u64);
        let prepared = Prepared::new(bytes.len() as u64, content_type, validators);
        Self { prepared, content: Content::Static(bytes), identity: None }
    }

    /// A text made for one request.
    #[must_use]
    pub fn text(content_type: ContentType, text: String) -> Self {
        let size = text.len() as u64;
        let prepared = Prepared::new(size, content_type, Validators::of(0, 0, size));
        let content = Content::Text(content_type, text.into_bytes().into_boxed_slice());
        Self { prepared, content, identity: None }
    }

    /// The bytes, if they are in memory.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Memory(bytes) | Content::Text(_, bytes) => Some(bytes),
            Content::Static(bytes) => Some(bytes),
            Content::Open(_) => None,
        }
    }

    fn weight(&self) -> u64 {
        OVERHEAD
            + match &self.content {
                Content::Memory(bytes) => bytes.len() as u64,
                Content::Open(_) => OPEN_FILE_WEIGHT,
                Content::Static(_) | Content::Text(..) => 0,
            }
    }
}

/// A file on its way into memory.
#[derive(Debug, Default)]
pub struct Opening {
    /// The open file.
    pub file: Option<OwnedFd>,
    /// What it is.
    pub stat: Option<FileStat>,
    /// Bytes of it that have been read.
    pub read: usize,
    /// Times that the kernel could not decide whether the path stays beneath the root.
    pub retries: u8,
}

/// What a look into the cache found.
#[derive(Debug)]
pub enum Found {
    /// An entry to serve.
    Fresh(Arc<FileEntry>),
    /// Nothing, or a `known` entry whose turn it is to be checked: open the file.
    Check {
        /// There is an entry.
        known: bool,
    },
}

#[derive(Clone, Debug)]
struct Kept {
    entry: Arc<FileEntry>,
    checked_at: Cell<Nanos>,
    being_checked_until: Cell<Nanos>,
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<Box<[u8]>, Kept> for ByBytes {
    fn weight(&self, path: &Box<[u8]>, kept: &Kept) -> u64 {
        path.len() as u64 + kept.entry.weight()
    }
}

/// The files that one worker served lately, within a budget in bytes.
#[derive(Debug)]
pub struct FileCache {
    cache: Cache<Box<[u8]>, Kept, ByBytes, foldhash::fast::RandomState>,
    fresh: Nanos,
}

impl FileCache {
    /// A cache of at most `bytes` bytes whose entries are good for `fresh` nanoseconds.
    #[must_use]
    pub fn new(bytes: usize, fresh: Nanos) -> Self {
        let cache = Cache::with(
            EXPECTED_ENTRIES,
            bytes as u64,
            ByBytes,
            foldhash::fast::RandomState::default(),
            quick_cache::unsync::DefaultLifecycle::default(),
        );
        Self { cache, fresh }
    }

    /// Looks for `path`. Of several requests for an entry that is due, one is told to check it.
    pub fn find(&self, path: &[u8], now: Nanos) -> Found {
        let Some(kept) = self.cache.get(path) else {
            return Found::Check { known: false };
        };
        let is_fresh = now < kept.checked_at.get().saturating_add(self.fresh);
        if !is_fresh && now >= kept.being_checked_until.get() {
            kept.being_checked_until.set(now.saturating_add(self.fresh.max(1)));
            return Found::Check { known: true };
        }
        Found::Fresh(Arc::clone(&kept.entry))
    }

    /// The entry of `path` if it is still this version of the file, which the caller has just looked at.
    pub fn confirm(&self, path: &[u8], identity: &Identity, now: Nanos) -> Option<Arc<FileEntry>> {
        let kept = self.cache.peek(path)?;
        if kept.entry.identity.as_ref() != Some(identity) {
            return None;
        }
        kept.checked_at.set(now);
        kept.being_checked_until.set(0);
        Some(Arc::clone(&kept.entry))
    }

    /// Keeps what was found at `path`, if there is room for it at all.
    pub fn keep(&mut self, path: &[u8], entry: Arc<FileEntry>, now: Nanos) {
        let (checked_at, being_checked_until) = (Cell::new(now), Cell::new(0));
        self.cache.insert(path.into(), Kept { entry, checked_at, being_checked_until });
    }

    /// Forgets `path`: it is not there any more.
    pub fn forget(&mut self, path: &[u8]) {
        self.cache.remove(path);
    }
}
