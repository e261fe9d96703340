//! Admission by path search: on the example, and against all simple paths of random graphs.

use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_reservation::{AdmitError, Calendar, Priority, ReserveError};
use longhaul_routing::{Builder, LinkId, LinkState, RegionId, RouteError, Topology};
use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

use crate::{at, demand, example, mbit};

#[test]
fn the_next_best_path_is_taken_when_the_best_is_reserved() {
    let mut topology = example();
    let region = |name| topology.region(name).expect("a region");
    let (from, to) = (region("us-east"), region("ap-south"));
    let direct = topology.find_link("us-east", "ap-south", "").expect("a link");
    let mut calendar = Calendar::new(&topology, Probability::ZERO);
    let first = calendar
        .admit(at(0), &topology, from, to, demand("a", 500, 0, 100, 1))
        .unwrap();
    assert_eq!(first.route.links, [direct]);
    let second = calendar
        .admit(at(0), &topology, from, to, demand("b", 500, 50, 150, 1))
        .unwrap();
    assert_eq!(second.route.hops(), 2);
    // After the first has ended, the direct link is free again.
    let third = calendar
        .admit(at(0), &topology, from, to, demand("c", 640, 100, 150, 1))
        .unwrap();
    assert_eq!(third.route.links, [direct]);
    // 140 on the direct link, 175 on the way round.
    let refused = calendar.admit_preempting(at(0), &topology, from, to, demand("d", 176, 60, 90, 1));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "from \"us-east\" to \"ap-south\" no path has more than 175000000 bit/s left of 176000000 bit/s asked for"
    );
    let urgent = calendar
        .admit_preempting(at(0), &topology, from, to, demand("d", 176, 60, 90, 2))
        .unwrap();
    assert_eq!(urgent.route.links, [direct]);
    assert_eq!(urgent.victims.len(), 1);
    assert_eq!(urgent.victims[0].id, first.id);
    let back = calendar.admit(at(0), &topology, to, from, demand("e", 1, 0, 1, 0));
    assert!(matches!(back, Err(AdmitError::Route(RouteError::NoPath { .. }))));
    let stay = calendar.admit(at(0), &topology, to, to, demand("f", 1, 0, 1, 0));
    assert!(matches!(stay, Err(AdmitError::Demand(ReserveError::NoLinks(_)))));
    topology.set_region_up(to, false);
    let down = calendar.admit(at(0), &topology, from, to, demand("g", 1, 0, 1, 0));
    assert!(matches!(down, Err(AdmitError::Route(RouteError::RegionDown(_)))));
}

/// All simple paths over links with enough left, as (ns, hops).
fn best(topology: &Topology, enough: &[bool], from: RegionId, to: RegionId) -> Option<(u64, usize)> {
    fn go(
        topology: &Topology,
        enough: &[bool],
        to: RegionId,
        seen: &mut Vec<RegionId>,
        ns: u64,
    ) -> Option<(u64, usize)> {
        let here = *seen.last().expect("a start");
        if here == to {
            return Some((ns, seen.len() - 1));
        }
        let mut best = None;
        for &(far, link) in topology.leaving(here) {
            if seen.contains(&far) || !enough[link.index()] {
                continue;
            }
            seen.push(far);
            let found = go(
                topology,
                enough,
                to,
                seen,
                ns + topology.state(link).latency.as_ns(),
            );
            seen.pop();
            best = match (best, found) {
                (Some(best), Some(found)) => Some(std::cmp::min(best, found)),
                (best, found) => best.or(found),
            };
        }
        best
    }
    go(topology, enough, to, &mut vec![from], 0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn admission_finds_the_best_of_all_simple_paths(
        links in proptest::collection::btree_map((0..6u32, 0..6u32), (1..50u64, 1..10u64), 5..20),
        demands in proptest::collection::vec((0..6u32, 0..6u32, 1..6u64, 0..20u64, 1..10u64, 0..3u8, any::<bool>()), 1..25),
    ) {
        let mut builder = Builder::new();
        for region in 0..6 {
            builder.region(&format!("r{region}")).expect("a new region");
        }
        for ((from, to), (ms, rate)) in links.iter().filter(|((from, to), _)| from != to) {
            let state = LinkState::idle(Span::from_ms(*ms), mbit(*rate));
            builder.link(&format!("r{from}"), &format!("r{to}"), "", state, &[]).expect("a new link");
        }
        let topology = builder.build();
        let mut calendar = Calendar::new(&topology, Probability::ZERO);
        for (from, to, rate, start, length, priority, preempt) in demands {
            let asked = demand("f", rate, start, start + length, priority);
            let when = asked.when.clone();
            let (from, to) = (RegionId(from), RegionId(to));
            let enough = |rate_of: &dyn Fn(LinkId) -> u64| -> Vec<bool> {
                topology.links().map(|link| rate_of(link) >= rate * 1_000_000).collect()
            };
            let free = enough(&|link| calendar.available(link, &when).as_bits_per_s());
            let reach = enough(&|link| calendar.available_to(link, Priority(priority), &when).as_bits_per_s());
            let mut expected = best(&topology, &free, from, to);
            if preempt && expected.is_none() {
                expected = best(&topology, &reach, from, to);
            }
            let before = calendar.len();
            let done = if preempt {
                calendar.admit_preempting(at(0), &topology, from, to, asked)
            } else {
                calendar.admit(at(0), &topology, from, to, asked)
            };
            match done {
                Ok(admission) => {
                    let found = (admission.route.latency.as_ns(), admission.route.hops());
                    prop_assert_eq!(Some(found), expected);
                    prop_assert_eq!(calendar.len() + admission.victims.len(), before + 1);
                }
                Err(AdmitError::Demand(ReserveError::NoLinks(_))) => prop_assert!(from == to),
                Err(error) => {
                    prop_assert!(expected.is_none(), "{error}");
                    prop_assert_eq!(calendar.len(), before);
                }
            }
        }
        for link in topology.links() {
            let usage = calendar.usage(link, &(at(0)..at(100)));
            prop_assert!(usage.reserved <= usage.limit);
        }
    }
}
