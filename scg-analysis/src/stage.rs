//! Which stage can follow which, and where are the cycles? The stage call graph of the paper
//! (ISMM §4.2.1), with the functions of a stage collapsed into its node.

use crate::facts::StageIx;

/// How a stage leads to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Edge {
    /// It asks for it.
    Event,
    /// It arms a timer for it, so it may follow any stage.
    Timer,
}

/// Stages and event edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageGraph {
    next: Vec<Vec<(StageIx, Edge)>>,
}

impl StageGraph {
    /// A graph of stages without edges.
    pub fn new(stages: usize) -> Self {
        StageGraph { next: vec![Vec::new(); stages] }
    }

    /// Adds an edge, once.
    pub fn add(&mut self, from: StageIx, to: StageIx, edge: Edge) {
        if let Err(at) = self.next[from].binary_search(&(to, edge)) {
            self.next[from].insert(at, (to, edge));
        }
    }

    /// The stages that may follow, in order.
    pub fn next(&self, stage: StageIx) -> &[(StageIx, Edge)] {
        &self.next[stage]
    }

    /// Whether nothing follows: the task ends here.
    pub fn is_terminal(&self, stage: StageIx) -> bool {
        self.next[stage].is_empty()
    }

    /// Strongly connected components (Tarjan), each sorted, those that others lead to first.
    pub fn components(&self) -> Vec<Vec<StageIx>> {
        let mut search = Tarjan {
            graph: self,
            index: vec![None; self.next.len()],
            low: vec![0; self.next.len()],
            on_stack: vec![false; self.next.len()],
            stack: Vec::new(),
            counter: 0,
            found: Vec::new(),
        };
        for stage in 0..self.next.len() {
            if search.index[stage].is_none() {
                search.from(stage);
            }
        }
        search.found
    }

    /// Whether the stage can follow itself.
    pub fn in_cycle(&self, stage: StageIx) -> bool {
        self.cycle(stage).is_some()
    }

    /// A shortest way from a stage back to itself: its stages, without the one at the end.
    pub fn cycle(&self, stage: StageIx) -> Option<Vec<StageIx>> {
        let mut from: Vec<Option<StageIx>> = vec![None; self.next.len()];
        let mut queue = std::collections::VecDeque::from([stage]);
        while let Some(at) = queue.pop_front() {
            for &(to, _) in &self.next[at] {
                if to == stage {
                    let mut way = vec![at];
                    while let Some(before) = way.last().and_then(|&w| from[w])
                        && way.last() != Some(&stage)
                    {
                        way.push(before);
                    }
                    way.reverse();
                    return Some(way);
                }
                if from[to].is_none() {
                    from[to] = Some(at);
                    queue.push_back(to);
                }
            }
        }
        None
    }
}

struct Tarjan<'g> {
    graph: &'g StageGraph,
    index: Vec<Option<usize>>,
    low: Vec<usize>,
    on_stack: Vec<bool>,
    stack: Vec<StageIx>,
    counter: usize,
    found: Vec<Vec<StageIx>>,
}

impl Tarjan<'_> {
    fn enter(&mut self, stage: StageIx) {
        self.index[stage] = Some(self.counter);
        self.low[stage] = self.counter;
        self.counter += 1;
        self.stack.push(stage);
        self.on_stack[stage] = true;
    }

    /// Depth first without recursion: `work` holds a stage and the edge to look at next.
    fn from(&mut self, start: StageIx) {
        self.enter(start);
        let mut work = vec![(start, 0)];
        while let Some((stage, edge)) = work.pop() {
            let Some(&(to, _)) = self.graph.next[stage].get(edge) else {
                self.leave(stage);
                if let Some(&(parent, _)) = work.last() {
                    self.low[parent] = self.low[parent].min(self.low[stage]);
                }
                continue;
            };
            work.push((stage, edge + 1));
            match self.index[to] {
                None => {
                    self.enter(to);
                    work.push((to, 0));
                }
                Some(index) if self.on_stack[to] => self.low[stage] = self.low[stage].min(index),
                Some(_) => {}
            }
        }
    }

    fn leave(&mut self, stage: StageIx) {
        if self.index[stage] != Some(self.low[stage]) {
            return;
        }
        let mut component = Vec::new();
        while let Some(top) = self.stack.pop() {
            self.on_stack[top] = false;
            component.push(top);
            if top == stage {
                break;
            }
        }
        component.sort_unstable();
        self.found.push(component);
    }
}
