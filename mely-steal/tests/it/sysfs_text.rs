//! What sysfs files may hold, and what they never should: errors, not panics, and never endless lists.

use color_sched::CoreId;
use mely_steal::{Topology, TopologyError};
use proptest::prelude::*;

use crate::topology::{cache, sysfs, write};

fn cpus(online: &str) -> Result<Vec<usize>, TopologyError> {
    let root = sysfs(&[("cpu/online", online)]);
    let topology = Topology::from_sysfs(root.path())?;
    Ok((0..=u16::MAX).map_while(|core| topology.cpu(CoreId(core))).collect())
}

#[test]
fn lists_of_cpus_are_read() {
    for (text, expected) in [
        ("", vec![]),
        ("\n", vec![]),
        ("0\n", vec![0]),
        ("0-3", vec![0, 1, 2, 3]),
        ("0,2-3,7\n", vec![0, 2, 3, 7]),
        ("5,0-1,1", vec![0, 1, 5]),
        ("65535", vec![65535]),
    ] {
        assert_eq!(cpus(text).unwrap(), expected, "{text:?}");
    }
}

#[test]
fn what_is_no_list_of_cpus_is_named() {
    for text in [
        "zero",
        "0-",
        "-1",
        "3-1",
        "0,,1",
        "+1",
        "0x1",
        "1 2",
        "0-15:2/4",
        "65536",
        "0-65536",
        "0-18446744073709551615",
        "99999999999999999999999",
        "0-3\u{0}",
    ] {
        let error = cpus(text).unwrap_err();
        assert!(matches!(error, TopologyError::Malformed { .. }), "{text:?}: {error}");
        assert!(error.to_string().contains("is not a list such as 0-3,8"), "{error}");
    }
}

#[test]
fn a_list_that_repeats_itself_does_not_grow() {
    assert!(cpus(&["0-65535"; 20].join(",")).is_err());
}

#[test]
fn bytes_that_are_no_text_are_an_error() {
    let root = sysfs(&[]);
    write(root.path(), "cpu/online", &[0xff, 0xfe, b'0']);
    assert!(matches!(Topology::from_sysfs(root.path()), Err(TopologyError::Read { .. })));
}

#[test]
fn a_cache_level_or_a_distance_that_is_no_number_is_named() {
    let root = sysfs(&[("cpu/online", "0")]);
    cache(root.path(), &[0], 0, 1, "Data", "0");
    write(root.path(), "cpu/cpu0/cache/index0/level", b"one");
    let error = Topology::from_sysfs(root.path()).unwrap_err().to_string();
    assert!(error.contains("index0/level: `one` is not a cache level"), "{error}");

    let root = sysfs(&[("cpu/online", "0"), ("node/online", "0"), ("node/node0/distance", "10 x")]);
    let error = Topology::from_sysfs(root.path()).unwrap_err().to_string();
    assert!(error.contains("node0/distance: `10 x` is not a row of distances"), "{error}");
}

/// Text that is a list more often than chance has it.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[0-9,\\-]{0,12}", "[0-3]-[4-9]", "[0-9 ]{0,8}", "\\PC{0,10}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn no_text_in_any_file_makes_reading_panic_or_distances_lopsided(
        online in "0-[1-2]", level in any_text(), shared in any_text(), nodes in any_text(),
        list in any_text(), row in any_text(),
    ) {
        let root = sysfs(&[
            ("cpu/online", &online),
            ("cpu/cpu0/cache/index0/level", &level),
            ("cpu/cpu0/cache/index0/shared_cpu_list", &shared),
            ("cpu/cpu1/cache/index0/level", "1"),
            ("cpu/cpu1/cache/index0/shared_cpu_list", &shared),
            ("node/online", &nodes),
            ("node/node0/cpulist", &list),
            ("node/node0/distance", &row),
            ("node/node1/cpulist", "1"),
            ("node/node1/distance", &row),
        ]);
        if let Ok(topology) = Topology::from_sysfs(root.path()) {
            for (a, b) in [(0, 1), (0, 0), (1, 2), (0, 9)].map(|(a, b)| (CoreId(a), CoreId(b))) {
                prop_assert_eq!(topology.distance(a, b), topology.distance(b, a));
            }
        }
    }
}
