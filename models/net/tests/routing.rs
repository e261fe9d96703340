//! Routes against closed cases and against every path there is.

use longhaul_core::time::Span;
use longhaul_core::units::BitRate;
use longhaul_net::routing::{
    Edge, Graph, GraphError, LinkId, Objective, RegionId, RouteError, RoutingPolicy, Weights,
};
use proptest::prelude::*;

fn edge(from: u32, to: u32, ms: u64) -> Edge {
    Edge::of_latency(RegionId(from), RegionId(to), Span::from_ms(ms))
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Three regions with links in one direction only.
fn example() -> Graph {
    let regions = names(&["us-east", "eu-west", "ap-south"]);
    Graph::new(&regions, &[edge(0, 1, 80), edge(0, 2, 200), edge(1, 2, 120)]).unwrap()
}

fn links(graph: &Graph, from: &str, to: &str) -> Vec<u32> {
    let route = graph.route(graph.region(from).unwrap(), graph.region(to).unwrap());
    route.unwrap().links.iter().map(|link| link.0).collect()
}

#[test]
fn of_two_routes_of_200_ms_the_direct_one_is_taken() {
    let graph = example();
    assert_eq!(links(&graph, "us-east", "ap-south"), [1]);
    assert_eq!(
        graph.route(RegionId(0), RegionId(2)).unwrap().latency,
        Span::from_ms(200)
    );
    assert_eq!(links(&graph, "us-east", "eu-west"), [0]);
    assert_eq!(links(&graph, "eu-west", "ap-south"), [2]);
}

#[test]
fn a_faster_detour_beats_a_direct_link() {
    let regions = names(&["us-east", "eu-west", "ap-south"]);
    let graph = Graph::new(&regions, &[edge(0, 1, 80), edge(0, 2, 201), edge(1, 2, 120)]).unwrap();
    assert_eq!(links(&graph, "us-east", "ap-south"), [0, 2]);
}

#[test]
fn a_missing_path_and_an_unknown_region_are_named() {
    let graph = example();
    let error = graph.route(RegionId(2), RegionId(0)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no path leads from \"ap-south\" to \"us-east\""
    );
    assert_eq!(
        graph.region("us-west"),
        Err(RouteError::UnknownRegion("us-west".to_owned()))
    );
}

#[test]
fn a_region_reaches_itself_without_a_hop() {
    let route = example().route(RegionId(0), RegionId(0)).unwrap();
    assert_eq!((route.links.len(), route.latency), (0, Span::ZERO));
}

#[test]
fn among_equal_routes_the_first_by_name_is_taken_however_links_are_listed() {
    // s → {c, a, b} → d, all links alike: "a" (region 2) is on the way.
    let regions = names(&["s", "c", "a", "b", "d"]);
    let mut edges = vec![];
    for middle in 1..4 {
        edges.extend([edge(0, middle, 10), edge(middle, 4, 10)]);
    }
    for rotation in 0..edges.len() {
        edges.rotate_left(rotation);
        let graph = Graph::new(&regions, &edges).unwrap();
        let route = graph.route(RegionId(0), RegionId(4)).unwrap();
        let middle = edges[route.links[0].0 as usize].to;
        assert_eq!(graph.name(middle), "a");
    }
}

#[test]
fn of_parallel_links_the_fastest_counts_then_the_first() {
    let edges = [edge(0, 1, 9), edge(0, 1, 7), edge(0, 1, 7)];
    let graph = Graph::new(&names(&["a", "b"]), &edges).unwrap();
    assert_eq!(links(&graph, "a", "b"), [1]);
}

#[test]
fn latencies_beyond_the_range_still_have_an_order() {
    let endless = |from, to| Edge {
        latency: Span::MAX,
        ..edge(from, to, 0)
    };
    let edges = [endless(0, 1), endless(1, 2), endless(0, 2), edge(2, 3, 1)];
    let graph = Graph::new(&names(&["a", "b", "c", "d"]), &edges).unwrap();
    assert_eq!(links(&graph, "a", "d"), [2, 3]);
    assert_eq!(graph.route(RegionId(0), RegionId(3)).unwrap().latency, Span::MAX);
}

#[test]
fn malformed_graphs_are_refused() {
    let error = |regions: &[&str], edges: &[Edge]| Graph::new(&names(regions), edges).unwrap_err();
    assert_eq!(
        error(&["a", "b", "a"], &[]),
        GraphError::DuplicateRegion("a".to_owned())
    );
    assert_eq!(
        error(&["a"], &[edge(0, 1, 1)]),
        GraphError::UnknownEnd(LinkId(0), RegionId(1))
    );
    let edges = [edge(0, 1, 1), edge(1, 1, 1)];
    assert_eq!(
        error(&["a", "b"], &edges),
        GraphError::Loop(LinkId(1), "b".to_owned())
    );
}

/// Rank of a route: latency, hops, names on the way, links.
type Rank = (u64, usize, Vec<String>, Vec<u32>);

/// The best of all simple paths, found by trying them all.
fn brute_force(names: &[String], edges: &[Edge], from: u32, to: u32) -> Option<Rank> {
    fn walk(
        names: &[String],
        edges: &[Edge],
        to: u32,
        seen: &mut Vec<u32>,
        rank: &Rank,
        best: &mut Option<Rank>,
    ) {
        let here = *seen.last().unwrap();
        if here == to {
            if best.as_ref().is_none_or(|best| rank < best) {
                *best = Some(rank.clone());
            }
            return;
        }
        for (index, edge) in edges.iter().enumerate() {
            if edge.from.0 != here || seen.contains(&edge.to.0) {
                continue;
            }
            let mut next = rank.clone();
            next.0 += edge.latency.as_ns();
            next.1 += 1;
            next.2.push(names[edge.to.0 as usize].clone());
            next.3.push(u32::try_from(index).unwrap());
            seen.push(edge.to.0);
            walk(names, edges, to, seen, &next, best);
            seen.pop();
        }
    }
    let mut best = None;
    walk(
        names,
        edges,
        to,
        &mut vec![from],
        &(0, 0, vec![], vec![]),
        &mut best,
    );
    best
}

#[test]
fn next_hops_go_round_links_that_are_down_and_end_where_no_route_is_left() {
    let graph = example();
    let to = RegionId(2);
    assert_eq!(
        graph.next_hops(to, |_| true),
        [Some(LinkId(1)), Some(LinkId(2)), None]
    );
    let without_direct = graph.next_hops(to, |link| link != LinkId(1));
    assert_eq!(without_direct, [Some(LinkId(0)), Some(LinkId(2)), None]);
    let cut_off = graph.next_hops(to, |link| link == LinkId(0));
    assert_eq!(cut_off, [None, None, None]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Following next hops over some of the links is the best route of the graph that has only those.
    #[test]
    fn next_hops_lead_along_the_best_route_over_the_links_that_are_up(
        order in Just(names(&["f", "b", "e", "a", "d", "c"])).prop_shuffle(),
        raw in prop::collection::vec((0u32..6, 0u32..6, 0u64..3, any::<bool>()), 0..24),
    ) {
        let raw: Vec<_> = raw.into_iter().filter(|(from, to, ..)| from != to).collect();
        let edges: Vec<Edge> = raw.iter().map(|&(from, to, ms, _)| edge(from, to, ms)).collect();
        let up: Vec<bool> = raw.iter().map(|&(.., up)| up).collect();
        let graph = Graph::new(&order, &edges).unwrap();
        let kept: Vec<u32> = (0..).zip(&up).filter(|(_, up)| **up).map(|(index, _)| index).collect();
        let smaller: Vec<Edge> = kept.iter().map(|&index| edges[index as usize]).collect();
        let smaller = Graph::new(&order, &smaller).unwrap();
        for to in (0..6).map(RegionId) {
            let next_hops = graph.next_hops(to, |link| up[link.0 as usize]);
            for from in (0..6).map(RegionId) {
                let (mut here, mut walked) = (from, vec![]);
                while let Some(link) = next_hops[here.0 as usize] {
                    walked.push(link.0);
                    here = graph.far_end(link);
                    prop_assert!(walked.len() < 6, "a loop");
                }
                let route = smaller.route(from, to).ok();
                let route = route.map(|route| route.links.iter().map(|link| kept[link.0 as usize]).collect());
                prop_assert_eq!((here == to).then_some(walked), route);
            }
        }
    }

    /// Few distinct latencies, zero among them, so that ties are the rule.
    #[test]
    fn the_route_is_the_best_of_all_paths(
        order in Just(names(&["f", "b", "e", "a", "d", "c"])).prop_shuffle(),
        raw in prop::collection::vec((0u32..6, 0u32..6, 0u64..3), 0..20),
    ) {
        let edges: Vec<Edge> = raw
            .into_iter()
            .filter(|(from, to, _)| from != to)
            .map(|(from, to, ms)| edge(from, to, ms))
            .collect();
        let graph = Graph::new(&order, &edges).unwrap();
        for from in 0..6 {
            for to in 0..6 {
                let found = graph.route(RegionId(from), RegionId(to)).ok();
                let best = brute_force(&order, &edges, from, to);
                let found = found.map(|route| {
                    let links: Vec<u32> = route.links.iter().map(|link| link.0).collect();
                    (route.latency.as_ns(), links)
                });
                // Parallel links cost the same if both are on a best path, so the lists agree too.
                prop_assert_eq!(found, best.map(|(latency, _, _, links)| (latency, links)));
            }
        }
    }
}

/// Ends 0 and 3, two ways between them: through 1 at 10 ms, cost 10 and 100 Mbit/s a link, through 2 at 20 ms, cost 1 and
/// 1 Gbit/s.
fn two_ways(objective: Objective) -> Graph {
    let link = |from, to, ms, cost, mbit: u64| Edge {
        cost,
        capacity: BitRate::from_bits_per_s(mbit * 1_000_000),
        ..edge(from, to, ms)
    };
    let edges = [
        link(0, 1, 10, 10, 100),
        link(1, 3, 10, 10, 100),
        link(0, 2, 20, 1, 1_000),
        link(2, 3, 20, 1, 1_000),
    ];
    let policy = RoutingPolicy {
        objective,
        multipath: false,
    };
    Graph::with_policy(&names(&["a", "near", "wide", "b"]), &edges, policy).unwrap()
}

#[test]
fn each_objective_finds_its_route_and_its_next_hops() {
    let balanced = |latency_per_ms, cost| {
        Objective::Balanced(Weights {
            latency_per_ms,
            cost,
            ..Weights::LATENCY
        })
    };
    for (objective, expected) in [
        (Objective::Latency, [0, 1]),
        (Objective::Cost, [2, 3]),
        (Objective::Widest, [2, 3]),
        (balanced(1_000_000, 1_000_000), [0, 1]),
        (balanced(1_000_000, 2_000_000), [2, 3]),
    ] {
        let graph = two_ways(objective);
        assert_eq!(links(&graph, "a", "b"), expected, "{objective:?}");
        let hops = graph.next_hops(RegionId(3), |_| true);
        assert_eq!(hops[0], Some(LinkId(expected[0])), "{objective:?}");
        // Without the first link of the best way the other one is left.
        let hops = graph.next_hops(RegionId(3), |link| link != LinkId(expected[0]));
        assert_eq!(hops[0], Some(LinkId(2 - expected[0])), "{objective:?}");
    }
    // Equal now, and both are next hops.
    let graph = two_ways(balanced(18_000_000, 20_000_000));
    assert_eq!(
        graph.equal_next_hops(RegionId(3), |_| true)[0],
        [LinkId(0), LinkId(2)]
    );
}

#[test]
fn a_cost_that_cannot_be_summed_is_refused() {
    let dear = Edge {
        cost: u64::MAX,
        ..edge(0, 1, 10)
    };
    let error = Graph::new(&names(&["a", "b"]), &[dear]).unwrap_err();
    assert_eq!(error, GraphError::TooDear(LinkId(0), u64::MAX));
}

proptest! {
    /// Widest routes are no tree: what a region on the way does depends on the destination alone.
    #[test]
    fn next_hops_of_the_widest_routes_lead_to_the_end_and_are_as_wide(
        list in prop::collection::vec((0u32..7, 0u32..7, 1u64..6, 1u64..5), 1..30)
    ) {
        let mut list: Vec<_> = list.into_iter().filter(|(from, to, _, _)| from != to).collect();
        list.sort_by_key(|&(from, to, _, _)| (from, to));
        list.dedup_by_key(|&mut (from, to, _, _)| (from, to));
        let edges: Vec<Edge> = list
            .iter()
            .map(|&(from, to, ms, rate)| Edge { capacity: BitRate::from_bits_per_s(rate), ..edge(from, to, ms) })
            .collect();
        let policy = RoutingPolicy { objective: Objective::Widest, multipath: false };
        let regions = names(&["a", "b", "c", "d", "e", "f", "g"]);
        let graph = Graph::with_policy(&regions, &edges, policy).unwrap();
        let width = |links: &[LinkId]| links.iter().map(|link| list[link.0 as usize].3).min();
        for to in (0..7).map(RegionId) {
            let hops = graph.next_hops(to, |_| true);
            for from in (0..7).map(RegionId).filter(|from| *from != to) {
                let Ok(route) = graph.route(from, to) else {
                    prop_assert_eq!(hops[from.0 as usize], None);
                    continue;
                };
                let (mut here, mut taken) = (from, vec![]);
                while here != to {
                    let hop = hops[here.0 as usize].expect("a way on");
                    taken.push(hop);
                    prop_assert!(taken.len() <= 7, "a circle");
                    here = graph.far_end(hop);
                }
                prop_assert_eq!(width(&taken), width(&route.links));
            }
        }
    }
}
