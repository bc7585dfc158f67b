//! What a server says about itself besides its counters: times of events, and a trace of what its cores did.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Server, eventually, tree};

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary directory has a plain name")
}

/// The names of the spans of a kind, over all cores.
fn names<'a>(trace: &'a Value, kind: &str) -> BTreeSet<&'a str> {
    let spans = trace["traceEvents"].as_array().expect("a list of spans");
    spans
        .iter()
        .filter(|span| span["cat"] == kind)
        .filter_map(|span| span["name"].as_str())
        .collect()
}

#[test]
fn a_trace_names_the_stages_that_ran_on_each_core() {
    let root = tree(&[("a.txt", b"a"), ("c.toml", b"")]);
    let (file, config) = (root.path().join("trace.json"), root.path().join("c.toml"));
    fs::write(&config, format!("trace = '{}'", text(&file))).unwrap();
    let by_line = ["--cores", "0,1", "--trace", text(&file)];
    let by_file = ["--config", text(&config)];
    for (signal, options) in [("-INT", &by_line[..]), ("-TERM", &by_file)] {
        fs::write(&file, "what was there before").unwrap();
        let server = Server::start(root.path(), options);
        for _ in 0..20 {
            assert_eq!(server.get("/a.txt").body, b"a", "{options:?}");
        }
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "{options:?}");
        let trace: Value = serde_json::from_slice(&fs::read(&file).unwrap()).expect("it is JSON");
        let stages = names(&trace, "batch");
        for stage in ["open", "receive", "parse", "lookup", "respond", "finish"] {
            assert!(stages.contains(stage), "{options:?}: {stage} is not among {stages:?}");
        }
        assert!(names(&trace, "wait").contains("wait"), "{options:?}");
    }
}

#[test]
fn a_trace_that_does_not_fit_on_the_disk_is_a_failure_that_says_so() {
    let root = tree(&[("a.txt", b"a")]);
    let server = Command::new(env!("CARGO_BIN_EXE_demo-server"))
        .args(["serve", "--root", text(root.path()), "--http", "127.0.0.1:0"])
        .args(["--trace", "/dev/full"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let pid = server.id().to_string();
    std::thread::sleep(Duration::from_millis(500));
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let output = server.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--trace /dev/full: ") && said.contains("No space left"), "{said}");
    assert!(!said.contains("perfetto.dev opens it"), "{said}");
}

#[test]
fn a_server_whose_log_nobody_reads_any_more_stops_when_told() {
    let root = tree(&[("a.txt", b"a")]);
    let file = root.path().join("trace.json");
    let mut server = Command::new(env!("CARGO_BIN_EXE_demo-server"))
        .args(["serve", "--root", text(root.path()), "--http", "127.0.0.1:0"])
        .args(["--trace", text(&file)])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server starts");
    std::thread::sleep(Duration::from_millis(500));
    drop(server.stderr.take());
    let pid = server.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let mut status = None;
    let mut has_ended = || {
        status = server.try_wait().expect("the server is a child");
        status.is_some()
    };
    let start = std::time::Instant::now();
    while !has_ended() && start.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = server.kill();
    let _ = server.wait();
    assert_eq!(status.and_then(|status| status.code()), Some(0));
    assert!(fs::metadata(&file).unwrap().len() > 0, "the trace is written all the same");
}

#[test]
fn times_of_events_are_published_with_the_slab_and_without() {
    let root = tree(&[("a.txt", b"a")]);
    for alloc in ["stingy", "system"] {
        let server = Server::start(root.path(), &["--alloc", alloc]);
        let mut client = server.connect();
        eventually("every quantile of both is there, in order", || {
            for _ in 0..100 {
                client.send(b"GET /a.txt HTTP/1.1\r\nHost: h\r\n\r\n");
                assert_eq!(client.answer().map(|answer| answer.status), Some(200), "{alloc}");
            }
            let page = String::from_utf8(server.get("/-/metrics").body).expect("text");
            let seconds = |name: &str, quantile: &str| -> f64 {
                let sample = format!(
                    "demo_server_event_{name}_seconds{{core=\"0\",quantile=\"{quantile}\"}} "
                );
                let figure = page.lines().find_map(|line| line.strip_prefix(&sample));
                figure.expect("the sample is there").parse().expect("it is a number")
            };
            ["queueing", "running"].iter().all(|name| {
                let [half, most, all] = ["0.5", "0.99", "0.999"].map(|share| seconds(name, share));
                assert!(half <= most && most <= all && all < 60.0, "{alloc} {name}");
                all > 0.0
            })
        });
        assert!(server.metric("events_timed_total") > 0, "{alloc}");
    }
}
