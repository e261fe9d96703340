//! Who gets what of a shared network.

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use longhaul_flow::maxmin::{Demand, Share, Solver};
use longhaul_net::link::{LinkSpec, Queue, QueueLimit};
use longhaul_net::loss::Loss;
use longhaul_net::network::NetworkLink;
use longhaul_net::routing::RegionId;
use longhaul_tcp::Config;
use proptest::prelude::*;

use crate::lab::{CUBIC, FlowLab, PLAIN, RENO, Transfer, pair, quantile};

fn shares(demands: &[(f64, Vec<u32>)], capacities: &[f64]) -> Vec<Share> {
    let mut shares = Vec::new();
    let demands = demands.iter().map(|(cap, links)| Demand { cap: *cap, links });
    Solver::default().solve(demands, |link| capacities[link as usize], &mut shares);
    shares
}

fn problem() -> impl Strategy<Value = (Vec<(f64, Vec<u32>)>, Vec<f64>)> {
    let links = 6u32;
    let route = proptest::collection::btree_set(0..links, 1..4)
        .prop_map(|links| links.into_iter().collect::<Vec<u32>>());
    let flow = (1u32..2_000)
        .prop_map(f64::from)
        .prop_flat_map(move |cap| (Just(cap), route.clone()));
    let capacity = (1u32..1_000).prop_map(f64::from);
    (
        proptest::collection::vec(flow, 1..20),
        proptest::collection::vec(capacity, links as usize),
    )
}

proptest! {
    #[test]
    fn every_flow_has_its_cap_or_a_full_link_on_which_nobody_has_more((demands, capacities) in problem()) {
        let shares = shares(&demands, &capacities);
        let used = |link: u32| -> f64 {
            let on = demands.iter().zip(&shares).filter(|((_, links), _)| links.contains(&link));
            on.map(|(_, share)| share.rate).sum()
        };
        for link in 0..capacities.len() as u32 {
            prop_assert!(used(link) <= capacities[link as usize] * (1.0 + 1e-9));
        }
        for ((cap, links), share) in demands.iter().zip(&shares) {
            let Some(bottleneck) = share.bottleneck else {
                prop_assert_eq!(share.rate, *cap);
                continue;
            };
            prop_assert!(links.contains(&bottleneck) && share.rate <= *cap);
            prop_assert!(used(bottleneck) >= capacities[bottleneck as usize] * (1.0 - 1e-9));
            for ((_, links), other) in demands.iter().zip(&shares) {
                prop_assert!(!links.contains(&bottleneck) || other.rate <= share.rate * (1.0 + 1e-9));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_is_written_arrives_over_any_network(
        seed in 0u64..1_000,
        sizes in proptest::collection::vec((0u32..3, 1u32..3, 1u64..3_000_000, 0u64..2_000), 1..12),
        loss in 0u64..50_000,
        queue in 1u32..300,
        offload in any::<bool>(),
    ) {
        let spec = LinkSpec {
            rate: BitRate::from_bits_per_s(20_000_000),
            delay: Span::from_ms(5),
            queue: Queue::Fifo(QueueLimit::Packets(queue)),
            loss: Loss::Independent(Probability::from_ratio(loss, 1_000_000).expect("at most one")),
            ..PLAIN
        };
        let links = ring(4, &spec);
        let transfers: Vec<Transfer> = sizes.iter().map(|&(from, hops, bytes, start_ms)| {
            let config = Config { segmentation_offload: offload, ..CUBIC };
            Transfer::new(from, (from + hops) % 4, bytes, config).at(Span::from_ms(start_ms))
        }).collect();
        let mut lab = FlowLab::new(seed, 0, 4, &links);
        lab.run(&transfers, Span::from_s(100_000));
        for transfer in &lab.transfers {
            prop_assert!(transfer.completed.is_some(), "{transfer:?}");
            prop_assert_eq!(transfer.received, transfer.bytes);
        }
    }
}

/// Links both ways between neighbours on a ring.
fn ring(regions: u32, spec: &LinkSpec) -> Vec<NetworkLink> {
    let both = |region: u32| {
        let (from, to) = (RegionId(region), RegionId((region + 1) % regions));
        [
            NetworkLink {
                from,
                to,
                spec: spec.clone(),
            },
            NetworkLink {
                from: to,
                to: from,
                spec: spec.clone(),
            },
        ]
    };
    (0..regions).flat_map(both).collect()
}

#[test]
fn equal_windows_share_a_full_link_equally() {
    // Four windows of 300 segments on a path that holds 660 and queues 1,000: nothing is lost, a quarter for each.
    let config = Config {
        receive_buffer: 300 * 1448,
        ..RENO
    };
    let transfers = vec![Transfer::new(0, 1, 15_000_000, config); 4];
    let mut lab = FlowLab::new(1, 0, 2, &pair(0, 1, &PLAIN));
    lab.run(&transfers, Span::from_s(1_000));
    let all = 60e6 / 1448.0 * 121.12e-6;
    for transfer in &lab.transfers {
        let ratio = transfer.seconds() / all;
        assert!((1.0..1.12).contains(&ratio), "{ratio}");
    }
    let ends: Vec<f64> = lab.transfers.iter().map(Transfer::seconds).collect();
    let (first, last) = (quantile(&mut ends.clone(), 0.0), quantile(&mut ends.clone(), 1.0));
    assert!(last / first < 1.02, "{ends:?}");
}

#[test]
fn a_flow_on_other_links_changes_nothing_bit_for_bit() {
    let spec = LinkSpec {
        loss: Loss::Independent(Probability::from_ratio(1, 1_000).expect("at most one")),
        ..PLAIN
    };
    let mut links = pair(0, 1, &spec).to_vec();
    links.extend(pair(2, 3, &spec));
    let watched: Vec<Transfer> = (0..3)
        .map(|place| Transfer::new(0, 1, 5_000_000, CUBIC).at(Span::from_ms(300 * place)))
        .collect();
    let run = |transfers: &[Transfer]| {
        let mut lab = FlowLab::new(1, 0, 4, &links);
        lab.run(transfers, Span::from_s(1_000));
        lab.transfers
    };
    let alone = run(&watched);
    let others = (0..5).map(|place| Transfer::new(2, 3, 4_000_000, CUBIC).at(Span::from_ms(77 * place)));
    let together: Vec<Transfer> = others.chain(watched.iter().copied()).collect();
    assert_eq!(run(&together)[5..], alone[..]);
}

#[test]
fn a_flow_that_joins_halves_the_rate_and_gives_it_back() {
    // 100 MB alone take 8.4 s; 25 MB that come in between take their time from it.
    let long = Transfer::new(0, 1, 100_000_000, RENO);
    let short = Transfer::new(0, 1, 25_000_000, RENO).at(Span::from_s(2));
    let mut lab = FlowLab::new(1, 0, 2, &pair(0, 1, &PLAIN));
    lab.run(&[long, short], Span::from_s(1_000));
    let all = 125e6 / 1448.0 * 121.12e-6;
    let end = lab.transfers[0].seconds();
    assert!((all..all * 1.15).contains(&end), "{end} of {all}");
    assert!(lab.transfers[1].seconds() > 25e6 / 1448.0 * 121.12e-6);
}
