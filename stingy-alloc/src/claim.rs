//! Whose turn is it? Stages that are refused again and again wait in line for what they lack.
//!
//! Without it, a stage that takes many objects at once starves beside one that takes them singly. What a
//! stage in line has claimed is out of reach of all but those before it: its needs in the order of the
//! regions (`map::progress`), up to and with the first that is not there beside what was claimed before.
//!
//! - No deadlock: those that hold what a stage in line lacks need only later regions, which it has not
//!   claimed. Should they starve there, beside others, they are in line as well, and only such stand before
//!   them that lack something as late.
//! - No starvation: whoever comes into line later stays behind, until the stage is granted something.
//! - The right is worth nothing while its stage does not ask (scylladb #12603): each of its requests holds
//!   every other stage back once at most. Nor while nothing is freed for it: whoever holds what it lacks
//!   may hold it for long (a client that does not read), and others must not wait for that as well.
//!
//! Premises: all allocate under permits ([`Slab::take`](crate::Slab::take) asks nobody's leave), whoever
//! holds objects comes to free them, and each waiting stage is asked for once a round. Then none starves; and
//! a scheduler that forgets a stage loses a single round by it.

use std::cell::Cell;

use crate::home::Home;
use crate::map::MAX_IDS;
use crate::stage::{Need, Stage};

/// Refusals in a row that put a stage in line.
const PATIENCE: u32 = 32;

/// Requests of others after which a stage that does not ask loses its place: more than a round of all.
const SILENCE: u32 = 4096;

/// Requests of a stage in line without a free of what it lacks after which it loses its place.
const STUCK: u32 = 64;

const _: () = assert!(SILENCE as usize > 2 * MAX_IDS);

/// No stage.
pub(crate) const NOBODY: u32 = u32::MAX;

/// The line: each stage in it names the next.
#[derive(Debug)]
pub(crate) struct Claim {
    first: Cell<u32>,
    /// Counts requests that did not take the short way.
    clock: Cell<u32>,
}

impl Default for Claim {
    fn default() -> Self {
        Self { first: Cell::new(NOBODY), clock: Cell::new(0) }
    }
}

impl Claim {
    /// Whether any stage is in line.
    #[inline]
    pub(crate) fn is_made(&self) -> bool {
        self.first.get() != NOBODY
    }

    /// What `look` finds beside all that is claimed by stages before that one, which asks now.
    pub(crate) fn beside<R>(&self, home: &Home, number: u16, look: impl FnOnce() -> R) -> R {
        let line = || self.line(&home.stages).take_while(|(n, _)| *n != u32::from(number));
        let last = home.stages.get(usize::from(number)).map_or(0, |stage| stage.asked.get());
        let silent = |first: &Stage| self.age(last) <= self.age(first.asked.get());
        line().filter(|(_, first)| !silent(first)).for_each(|(_, first)| withhold(home, first));
        let found = look();
        line().for_each(|(_, first)| give_back(home, first));
        found
    }

    /// Requests since that one.
    fn age(&self, asked: u32) -> u32 {
        self.clock.get().wrapping_sub(asked)
    }

    fn line<'s>(&self, stages: &'s [Stage]) -> impl Iterator<Item = (u32, &'s Stage)> {
        let at = |number: u32| Some((number, stages.get(number as usize)?));
        std::iter::successors(at(self.first.get()), move |(_, stage)| at(stage.next.get()))
    }

    /// A stage asked, and was granted something or refused all it wanted.
    pub(crate) fn asked(&self, home: &Home, number: u16, stage: &Stage, granted: bool) {
        let (number, stages) = (u32::from(number), &home.stages);
        if granted {
            stage.refused.set(0);
            self.leave(stages, number, stage);
        } else {
            stage.refused.set(stage.refused.get().saturating_add(1));
            if stage.refused.get() >= PATIENCE && self.line(stages).all(|(n, _)| n != number) {
                let last = self.line(stages).last();
                last.map_or(&self.first, |(_, last)| &last.next).set(number);
                stage.stuck.set((NOBODY, 0));
            }
        }
        if self.is_stuck(home, stage) {
            stage.refused.set(0);
            self.leave(stages, number, stage);
        }
        self.clock.set(self.clock.get().wrapping_add(1));
        stage.asked.set(self.clock.get());
        let silent = self.line(stages).find(|(_, first)| self.age(first.asked.get()) > SILENCE);
        if let Some((number, first)) = silent {
            first.refused.set(0);
            self.leave(stages, number, first);
        }
    }

    /// Whether nothing has been freed for a stage in line for long. What it lacks is kept for it, so that
    /// each free shows in the account.
    fn is_stuck(&self, home: &Home, stage: &Stage) -> bool {
        let lacks = stage.needs().iter().find(|need| home.grantable(need) == 0);
        let of_region =
            |need: &Need| if need.of_region > 0 { home.region(need).free.get() } else { 0 };
        let there = lacks.map_or(NOBODY, |need| home.site(need).free.get() + of_region(need));
        let (before, times) = stage.stuck.get();
        let times = if there == before { times + 1 } else { 0 };
        stage.stuck.set((there, times));
        times >= STUCK
    }

    /// Takes a stage out of the line, if it is in it.
    fn leave(&self, stages: &[Stage], number: u32, stage: &Stage) {
        let before = self.line(stages).map(|(_, before)| &before.next);
        if let Some(link) = std::iter::once(&self.first).chain(before).find(|n| n.get() == number) {
            link.set(stage.next.replace(NOBODY));
        }
    }
}

/// Makes what a stage in line has claimed look taken.
fn withhold(home: &Home, first: &Stage) {
    let needs = first.needs();
    let lacks = needs.iter().position(|need| home.grantable(need) == 0);
    // Of a region that is short it claims all that it needs there, also for sites that come later.
    let claims = |at: usize| {
        lacks.is_none_or(|lacks| at <= lacks || needs[at].shares_region_with(&needs[lacks]))
    };
    for (at, (need, kept)) in needs.iter().zip(&first.kept).enumerate() {
        if !claims(at) {
            break;
        }
        let keep = |free: &Cell<u32>, wanted: u32| {
            let kept = free.get().min(wanted);
            free.set(free.get() - kept);
            kept
        };
        let site = keep(&home.site(need).free, need.count);
        let of_region = if need.of_region > 0 { need.count } else { 0 };
        kept.set((site, keep(&home.region(need).free, of_region)));
    }
}

/// Ends [`withhold`].
fn give_back(home: &Home, first: &Stage) {
    for (need, kept) in first.needs().iter().zip(&first.kept) {
        let (site, region) = kept.take();
        let give = |free: &Cell<u32>, kept: u32| free.set(free.get() + kept);
        give(&home.site(need).free, site);
        give(&home.region(need).free, region);
    }
}
