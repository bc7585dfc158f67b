//! The command, as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

fn scg(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_scg")).current_dir(dir).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn data() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data"))
}

#[test]
fn memwalk_prints_stages_sites_and_cycles() {
    let (code, out, err) = scg(data(), &["memwalk", "sample"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let row = "sent       chunk                               -          chunk            stream, finish\n";
    assert!(out.contains(row), "{out}");
    assert!(out.contains("tasks begin in: read\n"), "{out}");
    assert!(out.contains("cycle: read, parse, lookup, respond, stream, sent, finish\n"), "{out}");
    assert!(out.contains("request   REQUEST   1024   sample/mod.rs:22"), "{out}");
}

#[test]
fn memwalk_draws_a_graph() {
    let (code, out, _) = scg(data(), &["memwalk", "--dot", "sample"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("digraph scg {") && out.ends_with("}\n"), "{out}");
    assert!(out.contains("  s5 -> s4;\n") && out.contains("  s0 -> s7 [style=dashed"), "{out}");
}

#[test]
fn a_written_map_passes_its_check_and_a_changed_one_fails_with_the_command_to_run() {
    let dir = tempfile::tempdir().unwrap();
    let source = std::fs::read_to_string(data().join("fig2.rs")).unwrap();
    std::fs::write(dir.path().join("fig2.rs"), &source).unwrap();
    let options = ["--geometry", "32768/8/64/7", "--stack", "0"];
    let generate = |target: &str| {
        let mut args = vec!["stingygen", "fig2.rs", target, "fig2.map"];
        args.extend(options);
        scg(dir.path(), &args)
    };
    assert_eq!(generate("--out"), (0, String::new(), String::new()));
    assert_eq!(generate("--check"), (0, String::new(), String::new()));

    let changed = source.replace("Site::new(\"O1\", 4096)", "Site::new(\"O1\", 2048)");
    std::fs::write(dir.path().join("fig2.rs"), changed).unwrap();
    let (code, out, err) = generate("--check");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.starts_with("fig2.map is stale:\n- region 0 slot=4096 slots=3\n"), "{err}");
    assert!(err.contains("+ site 0 name=O1 size=2048"), "{err}");
    let command =
        "refresh it with: scg stingygen fig2.rs --out fig2.map --geometry 32768/8/64/7 --stack 0\n";
    assert!(err.ends_with(command), "{err}");
}

#[test]
fn a_map_goes_to_the_standard_output() {
    let (code, out, _) = scg(data(), &["stingygen", "sample", "--out", "-"]);
    assert_eq!((code, out), (0, std::fs::read_to_string(data().join("sample.map")).unwrap()));
}

#[test]
fn errors_in_the_source_end_with_1_and_name_their_line() {
    let dir = tempfile::tempdir().unwrap();
    let text = "enum Stage { A }\nfn a() {}\nconst X: Site = make();\n";
    std::fs::write(dir.path().join("a.rs"), text).unwrap();
    let (code, out, err) = scg(dir.path(), &["memwalk", "a.rs"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("a.rs:3: error: site `X`"), "{err}");
    let (code, _, err) = scg(dir.path(), &["memwalk", "gone"]);
    assert!(code == 1 && err.contains("gone: No such file"), "{err}");
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    let (code, _, err) = scg(dir.path(), &["memwalk", "empty"]);
    assert!(code == 1 && err.contains("no .rs file in empty"), "{err}");
}

#[test]
fn wrong_usage_ends_with_2() {
    for args in [
        &["stingygen", "sample"][..],
        &["stingygen", "sample", "--out", "-", "--check", "sample.map"],
        &["stingygen", "sample", "--out", "-", "--geometry", "1/2/3"],
        &["stingygen", "sample", "--out", "-", "--geometry", "1048576/16/48/12"],
        &["stingygen", "sample", "--out", "-", "--stack", "99999999"],
        &["stingygen", "sample", "--out", "-", "--batch", "0"],
        &["memwalk"],
        &["rewrite", "sample"],
        &[],
    ] {
        let (code, out, err) = scg(data(), args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
    }
}
