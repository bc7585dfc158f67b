//! What does it bring to rob near cores first?
//!
//! Mely §5.2, Table 6, on two cores: there is one victim only, so that it can cost something but bring nothing.

use super::harpertown::Which;
use super::stealing::{Claim, Config, Plan};
use super::worker::{StealBy as By, StealCase as Case};
use super::{Outcome, Setup, stealing};

const fn of(name: &'static str, by: By) -> Config {
    Config::new(name, Case::CacheEfficient, by)
}

/// The configurations, and what is said of them.
static PLAN: Plan = Plan {
    name: "cache-efficient",
    ms: [200, 500],
    configs: &[
        of("libasync", By::Libasync),
        of("libasync-ws", By::LibasyncWs),
        of("mely", By::None),
        of("mely-base", By::Base),
        of("mely-locality", By::Locality),
        of("mely-locality-again", By::Locality),
        of("mely-hand", By::Hand),
        of("mely-learned", By::Learned),
        of("hand-1s", By::Hand).after_a_second(),
        of("learned-1s", By::Learned).after_a_second(),
        of("hand-changed-1s", By::Hand).after_a_change(),
        of("learned-changed-1s", By::Learned).after_a_change(),
    ],
    claims: &[
        Claim::new("locality_vs_base", "mely-locality", "mely-base").paper(1869.0, 1426.0),
        Claim::new("aa_null", "mely-locality", "mely-locality-again"),
        Claim::new("learned_vs_hand", "mely-learned", "mely-hand"),
        Claim::new("hand_vs_base", "mely-hand", "mely-base"),
        Claim::new("locality_vs_none", "mely-locality", "mely"),
        Claim::new("base_vs_none", "mely-base", "mely"),
        Claim::new("libasync_ws_vs_none", "libasync-ws", "libasync").paper(1497.0, 1156.0),
        Claim::new("learned_vs_hand_1s", "learned-1s", "hand-1s"),
        Claim::new("relearned_vs_hand_1s", "learned-changed-1s", "hand-changed-1s"),
    ],
    paper: &[
        ("libasync", 1156.0),
        ("libasync-ws", 1497.0),
        ("mely-base", 1426.0),
        ("mely-locality", 1869.0),
    ],
    counted: None,
    notes: &[
        "a round: 100 events A on the first core; A fills an array of a sixteenth of the L2, two events B of other \
         colors sort its halves, and the second of two events C, of A's color, merges them; an event is any of these",
        "-base: thefts as in Libasync-smp; -locality: the same, nearest victims first; -hand: all of Mely, costs set \
         by hand; -learned: nothing is set; -1s: from one second after the start on; -changed-1s: from one second \
         after the stages of B and C have exchanged what they do",
    ],
    simulated: Which::CacheEfficient,
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
