//! Which objects are live where; who is never without whom? (ISMM §3.1, §4.2.2)
//!
//! Forward may-live over event edges to a fixpoint: what may be live at the end of a stage on a
//! path that asks for another may be live when that one begins. A count that still grows after as
//! many rounds as there are stages grows around a cycle, and is taken to have no bound.
//!
//! Dominance: the paper asks that alloc(i) dominate alloc(j), and alloc(j) free(i). Here the same
//! is asked of the states directly: i dominates j if j is never live while i may be absent.
//!
//! Differs: a timer's stage may run after any stage, so any object may be live in it; what it
//! passes on follows from the stages that ask for it.

use std::collections::BTreeSet;

use crate::diagnostic::Diagnostic;
use crate::facts::{Facts, Op, SiteIx, StageIx};
use crate::stage::{Edge, StageGraph};
use crate::walk::{State, UNBOUNDED, Walked, bound_hint, for_each_op, walk};

/// Live sets and dominance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifetimes {
    /// Which stage can follow which.
    pub graph: StageGraph,
    /// Stages that no other stage asks for: tasks begin there.
    pub ways_in: Vec<StageIx>,
    /// By stage.
    pub stages: Vec<StageLife>,
    /// Pairs (i, j): a task that holds an object of j holds one of i.
    pub dominates: Vec<(SiteIx, SiteIx)>,
}

/// The objects of one stage, as (site, objects of one task), by site.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageLife {
    /// May be live when the stage begins: the paper's 𝓛.
    pub live: Vec<(SiteIx, u32)>,
    /// Of those, the ones that a timer alone accounts for.
    pub by_timer: Vec<SiteIx>,
    /// Surely live when it begins.
    pub held: Vec<(SiteIx, u32)>,
    /// May be allocated in it: the paper's 𝓐.
    pub alloc: Vec<(SiteIx, u32)>,
    /// May be freed in it.
    pub freed: Vec<SiteIx>,
    /// Functions that it may run.
    pub functions: Vec<usize>,
}

/// Computes live sets and dominance, and reports what has no bound and what is never freed.
pub fn lifetimes(facts: &Facts) -> (Lifetimes, Vec<Diagnostic>) {
    let matters = functions_that_matter(facts);
    let mut fixpoint = Fixpoint {
        facts,
        matters: &matters,
        entries: vec![None; facts.stages.len()],
        ways_in: Vec::new(),
    };
    fixpoint.run();
    let Fixpoint { entries, ways_in, .. } = fixpoint;

    let empty = State::empty(facts.sites.len());
    let entries: Vec<State> =
        entries.into_iter().map(|e| e.unwrap_or_else(|| empty.clone())).collect();
    let walked: Vec<Walked> =
        entries.iter().enumerate().map(|(s, entry)| walk(facts, s, entry, &matters)).collect();
    let graph = graph(&walked);
    let found = complaints(facts, &graph, &walked);
    let stages = stage_lives(facts, &entries, &walked, &graph);
    let dominates = dominance(facts, &stages, &walked);
    (Lifetimes { graph, ways_in, stages, dominates }, found)
}

struct Fixpoint<'f> {
    facts: &'f Facts,
    matters: &'f [bool],
    entries: Vec<Option<State>>,
    ways_in: Vec<StageIx>,
}

impl Fixpoint<'_> {
    fn run(&mut self) {
        let mut dirty = BTreeSet::new();
        while let Some(way_in) = self.entries.iter().position(Option::is_none) {
            self.ways_in.push(way_in);
            self.entries[way_in] = Some(State::empty(self.facts.sites.len()));
            dirty.insert(way_in);
            self.settle(&mut dirty);
        }
    }

    fn settle(&mut self, dirty: &mut BTreeSet<StageIx>) {
        let mut round = 0;
        while !dirty.is_empty() {
            let widen = round > self.entries.len() + 1;
            for stage in std::mem::take(dirty) {
                let Some(entry) = self.entries[stage].clone() else { continue };
                let walked = walk(self.facts, stage, &entry, self.matters);
                for (posted, state) in &walked.exits {
                    for &next in posted {
                        if self.enter(next, &state.at_entry(), widen) {
                            dirty.insert(next);
                        }
                    }
                }
            }
            round += 1;
        }
    }

    fn enter(&mut self, stage: StageIx, state: &State, widen: bool) -> bool {
        let Some(entry) = &mut self.entries[stage] else {
            self.entries[stage] = Some(state.clone());
            return true;
        };
        let before = entry.live.clone();
        let changed = entry.join(state);
        if widen {
            for (now, before) in entry.live.iter_mut().zip(before) {
                if *now > before {
                    *now = UNBOUNDED;
                }
            }
        }
        changed
    }
}

/// Functions that allocate, free, post or close, or call one that does.
fn functions_that_matter(facts: &Facts) -> Vec<bool> {
    let mut matters = vec![false; facts.functions.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for (i, function) in facts.functions.iter().enumerate() {
            let mut found = matters[i];
            for_each_op(&function.body, &mut |op| {
                found |= match op {
                    Op::Alloc { .. } | Op::Free(_) | Op::FreeAll(_) | Op::Post { .. } => true,
                    Op::Close => true,
                    Op::Call(candidates, _) => candidates.iter().any(|&f| matters[f]),
                    _ => false,
                };
            });
            // What a front-end could not read in it must not be skipped either.
            found |= !function.diagnostics.is_empty();
            changed |= found != matters[i];
            matters[i] = found;
        }
    }
    matters
}

fn graph(walked: &[Walked]) -> StageGraph {
    let mut graph = StageGraph::new(walked.len());
    for (from, walked) in walked.iter().enumerate() {
        for &to in walked.exits.iter().flat_map(|(posted, _)| posted) {
            for edge in [Edge::Event, Edge::Timer] {
                if walked.asked.contains(&(to, edge)) {
                    graph.add(from, to, edge);
                }
            }
        }
    }
    graph
}

fn complaints(facts: &Facts, graph: &StageGraph, walked: &[Walked]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (stage, walked) in walked.iter().enumerate() {
        found.extend(walked.found.iter().cloned());
        for &function in &walked.functions {
            found.extend(facts.functions[function].diagnostics.iter().cloned());
        }
        if let Some(cycle) = graph.cycle(stage) {
            let mut way: Vec<&str> = cycle.iter().map(|&s| facts.stages[s].name.as_str()).collect();
            way.push(&facts.stages[stage].name);
            for (site, place) in &walked.growing {
                let site = &facts.sites[*site];
                let message = format!(
                    "`{}` is allocated in the cycle {} while an earlier one may be live: \
                     unbounded. Free it before, or allocate it only where it `is_none()`. {}",
                    site.name,
                    way.join(" -> "),
                    bound_hint(&site.constant)
                );
                found.push(Diagnostic::error(place, message));
            }
        }
        if graph.is_terminal(stage) {
            let entry = &facts.functions[facts.stages[stage].entry];
            for (site, fact) in facts.sites.iter().enumerate() {
                if walked.exits.iter().any(|(_, state)| state.live[site] > 0) {
                    let message = format!(
                        "never freed: `{}` may be live at the end of stage `{}`, after which no \
                         stage follows; `.free({}, ..)` it, or `.close()` the task",
                        fact.name, facts.stages[stage].name, fact.constant
                    );
                    found.push(Diagnostic::error(&entry.place, message));
                }
            }
        }
    }
    found
}

fn stage_lives(
    facts: &Facts,
    entries: &[State],
    walked: &[Walked],
    graph: &StageGraph,
) -> Vec<StageLife> {
    let counted = |counts: &[u32]| -> Vec<(SiteIx, u32)> {
        counts.iter().copied().enumerate().filter(|(_, n)| *n > 0).collect()
    };
    let mut anywhere = State::empty(facts.sites.len());
    for (_, state) in walked.iter().flat_map(|w| &w.exits) {
        anywhere.join(state);
    }
    let has_timer =
        |stage| (0..entries.len()).any(|from| graph.next(from).contains(&(stage, Edge::Timer)));
    entries
        .iter()
        .zip(walked)
        .enumerate()
        .map(|(stage, (entry, walked))| {
            let mut live = entry.live.clone();
            let mut by_timer = Vec::new();
            if has_timer(stage) {
                for (site, n) in live.iter_mut().enumerate() {
                    if *n == 0 && anywhere.live[site] > 0 {
                        by_timer.push(site);
                    }
                    *n = (*n).max(anywhere.live[site]);
                }
            }
            let mut held = counted(&entry.live);
            held.retain(|(site, _)| !entry.absent[*site]);
            StageLife {
                live: counted(&live),
                by_timer,
                held,
                alloc: counted(&walked.allocated),
                freed: walked.freed.iter().copied().collect(),
                functions: walked.functions.iter().copied().collect(),
            }
        })
        .collect()
}

/// Dominance bounds counts only between sites of which a task holds one object: n_i >= n_j says
/// nothing where it holds one i and two j.
fn dominance(facts: &Facts, stages: &[StageLife], walked: &[Walked]) -> Vec<(SiteIx, SiteIx)> {
    let mut most = vec![0; facts.sites.len()];
    for life in stages {
        let mut here = vec![0u32; facts.sites.len()];
        for &(site, n) in life.live.iter().chain(&life.alloc) {
            here[site] = here[site].saturating_add(n);
            most[site] = most[site].max(here[site]);
        }
    }
    let apart: BTreeSet<(SiteIx, SiteIx)> = walked.iter().flat_map(|w| &w.apart).copied().collect();
    let mut pairs = Vec::new();
    for i in 0..facts.sites.len() {
        for (j, &n) in most.iter().enumerate() {
            if i != j && most[i] > 0 && n == 1 && !apart.contains(&(i, j)) {
                pairs.push((i, j));
            }
        }
    }
    pairs
}
