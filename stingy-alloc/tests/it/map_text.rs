//! The text form of a map: what is written is read, and every mistake is named with line and column.

use proptest::prelude::*;
use stingy_alloc::{GlobalKind, MapError, MapProblem, MemoryMap, RegionId, SiteId, StageId};

const BODY: &str = "\
scg-map 1
geometry size=1048576 ways=16 line=64 k=12
stack bytes=16384 clusters=2048,9216
global 11 size=512 kind=final
region 0 slot=4096 slots=48
region 1 slot=12288 slots=20
site 3 name=read_request:buf size=4096 align=64 cap=48 region=0 guard=on
site 7 name=reply:chunk size=12000 align=64 cap=20 region=1 guard=off
stage 1 name=accept live=- alloc=- weight=1
stage 2 name=parse live=3 alloc=3*1,7*2 weight=40
dominates 3 7
";

/// CRC-32/ISO-HDLC by its definition, a bit at a time.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

fn with_end(body: &str) -> String {
    format!("{body}end crc32={:08x}\n", crc32(body.as_bytes()))
}

fn refusal(body: &str) -> MapError {
    match MemoryMap::parse(&with_end(body)) {
        Ok(_) => panic!("accepted:\n{body}"),
        Err(error) => error,
    }
}

#[test]
fn the_checksum_is_the_one_of_the_format() {
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
}

#[test]
fn a_map_is_read_as_it_stands() {
    let map = MemoryMap::parse(&with_end(BODY)).unwrap();
    assert_eq!((map.geometry().size, map.geometry().k), (1 << 20, 12));
    assert_eq!((map.stack().bytes, map.stack().clusters.as_slice()), (16384, &[2048, 9216][..]));
    assert_eq!((map.globals()[0].id, map.globals()[0].kind), (11, GlobalKind::Final));
    assert_eq!((map.regions()[1].slot, map.regions()[1].slots), (12288, 20));
    let site = &map.sites()[1];
    assert_eq!((site.id, site.size, site.cap), (SiteId(7), 12000, 20));
    assert_eq!((site.region, site.guard), (RegionId(1), false));
    let stage = &map.stages()[1];
    assert_eq!((stage.id, stage.weight), (StageId(2), 40));
    assert_eq!(stage.alloc, [(SiteId(3), 1), (SiteId(7), 2)]);
    assert_eq!(stage.live, [SiteId(3)]);
    assert_eq!(map.dominates(), [(SiteId(3), SiteId(7))]);
    assert_eq!(map.site_named("reply:chunk"), Some(SiteId(7)));
    assert_eq!(map.stage_named("parse"), Some(StageId(2)));
    assert_eq!((map.site_named("parse"), map.stage_named("")), (None, None));
}

#[test]
fn what_is_written_is_what_was_read() {
    let text = with_end(BODY);
    assert_eq!(MemoryMap::parse(&text).unwrap().to_string(), text);
}

#[test]
fn blank_lines_and_space_at_the_ends_are_no_mistake() {
    let body = BODY.replace('\n', "  \r\n\n");
    let map = MemoryMap::parse(&with_end(&body.replacen("  \r\n", "\r\n", 1))).unwrap();
    assert_eq!(map, MemoryMap::parse(&with_end(BODY)).unwrap());
}

/// What is replaced, by what, where the error points, and what it says.
type Row = (&'static str, &'static str, usize, usize, &'static str);

#[test]
fn every_mistake_is_named_with_its_line_and_column() {
    refuses_all(&[
        ("scg-map 1", "scg-map 2", 1, 1, "scg-map 1"),
        ("scg-map 1\n", "", 1, 1, "first line"),
        ("size=1048576", "size=1048577", 2, 15, "does not add up"),
        ("k=12", "k=17", 2, 15, "choose 1 to 16"),
        ("k=12", "k=12 k=12", 2, 44, "twice"),
        ("k=12", "kk=12", 2, 39, "no key `kk`"),
        (" k=12", "", 2, 1, "lacks k="),
        ("k=12", "k=+12", 2, 41, "not a number"),
        ("k=12", "k=", 2, 41, "not a number"),
        ("geometry size=1048576 ways=16 line=64 k=12\n", "", 2, 1, "no `geometry`"),
        ("clusters=2048,9216", "clusters=2048,x", 3, 33, "`x` is not a number"),
        ("stack bytes=16384", "stack bytes=786433", 3, 13, "the slab has 786432"),
        ("global 11 size", "stack bytes=1 clusters=-\nglobal 11 size", 4, 1, "twice"),
        ("kind=final", "kind=last", 4, 25, "final or temporary"),
        ("size=512 ", "size=0 ", 4, 16, "is 0"),
        ("region 1", "region 0", 6, 1, "twice"),
        ("slots=20", "slots=0", 6, 27, "is 0"),
        ("slots=20", "slots=60", 6, 27, "the slab has 786432"),
        ("slots=20", "slots=4294967295", 6, 27, "lower the counts"),
        ("slots=20", "slots=4294967296", 6, 27, "range"),
        ("slot=12288", "slot=12289", 6, 15, "multiple of 64"),
        ("site 7", "site 3", 8, 1, "twice"),
        ("site 7", "site 1024", 8, 1, "ids go up to 1023"),
        ("site 7", "site 65536", 8, 6, "range"),
        ("site 7", "site", 8, 1, "lacks id"),
        ("site 7", "site 7 8", 8, 8, "key=value"),
        ("name=reply:chunk", "name=read_request:buf", 8, 13, "twice"),
        ("name=reply:chunk", "name=", 8, 13, "a name"),
        ("size=12000", "size=12289", 8, 30, "raise slot="),
        ("size=12000", "size=0", 8, 30, "is 0"),
        ("align=64 cap=20", "align=48 cap=20", 8, 42, "power of two"),
        ("align=64 cap=20", "align=8192 cap=20", 8, 42, "alignment"),
        ("cap=20", "cap=0", 8, 49, "is 0"),
        ("cap=20", "cap=21", 8, 49, "exceeds the 20 slots"),
        ("region=1", "region=2", 8, 59, "no region `2`"),
        ("guard=off", "guard=no", 8, 67, "on or off"),
        ("stage 2", "stage 1", 10, 1, "twice"),
        ("live=3", "live=4", 10, 25, "no site `4`"),
        ("7*2", "7", 10, 37, "site*count"),
        ("7*2", "7*0", 10, 33, "is 0"),
        ("7*2", "7*x", 10, 39, "`x` is not a number"),
        ("7*2", "4*2", 10, 33, "no site `4`"),
        ("7*2", "3*2", 10, 33, "twice"),
        ("7*2", "7*21", 10, 33, "could never run"),
        ("weight=40", "weight=heavy", 10, 48, "not a number"),
        ("dominates 3 7", "dominates 7 3", 11, 1, "raise cap= of site 7"),
        ("dominates 3 7", "dominates 3", 11, 1, "dominated site"),
        ("dominates 3 7", "dominates 3 9", 11, 1, "no site `9`"),
        ("dominates 3 7", "dominate 3 7", 11, 1, "no record"),
    ]);
}

#[test]
fn what_is_too_large_is_named_and_overflows_nothing() {
    refuses_all(&[
        ("size=1048576", "size=18446744073709551615", 2, 15, "does not add up"),
        ("ways=16", "ways=18446744073709551615", 2, 15, "does not add up"),
        ("k=12", "k=18446744073709551615", 2, 15, "choose 1 to 16"),
        ("bytes=16384", "bytes=18446744073709551615", 3, 13, "the slab has 786432"),
        ("bytes=16384", "bytes=18446744073709551616", 3, 13, "range"),
        ("size=512", "size=18446744073709551615", 4, 16, "the slab has 786432"),
        ("512 kind=final", "18446744073709551615 kind=temporary", 4, 16, "the slab has 786432"),
        ("512 kind=final", "770049 kind=temporary", 4, 16, "needs 786496 bytes up to here"),
        ("512 kind=final", "770048 kind=temporary", 5, 26, "needs 983040 bytes up to here"),
        ("slot=12288", "slot=18446744073709551552", 6, 42, "the slab has 786432"),
        ("slot=12288", "slot=18446744073709551616", 6, 15, "range"),
        ("slot=12288 slots=20", "slot=9223372036854775808 slots=2", 8, 49, "exceeds the 2 slots"),
        ("slot=4096 slots=48", "slot=4096 slots=4294967295", 5, 26, "the slab has 786432"),
        ("slot=12288 slots=20", "slot=4294967360 slots=4294967295", 6, 32, "the slab has 786432"),
        ("size=12000", "size=18446744073709551615", 8, 30, "raise slot="),
        ("align=64 cap=20", "align=9223372036854775808 cap=20", 8, 42, "alignment"),
        ("cap=20", "cap=4294967295", 8, 49, "exceeds the 20 slots"),
        ("cap=20", "cap=4294967296", 8, 49, "range"),
        ("region=1 ", "region=65536 ", 8, 59, "range"),
        ("7*2", "7*4294967295", 10, 33, "takes 4294967295 of site reply:chunk, which has 20"),
        ("7*2", "7*4294967296", 10, 39, "range"),
        ("weight=40", "weight=4294967296", 10, 48, "range"),
        ("dominates 3", "dominates 65536", 11, 11, "range"),
    ]);
}

#[test]
fn what_is_nothing_is_named() {
    refuses_all(&[
        ("size=1048576", "size=0", 2, 15, "does not add up"),
        ("ways=16", "ways=0", 2, 15, "does not add up"),
        ("line=64", "line=0", 2, 15, "lines of 0 bytes"),
        ("k=12", "k=0", 2, 15, "choose 1 to 16"),
        ("slot=12288", "slot=0", 6, 15, "above 0"),
        ("align=64 cap=20", "align=0 cap=20", 8, 42, "power of two"),
        ("7*2", "7*", 10, 39, "not a number"),
        ("7*2", "*2", 10, 37, "not a number"),
        ("3*1,7*2", "", 10, 33, "site*count"),
        ("live=3", "live=", 10, 25, "not a number"),
        ("clusters=2048,9216", "clusters=", 3, 28, "not a number"),
        ("clusters=2048,9216", "clusters=1,,2", 3, 30, "not a number"),
    ]);
}

#[test]
fn ids_and_keys_of_every_record_are_checked() {
    refuses_all(&[
        ("global 11", "global 1024", 4, 1, "ids go up to 1023"),
        ("region 1", "region 1024", 6, 1, "ids go up to 1023"),
        ("stage 2", "stage 1024", 10, 1, "ids go up to 1023"),
        ("global 11 ", "global 11 size=1 kind=final\nglobal 11 ", 5, 1, "global 11"),
        ("live=3", "live=3,3", 10, 25, "site 3 in live= of stage parse"),
        ("name=parse", "name=accept", 10, 14, "twice"),
        ("name=parse", "name=\u{7f}", 10, 14, "a name"),
        ("dominates 3 7", "dominates 9 7", 11, 1, "no site `9`"),
        ("dominates 3 7", "dominates 3 x", 11, 13, "not a number"),
        ("dominates 3 7", "dominates 3 7 9", 11, 15, "key=value"),
        ("dominates 3 7", "dominates 3 7 by=1", 11, 15, "no key `by`"),
        ("bytes=16384", "bytes=16384 depth=1", 3, 19, "no key `depth`"),
        ("kind=final", "kind=final at=64", 4, 31, "no key `at`"),
        ("slots=20", "slots=20 at=64", 6, 30, "no key `at`"),
        ("guard=off", "guard=off at=64", 8, 71, "no key `at`"),
        ("weight=40", "weight=40 at=64", 10, 51, "no key `at`"),
        (" clusters=2048,9216", "", 3, 1, "lacks clusters="),
        (" kind=final", "", 4, 1, "lacks kind="),
        (" slots=20", "", 6, 1, "lacks slots="),
        (" guard=off", "", 8, 1, "lacks guard="),
        (" weight=40", "", 10, 1, "lacks weight="),
    ]);
}

#[test]
fn the_end_line_is_checked_like_any_other() {
    let sum = format!("{:08x}", crc32(BODY.as_bytes()));
    let table = [
        ("end".to_owned(), 1, "lacks crc32="),
        ("end crc32=".to_owned(), 11, "does not match"),
        (format!("end crc32={}", sum.to_uppercase() + "0"), 11, "does not match"),
        (format!("end {sum}"), 5, "key=value"),
        (format!("end crc32={sum} size=1"), 20, "no key `size`"),
        (format!("end crc32={sum} crc32={sum}"), 20, "twice"),
    ];
    for (end, column, says) in table {
        let error = MemoryMap::parse(&format!("{BODY}{end}\n")).unwrap_err();
        assert_eq!((error.line, error.column), (12, column), "{end}: {error}");
        assert!(error.to_string().contains(says), "{end}: {error}");
    }
}

#[test]
fn a_tab_separates_like_a_space_and_errors_stand_where_they_stood() {
    let tabs = |body: &str| body.replace(' ', "\t").replacen("scg-map\t1", "scg-map 1", 1);
    assert_eq!(
        MemoryMap::parse(&with_end(&tabs(BODY))).unwrap(),
        MemoryMap::parse(&with_end(BODY)).unwrap()
    );
    for (old, new) in [("slots=20", "slots=60"), ("cap=20", "cap=21"), ("7*2", "7*21")] {
        let wrong = BODY.replace(old, new);
        assert_eq!(refusal(&tabs(&wrong)), refusal(&wrong));
    }
}

#[test]
fn temporary_globals_take_as_much_of_the_slab_as_the_largest_of_them() {
    let with = |globals: &str| BODY.replace("global 11 size=512 kind=final\n", globals);
    // 768 KiB less 16 of stack, 192 and 240 of regions: 320 KiB.
    let most = "global 11 size=327680 kind=temporary\nglobal 12 size=327617 kind=temporary\n";
    assert!(MemoryMap::parse(&with_end(&with(most))).is_ok());
    let error = refusal(&with(&most.replace("327680", "327681")));
    assert_eq!((error.line, error.column), (7, 27), "the last region: {error}");
    let error = refusal(&with(&most.replace("327617", "770049")));
    assert_eq!((error.line, error.column), (5, 16), "the larger of the two: {error}");
}

/// Every row is refused as it says.
fn refuses_all(table: &[Row]) {
    let wrong: Vec<String> = table
        .iter()
        .filter_map(|(old, new, line, column, says)| {
            assert!(BODY.contains(old), "{old}");
            let error = refusal(&BODY.replacen(old, new, 1));
            let right = (error.line, error.column) == (*line, *column);
            let right = right && error.to_string().contains(says);
            (!right).then(|| format!("`{old}` -> `{new}`, {line}:{column} {says}: {error}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_map_that_is_cut_short_is_refused_at_every_byte() {
    let text = with_end(BODY);
    for end in 0..text.len() - 1 {
        assert!(MemoryMap::parse(&text[..end]).is_err(), "cut at byte {end}");
    }
    let error = MemoryMap::parse(BODY).unwrap_err();
    assert_eq!((error.line, error.problem), (12, MapProblem::MissingEnd));
}

#[test]
fn an_edit_shows_in_the_checksum_and_the_error_gives_the_new_one() {
    let edited = with_end(BODY).replace("cap=20", "cap=19");
    let error = MemoryMap::parse(&edited).unwrap_err();
    assert_eq!((error.line, error.column), (12, 11));
    let MapProblem::Checksum { expected, found } = &error.problem else { panic!("{error}") };
    let mended = edited.replace(found, expected);
    assert_eq!(MemoryMap::parse(&mended).unwrap().sites()[1].cap, 19);
}

#[test]
fn text_after_the_end_is_refused() {
    let text = with_end(BODY) + "\n \nsite 9\n";
    let error = MemoryMap::parse(&text).unwrap_err();
    assert_eq!((error.line, error.problem), (15, MapProblem::AfterEnd("site".to_owned())));
}

#[test]
fn a_shared_region_must_hold_what_one_task_takes_of_it() {
    let shared = BODY.replace("cap=20 region=1", "cap=20 region=0").replace("12000", "4000");
    let both = shared.replace("slots=48", "slots=2").replace("cap=48", "cap=2");
    let error = refusal(&both.replace("cap=20", "cap=2"));
    assert_eq!((error.line, error.column), (10, 33), "{error}");
    assert!(error.to_string().contains("region 0"), "{error}");
}

#[test]
fn a_stage_of_too_many_sites_is_refused() {
    let mut body = String::from("scg-map 1\ngeometry size=16384 ways=4 line=64 k=3\n");
    for i in 0..9 {
        body += &format!("region {i} slot=64 slots=1\n");
        body += &format!("site {i} name=s{i} size=64 align=64 cap=1 region={i} guard=on\n");
    }
    let alloc: Vec<String> = (0..9).map(|i| format!("{i}*1")).collect();
    body += &format!("stage 0 name=all live=- alloc={} weight=1\n", alloc.join(","));
    let error = refusal(&body);
    assert_eq!((error.line, error.column), (21, 31), "{error}");
}

#[test]
fn further_geometry_sections_must_describe_the_same_program() {
    let second = BODY.strip_prefix("scg-map 1\n").unwrap();
    let second =
        second.replace("size=1048576 ways=16", "size=524288 ways=8").replace("k=12", "k=6");
    let second = second.replace("slots=48", "slots=24").replace("cap=48", "cap=24");
    let second = second.replace("slots=20", "slots=10").replace("cap=20", "cap=10");
    let text = with_end(&format!("{BODY}{second}"));
    let map = MemoryMap::parse(&text).unwrap();
    assert_eq!(map.to_string(), text);
    assert_eq!(map.sites()[0].cap, 48);
    let here = map.scaled(&stingy_alloc::Geometry::new(512 << 10, 8, 64).unwrap()).unwrap();
    assert_eq!((here.sites()[0].cap, here.sites()[1].cap), (24, 10));

    let error = refusal(&format!(
        "{text_of_both}{second}",
        text_of_both = text.split("end ").next().unwrap()
    ));
    assert_eq!((error.line, error.column), (22, 1), "{error}");
    assert!(
        error.to_string().contains("size=524288 ways=8 line=64 k=6` is given twice"),
        "{error}"
    );
    let error = refusal(&format!("{BODY}{}", second.replace("reply:chunk", "chunk")));
    assert_eq!((error.line, error.problem), (12, MapProblem::Sections));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Damage anywhere in a map is refused or leaves a map that is written and read again.
    #[test]
    fn a_damaged_map_is_refused_or_sound(
        at in 0..BODY.len(), remove in 0..12usize, insert in "[ -~\n]{0,6}",
    ) {
        let end = (at + remove).min(BODY.len());
        let body = format!("{}{insert}{}", &BODY[..at], &BODY[end..]);
        if let Ok(map) = MemoryMap::parse(&with_end(&body)) {
            prop_assert_eq!(MemoryMap::parse(&map.to_string()), Ok(map));
        }
    }

    #[test]
    fn arbitrary_text_is_refused_without_a_panic(text in "\\PC{0,200}") {
        prop_assert!(MemoryMap::parse(&text).is_err());
        let _ = MemoryMap::parse(&with_end(&format!("scg-map 1\n{text}\n")));
    }
}
