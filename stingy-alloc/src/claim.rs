//! Whose turn is it? A stage that is refused again and again is put first in line for what it lacks.
//!
//! Without it, a stage that takes many objects at once starves beside one that takes them singly. What the
//! first in line has claimed is out of reach of the others: its needs in the order of the regions
//! (`map::progress`), up to and with the first that is not there. Those that hold what it lacks need
//! only later regions, which are not claimed, so they get on and free it: a claim makes no deadlock.
//!
//! The right is worth nothing while its stage does not ask (scylladb #12603): each of its requests holds
//! every other stage back once at most, and another starving stage takes the place of one that is silent.
//! So a scheduler that asks for its waiting stages in turn starves none, and one that forgets a stage
//! loses a single round.

use std::cell::Cell;

use crate::home::Home;
use crate::stage::{Need, Stage};

/// Refusals in a row that put a stage first in line.
const PATIENCE: u32 = 32;

/// No stage.
const NOBODY: u32 = u32::MAX;

/// The first in line, if anybody.
#[derive(Debug)]
pub(crate) struct Claim {
    stage: Cell<u32>,
    /// Counts its requests.
    turn: Cell<u32>,
    /// Whether it asked since another stage last looked for its place.
    asked: Cell<bool>,
}

impl Default for Claim {
    fn default() -> Self {
        Self { stage: Cell::new(NOBODY), turn: Cell::new(0), asked: Cell::new(false) }
    }
}

impl Claim {
    /// Whether any stage is first in line.
    #[inline]
    pub(crate) fn is_made(&self) -> bool {
        self.stage.get() != NOBODY
    }

    /// The first in line, if it is another and holds `stage` back this time.
    pub(crate) fn holding_back<'s>(
        &self,
        stages: &'s [Stage],
        number: u16,
        stage: &Stage,
    ) -> Option<&'s Stage> {
        let first = stages.get(self.stage.get() as usize)?;
        let another = self.stage.get() != u32::from(number);
        let once = another && stage.turn.replace(self.turn.get()) != self.turn.get();
        once.then_some(first)
    }

    /// A stage was granted something.
    pub(crate) fn granted(&self, number: u16, stage: &Stage) {
        stage.refused.set(0);
        if self.stage.get() == u32::from(number) {
            self.stage.set(NOBODY);
        }
    }

    /// A stage was refused.
    pub(crate) fn refused(&self, number: u16, stage: &Stage) {
        let number = u32::from(number);
        stage.refused.set(stage.refused.get().saturating_add(1));
        if self.stage.get() == number {
            self.asked.set(true);
            self.turn.set(self.turn.get().wrapping_add(1));
        } else if stage.refused.get() >= PATIENCE
            && (self.stage.get() == NOBODY || !self.asked.replace(false))
        {
            self.stage.set(number);
            self.asked.set(true);
            self.turn.set(self.turn.get().wrapping_add(1));
        }
    }
}

/// What `first` has claimed of the site and of the region of `need`, in objects.
pub(crate) fn claimed(home: &Home, first: &Stage, need: &Need) -> (u32, u32) {
    let (mut site, mut region) = (0, 0);
    for claim in first.needs() {
        if claim.pool == need.pool {
            site = claim.count;
        }
        if claim.of_region > 0 && claim.list == need.list {
            region = claim.of_region;
        }
        if home.grantable(claim) == 0 {
            break;
        }
    }
    (site, region)
}
