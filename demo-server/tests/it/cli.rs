//! Wrong usage and impossible configurations are clear errors with status 2, other failures with 1.

use std::process::Command;

use crate::support::tree;

fn run(args: &[&str]) -> (Option<i32>, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_demo-server")).args(args).output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).expect("it speaks text"))
}

#[test]
fn wrong_usage_names_the_next_step() {
    for (args, words) in [
        (&["serve", "--alloc", "magic"][..], "system, stingy"),
        (&["serve", "--ring", "epoll"], "direct, threads, uring, sqpoll"),
        (&["serve", "--placement", "moon"], "anywhere, poster, measured"),
        (&["serve", "--cores", "x"], "write CPU numbers"),
        (&["serve", "--http", "8080"], "write IP:PORT"),
        (&["serve", "--cores", "0,0"], "twice"),
        (&["serve", "--cores", "9999"], "may not run on CPU 9999"),
        (&["check", "--cores", "0,9999"], "may not run on CPU 9999"),
        (&["serve", "--idle-ms", "18446744073709551615"], "more than a year"),
        (&["serve", "--root", "/does/not/exist"], "name a directory"),
        (&["serve", "--map", "/does/not/exist"], "--map"),
        (&["serve", "--config", "/does/not/exist"], "readable TOML"),
        (&["serve", "--http", "127.0.0.1:0", "--trace", "/does/not/exist"], "may write"),
        (&["check", "--trace", "/does/not/exist"], "may write"),
        (&["serve", "--idle-ms", "0"], "at least 1"),
        (&["serve", "--max-connections", "0"], "at least 1"),
        (&["nonsense"], "unrecognized subcommand"),
    ] {
        let (status, text) = run(args);
        assert_eq!(status, Some(2), "{args:?}: {text}");
        assert!(text.contains(words), "{args:?}: {text}");
    }
}

#[test]
fn a_file_with_an_unknown_key_is_refused_with_its_line() {
    let dir = tree(&[("c.toml", b"http = '127.0.0.1:0'\nhtpp = 'x'\n")]);
    let file = dir.path().join("c.toml");
    let (status, text) = run(&["check", "--config", file.to_str().unwrap()]);
    assert_eq!(status, Some(2));
    assert!(text.contains("line 2") && text.contains("htpp"), "{text}");
}

#[test]
fn check_accepts_what_serve_would_run() {
    let dir = tree(&[("index.html", b"x")]);
    let (status, text) = run(&["check", "--root", dir.path().to_str().unwrap(), "--cores", "0,1"]);
    assert_eq!(status, Some(0), "{text}");
    let trace = dir.path().join("trace.json");
    let (status, text) = run(&["check", "--trace", trace.to_str().unwrap()]);
    assert_eq!(status, Some(0), "{text}");
    assert!(!trace.exists(), "it leaves the disk as it is");
}

#[test]
fn explain_prints_geometry_map_and_checks() {
    let (status, text) = run(&["explain"]);
    assert_eq!(status, Some(0), "{text}");
    for word in
        ["L2 cache of CPU 0", "delivery: Ded", "scg-map 1", "slab on CPU 0", "site", "stage"]
    {
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
}

#[test]
fn a_damaged_map_is_refused() {
    let map = include_str!("../../stages.map").replace("size=1024", "size=1025");
    let dir = tree(&[("bad.map", map.as_bytes())]);
    let (status, text) = run(&["check", "--map", dir.path().join("bad.map").to_str().unwrap()]);
    assert_eq!(status, Some(2), "{text}");
}

#[test]
fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let (status, text) = run(&["serve", "--http", &addr]);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains(&addr) && text.contains("--http"), "{text}");
}
