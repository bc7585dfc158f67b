//! How many of each object? (ISMM §3.1)
//!
//! Choose counts n so that instructions are fetched as seldom as possible:
//!
//! ```text
//! minimise    sum over stages  weight_s / m_s      m_s = min over needs of s of  n_i / c_is
//! subject to  strict:  sum over regions  slot_r * max n_i        <= budget
//!             paper:   per stage  sum_L size*n + sum_A size*c    <= budget
//!             n_i >= n_j where i dominates j;   n_i >= least_i
//! ```
//!
//! Branches on the batch m_s of each stage. Given all m_s the least n is a closure: what the
//! batches need, what one task needs, what dominance asks. Feasibility is monotone in m, so the
//! bound of an open stage is the largest batch that still fits, found by bisection.
//!
//! Differs: the paper looks at one stage at a time, but other tasks sit at other stages, and a
//! static map must hold all regions at once: [`Mode::Strict`] is what maps are made from. And its
//! objective takes every live object of a stage; here the needs of a stage are the objects that
//! its tasks surely hold and those that it allocates, as an object that some tasks lack does not
//! limit the others.

/// Which memory constraint holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All regions at once.
    Strict,
    /// The paper's: each stage by itself.
    Paper,
}

/// One kind of object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Bytes of a slot.
    pub slot: u64,
    /// The region it lies in.
    pub region: usize,
    /// What a single task may need to get through.
    pub least: u32,
}

/// What a stage asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// Cost of fetching its instructions once.
    pub weight: u32,
    /// Objects that each task of a batch needs, and how many.
    pub needs: Vec<(usize, u32)>,
    /// Objects that may be live before it: the paper's 𝓛.
    pub live: Vec<usize>,
    /// Objects it may allocate: the paper's 𝓐.
    pub alloc: Vec<(usize, u32)>,
}

/// An instance of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The objects.
    pub objects: Vec<Object>,
    /// The stages.
    pub stages: Vec<Demand>,
    /// Pairs (i, j) with n_i >= n_j.
    pub dominates: Vec<(usize, usize)>,
    /// Bytes for all objects.
    pub budget: u64,
    /// The largest batch that is of use.
    pub batch_max: u32,
    /// Which memory constraint holds.
    pub mode: Mode,
}

/// Counts, and what they are worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution {
    /// By object.
    pub counts: Vec<u32>,
    /// By stage: tasks that can run in one batch.
    pub batches: Vec<u32>,
    /// The objective, as [`cost`] counts it.
    pub cost: u128,
    /// Bytes of all regions.
    pub bytes: u64,
    /// Whether the search ran to its end. If not, the counts are feasible, but not proved best.
    pub optimal: bool,
}

/// No counts fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("one task at a time needs {needs} bytes, and there are {has}")]
pub struct TooSmall {
    /// Bytes that the least counts take.
    pub needs: u64,
    /// The budget.
    pub has: u64,
}

/// Nodes after which the search stops with the best found.
const NODES_MAX: u64 = 400_000;

/// Cost of a stage, in units of 2⁻³² of its weight, rounded down.
pub fn cost(weight: u32, batch: u32) -> u128 {
    (u128::from(weight) << 32) / u128::from(batch.max(1))
}

/// Solves an instance exactly.
///
/// # Errors
/// When even one task at a time does not fit.
pub fn solve(problem: &Problem) -> Result<Solution, TooSmall> {
    let least: Vec<u32> = problem.objects.iter().map(|o| o.least.max(1)).collect();
    let mut least = least;
    for stage in &problem.stages {
        stage.needs.iter().for_each(|&(i, c)| least[i] = least[i].max(c));
    }
    problem.close(&mut least);
    if !problem.fits(&least) {
        return Err(TooSmall { needs: problem.taken(&least), has: problem.budget });
    }
    let mut search = Search {
        problem,
        groups: groups(problem),
        best: least.clone(),
        best_cost: u128::MAX,
        nodes: 0,
    };
    search.branch(0, &least, 0);
    let counts = search.best;
    let batches: Vec<u32> =
        problem.stages.iter().map(|s| problem.batch(&s.needs, &counts)).collect();
    let cost = problem.stages.iter().zip(&batches).map(|(s, &m)| cost(s.weight, m)).sum();
    let bytes = problem.bytes(&counts);
    Ok(Solution { counts, batches, cost, bytes, optimal: search.nodes < NODES_MAX })
}

impl Problem {
    /// Raises counts until dominance holds.
    pub fn close(&self, counts: &mut [u32]) {
        let mut changed = true;
        while changed {
            changed = false;
            for &(i, j) in &self.dominates {
                if counts[i] < counts[j] {
                    counts[i] = counts[j];
                    changed = true;
                }
            }
        }
    }

    /// Whether the memory constraint holds.
    pub fn fits(&self, counts: &[u32]) -> bool {
        self.taken(counts) <= self.budget
    }

    /// The left side of the memory constraint; in [`Mode::Paper`] that of the worst stage.
    fn taken(&self, counts: &[u32]) -> u64 {
        if self.mode == Mode::Strict {
            return self.bytes(counts);
        }
        let size = |i: usize, n: u32| self.objects[i].slot.saturating_mul(n.into());
        let stage = |s: &Demand| {
            let live = s.live.iter().map(|&i| size(i, counts[i]));
            live.chain(s.alloc.iter().map(|&(i, c)| size(i, c))).fold(0, u64::saturating_add)
        };
        self.stages.iter().map(stage).max().unwrap_or(0)
    }

    /// Bytes of all regions.
    pub fn bytes(&self, counts: &[u32]) -> u64 {
        let regions = self.objects.iter().map(|o| o.region + 1).max().unwrap_or(0);
        let mut slots = vec![(0u64, 0u32); regions];
        for (object, &n) in self.objects.iter().zip(counts) {
            let region = &mut slots[object.region];
            *region = (region.0.max(object.slot), region.1.max(n));
        }
        slots.iter().fold(0, |sum, &(slot, n)| sum.saturating_add(slot.saturating_mul(n.into())))
    }

    /// Tasks of a stage that can run in one batch.
    pub fn batch(&self, needs: &[(usize, u32)], counts: &[u32]) -> u32 {
        let of = |&(i, c): &(usize, u32)| counts[i] / c.max(1);
        needs.iter().map(of).min().unwrap_or(self.batch_max).min(self.batch_max)
    }

    /// The least counts from `counts` up that give these needs a batch of `m`.
    fn raised(&self, counts: &[u32], needs: &[(usize, u32)], m: u32) -> Vec<u32> {
        let mut counts = counts.to_vec();
        for &(i, c) in needs {
            counts[i] = counts[i].max(c.saturating_mul(m));
        }
        self.close(&mut counts);
        counts
    }
}

/// Stages with the same needs have the same batch: one group, with their weights together.
struct Group<'p> {
    needs: &'p [(usize, u32)],
    weights: Vec<u32>,
}

impl Group<'_> {
    fn cost(&self, batch: u32) -> u128 {
        self.weights.iter().map(|&w| cost(w, batch)).sum()
    }
}

fn groups(problem: &Problem) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for stage in problem.stages.iter().filter(|s| !s.needs.is_empty()) {
        match groups.iter_mut().find(|g| g.needs == stage.needs) {
            Some(group) => group.weights.push(stage.weight),
            None => groups.push(Group { needs: &stage.needs, weights: vec![stage.weight] }),
        }
    }
    groups.sort_by_key(|g| std::cmp::Reverse(g.weights.iter().map(|&w| u64::from(w)).sum::<u64>()));
    groups
}

struct Search<'p> {
    problem: &'p Problem,
    groups: Vec<Group<'p>>,
    best: Vec<u32>,
    best_cost: u128,
    nodes: u64,
}

impl Search<'_> {
    /// Decides the groups from `at` on; `counts` are the least for those before, which cost
    /// `spent`.
    fn branch(&mut self, at: usize, counts: &[u32], spent: u128) {
        if self.nodes >= NODES_MAX {
            return;
        }
        self.nodes += 1;
        if at == self.groups.len() {
            if spent < self.best_cost {
                self.best_cost = spent;
                self.best = counts.to_vec();
            }
            return;
        }
        let rest: u128 =
            (at + 1..self.groups.len()).map(|g| self.groups[g].cost(self.largest(g, counts))).sum();
        let given = self.problem.batch(self.groups[at].needs, counts).max(1);
        for m in (given..=self.largest(at, counts)).rev() {
            let spent = spent + self.groups[at].cost(m);
            if spent + rest >= self.best_cost {
                break;
            }
            let raised = self.problem.raised(counts, self.groups[at].needs, m);
            self.branch(at + 1, &raised, spent);
        }
    }

    /// The largest batch of a group that fits if nothing else is raised.
    fn largest(&self, group: usize, counts: &[u32]) -> u32 {
        let needs = self.groups[group].needs;
        let (mut fits, mut beyond) = (1, self.problem.batch_max.saturating_add(1));
        while beyond - fits > 1 {
            let m = fits + (beyond - fits) / 2;
            if self.problem.fits(&self.problem.raised(counts, needs, m)) {
                fits = m;
            } else {
                beyond = m;
            }
        }
        fits
    }
}
