//! The experiments' parts: the order of windows, the report's form, wrk's words, and processes that
//! leave nothing behind.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use demo_server::experiment::{
    Accountant, Better, Comparison, ExperimentArgs, Finding, Measurement, Name, Paired, Process,
    Report, WrkError, WrkReport, run,
};
use demo_server::interval::Interval;
use proptest::prelude::*;

const PAIR: Comparison = Comparison { of: "a", to: "b", x: 64 };
const RATIO: Finding =
    Finding { id: "a_vs_b", of: "a", to: "b", x: None, metric: "rate", better: Better::Higher };

fn rate(value: f64) -> Result<Measurement, String> {
    Ok(Measurement(vec![("rate", "1/s", value)]))
}

#[test]
fn blocks_go_there_and_back_and_then_the_other_way_round() {
    let (mut paired, mut order) = (Paired::default(), String::new());
    for comparison in [&PAIR, &PAIR, &Comparison { x: 256, ..PAIR }, &PAIR] {
        let block = paired.block(comparison, |name, _| {
            order.push_str(name);
            rate(1.0)
        });
        assert_eq!(block, Ok(()));
        order.push(' ');
    }
    assert_eq!(order, "abba baab abba abba ");
}

#[test]
fn error_ends_a_block_and_leaves_none_of_its_windows() {
    let (mut paired, mut windows) = (Paired::default(), 0);
    let block = paired.block(&PAIR, |_, _| {
        windows += 1;
        if windows < 3 { rate(1.0) } else { Err("lost".to_string()) }
    });
    assert_eq!((block, windows), (Err("lost".into()), 3));
    assert_eq!(paired.ratio(&RATIO), None);
}

#[test]
fn ratio_takes_the_pairs_of_its_own_comparison_and_points() {
    let mut paired = Paired::default();
    let values = |a: f64, b: f64| move |name: &str, _: u64| rate(if name == "a" { a } else { b });
    paired.block(&PAIR, values(3.0, 1.0)).expect("measured");
    paired.block(&Comparison { x: 256, ..PAIR }, values(5.0, 1.0)).expect("measured");
    paired.block(&Comparison { to: "c", ..PAIR }, values(9.0, 1.0)).expect("measured");
    let of = |finding: &Finding| {
        paired.ratio(finding).map(|ratio| (ratio.median, ratio.low, ratio.high))
    };
    assert_eq!(of(&RATIO), Some((4.0, 3.0, 5.0)));
    assert_eq!(of(&Finding { x: Some(64), ..RATIO }), Some((3.0, 3.0, 3.0)));
    assert_eq!(of(&Finding { x: Some(256), ..RATIO }), Some((5.0, 5.0, 5.0)));
    assert_eq!(of(&Finding { x: Some(1), ..RATIO }), None);
    assert_eq!(of(&Finding { to: "c", ..RATIO }), Some((9.0, 9.0, 9.0)));
    assert_eq!(of(&Finding { metric: "heat", ..RATIO }), None);
    let mut report = Report::measured("test");
    paired.rows(&mut report);
    let rows: Vec<(&str, u64, f64, usize)> =
        report.rows.iter().map(|row| (row.config.as_str(), row.x, row.median, row.n)).collect();
    assert_eq!(
        rows,
        [
            ("a", 64, 6.0, 4),
            ("b", 64, 1.0, 2),
            ("a", 256, 5.0, 2),
            ("b", 256, 1.0, 2),
            ("c", 64, 1.0, 2)
        ]
    );
}

/// The form that other tools read, letter by letter.
#[test]
fn report_is_written_as_the_design_has_it() {
    let mut report = Report::measured("nginx");
    report.machine = "here".into();
    report.row("ours", 64, "rate", "1/s", Interval { median: 2.5, low: 2.0, high: 3.0, n: 4 });
    let mut paired = Paired::default();
    paired.block(&PAIR, |name, _| rate(if name == "a" { 3.0 } else { 2.0 })).expect("measured");
    report.ratios.extend(paired.ratio(&RATIO));
    report.ratios.extend(paired.ratio(&Finding { better: Better::Lower, ..RATIO }));
    report.note("so");
    let json = report.to_json().expect("plain data");
    let flat: String = json.split_whitespace().collect();
    let ratio = |better: &str| {
        format!(
            r#"{{"id":"a_vs_b","of":"a","to":"b","metric":"rate","better":"{better}","median":1.5,"low":1.5,"high":1.5}}"#
        )
    };
    let expected = format!(
        r#"{{"experiment":"nginx","machine":"here","simulated":false,"rows":[{{"config":"ours","x":64,"metric":"rate","unit":"1/s","median":2.5,"low":2.0,"high":3.0,"n":4}}],"ratios":[{},{}],"notes":["so"]}}"#,
        ratio("higher"),
        ratio("lower")
    );
    assert_eq!(flat, expected);
    assert_eq!(serde_json::from_str::<Report>(&json).expect("its own form"), report);
}

#[test]
fn table_has_a_line_for_each_configuration_and_point() {
    let mut report = Report::measured("nginx");
    assert!(report.machine.contains("Linux"), "{}", report.machine);
    let value = |median| Interval { median, low: median, high: median, n: 2 };
    report.row("ours", 64, "rate", "1/s", value(123_456.7));
    report.row("ours", 256, "rate", "1/s", value(99.5));
    report.row("ours", 64, "latency", "us", value(1.25));
    report.note("so");
    let table = report.to_string();
    let lines: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(lines.contains(&vec!["config", "x", "rate", "[1/s]", "latency", "[us]"]), "{table}");
    assert!(lines.contains(&vec!["ours", "64", "123457", "1.250"]), "{table}");
    assert!(lines.contains(&vec!["ours", "256", "99.50", "-"]), "{table}");
    assert!(lines.contains(&vec!["note:", "so"]), "{table}");
}

const WRK: &str = "Running 1s test @ http://127.0.0.1:18099/f
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.04ms  215.01us   3.16ms   91.81%
    Req/Sec    61.86k     3.18k   65.40k    70.00%
  Latency Distribution
     50%    0.98ms
     75%    1.04ms
     90%    1.17ms
     99%    2.10ms
  61303 requests in 1.00s, 73.90MB read
Requests/sec:  61173.92
Transfer/sec:     73.74MB
";

#[test]
fn words_of_wrk_are_read() {
    let report = WrkReport::parse(WRK).expect("what wrk 4.1.0 printed");
    assert_eq!((report.requests, report.requests_per_second), (61303, 61173.92));
    assert_eq!((report.p50, report.p99), (Duration::from_micros(980), Duration::from_micros(2100)));
    assert!(report.faults.is_empty());
}

#[test]
fn errors_that_wrk_saw_are_kept() {
    let errors = "  Socket errors: connect 0, read 3, write 0, timeout 1\n  Non-2xx or 3xx responses: 7\nRequests/sec:";
    let report =
        WrkReport::parse(&WRK.replace("Requests/sec:", errors)).expect("what wrk 4.1.0 prints");
    assert_eq!(
        report.faults,
        ["Socket errors: connect 0, read 3, write 0, timeout 1", "Non-2xx or 3xx responses: 7"]
    );
}

#[test]
fn times_of_wrk_have_their_units() {
    let table = [
        ("0.98ms", 980_000),
        ("88.00us", 88_000),
        ("1.50s", 1_500_000_000),
        ("2.00m", 120_000_000_000),
    ];
    for (text, ns) in table {
        let report = WrkReport::parse(&WRK.replace("0.98ms", text)).expect("a known unit");
        assert_eq!(report.p50.as_nanos(), ns, "{text}");
    }
}

#[test]
fn words_that_are_not_those_of_wrk_are_refused() {
    let table = [
        ("", WrkError::Missing("requests in")),
        ("unable to connect to 127.0.0.1:1 Connection refused", WrkError::Missing("requests in")),
        (&WRK.replace("Requests/sec", "R"), WrkError::Missing("Requests/sec:")),
        (&WRK.replace("99%", "x"), WrkError::Missing("99%")),
        (&WRK.replace("61303", "many"), WrkError::Malformed("requests in")),
        (&WRK.replace("61173.92", "fast"), WrkError::Malformed("Requests/sec:")),
        (&WRK.replace("0.98ms", "-1.00ms"), WrkError::Malformed("50%")),
        (&WRK.replace("2.10ms", "2.10parsecs"), WrkError::Malformed("99%")),
    ];
    for (text, error) in table {
        assert_eq!(WrkReport::parse(text), Err(error), "{text}");
    }
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

/// The first CPU that we may use ourselves.
pub(crate) fn first_cpu() -> usize {
    let status = fs::read_to_string("/proc/thread-self/status").expect("a thread has a status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .expect("a list of CPUs");
    line.trim().split([',', '-']).next().and_then(|cpu| cpu.parse().ok()).expect("a number")
}

fn start(script: &str, dir: &Path) -> Process {
    Process::start("test", &shell(script), &[first_cpu()], dir).expect("a shell")
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < until, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Neither running nor about to: what has ended and was not waited for yet does not count.
fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}

/// Starts a shell that prints the number of what it has started, and returns both.
fn start_with_child(script: &str, dir: &Path) -> (Process, u32) {
    let process = start(script, dir);
    wait_until("the shell has printed a number", || process.output().ends_with('\n'));
    let child = process.output().trim().parse().expect("a number");
    assert!(is_alive(process.pid()) && is_alive(child));
    (process, child)
}

#[test]
fn guard_ends_a_process_and_all_it_has_started() {
    let dir = tempfile::tempdir().expect("a directory");
    let (process, child) = start_with_child("sleep 60 & echo $!; wait", dir.path());
    let pid = process.pid();
    drop(process);
    assert!(!is_alive(pid));
    wait_until("the child has ended", || !is_alive(child));
}

#[test]
fn guard_ends_what_an_ended_process_has_left_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    let (process, child) = start_with_child("sleep 60 & echo $!; sleep 0.3; exit 7", dir.path());
    wait_until("the shell has ended", || process.ended().expect("our child").is_some());
    assert_eq!(
        process.ended().ok().flatten().map(|ended| ended.to_string()).as_deref(),
        Some("exit status 7")
    );
    assert!(is_alive(child));
    drop(process);
    wait_until("the child has ended", || !is_alive(child));
}

#[test]
fn process_that_will_not_end_is_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    let (process, child) = start_with_child(
        "trap '' TERM; sleep 60 & echo $!; for i in 1 2 3 4 5 6; do sleep 10; done",
        dir.path(),
    );
    let pid = process.pid();
    drop(process);
    assert!(!is_alive(pid));
    wait_until("the child has ended", || !is_alive(child));
}

#[test]
fn process_runs_where_it_was_put_and_we_stay_where_we_were() {
    let cpus = || {
        let status = fs::read_to_string("/proc/thread-self/status").expect("a thread has a status");
        status.lines().find(|line| line.starts_with("Cpus_allowed_list")).map(String::from)
    };
    let (before, dir) = (cpus(), tempfile::tempdir().expect("a directory"));
    let process = start("grep Cpus_allowed_list /proc/self/status", dir.path());
    wait_until("grep has ended", || process.ended().expect("our child").is_some());
    assert_eq!(
        process.output().split_whitespace().collect::<Vec<_>>(),
        ["Cpus_allowed_list:", "0"]
    );
    assert_eq!(cpus(), before);
}

#[test]
fn process_that_is_given_no_cpus_runs_where_we_do() {
    let cpus = |text: String| {
        text.lines().find(|line| line.starts_with("Cpus_allowed_list")).map(String::from)
    };
    let dir = tempfile::tempdir().expect("a directory");
    let command = shell("grep Cpus_allowed_list /proc/self/status");
    let process = Process::start("test", &command, &[], dir.path()).expect("a shell");
    wait_until("grep has ended", || process.ended().expect("our child").is_some());
    let ours = fs::read_to_string("/proc/thread-self/status").expect("a thread has a status");
    assert_eq!(cpus(process.output()), cpus(ours));
}

#[test]
fn process_has_the_environment_of_its_command() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = shell("echo $GIVEN-$PATH_TAKEN");
    command.env("GIVEN", "yes").env_remove("PATH_TAKEN");
    let process = Process::start("test", &command, &[first_cpu()], dir.path()).expect("a shell");
    wait_until("it has ended", || process.ended().expect("our child").is_some());
    assert_eq!(process.output().trim(), "yes-");
}

#[test]
fn program_that_is_not_there_is_an_error_with_its_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let started =
        Process::start("test", &Command::new("/nowhere/at-all"), &[first_cpu()], dir.path());
    // Behind `setpriv` it is `setpriv` that starts, and says so.
    match started {
        Err(error) => assert!(error.to_string().contains("test"), "{error}"),
        Ok(process) => {
            wait_until("it has ended", || process.ended().expect("our child").is_some());
            assert!(process.last_words().contains("/nowhere/at-all"), "{}", process.last_words());
        }
    }
}

#[test]
fn work_of_a_grandchild_is_counted_to_the_process_that_began_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut accountant = Accountant::new().expect("a /proc");
    let (process, _) = start_with_child("(while :; do :; done & echo $!; wait) & wait", dir.path());
    let before = accountant.sample(&[process.pid()]).expect("it runs");
    let begun = Instant::now();
    thread::sleep(Duration::from_millis(400));
    let after = accountant.sample(&[process.pid()]).expect("it runs");
    let (spent, elapsed) = (after[0].cpu_since(&before[0]), begun.elapsed());
    assert!(spent > Duration::from_millis(20), "{spent:?} of {elapsed:?}");
    assert!(spent < elapsed + Duration::from_millis(20), "{spent:?} of {elapsed:?}");
    assert!(after[0].resident_bytes > 100_000);
}

#[test]
fn sleeping_process_has_used_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut accountant = Accountant::new().expect("a /proc");
    let (process, _) = start_with_child("sleep 60 & echo $!; wait", dir.path());
    thread::sleep(Duration::from_millis(100));
    let before = accountant.sample(&[process.pid()]).expect("it runs");
    thread::sleep(Duration::from_millis(200));
    let after = accountant.sample(&[process.pid()]).expect("it runs");
    assert!(after[0].cpu_since(&before[0]) < Duration::from_millis(5));
}

#[test]
fn work_of_a_thread_that_has_ended_is_not_lost() {
    let mut accountant = Accountant::new().expect("a /proc");
    let us = std::process::id();
    let before = accountant.sample(&[us]).expect("we run");
    thread::spawn(|| {
        let on_cpu_ns = || -> u64 {
            let text =
                fs::read_to_string("/proc/thread-self/schedstat").expect("a thread has its times");
            text.split_whitespace().next().and_then(|ns| ns.parse().ok()).expect("a number")
        };
        while on_cpu_ns() < 300_000_000 {}
    })
    .join()
    .expect("it only counts");
    let after = accountant.sample(&[us]).expect("we run");
    assert!(after[0].cpu_since(&before[0]) >= Duration::from_millis(280));
}

#[test]
fn ended_process_cannot_be_sampled() {
    let mut accountant = Accountant::new().expect("a /proc");
    assert!(accountant.sample(&[u32::MAX / 4]).is_err());
}

#[test]
fn cpu_that_is_not_ours_is_refused() {
    let args = ExperimentArgs {
        name: Name::Nginx,
        quick: true,
        json: None,
        server_cpu: Some(4000),
        load_cpu: None,
    };
    let error = run(&args).expect_err("no machine has so many");
    assert!(error.to_string().contains("CPU 4000"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn even_drift_does_not_move_a_ratio(truth in 0.1..10.0f64, drift in -0.01..0.01f64, blocks in 1..12usize) {
        let (mut paired, mut time) = (Paired::default(), 0.0);
        for _ in 0..blocks {
            let block = paired.block(&PAIR, |name, _| {
                time += 1.0;
                rate((1.0 + drift * time) * if name == "a" { truth } else { 1.0 })
            });
            prop_assert_eq!(block, Ok(()));
        }
        let ratio = paired.ratio(&RATIO).expect("blocks were measured");
        prop_assert!((ratio.median / truth - 1.0).abs() < 1e-3, "{:?}", ratio);
    }

    #[test]
    fn arbitrary_words_never_panic(text in "(?s).{0,200}") {
        let _ = WrkReport::parse(&text);
        let _ = WrkReport::parse(&WRK.replace("2.10ms", &text).replace("61303", &text));
    }
}
