//! The C interface: C programs are built against `stingy.h` and both libraries, and run. Each case of
//! `c_abi/cases.c` is a process of its own.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use stingy_alloc::MemoryMap;

use crate::small;

const SERVER: &str = "examples/c/server.c";
const CASES: &str = "tests/it/c_abi/cases.c";
const SIGABRT: i32 = 6;

/// Programs and maps; what is built is built once.
struct Built {
    folder: PathBuf,
    static_server: PathBuf,
    shared_server: PathBuf,
    cases: PathBuf,
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn run_well(command: &mut Command) -> String {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The compiler of C, with every warning an error. `None` on a machine that is said to have none.
fn cc() -> Option<Command> {
    if std::env::var_os("STINGY_WITHOUT_C").is_some() {
        eprintln!("skipped: STINGY_WITHOUT_C is set");
        return None;
    }
    let name = std::env::var("CC").unwrap_or_else(|_| String::from("cc"));
    let found = Command::new(&name).arg("--version").output().is_ok();
    assert!(found, "there is no C compiler `{name}`; install one, or set CC or STINGY_WITHOUT_C");
    let mut cc = Command::new(name);
    cc.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-I"]).arg(source("include"));
    Some(cc)
}

/// Builds a program; when it is there, it is whole.
fn build(mut cc: Command, program: &Path, of: &str, library: &[&str]) {
    let new = program.with_extension(std::process::id().to_string());
    cc.arg("-std=c99").arg(source(of)).arg("-o").arg(&new).args(library);
    run_well(cc.args(["-lpthread", "-lm", "-ldl"]));
    fs::rename(new, program).unwrap();
}

/// The folder of the libraries, made as the header says.
fn libraries() -> &'static Path {
    static LIBRARIES: OnceLock<PathBuf> = OnceLock::new();
    LIBRARIES.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c_libraries");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["rustc", "-q", "--lib", "--crate-type", "staticlib,cdylib"]);
        cargo.arg("--manifest-path").arg(source("Cargo.toml")).arg("--target-dir").arg(&target);
        run_well(&mut cargo);
        target.join("debug")
    })
}

fn write_maps(folder: &Path) {
    let builder = || {
        let map = MemoryMap::builder().geometry(small());
        map.site("request", 1000, 6).site("reply", 1000, 5).stage("parse", &[], &[("request", 1)])
    };
    let good = builder().stage("respond", &["request"], &[("reply", 1)]).stage("log", &[], &[]);
    let good = good.build().unwrap().to_string();
    let cycle = builder().stage("respond", &["request"], &[("reply", 1)]);
    let cycle = cycle.stage("again", &["reply"], &[("request", 1)]).build().unwrap().to_string();
    let mut bad: Vec<&str> = good.lines().collect();
    bad.insert(3, "site x name=x size=1 align=1 cap=1 region=0 guard=on");
    let bad = bad.join("\n");
    let shared = MemoryMap::builder().geometry(small());
    let region = shared.next_region();
    let shared = shared.region(1024, 9).shared_site("request", 1000, 6, region);
    let shared = shared.shared_site("reply", 1000, 3, region);
    let shared = shared.stage("parse", &[], &[("request", 2), ("reply", 1)]).build().unwrap();
    for (name, text) in
        [("good", good), ("cycle", cycle), ("bad", bad), ("shared", shared.to_string())]
    {
        fs::write(folder.join(name).with_extension("map"), text).unwrap();
    }
}

fn built() -> Option<&'static Built> {
    static BUILT: OnceLock<Option<Built>> = OnceLock::new();
    let make = || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("c_abi");
        fs::create_dir_all(&folder).unwrap();
        write_maps(&folder);
        let path = |name: &str| folder.join(name);
        let built = Built {
            static_server: path("static_server"),
            shared_server: path("shared_server"),
            cases: path("cases"),
            folder,
        };
        let libraries = libraries().to_str().unwrap().to_owned();
        let archive = format!("{libraries}/libstingy_alloc.a");
        let (search, at_run) = (format!("-L{libraries}"), format!("-Wl,-rpath,{libraries}"));
        build(cc()?, &built.static_server, SERVER, &[&archive]);
        build(cc()?, &built.shared_server, SERVER, &[&search, &at_run, "-lstingy_alloc"]);
        build(cc()?, &built.cases, CASES, &[&archive]);
        Some(built)
    };
    BUILT.get_or_init(make).as_ref()
}

/// Runs a case; `None` if it could not be built.
fn case(name: &str) -> Option<Output> {
    let built = built()?;
    Some(run(Command::new(&built.cases).arg(name).arg(&built.folder)))
}

fn works(name: &str) {
    if let Some(output) = case(name) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {}\n{said}", output.status);
        assert_eq!(said, "", "{name}");
    }
}

fn aborts_saying(part: &str, name: &str) {
    if let Some(output) = case(name) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(SIGABRT), "{name}: {}\n{said}", output.status);
        assert!(said.contains(part), "{name} says {said}");
        assert_eq!(said.lines().count(), 1, "{name} says {said}");
    }
}

#[test]
fn the_header_is_c99_and_c_plus_plus() {
    let Some(cc) = cc() else { return };
    for language in [["-xc", "-std=c99"], ["-xc++", "-std=c++11"]] {
        let mut check = Command::new(cc.get_program());
        check.args(cc.get_args()).args(["-fsyntax-only", language[1], language[0]]);
        run_well(check.arg(source("include/stingy.h")).arg("-Wno-pragma-once-outside-header"));
    }
}

#[test]
fn the_example_runs_all_tasks_in_the_slab_with_either_library() {
    let Some(built) = built() else { return };
    for server in [&built.static_server, &built.shared_server] {
        let said = run_well(Command::new(server).arg(source("examples/c/server.map")));
        assert!(said.starts_with("4000 tasks, "), "{said}");
        assert!(
            said.ends_with("40 long names, 12000 objects granted, 0 fallbacks, 0 live\n"),
            "{said}"
        );
    }
}

#[test]
fn the_shared_library_exports_the_names_of_the_header_and_no_others() {
    let library = libraries().join("libstingy_alloc.so");
    let mut nm = Command::new("nm");
    let said = run_well(nm.args(["-D", "--defined-only", "--format=just-symbols"]).arg(library));
    let mut exported: Vec<&str> = said.lines().collect();
    exported.sort_unstable();
    let header = fs::read_to_string(source("include/stingy.h")).unwrap();
    let declared = header.lines().filter(|line| line.ends_with(");") && !line.starts_with(' '));
    let mut declared: Vec<&str> = declared.filter_map(name_of).collect();
    declared.sort_unstable();
    assert_eq!(exported, declared);
    assert_eq!(declared.len(), 16);
}

/// The name of a declared function.
fn name_of(line: &str) -> Option<&str> {
    let start = line.find("Stingy")?;
    line[start..].split('(').next()
}

#[test]
fn what_is_freed_twice_or_was_never_an_object_is_named_and_ends_the_process() {
    for name in [
        "double_free",
        "free_of_an_interior_line",
        "free_of_an_interior_byte",
        "free_of_a_slot_never_handed_out",
        "free_here_after_a_free_elsewhere",
        "double_free_elsewhere",
        "double_free_after_exit",
        "free_into_a_slab_that_is_gone",
        "double_free_in_the_high_slab",
        "double_free_in_a_shared_region",
    ] {
        aborts_saying("StingyFree(0x", name);
    }
}

#[test]
fn a_sealed_slab_names_the_site_that_needs_malloc_and_ends_the_process() {
    aborts_saying("`reply`", "sealed_abort");
}

#[test]
fn null_and_blocks_of_malloc_can_be_freed_with_and_without_a_slab() {
    works("frees_that_are_none_of_a_slab");
}

#[test]
fn objects_freed_on_another_thread_come_home() {
    works("frees_on_another_thread");
}

#[test]
fn a_thread_without_a_slab_gets_an_error_from_every_function() {
    works("without_init");
}

#[test]
fn names_and_numbers_that_the_map_does_not_have_are_errors() {
    works("unknown_names_and_numbers");
}

#[test]
fn a_bad_map_is_refused_with_line_and_column_and_bad_flags_with_their_bits() {
    works("maps_and_flags_that_are_refused");
}

#[test]
fn a_second_init_is_an_error_and_leaves_the_first_slab() {
    works("init_twice");
}

#[test]
fn objects_outlive_their_slab_in_c() {
    works("objects_outlive_their_slab");
}

#[test]
fn a_thread_may_end_with_objects_that_others_and_late_destructors_free() {
    works("a_thread_that_ends_with_objects");
}

#[test]
fn objects_come_from_the_reservation_then_the_rest_then_the_high_slab() {
    works("reservations_come_first");
}

#[test]
fn what_is_larger_than_its_site_comes_from_the_high_slab_or_malloc_and_is_counted() {
    works("objects_larger_than_their_site");
}

#[test]
fn sites_that_share_a_region_have_their_objects_reserved_and_freed() {
    works("sites_that_share_a_region");
}

#[test]
fn the_counters_as_text_are_cut_to_the_buffer() {
    works("counters_as_text");
}

#[test]
fn a_forked_child_has_no_slab_and_may_make_one() {
    works("a_child_has_no_slab");
}

#[test]
fn a_forked_child_with_copies_goes_on_with_slab_and_reservation() {
    works("a_child_has_a_copy");
}
