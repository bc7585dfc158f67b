//! The text of the map.

use std::path::Path;

use scg_analysis::{Analysis, Geometry, Params, PlanError, Source, analyse};

use super::analysed;

fn data(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn sample() -> Analysis {
    analyse(&Source::read(&[data("sample")]).unwrap()).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_sample_server_has_the_map_that_stands_beside_it() {
    let map = sample().map(&Params::default()).unwrap();
    let known = std::fs::read_to_string(data("sample.map")).unwrap();
    assert_eq!(map.as_str(), known);
}

#[test]
fn the_map_depends_neither_on_paths_nor_on_line_numbers() {
    let known = sample().map(&Params::default()).unwrap();
    let mut sources = Source::read(&[data("sample")]).unwrap();
    for source in &mut sources {
        let name = source.path.rsplit_once("sample").map(|(_, end)| end.to_owned());
        source.path = format!("elsewhere/sample{}", name.unwrap_or_default());
        source.text = source.text.replace('\n', "\n\n");
    }
    assert_eq!(analyse(&sources).unwrap().map(&Params::default()).unwrap(), known);
}

#[test]
fn the_checksum_is_crc32_iso_hdlc_of_what_is_before_its_line() {
    let map = sample().map(&Params::default()).unwrap();
    let (text, end) = map.as_str().split_once("end ").unwrap();
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    assert_eq!(end, format!("crc32={:08x}\n", !crc));
}

#[test]
fn the_regions_fit_the_slab_beside_the_stack_for_any_cache() {
    let analysis = sample();
    for (size, ways, k) in
        [(1 << 20, 16, 12), (1 << 20, 8, 6), (512 << 10, 8, 6), (256 << 10, 4, 3)]
    {
        let geometry = Geometry { size, ways, line: 64, k };
        for stack_bytes in [0, 1, 16 * 1024] {
            let params = Params { geometry, stack_bytes, batch_max: 64 };
            let map = analysis.map(&params).unwrap();
            let regions = map.as_str().lines().filter(|l| l.starts_with("region"));
            let number = |field: &str| field.split_once('=').unwrap().1.parse::<u64>().unwrap();
            let bytes: u64 =
                regions.map(|l| l.split(' ').skip(2).map(number).product::<u64>()).sum();
            assert_eq!(bytes, map.solution.bytes);
            assert!(bytes + stack_bytes <= geometry.slab_bytes().unwrap(), "{map}");
        }
    }
}

#[test]
fn batches_are_no_larger_than_is_of_use() {
    let params = Params { batch_max: 3, ..Params::default() };
    let map = sample().map(&params).unwrap();
    assert!(map.solution.batches.iter().all(|&m| m == 3));
    assert!(map.as_str().contains("name=header size=100 align=64 cap=24"));
}

#[test]
fn a_server_without_objects_has_a_map_too() {
    let map = analysed("fn a() {} fn b() {} fn c() {}").map(&Params::default()).unwrap();
    assert!(
        map.as_str()
            .contains("stack bytes=16384 clusters=-\nstage 0 name=a live=- alloc=- weight=1\n")
    );
}

#[test]
fn caches_that_do_not_exist_or_are_too_small_are_refused() {
    let analysis = sample();
    let refused = |size, ways, line, k, stack_bytes, batch_max| {
        let geometry = Geometry { size, ways, line, k };
        analysis.map(&Params { geometry, stack_bytes, batch_max }).map(|_| ()).unwrap_err()
    };
    for (size, ways, line, k) in [
        (0, 16, 64, 12),
        (1 << 20, 0, 64, 12),
        (1 << 20, 16, 64, 0),
        (1 << 20, 16, 64, 17),
        (1 << 20, 16, 48, 12),
        (1 << 20, 16, 32, 12),
        ((1 << 20) + 1, 16, 64, 12),
        (u64::MAX, 3, 64, 3),
    ] {
        let error = refused(size, ways, line, k, 0, 64);
        assert!(matches!(error, PlanError::Geometry(_)), "{size} {ways} {line} {k}: {error}");
    }
    assert!(matches!(refused(1 << 20, 16, 64, 12, u64::MAX, 64), PlanError::Stack { .. }));
    assert!(matches!(refused(1 << 20, 16, 64, 12, 0, 0), PlanError::NoBatch));
    let error = refused(8192, 8, 64, 6, 0, 64);
    assert!(error.to_string().starts_with("one task at a time needs "), "{error}");
}
