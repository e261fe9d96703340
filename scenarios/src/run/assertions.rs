//! Assertions: from the records of a run to verdicts.
//!
//! Missing data is never a pass. A migration or transfer that has not finished is not missing but censored: it takes at
//! least as long as it has been under way, which may decide an assertion already.

mod verdict;

use longhaul_core::record::{
    AssertionRecord, ClientRecord, DatagramRecord, DemandRecord, FederationRecord, LinkRecord,
    MigrationRecord, OverlayRecord, PostcopyRecord, Progress, ReplicationRecord, ReservationRecord,
    RouteRecord, RunRecord, ServiceRecord, TransferRecord, Verdict,
};
use longhaul_core::time::Span;
use longhaul_core::units::{BitRate, Probability};

use super::datagrams::of_datagrams;
use super::demands::of_demand;
use super::federations::of_federation;
use super::overlays::of_overlay;
use super::replications::of_replication;
use super::reservations::of_reservation;
use super::route_control::of_route;
use super::services::{of_client, of_service};
use crate::metric::Subject;
use crate::schema::{Assertion, MILLIONTHS, Metric, Scope};

use verdict::judge;
pub use verdict::statistic;

/// What assertions are judged on: the records of a run, simulated or replayed.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'r> {
    /// Time of the scenario at the end.
    pub end_ns: u64,
    /// Migrations.
    pub migrations: &'r [MigrationRecord],
    /// Transfers.
    pub transfers: &'r [TransferRecord],
    /// Replications.
    pub replications: &'r [ReplicationRecord],
    /// Federations.
    pub federations: &'r [FederationRecord],
    /// Streams of datagrams.
    pub datagrams: &'r [DatagramRecord],
    /// Reservations.
    pub reservations: &'r [ReservationRecord],
    /// Demands.
    pub demands: &'r [DemandRecord],
    /// Routes that a controller installs.
    pub routes: &'r [RouteRecord],
    /// Services.
    pub services: &'r [ServiceRecord],
    /// Clients.
    pub clients: &'r [ClientRecord],
    /// Overlays.
    pub overlays: &'r [OverlayRecord],
    /// Links.
    pub links: &'r [LinkRecord],
}

impl<'r> From<&'r RunRecord> for Evidence<'r> {
    fn from(run: &'r RunRecord) -> Evidence<'r> {
        Evidence {
            end_ns: run.simulated_ns,
            migrations: &run.migrations,
            transfers: &run.transfers,
            replications: &run.replications,
            federations: &run.federations,
            datagrams: &run.datagrams,
            reservations: &run.reservations,
            demands: &run.demands,
            routes: &run.routes,
            services: &run.services,
            clients: &run.clients,
            overlays: &run.overlays,
            links: &run.links,
        }
    }
}

/// One entity's contribution to an assertion, in the exact unit of the metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sample {
    /// Measured.
    Exact(u64),
    /// Not finished: at least this much.
    AtLeast(u64),
    /// Not finished: at most this much.
    AtMost(u64),
    /// Nothing was measured.
    Missing,
}

impl Sample {
    /// The longer of two of a kind; what was not measured does not count.
    pub fn longer(self, other: Sample) -> Sample {
        match (self, other) {
            (Sample::Missing, known) | (known, Sample::Missing) => known,
            (Sample::Exact(one), Sample::Exact(other)) => Sample::Exact(one.max(other)),
            (Sample::AtMost(one), Sample::AtMost(other)) => Sample::AtMost(one.max(other)),
            // What may be anything below says nothing against what is known from below.
            (one, other) => Sample::AtLeast(one.least().max(other.least())),
        }
    }

    /// The least that it can be.
    fn least(self) -> u64 {
        match self {
            Sample::Exact(value) | Sample::AtLeast(value) => value,
            Sample::AtMost(_) | Sample::Missing => 0,
        }
    }

    /// The most that it can be, if there is a limit.
    fn most(self) -> Option<u64> {
        match self {
            Sample::Exact(value) | Sample::AtMost(value) => Some(value),
            Sample::AtLeast(_) | Sample::Missing => None,
        }
    }
}

/// Judges all assertions of a scenario on the records of its run.
pub fn judge_all(assertions: &[Assertion], run: Evidence) -> Vec<AssertionRecord> {
    let samples = |assertion: &Assertion| -> Vec<Sample> {
        let named = samples(assertion.metric, &assertion.scope, run);
        named.into_iter().map(|(_, sample)| sample).collect()
    };
    assertions
        .iter()
        .map(|assertion| judge(assertion, &samples(assertion)))
        .collect()
}

/// The verdict of a run: any failed critical assertion fails it, any undecided one leaves it undecided. A run that asserts nothing passes if everything that it started completed.
pub fn overall(run: &RunRecord) -> Verdict {
    let critical = |verdict| run.assertions.iter().any(|a| a.critical && a.verdict == verdict);
    let progress = run
        .migrations
        .iter()
        .map(|m| &m.progress)
        .chain(run.transfers.iter().map(|t| &t.progress))
        .chain(run.replications.iter().map(|r| &r.progress))
        .chain(run.federations.iter().map(|f| &f.progress))
        .chain(run.datagrams.iter().map(|d| &d.progress));
    let asserts_nothing = !run.assertions.iter().any(|a| a.critical);
    if critical(Verdict::Fail) {
        Verdict::Fail
    } else if critical(Verdict::Inconclusive)
        || asserts_nothing
            && progress
                .into_iter()
                .any(|progress| *progress != Progress::Completed)
    {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    }
}

/// The sample of every migration, transfer, replication, federation, overlay or link of a scope, by name, in the order of the records.
pub fn samples<'r>(metric: Metric, scope: &Scope, run: Evidence<'r>) -> Vec<(&'r str, Sample)> {
    let in_scope = |name: &str| scope.has(name);
    let all: Vec<(&str, Sample)> = match metric.subject() {
        Subject::Migration => {
            let of = |m: &'r MigrationRecord| (m.name.as_str(), of_migration(metric, m, run.end_ns));
            run.migrations.iter().map(of).collect()
        }
        Subject::Transfer => {
            let of = |t: &'r TransferRecord| (t.name.as_str(), of_transfer(metric, t, run.end_ns));
            run.transfers.iter().map(of).collect()
        }
        Subject::Replication => {
            let of = |r: &'r ReplicationRecord| (r.name.as_str(), of_replication(metric, r, run.end_ns));
            run.replications.iter().map(of).collect()
        }
        Subject::Federation => {
            let of = |f: &'r FederationRecord| (f.name.as_str(), of_federation(metric, f, run.end_ns));
            run.federations.iter().map(of).collect()
        }
        Subject::Datagrams => {
            let of = |d: &'r DatagramRecord| (d.name.as_str(), of_datagrams(metric, d));
            run.datagrams.iter().map(of).collect()
        }
        Subject::Reservation => {
            let of = |r: &'r ReservationRecord| (r.name.as_str(), of_reservation(metric, r));
            run.reservations.iter().map(of).collect()
        }
        Subject::Demand => {
            let of = |d: &'r DemandRecord| (d.name.as_str(), of_demand(d));
            run.demands.iter().map(of).collect()
        }
        Subject::Route => {
            let of = |r: &'r RouteRecord| (r.name.as_str(), of_route(metric, r));
            run.routes.iter().map(of).collect()
        }
        Subject::Client => {
            let of = |c: &'r ClientRecord| (c.name.as_str(), of_client(metric, c, run.end_ns));
            run.clients.iter().map(of).collect()
        }
        Subject::Service => {
            let of = |s: &'r ServiceRecord| (s.name.as_str(), of_service(metric, s, run.end_ns));
            run.services.iter().map(of).collect()
        }
        Subject::Overlay => {
            let of = |o: &'r OverlayRecord| (o.name.as_str(), of_overlay(metric, o, run.end_ns));
            run.overlays.iter().map(of).collect()
        }
        Subject::Link => {
            let of = |l: &'r LinkRecord| (l.name.as_str(), of_link(metric, l));
            run.links.iter().map(of).collect()
        }
    };
    all.into_iter().filter(|(name, _)| in_scope(name)).collect()
}

fn of_migration(metric: Metric, migration: &MigrationRecord, end_ns: u64) -> Sample {
    let done = migration.progress == Progress::Completed;
    let finished = |value| {
        if done {
            Sample::Exact(value)
        } else {
            Sample::AtLeast(value)
        }
    };
    let bounds = &migration.bounds;
    let postcopy = |value: fn(&PostcopyRecord) -> u64| {
        let known = migration.postcopy.as_ref().map(value);
        known.map_or(Sample::Missing, Sample::Exact)
    };
    match metric {
        Metric::MigrationTotalTime => match (migration.total_time_ns, migration.began_ns) {
            (Some(total), _) => Sample::Exact(total),
            (None, Some(began)) => Sample::AtLeast(end_ns - began),
            (None, None) => Sample::Missing,
        },
        Metric::MigrationJobTime => match (migration.job_time_ns, migration.started_ns) {
            (Some(total), _) => Sample::Exact(total),
            (None, Some(started)) => Sample::AtLeast(end_ns - started),
            (None, None) => Sample::Missing,
        },
        Metric::MigrationThrottledTime if migration.began_ns.is_some() => {
            finished(migration.throttle.lost_ns)
        }
        Metric::MigrationThrottle if migration.began_ns.is_some() => {
            let percent = migration.throttle.cpu_throttle_percentage;
            finished(percent * (Probability::PARTS / 100))
        }
        Metric::MigrationBlocktime => postcopy(|postcopy| postcopy.blocktime_ns),
        Metric::MigrationLongestFault => postcopy(|postcopy| postcopy.longest_fault_ns),
        Metric::MigrationPostcopyRequests => {
            postcopy(|postcopy| postcopy.requests.saturating_mul(MILLIONTHS))
        }
        Metric::MigrationInterruptions if migration.began_ns.is_some() => {
            finished(migration.interruptions.saturating_mul(MILLIONTHS))
        }
        Metric::MigrationStalls if migration.began_ns.is_some() => {
            finished(migration.stalls.saturating_mul(MILLIONTHS))
        }
        Metric::MigrationProcessorBound => {
            quotient(bounds.processor_ns, bounds.copying_ns(), Probability::PARTS)
        }
        Metric::MigrationNetworkBound => quotient(bounds.network_ns, bounds.copying_ns(), Probability::PARTS),
        Metric::MigrationDowntime => migration.downtime_ns.map_or(Sample::Missing, Sample::Exact),
        Metric::MigrationTransferred if migration.started_ns.is_some() => finished(migration.ram.transferred),
        Metric::MigrationDirtySyncCount if migration.started_ns.is_some() => {
            finished(migration.ram.dirty_sync_count.saturating_mul(MILLIONTHS))
        }
        Metric::MigrationCompressionRatio => quotient(
            migration.encoding.raw_bytes,
            migration.ram.transferred,
            MILLIONTHS,
        ),
        Metric::MigrationSuccess => Sample::Exact(if done { MILLIONTHS } else { 0 }),
        _ => Sample::Missing,
    }
}

fn of_transfer(metric: Metric, transfer: &TransferRecord, end_ns: u64) -> Sample {
    let value = match metric {
        Metric::TransferCompletionTime => transfer.completion_ns,
        Metric::TransferGoodput => transfer.goodput().map(BitRate::as_bits_per_s),
        _ => transfer.fairness_millionths,
    };
    let watched = transfer
        .started_ns
        .filter(|_| transfer.progress == Progress::Unfinished)
        .map(|started| end_ns.saturating_sub(started));
    match (value, watched, metric) {
        (Some(value), _, _) => Sample::Exact(value),
        (None, Some(watched), Metric::TransferCompletionTime) => Sample::AtLeast(watched),
        // Its size over a time that is longer than this.
        (None, Some(watched), Metric::TransferGoodput) => transfer
            .size
            .and_then(|size| BitRate::of(size, Span::from_ns(watched)))
            .map_or(Sample::Missing, |rate| Sample::AtMost(rate.as_bits_per_s())),
        _ => Sample::Missing,
    }
}

fn of_link(metric: Metric, link: &LinkRecord) -> Sample {
    match metric {
        Metric::LinkUtilisation => return quotient(link.busy_ns, link.active_ns, Probability::PARTS),
        Metric::LinkDelivered => return Sample::Exact(link.delivered_bytes),
        _ => {}
    }
    // At flow fidelity there are no frames to count.
    let Some(packets) = link.packets.filter(|packets| packets.offered_packets > 0) else {
        return Sample::Missing;
    };
    let share = |part| quotient(part, packets.offered_packets, Probability::PARTS);
    match metric {
        Metric::LinkLoss => share(packets.lost_packets),
        Metric::LinkQueueDrops => share(packets.queue_dropped_packets + packets.early_dropped_packets),
        _ => Sample::Exact(packets.queue_delay_max_ns),
    }
}

/// `numerator / denominator` in `parts`, rounded to the nearest; missing for a zero denominator.
pub fn quotient(numerator: u64, denominator: u64, parts: u64) -> Sample {
    if denominator == 0 {
        return Sample::Missing;
    }
    let scaled = u128::from(numerator) * u128::from(parts) + u128::from(denominator / 2);
    Sample::Exact(u64::try_from(scaled / u128::from(denominator)).unwrap_or(u64::MAX))
}
