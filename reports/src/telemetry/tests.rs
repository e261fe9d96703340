//! Both files keep to their formats, and their figures are those of the records.

mod parser;
mod services;

use longhaul_core::record::*;
use proptest::prelude::*;

use super::*;
use crate::fixture;
use parser::{Family, Format, Sample, parse};

const SECOND: u64 = 1_000_000_000;

fn prom(record: &RunRecord, series: &[SampleRecord], events: &[EventRecord]) -> Vec<Family> {
    let mut out = Vec::new();
    write_prometheus(&mut out, record, series, events).unwrap();
    parse(std::str::from_utf8(&out).unwrap(), Format::Prometheus)
}

fn open_metrics(record: &RunRecord, series: &[SampleRecord], events: &[EventRecord]) -> Vec<Family> {
    let mut out = Vec::new();
    write_openmetrics(&mut out, record, series, events).unwrap();
    parse(std::str::from_utf8(&out).unwrap(), Format::OpenMetrics)
}

/// Samples of a metric, of the entity that one of the labels names.
fn of<'f>(families: &'f [Family], name: &str, entity: &str) -> Vec<&'f Sample> {
    let samples = families.iter().flat_map(|family| &family.samples);
    samples
        .filter(|sample| sample.name == name)
        .filter(|sample| entity.is_empty() || sample.labels.iter().any(|(_, value)| value == entity))
        .collect()
}

fn value(families: &[Family], name: &str, entity: &str) -> Option<f64> {
    let samples = of(families, name, entity);
    assert!(samples.len() < 2, "{samples:?}");
    samples.first().map(|sample| sample.value)
}

fn sample(at_s: u64, entity: &str, metric: &str, value: u64) -> SampleRecord {
    SampleRecord {
        at_ns: at_s * SECOND,
        entity: entity.to_owned(),
        metric: metric.to_owned(),
        value,
    }
}

fn event(at_s: u64, entity: &str, kind: &str) -> EventRecord {
    EventRecord {
        at_ns: at_s * SECOND,
        entity: entity.to_owned(),
        kind: kind.to_owned(),
        detail: String::new(),
        during_event: 0,
    }
}

fn link(name: &str, mbps: u64, delay_ms: u64) -> LinkRecord {
    LinkRecord {
        name: name.to_owned(),
        rate_bits_per_s: Some(mbps * 1_000_000),
        delay_ns: delay_ms * 1_000_000,
        delivered_bytes: 0,
        busy_ns: 0,
        active_ns: 0,
        packets: Some(LinkPackets::default()),
    }
}

/// A run of links alone, in seconds.
fn run(links: Vec<LinkRecord>, seconds: u64) -> RunRecord {
    RunRecord {
        links,
        migrations: Vec::new(),
        transfers: Vec::new(),
        simulated_ns: seconds * SECOND,
        ..fixture::run()
    }
}

/// What a link has done by so many seconds if every second is like the others.
fn steady(name: &str, at_s: u64, bytes: u64, lost: u64, queue: u64) -> Vec<SampleRecord> {
    vec![
        sample(at_s, name, "delivered_bytes", bytes * at_s),
        sample(at_s, name, "lost_packets", lost * at_s),
        sample(at_s, name, "queue_dropped_packets", 0),
        sample(at_s, name, "down_lost_packets", 0),
        sample(at_s, name, "queue_bytes", queue),
    ]
}

/// The example of three regions: a link at 30 %, one at 20 % and one at 25 % of their rates.
fn example(seconds: u64) -> (RunRecord, Vec<SampleRecord>) {
    let mut links = vec![
        link("us-east->eu-west", 1_000, 80),
        link("us-east->ap-south", 800, 200),
        link("eu-west->ap-south", 900, 120),
    ];
    // 37.5 MB/s in packets of 1,500 bytes with one in a thousand lost, and 20 MB/s and 28.125 MB/s without loss.
    let loads = [(37_500_000, 25), (20_000_000, 0), (28_125_000, 0)];
    let mut series = Vec::new();
    for at in 0..=seconds {
        for (link, (bytes, lost)) in links.iter().zip(loads) {
            series.extend(steady(&link.name, at, bytes, lost, 0));
        }
    }
    for (link, (bytes, lost)) in links.iter_mut().zip(loads) {
        link.delivered_bytes = bytes * seconds;
        link.packets = Some(LinkPackets {
            // 24,975 packets of 1501.5 bytes in the mean.
            delivered_packets: if lost > 0 {
                24_975 * seconds
            } else {
                bytes / 1_500 * seconds
            },
            lost_packets: lost * seconds,
            ..LinkPackets::default()
        });
    }
    (run(links, seconds), series)
}

#[test]
fn throughput_loss_utilisation_health_and_latency_are_measured() {
    let (record, series) = example(30);
    let found = prom(&record, &series, &[]);
    let of = |name, link| value(&found, name, link).unwrap();
    let first = "us-east->eu-west";
    assert_eq!(of("dwcp_link_throughput_mbps", first), 300.0);
    assert_eq!(of("dwcp_link_packet_loss_percent", first), 0.1);
    assert_eq!(of("dwcp_link_utilization_percent", first), 30.0);
    assert_eq!(of("dwcp_link_health", first), 2.0);
    assert_eq!(of("dwcp_link_latency_milliseconds", first), 80.0);
    assert_eq!(of("dwcp_link_throughput_mbps", "us-east->ap-south"), 160.0);
    assert_eq!(of("dwcp_link_utilization_percent", "us-east->ap-south"), 20.0);
    assert_eq!(of("dwcp_link_packet_loss_percent", "us-east->ap-south"), 0.0);
    assert_eq!(of("dwcp_link_throughput_mbps", "eu-west->ap-south"), 225.0);
    assert_eq!(of("dwcp_link_utilization_percent", "eu-west->ap-south"), 25.0);
    let seconds = 30.0;
    assert_eq!(
        of("dwcp_region_network_out_bytes", "us-east"),
        57_500_000.0 * seconds
    );
    assert_eq!(of("dwcp_region_network_in_bytes", "us-east"), 0.0);
    assert_eq!(
        of("dwcp_region_network_in_bytes", "eu-west"),
        37_500_000.0 * seconds
    );
    assert_eq!(
        of("dwcp_region_network_out_bytes", "eu-west"),
        28_125_000.0 * seconds
    );
    assert_eq!(
        of("dwcp_region_network_in_bytes", "ap-south"),
        48_125_000.0 * seconds
    );
}

#[test]
fn the_end_of_a_run_has_as_many_lines_after_many_collections_as_after_one() {
    let lines = |seconds| {
        let (record, series) = example(seconds);
        let families = prom(&record, &series, &[]);
        let samples = families.iter().flat_map(|family| &family.samples);
        samples.filter(|sample| sample.name.starts_with("dwcp_")).count()
    };
    // Five of each of three links and two of each of three regions.
    assert_eq!(lines(10), 21);
    assert_eq!(lines(600), 21);
}

#[test]
fn the_queue_is_part_of_the_latency() {
    let name = "a->b";
    let series: Vec<SampleRecord> = (0..=10).flat_map(|at| steady(name, at, 0, 0, 250_000)).collect();
    let found = prom(&run(vec![link(name, 100, 40)], 10), &series, &[]);
    // 2 Mbit at 100 Mbit/s.
    assert_eq!(value(&found, "dwcp_link_latency_milliseconds", name), Some(60.0));
    assert_eq!(value(&found, "longhaul_link_queue_bytes", name), Some(250_000.0));
}

#[test]
fn health_follows_failures_and_losses() {
    let name = "a->b";
    let health = |lost: u64, delivered: u64, events: &[EventRecord]| {
        let mut series = steady(name, 0, 0, 0, 0);
        series.extend([
            sample(20, name, "delivered_bytes", delivered * 100),
            sample(20, name, "down_lost_packets", lost),
        ]);
        let mut link = link(name, 100, 40);
        link.delivered_bytes = delivered * 100;
        link.packets.as_mut().unwrap().delivered_packets = delivered;
        let found = prom(&run(vec![link], 20), &series, events);
        let loss = value(&found, "dwcp_link_packet_loss_percent", name);
        (value(&found, "dwcp_link_health", name).unwrap(), loss)
    };
    assert_eq!(health(0, 0, &[]), (2.0, None), "no packets, no loss");
    assert_eq!(health(1, 99, &[]), (2.0, Some(1.0)));
    assert_eq!(health(2, 98, &[]), (1.0, Some(2.0)));
    assert_eq!(health(5, 95, &[]), (1.0, Some(5.0)));
    assert_eq!(health(7, 0, &[]), (1.0, Some(100.0)));
    let (down, up) = (event(12, name, "LinkDown"), event(18, name, "LinkUp"));
    let other = event(12, "b->a", "LinkDown");
    assert_eq!(health(7, 0, std::slice::from_ref(&down)), (0.0, Some(100.0)));
    assert_eq!(health(7, 0, &[down, up]), (1.0, Some(100.0)));
    assert_eq!(health(0, 9, &[other]), (2.0, Some(0.0)));
}

#[test]
fn a_link_that_is_down_has_no_latency() {
    let name = "a->b";
    let series: Vec<SampleRecord> = (0..=30).flat_map(|at| steady(name, at, 1_000, 0, 0)).collect();
    let events = [event(15, name, "LinkDown"), event(25, name, "LinkUp")];
    let found = open_metrics(&run(vec![link(name, 100, 40)], 30), &series, &events);
    let health: Vec<f64> = of(&found, "dwcp_link_health", name)
        .iter()
        .map(|it| it.value)
        .collect();
    assert_eq!(health, [2.0, 2.0, 0.0, 2.0]);
    let latency = of(&found, "dwcp_link_latency_milliseconds", name);
    let times: Vec<f64> = latency.iter().map(|it| it.at.unwrap()).collect();
    assert_eq!(times, [0.0, 10.0, 30.0]);
}

#[test]
fn packets_that_the_series_counts_are_not_estimated() {
    let name = "a->b";
    let mut series = steady(name, 0, 0, 0, 0);
    series.push(sample(0, name, "delivered_packets", 0));
    series.extend(steady(name, 10, 1_000, 5, 0));
    series.push(sample(10, name, "delivered_packets", 150));
    let found = prom(&run(vec![link(name, 100, 40)], 10), &series, &[]);
    assert_eq!(value(&found, "dwcp_link_packet_loss_percent", name), Some(25.0));
}

#[test]
fn what_was_not_measured_is_absent_and_not_zero() {
    // One sample is no interval.
    let (record, series) = example(0);
    let found = prom(&record, &series, &[]);
    for absent in ["throughput_mbps", "packet_loss_percent", "utilization_percent"] {
        assert!(
            of(&found, &format!("dwcp_link_{absent}"), "").is_empty(),
            "{absent}"
        );
    }
    // Flow fidelity has neither packets nor queues.
    let name = "a->b";
    let flow = |at| {
        vec![
            sample(at, name, "delivered_bytes", at),
            sample(at, name, "lost_packets", 3 * at),
        ]
    };
    let series: Vec<SampleRecord> = (0..=20).flat_map(flow).collect();
    let mut link = link(name, 100, 40);
    link.packets = None;
    link.delivered_bytes = 20;
    let record = RunRecord {
        fidelity: Fidelity::Flow,
        ..run(vec![link], 20)
    };
    let found = prom(&record, &series, &[]);
    for absent in ["latency_milliseconds", "packet_loss_percent"] {
        assert!(
            of(&found, &format!("dwcp_link_{absent}"), "").is_empty(),
            "{absent}"
        );
    }
    assert_eq!(value(&found, "dwcp_link_throughput_mbps", name), Some(0.000_008));
    assert_eq!(
        value(&found, "longhaul_link_lost_packets_total", "loss"),
        Some(60.0)
    );
    // A recorded rate is nothing that use can be measured by.
    let (mut record, series) = example(10);
    record.links[0].rate_bits_per_s = None;
    let found = prom(&record, &series, &[]);
    assert_eq!(
        value(&found, "dwcp_link_utilization_percent", "us-east->eu-west"),
        None
    );
    assert_eq!(
        value(&found, "dwcp_link_latency_milliseconds", "us-east->eu-west"),
        None
    );
    assert_eq!(
        value(&found, "dwcp_link_throughput_mbps", "us-east->eu-west"),
        Some(300.0)
    );
    for absent in ["dwcp_region_active_instances", "dwcp_region_cpu_utilization"] {
        assert!(of(&found, absent, "").is_empty());
        let mut out = Vec::new();
        write_prometheus(&mut out, &record, &series, &[]).unwrap();
        let text = String::from_utf8(out).unwrap();
        let comment = text
            .lines()
            .find(|line| line.starts_with("# Not measured"))
            .unwrap();
        assert!(comment.contains(absent));
    }
}

#[test]
fn a_collection_is_every_ten_seconds_and_at_the_end() {
    let times = |seconds: &[u64], end_ns: u64| -> Vec<f64> {
        let series: Vec<SampleRecord> = seconds
            .iter()
            .flat_map(|&at| steady("a->b", at, 1, 0, 0))
            .collect();
        let mut record = run(vec![link("a->b", 100, 40)], 0);
        record.simulated_ns = end_ns;
        let found = open_metrics(&record, &series, &[]);
        let simulated = of(&found, "longhaul_simulated_seconds", "");
        assert!(simulated.iter().all(|sample| sample.at == Some(sample.value)));
        simulated.iter().map(|sample| sample.value).collect()
    };
    let each: Vec<u64> = (0..=25).collect();
    assert_eq!(times(&each, 25 * SECOND + 1), [0.0, 10.0, 20.0, 25.000_000_001]);
    assert_eq!(times(&each, 20 * SECOND), [0.0, 10.0, 20.0]);
    // Readers keep milliseconds.
    assert_eq!(times(&each, 20 * SECOND + 900_000), [0.0, 10.0, 20.000_9]);
    // Nothing is collected when nothing is sampled.
    assert_eq!(times(&each, 90 * SECOND), [0.0, 10.0, 20.0, 90.0]);
    assert_eq!(times(&[0, 60, 120, 150], 150 * SECOND), [0.0, 60.0, 120.0, 150.0]);
    assert_eq!(
        times(&[0, 3, 6, 9, 12, 15, 18, 21], 22 * SECOND),
        [0.0, 10.0, 20.0, 22.0]
    );
    assert_eq!(times(&[], 22 * SECOND), [22.0]);
}

#[test]
fn rates_are_over_the_time_between_the_samples_that_were_taken() {
    // Samples at 9 s and 18 s stand for 10 s and 20 s: the rate is over those 9 s.
    let series: Vec<SampleRecord> = (0..=7)
        .flat_map(|at| steady("a->b", 3 * at, 1_000, 0, 0))
        .collect();
    let found = open_metrics(&run(vec![link("a->b", 100, 40)], 21), &series, &[]);
    let throughput = of(&found, "dwcp_link_throughput_mbps", "a->b");
    assert_eq!(throughput.len(), 3);
    assert!(throughput.iter().all(|sample| sample.value == 0.008));
}

fn path(name: &str, from: &str, to: &str) -> PathRecord {
    PathRecord {
        name: name.to_owned(),
        from: from.to_owned(),
        to: to.to_owned(),
        up_ns: 0,
        downs: 2,
        rtt_mean_ns: None,
        rtt_stddev_ns: None,
        jitter_ns: None,
        probe_loss_parts: None,
        score_millis: None,
        measured_bits_per_s: None,
        tunnel: None,
        path_mtu: None,
    }
}

#[test]
fn paths_of_overlays_have_their_figures_and_those_without_a_report_none() {
    let overlay = OverlayRecord {
        name: "wan".to_owned(),
        edges: vec![EdgeRecord {
            region: "us".to_owned(),
            switches: 3,
            moved_flows: 2,
            flaps: 1,
            probes_sent: 130,
            control_sent: 1_383,
            trains_sent: 3,
            bytes_sent: 91_546,
            train_bytes_sent: 43_200,
            discovery: None,
        }],
        paths: vec![path("mpls", "us", "eu"), path("mpls", "eu", "us")],
        switches: Vec::new(),
        decision_samples: 0,
        wrong_decision_samples: 0,
    };
    let record = RunRecord {
        overlays: vec![overlay],
        ..run(Vec::new(), 10)
    };
    let (out, back) = ("wan/mpls us->eu", "wan/mpls eu->us");
    let series = [
        sample(10, out, "path_up", 1),
        sample(10, out, "rtt_mean_ns", 101_536_939),
        sample(10, out, "rtt_stddev_ns", 2_318_925),
        sample(10, out, "jitter_ns", 1_135_302),
        sample(10, out, "probe_loss_parts", 166_666_666_667),
        sample(10, out, "score_millis", 68_128),
        sample(10, out, "measured_bits_per_s", 49_436_393),
        sample(10, out, "flows", 4),
        sample(10, back, "path_up", 0),
    ];
    let found = prom(&record, &series, &[]);
    let of_path = |name: &str, from: &str| {
        let samples = of(&found, name, "");
        let mut samples = samples.iter().filter(|sample| sample.label("from") == Some(from));
        samples.next().map(|sample| sample.value)
    };
    for (name, expected) in [
        ("patronus_sdwan_path_latency_ms", 101.536939),
        ("patronus_sdwan_path_jitter_ms", 1.135302),
        ("patronus_sdwan_path_loss_pct", 16.6666666667),
        ("patronus_sdwan_path_score", 68.128),
        ("patronus_sdwan_active_flows", 4.0),
        ("longhaul_overlay_path_round_trip_deviation_seconds", 0.002318925),
        ("longhaul_overlay_path_measured_bytes_per_second", 6_179_549.125),
    ] {
        assert_eq!(of_path(name, "us"), Some(expected), "{name}");
        assert_eq!(of_path(name, "eu"), None, "{name}");
    }
    assert_eq!(of_path("longhaul_overlay_path_up", "us"), Some(1.0));
    assert_eq!(of_path("longhaul_overlay_path_up", "eu"), Some(0.0));
    assert_eq!(
        value(&found, "longhaul_overlay_edge_switches_total", "us"),
        Some(3.0)
    );
}

#[test]
fn work_is_followed_and_the_end_is_that_of_the_record() {
    let record = fixture::run();
    let series = [
        sample(0, "backup", "received_bytes", 0),
        sample(1, "backup", "received_bytes", 7),
        sample(10, "m2", "transferred_bytes", 5),
        sample(10, "m2", "remaining_bytes", 6),
    ];
    let found = open_metrics(&record, &series, &[]);
    let received = of(&found, "longhaul_transfer_received_bytes_total", "backup");
    let received: Vec<_> = received.iter().map(|it| (it.at.unwrap(), it.value)).collect();
    // It was over at 10 s, when it was not sampled.
    assert_eq!(received, [(0.0, 0.0), (300.0, 100_000_000.0)]);
    let found = prom(&record, &series, &[]);
    for (migration, state) in [("m1", 2.0), ("m2", 1.0), ("m3", 3.0), ("m4", 0.0)] {
        assert_eq!(value(&found, "longhaul_migration_state", migration), Some(state));
    }
    assert_eq!(
        value(&found, "longhaul_migration_downtime_seconds", "m1"),
        Some(0.212)
    );
    assert_eq!(value(&found, "longhaul_migration_downtime_seconds", "m2"), None);
    let seed = of(&found, "longhaul_run_info", "two-regions")[0]
        .label("seed")
        .unwrap();
    assert_eq!(seed, "18446744073709551615");
}

#[test]
fn the_files_agree_on_the_end() {
    let (record, series) = example(25);
    let (last, all) = (prom(&record, &series, &[]), open_metrics(&record, &series, &[]));
    let ends: Vec<Sample> = all
        .iter()
        .flat_map(|family| &family.samples)
        .filter(|sample| sample.at == Some(25.0))
        .map(|sample| Sample {
            at: None,
            ..sample.clone()
        })
        .collect();
    let last: Vec<Sample> = last.into_iter().flat_map(|family| family.samples).collect();
    assert_eq!(last, ends);
}

#[test]
fn names_that_need_it_are_escaped() {
    let name = "a\\\"\n->b";
    let series: Vec<SampleRecord> = (0..=10).flat_map(|at| steady(name, at, 1_000, 0, 0)).collect();
    let record = run(vec![link(name, 100, 40)], 10);
    assert_eq!(
        value(&prom(&record, &series, &[]), "dwcp_link_health", name),
        Some(2.0)
    );
    let found = open_metrics(&record, &series, &[]);
    assert_eq!(of(&found, "dwcp_link_health", name).len(), 2);
    assert_eq!(of(&found, "dwcp_region_network_out_bytes", "a\\\"\n").len(), 2);
}

#[test]
fn names_say_what_they_count_and_in_which_unit() {
    for family in family::ALL {
        let name = family.name;
        assert_eq!(
            family.kind == family::Kind::Counter,
            name.ends_with("_total"),
            "{name}"
        );
        assert_eq!(
            family.kind == family::Kind::Info,
            name.ends_with("_info"),
            "{name}"
        );
        let bare = name.strip_suffix("_total").unwrap_or(name);
        assert!(
            family.unit.is_none_or(|unit| bare.ends_with(&format!("_{unit}"))),
            "{name}"
        );
    }
}

proptest! {
    #[test]
    fn whatever_the_records_say_the_files_keep_to_their_formats(
        links in prop::collection::vec((".{0,6}", any::<u64>(), any::<u64>(), any::<Option<u64>>()), 0..4),
        samples in prop::collection::vec((any::<u64>(), 0_usize..5, 0_usize..5, any::<u64>()), 0..60),
        simulated_ns in any::<u64>(),
    ) {
        let metrics = ["delivered_bytes", "lost_packets", "down_lost_packets", "queue_bytes", "delivered_packets"];
        let mut record = run(Vec::new(), 0);
        record.simulated_ns = simulated_ns;
        for (name, delivered, delay, rate) in links {
            let packets = LinkPackets { delivered_packets: delay, ..LinkPackets::default() };
            record.links.push(LinkRecord {
                rate_bits_per_s: rate,
                delay_ns: delay,
                delivered_bytes: delivered,
                packets: rate.map(|_| packets),
                ..link(&format!("a->{name}"), 0, 0)
            });
        }
        let mut series: Vec<SampleRecord> = samples
            .into_iter()
            .map(|(at_ns, of, metric, value)| SampleRecord {
                at_ns,
                entity: record.links.get(of).map_or("x", |link| &link.name).to_owned(),
                metric: metrics[metric].to_owned(),
                value,
            })
            .collect();
        series.sort_by_key(|sample| sample.at_ns);
        prom(&record, &series, &[]);
        open_metrics(&record, &series, &[]);
    }
}
