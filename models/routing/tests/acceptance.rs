//! Acceptance cases 1–11 and 17: the example of three regions with links in one direction only.

use longhaul_core::machine::{Input, Machine, Output};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::{BitRate, Probability};
use longhaul_routing::{
    Builder, Command, Congestion, FlowKey, Intent, IntentId, LinkState, Metric, Objective, Policy, Reason,
    RouteError, RouteTable, Router, Step, Topology, TopologyError, Weights, choose_weighted, near_equal,
    split,
};

const LINKS: [(&str, &str, u64, u64, u64, u64); 3] = [
    ("us-east", "eu-west", 80, 1_000, 10, 30),
    ("us-east", "ap-south", 200, 800, 15, 20),
    ("eu-west", "ap-south", 120, 900, 12, 25),
];

fn example() -> Topology {
    let mut builder = Builder::new();
    for name in ["us-east", "eu-west", "ap-south"] {
        builder.region(name).expect("a new region");
    }
    for (from, to, ms, mbit, cost, percent) in LINKS {
        let rate = BitRate::from_bits_per_s(mbit * 1_000_000);
        let state = LinkState {
            cost,
            utilisation: Probability::from_ratio(percent, 100).expect("a percentage"),
            ..LinkState::idle(Span::from_ms(ms), rate)
        };
        builder.link(from, to, "", state, &[]).expect("a new link");
    }
    builder.build()
}

/// The regions on the way, ms, cost and Mbit/s.
fn summary(router: &mut Router, from: &str, to: &str, objective: Objective) -> (String, u64, u64, u64) {
    let region = |name| router.topology().region(name).expect("a region");
    let (from, to) = (region(from), region(to));
    let route = router.compute(from, to, &objective).expect("a route");
    let topology = router.topology();
    let names: Vec<&str> = route
        .regions(topology)
        .into_iter()
        .map(|id| topology.name(id))
        .collect();
    let ms = route.latency.as_ns() / 1_000_000;
    (
        names.join(" "),
        ms,
        route.cost,
        route.width.as_bits_per_s() / 1_000_000,
    )
}

/// The weights of the original: 0.4 a second, 0.3 per hundred of cost, 0.3 for full use.
const ORIGINAL: Weights = Weights {
    latency_per_ms: 400,
    cost: 3_000,
    congestion: 300_000,
    price: Congestion::Linear,
    loss_per_percent: 0,
    width_at_gbit: 0,
};

#[test]
fn lowest_latency_prefers_fewer_hops_at_a_tie() {
    let found = summary(
        &mut Router::new(example()),
        "us-east",
        "ap-south",
        Objective::Latency,
    );
    assert_eq!(found, ("us-east ap-south".to_owned(), 200, 15, 640));
}

#[test]
fn the_widest_route_goes_round() {
    let found = summary(
        &mut Router::new(example()),
        "us-east",
        "ap-south",
        Objective::Widest,
    );
    assert_eq!(found, ("us-east eu-west ap-south".to_owned(), 200, 22, 675));
}

#[test]
fn neighbours_are_reached_directly_by_every_objective() {
    let mut router = Router::new(example());
    for objective in [
        Objective::Latency,
        Objective::Cost,
        Objective::Widest,
        Objective::Balanced(ORIGINAL),
    ] {
        let found = summary(&mut router, "us-east", "eu-west", objective);
        assert_eq!(found, ("us-east eu-west".to_owned(), 80, 10, 700));
        let found = summary(&mut router, "eu-west", "ap-south", objective);
        assert_eq!(found, ("eu-west ap-south".to_owned(), 120, 12, 675));
    }
}

#[test]
fn lowest_cost_is_direct() {
    let found = summary(
        &mut Router::new(example()),
        "us-east",
        "ap-south",
        Objective::Cost,
    );
    assert_eq!(found, ("us-east ap-south".to_owned(), 200, 15, 640));
}

#[test]
fn balanced_scores_are_those_of_the_formula() {
    let topology = example();
    let link = |from, to| topology.find_link(from, to, "").expect("a link");
    let direct = [link("us-east", "ap-south")];
    let round = [link("us-east", "eu-west"), link("eu-west", "ap-south")];
    assert_eq!(ORIGINAL.score(&topology, &direct), 185_000);
    assert_eq!(ORIGINAL.score(&topology, &round), 311_000);
    let found = summary(
        &mut Router::new(topology),
        "us-east",
        "ap-south",
        Objective::Balanced(ORIGINAL),
    );
    assert_eq!(found.0, "us-east ap-south");
}

#[test]
fn a_convex_price_of_congestion_avoids_a_full_link_that_a_linear_one_takes() {
    let mut topology = example();
    let direct = topology.find_link("us-east", "ap-south", "").expect("a link");
    let full = LinkState {
        utilisation: Probability::from_ratio(98, 100).expect("a percentage"),
        ..*topology.state(direct)
    };
    topology.set_link(direct, full).expect("a valid state");
    let mut router = Router::new(topology);
    let convex = Weights {
        price: Congestion::Convex,
        congestion: 30_000,
        ..ORIGINAL
    };
    let linear = Weights {
        price: Congestion::Linear,
        ..convex
    };
    let mut path = |weights| summary(&mut router, "us-east", "ap-south", Objective::Balanced(weights)).0;
    assert_eq!(path(linear), "us-east ap-south");
    assert_eq!(path(convex), "us-east eu-west ap-south");
}

#[test]
fn no_way_back_and_no_such_region_are_errors() {
    let mut router = Router::new(example());
    let region = |name| router.topology().region(name).expect("a region");
    let (from, to) = (region("ap-south"), region("us-east"));
    let error = router
        .compute(from, to, &Objective::Latency)
        .expect_err("no way back");
    assert_eq!(
        error.to_string(),
        "no path leads from \"ap-south\" to \"us-east\""
    );
    let unknown = router.topology().region("mars");
    assert_eq!(unknown, Err(TopologyError::UnknownRegion("mars".to_owned())));
    router.topology_mut().set_region_up(to, false);
    let error = router.compute(from, to, &Objective::Latency);
    assert_eq!(error, Err(RouteError::RegionDown("us-east".to_owned())));
}

#[test]
fn a_region_reaches_itself_without_a_hop() {
    let mut router = Router::new(example());
    let here = router.topology().region("us-east").expect("a region");
    for objective in [
        Objective::Latency,
        Objective::Cost,
        Objective::Widest,
        Objective::Balanced(ORIGINAL),
    ] {
        let route = router.compute(here, here, &objective).expect("a route");
        assert_eq!(
            (route.hops(), route.latency, route.next_hop(router.topology())),
            (0, Span::ZERO, None)
        );
    }
}

#[test]
fn paths_of_nearly_equal_latency_are_two_and_one() {
    let topology = example();
    let region = |name| topology.region(name).expect("a region");
    let tolerance = Probability::from_ratio(1, 10).expect("a tenth");
    let weights = topology.weights(Metric::Latency);
    let count = |from, to| near_equal(&topology, weights, region(from), region(to), tolerance, 10).len();
    assert_eq!(count("us-east", "ap-south"), 2);
    assert_eq!(count("us-east", "eu-west"), 1);
}

#[test]
fn weighted_shares_lose_no_byte() {
    assert_eq!(split(104_857_600, &[640, 675]), [51_033_357, 53_824_243]);
    assert_eq!(split(2, &[1, 1, 1]), [1, 1, 0]);
    assert_eq!(
        split(u64::MAX, &[u64::MAX, u64::MAX])
            .iter()
            .map(|part| u128::from(*part))
            .sum::<u128>(),
        u128::from(u64::MAX)
    );
    assert_eq!(split(5, &[0, 0]), [0, 0]);
    let mut flows = [0u32; 2];
    for number in 0..20_000 {
        let flow = FlowKey {
            source: 1,
            destination: 2,
            source_port: number,
            destination_port: 443,
            protocol: 6,
        };
        let place = choose_weighted(flow.hash(7), [(11, 640), (22, 675)]).expect("a choice");
        flows[place] += 1;
    }
    let part = f64::from(flows[0]) / 20_000.0;
    // Three standard errors of a binomial share.
    assert!(
        (part - 640.0 / 1315.0).abs() < 3.0 * (0.25f64 / 20_000.0).sqrt(),
        "{part}"
    );
}

#[test]
fn symmetric_graphs_have_one_answer_whatever_the_order() {
    let state = LinkState::idle(Span::from_ms(10), BitRate::from_bits_per_s(1_000_000_000));
    let middles = ["a", "b", "c"];
    for turn in 0..400 {
        let mut builder = Builder::new();
        let mut names = vec!["s", "a", "b", "c", "d"];
        names.rotate_left(turn % 5);
        for name in names {
            builder.region(name).expect("a new region");
        }
        for step in 0..3 {
            let middle = middles[(step * (1 + turn % 2) + turn) % 3];
            builder.link("s", middle, "", state, &[]).expect("a new link");
            builder.link(middle, "d", "", state, &[]).expect("a new link");
        }
        let mut router = Router::new(builder.build());
        for objective in [
            Objective::Latency,
            Objective::Cost,
            Objective::Widest,
            Objective::Balanced(ORIGINAL),
        ] {
            assert_eq!(summary(&mut router, "s", "d", objective).0, "s a d");
        }
    }
}

/// All changes that a command causes, then the wake that the table asks for.
fn tell(table: &mut RouteTable, at: Instant, command: Command) -> Vec<longhaul_routing::Change> {
    table.handle(at, Input::Command(command));
    drain(table).0
}

fn drain(table: &mut RouteTable) -> (Vec<longhaul_routing::Change>, Option<Instant>) {
    let mut changes = Vec::new();
    loop {
        match table.poll() {
            Output::Event(change) => changes.push(change),
            Output::WakeAt { at, .. } => return (changes, Some(at)),
            _ => return (changes, None),
        }
    }
}

#[test]
fn a_failure_moves_the_route_and_recovery_brings_it_back() {
    let topology = example();
    let region = |name| topology.region(name).expect("a region");
    let link = |from, to| topology.find_link(from, to, "").expect("a link");
    let (direct, first) = (link("us-east", "ap-south"), link("us-east", "eu-west"));
    let second = link("eu-west", "ap-south");
    let intent = Intent {
        from: region("us-east"),
        to: region("ap-south"),
        objective: Objective::Latency,
    };
    let mut table = RouteTable::new(
        topology.clone(),
        Policy {
            period: None,
            ..Policy::default()
        },
    );
    let id = IntentId(1);
    let at = |s| Instant::ZERO + Span::from_s(s);
    let changes = tell(&mut table, at(0), Command::Intend(id, intent));
    assert_eq!(changes[0].step, Step::Install);
    assert_eq!(table.installed(id).expect("a route").links, [direct]);

    let changes = tell(&mut table, at(1), Command::LinkFailed(direct));
    assert_eq!(changes.len(), 1, "one event");
    let change = &changes[0];
    assert_eq!(
        (change.step, change.reason),
        (Step::Failover, Reason::LinkFailure(direct))
    );
    assert_eq!(change.old.as_ref().expect("the old route").links, [direct]);
    assert_eq!(change.new.as_ref().expect("the new route").links, [first, second]);

    let changes = tell(&mut table, at(2), Command::LinkFailed(first));
    assert_eq!((changes.len(), changes[0].step), (1, Step::Delete));
    assert_eq!(table.installed(id), None);

    // Without any route there is nothing to wait for.
    let changes = tell(&mut table, at(3), Command::LinkRecovered(direct));
    assert_eq!((changes.len(), changes[0].step), (1, Step::Install));
    assert_eq!(table.installed(id).expect("a route").links, [direct]);
    assert_eq!(table.history().count(), 4);
}
