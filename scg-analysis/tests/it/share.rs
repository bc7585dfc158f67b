//! Colourings: valid, as small as brute force finds, without circles.

use std::collections::BTreeSet;

use proptest::prelude::*;
use scg_analysis::share::{EXACT_MAX, Interference, colour};
use scg_analysis::{Params, analyse};

use super::server;

fn interference(n: usize, pairs: &[(usize, usize)]) -> Interference {
    let together = pairs.iter().map(|&(i, j)| (i % n, j % n)).filter(|(i, j)| i != j);
    let together = together.map(|(i, j)| (i.min(j), i.max(j))).collect();
    Interference { together, waits: BTreeSet::new() }
}

fn cost(slots: &[u64], region_of: &[usize]) -> (usize, u64) {
    let regions: BTreeSet<usize> = region_of.iter().copied().collect();
    let slot = |r: &usize| {
        slots.iter().zip(region_of).filter(|(_, q)| *q == r).map(|(s, _)| *s).max().unwrap_or(0)
    };
    (regions.len(), regions.iter().map(slot).sum())
}

fn is_valid(region_of: &[usize], interference: &Interference) -> bool {
    interference.together.iter().all(|&(i, j)| region_of[i] != region_of[j])
}

/// The best of all n^n assignments.
fn brute_force(slots: &[u64], interference: &Interference) -> (usize, u64) {
    let n = slots.len();
    let assignment = |mut code: usize| -> Vec<usize> {
        (0..n)
            .map(|_| {
                let region = code % n;
                code /= n;
                region
            })
            .collect()
    };
    (0..n.pow(n as u32))
        .map(assignment)
        .filter(|a| is_valid(a, interference))
        .map(|a| cost(slots, &a))
        .min()
        .unwrap_or((0, 0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_exact_colouring_is_as_small_as_brute_force_finds(
        slots in proptest::collection::vec(1u64..5, 1..6),
        pairs in proptest::collection::vec((0usize..6, 0usize..6), 0..12),
    ) {
        let interference = interference(slots.len(), &pairs);
        let colouring = colour(&slots, &interference);
        prop_assert!(colouring.exact && is_valid(&colouring.region_of, &interference));
        prop_assert_eq!(cost(&slots, &colouring.region_of), brute_force(&slots, &interference));
    }

    #[test]
    fn the_colouring_of_many_objects_is_valid(
        slots in proptest::collection::vec(1u64..5, EXACT_MAX + 1..40),
        pairs in proptest::collection::vec((0usize..40, 0usize..40), 0..200),
    ) {
        let interference = interference(slots.len(), &pairs);
        let colouring = colour(&slots, &interference);
        prop_assert!(!colouring.exact && is_valid(&colouring.region_of, &interference));
    }
}

#[test]
fn twenty_objects_are_coloured_at_once() {
    let pairs: Vec<_> = (0..20).flat_map(|i| [(i, (i + 1) % 20), (i, (i + 5) % 20)]).collect();
    let slots: Vec<u64> = (0..20).map(|i| 64 * (1 + i * 7 % 5)).collect();
    let colouring = colour(&slots, &interference(20, &pairs));
    assert!(colouring.exact);
    assert_eq!(
        colouring.region_of.iter().max(),
        Some(&1),
        "a ring with odd chords has two colours"
    );
}

#[test]
fn objects_of_one_stage_do_not_share_and_others_do() {
    let analysis = analyse(&[server(
        "const Z: Site = Site::new(\"z\", 64);
         fn a(p: P) { p.alloc(X); p.next(Stage::B) }
         fn b(p: P) { p.alloc(Y); p.free(X, x); p.next(Stage::C) }
         fn c(p: P) { p.free(Y, y); p.alloc_n(Z, 2); p.close() }",
    )])
    .unwrap();
    assert_eq!(analysis.interference.together, BTreeSet::from([(0, 1), (1, 2)]));
    assert_eq!(analysis.interference.waits, BTreeSet::from([(0, 1), (1, 2)]));
}

/// x and z never meet, but a task that holds x waits for y, and one that holds y waits for z.
#[test]
fn sharing_that_would_close_a_circle_is_not_done() {
    let analysis = analyse(&[server(
        "const Z: Site = Site::new(\"z\", 8192);
         fn a(p: P) { p.alloc(X); p.next(Stage::B) }
         fn b(p: P) { p.alloc(Y); p.free(X, x); p.next(Stage::C) }
         fn c(p: P) { p.alloc(Z); p.close() }",
    )])
    .unwrap();
    assert!(analysis.interference.may_share(0, 2));
    assert_eq!(analysis.interference.circle(&[0, 1, 2]), None);
    assert!(analysis.interference.circle(&[0, 1, 0]).is_some());
    let small = scg_analysis::Geometry { size: 65536, ways: 8, line: 64, k: 6 };
    let params = Params { geometry: small, stack_bytes: 0, batch_max: 64 };
    assert_eq!(analysis.map(&params).unwrap().region_of, [0, 1, 2]);
}

/// Two kinds of answer, large enough that the budget binds: taking turns lets both batches grow.
#[test]
fn sharing_is_done_where_it_lets_batches_grow() {
    let analysis = analyse(&[server(
        "const Z: Site = Site::new(\"z\", 128);
         fn a(p: P) { p.next(if p.q() { Stage::B } else { Stage::C }) }
         fn b(p: P) { p.alloc(Y); p.close() } fn c(p: P) { p.alloc(Z); p.close() }",
    )])
    .unwrap();
    let geometry = |size| scg_analysis::Geometry { size, ways: 8, line: 64, k: 8 };
    let params = |size| Params { geometry: geometry(size), stack_bytes: 0, batch_max: 64 };
    let tight = analysis.map(&params(8192)).unwrap();
    assert_eq!((tight.region_of, tight.solution.batches), (vec![0, 0], vec![64, 64, 64]));
    let ample = analysis.map(&params(16384)).unwrap();
    assert_eq!((ample.region_of, ample.solution.batches), (vec![0, 1], vec![64, 64, 64]));
}
/// The fewest regions pair large objects with small ones and need 8192 bytes; only the three large
/// ones together leave the others room. Each merge by itself is not enough.
#[test]
fn a_server_that_fits_only_by_sharing_has_a_map() {
    let source = scg_analysis::Source::new(
        "a.rs",
        "enum Stage { S1, S2, S3, S4 }
         const A: Site = Site::new(\"a\", 4096); const B: Site = Site::new(\"b\", 64);
         const C: Site = Site::new(\"c\", 64); const D: Site = Site::new(\"d\", 4096);
         const E: Site = Site::new(\"e\", 4096);
         fn s1(p: P) { p.alloc(A); p.alloc(B); p.close() }
         fn s2(p: P) { p.alloc(B); p.alloc(C); p.close() }
         fn s3(p: P) { p.alloc(C); p.alloc(D); p.close() }
         fn s4(p: P) { p.alloc(E); p.close() }",
    );
    let geometry = scg_analysis::Geometry { size: 66 * 64, ways: 66, line: 64, k: 66 };
    let params = Params { geometry, stack_bytes: 0, batch_max: 64 };
    let map = analyse(&[source]).unwrap().map(&params).unwrap();
    assert_eq!((map.region_of, map.solution.bytes), (vec![0, 1, 2, 0, 0], 4096 + 128));
}
