//! Which queues, which thefts, and which costs?
//!
//! | by | queues | thefts | cost of a theft | costs and penalties of stages |
//! |---|---|---|---|---|
//! | libasync, none | a list; a queue a color | none | - | learned |
//! | libasync-ws | a list | Libasync-smp's | 0 | learned |
//! | base, locality | a queue a color | Mely with no switch on; with that one alone | 0 | learned |
//! | time-left | a queue a color | time left alone | measured, then fixed | set by hand |
//! | penalty | a queue a color | penalty alone | 0 | set by hand |
//! | hand | a queue a color | Mely | measured, then fixed | set by hand |
//! | learned | a queue a color | Mely | learned | learned |
//! | stage-learned, one-core | stage by stage | Mely | learned | learned |

use std::time::Duration;

use color_sched::{CoreStats, Cost, NoSteal};
use mely_steal::{Libasync, Mely, Topology};

use super::{By, Change, StealArgs, Window};
use crate::experiment::worker::clock::Clock;
use crate::wiring::AnyStealer;

/// How long thefts are measured before their cost is set.
const MEASURED: Duration = Duration::from_millis(30);
/// What a theft is said to cost where there is no clock, in nanoseconds.
const STEAL_NS: u64 = 300;
/// What a theft is learned to cost from.
const START_NS: u64 = 1_000;

/// Where events wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queues {
    Flat,
    Color,
    Stage,
}

/// A policy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    by: By,
    pub(super) queues: Queues,
    pub(super) steal_cost: Cost,
}

/// Are the costs and penalties of stages set by hand?
pub(super) fn is_set_by_hand(by: By) -> bool {
    matches!(by, By::TimeLeft | By::Penalty | By::Hand)
}

/// Cores of its machine.
pub(super) fn cores(by: By) -> usize {
    if by == By::OneCore { 1 } else { super::rounds::CORES }
}

impl Policy {
    /// The policy of `args`. `rehearse` runs the load for a short time by another policy, and gives what its cores
    /// counted.
    pub(super) fn new(
        args: &StealArgs,
        window: Window,
        rehearse: impl FnOnce(&StealArgs, Window, &Policy) -> anyhow::Result<Vec<CoreStats>>,
    ) -> anyhow::Result<Policy> {
        let queues = match args.by {
            By::Libasync | By::LibasyncWs => Queues::Flat,
            By::StageLearned | By::OneCore => Queues::Stage,
            _ => Queues::Color,
        };
        let steal_cost = match args.by {
            By::LibasyncWs | By::Base | By::Locality | By::Penalty => Cost::fixed(0),
            // A theft takes none of a time that passes with the work.
            _ if matches!(window.clock, Clock::Rounds(_)) => Cost::fixed(STEAL_NS),
            By::TimeLeft | By::Hand => {
                let by = By::Learned;
                let steal_cost = Cost::learned(START_NS);
                let learned = Policy { by, queues: Queues::Color, steal_cost };
                let after = Duration::ZERO;
                let short = Window { clock: Clock::Time(MEASURED), after, change: Change::Never };
                let stats = rehearse(&StealArgs { by, ..args.clone() }, short, &learned)?;
                Cost::fixed(measured_ns(&stats))
            }
            _ => Cost::learned(START_NS),
        };
        Ok(Policy { by: args.by, queues, steal_cost })
    }

    /// Who plans its thefts.
    pub(super) fn stealer(&self, cpus: &[Option<usize>]) -> AnyStealer {
        let known: Option<Vec<usize>> = cpus.iter().copied().collect();
        let known = known.and_then(|cpus| Topology::detect(&cpus).ok());
        let all = Mely::new(known.unwrap_or_else(|| Topology::uniform(cpus.len())));
        let none = all.clone().locality(false).time_left(false).penalty(false);
        match self.by {
            By::LibasyncWs => AnyStealer::Libasync(Libasync::new()),
            By::Base => AnyStealer::Mely(none),
            By::TimeLeft => AnyStealer::Mely(none.time_left(true)),
            By::Locality => AnyStealer::Mely(none.locality(true)),
            By::Penalty => AnyStealer::Mely(none.penalty(true)),
            By::OneCore | By::Hand | By::Learned | By::StageLearned => AnyStealer::Mely(all),
            By::Libasync | By::None | By::Bare | By::Rayon | By::Tokio => AnyStealer::None(NoSteal),
        }
    }
}

/// What a theft cost the core that stole most.
fn measured_ns(stats: &[CoreStats]) -> u64 {
    let thief = stats.iter().max_by_key(|stats| stats.thefts);
    thief.map_or(STEAL_NS, |thief| thief.steal_cost_ns.max(1))
}
