//! What do thefts bring where a few events are long, and what do they cost where there is nothing to steal?
//!
//! Mely §5.2, Tables 3 and 4, on two cores. Ideal is the pure work of one thread, twice. `balanced-`: half of the
//! events begin on each core. `idle-thief-`: one core has short events only, the other looks for something worth a
//! theft.

use super::harpertown::Which;
use super::stealing::{Claim, Config, Plan};
use super::worker::{StealBy as By, StealCase as Case};
use super::{Outcome, Setup, stealing};

const fn of(name: &'static str, by: By) -> Config {
    Config::new(name, Case::Unbalanced, by)
}

const fn balanced(name: &'static str, by: By) -> Config {
    Config::new(name, Case::Balanced, by)
}

const fn idle(name: &'static str, by: By) -> Config {
    Config::new(name, Case::IdleThief, by)
}

/// The configurations, and what is said of them.
static PLAN: Plan = Plan {
    name: "unbalanced",
    ms: [100, 500],
    configs: &[
        of("bare-1", By::Bare),
        of("stage-one-core", By::OneCore),
        of("libasync", By::Libasync),
        of("libasync-ws", By::LibasyncWs),
        of("mely", By::None),
        of("mely-base", By::Base),
        of("mely-time-left", By::TimeLeft),
        of("mely-hand", By::Hand),
        of("mely-learned", By::Learned),
        of("stage-learned", By::StageLearned),
        of("stage-learned-again", By::StageLearned),
        of("rayon", By::Rayon),
        of("tokio", By::Tokio),
        balanced("balanced-no-steal", By::None),
        balanced("balanced-steal", By::Learned),
        idle("idle-thief-no-steal", By::None),
        idle("idle-thief-steal", By::Learned),
        of("hand-1s", By::Hand).after_a_second(),
        of("learned-1s", By::Learned).after_a_second(),
        of("hand-changed-1s", By::Hand).after_a_change(),
        of("learned-changed-1s", By::Learned).after_a_change(),
    ],
    claims: &[
        Claim::new("mely_vs_ideal", "stage-learned", "bare-1").twice(),
        Claim::new("mely_vs_own_twice", "stage-learned", "stage-one-core").twice(),
        Claim::new("mely_vs_rayon", "stage-learned", "rayon"),
        Claim::new("mely_vs_tokio", "stage-learned", "tokio"),
        Claim::new("mely_vs_libasync", "stage-learned", "libasync-ws").paper(2042.0, 122.0),
        Claim::new("aa_null", "stage-learned", "stage-learned-again"),
        Claim::new("libasync_ws_vs_none", "libasync-ws", "libasync").paper(122.0, 1310.0),
        Claim::new("base_vs_none", "mely-base", "mely").paper(1195.0, 1265.0),
        Claim::new("time_left_vs_base", "mely-time-left", "mely-base").paper(2042.0, 1195.0),
        Claim::new("learned_vs_hand", "mely-learned", "mely-hand"),
        Claim::new("stage_vs_color", "stage-learned", "mely-learned"),
        Claim::new("one_core_vs_bare", "stage-one-core", "bare-1"),
        Claim::new("balanced_steal_vs_none", "balanced-steal", "balanced-no-steal"),
        Claim::new("idle_thief_vs_none", "idle-thief-steal", "idle-thief-no-steal"),
        Claim::new("learned_vs_hand_1s", "learned-1s", "hand-1s"),
        Claim::new("relearned_vs_hand_1s", "learned-changed-1s", "hand-changed-1s"),
    ],
    paper: &[
        ("libasync", 1310.0),
        ("libasync-ws", 122.0),
        ("mely", 1265.0),
        ("mely-base", 1195.0),
        ("mely-time-left", 2042.0),
    ],
    counted: Some(("balanced_instructions_vs_none", ["balanced-steal", "balanced-no-steal"])),
    notes: &[
        "a round: 50 000 events of colors of their own, at home on the first core; 98 % work 100 cycles, the others \
         10 000 to 50 000; bare-1: the work alone in one thread; ratios to it and to stage-one-core are to twice its \
         rate",
        "stage-learned is what a user has who sets nothing, mely-learned the same on a queue a color; -hand: costs of stages set by hand, that of a theft \
         measured and fixed; -base: thefts as in Libasync-smp; -1s: from one second after the start on; -changed-1s: \
         from one second after the stages have exchanged what they do",
        "thefts are for each thousand events; theft_: how long one took, a look at the clock included; stolen_: the \
         work of stolen events; at_a_loss: the share of thefts that took longer than what they brought",
        "instructions of an event with its work, one thread giving turns to both cores and time passing with the work",
    ],
    simulated: Which::Unbalanced,
};

/// Runs the experiment.
pub(super) fn run(setup: &Setup) -> anyhow::Result<Outcome> {
    stealing::run(setup, &PLAN)
}

#[cfg(test)]
mod tests {
    #[test]
    fn plan_is_whole_and_tiny_windows_give_what_is_promised() {
        crate::experiment::stealing::tests::check(&super::PLAN);
    }
}
