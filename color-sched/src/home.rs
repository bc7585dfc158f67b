//! Where is a color? Each core's table of the colors that have their home there, or are held there.
//!
//! | place | the state is | a post by the home's core |
//! |---|---|---|
//! | here, unborn | in the table, or not made yet | is appended |
//! | running | in the hands of the loop | is appended |
//! | offered | on the board | takes it back first, or is forwarded if it was stolen |
//! | away | at the holder | is forwarded, and counted |
//! | settling | in the table, come home while events were still on their way to the holder | waits beside it |
//!
//! A holder sends a color home with the number of events that it received. What was forwarded beyond that number finds
//! nobody there and comes back, in order; only then is the color complete, and what was posted meanwhile is appended. So
//! no event is overtaken by a later one of the same producer, without the holder and the home having to agree first.
//!
//! A color for which nothing waits is an entry of the table and no more; what waits for the others is in cells, which are
//! few, and warm because the last one freed is the next one used.

use crate::event::{Color, CoreId, Priority, Ready, Slot, StageId};
use crate::index::Index;
use crate::prefetch::prefetch;
use crate::record::{Cell, Queued, Record, Status};

/// No cell, or no entry.
pub(crate) const NIL: u32 = u32::MAX;

/// How many turns before its own the cell of a color is fetched, and its entry.
const CELLS_AHEAD: usize = 3;
const ENTRIES_AHEAD: usize = 1;

/// Where a color's state is, as its home or holder knows.
#[derive(Debug)]
pub(crate) enum Place<E, S> {
    /// No color in this entry; the next one of the free list.
    Vacant(u32),
    /// In the table.
    Here(S),
    /// Made when the first event runs.
    Unborn,
    /// With the loop that runs it; or, for a moment, on its way from one place to another.
    Running,
    /// On the board.
    Offered,
    /// Stolen.
    Away(Box<Away>),
    /// Come home before all of its events.
    Settling(Box<Settling<E, S>>),
}

impl<E, S> Place<E, S> {
    /// Puts a state back that was running. What this overwrites owns nothing, so that nothing has to be dropped.
    #[inline]
    pub(crate) fn put_back(&mut self, state: S) {
        debug_assert!(matches!(self, Self::Running));
        std::mem::forget(std::mem::replace(self, Self::Here(state)));
    }
}

/// What a home remembers of a color that was stolen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Away {
    pub(crate) holder: CoreId,
    pub(crate) forwarded: u32,
}

/// A color that is not complete yet.
#[derive(Debug)]
pub(crate) struct Settling<E, S> {
    pub(crate) record: Box<Record<E, S>>,
    /// Events that have yet to come back.
    pub(crate) missing: u32,
    /// What was posted since.
    pub(crate) later: Vec<Queued<E>>,
}

/// A color's entry.
#[derive(Debug)]
pub(crate) struct Entry<E, S> {
    pub(crate) color: Color,
    pub(crate) place: Place<E, S>,
    /// The cell with what waits for it, or `NIL`.
    pub(crate) cell: u32,
    /// Tells this color from an earlier one of the same number, at its home.
    pub(crate) incarnation: u32,
    /// Away from home: events that have been received from there.
    pub(crate) received: u32,
    /// This core is its home. Otherwise it was stolen by this core.
    pub(crate) is_home: bool,
    /// It opened by itself, and closes when nothing waits.
    pub(crate) is_transient: bool,
}

impl<E, S> Entry<E, S> {
    /// Is it in the table of its home, to run there?
    #[inline(always)]
    pub(crate) fn is_at_home(&self) -> bool {
        self.is_home && matches!(self.place, Place::Here(_) | Place::Unborn | Place::Running)
    }
}

/// What a color does when its event has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next<S> {
    /// Another event waits, at this stage.
    Ready(StageId, Priority),
    /// Nothing waits.
    Idle,
    /// Nothing waits, so that the color has ended.
    Over(S),
    /// No event waits; it rests, goes home or ends.
    Rests,
}

/// An idle color costs this, and 16 to 32 bytes of the index.
const _: () = assert!(size_of::<Entry<u64, u64>>() == 40);
const _: () = assert!(size_of::<Cell<u64>>() == 64);

/// Which number is taken next: the last one that was given back, whose place is warm; or the lowest that is not in use.
/// What is given back in another order than it was taken gets shuffled with time, until each take is a cache miss; so
/// when nothing is in use any more, all begins anew in order. Who is given back keeps the number of the one before.
#[derive(Debug)]
struct Free {
    last: u32,
    /// Those from this number on have not been taken since the beginning.
    rest: u32,
    used: u32,
}

impl Free {
    const fn new() -> Self {
        Self { last: NIL, rest: 0, used: 0 }
    }

    /// The number that is next.
    #[inline(always)]
    fn next(&self) -> u32 {
        if self.last == NIL { self.rest } else { self.last }
    }

    /// The next number was taken, and kept this one.
    #[inline(always)]
    fn took(&mut self, kept: u32) {
        self.used += 1;
        if self.last == NIL {
            self.rest += 1;
        } else {
            self.last = kept;
        }
    }

    /// A number that was taken is free, and is to keep the one that is returned.
    #[inline(always)]
    fn give_back(&mut self, number: u32) -> u32 {
        self.used -= 1;
        if self.used == 0 {
            (self.last, self.rest) = (NIL, 0);
            return NIL;
        }
        std::mem::replace(&mut self.last, number)
    }
}

/// A core's table of colors.
#[derive(Debug)]
pub(crate) struct Colors<E, S> {
    /// The entry of each color, found by the color's hash; the color itself is read in the entry, which a post needs anyway.
    index: Index,
    entries: Vec<Entry<E, S>>,
    free_entries: Free,
    cells: Vec<Cell<E>>,
    free_cells: Free,
    incarnations: u32,
}

impl<E, S> Colors<E, S> {
    /// An empty table for one core of so many.
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            index: Index::new(cores),
            entries: Vec::new(),
            free_entries: Free::new(),
            cells: Vec::new(),
            free_cells: Free::new(),
            incarnations: 0,
        }
    }

    /// Colors that have an entry.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Colors that have an entry.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Color> + '_ {
        self.index.iter().map(|entry| self.entries[entry as usize].color)
    }

    /// Number of entries, of colors or vacant.
    pub(crate) fn entries(&self) -> u32 {
        self.entries.len() as u32
    }

    #[inline(always)]
    pub(crate) fn find(&self, color: Color) -> Option<u32> {
        self.index.find(color, |entry| self.entries[entry as usize].color == color)
    }

    #[inline]
    pub(crate) fn entry(&mut self, entry: u32) -> &mut Entry<E, S> {
        &mut self.entries[entry as usize]
    }

    #[inline]
    pub(crate) fn cell(&mut self, slot: Slot) -> &mut Cell<E> {
        &mut self.cells[slot.index()]
    }

    /// The cell in `slot`, if it is of `color`, and its entry.
    #[inline(always)]
    pub(crate) fn waiting(
        &mut self,
        color: Color,
        slot: Slot,
    ) -> Option<(&mut Cell<E>, &mut Entry<E, S>)> {
        let cell = self.cells.get_mut(slot.index())?;
        if cell.status == Status::Free {
            return None;
        }
        let entry = &mut self.entries[cell.entry as usize];
        (entry.color == color).then_some((cell, entry))
    }

    /// Fetches what the colors of a batch need, some time before their turn: the cell, then the entry that it names, and the
    /// index's place, should the color end.
    #[inline(always)]
    pub(crate) fn fetch_ahead(&self, batch: &[Ready]) {
        if !self.index.is_large() {
            return;
        }
        if let Some(ready) = batch.get(CELLS_AHEAD) {
            self.index.fetch(ready.color);
            self.cells.get(ready.slot.index()).into_iter().for_each(prefetch);
        }
        let cell = batch.get(ENTRIES_AHEAD).and_then(|ready| self.cells.get(ready.slot.index()));
        cell.and_then(|cell| self.entries.get(cell.entry as usize)).into_iter().for_each(prefetch);
    }

    /// The cell of an entry, made if it has none.
    #[inline(always)]
    pub(crate) fn cell_of(&mut self, entry: u32) -> (Slot, &mut Cell<E>, &mut Entry<E, S>) {
        let known = &mut self.entries[entry as usize];
        let mut slot = known.cell;
        if slot == NIL {
            slot = self.free_cells.next();
            if slot as usize == self.cells.len() {
                Self::add_cell(&mut self.cells);
            }
            let cell = &mut self.cells[slot as usize];
            known.cell = slot;
            self.free_cells.took(cell.entry);
            cell.entry = entry;
            cell.status = Status::Resting;
            return (Slot(slot), cell, known);
        }
        (Slot(slot), &mut self.cells[slot as usize], known)
    }

    #[cold]
    fn add_cell(cells: &mut Vec<Cell<E>>) {
        cells.push(Cell::new());
    }

    /// Nothing waits in this cell any more, neither events nor timers nor pins.
    #[inline]
    pub(crate) fn free_cell(&mut self, slot: Slot) {
        let cell = &mut self.cells[slot.index()];
        debug_assert!(cell.len() == 0 && cell.pins == 0 && !cell.names_timers());
        self.entries[cell.entry as usize].cell = NIL;
        cell.status = Status::Free;
        cell.entry = self.free_cells.give_back(slot.0);
    }

    /// The event of a running color has ended: its state is back, and its cell free if nothing waits in it. A color that
    /// opened by itself ends then.
    #[inline(always)]
    pub(crate) fn put_back(&mut self, entry: u32, slot: Slot, state: S) -> Next<S> {
        let known = &mut self.entries[entry as usize];
        let cell = &mut self.cells[slot.index()];
        if let Some(stage) = cell.stage() {
            known.place.put_back(state);
            cell.status = Status::Queued;
            return Next::Ready(stage, cell.priority);
        }
        if !known.is_home || cell.pins > 0 || cell.names_timers() {
            known.place.put_back(state);
            cell.status = Status::Resting;
            return Next::Rests;
        }
        known.cell = NIL;
        cell.status = Status::Free;
        cell.entry = self.free_cells.give_back(slot.0);
        if known.is_transient {
            self.remove(entry);
            return Next::Over(state);
        }
        known.place.put_back(state);
        Next::Idle
    }

    /// A new entry for a color that has none.
    ///
    /// # Errors
    /// The entry that the color has, and the place that it was to be in.
    pub(crate) fn insert(
        &mut self,
        color: Color,
        place: Place<E, S>,
    ) -> Result<u32, (u32, Place<E, S>)> {
        match self.find(color) {
            Some(entry) => Err((entry, place)),
            None => Ok(self.insert_new(color, place, false)),
        }
    }

    /// A new entry for a color that is known to have none.
    #[inline(always)]
    pub(crate) fn insert_new(
        &mut self,
        color: Color,
        place: Place<E, S>,
        is_transient: bool,
    ) -> u32 {
        self.incarnations = self.incarnations.wrapping_add(1);
        let incarnation = self.incarnations;
        let (cell, received, is_home) = (NIL, 0, true);
        let new = Entry { color, place, cell, incarnation, received, is_home, is_transient };
        let at = self.free_entries.next();
        match self.entries.get_mut(at as usize) {
            Some(entry) => {
                let next = if let Place::Vacant(next) = entry.place { next } else { NIL };
                self.free_entries.took(next);
                *entry = new;
            }
            None => {
                self.free_entries.took(NIL);
                self.entries.push(new);
            }
        }
        self.index.insert(color, at, |entry| self.entries[entry as usize].color);
        self.index.fetch_neighbors(color);
        at
    }

    /// Ends an entry, whose cell is free by now, and gives what was in its place.
    #[inline]
    pub(crate) fn remove(&mut self, entry: u32) -> Place<E, S> {
        let known = &mut self.entries[entry as usize];
        self.index.remove(known.color, entry);
        let next = self.free_entries.give_back(entry);
        std::mem::replace(&mut known.place, Place::Vacant(next))
    }
}
