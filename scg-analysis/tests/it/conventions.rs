//! What the front-end takes for a stage, a site, an event, a call.

use scg_analysis::stage::Edge;
use scg_analysis::{Analysis, Source, analyse};

use super::{analysed, stage_line};

fn edges(analysis: &Analysis, stage: usize) -> Vec<(usize, Edge)> {
    analysis.lifetimes.graph.next(stage).to_vec()
}

/// Edges of stage A when its body is this.
fn edges_of(body: &str) -> Vec<(usize, Edge)> {
    edges(&analysed(&format!("fn a(cx: &mut Cx) {{ {body} }} fn b() {{}} fn c() {{}}")), 0)
}

#[test]
fn a_stage_named_as_a_value_is_an_event_and_elsewhere_it_is_none() {
    let event = vec![(1, Edge::Event)];
    let both = vec![(1, Edge::Event), (2, Edge::Event)];
    let table = [
        ("cx.next(Stage::B);", &event),
        ("cx.next(crate::stages::Stage::B.id());", &event),
        ("cx.post(color, Stage::B as u16, event);", &event),
        ("cx.post(Tag { stage: Stage::B });", &event),
        ("let s = if cx.big { Stage::B } else { Stage::C }; cx.next(s);", &both),
        ("let s = match cx.x { 0 => Stage::B, _ => Stage::C };", &both),
        ("if cx.big { return cx.next(Stage::C); } cx.next(Stage::B);", &both),
        ("log!(\"{}\", cx.next(Stage::B));", &event),
        ("cx.with(|cx| cx.next(Stage::B));", &event),
        ("if cx.stage == Stage::B {} assert!(Stage::C != cx.stage);", &vec![]),
        ("assert_eq!(cx.stage, Stage::B);", &vec![]),
        ("match cx.stage { Stage::B => {} Stage::C | Stage::A => {} }", &vec![]),
        ("if matches!(cx.stage, Stage::B | Stage::C) {}", &vec![]),
        ("if let Stage::B = cx.stage {}", &vec![]),
        ("cx.counts[Stage::B as usize] += 1;", &vec![]),
        ("let n = Stage::ALL.len();", &vec![]),
        ("unreachable!(\"{}\", cx.next(Stage::B));", &vec![]),
    ];
    for (body, want) in table {
        assert_eq!(edges_of(body), *want, "{body}");
    }
}

#[test]
fn an_armed_stage_is_a_timer() {
    assert_eq!(
        edges_of("cx.arm(later, Stage::C, 0); cx.next(Stage::B);"),
        [(1, Edge::Event), (2, Edge::Timer)]
    );
    assert_eq!(
        edges_of("cx.arm(later, Stage::B); cx.next(Stage::B);"),
        [(1, Edge::Event), (1, Edge::Timer)]
    );
}

#[test]
fn sizes_are_constant_expressions_over_all_files() {
    let table = [
        ("1024", 1024),
        ("1 << 10", 1024),
        ("(4 + 4) * KIB - 24 / 3 % 5", 8189),
        ("KIB as usize", 1024),
        ("0x10", 16),
        ("limits::KIB >> 2", 256),
    ];
    for (size, want) in table {
        let text = format!(
            "enum Stage {{ A }} fn a(p: P) {{ p.alloc(X); p.close(); }} \
             const X: Site = Site::new(\"x\", {size});"
        );
        let limits = Source::new("limits.rs", "pub const KIB: usize = 1024;");
        let analysis = analyse(&[limits, Source::new("a.rs", text)]).unwrap();
        assert_eq!(analysis.sites[0].size, want, "{size}");
    }
}

#[test]
fn weights_and_counts_are_read_from_constants() {
    let analysis = analysed(
        "const A_WEIGHT: u32 = 40; const X_COUNT: u32 = 2 + 1;
         fn a(p: P) { for _ in p.items() { p.alloc(X); } p.close() } fn b() {} fn c() {}",
    );
    assert_eq!(analysis.stages.iter().map(|s| s.weight).collect::<Vec<_>>(), [40, 1, 1]);
    assert_eq!(stage_line(&analysis, "a"), "live=- alloc=0*3");
}

#[test]
fn a_camel_case_variant_is_run_by_its_snake_case_function() {
    let text = "enum Stage { ReadBody } impl S { fn read_body(&mut self) {} }";
    assert_eq!(analyse(&[Source::new("a.rs", text)]).unwrap().stages[0].name, "read_body");
}

#[test]
fn of_several_functions_the_one_in_the_module_of_its_name_is_the_stage() {
    let sources = [
        Source::new("stages/mod.rs", "enum Stage { Open } mod open; mod look;"),
        Source::new("stages/look.rs", "fn open(path: &str) {}"),
        Source::new("stages/open.rs", "pub fn open() {}"),
    ];
    let analysis = analyse(&sources).unwrap();
    assert_eq!(analysis.stages[0].place.to_string(), "stages/open.rs:1");
}

#[test]
fn a_call_goes_to_the_function_of_its_module_type_and_number_of_arguments() {
    let sources = |call: &str| {
        [
            Source::new(
                "s/mod.rs",
                "enum Stage { A } const X: Site = Site::new(\"x\", 64);
                 const Y: Site = Site::new(\"y\", 64); const Z: Site = Site::new(\"z\", 64);",
            ),
            Source::new(
                "s/a.rs",
                format!("fn a(p: P, t: T) {{ {call}; p.close(); }} fn go(p: P) {{ p.alloc(X); }}"),
            ),
            Source::new("s/other.rs", "pub fn go(p: P) { p.alloc(Y); }"),
            Source::new(
                "s/types.rs",
                "impl T { fn go(&self, p: P) { p.alloc(Z); } fn new(p: P) { p.alloc(Z); } }
                 impl U { fn new(p: P) { p.alloc(Y); } }",
            ),
        ]
    };
    let table = [
        ("go(p)", "0*1"),
        ("self::go(p)", "0*1"),
        ("super::other::go(p)", "1*1"),
        ("crate::s::other::go(p)", "1*1"),
        ("crate::elsewhere::other::go(p)", "-"),
        ("t.go(p)", "2*1"),
        ("T::new(p)", "2*1"),
        ("t.go()", "-"),
        ("go(p, 1)", "-"),
        ("elsewhere::go(p)", "-"),
    ];
    for (call, want) in table {
        let analysis = analyse(&sources(call)).unwrap_or_else(|e| panic!("{call}: {e}"));
        assert_eq!(stage_line(&analysis, "a"), format!("live=- alloc={want}"), "{call}");
    }
}

#[test]
fn a_call_that_may_go_to_several_functions_takes_all_and_says_so() {
    let analysis = analysed(
        "fn a(p: P, t: T) { t.go(); p.close() } fn b() {} fn c() {}
         impl T { fn go(&self) { self.p.alloc(X); } }
         impl U { fn go(&self) { self.p.alloc(Y); } }",
    );
    assert_eq!(stage_line(&analysis, "a"), "live=- alloc=0*1,1*1");
    let [warning] = analysis.warnings.as_slice() else { panic!("{:?}", analysis.warnings) };
    assert!(warning.to_string().starts_with("server.rs:4: warning: this may call any of"));
}

#[test]
fn methods_on_self_stay_within_their_type() {
    let analysis = analysed(
        "impl T { fn a(&mut self) { self.go(); self.cx.close() } fn go(&mut self) { self.p.alloc(X); } }
         impl U { fn go(&mut self) { self.p.alloc(Y); } } fn b() {} fn c() {}",
    );
    assert_eq!(stage_line(&analysis, "a"), "live=- alloc=0*1");
}

#[test]
fn wrappers_of_alloc_and_free_are_not_looked_into() {
    let analysis = analysed(
        "fn a(cx: &mut Cx) { cx.alloc(X, 10); cx.free(X, None); } fn b() {} fn c() {}
         impl Cx { fn alloc(&mut self, site: Site, len: usize) { self.permit.alloc(site.id) } }",
    );
    assert_eq!(stage_line(&analysis, "a"), "live=- alloc=0*1");
}

#[test]
fn code_of_tests_is_not_read() {
    let analysis = analysed(
        "fn a() {} fn b() {} fn c() {} #[cfg(test)] mod tests { fn a() {} enum Stage { Z } }",
    );
    assert_eq!(analysis.stages.len(), 3);
}
