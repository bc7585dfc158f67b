//! The paper's example (ISMM Fig. 2): five stages, objects O1 and O2 of one size, four tasks.
//! O2 is allocated in the first stage and lives through the third; O1 is allocated in the second.

use scg_analysis::solve::{Mode, solve};
use scg_analysis::{Analysis, Geometry, Params, Source, analyse};

use super::stage_line;

const SOURCE: &str = include_str!("../data/fig2.rs");
const SIZE: u64 = 4096;

fn fig2() -> Analysis {
    analyse(&[Source::new("fig2.rs", SOURCE)]).unwrap()
}

#[test]
fn live_and_allocated_sets_are_those_of_the_figure() {
    let analysis = fig2();
    let table = [
        ("stage1", "live=- alloc=1*1"),
        ("stage2", "live=1 alloc=0*1"),
        ("stage3", "live=0,1 alloc=-"),
        ("stage4", "live=- alloc=-"),
        ("stage5", "live=- alloc=-"),
    ];
    for (stage, want) in table {
        assert_eq!(stage_line(&analysis, stage), want, "{stage}");
    }
    assert_eq!(analysis.lifetimes.dominates, [(1, 0)], "n_O2 >= n_O1");
}

/// "In the case of stage 2 we obtain size(O2) n_O2 + size(O1) <= tau."
#[test]
fn the_constraint_of_stage_2_is_the_papers() {
    let problem = fig2().problem(5 * SIZE, 64, Mode::Paper);
    let (live, alloc) = (&problem.stages[1].live, &problem.stages[1].alloc);
    assert_eq!((live.as_slice(), alloc.as_slice()), (&[1][..], &[(0, 1)][..]));
    assert!(problem.fits(&[1, 4]) && !problem.fits(&[1, 5]));
}

/// The paper's "possible solution n_O1 = 3, n_O2 = 4" is the best one for a cache of seven objects
/// if all of it must fit at once.
#[test]
fn seven_objects_are_split_three_to_four() {
    let solution = solve(&fig2().problem(7 * SIZE, 64, Mode::Strict)).unwrap();
    assert_eq!(solution.counts, [3, 4]);
}

#[test]
fn the_map_of_a_cache_of_seven_objects_is_known() {
    let geometry = Geometry { size: 8 * SIZE, ways: 8, line: 64, k: 7 };
    let params = Params { geometry, stack_bytes: 0, batch_max: 64 };
    let map = fig2().map(&params).unwrap();
    assert_eq!(
        map.as_str(),
        "scg-map 1\n\
         geometry size=32768 ways=8 line=64 k=7\n\
         stack bytes=0 clusters=-\n\
         region 0 slot=4096 slots=3\n\
         region 1 slot=4096 slots=4\n\
         site 0 name=O1 size=4096 align=64 cap=3 region=0 guard=on\n\
         site 1 name=O2 size=4096 align=64 cap=4 region=1 guard=on\n\
         stage 0 name=stage1 live=- alloc=1*1 weight=1\n\
         stage 1 name=stage2 live=1 alloc=0*1 weight=1\n\
         stage 2 name=stage3 live=0,1 alloc=- weight=1\n\
         stage 3 name=stage4 live=- alloc=- weight=1\n\
         stage 4 name=stage5 live=- alloc=- weight=1\n\
         dominates 1 0\n\
         end crc32=8b4a65eb\n"
    );
}

/// Four tasks at once, round-robin: without a bound they hold eight objects between stages 2 and
/// 3; with the map's counts, task 4 waits at stage 2 and all four still end.
#[test]
fn four_tasks_stay_within_the_counts_and_all_end() {
    let (unbounded, refused) = run_tasks([u32::MAX, u32::MAX]);
    assert_eq!((unbounded, refused), (8, 0));
    let (bounded, refused) = run_tasks([3, 4]);
    assert_eq!(bounded, 7);
    assert!(refused > 0);
}

/// Runs four tasks through the stages, skipping tasks whose stage cannot allocate; returns the
/// most objects held at once, and how often a task was skipped.
fn run_tasks(counts: [u32; 2]) -> (u32, u32) {
    let lives = fig2().lifetimes.stages;
    let mut free = counts;
    let mut tasks = vec![0; 4];
    let (mut most, mut refused) = (0, 0);
    while tasks.iter().any(|&stage| stage < lives.len()) {
        let mut moved = false;
        for stage in &mut tasks {
            let Some(life) = lives.get(*stage) else { continue };
            if life.alloc.iter().any(|&(site, n)| free[site] < n) {
                refused += 1;
                continue;
            }
            life.alloc.iter().for_each(|&(site, n)| free[site] -= n);
            most = most.max((counts[0] - free[0]) + (counts[1] - free[1]));
            life.freed.iter().for_each(|&site| free[site] += 1);
            *stage += 1;
            moved = true;
        }
        assert!(moved, "standstill");
    }
    assert_eq!(free, counts);
    (most, refused)
}
