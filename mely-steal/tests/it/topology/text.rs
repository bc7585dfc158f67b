//! Which texts describe a machine, which do not, and is what is written read as the same?

use std::fs;

use color_sched::CoreId;
use mely_steal::topology::{Problem, TextError};
use mely_steal::{Distance, Topology, TopologyError};
use proptest::prelude::*;

use super::{cache, distances, harpertown, sysfs, two_nodes, write};

fn read(text: &str) -> Topology {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn cpus(text: &str) -> Vec<usize> {
    let topology = read(text);
    (0..topology.cores() as u16).filter_map(|core| topology.cpu(CoreId(core))).collect()
}

fn error(text: &str) -> TextError {
    text.parse::<Topology>().expect_err(text)
}

#[test]
fn counts_multiply_from_the_outside_in() {
    use Distance::{Cache, Itself, Memory};
    let topology = read("node:2 l3:2 l2:2 core:1 pu:2");
    assert_eq!(topology.cores(), 16);
    let expected = [Itself, Cache(1), Cache(3), Cache(3), Memory(10), Memory(10)];
    assert_eq!(distances(&topology, 0)[..6], expected);
    assert_eq!(
        distances(&topology, 0)[6..],
        [[Memory(10); 2].as_slice(), &[Memory(20); 8]].concat()
    );
}

#[test]
fn the_machine_of_sysfs_and_its_description_are_the_same() {
    let described = read("node:2(indexes=0,2 distances=10,21,21,10) l3:1 l2:2 l1:1 pu:2");
    assert_eq!(Topology::from_sysfs(two_nodes().path()).unwrap(), described);
    let described = read("l2:4 l1:2 pu:1(indexes=0,4,1,5,2,6,3,7)");
    let paper = Topology::from_sysfs_of(harpertown().path(), &[0, 4, 1, 5, 2, 6, 3, 7]).unwrap();
    assert_eq!(paper, described);
    assert_eq!(Topology::grouped(8, &[(2, 2)]), read("l2:4 pu:2"));
}

#[test]
fn what_hwloc_writes_is_read() {
    for (text, expected) in [
        (
            "Package:2 L3Cache:1 L2Cache:2 L1dCache:1 L1iCache:1 Core:1 PU:2",
            "l3:2 l2:2 l1:1 core:1 pu:2",
        ),
        ("pack:2 node:1 l2:1 core:2 pu:1", "node:2 l2:1 core:2 pu:1"),
        (
            "[NUMANode(memory=16GB)] L3:1(size=32MB) L2:2(size=512kB) Core:1 PU:1",
            "l3:1 l2:2 core:1 pu:1",
        ),
        ("Package:2 [NUMANode(memory=1GB indexes=0,1)] L3:2 PU:1", "node:2 l3:2 pu:1"),
        ("Socket:1 Die:2 Group0:1 PU:3(indexes=3*2)", "pu:6(indexes=0,2,4,1,3,5)"),
        ("machine:1 l2u:2 pu:2(indexes=2*2:1*2)", "l2:2 pu:2(indexes=0,2,1,3)"),
        ("pu:6(indexes=3*2)", "pu:6(indexes=0,2,4,1,3,5)"),
    ] {
        assert_eq!(read(text).to_string(), expected, "{text}");
    }
}

#[test]
fn comments_and_lines_separate_words() {
    let text = "# two of them\nnode:2 # packages\r\n\n\tl3:1\n pu:4(indexes=0-3,8-11) # end";
    assert_eq!(cpus(text), [0, 1, 2, 3, 8, 9, 10, 11]);
}

#[test]
fn sets_say_what_counts_cannot() {
    use Distance::{Cache, Itself, Memory, Unknown};
    let topology = read("node=0-2/5(indexes=3,1 distances=10,-,-,11) l3=0-1 core=1-2 pu=5,0-2");
    assert_eq!(cpus(&topology.to_string()), [5, 0, 1, 2]);
    assert_eq!(distances(&topology, 1), [Unknown, Itself, Cache(3), Memory(10)]);
    assert_eq!(distances(&topology, 2), [Unknown, Cache(3), Itself, Cache(1)]);
    assert_eq!(topology.node(CoreId(0)), Some(1));
}

#[test]
fn of_two_ways_between_nodes_the_longer_counts() {
    let topology = read("node:2(distances=10,20,32,10) pu:1");
    assert_eq!(topology.distance(CoreId(0), CoreId(1)), Distance::Memory(32));
    assert_eq!(topology.to_string(), "node:2(distances=10,32,32,10) pu:1");
}

#[test]
fn two_cores_may_be_on_one_cpu_if_the_text_gives_sets() {
    let topology = read("l2=3-4 pu=3,4,3");
    assert_eq!(topology.distance(CoreId(0), CoreId(2)), Distance::Itself);
    assert_eq!(topology.distance(CoreId(0), CoreId(1)), Distance::Cache(2));
    assert_eq!(topology.to_string(), "l2=3-4 pu=3-4,3");
    // Every level is of one size, and counts would still not say it.
    assert_eq!(read("node=3 core=3 pu=3,3").to_string(), "node=3 core=3 pu=3,3");
}

#[test]
fn a_machine_without_cores_has_a_text() {
    let none = Topology::uniform(0);
    assert_eq!(none.to_string(), "pu=");
    assert_eq!(read("pu="), none);
}

#[test]
fn bad_text_is_named_with_its_place_and_problem() {
    use Problem as P;
    let twice = "l2:1 ".repeat(3);
    let packages = "die:1 ".repeat(600) + "pu:1";
    for (text, line, column, problem) in [
        ("", 1, 1, P::NoPu),
        ("# nothing\n  ", 2, 3, P::NoPu),
        ("node:2 l3:2", 1, 8, P::NoPu),
        ("node=0-3 l3=0-3", 1, 10, P::NoPu),
        ("cache:2 pu:1", 1, 1, P::Level("cache".into())),
        ("l256:1 pu:1", 1, 1, P::Level("l256".into())),
        ("l+1:1 pu:1", 1, 1, P::Level("l+1".into())),
        (":2 pu:1", 1, 1, P::Level(String::new())),
        ("4 8", 1, 1, P::Level("4".into())),
        ("ä:2\n  ß:1", 1, 1, P::Level("ä".into())),
        ("l2 pu:1", 1, 1, P::NoValue),
        ("[l2] pu:1", 1, 1, P::NoValue),
        ("[node:2] pu:1", 1, 1, P::NoValue),
        ("l2:0 pu:1", 1, 1, P::Count("0".into())),
        ("l2: pu:1", 1, 1, P::Count(String::new())),
        ("l2:-1 pu:1", 1, 1, P::Count("-1".into())),
        ("l2:+1 pu:1", 1, 1, P::Count("+1".into())),
        ("l2:1\npu:0x2", 2, 1, P::Count("0x2".into())),
        ("pu:1000000000", 1, 1, P::TooManyCores),
        ("l3:65536 pu:2", 1, 10, P::TooManyCores),
        ("pu:99999999999999999999999999", 1, 1, P::TooManyCores),
        ("node:1025 pu:1", 1, 1, P::TooManyNodes),
        (&twice, 1, 6, P::Twice),
        (&packages, 1, 3073, P::TooManyLevels),
        ("node:1 [numa] pu:1", 1, 8, P::Twice),
        ("node:1 l2=0-1 pu:1", 1, 8, P::Mixed),
        ("pu:2 l2:1", 1, 6, P::InsidePu),
        ("pu:2(indexes=0,1", 1, 1, P::Unpaired),
        ("[node pu:2", 1, 1, P::Unpaired),
        ("pu:2)", 1, 1, P::Unpaired),
        ("pu:2(indexes=0,1)x", 1, 1, P::Unpaired),
        ("pu:2(indexes=(0,1)", 1, 1, P::Unpaired),
        ("pu:2(index=0,1)", 1, 1, P::Attribute("index".into())),
        ("pu:2(x)", 1, 1, P::Attribute("x".into())),
        ("l2:1(offline=0) pu:2", 1, 1, P::Attribute("offline".into())),
        ("pu:2(distances=10)", 1, 1, P::Attribute("distances".into())),
        ("pu:2(offline=0 offline=1)", 1, 1, P::AttributeTwice("offline".into())),
        ("pu:2(indexes=0;1)", 1, 1, P::List("0;1".into())),
        ("pu:2(indexes=0-4294967295)", 1, 1, P::List("0-4294967295".into())),
        ("pu:4(indexes=0*4)", 1, 1, P::List("0*4".into())),
        ("pu:4(indexes=2*2:2*2)", 1, 1, P::List("2*2:2*2".into())),
        ("pu:4(indexes=1*65535:1*65535)", 1, 1, P::List("1*65535:1*65535".into())),
        ("pu:2(indexes=0)", 1, 1, P::Length { name: "indexes", found: 1, expected: 2 }),
        ("pu:2(indexes=7,7)", 1, 1, P::CpuTwice(7)),
        ("pu:2(offline=2)", 1, 1, P::NotACpu(2)),
        ("node:2(indexes=1,1) pu:1", 1, 1, P::NodeTwice(1)),
        (
            "node:2(distances=10,20) pu:1",
            1,
            1,
            P::Length { name: "distances", found: 2, expected: 4 },
        ),
        ("node:1(distances=far) pu:1", 1, 1, P::Distances("far".into())),
        ("node:1(distances=65536) pu:1", 1, 1, P::Distances("65536".into())),
        ("l2=0-1/1-2 pu=0-2", 1, 1, P::CpuTwice(1)),
        ("l2=0-3 pu=0-2", 1, 1, P::NotACpu(3)),
        ("l2=0//1 pu=0-1", 1, 1, P::EmptySet),
        ("l2= pu=0-1", 1, 1, P::EmptySet),
        ("pu=0-3/4", 1, 1, P::List("0-3/4".into())),
        ("pu=0-65535,0", 1, 1, P::List("0-65535,0".into())),
        ("pu=3-1", 1, 1, P::List("3-1".into())),
    ] {
        let error = error(text);
        assert_eq!((error.line, error.column), (line, column), "{text:?}: {error}");
        assert_eq!(error.problem, problem, "{text:?}");
    }
}

#[test]
fn a_long_word_is_not_repeated_whole() {
    let word = "x".repeat(100_000);
    assert!(error(&word).to_string().len() < 400);
}

#[test]
fn a_file_that_is_no_description_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("machine.txt");
    for (bytes, expected) in [
        (
            b"node:2\n  l3:none pu:1".as_slice(),
            "machine.txt:2:3: `l3:none`: `none` is no number of groups",
        ),
        (b"node:2\nl3:\xff pu:1", "machine.txt:2:4: ``: byte 0xff is not UTF-8"),
        (&[b' '; (1 << 20) + 1], "at most 1 MiB"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = Topology::from_file(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    for path in [dir.path(), &dir.path().join("missing"), std::path::Path::new("/dev/zero")] {
        let error = Topology::from_file(path).unwrap_err();
        assert!(matches!(error, TopologyError::File { .. }), "{error}");
    }
}

#[test]
fn a_file_is_read_as_its_text_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("machine.txt");
    fs::write(&path, "l2:2 pu:2\n").unwrap();
    assert_eq!(Topology::from_file(&path).unwrap(), read("l2:2 pu:2"));
}

/// A text of counts as people write them: nested levels in any order, with numbers and distances.
fn well_formed() -> impl Strategy<Value = String> {
    let counts = (prop::collection::vec(1usize..3, 5), 1usize..4);
    let counts = counts.prop_map(|(counts, last)| [counts, vec![last]].concat());
    (counts, any::<u8>(), any::<bool>(), any::<bool>(), 0usize..4).prop_map(
        |(counts, chosen, are_numbered, are_apart, offline)| {
            let names = ["node", "l3", "l2", "l1", "core"];
            let is_chosen = |&(at, _): &(usize, &&str)| chosen >> at & 1 == 1;
            let mut total = 1;
            let mut words = Vec::new();
            for (at, name) in names.iter().enumerate().filter(is_chosen) {
                total *= counts[at];
                let far = are_apart && *name == "node";
                let row = |a| (0..counts[0]).map(move |b| if a == b { 10 } else { 21 + a + b });
                let list: Vec<String> =
                    (0..counts[0]).flat_map(row).map(|slit| slit.to_string()).collect();
                let distances =
                    if far { format!("(distances={})", list.join(",")) } else { String::new() };
                words.push(format!("{name}:{}{distances}", counts[at]));
            }
            total *= counts[5];
            let cpu = |index: usize| if are_numbered { (total - index) * 3 } else { index };
            let list: Vec<String> = (0..total).map(|index| cpu(index).to_string()).collect();
            let offline = cpu(offline.min(total - 1));
            words.push(format!("pu:{}(indexes={} offline={offline})", counts[5], list.join(",")));
            words.join(" ")
        },
    )
}

/// Any partition of any CPUs, nested or not.
fn sets() -> impl Strategy<Value = String> {
    let cpus = prop::collection::vec(0usize..40, 1..12);
    let groups = prop::collection::vec(prop::collection::vec(0usize..4, 40), 4);
    (cpus, groups).prop_map(|(cpus, groups)| {
        let mut words = Vec::new();
        for (name, groups) in ["node", "l3", "l2", "core"].iter().zip(&groups) {
            let mut all: Vec<usize> = cpus.clone();
            all.sort_unstable();
            all.dedup();
            let of = |group| -> Vec<String> {
                let is_there = |cpu: &&usize| groups[**cpu] == group;
                all.iter().filter(is_there).map(ToString::to_string).collect()
            };
            // Group 3 is that of no cache, or node.
            let sets: Vec<_> = (0..3).map(of).filter(|set| !set.is_empty()).collect();
            let sets: Vec<_> = sets.iter().map(|set| set.join(",")).collect();
            if !sets.is_empty() {
                words.push(format!("{name}={}", sets.join("/")));
            }
        }
        let list: Vec<String> = cpus.iter().map(ToString::to_string).collect();
        words.push(format!("pu={}", list.join(",")));
        words.join(" ")
    })
}

fn all_cores(topology: &Topology) -> impl Iterator<Item = CoreId> + Clone + use<> {
    (0..topology.cores() as u16).map(CoreId)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_written_is_read_as_the_same(text in prop_oneof![well_formed(), sets()]) {
        let topology = read(&text);
        let written = topology.to_string();
        prop_assert_eq!(written.parse::<Topology>(), Ok(topology.clone()), "{}", written);
        prop_assert_eq!(read(&written).to_string(), written);
    }

    #[test]
    fn uniform_and_grouped_are_read_as_they_are_written(
        cores in 0usize..70,
        caches in prop::collection::vec((any::<u8>(), 0usize..9), 0..5),
    ) {
        let topology = Topology::grouped(cores, &caches);
        prop_assert_eq!(topology.to_string().parse::<Topology>(), Ok(topology));
    }

    #[test]
    fn distances_over_caches_are_an_ultrametric_and_only_a_core_is_at_itself(text in well_formed()) {
        let topology = read(&text);
        let all = all_cores(&topology).filter(|&core| topology.is_usable(core));
        for a in all.clone() {
            for b in all.clone() {
                let direct = topology.distance(a, b);
                prop_assert_eq!(direct, topology.distance(b, a));
                prop_assert_eq!(direct == Distance::Itself, a == b);
                prop_assert!(direct != Distance::Unknown);
                for over in all.clone().filter(|_| matches!(direct, Distance::Cache(_))) {
                    let longer = topology.distance(a, over).max(topology.distance(over, b));
                    prop_assert!(direct <= longer, "{:?} {:?} over {:?}: {}", a, b, over, text);
                }
            }
        }
    }

    #[test]
    fn distances_are_symmetric_however_the_sets_overlap(text in sets()) {
        let topology = read(&text);
        for a in all_cores(&topology) {
            for b in all_cores(&topology) {
                prop_assert_eq!(topology.distance(a, b), topology.distance(b, a));
                let is_same = topology.cpu(a) == topology.cpu(b);
                prop_assert_eq!(topology.distance(a, b) == Distance::Itself, is_same);
            }
        }
    }

    #[test]
    fn no_text_makes_reading_panic_and_what_is_read_is_written(
        text in prop_oneof![
            "\\PC{0,40}",
            "((node|l[1-3]|core|pu|\\[numa\\])[:=]?[0-9,/\\-]{0,6}(\\((indexes|offline|distances)=[0-9,*:\\-]{0,9}\\)?)?[ \n]){0,5}",
            "(l2=[0-3](-[3-5])?(/[6-9])? )?pu=0-9(,[0-9]{1,3})?(\\(offline=[0-9]\\))?",
        ],
    ) {
        if let Ok(topology) = text.parse::<Topology>() {
            prop_assert_eq!(topology.to_string().parse::<Topology>(), Ok(topology));
        }
    }

    #[test]
    fn no_bytes_make_reading_a_file_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("machine.txt");
        fs::write(&path, &bytes).unwrap();
        if let Err(error) = Topology::from_file(&path) {
            prop_assert!(error.to_string().contains("machine.txt:"), "{}", error);
        }
    }
}

#[test]
fn what_sysfs_says_is_written_and_read_as_the_same() {
    let odd = sysfs(&[
        ("cpu/online", "0,2-3,9\n"),
        ("node/online", "1,4\n"),
        ("node/node4/cpulist", "0,9\n"),
        ("node/node1/cpulist", "2\n"),
        ("node/node1/distance", "10 17\n"),
        ("node/node4/distance", "31 10\n"),
    ]);
    cache(odd.path(), &[0, 2, 3], 2, 2, "Unified", "0,2-3");
    write(odd.path(), "cpu/cpu9/topology/thread_siblings_list", b"3,9\n");
    write(odd.path(), "cpu/cpu3/topology/thread_siblings_list", b"3,9\n");
    for root in [two_nodes(), harpertown(), odd] {
        let topology = Topology::from_sysfs(root.path()).unwrap();
        let written = topology.to_string();
        assert_eq!(written.parse(), Ok(topology), "{written}");
    }
}

#[test]
fn the_largest_machine_is_read_and_written() {
    let text = "node:1024 l3:2 l2:4 core:4 pu:2";
    assert_eq!(read(text).to_string(), text);
    assert_eq!(read(text).cores(), 65536);
}

#[test]
fn loops_of_one_cost_no_time_however_many_they_are() {
    let text = format!("pu:65536(indexes={}1*32768:32768*2)", "1*1:".repeat(200_000));
    let topology: Topology = text.parse().unwrap();
    assert_eq!(topology, Topology::uniform(1 << 16));
}
