//! May-live sets, path by path.

use super::{analysed, stage_line};

/// What may be live when stage B begins, if stage A has this body.
fn live_in_b(body: &str) -> String {
    let analysis = analysed(&format!(
        "fn a(p: P, t: T) {{ {body} }} fn b(cx: Cx) {{ cx.close() }} fn c(cx: Cx) {{ cx.close() }}
         fn helper(p: P) {{ p.free(X, x); }}
         fn both(p: P) {{ p.alloc(X); p.alloc(Y); }}"
    ));
    let line = stage_line(&analysis, "b");
    line.split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn what_is_live_follows_every_path_to_the_next_stage() {
    let table = [
        ("p.alloc(X); p.next(Stage::B);", "0"),
        ("p.next(Stage::B); p.alloc(X);", "0"),
        ("p.alloc(X); p.free(X, x); p.next(Stage::B);", "-"),
        ("p.alloc(X); helper(p); p.next(Stage::B);", "-"),
        ("both(p); p.next(Stage::B);", "0,1"),
        // Freed on some path only: it stays live.
        ("p.alloc(X); if t.y() { p.free(X, x); } p.next(Stage::B);", "0"),
        ("p.alloc(X); match t.y { 1 => p.free(X, x), _ => p.free(X, z) } p.next(Stage::B);", "-"),
        ("p.alloc(X); t.y() && p.free(X, x); p.next(Stage::B);", "0"),
        ("p.alloc(X); t.each(|x| p.free(X, x)); p.next(Stage::B);", "0"),
        // Paths that ask for different stages are kept apart.
        ("if t.y() { p.alloc(X); p.next(Stage::C) } else { p.alloc(Y); p.next(Stage::B) }", "1"),
        ("if t.y() { p.alloc(X); return p.next(Stage::C); } p.next(Stage::B);", "-"),
        ("let Some(x) = t.x else { return p.next(Stage::B) }; p.alloc(X); p.next(Stage::C);", "-"),
        ("p.alloc(X)?; p.next(Stage::B);", "0"),
        ("t.x()?; p.alloc(X); p.next(Stage::B);", "0"),
        // Closing frees everything.
        ("p.alloc(X); if t.y() { p.next(Stage::B); p.close(); } else { p.next(Stage::C) }", "-"),
        ("p.alloc(X); if t.bad() { panic!() } p.free(X, x); p.next(Stage::B);", "-"),
        // An absent object needs no free.
        ("p.alloc(X); if let Some(x) = t.x.take() { p.free(X, x); } p.next(Stage::B);", "-"),
        ("p.alloc(X); if let Some(y) = t.y.take() { p.free(X, x); } p.next(Stage::B);", "0"),
        (
            "p.alloc(X); match t.x.take() { Some(x) => p.free(X, x), None => {} } p.next(Stage::B);",
            "-",
        ),
        (
            "p.alloc(X); match t.x.take() { Some(x) => p.free(X, x), _ => {} } p.next(Stage::B);",
            "0",
        ),
        ("p.alloc_n(X, 4); while let Some(x) = t.pop() { p.free(X, x) } p.next(Stage::B);", "-"),
        ("p.alloc_n(X, 4); for x in t.drain(..) { p.free(X, x); } p.next(Stage::B);", "-"),
        ("p.alloc_n(X, 4); for x in t.drain(..) { p.free(X, z); } p.next(Stage::B);", "0"),
        (
            "p.alloc_n(X, 4); for x in t.drain(..) { if x.y { break; } p.free(X, x); } p.next(Stage::B);",
            "0",
        ),
        ("p.alloc(X); p.alloc(X); p.free(X, x); p.next(Stage::B);", "0"),
        ("p.alloc(X); p.alloc(X); p.free(X, None); p.next(Stage::B);", "-"),
        // Loops.
        ("for _ in 0..3 { p.alloc(X); } p.next(Stage::B);", "0"),
        ("for _ in 0..3 { p.alloc(X); p.free(X, x); } p.next(Stage::B);", "-"),
        ("loop { p.free(X, x); if t.y() { p.alloc_n(X, 1); break; } } p.next(Stage::B);", "0"),
        (
            "'o: loop { loop { if t.y() { break 'o; } if t.z() { break; } } p.alloc_n(X, 1); } p.next(Stage::B);",
            "0",
        ),
        (
            "'o: { if t.y() { break 'o; } p.alloc(X); p.next(Stage::C); return; } p.next(Stage::B);",
            "-",
        ),
        ("while t.more() { if t.y() { p.next(Stage::B); return; } p.next(Stage::C); }", "-"),
    ];
    for (body, want) in table {
        assert_eq!(live_in_b(body), format!("live={want}"), "{body}");
    }
}

#[test]
fn a_stage_allocates_the_most_of_any_path() {
    let table = [
        ("if t.y() { p.alloc(X); p.alloc(X); } else { p.alloc(X); p.alloc(Y); }", "0*2,1*1"),
        ("p.alloc(X); p.free(X, x); p.alloc(X);", "0*2"),
        ("for _ in 0..3 { p.alloc(X); }", "0*3"),
        ("for _ in 1..=3 { for _ in 0..2 { p.alloc(X); } }", "0*6"),
        ("for _ in 0..3 { if t.y() { break; } p.alloc(X); }", "0*3"),
        ("for line in lines { p.alloc_n(X, 8); }", "0*8"),
        ("p.alloc_n(X, 2 * 2); p.alloc_n(X, 3);", "0*4"),
        ("if t.x.is_none() && t.y { t.x = Some(p.alloc(X)); }", "0*1"),
        ("if t.y() { return; } p.alloc(X);", "0*1"),
        ("p.alloc(X); p.next(Stage::B);", "0*1"),
    ];
    for (body, want) in table {
        let analysis = analysed(&format!(
            "fn a(p: P, t: T) {{ {body} p.close(); }} fn b(cx: Cx) {{ cx.close() }} fn c() {{}}"
        ));
        assert_eq!(stage_line(&analysis, "a"), format!("live=- alloc={want}"), "{body}");
    }
}

#[test]
fn a_guarded_allocation_may_stand_in_a_cycle() {
    for body in [
        "if t.x.is_none() { t.x = Some(p.alloc(X)); } p.next(Stage::A);",
        "if t.y && t.x.is_none() { let x = make(p); t.x = Some(x); } p.next(Stage::A);",
        "t.x.get_or_insert_with(|| p.alloc(X)); p.next(Stage::A);",
    ] {
        let analysis = analysed(&format!(
            "fn a(p: P, t: T) {{ {body} }} fn b() {{}} fn c() {{}} fn make(p: P) {{ p.alloc(X) }}"
        ));
        assert_eq!(stage_line(&analysis, "a"), "live=0 alloc=0*1", "{body}");
    }
}

#[test]
fn a_cycle_that_frees_before_it_allocates_is_bounded() {
    let analysis = analysed(
        "fn a(p: P) { p.alloc(X); p.next(Stage::B) } fn b(p: P) { p.alloc(Y); p.free(X, x); p.next(Stage::C) }
         fn c(p: P) { p.free(Y, y); p.next(Stage::A) }",
    );
    assert_eq!(stage_line(&analysis, "a"), "live=- alloc=0*1");
    assert_eq!(stage_line(&analysis, "b"), "live=0 alloc=1*1");
    assert_eq!(stage_line(&analysis, "c"), "live=1 alloc=-");
}

#[test]
fn a_count_bounds_what_flows_around_a_cycle() {
    let analysis = analysed(
        "const X_COUNT: u32 = 3; fn a(p: P) { p.alloc(X); p.next(Stage::A) } fn b() {} fn c() {}",
    );
    assert_eq!(analysis.lifetimes.stages[0].live, [(0, 3)]);
}

#[test]
fn a_timers_stage_may_find_anything_and_passes_on_what_its_askers_held() {
    let analysis = analysed(
        "fn a(p: P) { p.arm(t, Stage::C); p.alloc(X); p.next(Stage::B) }
         fn b(p: P) { p.alloc(Y); p.free(X, x); p.free(Y, y); p.alloc(Y); p.close() }
         fn c(p: P) { p.free(X, x); p.next(Stage::B) }",
    );
    let c = &analysis.lifetimes.stages[2];
    assert_eq!(c.live, [(0, 1)], "b closes: its y is at no end of a stage");
    let analysis = analysed(
        "fn a(p: P) { p.arm(t, Stage::C); p.free(X, x); p.next(Stage::B) }
         fn b(p: P) { p.alloc(X); p.next(Stage::A) } fn c(p: P) { p.next(Stage::B) }",
    );
    let (b, c) = (&analysis.lifetimes.stages[1], &analysis.lifetimes.stages[2]);
    assert_eq!((c.live.as_slice(), c.by_timer.as_slice()), (&[(0, 1)][..], &[0][..]));
    assert_eq!(b.live, []);
}

#[test]
fn tasks_begin_in_stages_that_nobody_asks_for() {
    let analysis =
        analysed("fn a() {} fn b(p: P) { p.next(Stage::C) } fn c(p: P) { p.next(Stage::B) }");
    assert_eq!(analysis.lifetimes.ways_in, [0, 1]);
}

#[test]
fn who_is_never_without_another_is_dominated_by_it() {
    let dominates = |functions: &str| analysed(functions).lifetimes.dominates;
    let inner = "fn b(p: P) { p.alloc(Y); p.next(Stage::C) } ";
    let outer = "fn a(p: P) { p.alloc(X); p.next(Stage::B) } ";
    let last = "fn c(p: P) { p.free(Y, y); p.free(X, x); }";
    assert_eq!(dominates(&format!("{outer}{inner}{last}")), [(0, 1)]);
    let crossed = "fn c(p: P) { p.free(X, x); p.free(Y, y); }";
    assert_eq!(dominates(&format!("{outer}{inner}{crossed}")), []);
    let sometimes = "fn a(p: P) { if p.q() { p.alloc(X); } p.next(Stage::B) } ";
    assert_eq!(dominates(&format!("{sometimes}{inner}{last}")), []);
    let two = "fn b(p: P) { p.alloc(Y); p.alloc(Y); p.next(Stage::C) } ";
    let all = "fn c(p: P) { p.free(Y, None); p.free(X, x); }";
    assert_eq!(dominates(&format!("{outer}{two}{all}")), [], "two y to one x");
}

#[test]
fn a_function_called_along_a_million_ways_is_not_run_a_million_times() {
    let mut functions = String::from("fn f0(p: P) { p.alloc_n(X, 2); }\n");
    for i in 1..40 {
        let below = i - 1;
        functions += &format!("fn f{i}(p: P) {{ f{below}(p); if p.q() {{ f{below}(p); }} }}\n");
    }
    functions += "fn a(p: P) { f39(p); p.close() } fn b() {} fn c() {}";
    assert_eq!(stage_line(&analysed(&functions), "a"), "live=- alloc=0*2");
}

#[test]
fn functions_that_call_each_other_end() {
    let analysis = analysed(
        "fn a(p: P) { even(p); p.next(Stage::B) } fn b(p: P) { p.free(X, x); p.close() } fn c() {}
         fn even(p: P) { p.alloc_n(X, 1); if p.q() { odd(p); } }
         fn odd(p: P) { p.free(X, x); even(p); odd(p); }",
    );
    assert_eq!(stage_line(&analysis, "b"), "live=0 alloc=-");
}
