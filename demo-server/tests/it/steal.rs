//! Workers of the experiments on stealing: they run whole rounds, the same every time, and refuse what makes no sense.

use std::process::{Command, Output};

fn worker(line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo-server"));
    command.arg("steal-worker").args(line.split_whitespace());
    command.output().expect("the program starts")
}

/// What a worker says.
fn answer(line: &str) -> serde_json::Value {
    let output = worker(line);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&text).expect("one line of JSON")
}

fn units(line: &str) -> u64 {
    answer(line)["units"].as_u64().expect("a number of units")
}

/// The first and the last CPU that we may use, if there are two.
fn two_cpus() -> Option<[usize; 2]> {
    let cpus = crate::dispatch::two_cpus()?;
    (cpus[0] != cpus[1]).then_some(cpus)
}

const POLICIES: [&str; 11] = [
    "one-core",
    "libasync",
    "libasync-ws",
    "none",
    "base",
    "time-left",
    "locality",
    "penalty",
    "hand",
    "learned",
    "stage-learned",
];

/// Events of a round for each color that it begins with.
const CASES: [(&str, u64); 5] = [
    ("unbalanced", 1),
    ("balanced", 1),
    ("idle-thief", 1),
    ("penalty", 10),
    ("cache-efficient", 5),
];

#[test]
fn every_event_of_every_round_runs_under_every_policy() {
    for (case, events) in CASES {
        for by in POLICIES {
            for change in ["", "--change"] {
                let line = format!("{case} --by {by} --colors 7 --rounds 3 {change}");
                assert_eq!(units(&line), 3 * 7 * events, "{line}");
            }
        }
    }
    assert_eq!(units("unbalanced --by bare --colors 700 --rounds 3"), 3 * 700);
}

#[test]
fn two_cores_run_whole_rounds_and_tell_a_rate() {
    let Some([cpu, other]) = two_cpus() else { return };
    for (case, events) in CASES {
        for by in POLICIES {
            let rest = format!("--colors 30 --ms 2 --cpu {cpu} --other-cpu {other}");
            let answer = answer(&format!("{case} --by {by} {rest}"));
            let units = answer["units"].as_u64().expect("a number of units");
            assert!(units > 0 && units.is_multiple_of(30 * events), "{case} by {by}: {answer}");
            assert_eq!(answer["values"][0][0], "rate", "{case} by {by}: {answer}");
            assert!(answer["values"][0][1].as_f64() > Some(0.0), "{case} by {by}: {answer}");
        }
    }
}

#[test]
fn thefts_are_made_by_the_policies_that_steal_and_by_no_others() {
    let Some([cpu, other]) = two_cpus() else { return };
    for (by, steals) in [("none", false), ("libasync", false), ("base", true), ("learned", true)] {
        let rest = format!("--colors 2000 --ms 40 --cpu {cpu} --other-cpu {other}");
        let answer = answer(&format!("unbalanced --by {by} {rest}"));
        let values = answer["values"].as_array().expect("values");
        let thefts = values.iter().find(|value| value[0] == "thefts").expect("a number of thefts");
        assert_eq!(thefts[1].as_f64() > Some(0.0), steals, "{by}: {answer}");
    }
}

#[cfg(feature = "peers")]
#[test]
fn peers_run_every_event_once() {
    for by in ["rayon", "tokio"] {
        assert_eq!(units(&format!("unbalanced --by {by} --colors 500 --rounds 3")), 1500, "{by}");
    }
}

#[cfg(not(feature = "peers"))]
#[test]
fn peer_of_unbalanced_that_is_not_built_in_is_an_error_with_the_next_step() {
    for by in ["rayon", "tokio"] {
        let output = worker(&format!("unbalanced --by {by} --rounds 1"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("--features peers"), "{by}: {said}");
    }
}

#[test]
fn steal_orders_that_make_no_sense_are_refused() {
    let table = [
        ("unbalanced --by learned --colors 0", "at least one color"),
        ("unbalanced --by learned", "give --cpu and --other-cpu"),
        ("unbalanced --by learned --cpu 0 --other-cpu 0", "not the same"),
        ("unbalanced --by learned --cpu 4000 --other-cpu 4001", "CPU 400"),
        ("unbalanced --by bare --cpu 4000", "CPU 4000"),
        ("penalty --by bare", "one of the policies"),
        ("cache-efficient --by rayon", "one of the policies"),
        ("unbalanced", "--by"),
        ("unknown --by learned", "unknown"),
        ("penalty --by nobody", "nobody"),
        ("penalty --by base --ms 1 --rounds 1", "--rounds"),
        ("penalty --by base --after 1 --rounds 1", "--rounds"),
    ];
    for (line, message) in table {
        let output = worker(line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(message), "{line}: {said}");
    }
}
