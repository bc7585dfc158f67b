//! A map made in code: it says what the text can say, and is refused for what the text is refused for.

use stingy_alloc::{
    Geometry, GlobalKind, MAX_ALLOCS, MAX_IDS, MapBuilder, MapProblem, MemoryMap, RegionId,
};

fn builder() -> MapBuilder {
    MemoryMap::builder()
        .geometry(Geometry::new(1 << 20, 16, 64).unwrap())
        .site("request", 1024, 100)
        .site("chunk", 16384, 21)
        .stage("parse", &[], &[("request", 1)])
        .stage("stream", &["request"], &[("chunk", 2)])
        .dominates("request", "chunk")
}

fn refusal(builder: MapBuilder) -> MapProblem {
    let error = builder.build().unwrap_err();
    assert_eq!((error.line, error.column), (0, 0), "{error}");
    assert!(error.to_string().starts_with("map: "), "{error}");
    error.problem
}

/// Every one is refused with these words.
fn refuses_all(table: Vec<(MapBuilder, &str)>) {
    for (builder, says) in table {
        let problem = refusal(builder).to_string();
        assert!(problem.contains(says), "expected `{says}`: {problem}");
    }
}

#[test]
fn a_builder_says_what_a_text_says() {
    let map = MemoryMap::builder()
        .geometry(Geometry::new(1 << 20, 16, 64).unwrap())
        .stack(16384)
        .clusters(&[2048, 9216])
        .global(512, GlobalKind::Final)
        .global(40000, GlobalKind::Temporary)
        .site_aligned("page", 5000, 4096, 20)
        .guard(false)
        .site("small", 100, 8)
        .region(256, 30)
        .shared_site("a", 200, 30, RegionId(2))
        .guard(false)
        .shared_site("b", 256, 10, RegionId(2))
        .stage("parse", &[], &[("page", 1), ("small", 2)])
        .weight(40)
        .stage("reply", &["page", "small"], &[])
        .dominates("page", "small")
        .build()
        .unwrap();
    let text = map.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[..lines.len() - 1],
        [
            "scg-map 1",
            "geometry size=1048576 ways=16 line=64 k=12",
            "stack bytes=16384 clusters=2048,9216",
            "global 0 size=512 kind=final",
            "global 1 size=40000 kind=temporary",
            "region 0 slot=8192 slots=20",
            "region 1 slot=128 slots=8",
            "region 2 slot=256 slots=30",
            "site 0 name=page size=5000 align=4096 cap=20 region=0 guard=off",
            "site 1 name=small size=100 align=64 cap=8 region=1 guard=on",
            "site 2 name=a size=200 align=64 cap=30 region=2 guard=off",
            "site 3 name=b size=256 align=64 cap=10 region=2 guard=on",
            "stage 0 name=parse live=- alloc=0*1,1*2 weight=40",
            "stage 1 name=reply live=0,1 alloc=- weight=1",
            "dominates 0 1",
        ]
    );
    assert_eq!(MemoryMap::parse(&text), Ok(map));
}

#[test]
fn guard_and_weight_before_the_first_site_and_stage_say_nothing() {
    let map = builder().build().unwrap();
    let early = MemoryMap::builder().guard(false).weight(7).geometry(map.geometry());
    let early = early.site("request", 1024, 100).stage("parse", &[], &[("request", 1)]);
    let early = early.build().unwrap();
    assert!(early.sites()[0].guard);
    assert_eq!(early.stages()[0].weight, 1);
}

#[test]
fn slots_are_whole_lines_and_whole_alignments() {
    for (size, align, slot) in
        [(1, 1, 64), (64, 64, 64), (65, 8, 128), (65, 128, 128), (1, 4096, 4096)]
    {
        let map = MemoryMap::builder().site_aligned("a", size, align, 2).build().unwrap();
        assert_eq!(map.regions()[0].slot, slot, "{size} bytes aligned to {align}");
        assert_eq!((map.sites()[0].size, map.sites()[0].align), (size, align));
    }
}

#[test]
fn names_that_do_not_exist_are_refused() {
    let unknown = MapProblem::Unknown { kind: "site", name: "reply".to_owned() };
    assert_eq!(refusal(builder().stage("reply", &["reply"], &[])), unknown);
    assert_eq!(refusal(builder().stage("reply", &[], &[("reply", 1)])), unknown);
    assert_eq!(refusal(builder().dominates("request", "reply")), unknown);
    assert_eq!(refusal(builder().dominates("reply", "request")), unknown);
    let lost = MapProblem::Unknown { kind: "region", name: "9".to_owned() };
    assert_eq!(refusal(builder().shared_site("lost", 64, 1, RegionId(9))), lost);
}

#[test]
fn what_is_given_twice_is_refused() {
    refuses_all(vec![
        (builder().site("request", 1, 1), "`name=request` is given twice"),
        (builder().stage("parse", &[], &[]), "`name=parse` is given twice"),
        (builder().stage("s", &["chunk", "chunk"], &[]), "site 1 in live= of stage s"),
        (builder().stage("s", &[], &[("chunk", 1), ("chunk", 1)]), "site 1 of stage s"),
    ]);
}

#[test]
fn values_of_the_wrong_kind_are_refused() {
    refuses_all(vec![
        (builder().site("a b", 1, 1), "`a b` is not a name"),
        (builder().site("", 1, 1), "`` is not a name"),
        (builder().site("a\n", 1, 1), "is not a name"),
        (builder().stage("a\u{2003}b", &[], &[]), "is not a name"),
        (builder().region(100, 1), "`100` is not a multiple of 64"),
        (builder().region(0, 1), "`0` is not a multiple of 64"),
        (builder().site_aligned("a", 1, 48, 1), "`48` is not a power of two"),
        (builder().site_aligned("a", 1, 100, 1), "`100` is not a power of two"),
        (builder().site_aligned("a", 1, 0, 1), "`0` is not a power of two"),
    ]);
}

#[test]
fn what_is_nothing_is_refused() {
    refuses_all(vec![
        (builder().region(64, 1).shared_site("a", 0, 1, RegionId(2)), "the size is 0"),
        (builder().global(0, GlobalKind::Final), "the size is 0"),
        (builder().global(0, GlobalKind::Temporary), "the size is 0"),
        (builder().region(64, 0), "the number of slots is 0"),
        (builder().region(64, 1).shared_site("a", 64, 0, RegionId(2)), "the cap is 0"),
        (builder().stage("a", &[], &[("chunk", 0)]), "the number of objects is 0"),
    ]);
}

#[test]
fn what_is_too_large_is_refused() {
    let huge = usize::MAX;
    let way = 64 << 10;
    refuses_all(vec![
        (builder().stack(1 << 30), "the slab has 786432"),
        (builder().stack(huge), "the slab has 786432"),
        (builder().global(huge, GlobalKind::Final), "the slab has 786432"),
        (builder().global(huge, GlobalKind::Temporary), "the slab has 786432"),
        (builder().site("big", 1 << 20, 1), "the slab has 786432"),
        (builder().site("big", huge - 63, 1), "the slab has 786432"),
        (builder().site("big", huge - 63, u32::MAX), "the slab has 786432"),
        (builder().site("big", huge, 1), "is not a multiple of 64"),
        (builder().region(huge - 63, u32::MAX), "the slab has 786432"),
        (builder().region(64, 1).shared_site("a", 65, 1, RegionId(2)), "raise slot="),
        (builder().region(64, 1).shared_site("a", 64, 2, RegionId(2)), "exceeds the 1 slots"),
        (builder().site_aligned("a", 1, 2 * way, 1), "alignment 131072 does not suit"),
        (builder().site_aligned("a", 1, 1 << 63, 1), "alignment"),
        (builder().dominates("chunk", "request"), "raise cap= of site 1"),
        (builder().stage("a", &[], &[("chunk", 22)]), "takes 22 of site chunk, which has 21"),
        (builder().stage("a", &[], &[("chunk", u32::MAX)]), "takes 4294967295 of site chunk"),
    ]);
    let shared = builder().region(64, 3).shared_site("a", 64, 3, RegionId(2));
    let shared = shared.shared_site("b", 64, 3, RegionId(2));
    assert!(shared.clone().stage("ab", &[], &[("a", 2), ("b", 1)]).build().is_ok());
    let more = shared.stage("ab", &[], &[("a", 2), ("b", 2)]);
    assert!(refusal(more).to_string().contains("takes 4 of region 2, which has 3"));
}

#[test]
fn what_is_too_many_is_refused() {
    let ids = |n: usize| {
        let regions = |builder: MapBuilder, _| builder.region(64, 1);
        (0..n).fold(MemoryMap::builder(), regions)
    };
    assert!(ids(MAX_IDS).build().is_ok());
    let fold = |n: usize, f: &dyn Fn(MapBuilder, usize) -> MapBuilder| (0..n).fold(ids(1), f);
    let n = MAX_IDS + 1;
    refuses_all(vec![
        (ids(n), "ids go up to 1023"),
        (ids((1 << 16) + 1), "ids go up to 1023"),
        (fold(n, &|b, _| b.global(1, GlobalKind::Temporary)), "ids go up to 1023"),
        (fold(n, &|b, i| b.shared_site(&format!("s{i}"), 1, 1, RegionId(0))), "ids go up to 1023"),
        (fold(n, &|b, i| b.stage(&format!("s{i}"), &[], &[])), "ids go up to 1023"),
    ]);
    let names: Vec<String> = (0..=MAX_ALLOCS).map(|i| format!("s{i}")).collect();
    let sites = names.iter().fold(MemoryMap::builder(), |builder, name| builder.site(name, 64, 1));
    let all: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    assert!(sites.clone().stage("most", &[], &all[1..]).build().is_ok());
    let more = refusal(sites.stage("more", &[], &all)).to_string();
    assert!(more.contains("allocates from 9 sites; 8 is the limit"), "{more}");
}

#[test]
fn a_cache_that_is_none_is_refused() {
    let odd = Geometry { size: 1000, ways: 3, line: 64, k: 1 };
    assert!(matches!(refusal(builder().geometry(odd)), MapProblem::Geometry(_)));
}
