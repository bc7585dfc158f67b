//! Geometry from sysfs text: right figures, and no belief in wrong ones.

use std::fs;
use std::path::Path;

use stingy_alloc::{Backing, Geometry, GeometryError, MemoryMap, Options, Slab};

fn cache(root: &Path, index: usize, files: [(&str, &str); 6]) {
    let dir = root.join(format!("cpu0/cache/index{index}"));
    fs::create_dir_all(&dir).unwrap();
    for (name, text) in files {
        fs::write(dir.join(name), format!("{text}\n")).unwrap();
    }
}

fn l2(size: &str, ways: &str, line: &str, sets: &str) -> Result<Geometry, GeometryError> {
    let root = tempfile::tempdir().unwrap();
    let file = |level, kind, size, ways, line, sets| {
        [
            ("level", level),
            ("type", kind),
            ("size", size),
            ("ways_of_associativity", ways),
            ("coherency_line_size", line),
            ("number_of_sets", sets),
        ]
    };
    cache(root.path(), 0, file("1", "Data", "32K", "8", "64", "64"));
    cache(root.path(), 1, file("2", "Instruction", "64K", "8", "64", "128"));
    cache(root.path(), 2, file("2", "Unified", size, ways, line, sets));
    Geometry::from_sysfs(root.path())
}

#[test]
fn the_unified_level_2_cache_is_read() {
    for (size, ways, sets, way_bytes, k) in [
        ("512K", "8", "1024", 64 << 10, 6),
        ("1024K", "8", "2048", 128 << 10, 6),
        ("1M", "16", "1024", 64 << 10, 12),
        ("1280K", "20", "1024", 64 << 10, 15),
        ("2048K", "16", "2048", 128 << 10, 12),
    ] {
        let geometry = l2(size, ways, "64", sets).unwrap();
        assert_eq!((geometry.way_bytes(), geometry.k), (way_bytes, k), "{size} {ways}");
        assert_eq!(geometry.sets().to_string(), sets);
        assert_eq!(geometry.slab_bytes(), k * way_bytes);
    }
}

#[test]
fn figures_that_contradict_each_other_are_refused() {
    let refused = |size, ways, line, sets| {
        matches!(l2(size, ways, line, sets), Err(GeometryError::Inconsistent { .. }))
    };
    assert!(refused("512K", "8", "64", "2048"), "sets");
    assert!(refused("500K", "8", "64", "1000"), "no power of two");
    assert!(refused("512K", "0", "64", "1024"), "no ways");
    assert!(refused("512K", "8", "0", "1024"), "no line");
    assert!(refused("0", "8", "64", "0"), "no cache");
    assert!(refused("8388608M", "8", "64", "1024"), "absurd");
}

#[test]
fn unreadable_figures_name_their_file() {
    for (size, ways) in [("big", "8"), ("-1", "8"), ("512K", ""), ("99999999999999999999K", "8")] {
        let error = l2(size, ways, "64", "1024").unwrap_err().to_string();
        let file = if ways == "8" { "index2/size" } else { "index2/ways_of_associativity" };
        assert!(error.contains(file) && error.contains("Geometry::new"), "{error}");
    }
}

#[test]
fn a_machine_that_describes_no_cache_is_an_error_with_a_next_step() {
    let root = tempfile::tempdir().unwrap();
    let error = Geometry::from_sysfs(root.path()).unwrap_err();
    assert!(matches!(error, GeometryError::NoL2(_)));
    fs::create_dir_all(root.path().join("cpu0")).unwrap();
    let error = Geometry::from_sysfs(root.path()).unwrap_err().to_string();
    assert!(error.contains("Geometry::new"), "{error}");
    assert!(Geometry::from_sysfs(&root.path().join("absent")).is_err());
}

#[test]
fn k_is_three_quarters_of_the_ways_unless_set() {
    for (ways, k) in [(1, 1), (2, 1), (4, 3), (6, 4), (8, 6), (10, 7), (16, 12), (20, 15)] {
        assert_eq!(Geometry::new(ways * 4096, ways, 64).unwrap().k, k, "{ways} ways");
    }
    let geometry = Geometry::new(1 << 20, 16, 64).unwrap();
    assert_eq!(geometry.with_k(16).unwrap().slab_bytes(), 1 << 20);
    for k in [0, 17, usize::MAX] {
        assert!(matches!(geometry.with_k(k), Err(GeometryError::K { .. })), "k = {k}");
    }
}

#[test]
fn absurd_public_fields_panic_nowhere() {
    for n in [0, 1, 3, usize::MAX] {
        let geometry = Geometry { size: n, ways: n, line: n, k: n };
        let _ = (geometry.way_bytes(), geometry.sets(), geometry.slab_bytes());
        assert!(Geometry::new(n, n, n).is_err());
    }
}

#[test]
fn lines_that_a_slab_cannot_be_laid_out_for_are_refused() {
    for line in [1, 2, 4, 8, 128, 256] {
        let error = Geometry::new(1024, 2, line).unwrap_err();
        assert!(matches!(error, GeometryError::Line { line: n } if n == line), "{error}");
        assert!(error.to_string().contains("16 to 64"), "{error}");
        assert!(matches!(l2("512K", "8", &line.to_string(), "1"), Err(GeometryError::Line { .. })));
    }
    for line in [16, 32, 64] {
        let geometry = Geometry::new(1024, 2, line).unwrap();
        let map = MemoryMap::builder().geometry(geometry).site("s", 64, 4).build().unwrap();
        let backing = Backing::Pages;
        let options = Options { geometry: Some(geometry), backing, ..Options::default() };
        assert!(Slab::new(&map, options).is_ok(), "{line}");
    }
    let geometry = Geometry { size: 1024, ways: 2, line: 1, k: 1 };
    let options = Options { geometry: Some(geometry), ..Options::default() };
    let map = MemoryMap::builder().site("s", 64, 4).build().unwrap();
    assert!(Slab::new(&map, options).is_err(), "public fields are checked too");
}
