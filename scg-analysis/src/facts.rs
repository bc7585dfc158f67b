//! What a front-end found out: stages, sites, and functions reduced to what matters here. No
//! language, no syntax tree; a front-end for another language makes the same facts.

use crate::site::Site;
use crate::{Diagnostic, Place};

/// Index of a function in [`Facts::functions`].
pub type FunctionIx = usize;
/// Index of a stage in [`Facts::stages`]: its id in the map.
pub type StageIx = usize;
/// Index of a site in [`Facts::sites`]: its id in the map.
pub type SiteIx = usize;

/// A program, as far as this analysis is concerned.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The stages, by id.
    pub stages: Vec<StageFact>,
    /// The allocation sites, by id.
    pub sites: Vec<Site>,
    /// Every function that has a body.
    pub functions: Vec<Function>,
}

/// A stage and the function that runs it.
#[derive(Debug, Clone)]
pub struct StageFact {
    /// The name in the map.
    pub name: String,
    /// The function that handles an event of this stage.
    pub entry: FunctionIx,
    /// What its first instruction fetch costs, compared to the others'.
    pub weight: u32,
}

/// One function.
#[derive(Debug, Clone)]
pub struct Function {
    /// The name, for people.
    pub name: String,
    /// Where it begins.
    pub place: Place,
    /// What it does.
    pub body: Block,
    /// Findings that matter only if a stage reaches the function.
    pub diagnostics: Vec<Diagnostic>,
}

/// Operations in the order in which they run.
pub type Block = Vec<Op>;

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Allocates objects.
    Alloc {
        /// Of this site.
        site: SiteIx,
        /// So many.
        amount: u32,
        /// A task never holds more of them after it, however often it runs.
        most: Option<u32>,
        /// Here.
        place: Place,
    },
    /// Frees one object of a site, if the task holds any.
    Free(SiteIx),
    /// The task holds no object of this site from here on.
    FreeAll(SiteIx),
    /// Asks for another stage to run after this one.
    Post {
        /// That stage.
        stage: StageIx,
        /// It may run after any stage: a timer asks for it.
        timer: bool,
    },
    /// The task ends here, and everything it holds is freed.
    Close,
    /// Calls one of these functions.
    Call(Vec<FunctionIx>, Place),
    /// Runs exactly one of these.
    Branch(Vec<Block>),
    /// Runs a block; what returns or breaks out of it goes on after it.
    Scope {
        /// Breaks that name this label end here.
        label: Option<String>,
        /// Returns end here: the body of a closure.
        returns: bool,
        /// The block.
        body: Block,
    },
    /// Runs a block only where a place was found empty that the block fills: of each site that it
    /// allocates, the task then holds one object at most.
    Guarded(Block),
    /// Runs a block again and again.
    Loop {
        /// How often.
        times: Times,
        /// Its label.
        label: Option<String>,
        /// The block.
        body: Block,
        /// Sites of which the task holds nothing once the loop has run out: it frees one object
        /// a turn, as long as there are any.
        drains: Vec<SiteIx>,
        /// Where it begins.
        place: Place,
    },
    /// Leaves the function.
    Return,
    /// Leaves a loop or a labelled block.
    Break(Option<String>),
    /// Begins the next turn of a loop.
    Continue(Option<String>),
}

/// How often a loop runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// Any number of times, none included.
    Any,
    /// Until a break.
    Forever,
    /// So many times, unless it breaks.
    Exactly(u32),
}
