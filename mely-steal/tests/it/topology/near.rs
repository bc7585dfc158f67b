//! Which cores are threads of one physical core, share a cache, or a node, where sysfs is whole and where it is not?

use color_sched::CoreId;
use mely_steal::{Distance, Topology};

use super::{cache, distances, sysfs, two_nodes, write};

fn numbers(cores: impl Iterator<Item = CoreId>) -> Vec<u16> {
    cores.map(|core| core.0).collect()
}

/// Four CPUs of two threads each, and no cache is told.
fn siblings(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = sysfs(files);
    write(root.path(), "cpu/online", b"0-3\n");
    for cpu in 0..4 {
        let pair = format!("{},{}\n", cpu % 2, cpu % 2 + 2);
        let name = format!("cpu/cpu{cpu}/topology/thread_siblings_list");
        write(root.path(), &name, pair.as_bytes());
    }
    root
}

#[test]
fn threads_caches_and_nodes_are_told_apart() {
    let topology = Topology::from_sysfs(two_nodes().path()).unwrap();
    assert_eq!(numbers(topology.threads(CoreId(5))), [4]);
    assert_eq!(numbers(topology.sharing(CoreId(5), 2)), [4]);
    assert_eq!(numbers(topology.sharing(CoreId(5), 3)), [4, 6, 7]);
    assert_eq!(numbers(topology.sharing(CoreId(5), 4)), [0_u16; 0]);
    assert_eq!(numbers(topology.of_node(2)), [4, 5, 6, 7]);
    assert_eq!(numbers(topology.of_node(1)), [0_u16; 0]);
    assert_eq!([3, 4, 8].map(|core| topology.node(CoreId(core))), [Some(0), Some(2), None]);
    assert_eq!(numbers(topology.neighbors(CoreId(0), Distance::Cache(3))), [1, 2, 3]);
    assert_eq!(numbers(topology.neighbors(CoreId(0), Distance::Memory(21))).len(), 7);
    assert_eq!(numbers(topology.neighbors(CoreId(8), Distance::Cache(3))), [0_u16; 0]);
}

#[test]
fn thread_siblings_are_near_where_no_cache_is_told() {
    use Distance::{Cache, Itself, Memory};
    let topology = Topology::from_sysfs(siblings(&[]).path()).unwrap();
    assert_eq!(distances(&topology, 0), [Itself, Memory(10), Cache(1), Memory(10)]);
    assert_eq!(numbers(topology.threads(CoreId(1))), [3]);
    assert_eq!(topology.node(CoreId(0)), Some(0));
}

#[test]
fn thread_siblings_share_an_l1_that_is_not_told() {
    let root = siblings(&[]);
    cache(root.path(), &[0, 1, 2, 3], 2, 2, "Unified", "0-3");
    let topology = Topology::from_sysfs(root.path()).unwrap();
    assert_eq!(topology.distance(CoreId(0), CoreId(2)), Distance::Cache(1));
    assert_eq!(topology.distance(CoreId(0), CoreId(1)), Distance::Cache(2));
}

#[test]
fn thread_siblings_that_are_no_list_are_named() {
    let root = siblings(&[]);
    write(root.path(), "cpu/cpu2/topology/thread_siblings_list", b"0;2\n");
    let error = Topology::from_sysfs(root.path()).unwrap_err().to_string();
    assert!(error.contains("thread_siblings_list: `0;2` is not a list"), "{error}");
}

#[test]
fn a_single_core_is_alone_and_known() {
    let root = sysfs(&[("cpu/online", "5\n")]);
    cache(root.path(), &[5], 0, 1, "Data", "5");
    let topology = Topology::from_sysfs(root.path()).unwrap();
    assert_eq!(distances(&topology, 0), [Distance::Itself]);
    assert_eq!(topology.neighbors(CoreId(0), Distance::Unknown).count(), 0);
    assert_eq!(topology.to_string(), "l1:1 pu:1(indexes=5)");
}

#[test]
fn a_node_without_its_files_is_a_node_without_cores() {
    let root = two_nodes();
    std::fs::remove_dir_all(root.path().join("devices/system/node/node2")).unwrap();
    let topology = Topology::from_sysfs(root.path()).unwrap();
    assert_eq!(topology.distance(CoreId(0), CoreId(4)), Distance::Unknown);
    assert_eq!(topology.distance(CoreId(4), CoreId(7)), Distance::Cache(3));
    assert_eq!(numbers(topology.of_node(0)), [0, 1, 2, 3]);
    assert_eq!(topology.node(CoreId(4)), None);
}

#[test]
fn of_two_simulated_caches_of_one_level_the_larger_counts() {
    assert_eq!(Topology::grouped(8, &[(2, 4), (2, 2)]).to_string(), "l2:2 pu:4");
}

#[test]
fn of_two_caches_of_one_level_in_sysfs_the_first_counts() {
    let root = sysfs(&[("cpu/online", "0-3")]);
    cache(root.path(), &[0, 1], 2, 2, "Unified", "0-1");
    cache(root.path(), &[2, 3], 2, 2, "Unified", "2-3");
    cache(root.path(), &[0, 1, 2, 3], 4, 2, "Unified", "0-3");
    let topology = Topology::from_sysfs(root.path()).unwrap();
    assert_eq!(topology.distance(CoreId(0), CoreId(1)), Distance::Cache(2));
    assert_eq!(topology.distance(CoreId(0), CoreId(2)), Distance::Memory(10));
    assert_eq!(topology.to_string(), "l2:2 pu:2");
}

#[test]
fn cores_beyond_those_that_can_be_named_are_left_out() {
    assert_eq!(Topology::uniform(1_000_000_000).cores(), 65536);
    let topology = Topology::grouped(70_000, &[(3, 2)]);
    assert_eq!(topology.distance(CoreId(u16::MAX), CoreId(u16::MAX - 1)), Distance::Cache(3));
    assert_eq!(topology.neighbors(CoreId(u16::MAX), Distance::Cache(3)).count(), 1);
}
