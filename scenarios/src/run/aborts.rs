//! Watches what a run measures, and says when its faults have gone too far.
//!
//! At every sample each thing that an abort condition is about is held against its bound: by what happened to it since the
//! sample before, or as it stands. The first that has been beyond its bound for long enough ends all faults; the run is then
//! begun again with faults that end there, which is the same run up to that moment.

use longhaul_chaos::{Bound, Guard, Side};
use longhaul_core::record::AbortRecord;
use longhaul_core::schedule::Schedule;
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::Probability;
use longhaul_engine::Engine;
use serde_json::json;

use super::assertions::{Sample, quotient};
use super::cast::{Role, Workload};
use super::endpoint::Protocol;
use super::scene::Scene;
use crate::metric::Subject;
use crate::schema::{AbortCondition, MILLIONTHS, Metric, Scenario};

/// The abort conditions of a run, and what has been measured for them.
#[derive(Default)]
pub struct Aborts {
    watches: Vec<Watch>,
    guard: Guard,
    abort: Option<(Instant, AbortRecord)>,
}

/// One thing that a condition is about.
struct Watch {
    condition: AbortCondition,
    workload: Workload,
    name: String,
    /// At the sample before, if it was under way then.
    before: Option<(Instant, Counted)>,
}

/// What is counted of a client or a service from its beginning, or how something stands.
#[derive(Clone, Copy, Default)]
struct Counted {
    /// Of a client: how long its load has been on.
    active: Span,
    /// Of a client: requests begun, ended, and ended well in time.
    started: u64,
    ended: u64,
    succeeded: u64,
    /// Of a client: attempts begun.
    attempts: u64,
    /// Of a service: requests that came, and those that were refused.
    received: u64,
    refused: u64,
    /// Of a service: work done, and cores to do it.
    worked: Span,
    cores: u64,
    /// Of a service: the most requests that wait at one of its servers now.
    queued: u64,
    /// Of a replication: the age of the newest epoch.
    age: Option<Span>,
}

impl Aborts {
    /// Those of a scenario; nothing has been measured.
    pub fn new(scenario: &Scenario) -> Aborts {
        let watches: Vec<Watch> = scenario
            .abort_when
            .iter()
            .flat_map(|condition| watches(scenario, condition))
            .collect();
        let bound = |(place, watch): (usize, &Watch)| Bound {
            // A thing may be watched by several conditions, each for itself.
            metric: place.to_string(),
            side: watch.condition.side,
            limit: watch.condition.bound.exact() as f64,
            span: watch.condition.lasting,
        };
        Aborts {
            guard: Guard::new(watches.iter().enumerate().map(bound).collect()),
            watches,
            abort: None,
        }
    }

    /// Whether there is anything that could end the faults.
    pub fn is_watching(&self) -> bool {
        !self.watches.is_empty() && self.abort.is_none()
    }

    /// When and why all faults end, once that is known.
    pub fn abort(&self) -> Option<&(Instant, AbortRecord)> {
        self.abort.as_ref()
    }
}

fn watches(scenario: &Scenario, condition: &AbortCondition) -> Vec<Watch> {
    let all: Vec<(Workload, &String)> = match condition.metric.subject() {
        Subject::Client => {
            let clients = scenario.clients.iter().enumerate();
            clients
                .map(|(index, it)| (Workload::Client(index), &it.name))
                .collect()
        }
        Subject::Service => {
            let services = scenario.services.iter().enumerate();
            services
                .map(|(index, it)| (Workload::Service(index), &it.name))
                .collect()
        }
        Subject::Replication => {
            let all = scenario.replications.iter().enumerate();
            all.map(|(index, it)| (Workload::Replication(index), &it.name))
                .collect()
        }
        _ => unreachable!("not watched"),
    };
    let in_scope = |(_, name): &(Workload, &String)| condition.scope.has(name);
    let watch = |(workload, name): (Workload, &String)| Watch {
        condition: condition.clone(),
        workload,
        name: name.clone(),
        before: None,
    };
    all.into_iter().filter(in_scope).map(watch).collect()
}

/// The value of a metric from one sample to the next, in its exact unit; none while there is nothing to measure.
fn value(metric: Metric, interval: Span, before: &Counted, after: &Counted) -> Option<u64> {
    let more = |of: fn(&Counted) -> u64| of(after) - of(before);
    let part = |part: u64, whole: u64, parts| match quotient(part, whole, parts) {
        Sample::Exact(value) => Some(value),
        Sample::AtLeast(_) | Sample::AtMost(_) | Sample::Missing => None,
    };
    // While a client's load begins or ends it has less of everything.
    let whole = after.active.saturating_sub(before.active) == interval;
    match metric {
        Metric::ClientSuccess => part(more(|it| it.succeeded), more(|it| it.ended), Probability::PARTS),
        Metric::ClientGoodput if whole => part(
            more(|it| it.succeeded),
            interval.as_ns(),
            MILLIONTHS * 1_000_000_000,
        ),
        Metric::ClientAmplification if whole => {
            part(more(|it| it.attempts), more(|it| it.started), MILLIONTHS)
        }
        Metric::ServiceRefused => part(more(|it| it.refused), more(|it| it.received), Probability::PARTS),
        Metric::ServiceUtilisation => {
            let room = after.cores.saturating_mul(interval.as_ns());
            part(more(|it| it.worked.as_ns()), room, Probability::PARTS)
        }
        Metric::ServiceLongestQueue => Some(after.queued.saturating_mul(MILLIONTHS)),
        Metric::ReplicationRpoMax => after.age.map(Span::as_ns),
        _ => None,
    }
}

impl Scene {
    /// Holds what was measured since the last sample against the bounds.
    pub(super) fn judge_faults(&mut self, engine: &mut Engine) {
        if !self.aborts.is_watching() {
            return;
        }
        let now = engine.now();
        let mut aborts = std::mem::take(&mut self.aborts);
        let mut abort = None;
        for (place, watch) in aborts.watches.iter_mut().enumerate() {
            let after = self.counted(now, watch.workload);
            let before = watch.before.take();
            watch.before = after.map(|after| (now, after));
            if let (Some((at, before)), Some(after)) = (before, after)
                && let Some(value) = value(watch.condition.metric, now - at, &before, &after)
                && let Some(found) = aborts.guard.observe(now, &place.to_string(), value as f64)
            {
                abort = Some((place, value, found.since));
                break;
            }
        }
        if let Some((place, value, since)) = abort {
            let Watch { condition, name, .. } = &aborts.watches[place];
            let side = match condition.side {
                Side::Above => "above",
                Side::Below => "below",
            };
            let record = AbortRecord {
                at_ns: now.as_ns(),
                since_ns: since.as_ns(),
                metric: format!("{:?}", condition.metric),
                of: name.clone(),
                value: condition.bound.of_same_kind(value).to_string(),
                bound: format!("{side} {}", condition.bound),
            };
            let detail = json!({
                "metric": record.metric,
                "of": record.of,
                "value": record.value,
                "bound": record.bound,
                "since_ns": record.since_ns,
            });
            aborts.abort = Some((now, record));
            self.happened(engine, "faults".to_owned(), "FaultsAborted", detail.to_string());
        }
        self.aborts = aborts;
    }

    /// What is counted of something that is under way.
    fn counted(&self, now: Instant, workload: Workload) -> Option<Counted> {
        if !self.workloads.stage(workload).under_way() {
            return None;
        }
        match workload {
            Workload::Client(_) => {
                let Protocol::Client(client) = &self.endpoint(workload, Role::Client).machine else {
                    unreachable!("a client is a client")
                };
                let statistics = client.statistics();
                Some(Counted {
                    active: client.active(now),
                    started: statistics.started,
                    ended: statistics.started - statistics.in_flight,
                    succeeded: statistics.succeeded,
                    attempts: statistics.caller.attempts,
                    ..Counted::default()
                })
            }
            Workload::Service(index) => {
                let mut counted = Counted::default();
                let cores = u64::from(self.scenario.services[index].options.cores);
                for peer in self.cast.machines(workload) {
                    let Protocol::Server(server) = &self.endpoints[peer.0 as usize].machine else {
                        unreachable!("a service has servers")
                    };
                    let statistics = server.statistics();
                    counted.received += statistics.received;
                    counted.refused += statistics.refused;
                    counted.worked = counted.worked.saturating_add(statistics.worked);
                    counted.cores += cores;
                    counted.queued = counted.queued.max(statistics.queued);
                }
                Some(counted)
            }
            Workload::Replication(index) => Some(Counted {
                age: self.workloads.replications[index].age(now),
                ..Counted::default()
            }),
            _ => None,
        }
    }
}
