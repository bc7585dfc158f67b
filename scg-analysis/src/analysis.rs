//! Everything found, in one value.

use crate::diagnostic::settle;
use crate::facts::{Facts, SiteIx, StageIx};
use crate::lifetime::{Lifetimes, lifetimes};
use crate::share::Interference;
use crate::site::Site;
use crate::{AnalyseError, Diagnostic, Place, Source, front};

/// Stages, sites, live sets: what `memwalk` prints and what a map is made from.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// The stages, by id.
    pub stages: Vec<Stage>,
    /// The sites, by id.
    pub sites: Vec<Site>,
    /// The graph of stages, live sets, dominance.
    pub lifetimes: Lifetimes,
    /// Who is held together with whom.
    pub interference: Interference,
    /// What to know about the result.
    pub warnings: Vec<Diagnostic>,
    functions: Vec<(String, Place)>,
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The name in the map.
    pub name: String,
    /// What its first instruction fetch costs, compared to the others'.
    pub weight: u32,
    /// Where its function begins.
    pub place: Place,
}

/// Analyses the Rust sources of one server. The conventions that they keep are in the
/// [crate's documentation](crate).
///
/// # Errors
/// When a source does not parse or breaks a convention, when objects have no bound, or when a task
/// ends without freeing them. All errors are reported, each with its line and the next step.
pub fn analyse(sources: &[Source]) -> Result<Analysis, AnalyseError> {
    let (facts, found) = front::rust::read(sources)?;
    Analysis::of(facts, found)
}

impl Analysis {
    /// Analyses the facts of a front-end, which found `found` so far.
    ///
    /// # Errors
    /// As [`analyse`].
    pub fn of(facts: Facts, mut found: Vec<Diagnostic>) -> Result<Analysis, AnalyseError> {
        let (lifetimes, more) = lifetimes(&facts);
        found.extend(more);
        let interference = Interference::of(&lifetimes.stages);
        let entry = |s: &crate::facts::StageFact| facts.functions[s.entry].place.clone();
        let stages: Vec<Stage> = facts
            .stages
            .iter()
            .map(|s| Stage { name: s.name.clone(), weight: s.weight, place: entry(s) })
            .collect();
        let functions = facts.functions.into_iter().map(|f| (f.name, f.place)).collect();
        let mut analysis = Analysis {
            stages,
            sites: facts.sites,
            lifetimes,
            interference,
            warnings: Vec::new(),
            functions,
        };
        found.extend(analysis.reservations());
        analysis.warnings = settle(found)?;
        Ok(analysis)
    }

    /// Sites that some stage allocates, in order of their ids.
    pub fn used_sites(&self) -> Vec<SiteIx> {
        let alloc =
            |site| self.lifetimes.stages.iter().any(|s| s.alloc.iter().any(|a| a.0 == site));
        (0..self.sites.len()).filter(|&site| alloc(site)).collect()
    }

    /// Functions that a stage may run, by name and place.
    pub fn functions(&self, stage: StageIx) -> impl Iterator<Item = &(String, Place)> {
        self.lifetimes.stages[stage].functions.iter().map(|&f| &self.functions[f])
    }

    fn reservations(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let used = self.used_sites();
        for (i, site) in self.sites.iter().enumerate().filter(|(i, _)| !used.contains(i)) {
            let message = format!(
                "no stage allocates `{}` (site {i}): it is left out of the map; remove it, or \
                 allocate it as `.alloc({})`",
                site.name, site.constant
            );
            found.push(Diagnostic::warning(&site.place, message));
        }
        for &(i, _) in self.interference.waits.iter().filter(|(i, j)| i == j) {
            let site = &self.sites[i];
            let message = format!(
                "a stage may hold a `{}` and wait for another: tasks that all do so wait for each \
                 other. Let the stage that goes on be another one than the stage that allocates, \
                 or keep the allocator's escape on",
                site.name
            );
            found.push(Diagnostic::warning(&site.place, message));
        }
        let alone: Vec<usize> = (0..self.sites.len()).collect();
        if let Some(circle) = self.interference.circle(&alone)
            && let [first, _, ..] = circle.as_slice()
        {
            let names: Vec<&str> = circle.iter().map(|&i| self.sites[i].name.as_str()).collect();
            let message = format!(
                "tasks may hold one of {} and wait for the next, in a circle; allocate them in \
                 one order, or keep the allocator's escape on",
                names.join(", ")
            );
            found.push(Diagnostic::warning(&self.sites[*first].place, message));
        }
        found
    }
}
