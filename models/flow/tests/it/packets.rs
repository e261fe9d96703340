//! Against packet fidelity: the same transfers over the same links, packet by packet.
//!
//! ```text
//! cargo test --release -p longhaul-flow --test it -- --ignored --nocapture packet_by_packet
//! ```

use std::collections::BTreeMap;

use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};
use longhaul_net::link::{LinkSpec, Queue, QueueLimit};
use longhaul_net::loss::Loss;
use longhaul_tcp::{Config, Controller};

use crate::lab::{CUBIC, Fidelity, FlowNetwork, Lab, PLAIN, PacketNetwork, Transfer, pair, quantile};

#[derive(Clone, Copy, Debug)]
struct Case {
    rtt_ms: u64,
    rate_mbit: u64,
    loss_per_million: u64,
    /// Queue in halves of the bandwidth-delay product.
    queue: u64,
    controller: Controller,
    streams: usize,
    bytes: u64,
}

impl Case {
    fn seconds<N: Fidelity>(&self, seeds: u32) -> f64 {
        let rate = BitRate::from_bits_per_s(self.rate_mbit * 1_000_000);
        let product = rate.bytes_in(Span::from_ms(self.rtt_ms)) / 1514;
        let mean = Probability::from_ratio(self.loss_per_million, 1_000_000).expect("at most one");
        let spec = LinkSpec {
            rate,
            delay: Span::from_ms(self.rtt_ms) / 2,
            queue: Queue::Fifo(QueueLimit::Packets((product * self.queue / 2).max(20) as u32)),
            loss: if self.loss_per_million == 0 {
                Loss::None
            } else {
                Loss::Independent(mean)
            },
            ..PLAIN
        };
        let config = Config {
            controller: self.controller,
            ..CUBIC
        };
        let share = self.bytes / self.streams as u64;
        let run = |seed| {
            let mut lab: Lab<N> = Lab::new(11, seed, 2, &pair(0, 1, &spec));
            let transfers = vec![Transfer::new(0, 1, share, config); self.streams];
            lab.run(&transfers, Span::from_s(7200));
            lab.transfers.iter().map(Transfer::seconds).fold(0.0, f64::max)
        };
        let mut all: Vec<f64> = (0..seeds).map(run).collect();
        quantile(&mut all, 0.5)
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rtt_ms, rate_mbit) in [(10, 50), (80, 100), (80, 1000), (200, 50)] {
        for loss_per_million in [0, 100, 1_000, 10_000] {
            for queue in [1, 2] {
                for controller in [Controller::Reno, Controller::Cubic] {
                    for streams in [1, 4] {
                        let bytes = rate_mbit * 250_000;
                        cases.push(Case {
                            rtt_ms,
                            rate_mbit,
                            loss_per_million,
                            queue,
                            controller,
                            streams,
                            bytes: if loss_per_million > 100 { bytes / 4 } else { bytes },
                        });
                    }
                }
            }
        }
    }
    cases
}

#[test]
#[ignore = "minutes in a release build"]
fn completion_times_are_those_packet_by_packet() {
    let mut classes: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for case in cases() {
        let seeds = if case.loss_per_million == 0 { 1 } else { 9 };
        let packets = case.seconds::<PacketNetwork>(seeds);
        let flows = case.seconds::<FlowNetwork>(seeds * 3);
        let error = flows / packets - 1.0;
        println!(
            "{case:?}: packets {packets:.3} flows {flows:.3} error {:+.1} %",
            error * 100.0
        );
        let loss = case.loss_per_million;
        for class in [
            "all".to_owned(),
            format!("{:?} loss {loss} ppm", case.controller),
            format!("{} streams", case.streams),
        ] {
            classes.entry(class).or_default().push(error.abs());
        }
    }
    for (class, errors) in &mut classes {
        let (median, high) = (quantile(errors, 0.5), quantile(errors, 0.9));
        println!(
            "{class:24} {:>4} {:>8.1} % {:>7.1} %",
            errors.len(),
            median * 100.0,
            high * 100.0
        );
    }
    let all = classes.get_mut("all").expect("a class");
    let (median, high) = (quantile(all, 0.5), quantile(all, 0.9));
    assert!(median <= 0.05, "median error {median}");
    assert!(high <= 0.2, "90th percentile {high}");
}

/// Sixteen flows of 15 to 45 MB that begin over 8 s, over 100 Mbit/s and 80 ms: their completion times.
fn crowd<N: Fidelity>(controller: Controller, queue: u32) -> Vec<f64> {
    let spec = LinkSpec {
        queue: Queue::Fifo(QueueLimit::Packets(queue)),
        ..PLAIN
    };
    let config = Config { controller, ..CUBIC };
    let transfers: Vec<Transfer> = (0..16)
        .map(|place| {
            let bytes = 15_000_000 + place * 7 % 16 * 2_000_000;
            Transfer::new(0, 1, bytes, config).at(Span::from_ms(500 * place))
        })
        .collect();
    let mut lab: Lab<N> = Lab::new(5, 0, 2, &pair(0, 1, &spec));
    lab.run(&transfers, Span::from_s(7200));
    lab.transfers.iter().map(Transfer::seconds).collect()
}

#[test]
#[ignore = "a minute in a debug build"]
fn a_crowd_finishes_when_it_does_packet_by_packet() {
    // 1.5 bandwidth-delay products of queue, and a quarter of one.
    for (controller, queue) in [
        (Controller::Cubic, 1_000),
        (Controller::Cubic, 165),
        (Controller::Reno, 1_000),
        (Controller::Reno, 165),
    ] {
        let packets = crowd::<PacketNetwork>(controller, queue);
        let flows = crowd::<FlowNetwork>(controller, queue);
        let errors = packets
            .iter()
            .zip(&flows)
            .map(|(packets, flows)| (flows / packets - 1.0).abs());
        let median = quantile(&mut errors.collect::<Vec<f64>>(), 0.5);
        let last = |all: &[f64]| all.iter().copied().fold(0.0, f64::max);
        let end = last(&flows) / last(&packets) - 1.0;
        println!("{controller:?} {queue}: last {end:+.3}, median error {median:.3}");
        // Who of the newcomers gets past a full queue, and so far ahead, differs.
        assert!(median <= 0.15, "{controller:?} {queue}: median error {median}");
        assert!(end.abs() <= 0.1, "{controller:?} {queue}: end {end}");
    }
}
