//! The solver against brute force.

use proptest::prelude::*;
use scg_analysis::solve::{Demand, Mode, Object, Problem, cost, solve};

const BATCH_MAX: u32 = 5;

fn object() -> impl Strategy<Value = Object> {
    (1u64..5, 0usize..3, 1u32..3).prop_map(|(slot, region, least)| Object { slot, region, least })
}

fn problem() -> impl Strategy<Value = Problem> {
    let objects = proptest::collection::vec(object(), 1..5);
    objects.prop_flat_map(|objects| {
        let n = objects.len();
        let some = proptest::collection::vec(0u32..3, n);
        let stage = (0u32..9, some.clone(), some, proptest::bits::usize::between(0, n));
        let stages = proptest::collection::vec(stage, 1..5);
        let dominates = proptest::collection::vec((0..n, 0..n), 0..3);
        (Just(objects), stages, dominates, 1u64..120, any::<bool>()).prop_map(
            |(objects, stages, dominates, budget, strict)| {
                let counted = |counts: Vec<u32>| -> Vec<(usize, u32)> {
                    counts.into_iter().enumerate().filter(|(_, c)| *c > 0).collect()
                };
                let demand =
                    |(weight, needs, alloc, live): (u32, Vec<u32>, Vec<u32>, usize)| Demand {
                        weight,
                        needs: counted(needs),
                        live: (0..objects.len()).filter(|i| live & (1 << i) != 0).collect(),
                        alloc: counted(alloc),
                    };
                let stages = stages.into_iter().map(demand).collect();
                let mode = if strict { Mode::Strict } else { Mode::Paper };
                Problem { objects, stages, dominates, budget, batch_max: BATCH_MAX, mode }
            },
        )
    })
}

/// The memory constraint, written down a second time.
fn fits(problem: &Problem, n: &[u32]) -> bool {
    let bytes = |i: usize, n: u32| problem.objects[i].slot * u64::from(n);
    match problem.mode {
        Mode::Strict => {
            let region = |r: usize| {
                let inside = || (0..n.len()).filter(move |&i| problem.objects[i].region == r);
                let slot = inside().map(|i| problem.objects[i].slot).max().unwrap_or(0);
                slot * u64::from(inside().map(|i| n[i]).max().unwrap_or(0))
            };
            (0..3).map(region).sum::<u64>() <= problem.budget
        }
        Mode::Paper => problem.stages.iter().all(|s| {
            let live: u64 = s.live.iter().map(|&i| bytes(i, n[i])).sum();
            let alloc: u64 = s.alloc.iter().map(|&(i, c)| bytes(i, c)).sum();
            live + alloc <= problem.budget
        }),
    }
}

fn is_feasible(problem: &Problem, n: &[u32]) -> bool {
    let least = (0..n.len()).all(|i| n[i] >= problem.objects[i].least);
    let runs = problem.stages.iter().flat_map(|s| &s.needs).all(|&(i, c)| n[i] >= c);
    let dominance = problem.dominates.iter().all(|&(i, j)| n[i] >= n[j]);
    least && runs && dominance && fits(problem, n)
}

fn value(problem: &Problem, n: &[u32]) -> u128 {
    let batch = |needs: &[(usize, u32)]| {
        needs.iter().map(|&(i, c)| n[i] / c).min().unwrap_or(BATCH_MAX).min(BATCH_MAX)
    };
    problem.stages.iter().map(|s| cost(s.weight, batch(&s.needs))).sum()
}

/// The least cost over every count up to what the largest batch can use.
fn brute_force(problem: &Problem) -> Option<u128> {
    let most = BATCH_MAX * 2;
    let objects = problem.objects.len() as u32;
    let counts = |mut code: u32| -> Vec<u32> {
        (0..objects)
            .map(|_| {
                let n = code % most + 1;
                code /= most;
                n
            })
            .collect()
    };
    (0..most.pow(objects))
        .map(counts)
        .filter(|n| is_feasible(problem, n))
        .map(|n| value(problem, &n))
        .min()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_solver_finds_what_brute_force_finds(problem in problem()) {
        match solve(&problem) {
            Ok(solution) => {
                prop_assert!(is_feasible(&problem, &solution.counts), "{:?}", solution);
                prop_assert_eq!(value(&problem, &solution.counts), solution.cost);
                prop_assert_eq!(Some(solution.cost), brute_force(&problem));
                prop_assert!(solution.optimal);
            }
            Err(too_small) => {
                prop_assert_eq!(None, brute_force(&problem));
                prop_assert!(too_small.needs > too_small.has);
            }
        }
    }

    #[test]
    fn more_memory_never_costs_more(problem in problem(), more in 0u64..100) {
        if let Ok(solution) = solve(&problem) {
            let larger = Problem { budget: problem.budget + more, ..problem };
            prop_assert!(solve(&larger).unwrap().cost <= solution.cost);
        }
    }
}

#[test]
fn a_problem_of_the_size_of_a_server_is_solved_exactly() {
    let slots = [1024, 2048, 16384, 4096, 512, 256, 8192, 1024, 64, 2048];
    let objects: Vec<Object> =
        slots.iter().enumerate().map(|(region, &slot)| Object { slot, region, least: 1 }).collect();
    let stage = |s: usize| Demand {
        weight: 10 + s as u32 * 7 % 5,
        needs: vec![(s, 1), (s + 1, 1), ((s + 5) % 10, 1)],
        ..Demand::default()
    };
    let problem = Problem {
        objects,
        stages: (0..8).map(stage).collect(),
        dominates: vec![(0, 1), (4, 8)],
        budget: 640 * 1024,
        batch_max: 64,
        mode: Mode::Strict,
    };
    let solution = solve(&problem).unwrap();
    assert!(solution.optimal && problem.fits(&solution.counts));
}

#[test]
fn huge_sizes_saturate_and_do_not_fit() {
    let objects = vec![Object { slot: u64::MAX, region: 0, least: u32::MAX }];
    let stages = vec![Demand { weight: u32::MAX, needs: vec![(0, u32::MAX)], ..Demand::default() }];
    let problem = Problem {
        objects,
        stages,
        dominates: vec![(0, 0)],
        budget: u64::MAX - 1,
        batch_max: u32::MAX,
        mode: Mode::Strict,
    };
    assert_eq!(solve(&problem).unwrap_err().needs, u64::MAX);
}
