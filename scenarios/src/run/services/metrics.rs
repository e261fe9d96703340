//! What metrics say of clients and services.

use longhaul_core::record::{ClientRecord, Progress, QuantileRecord, RecoveryOutcome, ServiceRecord};
use longhaul_core::units::Probability;

use crate::run::assertions::{Sample, quotient};
use crate::schema::{MILLIONTHS, Metric};

/// The sample that a client gives a metric.
pub fn of_client(metric: Metric, client: &ClientRecord, end_ns: u64) -> Sample {
    if client.progress == Progress::NotStarted {
        return Sample::Missing;
    }
    let latency = |read: fn(&longhaul_core::record::DelayRecord) -> u64| {
        client
            .latency
            .as_ref()
            .map_or(Sample::Missing, |it| Sample::Exact(read(it)))
    };
    let recovery = client.recovery.as_ref();
    let ended = client.started - client.in_flight;
    match metric {
        Metric::ClientSuccess => quotient(client.succeeded, ended, Probability::PARTS),
        Metric::ClientGoodput => quotient(client.succeeded, client.active_ns, MILLIONTHS * 1_000_000_000),
        Metric::ClientAvailability => quotient(client.good_intervals, client.intervals, Probability::PARTS),
        Metric::ClientAmplification => quotient(client.attempts, client.started, MILLIONTHS),
        Metric::ClientRateLimited => quotient(client.failures.rate_limited, ended, Probability::PARTS),
        Metric::ClientBreakerOpenings => Sample::Exact(client.breaker_openings.saturating_mul(MILLIONTHS)),
        Metric::ClientLatencyMedian => latency(|it| it.median_ns),
        Metric::ClientLatencyP95 => latency(|it| it.p95_ns),
        Metric::ClientLatencyP99 => latency(|it| it.p99_ns),
        Metric::ClientLatencyP999 => {
            let mut known = client.latency_quantiles.iter();
            let found = known.find(|it| it.share_parts == QuantileRecord::PARTS / 1_000 * 999);
            found.map_or(Sample::Missing, |it| Sample::Exact(it.value_ns))
        }
        Metric::ClientDetectionTime => match recovery {
            None => Sample::Missing,
            Some(it) => it
                .detected_after_ns
                .map_or(Sample::AtLeast(end_ns.saturating_sub(it.fault_ns)), Sample::Exact),
        },
        Metric::ClientRecoveryTime => match recovery {
            None => Sample::Missing,
            Some(it) => match (it.outcome, it.recovered_after_ns) {
                (_, Some(after)) => Sample::Exact(after),
                (RecoveryOutcome::Unknown, None) => Sample::Missing,
                (_, None) => Sample::AtLeast(end_ns.saturating_sub(it.fault_end_ns)),
            },
        },
        Metric::ClientMetastable => match recovery.map(|it| it.outcome) {
            None | Some(RecoveryOutcome::Unknown) => Sample::Missing,
            Some(RecoveryOutcome::Metastable) => Sample::Exact(MILLIONTHS),
            Some(RecoveryOutcome::Degraded | RecoveryOutcome::Recovered) => Sample::Exact(0),
        },
        _ => unreachable!("a metric of clients"),
    }
}

/// The sample that a service gives a metric, all its servers together.
pub fn of_service(metric: Metric, service: &ServiceRecord, end_ns: u64) -> Sample {
    let sum = |read: fn(&longhaul_core::record::ServerRecord) -> u64| -> u64 {
        service.servers.iter().map(read).sum()
    };
    let parts = Probability::PARTS;
    match metric {
        Metric::ServiceRefused => quotient(sum(|it| it.refused), sum(|it| it.received), parts),
        Metric::ServiceRepeated => quotient(sum(|it| it.repeated), sum(|it| it.begun), parts),
        Metric::ServiceInVain => quotient(sum(|it| it.in_vain), sum(|it| it.answered), parts),
        Metric::ServiceLost => Sample::Exact(sum(|it| it.lost).saturating_mul(MILLIONTHS)),
        Metric::ServiceUtilisation => {
            let cores = sum(|it| it.cores);
            quotient(sum(|it| it.worked_ns), cores.saturating_mul(end_ns), parts)
        }
        Metric::ServiceLongestQueue => {
            let longest = service.servers.iter().map(|it| it.longest_queue).max();
            Sample::Exact(longest.unwrap_or(0).saturating_mul(MILLIONTHS))
        }
        _ => unreachable!("a metric of services"),
    }
}
