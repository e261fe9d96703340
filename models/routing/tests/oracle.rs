//! Every answer against the simplest code that must agree: all simple paths of small random graphs, one by one.

use longhaul_core::random::{Stream, Streams};
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use longhaul_routing::{
    AllPairs, Builder, Congestion, Disjoint, LinkId, LinkState, Metric, Objective, RegionId, Router, Spf,
    Topology, UNUSABLE, Weights, disjoint_paths, near_equal, paths, shared_risk_pair,
};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

/// Few different values, so that ties are common; zero latencies and parallel links too.
fn random_topology(random: &mut Stream, regions: u64, links: u64) -> Topology {
    let mut builder = Builder::new();
    for region in 0..regions {
        builder.region(&format!("r{region}")).expect("a new region");
    }
    let groups = ["north", "south", "sea"];
    for number in 0..links {
        let (from, to) = (random.below(regions), random.below(regions));
        if from == to {
            continue;
        }
        let state = LinkState {
            up: random.below(10) > 0,
            cost: random.below(4),
            utilisation: Probability::from_ratio(random.below(5), 5).expect("a fifth"),
            loss: Probability::from_ratio(random.below(3), 100).expect("a percentage"),
            ..LinkState::idle(
                Span::from_ms(random.below(4)),
                BitRate::from_bits_per_s((1 + random.below(3)) * 1_000_000_000),
            )
        };
        let group = groups[random.below(3) as usize];
        let groups: &[&str] = if random.below(3) == 0 { &[group] } else { &[] };
        let (from, to) = (format!("r{from}"), format!("r{to}"));
        let added = builder.link(&from, &to, &format!("{}", number % 2), state, groups);
        // A second parallel link of this name is none.
        let _ = added.is_ok();
    }
    builder.build()
}

/// All paths without loops over usable links.
fn simple_paths(topology: &Topology, from: RegionId, to: RegionId) -> Vec<Vec<LinkId>> {
    fn walk(
        topology: &Topology,
        here: RegionId,
        to: RegionId,
        seen: &mut Vec<RegionId>,
        links: &mut Vec<LinkId>,
        found: &mut Vec<Vec<LinkId>>,
    ) {
        if here == to {
            found.push(links.clone());
            return;
        }
        for &(far, link) in topology.leaving(here) {
            if topology.usable(link) && !seen.contains(&far) {
                seen.push(far);
                links.push(link);
                walk(topology, far, to, seen, links, found);
                links.pop();
                seen.pop();
            }
        }
    }
    let mut found = Vec::new();
    walk(topology, from, to, &mut vec![from], &mut Vec::new(), &mut found);
    found
}

/// What sorts paths: weight, hops, names of regions, names of links.
fn rank(topology: &Topology, weights: &[u64], links: &[LinkId]) -> (u64, usize, Vec<String>, Vec<String>) {
    (
        links.iter().map(|link| weights[link.index()]).sum(),
        links.len(),
        links
            .iter()
            .map(|link| topology.name(topology.link(*link).to).to_owned())
            .collect(),
        links
            .iter()
            .map(|link| topology.link(*link).name.clone())
            .collect(),
    )
}

fn ordered(topology: &Topology, weights: &[u64], from: RegionId, to: RegionId) -> Vec<Vec<LinkId>> {
    let mut all = simple_paths(topology, from, to);
    all.sort_by_key(|links| rank(topology, weights, links));
    all
}

const WEIGHTS: Weights = Weights {
    latency_per_ms: 1_000_000,
    cost: 700_000,
    congestion: 1_300_000,
    price: Congestion::Convex,
    loss_per_percent: 900_000,
    width_at_gbit: 2_000_000,
};

fn each_pair(
    seeds: std::ops::Range<u64>,
    regions: u64,
    links: u64,
    mut check: impl FnMut(&Topology, RegionId, RegionId),
) {
    for seed in seeds {
        let mut random = Streams::new(seed, 0).stream("oracle", "topology");
        let topology = random_topology(&mut random, regions, links);
        for from in topology.regions() {
            for to in topology.regions() {
                check(&topology, from, to);
            }
        }
    }
}

#[test]
fn best_routes_are_the_first_of_all_paths() {
    each_pair(0..40, 6, 16, |topology, from, to| {
        let mut router = Router::new(topology.clone());
        for (objective, metric) in [
            (Objective::Latency, Metric::Latency),
            (Objective::Cost, Metric::Cost),
        ] {
            let expected = ordered(topology, topology.weights(metric), from, to);
            let found = router.compute(from, to, &objective).map(|route| route.links);
            assert_eq!(found.ok(), expected.first().cloned());
        }
    });
}

#[test]
fn widest_routes_are_the_shortest_of_the_widest_paths() {
    each_pair(0..40, 6, 16, |topology, from, to| {
        let width = |links: &Vec<LinkId>| {
            let residual = links
                .iter()
                .map(|link| topology.state(*link).residual().as_bits_per_s());
            residual.min().unwrap_or(u64::MAX)
        };
        let all = ordered(topology, topology.weights(Metric::Latency), from, to);
        let widest = all.iter().map(width).max().filter(|width| *width > 0);
        let expected = widest.and_then(|widest| all.iter().find(|links| width(links) == widest));
        let found = Router::new(topology.clone()).compute(from, to, &Objective::Widest);
        assert_eq!(found.ok().map(|route| route.links), expected.cloned());
    });
}

#[test]
fn balanced_routes_have_the_least_score_of_all_paths() {
    each_pair(0..40, 6, 16, |topology, from, to| {
        let mut all = simple_paths(topology, from, to);
        let none = vec![0; topology.link_count()];
        all.sort_by_key(|links| (WEIGHTS.score(topology, links), rank(topology, &none, links)));
        let found = Router::new(topology.clone()).compute(from, to, &Objective::Balanced(WEIGHTS));
        assert_eq!(found.ok().map(|route| route.links), all.first().cloned());
    });
}

#[test]
fn k_shortest_paths_are_all_paths_in_order() {
    each_pair(0..25, 6, 16, |topology, from, to| {
        let weights = topology.weights(Metric::Latency);
        let expected = ordered(topology, weights, from, to);
        let found: Vec<_> = paths(topology, weights, from, to).collect();
        assert_eq!(found, expected);
        let half = Probability::from_ratio(1, 2).expect("a half");
        let near = near_equal(topology, weights, from, to, half, usize::MAX);
        let weight = |links: &Vec<LinkId>| links.iter().map(|link| weights[link.index()]).sum::<u64>();
        let best = expected.first().map_or(0, weight);
        let close = expected
            .iter()
            .take_while(|links| weight(links) * 2 <= best * 3)
            .count();
        assert_eq!(near.len(), close);
    });
}

/// Nothing in common but the ends.
fn apart(topology: &Topology, a: &[LinkId], b: &[LinkId], disjoint: Disjoint, groups: bool) -> bool {
    let inner = |links: &[LinkId]| -> Vec<RegionId> {
        links
            .iter()
            .skip(1)
            .map(|link| topology.link(*link).from)
            .collect()
    };
    let risks = |links: &[LinkId]| -> Vec<_> {
        links
            .iter()
            .flat_map(|link| topology.link(*link).groups.clone())
            .collect()
    };
    let no_common_link = a.iter().all(|link| !b.contains(link));
    let no_common_region =
        disjoint == Disjoint::Links || inner(a).iter().all(|region| !inner(b).contains(region));
    let no_common_risk = !groups || risks(a).iter().all(|group| !risks(b).contains(group));
    no_common_link && no_common_region && no_common_risk
}

/// The least (weight, hops) of a pair of paths with nothing in common.
fn best_pair(
    topology: &Topology,
    weights: &[u64],
    from: RegionId,
    to: RegionId,
    disjoint: Disjoint,
    groups: bool,
) -> Option<(u64, usize)> {
    let all = simple_paths(topology, from, to);
    let mut best = None;
    for (place, a) in all.iter().enumerate() {
        for b in &all[place + 1..] {
            if apart(topology, a, b, disjoint, groups) {
                let pair = sum(weights, &[a.clone(), b.clone()]);
                best = Some(best.map_or(pair, |known: (u64, usize)| known.min(pair)));
            }
        }
    }
    best
}

fn sum(weights: &[u64], paths: &[Vec<LinkId>]) -> (u64, usize) {
    let links = || paths.iter().flatten();
    (links().map(|link| weights[link.index()]).sum(), links().count())
}

#[test]
fn disjoint_pairs_have_the_least_sum() {
    let (mut pairs, mut proved) = (0, 0);
    each_pair(0..25, 6, 18, |topology, from, to| {
        if from == to {
            return;
        }
        let weights = topology.weights(Metric::Latency);
        for disjoint in [Disjoint::Links, Disjoint::Regions] {
            let found = disjoint_paths(topology, weights, from, to, 2, disjoint);
            let expected = best_pair(topology, weights, from, to, disjoint, false);
            if let Some(expected) = expected {
                assert_eq!(found.len(), 2);
                assert!(apart(topology, &found[0], &found[1], disjoint, false));
                assert_eq!(sum(weights, &found), expected);
                pairs += 1;
            } else {
                assert!(found.len() < 2);
            }
            let expected = best_pair(topology, weights, from, to, disjoint, true);
            let found = shared_risk_pair(topology, weights, from, to, disjoint, usize::MAX);
            assert_eq!(found.is_some(), expected.is_some());
            if let (Some(found), Some(expected)) = (found, expected) {
                assert!(found.proved);
                assert!(apart(topology, &found.primary, &found.backup, disjoint, true));
                assert_eq!(sum(weights, &[found.primary, found.backup]), expected);
                proved += 1;
            }
        }
    });
    assert!(
        pairs > 200 && proved > 100,
        "{pairs} pairs, {proved} without a shared risk"
    );
}

#[test]
fn the_shortest_path_can_be_a_trap() {
    // The shortest path from s to d uses the only links that both paths of a pair could use.
    let mut builder = Builder::new();
    for name in ["s", "a", "b", "d"] {
        builder.region(name).expect("a new region");
    }
    for (from, to, ms) in [
        ("s", "a", 1),
        ("a", "b", 1),
        ("b", "d", 1),
        ("s", "b", 3),
        ("a", "d", 3),
    ] {
        let state = LinkState::idle(Span::from_ms(ms), BitRate::from_bits_per_s(1));
        builder.link(from, to, "", state, &[]).expect("a new link");
    }
    let topology = builder.build();
    let region = |name| topology.region(name).expect("a region");
    let pair = disjoint_paths(
        &topology,
        topology.weights(Metric::Latency),
        region("s"),
        region("d"),
        3,
        Disjoint::Regions,
    );
    assert_eq!(pair.len(), 2);
    assert!(
        pair.iter().all(|links| links.len() == 2),
        "through a and through b"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// After any sequence of changes the distances are those of a fresh computation, bit by bit.
    #[test]
    fn distances_that_follow_the_topology_equal_new_ones(seed in any::<u64>(), changes in 1..30usize) {
        let mut random = Streams::new(seed, 0).stream("oracle", "changes");
        let mut topology = random_topology(&mut random, 12, 40);
        let mut latency = AllPairs::new(&topology, Metric::Latency);
        let mut hops = AllPairs::new(&topology, Metric::Hops);
        for _ in 0..changes {
            // Some versions are skipped, so that several changes come at once.
            for _ in 0..1 + random.below(3) {
                let link = LinkId(random.below(topology.link_count() as u64) as u32);
                match random.below(4) {
                    0 => {
                        let state = LinkState { latency: Span::from_ms(random.below(6)), ..*topology.state(link) };
                        topology.set_link(link, state).expect("a valid state");
                    }
                    1 => {
                        let region = RegionId(random.below(12) as u32);
                        let up = topology.region_up(region);
                        topology.set_region_up(region, !up);
                    }
                    _ => {
                        let up = topology.state(link).up;
                        topology.set_link_up(link, !up);
                    }
                }
            }
            latency.refresh(&topology);
            hops.refresh(&topology);
            let mut spf = Spf::new();
            for to in topology.regions() {
                prop_assert_eq!(latency.distances_to(to), spf.run(&topology, topology.weights(Metric::Latency), to));
                prop_assert_eq!(hops.distances_to(to), spf.run(&topology, topology.weights(Metric::Hops), to));
            }
        }
    }

    /// A cache never answers for another version, and what it answers is what a computation would.
    #[test]
    fn remembered_routes_are_those_of_the_present(seed in any::<u64>()) {
        let mut random = Streams::new(seed, 0).stream("oracle", "cache");
        let mut router = Router::new(random_topology(&mut random, 8, 24));
        for _ in 0..60 {
            if random.below(4) == 0 {
                let link = LinkId(random.below(router.topology().link_count() as u64) as u32);
                let up = router.topology().state(link).up;
                router.topology_mut().set_link_up(link, !up);
            }
            let (from, to) = (RegionId(random.below(8) as u32), RegionId(random.below(8) as u32));
            let objectives = [Objective::Latency, Objective::Widest, Objective::Balanced(WEIGHTS)];
            let objective = objectives[random.below(3) as usize];
            let computed = router.compute(from, to, &objective);
            let remembered = router.route(from, to, &objective).cloned().map_err(Clone::clone);
            prop_assert_eq!(remembered, computed);
        }
    }
}

#[test]
fn a_weight_counts_as_unusable_only_when_its_link_is() {
    let mut topology = random_topology(&mut Streams::new(1, 0).stream("oracle", "weights"), 6, 16);
    let link = topology
        .links()
        .find(|link| topology.usable(*link))
        .expect("a link that works");
    let version = topology.version();
    assert!(!topology.set_link_up(link, true), "nothing changed");
    assert_eq!(topology.version(), version);
    assert!(topology.set_region_up(topology.link(link).to, false));
    assert_eq!(topology.weights(Metric::Latency)[link.index()], UNUSABLE);
    assert!(topology.version() > version);
}
