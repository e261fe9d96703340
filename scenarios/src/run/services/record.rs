//! Records of services and clients.

use longhaul_core::record::outage::Outage;
use longhaul_core::record::{
    ClientRecord, DelayRecord, FailuresRecord, FaultEffectRecord, FaultOutcome, MOST_FAULT_EFFECTS, Progress,
    QuantileRecord, RecoveryOutcome, RecoveryRecord, RequestIntervalRecord, ServerRecord,
};
use longhaul_core::time::{Instant, Span};
use longhaul_service::measures::{
    Became, Fault, HELD, MetastabilityOptions, Verdict, Window, effect, enough, goodput, metastability,
    recovered_at,
};
use longhaul_service::{Failures, Interval, Series, ServerStatistics};

use longhaul_statistics::quantile::nearest_rank;

use super::ClientProcess;
use crate::schema::Client;

/// The record of a client at the end of a run, with the time of the faults, from the first one's begin to the last one's
/// end, the single faults that are known of, and how many requests waited at the service's servers just before them and wait now.
pub fn client_record(
    spec: &Client,
    client: &ClientProcess,
    progress: Progress,
    faults: Option<Window>,
    outages: &[Outage],
    queued: Option<(u64, u64)>,
    now: Instant,
) -> ClientRecord {
    let statistics = client.statistics();
    let (intervals, good_intervals) = goodness(client.series());
    let mut latencies = client.latencies_ns().to_vec();
    latencies.sort_unstable();
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
        latency: latency(&latencies),
        latency_quantiles: quantiles(&latencies, latencies.len() as u64),
        request_quantiles: quantiles(&latencies, statistics.started),
        active_ns: client.active(now).as_ns(),
        intervals,
        good_intervals,
        recovery: faults.and_then(|faults| recovery(spec, client, faults, queued, now)),
        fault_effects: fault_effects(spec, client.series(), outages, now),
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

/// The quantiles that say enough of so many values, of which these, sorted, are known, and the others are larger.
fn quantiles(sorted: &[u64], all: u64) -> Vec<QuantileRecord> {
    let of = |share: u32| {
        // Nearest rank, from 1.
        let rank = (all * u64::from(share)).div_ceil(u64::from(QuantileRecord::PARTS));
        let enough = rank > QuantileRecord::LEAST_BEYOND && all - rank >= QuantileRecord::LEAST_BEYOND;
        let value = sorted.get(usize::try_from(rank.checked_sub(1)?).ok()?);
        Some(QuantileRecord {
            share_parts: share,
            value_ns: *value.filter(|_| enough)?,
        })
    };
    QuantileRecord::SHARES.into_iter().filter_map(of).collect()
}

fn latency(sorted: &[u64]) -> Option<DelayRecord> {
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

/// The time in which a client's load is the same; the first interval has the connection's beginning in it.
fn load(spec: &Client, interval: Span, now: Instant) -> Window {
    let began = Instant::ZERO.saturating_add(spec.at);
    Window {
        from: began.saturating_add(interval),
        until: began.saturating_add(spec.duration).min(now),
    }
}

/// What each fault did.
fn fault_effects(spec: &Client, series: &Series, outages: &[Outage], now: Instant) -> Vec<FaultEffectRecord> {
    let load = load(spec, series.interval, now);
    let mut records = Vec::new();
    for (index, outage) in outages.iter().enumerate() {
        let earlier = outages[..index]
            .iter()
            .filter(|other| other.from_ns < outage.from_ns);
        let mut later = outages[index + 1..].iter().map(|other| other.from_ns);
        let fault = Fault {
            window: Window {
                from: Instant::from_ns(outage.from_ns),
                until: Instant::from_ns(outage.to_ns),
            },
            repaired: outage.repaired,
            previous_end: earlier.map(|other| other.to_ns).max().map(Instant::from_ns),
            next: later.find(|from| *from > outage.to_ns).map(Instant::from_ns),
        };
        let Some(found) = effect(series, load, &fault) else {
            continue;
        };
        let (outcome, after) = match found.became {
            Became::Kept => (FaultOutcome::Kept, None),
            Became::Back(after) => (FaultOutcome::Recovered, Some(after.as_ns())),
            Became::BackBefore => (FaultOutcome::RecoveredBefore, None),
            Became::Overtaken => (FaultOutcome::Overtaken, None),
            Became::Never => (FaultOutcome::NotRecovered, None),
            Became::Lasting => (FaultOutcome::Lasting, None),
        };
        records.push(FaultEffectRecord {
            fault: outage.what.clone(),
            from_ns: outage.from_ns,
            to_ns: outage.to_ns,
            before_mhz: (found.before * 1e3) as u64,
            worst_mhz: (found.worst * 1e3) as u64,
            outcome,
            recovered_after_ns: after,
        });
        if records.len() == MOST_FAULT_EFFECTS {
            break;
        }
    }
    records
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
    let load = load(spec, series.interval, now);
    let until = load.until;
    if faults.from <= began || faults.from >= until {
        return None;
    }
    let before = Window {
        from: load.from,
        until: faults.from,
    };
    let hold = series.interval.saturating_mul(HELD);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_quantiles_with_enough_on_either_side_are_kept() {
        let shares = |n: u64| {
            let sorted: Vec<u64> = (1..=n).collect();
            let kept = quantiles(&sorted, n);
            kept.iter()
                .map(|it| (it.share_parts, it.value_ns))
                .collect::<Vec<_>>()
        };
        assert!(shares(20).is_empty());
        let hundred = shares(100);
        assert_eq!(
            (hundred[0], hundred[hundred.len() - 1]),
            ((200_000, 20), (900_000, 90))
        );
        let many = shares(10_000);
        assert_eq!((many[0], many[many.len() - 1]), ((10_000, 100), (999_000, 9_990)));
        assert!(many.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn what_has_no_answer_is_slower_than_all_that_have_one() {
        let answered: Vec<u64> = (1..=100).collect();
        let at = |all: u64, share: u32| {
            let mut known = quantiles(&answered, all).into_iter();
            known.find(|it| it.share_parts == share).map(|it| it.value_ns)
        };
        // Half of the answered requests took up to 50; of twice as many all answered ones are half.
        assert_eq!((at(100, 500_000), at(200, 500_000)), (Some(50), Some(100)));
        assert_eq!((at(200, 200_000), at(400, 100_000)), (Some(40), Some(40)));
        // Beyond that there is none, nor where too few are on a side.
        assert_eq!(
            (at(200, 600_000), at(100, 950_000), at(100, 100_000)),
            (None, None, None)
        );
        assert_eq!((quantiles(&[], 50), quantiles(&[], 0)), (vec![], vec![]));
    }
}
