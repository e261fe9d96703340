//! The time series: quantities sampled at a fixed interval of virtual time.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_core::record::SampleRecord;
use longhaul_core::time::{Instant, Span};
use longhaul_net::routing::LinkId;

use super::cast::Workload;
use super::endpoint::{Endpoint, Protocol};
use super::overlays::Overlays;
use super::transit::Transit;
use super::workload::Workloads;

/// Collects samples. Counters are cumulative, so that a rate over any window is a difference.
pub struct Sampler {
    interval: Span,
    /// Names of the links, in the order of the scenario.
    links: Vec<String>,
    samples: Vec<SampleRecord>,
}

impl Sampler {
    /// A sampler with this distance between samples, of links of these names.
    pub fn new(interval: Span, links: Vec<String>) -> Sampler {
        Sampler {
            interval,
            links,
            samples: Vec::new(),
        }
    }

    /// Distance between samples.
    pub fn interval(&self) -> Span {
        self.interval
    }

    /// The samples so far, in the order of time, then of the scenario.
    pub fn into_samples(self) -> Vec<SampleRecord> {
        self.samples
    }

    /// Takes one sample of everything.
    pub fn sample(
        &mut self,
        now: Instant,
        network: &mut Transit,
        endpoints: &[Endpoint],
        workloads: &Workloads,
        overlays: &Overlays,
    ) {
        let mut push = |entity: &str, metric: &str, value: u64| {
            self.samples.push(SampleRecord {
                at_ns: now.as_ns(),
                entity: entity.to_owned(),
                metric: metric.to_owned(),
                value,
            });
        };
        for (name, link) in self.links.iter().zip((0..).map(LinkId)) {
            for (metric, value) in network.link_samples(link, now) {
                push(name, metric, value);
            }
        }
        for (name, values) in overlays.samples() {
            for (metric, value) in values {
                push(&name, metric, value);
            }
        }
        let mut states: BTreeMap<usize, BTreeSet<u128>> = BTreeMap::new();
        for endpoint in endpoints {
            let workload = endpoint.part.workload;
            if !workloads.stage(workload).under_way() {
                continue;
            }
            let name = workloads.name(workload);
            match &endpoint.machine {
                Protocol::MigrationSource(source) => {
                    let stats = source.statistics();
                    push(name, "transferred_bytes", stats.ram.transferred);
                    push(name, "remaining_bytes", stats.ram.remaining);
                    push(name, "dirty_sync_count", stats.ram.dirty_sync_count);
                    push(name, "dirty_pages_per_s", stats.ram.dirty_pages_rate);
                    push(name, "bandwidth_bits_per_s", stats.ram.bandwidth.as_bits_per_s());
                    push(name, "cpu_throttle_percent", stats.cpu_throttle_percentage.into());
                    push(name, "throttled_ns", stats.throttled_time.as_ns());
                    push(name, "encoding_ns", stats.encoding_time.as_ns());
                }
                Protocol::MigrationDestination(destination) => {
                    let stats = destination.statistics();
                    push(name, "missing_pages", destination.missing_pages());
                    push(name, "postcopy_requests", stats.requests);
                    push(name, "postcopy_blocktime_ns", stats.postcopy_blocktime.as_ns());
                    push(name, "decoding_ns", stats.decoding_time.as_ns());
                }
                Protocol::ObjectSender(sender) => {
                    push(name, "open_streams", u64::from(sender.open_streams()));
                }
                Protocol::Client(client) => {
                    let statistics = client.statistics();
                    push(name, "requests_started", statistics.started);
                    push(name, "requests_succeeded", statistics.succeeded);
                    push(name, "requests_late", statistics.late);
                    push(name, "requests_failed", statistics.failures.total());
                    push(name, "requests_in_flight", statistics.in_flight);
                    push(name, "attempts", statistics.caller.attempts);
                }
                Protocol::Server(server) => {
                    let statistics = server.statistics();
                    let name = format!("{name}/{}", network.region_name(endpoint.part.region));
                    push(&name, "requests_queued", statistics.queued);
                    push(&name, "requests_running", statistics.running);
                    push(&name, "requests_answered", statistics.answered);
                    push(&name, "worked_ns", statistics.worked.as_ns());
                    push(&name, "memory_bytes", server.memory_used());
                }
                Protocol::BulkReceiver(_) | Protocol::ObjectReceiver(_) => {
                    let received = network.received(endpoint, now);
                    push(name, "received_bytes", received.iter().sum());
                }
                Protocol::ReplicationSource(source) => {
                    push(name, "transferred_bytes", source.transferred_bytes());
                    push(name, "backlog_bytes", source.backlog_bytes());
                    if let Workload::Replication(index) = workload
                        && let Some(age) = workloads.replications[index].age(now)
                    {
                        push(name, "recovery_point_ns", age.as_ns());
                    }
                }
                Protocol::Cluster(process) => {
                    let (Workload::Federation(index), Some(cluster)) = (workload, process.cluster()) else {
                        continue;
                    };
                    states.entry(index).or_default().insert(cluster.state().hash().0);
                    let name = format!("{name}/{}", network.region_name(endpoint.part.region));
                    push(&name, "waiting_changes", cluster.waiting());
                    push(&name, "connected_peers", cluster.connections() as u64);
                    if let Some(replica) = cluster.replica() {
                        push(&name, "committed_entries", replica.node().commit().0);
                    }
                }
                Protocol::DatagramReceiver(receiver) => push(name, "received_datagrams", receiver.received()),
                Protocol::DatagramSender(_)
                | Protocol::BulkSender(_)
                | Protocol::Replica(_)
                | Protocol::Edge(_)
                | Protocol::Tunnel(_)
                | Protocol::PathMtu(_) => {}
            }
        }
        for (index, hashes) in states {
            let name = workloads.name(Workload::Federation(index));
            push(name, "distinct_states", hashes.len() as u64);
        }
    }
}
