//! What is refused, at which line, with which next step.

use proptest::prelude::*;
use scg_analysis::{Params, Source, analyse};

use super::{analysed, refused};

fn has(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "no `{part}` in:\n{error}");
    }
}

#[test]
fn an_allocation_in_a_loop_names_its_line_and_the_count_to_write() {
    for body in [
        "for line in lines {\n p.alloc(X);\n }",
        "while p.more() {\n p.alloc(X);\n }",
        "loop {\n p.alloc(X); if p.done() { break; }\n }",
        "lines.for_each(|line| {\n p.alloc(X);\n });",
        "for line in lines { helper(p); } } fn helper(p: P) {\n p.alloc(X);",
    ] {
        let error =
            refused(&format!("fn a(p: P) {{\n {body} p.close(); }} fn b() {{}} fn c() {{}}"));
        let place =
            "server.rs:6: error: `x` is allocated in a loop without a bound (at server.rs:5)";
        has(&error, &[place, "X_COUNT", ".alloc_n(X, n)"]);
    }
}

#[test]
fn an_allocation_in_a_cycle_of_stages_names_the_cycle() {
    let error = refused(
        "fn a(p: P) {\n p.alloc(X); cx.next(Stage::B); }
         fn b(cx: &mut Cx) { cx.next(Stage::A); } fn c() {}",
    );
    has(&error, &["server.rs:5: error: `x` is allocated in the cycle a -> b -> a", "unbounded"]);
}

#[test]
fn a_stage_that_allocates_and_follows_itself_is_a_cycle() {
    let error = refused("fn a(p: P) {\n p.alloc(X); cx.next(Stage::A); } fn b() {} fn c() {}");
    has(&error, &["the cycle a -> a"]);
}

#[test]
fn a_recursion_that_allocates_is_unbounded() {
    let error = refused(
        "fn a(p: P) { descend(p); p.close() } fn b() {} fn c() {}
         fn descend(p: P) {\n p.alloc(X); if p.more() { descend(p); } }",
    );
    has(&error, &["server.rs:6: error: `x` is allocated in a recursion"]);
}

#[test]
fn an_object_live_at_the_end_of_a_task_is_never_freed() {
    let error = refused("fn a(p: P) { p.alloc(X); cx.next(Stage::B); }\nfn b() {} fn c() {}");
    has(&error, &["server.rs:5: error: never freed: `x`", "stage `b`", ".free(X, ..)", ".close()"]);
    analysed("fn a(p: P) { p.alloc(X); cx.next(Stage::B); } fn b(cx: Cx) { cx.close() } fn c() {}");
}

#[test]
fn what_a_macro_hides_is_an_error_and_not_skipped() {
    for (mac, what) in [
        ("select! { r = p.alloc(X) => {} }", ".alloc(..)"),
        ("on! { ready => next Stage::B }", "Stage::"),
        ("on! { ready => { { p.free(X, x) } } }", ".free(..)"),
        ("on! { ready => helper(p) }", "helper(..)"),
    ] {
        let error = refused(&format!(
            "fn a(p: P) {{\n {mac} }} fn b() {{}} fn c() {{}} fn helper(p: P) {{}}"
        ));
        has(&error, &["server.rs:5: error:", what, "macro that is not expanded"]);
    }
    let error =
        refused("macro_rules! get { ($p:expr) => { $p.alloc(X) } } fn a() {} fn b() {} fn c() {}");
    has(&error, &["server.rs:4: error:", ".alloc(..)"]);
}

#[test]
fn macros_with_nothing_to_hide_pass() {
    analysed(
        "fn a(p: P) { select! { x = y => {} } let v = vec![0; 4]; println!(\"{x}\"); }
         fn b() {} fn c() {} thread_local! { static N: u32 = 1; }",
    );
}

#[test]
fn functions_that_no_stage_reaches_may_do_as_they_like() {
    analysed("fn a() {} fn b() {} fn c() {} fn start(p: P) { loop { p.alloc(X); p.alloc(len); } }");
}

#[test]
fn an_allocation_of_an_unknown_site_is_an_error() {
    for call in ["p.alloc(site)", "p.alloc(64)", "p.alloc_n(Z, 2)", "Permit::alloc(p, site)"] {
        let error = refused(&format!("fn a(p: P) {{ {call}; }} fn b() {{}} fn c() {{}}"));
        has(&error, &["server.rs:4: error: this allocates, but no argument is a site"]);
    }
}

#[test]
fn a_count_that_is_not_a_constant_above_0_is_an_error() {
    for n in ["0", "n", "-1", "4294967296"] {
        let error =
            refused(&format!("fn a(p: P) {{ p.alloc_n(X, {n}); }} fn b() {{}} fn c() {{}}"));
        has(&error, &["the count of `.alloc_n(SITE, n)` must be a constant above 0"]);
    }
}

#[test]
fn imports_that_hide_stages_are_an_error() {
    for import in ["use Stage::*;", "use super::Stage::{B, C};", "use crate::Stage as S;"] {
        let error = refused(&format!("{import} fn a() {{}} fn b() {{}} fn c() {{}}"));
        has(&error, &["server.rs:4: error: stages must be named as `Stage::Name`"]);
    }
    analysed("use crate::stages::{Stage, Site}; fn a() {} fn b() {} fn c() {}");
}

#[test]
fn declarations_that_break_a_convention_are_all_reported() {
    let table = [
        ("fn main() {}", "no `enum Stage` in these files"),
        ("enum Stage { A }", "a.rs:1: error: stage `a` has no function; add `fn a(..)`"),
        (
            "enum Stage { B } fn b() {} mod m { fn b() {} }",
            "several functions of its name (a.rs:1, a.rs:1)",
        ),
        ("enum Stage { } mod m { enum Stage { } }", "a.rs:1: error: a second `enum Stage`"),
        ("const X: Site = Site::new(NAME, 1);", "site `X` is not `Site::new(\"name\", SIZE)`"),
        ("const X: Site = Site::new(\"x\", 0);", "site `X` is not"),
        ("const X: Site = Site::new(\"x\", SIZE);", "site `X` is not"),
        ("const X: Site = Site::new(\"x y\", 1);", "site `X` is not"),
        ("const X: Site = Site::new(\"x\", 1 - 2);", "site `X` is not"),
        ("const X: Site = Site::new(\"x\", 1 << 64);", "site `X` is not"),
        ("const X: Site = Site::new(\"x\", X2); const X2: usize = X2;", "site `X` is not"),
        ("const X: Site = make();", "site `X` is not"),
        (
            "const X: Site = Site::new(\"x\", 1); const Y: Site = Site::new(\"x\", 1);",
            "site `x` is declared at a.rs:1 too",
        ),
        ("fn (", "a.rs:1: error: not valid Rust"),
    ];
    for (text, want) in table {
        let error = analyse(&[Source::new("a.rs", text)]).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(want), "{text}:\n{error}");
    }
    let many = "enum Stage { A, B }\nconst X: Site = make();\nconst Y: Site = make();";
    let error = analyse(&[Source::new("a.rs", many)]).map(|_| ()).unwrap_err();
    assert_eq!(error.diagnostics.len(), 4, "{error}");
}

#[test]
fn reservations_are_warnings() {
    let warnings = |functions: &str| -> Vec<String> {
        analysed(functions).warnings.iter().map(ToString::to_string).collect()
    };
    let table = [
        ("fn a(cx: C) { cx.stage = Stage::B; }", "a stage is stored here"),
        ("fn a(cx: C) { cx.next(Stage::from_id(3)); }", "a stage computed at run time"),
        ("fn a(p: P) { p.free(slot); }", "this frees, but no argument is a site"),
        ("fn a() {}", "no stage allocates `x` (site 0)"),
        (
            "const X_COUNT: u32 = 2; fn a(p: P) { p.alloc(X); p.next(Stage::A); }",
            "a stage may hold a `x` and wait for another",
        ),
    ];
    for (functions, want) in table {
        let warnings = warnings(&format!("{functions} fn b() {{}} fn c() {{}}"));
        assert!(warnings.iter().any(|w| w.contains(want)), "{functions}: {warnings:?}");
    }
}

#[test]
fn sites_that_are_waited_for_in_a_circle_are_reported() {
    let analysis = analysed(
        "fn a(p: P) { if p.up() { p.alloc(X); p.next(Stage::B) } else { p.alloc(Y); p.next(Stage::C) } }
         fn b(p: P) { p.alloc(Y); p.close() } fn c(p: P) { p.alloc(X); p.close() }",
    );
    let [warning] = analysis.warnings.as_slice() else { panic!("{:?}", analysis.warnings) };
    assert!(warning.to_string().contains("hold one of x, y and wait for the next"), "{warning}");
}

const SAMPLE: &str = include_str!("../data/sample/mod.rs");
const FIG2: &str = include_str!("../data/fig2.rs");

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn mangled_sources_are_refused_or_analysed_and_never_panic(
        fig2 in any::<bool>(),
        cuts in proptest::collection::vec((0usize..3000, 0usize..40, 0usize..3000), 0..5),
    ) {
        let mut text = String::from(if fig2 { FIG2 } else { SAMPLE });
        for (at, len, from) in cuts {
            let (at, from) = (at.min(text.len()), from.min(text.len()));
            let piece = text[from..(from + len).min(text.len())].to_owned();
            text.replace_range(at..(at + len).min(text.len()), &piece);
        }
        if let Ok(analysis) = analyse(&[Source::new("a.rs", text)]) {
            let _ = (analysis.map(&Params::default()), analysis.to_string(), analysis.dot());
        }
    }
}
