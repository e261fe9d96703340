//! The time series: quantities sampled at a fixed interval of virtual time.

use longhaul_core::record::SampleRecord;
use longhaul_core::time::{Instant, Span};
use longhaul_net::network::Network;

use super::endpoint::{Endpoint, Protocol};
use super::workload::{MigrationRun, TransferRun};

/// Collects samples. Counters are cumulative, so that a rate over any window is a difference.
pub struct Sampler {
    interval: Span,
    samples: Vec<SampleRecord>,
}

impl Sampler {
    /// A sampler with this distance between samples.
    pub fn new(interval: Span) -> Sampler {
        Sampler {
            interval,
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
        network: &Network,
        endpoints: &[Endpoint],
        migrations: &[MigrationRun],
        transfers: &[TransferRun],
    ) {
        let mut push = |entity: &str, metric: &str, value: u64| {
            self.samples.push(SampleRecord {
                at_ns: now.as_ns(),
                entity: entity.to_owned(),
                metric: metric.to_owned(),
                value,
            });
        };
        for (name, link) in network.links() {
            let stats = link.stats();
            push(name, "delivered_bytes", stats.delivered.bytes);
            push(name, "lost_packets", stats.lost_by_law.packets);
            push(
                name,
                "queue_dropped_packets",
                stats.dropped_full.packets + stats.dropped_early.packets,
            );
            push(name, "queue_bytes", link.queue(now).bytes);
        }
        for run in migrations.iter().filter(|run| run.under_way()) {
            if let Protocol::MigrationSource(source) = &endpoints[run.source.0 as usize].machine {
                let stats = source.statistics();
                push(&run.name, "transferred_bytes", stats.ram.transferred);
                push(&run.name, "remaining_bytes", stats.ram.remaining);
                push(&run.name, "dirty_sync_count", stats.ram.dirty_sync_count);
            }
        }
        for run in transfers.iter().filter(|run| run.under_way()) {
            if let Protocol::BulkReceiver(receiver) = &endpoints[run.receiver.0 as usize].machine {
                push(&run.name, "received_bytes", receiver.received());
            }
        }
    }
}
