//! What does it bring to leave colors where their memory is warm?
//!
//! Mely §5.2, Table 5, on two cores.

use super::harpertown::Which;
use super::stealing::{Claim, Config, Plan};
use super::worker::{StealBy as By, StealCase as Case};
use super::{Outcome, Setup, stealing};

const fn of(name: &'static str, by: By) -> Config {
    Config::new(name, Case::Penalty, by)
}

/// The configurations, and what is said of them.
static PLAN: Plan = Plan {
    name: "penalty",
    ms: [200, 500],
    configs: &[
        of("libasync", By::Libasync),
        of("libasync-ws", By::LibasyncWs),
        of("mely", By::None),
        of("mely-base", By::Base),
        of("mely-penalty", By::Penalty),
        of("mely-penalty-again", By::Penalty),
        of("mely-hand", By::Hand),
        of("mely-learned", By::Learned),
        of("hand-1s", By::Hand).after_a_second(),
        of("learned-1s", By::Learned).after_a_second(),
        of("hand-changed-1s", By::Hand).after_a_change(),
        of("learned-changed-1s", By::Learned).after_a_change(),
    ],
    claims: &[
        Claim::new("penalty_vs_base", "mely-penalty", "mely-base").paper(2122.0, 1386.0),
        Claim::new("aa_null", "mely-penalty", "mely-penalty-again"),
        Claim::new("learned_vs_hand", "mely-learned", "mely-hand"),
        Claim::new("hand_vs_base", "mely-hand", "mely-base"),
        Claim::new("penalty_vs_none", "mely-penalty", "mely"),
        Claim::new("base_vs_none", "mely-base", "mely"),
        Claim::new("libasync_ws_vs_none", "libasync-ws", "libasync").paper(190.0, 1103.0),
        Claim::new("learned_vs_hand_1s", "learned-1s", "hand-1s"),
        Claim::new("relearned_vs_hand_1s", "learned-changed-1s", "hand-changed-1s"),
    ],
    paper: &[
        ("libasync", 1103.0),
        ("libasync-ws", 190.0),
        ("mely-base", 1386.0),
        ("mely-penalty", 2122.0),
    ],
    counted: None,
    notes: &[
        "a round: 2000 events A of colors of their own, at home on the first core; A writes an array of a quarter of \
         the L2, and nine events B of its color, one after the other, go through it; an event is an A or a B",
        "-base: thefts as in Libasync-smp; -penalty: those with the most time left by penalty, 1000 for B; -hand: all \
         of Mely, costs and penalties set by hand; -learned: nothing is set; -1s: from one second after the start on; \
         -changed-1s: from one second after the stages have exchanged what they do",
    ],
    simulated: Which::Penalty,
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
