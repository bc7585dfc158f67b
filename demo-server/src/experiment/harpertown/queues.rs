//! What must a runtime do with events, and what do both runtimes keep?

use super::memory::{CORES, Memory};

/// An event that waits or runs.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Which of all events it is.
    pub(super) serial: usize,
    /// Its first line: link, handler, color. The continuation is the line after that.
    pub(super) line: u32,
    pub(super) post: Post,
}

/// What a handler asks for when it registers an event.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) color: u32,
    /// The core that the color hashes to.
    pub(super) home: usize,
    /// Which handler; what the number means is the workload's matter.
    pub(super) handler: u8,
    /// Its parameter.
    pub(super) parameter: u32,
    /// The annotation of its handler: how long it takes, in cycles (§3.2).
    pub(super) time: u64,
    /// The annotation of its handler: how much dearer it is elsewhere (§3.3).
    pub(super) penalty: u32,
}

/// A color as a thief sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) color: u32,
    pub(super) time: u64,
    pub(super) events: u32,
    pub(super) penalty: u32,
}

/// A core's queue as a thief sees it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shape {
    pub(super) time: u64,
    pub(super) events: usize,
    pub(super) colors: usize,
    pub(super) slots: usize,
}

/// The queues of all cores. What costs cycles returns them; what changes a core's queue is done under that core's lock.
pub(super) trait Queues {
    fn shape(&self, core: usize) -> Shape;
    fn seen(&self, core: usize, slot: usize) -> Option<Seen>;
    /// Has the core anything to do with its queue?
    fn is_busy(&self, core: usize) -> bool;
    /// The core that has the color, if any has.
    fn holder(&self, color: u32) -> Option<usize>;
    /// The line that says how much waits at a core.
    fn head(&self, core: usize) -> u32;
    /// The line of the map that says who has a color.
    fn map(&self, color: u32) -> u32;
    /// Looking at a core's queue, and at these of its slots.
    fn look(&self, thief: usize, victim: usize, slots: &[usize], memory: &mut Memory) -> u64;
    fn push(&mut self, by: usize, core: usize, event: Event, memory: &mut Memory) -> u64;
    /// Is done with the event that ran, and takes the next.
    fn pop(&mut self, core: usize, memory: &mut Memory) -> (u64, Option<Event>);
    /// Takes a color's events out of the victim's queue; they belong to the thief from then on.
    fn detach(
        &mut self,
        thief: usize,
        victim: usize,
        color: u32,
        memory: &mut Memory,
    ) -> (u64, Vec<Event>);
    /// Puts stolen events into the thief's queue.
    fn attach(&mut self, thief: usize, events: Vec<Event>, memory: &mut Memory) -> u64;
}

/// Number of colors: they are short integers (§2.1).
pub(super) const COLORS: usize = 1 << 16;

/// The map of colors to cores: 64 KB, one byte a color (§4.1).
#[derive(Debug)]
pub(super) struct Map {
    first_line: u32,
    holders: Vec<Option<u8>>,
    /// Runs, or is on its way to a thief.
    is_taken: Vec<bool>,
}

impl Map {
    pub(super) fn new(memory: &mut Memory) -> Self {
        Self {
            first_line: memory.allot(COLORS / 64),
            holders: vec![None; COLORS],
            is_taken: vec![false; COLORS],
        }
    }

    pub(super) const fn line(&self, color: u32) -> u32 {
        self.first_line + color / 64
    }

    pub(super) fn holder(&self, color: u32) -> Option<usize> {
        self.holders[color as usize].map(usize::from)
    }

    /// Writes down who has the color now, if anybody.
    pub(super) fn set(
        &mut self,
        by: usize,
        color: u32,
        holder: Option<usize>,
        memory: &mut Memory,
    ) -> u64 {
        self.holders[color as usize] = holder.map(|core| core as u8);
        memory.write(by, self.line(color))
    }

    pub(super) fn take(&mut self, color: u32, is_taken: bool) {
        self.is_taken[color as usize] = is_taken;
    }

    pub(super) fn is_taken(&self, color: u32) -> bool {
        self.is_taken[color as usize]
    }
}

/// One line for each core, each alone in its line (§4.3).
pub(super) fn line_per_core(memory: &mut Memory) -> [u32; CORES] {
    let first = memory.allot(CORES);
    std::array::from_fn(|core| first + core as u32)
}
