//! Which objects may share a region? (ISMM §4.2.2)
//!
//! Objects that a task never holds together may take turns in the same slots. Objects that are
//! live in one stage, or allocated in it, are held together; the others are coloured with as few
//! colours as possible, and of those colourings the one with the smallest slots is taken: exactly
//! up to [`EXACT_MAX`] objects (branch and bound), above it by DSATUR.
//!
//! Differs: other tasks may hold the other object of a region. So a task that holds one region
//! and waits for a second, while another waits the other way round, can wait for ever. Sharing
//! that would close such a circle is not done.

use std::collections::BTreeSet;

use crate::lifetime::StageLife;
use crate::stage::{Edge, StageGraph};

/// Up to here the colouring is exact.
pub const EXACT_MAX: usize = 20;
/// Steps of the exact search after which the best colouring so far is taken.
const STEPS_MAX: u64 = 1_000_000;

/// Who is held together with whom, and who is waited for while holding whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interference {
    /// Pairs (i, j), i < j, that one task may hold at once.
    pub together: BTreeSet<(usize, usize)>,
    /// Pairs (i, j): a task that holds i waits for j.
    pub waits: BTreeSet<(usize, usize)>,
}

impl Interference {
    /// The interference of the objects of these stages. What a timer alone brings into a stage
    /// was live together with the rest where it comes from.
    pub fn of(stages: &[StageLife]) -> Self {
        let mut found = Interference::default();
        for life in stages {
            let allocated = || life.alloc.iter().map(|&(site, _)| site);
            let live = || life.live.iter().map(|&(site, _)| site);
            let flowing = || live().filter(|site| !life.by_timer.contains(site));
            for i in flowing().chain(allocated()) {
                flowing().chain(allocated()).for_each(|j| found.add(i, j));
            }
            for j in allocated() {
                live().for_each(|i| found.add(i, j));
                found.waits.extend(flowing().map(|i| (i, j)));
            }
        }
        found
    }

    fn add(&mut self, i: usize, j: usize) {
        if i != j {
            self.together.insert((i.min(j), i.max(j)));
        }
    }

    /// Whether the two may share a region.
    pub fn may_share(&self, i: usize, j: usize) -> bool {
        !self.together.contains(&(i.min(j), i.max(j)))
    }

    /// Regions that wait for each other in a circle, if objects lie in these regions. A site that
    /// waits for itself is a circle of one.
    pub fn circle(&self, region_of: &[usize]) -> Option<Vec<usize>> {
        let regions = region_of.iter().max().map_or(0, |r| r + 1);
        let mut graph = StageGraph::new(regions);
        for &(i, j) in &self.waits {
            graph.add(region_of[i], region_of[j], Edge::Event);
        }
        (0..regions).find_map(|r| graph.cycle(r))
    }
}

/// Objects to regions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Colouring {
    /// By object.
    pub region_of: Vec<usize>,
    /// Whether no colouring has fewer regions, or smaller slots with as few.
    pub exact: bool,
}

/// Colours objects, given the bytes of a slot of each.
pub fn colour(slots: &[u64], interference: &Interference) -> Colouring {
    let mut order: Vec<usize> = (0..slots.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(slots[i]));
    let first = dsatur(slots, interference);
    let mut search = Search {
        slots,
        interference,
        order,
        region_of: vec![usize::MAX; slots.len()],
        best_cost: cost(slots, &first),
        best: first,
        steps: 0,
    };
    let small = slots.len() <= EXACT_MAX;
    if small {
        search.place(0, 0, 0);
    }
    let exact = small && search.steps < STEPS_MAX;
    Colouring { region_of: numbered(&search.best), exact }
}

/// Regions, and the bytes of one slot of each.
fn cost(slots: &[u64], region_of: &[usize]) -> (usize, u64) {
    let regions = region_of.iter().max().map_or(0, |r| r + 1);
    let slot = |r| (0..slots.len()).filter(|&i| region_of[i] == r).map(|i| slots[i]).max();
    (regions, (0..regions).filter_map(slot).fold(0, u64::saturating_add))
}

/// Numbers regions by their first object.
pub(crate) fn numbered(region_of: &[usize]) -> Vec<usize> {
    let mut seen = Vec::new();
    let number = |r: &usize| {
        seen.iter().position(|s| s == r).unwrap_or_else(|| {
            seen.push(*r);
            seen.len() - 1
        })
    };
    region_of.iter().map(number).collect()
}

struct Search<'a> {
    slots: &'a [u64],
    interference: &'a Interference,
    /// Objects by falling size: the first of a region is its largest.
    order: Vec<usize>,
    region_of: Vec<usize>,
    best: Vec<usize>,
    best_cost: (usize, u64),
    steps: u64,
}

impl Search<'_> {
    fn place(&mut self, at: usize, regions: usize, bytes: u64) {
        if (regions, bytes) >= self.best_cost || self.steps >= STEPS_MAX {
            return;
        }
        self.steps += 1;
        let Some(&object) = self.order.get(at) else {
            self.best.clone_from(&self.region_of);
            self.best_cost = (regions, bytes);
            return;
        };
        for region in 0..regions {
            let fits = |&other: &usize| {
                self.region_of[other] != region || self.interference.may_share(object, other)
            };
            if self.order[..at].iter().all(fits) {
                self.region_of[object] = region;
                self.place(at + 1, regions, bytes);
            }
        }
        self.region_of[object] = regions;
        self.place(at + 1, regions + 1, bytes.saturating_add(self.slots[object]));
        self.region_of[object] = usize::MAX;
    }
}

/// Brélaz 1979: next the object that sees most colours, then the one with most neighbours, then
/// the largest.
fn dsatur(slots: &[u64], interference: &Interference) -> Vec<usize> {
    let n = slots.len();
    let mut region_of = vec![usize::MAX; n];
    let neighbours = |i: usize| (0..n).filter(move |&j| j != i && !interference.may_share(i, j));
    for _ in 0..n {
        let seen = |i: usize| -> BTreeSet<usize> {
            neighbours(i).map(|j| region_of[j]).filter(|r| *r != usize::MAX).collect()
        };
        let next = (0..n).filter(|&i| region_of[i] == usize::MAX).max_by_key(|&i| {
            (seen(i).len(), neighbours(i).count(), slots[i], std::cmp::Reverse(i))
        });
        if let Some(i) = next {
            let taken = seen(i);
            region_of[i] = (0..n).find(|r| !taken.contains(r)).unwrap_or(0);
        }
    }
    region_of
}
