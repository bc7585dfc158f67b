//! Workers of experiments: they do what they are told and say what it cost, and valgrind's counts of them
//! are read.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use demo_server::experiment::{Cache, Counts, ValgrindError, net};
use proptest::prelude::*;

fn worker(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo-server"));
    command.arg("worker").args(args).output().expect("the program starts")
}

/// What a worker of fixed length says that it did.
fn units(args: &[&str]) -> u64 {
    let output = worker(args);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let answer: serde_json::Value = serde_json::from_str(&text).expect("one line of JSON");
    answer["units"].as_u64().expect("a number of units")
}

#[test]
fn worker_does_as_many_units_as_it_is_told() {
    for from in ["stingy", "system"] {
        for kernel in ["lines", "bytes"] {
            for bound in ["none", "slab", "one"] {
                let stages = [
                    "stages", "--from", from, "--kernel", kernel, "--bound", bound, "--tasks", "70",
                ];
                assert_eq!(units(&[&stages[..], &["--rounds", "2"]].concat()), 140);
            }
        }
    }
    for from in ["stingy", "stingy-slot", "system"] {
        for size in ["64", "4096", "12288"] {
            assert_eq!(units(&["pair", "--from", from, "--size", size, "--rounds", "3"]), 96);
        }
    }
    for from in ["stingy", "system"] {
        assert_eq!(units(&["oversize", "--from", from, "--size", "4160", "--rounds", "2"]), 64);
    }
    for sites in ["1", "2", "4"] {
        let admit = ["admit", "--from", "stingy", "--sites", sites, "--tasks", "32"];
        assert_eq!(units(&[&admit[..], &["--rounds", "2"]].concat()), 2000);
    }
}

#[test]
fn objects_made_here_are_all_freed_there() {
    for more in [&["stingy"][..], &["stingy", "--at-once"], &["system"]] {
        let passed = units(&[&["remote", "--rounds", "2", "--from"], more].concat());
        assert!((1..=2 * 256 * 32).contains(&passed), "{more:?}: {passed}");
    }
}

#[cfg(feature = "peers")]
#[test]
fn peers_do_the_same_work() {
    for bound in ["none", "slab", "one"] {
        let stages = ["stages", "--from", "mimalloc", "--bound", bound, "--tasks", "70"];
        assert_eq!(units(&[&stages[..], &["--rounds", "2"]].concat()), 140);
    }
    for from in ["mimalloc", "global"] {
        for size in ["64", "4096", "12288"] {
            assert_eq!(units(&["pair", "--from", from, "--size", size, "--rounds", "3"]), 96);
        }
    }
    for from in ["global", "system"] {
        assert_eq!(units(&["outside", "--from", from, "--size", "64", "--rounds", "2"]), 64);
    }
    assert_eq!(units(&["remote", "--from", "mimalloc", "--rounds", "1"]), 256 * 32);
}

#[cfg(not(feature = "peers"))]
#[test]
fn peer_that_is_not_built_in_is_an_error_with_the_next_step() {
    for job in ["stages", "pair", "remote"] {
        let output = worker(&[job, "--from", "mimalloc", "--rounds", "1"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("--features peers"), "{job}: {said}");
    }
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    let table: [(&[&str], &str); 6] = [
        (&["pair", "--from", "system", "--size", "100"], "choose 64, 4096 or 12288"),
        (&["stages", "--from", "system", "--tasks", "0"], "at least one task"),
        (&["admit", "--from", "stingy", "--sites", "3"], "1, 2 or 4 sites"),
        (&["oversize", "--from", "mimalloc"], "choose stingy or system"),
        (&["remote", "--from", "system", "--size", "64"], "4096 bytes"),
        (&["remote", "--from", "system", "--other-cpu", "4000", "--ms", "1"], "CPU 4000"),
    ];
    for (args, message) in table {
        let output = worker(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(message), "{args:?}: {said}");
    }
}

#[test]
fn help_does_not_speak_of_workers() {
    let output = Command::new(env!("CARGO_BIN_EXE_demo-server")).arg("--help").output();
    let help = String::from_utf8(output.expect("the program starts").stdout).expect("text");
    assert!(help.contains("experiment") && !help.contains("worker"), "{help}");
}

const CACHEGRIND: &str = "desc: I1 cache: 32768 B, 64 B, 8-way associative
cmd: demo-server worker
events: Ir I1mr ILmr Dr D1mr DLmr Dw D1mw DLmw
fl=???
fn=???
0 5 1 1 2 0 0 1 0 0
summary: 6377311 7335 5385 1979309 1304799 7556 1331038 1015490 13404
";
const CALLGRIND: &str =
    "# callgrind format\nversion: 1\nevents: Ir\nsummary: 7339092\n\ntotals: 7339092\n";

#[test]
fn counts_of_valgrind_are_read() {
    let counts = Counts::parse(CACHEGRIND).expect("what valgrind 3.19 wrote");
    assert_eq!(counts.instructions(), Ok(6_377_311));
    assert_eq!(counts.data_misses(), Ok(7556 + 13404));
    let counts = Counts::parse(CALLGRIND).expect("what valgrind 3.19 wrote");
    assert_eq!(counts.instructions(), Ok(7_339_092));
    assert_eq!(counts.data_misses(), Err(ValgrindError::Missing("DLmr")));
    let totals = CALLGRIND.replace("summary", "unknown");
    assert_eq!(Counts::parse(&totals).and_then(|counts| counts.instructions()), Ok(7_339_092));
}

#[test]
fn words_that_are_not_those_of_valgrind_are_refused() {
    let table = [
        ("", ValgrindError::Missing("events:")),
        ("events: Ir\n", ValgrindError::Missing("summary:")),
        ("events: Ir\nsummary: many\n", ValgrindError::Malformed("summary:")),
        ("events: Ir\nsummary: -1\n", ValgrindError::Malformed("summary:")),
    ];
    for (text, error) in table {
        assert_eq!(Counts::parse(text), Err(error), "{text}");
    }
    let short = Counts::parse("events: Dr Ir\nsummary: 1\n").expect("one total");
    assert_eq!(short.instructions(), Err(ValgrindError::Missing("Ir")));
}

#[test]
fn what_both_runs_have_cancels_out() {
    assert_eq!(net((1000 + 7 * 10, 10), (1000 + 7 * 30, 30)), Some(7.0));
    assert_eq!(net((1000, 10), (1000, 30)), Some(0.0));
}

#[test]
fn runs_that_cannot_be_compared_have_no_net() {
    // Chance counted more than the work.
    assert_eq!(net((1010, 10), (1000, 30)), None);
    assert_eq!(net((1000, 10), (2000, 10)), None);
    assert_eq!(net((1000, 30), (2000, 10)), None);
}

/// A folder that describes caches as the kernel does: level, type, size, ways, line.
fn caches(folder: &Path, caches: &[[&str; 5]]) {
    for (index, values) in caches.iter().enumerate() {
        let folder = folder.join(format!("index{index}"));
        fs::create_dir(&folder).expect("a new folder");
        let names = ["level", "type", "size", "ways_of_associativity", "coherency_line_size"];
        for (name, value) in names.iter().zip(values) {
            fs::write(folder.join(name), format!("{value}\n")).expect("a new file");
        }
    }
}

#[test]
fn caches_are_those_that_the_kernel_describes() {
    let dir = tempfile::tempdir().expect("a directory");
    let (level_1, level_2) =
        (["1", "Data", "48K", "12", "64"], ["2", "Unified", "1024K", "16", "64"]);
    caches(dir.path(), &[["1", "Instruction", "32K", "8", "64"], level_1, level_2]);
    let read = |level| Cache::read(dir.path(), level);
    assert_eq!(read(1).map(|cache| cache.to_string()), Ok("49152,12,64".into()));
    assert_eq!(read(2), Ok(Cache { size: 1 << 20, ways: 16, line: 64 }));
    assert!(matches!(read(3), Err(ValgrindError::UnknownCache(_, 3))));
    assert!(matches!(Cache::read(Path::new("/nowhere"), 1), Err(ValgrindError::UnknownCache(..))));
}

#[test]
fn cache_that_valgrind_cannot_simulate_is_named() {
    let table = [
        ["2", "Unified", "1280K", "20", "64"],
        ["2", "Unified", "96K", "8", "64"],
        ["2", "Unified", "1024K", "16", "48"],
        ["2", "Unified", "1000K", "16", "64"],
    ];
    let expected = [true, false, false, false];
    for (cache, simulated) in table.iter().zip(expected) {
        let dir = tempfile::tempdir().expect("a directory");
        caches(dir.path(), &[*cache]);
        let read = Cache::read(dir.path(), 2);
        assert_eq!(read.is_ok(), simulated, "{cache:?}: {read:?}");
        assert!(simulated || matches!(read, Err(ValgrindError::OddCache(_))), "{cache:?}");
    }
    for cache in [["2", "Unified", "0K", "0", "64"], ["2", "Unified", "much", "8", "64"]] {
        let dir = tempfile::tempdir().expect("a directory");
        caches(dir.path(), &[cache]);
        let read = Cache::read(dir.path(), 2);
        assert!(matches!(read, Err(ValgrindError::UnknownCache(..))), "{cache:?}: {read:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn words_of_valgrind_never_panic(text in "(?s).{0,200}") {
        let _ = Counts::parse(&text);
        let _ = Counts::parse(&CACHEGRIND.replace("6377311", &text));
        let _ = Counts::parse(&CACHEGRIND.replace("DLmr", &text)).map(|counts| counts.data_misses());
    }

    #[test]
    fn net_is_the_cost_of_a_unit_whatever_the_start(
        start in 0..1u64 << 40, cost in 0..1u64 << 16, fewer in 0..1000u64, more in 1..1000u64,
    ) {
        let run = |units| (start + cost * units, units);
        prop_assert_eq!(net(run(fewer), run(fewer + more)), Some(cost as f64));
    }
}
