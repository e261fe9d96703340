//! Requests, servers and clusters in both files.

use super::*;

#[test]
fn requests_are_counted_by_outcome_and_quantiles_are_of_the_end() {
    let mut client = fixture::client("web");
    (
        client.started,
        client.succeeded,
        client.late,
        client.failed,
        client.in_flight,
    ) = (30, 17, 5, 6, 2);
    client.latency_quantiles = [(500_000, 20_000_000), (990_000, 1_500_000_000)]
        .map(|(share_parts, value_ns)| QuantileRecord {
            share_parts,
            value_ns,
        })
        .to_vec();
    let mut record = run(Vec::new(), 25);
    record.clients = vec![client];
    let series = [
        sample(10, "web", "requests_succeeded", 9),
        sample(10, "web", "requests_late", 1),
        sample(20, "web", "requests_succeeded", 14),
        sample(20, "web", "requests_late", 3),
    ];
    let families = open_metrics(&record, &series, &[]);
    let outcome = |name: &str| {
        let all = of(&families, "longhaul_client_requests_total", name);
        all.iter().map(|sample| sample.value).collect::<Vec<f64>>()
    };
    assert_eq!(outcome("succeeded"), [9.0, 14.0, 17.0]);
    assert_eq!(outcome("late"), [1.0, 3.0, 5.0]);
    // No sample of these: the end alone knows them.
    assert_eq!(outcome("failed"), [6.0]);
    let families = prom(&record, &series, &[]);
    let latency = |quantile: &str| value(&families, "longhaul_client_latency_quantile_seconds", quantile);
    assert_eq!((latency("0.5"), latency("0.99")), (Some(0.02), Some(1.5)));
    assert_eq!(
        value(&families, "longhaul_client_in_flight_requests", "web"),
        Some(2.0)
    );
}

#[test]
fn what_is_not_there_has_no_sample() {
    let families = prom(&run(Vec::new(), 25), &[], &[]);
    for name in [
        "longhaul_client",
        "longhaul_server",
        "longhaul_cluster",
        "longhaul_datagrams",
    ] {
        assert!(
            families.iter().all(|family| !family.name.starts_with(name)),
            "{name}"
        );
    }
}
