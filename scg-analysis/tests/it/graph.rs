//! Components and cycles against reachability.

use proptest::prelude::*;
use scg_analysis::stage::{Edge, StageGraph};

fn graph(n: usize, edges: &[(usize, usize)]) -> StageGraph {
    let mut graph = StageGraph::new(n);
    edges.iter().for_each(|&(from, to)| graph.add(from % n, to % n, Edge::Event));
    graph
}

/// By Warshall: is there a way of at least one edge?
fn reach(n: usize, graph: &StageGraph) -> Vec<Vec<bool>> {
    let mut reach = vec![vec![false; n]; n];
    for (from, row) in reach.iter_mut().enumerate() {
        graph.next(from).iter().for_each(|&(to, _)| row[to] = true);
    }
    for k in 0..n {
        for i in 0..n {
            for j in 0..n {
                reach[i][j] |= reach[i][k] && reach[k][j];
            }
        }
    }
    reach
}

#[test]
fn an_edge_is_added_once_and_edges_are_in_order() {
    let mut graph = StageGraph::new(3);
    graph.add(0, 2, Edge::Event);
    graph.add(0, 1, Edge::Timer);
    graph.add(0, 2, Edge::Event);
    assert_eq!(graph.next(0), [(1, Edge::Timer), (2, Edge::Event)]);
    assert!(graph.is_terminal(1) && !graph.in_cycle(0));
}

#[test]
fn a_deep_chain_needs_no_deep_stack() {
    let n = 100_000;
    let edges: Vec<_> = (0..n).map(|i| (i, (i + 1) % n)).collect();
    assert_eq!(graph(n, &edges).components().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn components_are_the_classes_of_mutual_reachability_and_cycles_are_ways_back(
        n in 1usize..9,
        edges in proptest::collection::vec((0usize..9, 0usize..9), 0..20),
    ) {
        let graph = graph(n, &edges);
        let reach = reach(n, &graph);
        let components = graph.components();
        let mut component_of = vec![usize::MAX; n];
        for (c, stages) in components.iter().enumerate() {
            for &s in stages {
                prop_assert_eq!(component_of[s], usize::MAX);
                component_of[s] = c;
            }
        }
        for i in 0..n {
            for j in 0..n {
                let together = i == j || reach[i][j] && reach[j][i];
                prop_assert_eq!(component_of[i] == component_of[j], together);
                if reach[i][j] {
                    prop_assert!(component_of[j] <= component_of[i], "others lead to it first");
                }
            }
            let cycle = graph.cycle(i);
            prop_assert_eq!(cycle.is_some(), reach[i][i]);
            if let Some(cycle) = cycle {
                prop_assert_eq!(cycle[0], i);
                for (k, &s) in cycle.iter().enumerate() {
                    let next = cycle[(k + 1) % cycle.len()];
                    prop_assert!(graph.next(s).contains(&(next, Edge::Event)));
                }
            }
        }
    }
}
