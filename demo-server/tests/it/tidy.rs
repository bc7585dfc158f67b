//! House rules: what a reader of the source may rely on everywhere, each with what to do instead.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const CRATES: [&str; 7] = [
    "stingy-alloc",
    "color-sched",
    "mely-steal",
    "flexsc-ring",
    "ecem",
    "scg-analysis",
    "demo-server",
];

/// Crates in which `unsafe` has no place.
const SAFE: [&str; 4] = ["ecem", "mely-steal", "scg-analysis", "demo-server"];

const LONGEST_FILE: usize = 600;
const LONGEST_FUNCTION: usize = 80;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file of a crate's `folders`, with its path from the top.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(dir) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    for name in CRATES {
        for folder in folders {
            walk(&top().join(name).join(folder), &mut files);
        }
    }
    files.sort();
    let name = |path: &Path| path.strip_prefix(top()).unwrap_or(path).display().to_string();
    files.iter().map(|path| (name(path), read(path))).collect()
}

const ALL: [&str; 4] = ["src", "tests", "examples", "benches"];

fn complain(faults: &[String]) {
    assert!(faults.is_empty(), "{} fault(s):\n{}", faults.len(), faults.join("\n"));
}

fn manifest(name: &str) -> toml::Table {
    read(&top().join(name).join("Cargo.toml")).parse().expect("a manifest is TOML")
}

#[test]
fn edges_are_those_of_the_design() {
    let mut faults = Vec::new();
    for name in CRATES {
        let manifest = manifest(name);
        let keys = |section: &str| -> BTreeSet<String> {
            let table = manifest.get(section).and_then(|section| section.as_table());
            table.map(|table| table.keys().cloned().collect()).unwrap_or_default()
        };
        for dependency in keys("dependencies").union(&keys("dev-dependencies")) {
            let is_ours = CRATES.contains(&dependency.as_str());
            let allowed = match name {
                "demo-server" => true,
                "mely-steal" => dependency == "color-sched",
                _ => false,
            };
            if is_ours && !allowed {
                faults.push(format!(
                    "{name} -> {dependency} is not an edge of the design: pass a closure or plain data from \
                     demo-server/src/wiring"
                ));
            }
        }
        let allowed = if name == "demo-server" { vec!["peers"] } else { Vec::new() };
        for feature in keys("features").iter().filter(|feature| !allowed.contains(&&***feature)) {
            faults.push(format!(
                "{name} has a cargo feature, {feature}: make the choice a run-time switch"
            ));
        }
    }
    complain(&faults);
}

#[test]
fn the_top_level_is_the_seven_crates_and_little_else() {
    let allowed =
        ["Cargo.toml", "Cargo.lock", "README.md", "LICENSE-MIT", "LICENSE-APACHE", "target"];
    let mut faults = Vec::new();
    for entry in fs::read_dir(top()).expect("the top level can be read").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !(name.starts_with('.') || CRATES.contains(&&*name) || allowed.contains(&&*name)) {
            faults.push(format!("{name}: it belongs in one of the crates"));
        }
    }
    complain(&faults);
}

#[test]
fn no_unfinished_work() {
    let marks = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
        concat!("FIX", "ME"),
    ];
    let mut faults = Vec::new();
    for (path, text) in sources(&ALL) {
        for (number, line) in text.lines().enumerate() {
            for mark in marks.iter().filter(|mark| line.contains(**mark)) {
                faults.push(format!("{path}:{}: {mark}: finish it or leave it out", number + 1));
            }
        }
    }
    complain(&faults);
}

#[test]
fn every_file_opens_with_a_doc_line() {
    let opens = |text: &str| text.starts_with("//!") || text.starts_with("#![doc");
    let faults: Vec<_> = sources(&ALL)
        .into_iter()
        .filter(|(_, text)| !opens(text))
        .map(|(path, _)| format!("{path}: say in a `//!` line what question the file answers"))
        .collect();
    complain(&faults);
}

#[test]
fn files_and_functions_stay_readable() {
    let mut faults = Vec::new();
    for (path, text) in sources(&ALL) {
        let lines = text.lines().count();
        if lines > LONGEST_FILE {
            faults.push(format!("{path}: {lines} lines: split it at its second idea"));
        }
        for (start, length) in long_functions(&text, LONGEST_FUNCTION) {
            faults.push(format!("{path}:{start}: a function of {length} lines: name its parts"));
        }
    }
    complain(&faults);
}

/// Functions of more than `limit` lines, found by the indentation that rustfmt gives them: (line, lines).
fn long_functions(text: &str, limit: usize) -> Vec<(usize, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let words = code.split('(').next().unwrap_or_default();
        let is_function = words.split_whitespace().any(|word| word == "fn")
            && !code.starts_with("//")
            && !code.ends_with(';');
        if !is_function {
            continue;
        }
        let closes = |line: &&str| {
            line.len() > indent && &line[indent..] == "}" && line[..indent].trim().is_empty()
        };
        if let Some(length) =
            lines[start..].iter().position(closes).filter(|length| length + 1 > limit)
        {
            found.push((start + 1, length + 1));
        }
    }
    found
}

#[test]
fn the_rule_on_long_functions_sees_them() {
    let long =
        format!("impl X {{\n    fn long() {{\n{}    }}\n}}\n", "        work();\n".repeat(9));
    assert_eq!(long_functions(&long, 10), [(2, 11)]);
    assert_eq!(long_functions(&long, 11), []);
}

#[test]
fn system_calls_only_in_sys_rs() {
    let mut faults = Vec::new();
    for (path, text) in sources(&["src"]) {
        if path.ends_with("/sys.rs") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if let Some(call) = system_call(code) {
                faults.push(format!(
                    "{path}:{}: {call}: move the call to the crate's sys.rs",
                    number + 1
                ));
            }
        }
    }
    complain(&faults);
}

/// A call into the kernel's interface on this line: a function of libc, or a crate that wraps system calls.
fn system_call(code: &str) -> Option<&str> {
    let function = code.split("libc::").skip(1).find(|rest| {
        let name = rest.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'));
        name.is_some_and(|end| end > 0 && rest[end..].starts_with('('))
    });
    let wrapper = ["rustix::", "socket2::"].into_iter().find(|wrapper| code.contains(wrapper));
    function.or(wrapper)
}

#[test]
fn the_rule_on_system_calls_sees_them() {
    assert!(system_call("let n = libc::read(fd, p, 1);").is_some());
    assert!(system_call("use rustix::fs::open;").is_some());
    assert!(system_call("let kind = mode & libc::S_IFMT == libc::c_int::from(x);").is_none());
}

#[test]
fn unsafe_is_forbidden_where_it_has_no_place() {
    for name in SAFE {
        let text = read(&top().join(name).join("src/lib.rs"));
        assert!(
            text.contains("#![forbid(unsafe_code)]"),
            "{name}/src/lib.rs: add #![forbid(unsafe_code)]; what needs unsafe belongs in a crate below"
        );
    }
}

#[test]
fn every_crate_has_its_front_page() {
    let mut faults = Vec::new();
    for name in CRATES {
        let folder = top().join(name);
        for file in
            ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", "tests/it/main.rs"]
        {
            if !folder.join(file).exists() {
                faults.push(format!("{name}/{file} is missing"));
            }
        }
        for folder in ["examples", "benches"].map(|f| folder.join(f)) {
            if fs::read_dir(&folder).map_or(0, Iterator::count) == 0 {
                faults.push(format!("{} has no file", folder.display()));
            }
        }
        let text = read(&folder.join("README.md"));
        if text.lines().count() > 60 && name != "demo-server" {
            faults.push(format!("{name}/README.md: over 60 lines; keep the front page short"));
        }
        let code = text.lines().position(|line| line.starts_with("```"));
        if code.is_none_or(|line| line > 25) {
            faults.push(format!("{name}/README.md: show code by line 25"));
        }
        let front = read(&folder.join("src/lib.rs"));
        if !front.contains("#![doc = include_str!(\"../README.md\")]") {
            faults.push(format!("{name}/src/lib.rs: the README is the crate's doc; include it"));
        }
    }
    complain(&faults);
}

#[test]
fn the_readme_is_short_and_its_commands_are_the_ones_ci_runs() {
    let readme = read(&top().join("README.md"));
    assert!(
        readme.lines().count() <= 80,
        "README.md: {} lines, at most 80",
        readme.lines().count()
    );
    let ci = read(&top().join(".ci/run"));
    let ci: Vec<_> =
        ci.lines().filter(|line| !line.starts_with("step") && !line.starts_with('#')).collect();
    let mut faults = Vec::new();
    let mut in_shell = false;
    for line in readme.lines() {
        match line {
            "```sh" => in_shell = true,
            "```" => in_shell = false,
            _ if in_shell && !line.trim().is_empty() => {
                let command = line.split(" #").next().unwrap_or(line).trim();
                if !ci.iter().any(|line| line.contains(command)) {
                    faults.push(format!("README.md: `{command}` is not run by .ci/run"));
                }
            }
            _ => {}
        }
    }
    complain(&faults);
}

#[test]
fn help_equals_readme() {
    let output = Command::new(env!("CARGO_BIN_EXE_demo-server"))
        .args(["serve", "--help"])
        .output()
        .expect("the server can print its help");
    let help = String::from_utf8(output.stdout).expect("help is text");
    let mut option = String::new();
    let mut rows = Vec::new();
    for line in help.lines() {
        let line = line.trim();
        if let Some(at) = line.find("--").filter(|_| line.starts_with('-')) {
            option = line[at..].split_whitespace().next().unwrap_or_default().to_owned();
            let value = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
            let (value, text) = value.unwrap_or(("", line));
            rows.push((option.clone(), value.to_owned(), text.trim().to_owned()));
            continue;
        }
        if let Some(row) = rows.last_mut().filter(|_| !option.is_empty() && !line.is_empty()) {
            row.2 = format!("{} {line}", row.2).trim().to_owned();
        }
    }
    rows.retain(|(option, ..)| option != "--help");
    assert!(rows.len() > 15, "the options could not be read from the help:\n{help}");
    let readme = read(&top().join("demo-server/README.md"));
    let table: Vec<_> = rows
        .iter()
        .map(|(option, value, text)| format!("| `{option} {value}` | {text} |"))
        .collect();
    let told: Vec<_> = readme.lines().filter(|line| line.starts_with("| `--")).collect();
    assert!(told == table, "demo-server/README.md: its table should read\n{}", table.join("\n"));
}
