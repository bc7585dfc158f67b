//! Distances from sysfs trees, as machines have them and as none should.

mod change;
mod near;
mod text;

use std::fs;
use std::path::Path;

use color_sched::CoreId;
use mely_steal::{Distance, Topology, TopologyError};
use proptest::prelude::*;
use tempfile::TempDir;

/// A sysfs of these files, given below `devices/system`.
pub(crate) fn sysfs(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(root.path(), name, text.as_bytes());
    }
    root
}

pub(crate) fn write(root: &Path, name: &str, text: &[u8]) {
    let path = root.join("devices/system").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Adds a cache to every CPU of `shared`.
pub(crate) fn cache(
    root: &Path,
    cpus: &[usize],
    index: usize,
    level: u8,
    kind: &str,
    shared: &str,
) {
    for cpu in cpus {
        let at = format!("cpu/cpu{cpu}/cache/index{index}");
        write(root, &format!("{at}/level"), format!("{level}\n").as_bytes());
        write(root, &format!("{at}/type"), format!("{kind}\n").as_bytes());
        write(root, &format!("{at}/shared_cpu_list"), format!("{shared}\n").as_bytes());
    }
}

/// The paper's machine (§5.1) as Linux numbers it: two packages, pairs `n` and `n + 4` share an L2.
fn harpertown() -> TempDir {
    let root = sysfs(&[
        ("cpu/online", "0-7\n"),
        ("node/online", "0\n"),
        ("node/node0/cpulist", "0-7\n"),
        ("node/node0/distance", "10\n"),
    ]);
    for cpu in 0..8 {
        cache(root.path(), &[cpu], 0, 1, "Data", &cpu.to_string());
        cache(root.path(), &[cpu], 1, 1, "Instruction", &cpu.to_string());
    }
    for cpu in 0..4 {
        cache(root.path(), &[cpu, cpu + 4], 2, 2, "Unified", &format!("{cpu},{}", cpu + 4));
    }
    root
}

/// Two packages of two physical cores of two threads: an L3 and a node a package.
pub(crate) fn two_nodes() -> TempDir {
    let root = sysfs(&[
        ("cpu/online", "0-7\n"),
        ("node/online", "0,2\n"),
        ("node/node0/cpulist", "0-3\n"),
        ("node/node0/distance", "10 21\n"),
        ("node/node2/cpulist", "4-7\n"),
        ("node/node2/distance", "21 10\n"),
    ]);
    for cpu in [0, 2, 4, 6] {
        let pair = format!("{cpu}-{}", cpu + 1);
        cache(root.path(), &[cpu, cpu + 1], 0, 1, "Data", &pair);
        cache(root.path(), &[cpu, cpu + 1], 2, 2, "Unified", &pair);
    }
    cache(root.path(), &[0, 1, 2, 3], 3, 3, "Unified", "0-3");
    cache(root.path(), &[4, 5, 6, 7], 3, 3, "Unified", "4-7");
    root
}

fn distances(topology: &Topology, from: u16) -> Vec<Distance> {
    let cores = topology.cores() as u16;
    (0..cores).map(|core| topology.distance(CoreId(from), CoreId(core))).collect()
}

#[test]
fn the_papers_machine_has_pairs_and_uniform_memory() {
    use Distance::{Cache, Itself, Memory};
    let topology = Topology::from_sysfs(harpertown().path()).unwrap();
    let far = Memory(10);
    assert_eq!(distances(&topology, 1), [far, Itself, far, far, far, Cache(2), far, far]);
    assert_eq!(distances(&topology, 4), [Cache(2), far, far, far, Itself, far, far, far]);
}

#[test]
fn a_worker_is_where_its_cpu_is() {
    use Distance::{Cache, Itself, Memory};
    let topology = Topology::from_sysfs_of(harpertown().path(), &[5, 0, 1]).unwrap();
    assert_eq!(topology.cores(), 3);
    let cpus = [0, 1, 2, 3].map(|core| topology.cpu(CoreId(core)));
    assert_eq!(cpus, [Some(5), Some(0), Some(1), None]);
    assert_eq!(distances(&topology, 0), [Itself, Memory(10), Cache(2)]);
    assert_eq!(topology.distance(CoreId(0), CoreId(3)), Distance::Unknown);
}

#[test]
fn threads_then_caches_then_memory_then_far_memory() {
    use Distance::{Cache, Itself, Memory};
    let topology = Topology::from_sysfs(two_nodes().path()).unwrap();
    let expected = [Itself, Cache(1), Cache(3), Cache(3)];
    assert_eq!(distances(&topology, 0)[..4], expected);
    assert_eq!(distances(&topology, 0)[4..], [Memory(21); 4]);
    assert!(Itself < Cache(1) && Cache(1) < Cache(3) && Cache(3) < Memory(10));
    assert!(Memory(10) < Memory(21) && Memory(u16::MAX) < Distance::Unknown);
}

#[test]
fn two_workers_on_one_cpu_are_at_no_distance() {
    let topology = Topology::from_sysfs_of(two_nodes().path(), &[3, 3]).unwrap();
    assert_eq!(topology.distance(CoreId(0), CoreId(1)), Distance::Itself);
}

#[test]
fn a_shared_instruction_cache_is_no_shared_cache() {
    let root = sysfs(&[("cpu/online", "0-1")]);
    for cpu in [0, 1] {
        cache(root.path(), &[cpu], 1, 1, "Data", &cpu.to_string());
    }
    cache(root.path(), &[0, 1], 0, 1, "Instruction", "0-1");
    cache(root.path(), &[0, 1], 2, 2, "Unified", "0-1");
    let topology = Topology::from_sysfs(root.path()).unwrap();
    assert_eq!(topology.distance(CoreId(0), CoreId(1)), Distance::Cache(2));
}

#[test]
fn a_kernel_without_numa_has_one_memory() {
    let root = sysfs(&[("cpu/online", "0-1")]);
    for cpu in [0, 1] {
        cache(root.path(), &[cpu], 0, 1, "Data", &cpu.to_string());
    }
    let topology = Topology::from_sysfs(root.path()).unwrap();
    assert_eq!(topology.distance(CoreId(0), CoreId(1)), Distance::Memory(10));
}

#[test]
fn what_sysfs_does_not_tell_is_unknown() {
    let root = sysfs(&[("cpu/online", "0-1")]);
    let topology = Topology::from_sysfs(root.path()).unwrap();
    assert_eq!(distances(&topology, 0), [Distance::Itself, Distance::Unknown]);
}

#[test]
fn a_hole_among_the_caches_hides_no_other_cache() {
    let root = sysfs(&[("cpu/online", "0-1")]);
    cache(root.path(), &[0, 1], 3, 3, "Unified", "0-1");
    let topology = Topology::from_sysfs(root.path()).unwrap();
    assert_eq!(topology.distance(CoreId(0), CoreId(1)), Distance::Cache(3));
}

#[test]
fn a_cpu_outside_of_every_node_is_at_an_unknown_distance() {
    let root = sysfs(&[
        ("cpu/online", "0-1"),
        ("node/online", "0"),
        ("node/node0/cpulist", "0"),
        ("node/node0/distance", "10"),
    ]);
    let topology = Topology::from_sysfs(root.path()).unwrap();
    assert_eq!(topology.distance(CoreId(0), CoreId(1)), Distance::Unknown);
}

#[test]
fn nodes_that_disagree_are_as_far_as_the_farther_says() {
    let root = two_nodes();
    write(root.path(), "node/node2/distance", b"32 10\n");
    let topology = Topology::from_sysfs(root.path()).unwrap();
    assert_eq!(topology.distance(CoreId(0), CoreId(7)), Distance::Memory(32));
    assert_eq!(topology.distance(CoreId(7), CoreId(0)), Distance::Memory(32));
}

#[test]
fn cpus_that_are_offline_have_no_core_and_cannot_be_asked_for() {
    let root = harpertown();
    write(root.path(), "cpu/online", b"0-2,5-7\n");
    let topology = Topology::from_sysfs(root.path()).unwrap();
    assert_eq!(topology.cores(), 6);
    assert_eq!(topology.cpu(CoreId(3)), Some(5));
    let error = Topology::from_sysfs_of(root.path(), &[0, 3]).unwrap_err();
    assert_eq!(error.to_string(), "CPU 3 is not online; choose from 0-2,5-7");
    let error = Topology::from_sysfs_of(root.path(), &[usize::MAX]).unwrap_err();
    assert!(matches!(error, TopologyError::NotOnline { cpu: usize::MAX, .. }));
}

#[test]
fn a_tree_without_cpus_names_the_file_and_the_next_step() {
    let root = sysfs(&[]);
    let error = Topology::from_sysfs(root.path()).unwrap_err().to_string();
    assert!(error.contains("devices/system/cpu/online"), "{error}");
    assert!(error.contains("Topology::uniform"), "{error}");
}

#[test]
fn no_cpus_is_a_machine_without_cores() {
    let topology = Topology::from_sysfs_of(harpertown().path(), &[]).unwrap();
    assert_eq!(topology.cores(), 0);
    assert_eq!(topology.distance(CoreId(0), CoreId(0)), Distance::Unknown);
}

#[test]
fn this_machine_can_be_read_if_it_has_a_sysfs() {
    let Ok(all) = Topology::from_sysfs("/sys") else { return };
    let cpus: Vec<usize> = (0..all.cores() as u16).filter_map(|n| all.cpu(CoreId(n))).collect();
    let detected = Topology::detect(&cpus).unwrap();
    for core in 0..all.cores() as u16 {
        assert_eq!(distances(&all, core), distances(&detected, core));
        assert_eq!(all.distance(CoreId(core), CoreId(core)), Distance::Itself);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn distances_are_symmetric_and_nothing_is_nearer_than_itself(
        cores in 0usize..20,
        caches in prop::collection::vec((any::<u8>(), 0usize..9), 0..5),
        a in 0u16..24,
        b in 0u16..24,
    ) {
        let topology = Topology::grouped(cores, &caches);
        let there = topology.distance(CoreId(a), CoreId(b));
        prop_assert_eq!(there, topology.distance(CoreId(b), CoreId(a)));
        let is_known = usize::from(a.max(b)) < cores;
        prop_assert_eq!(there == Distance::Itself, is_known && a == b);
        prop_assert_eq!(there == Distance::Unknown, !is_known);
    }
}
