//! Which cores are gone, and back, after CPUs went offline, the cpuset shrank, or files vanished?

use std::fs;
use std::path::Path;

use color_sched::{CoreId, Stealer};
use mely_steal::topology::Changes;
use mely_steal::{Distance, Mely, Topology, TopologyError};
use proptest::prelude::*;
use tempfile::TempDir;

use super::distances;
use crate::views::{idle, offer, victim};

fn put(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn allow(root: &Path, thread: &str, list: &str) {
    let text =
        format!("Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t{list}\nMems_allowed:\t1\n");
    put(root, &format!("proc/self/{thread}status"), &text);
}

fn online(root: &Path, list: &str) {
    put(root, "sys/devices/system/cpu/online", list);
}

/// Four CPUs, pairs share an L2, all online and allowed.
fn machine() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    online(root.path(), "0-3\n");
    allow(root.path(), "", "0-3");
    for cpu in 0..4 {
        let cache = format!("sys/devices/system/cpu/cpu{cpu}/cache/index2");
        put(root.path(), &format!("{cache}/level"), "2\n");
        let pair = cpu / 2 * 2;
        put(root.path(), &format!("{cache}/shared_cpu_list"), &format!("{pair}-{}\n", pair + 1));
    }
    root
}

fn changes(gone: &[u16], back: &[u16]) -> Changes {
    let cores = |all: &[u16]| all.iter().copied().map(CoreId).collect();
    Changes { gone: cores(gone), back: cores(back) }
}

#[test]
fn a_cpu_that_goes_offline_is_unknown_until_it_is_back() {
    let root = machine();
    let mut topology = Topology::detect_allowed_under(root.path()).unwrap();
    let before = topology.clone();
    assert_eq!(topology.refresh_under(root.path()).unwrap(), Changes::default());

    online(root.path(), "0,2-3\n");
    assert_eq!(topology.refresh_under(root.path()).unwrap(), changes(&[1], &[]));
    assert_eq!(distances(&topology, 1), [Distance::Unknown; 4]);
    assert_eq!(topology.distance(CoreId(0), CoreId(1)), Distance::Unknown);
    assert_eq!(topology.distance(CoreId(2), CoreId(3)), Distance::Cache(2));
    assert_eq!((topology.cores(), topology.cpu(CoreId(3))), (4, Some(3)));
    assert!(topology.refresh_under(root.path()).unwrap().is_empty());

    online(root.path(), "0-3\n");
    assert_eq!(topology.refresh_under(root.path()).unwrap(), changes(&[], &[1]));
    assert_eq!(topology, before);
}

#[test]
fn a_cpuset_that_shrinks_takes_its_cores_and_gives_them_back() {
    let root = machine();
    let mut topology = Topology::detect_allowed_under(root.path()).unwrap();
    allow(root.path(), "", "2-3");
    assert_eq!(topology.refresh_under(root.path()).unwrap(), changes(&[0, 1], &[]));
    allow(root.path(), "", "0,3");
    assert_eq!(topology.refresh_under(root.path()).unwrap(), changes(&[2], &[0]));
    assert!(topology.is_usable(CoreId(0)) && !topology.is_usable(CoreId(1)));
}

#[test]
fn only_allowed_cpus_that_are_online_become_cores() {
    let root = machine();
    online(root.path(), "0-2\n");
    allow(root.path(), "", "1-3");
    let topology = Topology::detect_allowed_under(root.path()).unwrap();
    let cpus: Vec<_> = (0..3).map(|core| topology.cpu(CoreId(core))).collect();
    assert_eq!(cpus, [Some(1), Some(2), None]);
}

#[test]
fn a_pinned_first_thread_takes_no_core_from_the_others() {
    let root = machine();
    let mut topology = Topology::detect_allowed_under(root.path()).unwrap();
    allow(root.path(), "", "0");
    for cpu in 0..4 {
        allow(root.path(), &format!("task/10{cpu}/"), &cpu.to_string());
    }
    assert!(topology.refresh_under(root.path()).unwrap().is_empty());
    // The thread that ran on CPU 3 was moved.
    allow(root.path(), "task/103/", "0-2");
    assert_eq!(topology.refresh_under(root.path()).unwrap(), changes(&[3], &[]));
    assert_eq!(Topology::detect_allowed_under(root.path()).unwrap().cores(), 3);
}

#[test]
fn files_that_vanish_are_no_error() {
    let root = machine();
    let mut topology = Topology::detect_allowed_under(root.path()).unwrap();
    // A thread ended between the folder and its file, another between opening and reading.
    allow(root.path(), "", "0");
    fs::create_dir_all(root.path().join("proc/self/task/77")).unwrap();
    put(root.path(), "proc/self/task/78/status", "");
    allow(root.path(), "task/79/", "1-3");
    assert!(topology.refresh_under(root.path()).unwrap().is_empty());
    // A CPU is in the list, and its files are not there any more.
    fs::remove_dir_all(root.path().join("sys/devices/system/cpu/cpu3")).unwrap();
    let topology = Topology::detect_allowed_under(root.path()).unwrap();
    assert_eq!(topology.cores(), 4);
    assert_eq!(topology.distance(CoreId(2), CoreId(3)), Distance::Unknown);
    assert_eq!(topology.distance(CoreId(0), CoreId(1)), Distance::Cache(2));
}

#[test]
fn one_of_sysfs_and_procfs_is_enough_to_refresh() {
    let root = machine();
    let mut topology = Topology::detect_allowed_under(root.path()).unwrap();
    fs::remove_dir_all(root.path().join("sys")).unwrap();
    allow(root.path(), "", "0-2");
    assert_eq!(topology.refresh_under(root.path()).unwrap(), changes(&[3], &[]));
    fs::remove_dir_all(root.path().join("proc")).unwrap();
    let error = topology.refresh_under(root.path()).unwrap_err();
    assert!(matches!(error, TopologyError::Read { .. }), "{error}");
    online(root.path(), "0,3");
    assert_eq!(topology.refresh_under(root.path()).unwrap(), changes(&[1, 2], &[3]));
}

#[test]
fn a_status_that_is_not_understood_is_named_and_changes_nothing() {
    let root = machine();
    let mut topology = Topology::detect_allowed_under(root.path()).unwrap();
    let before = topology.clone();
    for text in ["Name:\tx\n", "Cpus_allowed_list:\tall\n", "Cpus_allowed_list:\t0-99999999\n"] {
        put(root.path(), "proc/self/status", text);
        let error = topology.refresh_under(root.path()).unwrap_err().to_string();
        assert!(error.contains("proc/self/status"), "{error}");
        assert!(error.contains("is not a list of CPUs such as 0-3,8"), "{error}");
        assert_eq!(topology, before);
    }
}

#[test]
fn an_offline_cpu_is_in_the_text_and_not_asked_for() {
    let mut topology: Topology = "node:2 core:2 pu:2".parse().unwrap();
    topology.update(&[0, 1, 2, 4, 5, 7]);
    assert_eq!(topology.to_string(), "node:2 core:2 pu:2(offline=3,6)");
    assert_eq!(topology.threads(CoreId(2)).count(), 0);
    assert_eq!(topology.of_node(0).collect::<Vec<_>>(), [0, 1, 2].map(CoreId));
    assert_eq!(topology.node(CoreId(3)), None);
    assert_eq!(topology.neighbors(CoreId(3), Distance::Memory(u16::MAX)).count(), 0);
}

#[test]
fn a_cpu_that_the_text_calls_offline_is_gone_until_it_is_back() {
    for text in ["l2:1 pu:3(offline=1)", "l2=0-2 pu=0-2(offline=1)"] {
        let mut topology: Topology = text.parse().unwrap();
        assert_eq!(topology.distance(CoreId(0), CoreId(1)), Distance::Unknown, "{text}");
        assert_eq!(topology.update(&[2, 1, 0]), changes(&[], &[1]), "{text}");
        assert_eq!(topology.distance(CoreId(0), CoreId(1)), Distance::Cache(2), "{text}");
    }
}

#[test]
fn a_core_that_is_gone_is_looked_at_last() {
    let mut topology = Topology::grouped(4, &[(2, 2)]);
    let mut policy = Mely::new(topology.clone());
    let mut view = idle(4, 100);
    view.victims[1] = victim(&[offer(1, 9_000, 1, 1)]);
    view.victims[3] = victim(&[offer(3, 9_000, 1, 1)]);
    let robbed = |policy: &mut Mely| policy.plan(CoreId(0), &view).map(|theft| theft.victim.0);
    assert_eq!(robbed(&mut policy), Some(1));
    topology.update(&[0, 2, 3]);
    policy.set_topology(topology.clone());
    assert_eq!(robbed(&mut policy), Some(3));
    topology.update(&[0, 1, 2, 3]);
    policy.set_topology(topology);
    assert_eq!(robbed(&mut policy), Some(1));
}

#[test]
fn this_machine_is_as_it_was_a_moment_ago() {
    let Ok(mut topology) = Topology::detect_allowed() else { return };
    assert!(topology.cores() > 0);
    let before = topology.clone();
    assert!(topology.refresh().unwrap().is_empty());
    assert_eq!(topology, before);
    assert_eq!(before.to_string().parse(), Ok(before));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn changes_tell_the_difference_of_two_looks_and_the_last_look_is_all_that_counts(
        cores in 0usize..12,
        looks in prop::collection::vec(prop::collection::vec(0usize..14, 0..14), 1..6),
    ) {
        let whole = Topology::grouped(cores, &[(2, 2), (3, 4)]);
        let mut topology = whole.clone();
        for look in &looks {
            let before = topology.clone();
            let changes = topology.update(look);
            for core in (0..cores as u16).map(CoreId) {
                let (was, is) = (before.is_usable(core), look.contains(&core.index()));
                prop_assert_eq!(topology.is_usable(core), is);
                prop_assert_eq!(changes.gone.contains(&core), was && !is);
                prop_assert_eq!(changes.back.contains(&core), !was && is);
                for other in (0..cores as u16).map(CoreId) {
                    let expected = if is && topology.is_usable(other) {
                        whole.distance(core, other)
                    } else {
                        Distance::Unknown
                    };
                    prop_assert_eq!(topology.distance(core, other), expected);
                }
            }
        }
        topology.update(&(0..cores).collect::<Vec<_>>());
        prop_assert_eq!(topology, whole);
    }
}
