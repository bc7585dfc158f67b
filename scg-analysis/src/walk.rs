//! What does one stage do to the objects of a task, on every path?
//!
//! An abstract run of a stage's function, calls included. What is known at a point is a set of
//! [`State`]s, one for each set of stages that was asked for on the way there: so a path that
//! allocates a chunk and asks for `stream` is kept apart from one that does neither. Paths that
//! asked for the same stages are joined: counts to the larger, "may be absent" to yes.

use std::collections::{BTreeMap, BTreeSet};

use crate::facts::{Block, Facts, FunctionIx, Op, SiteIx, StageIx, Times};
use crate::stage::Edge;
use crate::{Diagnostic, Place};

/// More objects of one site than any bound: the count grows around a cycle.
pub(crate) const UNBOUNDED: u32 = u32::MAX;

/// Sets of stages that are told apart at one point; above it they are joined.
const STATES_MAX: usize = 64;
/// A loop that runs a constant number of times is unrolled up to this.
const UNROLL_MAX: u32 = 64;

/// What is known of a task's objects at a point of a stage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct State {
    /// By site: objects that may be live.
    pub(crate) live: Vec<u32>,
    /// By site: objects that this stage may have allocated so far.
    pub(crate) allocated: Vec<u32>,
    /// By site: the task may hold none.
    pub(crate) absent: Vec<bool>,
}

impl State {
    pub(crate) fn empty(sites: usize) -> Self {
        State { live: vec![0; sites], allocated: vec![0; sites], absent: vec![true; sites] }
    }

    /// The state in which the next stage begins.
    pub(crate) fn at_entry(&self) -> Self {
        State { allocated: vec![0; self.live.len()], ..self.clone() }
    }

    /// Joins another path into this one; says whether that changed anything.
    pub(crate) fn join(&mut self, other: &State) -> bool {
        let before = self.clone();
        let max = |mine: &mut [u32], theirs: &[u32]| {
            mine.iter_mut().zip(theirs).for_each(|(m, t)| *m = (*m).max(*t));
        };
        max(&mut self.live, &other.live);
        max(&mut self.allocated, &other.allocated);
        self.absent.iter_mut().zip(&other.absent).for_each(|(m, t)| *m |= t);
        *self != before
    }
}

/// States by the stages asked for on the way.
type States = BTreeMap<BTreeSet<StageIx>, State>;

fn join_into(into: &mut States, from: States) {
    for (posted, state) in from {
        match into.get_mut(&posted) {
            Some(mine) => {
                mine.join(&state);
            }
            None => {
                into.insert(posted, state);
            }
        }
    }
    if into.len() > STATES_MAX {
        let all = std::mem::take(into);
        let posted = all.keys().flatten().copied().collect();
        let joined = all.into_values().reduce(|mut a, b| {
            a.join(&b);
            a
        });
        into.extend(joined.map(|state| (posted, state)));
    }
}

/// Where a block leads.
#[derive(Default)]
struct Flow {
    next: States,
    returns: States,
    breaks: Vec<(Option<String>, States)>,
    continues: Vec<(Option<String>, States)>,
}

/// What came of walking one stage from one entry state.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Ends of the stage: the stages asked for, and the objects live then. Paths that close the
    /// task have no end.
    pub(crate) exits: Vec<(BTreeSet<StageIx>, State)>,
    /// By site: objects that the stage may allocate.
    pub(crate) allocated: Vec<u32>,
    /// Sites of which it may free objects.
    pub(crate) freed: BTreeSet<SiteIx>,
    /// Stages that it asks for, and how.
    pub(crate) asked: BTreeSet<(StageIx, Edge)>,
    /// Functions that it runs.
    pub(crate) functions: BTreeSet<FunctionIx>,
    /// Pairs (i, j): somewhere j may be live while i is not.
    pub(crate) apart: BTreeSet<(SiteIx, SiteIx)>,
    /// Allocations of a site whose count has no bound.
    pub(crate) growing: BTreeSet<(SiteIx, Place)>,
    /// What was found wrong.
    pub(crate) found: Vec<Diagnostic>,
}

/// Walks `stage` from `entry`. `matters` says which functions do anything of interest.
pub(crate) fn walk(facts: &Facts, stage: StageIx, entry: &State, matters: &[bool]) -> Walked {
    let mut walker = Walker {
        facts,
        matters,
        out: Walked { allocated: vec![0; facts.sites.len()], ..Walked::default() },
        stack: Vec::new(),
        loops: Vec::new(),
        guards: 0,
        known: BTreeMap::new(),
        recursed: false,
    };
    walker.note(entry);
    let states = States::from([(BTreeSet::new(), entry.at_entry())]);
    let ends = walker.function(facts.stages[stage].entry, states);
    walker.out.exits = ends.into_iter().collect();
    walker.out
}

struct Walker<'f> {
    facts: &'f Facts,
    matters: &'f [bool],
    out: Walked,
    /// Functions being run.
    stack: Vec<FunctionIx>,
    /// Unbounded loops being run.
    loops: Vec<Place>,
    /// Guarded blocks being run.
    guards: u32,
    /// What a function came to, so that one that is called from many places is not run as often.
    known: BTreeMap<Context, States>,
    /// A call was not followed because its function was being run.
    recursed: bool,
}

/// What the outcome of a function depends on: the function, the loop it is called in, whether it
/// is guarded, and the states before it.
type Context = (FunctionIx, Option<Place>, bool, States);

impl Walker<'_> {
    fn function(&mut self, function: FunctionIx, states: States) -> States {
        let context = (function, self.loops.last().cloned(), self.guards > 0, states.clone());
        if let Some(known) = self.known.get(&context) {
            return known.clone();
        }
        let outer = std::mem::replace(&mut self.recursed, false);
        self.out.functions.insert(function);
        self.stack.push(function);
        let flow = self.block(&self.facts.functions[function].body, states);
        self.stack.pop();
        let mut ends = flow.next;
        join_into(&mut ends, flow.returns);
        // Within a recursion the outcome depends on where it was entered.
        if !self.recursed {
            self.known.insert(context, ends.clone());
        }
        self.recursed |= outer;
        ends
    }

    fn block(&mut self, block: &Block, states: States) -> Flow {
        let mut flow = Flow { next: states, ..Flow::default() };
        for op in block {
            if flow.next.is_empty() {
                break;
            }
            self.step(op, &mut flow);
        }
        flow
    }

    fn step(&mut self, op: &Op, flow: &mut Flow) {
        match op {
            Op::Alloc { site, amount, most, place } => {
                self.alloc(*site, *amount, *most, place, &mut flow.next);
            }
            Op::Free(site) => self.free(*site, false, &mut flow.next),
            Op::FreeAll(site) => self.free(*site, true, &mut flow.next),
            Op::Post { stage, timer } => self.post(*stage, *timer, &mut flow.next),
            Op::Close => flow.next.clear(),
            Op::Return => join_into(&mut flow.returns, std::mem::take(&mut flow.next)),
            Op::Break(label) => {
                flow.breaks.push((label.clone(), std::mem::take(&mut flow.next)));
            }
            Op::Continue(label) => {
                flow.continues.push((label.clone(), std::mem::take(&mut flow.next)));
            }
            Op::Call(candidates, place) => {
                flow.next = self.call(candidates, place, std::mem::take(&mut flow.next));
            }
            Op::Branch(branches) => {
                let before = std::mem::take(&mut flow.next);
                for branch in branches {
                    let taken = self.block(branch, before.clone());
                    flow.absorb(taken);
                }
            }
            Op::Guarded(body) => {
                let before = std::mem::take(&mut flow.next);
                self.guards += 1;
                let inner = self.block(body, before);
                self.guards -= 1;
                flow.absorb(inner);
            }
            Op::Scope { label, returns, body } => {
                let before = std::mem::take(&mut flow.next);
                let mut inner = self.block(body, before);
                if *returns {
                    let ends = std::mem::take(&mut inner.returns);
                    join_into(&mut inner.next, ends);
                }
                if label.is_some() {
                    let ends = take_jumps(&mut inner.breaks, |to| to == label);
                    join_into(&mut inner.next, ends);
                }
                flow.absorb(inner);
            }
            Op::Loop { times, label, body, drains, place } => {
                let before = std::mem::take(&mut flow.next);
                let mut inner = self.repeat(*times, label, body, place, before);
                for site in drains {
                    self.free(*site, true, &mut inner.next);
                }
                let broken = take_jumps(&mut inner.breaks, |to| to.is_none() || to == label);
                join_into(&mut inner.next, broken);
                flow.absorb(inner);
            }
        }
    }

    fn post(&mut self, stage: StageIx, timer: bool, states: &mut States) {
        let edge = if timer { Edge::Timer } else { Edge::Event };
        self.out.asked.insert((stage, edge));
        for (mut posted, state) in std::mem::take(states) {
            posted.insert(stage);
            join_into(states, States::from([(posted, state)]));
        }
    }

    /// Runs a loop. The flow's `next` is what runs out of it; its own breaks are still in there.
    fn repeat(
        &mut self,
        times: Times,
        label: &Option<String>,
        body: &Block,
        place: &Place,
        before: States,
    ) -> Flow {
        let mut whole = Flow::default();
        let mut head = before;
        if let Times::Exactly(n) = times
            && n <= UNROLL_MAX
        {
            for _ in 0..n {
                let mut turn = self.block(body, head);
                head = std::mem::take(&mut turn.next);
                let again = take_jumps(&mut turn.continues, |to| to.is_none() || to == label);
                join_into(&mut head, again);
                whole.absorb(turn);
            }
            whole.next = head;
            return whole;
        }
        self.loops.push(place.clone());
        loop {
            let mut turn = self.block(body, head.clone());
            let mut back = std::mem::take(&mut turn.next);
            let again = take_jumps(&mut turn.continues, |to| to.is_none() || to == label);
            join_into(&mut back, again);
            whole.absorb(turn);
            let known = head.clone();
            join_into(&mut head, back);
            if head == known {
                break;
            }
        }
        self.loops.pop();
        if times != Times::Forever {
            whole.next = head;
        }
        whole
    }

    fn call(&mut self, candidates: &[FunctionIx], place: &Place, states: States) -> States {
        let relevant: Vec<_> = candidates.iter().copied().filter(|&f| self.matters[f]).collect();
        if relevant.is_empty() {
            return states;
        }
        if candidates.len() > 1 {
            let names: Vec<String> =
                candidates.iter().map(|&f| self.facts.functions[f].place.to_string()).collect();
            self.out.found.push(Diagnostic::warning(
                place,
                format!(
                    "this may call any of {}; all are taken. Rename one, or write its module or \
                     type before its name",
                    names.join(", ")
                ),
            ));
        }
        let mut after =
            if relevant.len() < candidates.len() { states.clone() } else { States::new() };
        for function in relevant {
            if self.stack.contains(&function) {
                self.recursed = true;
                self.recursion(function, place);
                join_into(&mut after, states.clone());
            } else {
                let ends = self.function(function, states.clone());
                join_into(&mut after, ends);
            }
        }
        after
    }

    /// A recursive call adds nothing to what one run of the function does, unless it allocates.
    fn recursion(&mut self, function: FunctionIx, place: &Place) {
        let at = self.stack.iter().position(|&f| f == function).unwrap_or(0);
        for &f in &self.stack[at..] {
            for_each_op(&self.facts.functions[f].body, &mut |op| {
                if let Op::Alloc { site, most: None, place: allocation, .. } = op {
                    let site = &self.facts.sites[*site];
                    self.out.found.push(Diagnostic::error(
                        allocation,
                        format!(
                            "`{}` is allocated in a recursion (the call at {place}): unbounded. \
                             {}",
                            site.name,
                            bound_hint(&site.constant)
                        ),
                    ));
                }
            });
        }
    }

    fn alloc(
        &mut self,
        site: SiteIx,
        amount: u32,
        most: Option<u32>,
        place: &Place,
        states: &mut States,
    ) {
        let facts = &self.facts.sites[site];
        let guard = if self.guards > 0 { Some(1) } else { None };
        let most = most.into_iter().chain(guard).min();
        if let (None, Some(at)) = (most, self.loops.last()) {
            self.out.found.push(Diagnostic::error(
                place,
                format!(
                    "`{}` is allocated in a loop without a bound (at {at}). {}",
                    facts.name,
                    bound_hint(&facts.constant)
                ),
            ));
        }
        // An unbounded loop is an error already; a bound lets its walk end.
        let most = most.or(if self.loops.is_empty() { None } else { Some(amount) });
        for state in states.values_mut() {
            if most.is_none() && state.live[site] == UNBOUNDED {
                self.out.growing.insert((site, place.clone()));
            }
            let add = |n: u32| {
                let more = n.saturating_add(amount);
                most.map_or(more, |most| more.min(most).max(n))
            };
            state.live[site] = add(state.live[site]);
            state.allocated[site] = add(state.allocated[site]);
            state.absent[site] = false;
            self.out.allocated[site] = self.out.allocated[site].max(state.allocated[site]);
        }
        states.values().for_each(|state| self.note(state));
    }

    fn free(&mut self, site: SiteIx, all: bool, states: &mut States) {
        self.out.freed.insert(site);
        for state in states.values_mut() {
            state.absent[site] = true;
            state.live[site] = match state.live[site] {
                _ if all => 0,
                UNBOUNDED => UNBOUNDED,
                n => n.saturating_sub(1),
            };
        }
        states.values().for_each(|state| self.note(state));
    }

    /// Notes who may be live without whom.
    fn note(&mut self, state: &State) {
        for (j, _) in state.live.iter().enumerate().filter(|(_, n)| **n > 0) {
            for (i, _) in state.absent.iter().enumerate().filter(|(_, absent)| **absent) {
                self.out.apart.insert((i, j));
            }
        }
    }
}

impl Flow {
    fn absorb(&mut self, other: Flow) {
        join_into(&mut self.next, other.next);
        join_into(&mut self.returns, other.returns);
        self.breaks.extend(other.breaks);
        self.continues.extend(other.continues);
    }
}

fn take_jumps(
    jumps: &mut Vec<(Option<String>, States)>,
    is_here: impl Fn(&Option<String>) -> bool,
) -> States {
    let mut here = States::new();
    for (_, states) in jumps.extract_if(.., |(to, _)| is_here(to)) {
        join_into(&mut here, states);
    }
    here
}

/// Calls `see` for every operation of a block, inner ones included.
pub(crate) fn for_each_op(block: &Block, see: &mut impl FnMut(&Op)) {
    for op in block {
        see(op);
        match op {
            Op::Branch(branches) => branches.iter().for_each(|b| for_each_op(b, see)),
            Op::Guarded(body) | Op::Scope { body, .. } | Op::Loop { body, .. } => {
                for_each_op(body, see);
            }
            _ => {}
        }
    }
}

/// How to state a bound on the objects of a site.
pub(crate) fn bound_hint(constant: &str) -> String {
    format!(
        "Say how many a task holds at most (the paper's stingy_count): \
         `const {constant}_COUNT: u32 = n;` beside the site, or `.alloc_n({constant}, n)` here"
    )
}
