//! Records of services and clients.

use longhaul_core::record::{
    ClientRecord, DelayRecord, FailuresRecord, Progress, RecoveryOutcome, RecoveryRecord,
    RequestIntervalRecord, ServerRecord,
};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_service::measures::{
    MetastabilityOptions, Verdict, Window, goodput, metastability, recovered_at,
};
use longhaul_service::{Failures, Interval, Series, ServerStatistics};

use longhaul_statistics::quantile::nearest_rank;

use super::ClientProcess;
use crate::schema::Client;

/// Goodput is back where it is at least so much of what it was: 95 %, less twice the spread that as many independent
/// requests as are expected in `hold` have by chance.
fn enough(baseline: f64, hold: Span) -> Probability {
    let expected = baseline * hold.as_s_f64();
    let noise = if expected > 0.0 {
        2.0 / expected.sqrt()
    } else {
        0.0
    };
    let share = (0.95 - noise).max(0.5);
    Probability::from_ratio((share * 1e6) as u64, 1_000_000).expect("a share")
}

/// The record of a client at the end of a run, with the time of the faults, from the first one's begin to the last one's
/// end, and how many requests waited at the service's servers just before them and wait now.
pub fn client_record(
    spec: &Client,
    client: &ClientProcess,
    progress: Progress,
    faults: Option<Window>,
    queued: Option<(u64, u64)>,
    now: Instant,
) -> ClientRecord {
    let statistics = client.statistics();
    let (intervals, good_intervals) = goodness(client.series());
    ClientRecord {
        name: spec.name.clone(),
        region: spec.region.clone(),
        service: spec.service.clone(),
        progress,
        started: statistics.started,
        succeeded: statistics.succeeded,
        late: statistics.late,
        failed: statistics.failures.total(),
        failures: failures(statistics.failures),
        in_flight: statistics.in_flight,
        attempts: statistics.caller.attempts,
        retries: statistics.caller.retries,
        hedges: statistics.caller.hedges,
        timeouts: statistics.caller.timeouts,
        late_successes: statistics.caller.late_successes,
        lost_connections: statistics.caller.lost_connections,
        failed_lookups: statistics.caller.failed_lookups,
        ejections: statistics.caller.ejections,
        breaker_openings: statistics.caller.breaker_openings,
        latency: latency(client.latencies_ns()),
        active_ns: client.active(now).as_ns(),
        intervals,
        good_intervals,
        recovery: faults.and_then(|faults| recovery(spec, client, faults, queued, now)),
        series: client.series().intervals.iter().map(interval).collect(),
    }
}

/// How many intervals had requests that ended, and in how many of them enough succeeded in time.
fn goodness(series: &Series) -> (u64, u64) {
    let ended = |it: &Interval| it.succeeded + it.late + it.failed;
    let busy = series.intervals.iter().filter(|it| ended(it) > 0);
    let (mut all, mut good) = (0, 0);
    for interval in busy {
        all += 1;
        good += u64::from(interval.succeeded * 100 >= ended(interval) * 95);
    }
    (all, good)
}

fn latency(unsorted: &[u64]) -> Option<DelayRecord> {
    let mut sorted = unsorted.to_vec();
    sorted.sort_unstable();
    let (first, last) = (*sorted.first()?, *sorted.last()?);
    let rank = |percent| sorted[nearest_rank(sorted.len(), percent).expect("some values")];
    let sum: u128 = sorted.iter().map(|ns| u128::from(*ns)).sum();
    Some(DelayRecord {
        min_ns: first,
        mean_ns: (sum / sorted.len() as u128) as u64,
        median_ns: rank(50),
        p95_ns: rank(95),
        p99_ns: rank(99),
        max_ns: last,
    })
}

fn recovery(
    spec: &Client,
    client: &ClientProcess,
    faults: Window,
    queued: Option<(u64, u64)>,
    now: Instant,
) -> Option<RecoveryRecord> {
    let series = client.series();
    let began = Instant::ZERO.saturating_add(spec.at);
    // While the load is the same; the first interval has the connection's beginning in it.
    let until = began.saturating_add(spec.duration).min(now);
    if faults.from <= began || faults.from >= until {
        return None;
    }
    let before = Window {
        from: began.saturating_add(series.interval),
        until: faults.from,
    };
    let hold = series.interval.saturating_mul(10);
    let baseline = goodput(series, before).unwrap_or(0.0);
    let enough = enough(baseline, hold);
    let options = MetastabilityOptions {
        share: enough,
        hold,
        ..MetastabilityOptions::default()
    };
    let verdict = metastability(series, before, faults, until, queued, &options);
    let tail = Window {
        from: Instant::from_ns(until.as_ns().saturating_sub(hold.as_ns())).max(faults.until),
        until,
    };
    let back = (baseline > 0.0)
        .then(|| recovered_at(series, faults.until, until, baseline, enough, hold))
        .flatten();
    let outcome = match verdict {
        Verdict::Recovered { .. } => RecoveryOutcome::Recovered,
        Verdict::Degraded(evidence) if evidence.sustained => RecoveryOutcome::Metastable,
        Verdict::Degraded(_) => RecoveryOutcome::Degraded,
        Verdict::NotEnoughData(_) => RecoveryOutcome::Unknown,
    };
    let since = |from: Instant, at: Instant| at.saturating_since(from).as_ns();
    Some(RecoveryRecord {
        fault_ns: faults.from.as_ns(),
        fault_end_ns: faults.until.as_ns(),
        baseline_mhz: (baseline * 1e3) as u64,
        final_mhz: (goodput(series, tail).unwrap_or(0.0) * 1e3) as u64,
        detected_after_ns: client.noticed(faults.from).map(|at| since(faults.from, at)),
        recovered_after_ns: back
            .filter(|_| outcome == RecoveryOutcome::Recovered)
            .map(|at| since(faults.until, at)),
        outcome,
    })
}

fn failures(failures: Failures) -> FailuresRecord {
    let Failures {
        rate_limited,
        bulkhead,
        breaker_open,
        shed,
        timed_out,
        deadline,
        error,
        overloaded,
        unreachable,
        fatal,
    } = failures;
    FailuresRecord {
        rate_limited,
        bulkhead,
        breaker_open,
        shed,
        timed_out,
        deadline,
        error,
        overloaded,
        unreachable,
        fatal,
    }
}

fn interval(interval: &Interval) -> RequestIntervalRecord {
    let Interval {
        started,
        succeeded,
        late,
        failed,
        attempts,
    } = *interval;
    RequestIntervalRecord {
        started,
        succeeded,
        late,
        failed,
        attempts,
    }
}

/// The record of a server.
pub fn server_record(region: &str, cores: u32, statistics: &ServerStatistics) -> ServerRecord {
    let mean_wait = |accepted: u64| statistics.waited.as_ns() / accepted;
    ServerRecord {
        region: region.to_owned(),
        received: statistics.received,
        refused: statistics.refused,
        duplicates: statistics.duplicates,
        swallowed: statistics.swallowed,
        accepted: statistics.accepted,
        answered: statistics.answered,
        succeeded: statistics.succeeded,
        cancelled: statistics.cancelled,
        lost: statistics.lost,
        in_flight: statistics.queued + statistics.running,
        dropped: statistics.dropped + statistics.expired,
        begun: statistics.begun,
        repeated: statistics.repeated,
        in_vain: statistics.in_vain,
        deaths: statistics.deaths,
        longest_queue: statistics.longest_queue,
        mean_wait_ns: if statistics.accepted == 0 {
            0
        } else {
            mean_wait(statistics.accepted)
        },
        worked_ns: statistics.worked.as_ns(),
        cores: cores.into(),
    }
}
