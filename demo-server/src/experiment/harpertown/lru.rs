//! Which line was used longest ago?

const NONE: u32 = u32::MAX;

/// A fully associative cache of lines with small numbers.
#[derive(Debug)]
pub(super) struct Lru {
    /// For each line, the one used just after it and the one used just before it.
    links: Vec<[u32; 2]>,
    newest: u32,
    oldest: u32,
    len: usize,
    capacity: usize,
}

const NEWER: usize = 0;
const OLDER: usize = 1;

impl Lru {
    pub(super) const fn new(capacity: usize) -> Self {
        Self { links: Vec::new(), newest: NONE, oldest: NONE, len: 0, capacity }
    }

    /// Room for the numbers below `lines`.
    pub(super) fn grow(&mut self, lines: usize) {
        self.links.resize(lines, [NONE; 2]);
    }

    /// Puts a line that is not in the cache into it; what had to leave for it.
    pub(super) fn insert(&mut self, line: u32) -> Option<u32> {
        let evicted = (self.len == self.capacity).then_some(self.oldest);
        if let Some(oldest) = evicted {
            self.remove(oldest);
        }
        self.links[line as usize] = [NONE, self.newest];
        match self.newest {
            NONE => self.oldest = line,
            newest => self.links[newest as usize][NEWER] = line,
        }
        self.newest = line;
        self.len += 1;
        evicted
    }

    /// Takes a line that is in the cache out of it.
    pub(super) fn remove(&mut self, line: u32) {
        let [newer, older] = self.links[line as usize];
        match newer {
            NONE => self.newest = older,
            newer => self.links[newer as usize][OLDER] = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.links[older as usize][NEWER] = newer,
        }
        self.len -= 1;
    }

    /// Uses a line that is in the cache.
    pub(super) fn refresh(&mut self, line: u32) {
        if self.newest != line {
            self.remove(line);
            self.insert(line);
        }
    }
}
