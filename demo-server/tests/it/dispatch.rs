//! Workers of `experiment dispatch`: they do what they are told, and refuse what makes no sense.

use std::process::{Command, Output};

fn worker(line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo-server"));
    command.arg("dispatch-worker").args(line.split_whitespace());
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
pub(crate) fn two_cpus() -> Option<[usize; 2]> {
    let status =
        std::fs::read_to_string("/proc/thread-self/status").expect("a thread has a status");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let numbers = list.expect("a list of CPUs").split([',', '-']);
    let mut cpus = numbers.map(|cpu| cpu.trim().parse().expect("a number"));
    Some([cpus.next()?, cpus.next_back()?])
}

#[test]
fn dispatch_worker_does_as_many_units_as_it_is_told() {
    for by in ["stage", "color", "flat", "fifo"] {
        for case in ["known", "admitted", "opened", "transient"] {
            for live in [1, 64, 1000] {
                let line = format!("{case} --by {by} --live {live} --rounds 2");
                assert_eq!(units(&line), 2 << 14, "{line}");
            }
        }
    }
    assert_eq!(units("new --by boxes --rounds 2"), 2 << 12);
    for (case, by) in [("timer", "stage"), ("timer", "std"), ("rearm", "stage"), ("rearm", "std")] {
        assert_eq!(units(&format!("{case} --by {by} --live 100 --rounds 2")), 2 << 12);
    }
    for (by, stages, live) in [("stage", 1, 1), ("stage", 4096, 3), ("bare", 4, 100)] {
        let line = format!("election --by {by} --stages {stages} --live {live} --rounds 1");
        assert_eq!(units(&line), 1 << 12, "{line}");
    }
    assert!(units("work --by stage --live 3 --rounds 100") >= 100);
}

#[test]
fn program_runs_whole_on_two_cores_and_on_two_simulated_ones() {
    let cpus = two_cpus();
    for case in ["unbalanced", "balanced"] {
        for live in [1, 2, 101] {
            let rest = format!("--live {live} --rounds 2");
            assert_eq!(units(&format!("{case} --by simulated {rest}")), 8 * live, "{case} {live}");
            let Some([cpu, other]) = cpus else { continue };
            let line = format!("{case} --by mely {rest} --cpu {cpu} --other-cpu {other}");
            assert_eq!(units(&line), 8 * live, "{line}");
        }
    }
}

#[test]
fn thieves_shorten_a_program_whose_colors_have_one_home() {
    let makespan = |case: &str| {
        let answer = answer(&format!("{case} --by simulated --live 400 --ms 1"));
        assert_eq!(answer["values"][0][0], "makespan", "{answer}");
        answer["values"][0][1].as_f64().expect("a number")
    };
    // 400 colors of 4 events of 5 us.
    let (work_ns, unbalanced, balanced) = (8e6, makespan("unbalanced"), makespan("balanced"));
    assert!(unbalanced < 0.7 * work_ns, "{unbalanced} of {work_ns}");
    assert!((0.5 * work_ns..=unbalanced).contains(&balanced), "{balanced}, {unbalanced}");
}

#[test]
fn events_that_wait_for_a_stalled_core_are_timed_once_each() {
    let Some([cpu, other]) = two_cpus() else { return };
    for (case, by) in
        [("stall-waiting", "mely"), ("stall-waiting", "two"), ("no-stall-waiting", "two")]
    {
        let line = format!("{case} --by {by} --live 8 --rounds 3 --cpu {cpu} --other-cpu {other}");
        // What a busy machine has not run 200 ms after the last post is closed.
        assert!((1..=3 * 8).contains(&units(&line)), "{line}");
    }
}

#[cfg(feature = "peers")]
#[test]
fn peers_of_dispatch_do_the_same_work() {
    for by in ["tokio", "tokio-worker", "async-executor"] {
        for case in ["known", "new"] {
            assert_eq!(units(&format!("{case} --by {by} --live 64 --rounds 1")), 1 << 17);
        }
    }
    assert_eq!(units("new --by rayon --live 64 --rounds 2"), 2 << 17);
    assert_eq!(units("timer --by tokio --live 100 --rounds 2"), 2 << 12);
    assert_eq!(units("rearm --by tokio --live 100 --rounds 2"), 2 << 12);
}

#[cfg(not(feature = "peers"))]
#[test]
fn peer_of_dispatch_that_is_not_built_in_is_an_error_with_the_next_step() {
    for line in ["known --by tokio", "new --by rayon", "timer --by tokio"] {
        let output = worker(line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("--features peers"), "{line}: {said}");
    }
}

#[test]
fn idle_color_takes_more_than_its_state_and_less_than_a_page() {
    let answer = answer("memory --by stage --live 20000");
    assert_eq!(answer["units"], 20_000);
    let [metric, bytes] = &answer["values"][0].as_array().expect("a value")[..] else {
        panic!("{answer}");
    };
    let bytes = bytes.as_f64().expect("a number");
    assert!(metric == "bytes" && (8.0..4096.0).contains(&bytes), "{answer}");
}

#[test]
fn dispatch_orders_that_make_no_sense_are_refused() {
    let table = [
        ("known --by stage --live 0", "at least one that is live"),
        ("election --by stage --stages 0", "at least one stage"),
        ("election --by stage --stages 5000", "at most 4096 stages"),
        ("known --by std", "choose a pair"),
        ("new --by stage", "choose a pair"),
        ("unbalanced --by two", "choose a pair"),
        ("unbalanced --by mely", "give --cpu and --other-cpu"),
        ("memory --by mely", "choose a pair"),
        ("polling --by stage", "give --cpu and --other-cpu"),
        ("polling --by stage --cpu 4000 --other-cpu 4001", "CPU 4000"),
        ("known --by stage --cpu 4000", "CPU 4000"),
        ("known", "--by"),
        ("unknown --by stage", "unknown"),
        ("known --by nobody", "nobody"),
        ("known --by stage --ms 1 --rounds 1", "--rounds"),
    ];
    for (line, message) in table {
        let output = worker(line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(message), "{line}: {said}");
    }
    let cpu = crate::experiment::first_cpu();
    let output = worker(&format!("parked --by std --cpu {cpu} --other-cpu {cpu}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("not the same"), "{said}");
}
