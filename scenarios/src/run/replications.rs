//! Continuous replications: their machines, their records and the metrics that are read from those.

mod metrics;
mod record;

use longhaul_core::time::{Instant, Span};
use longhaul_hde::CostModel;
use longhaul_replication as replication;
use longhaul_replication::{Guest as Protected, ReplicaOptions, ReplicaSetOptions, SetGuests, SourceOptions};

use super::build::BuildError;
use super::cast::{Role, Workload, vms_of};
use super::endpoint::Protocol;
use super::machines::{Maker, encoder_options};
use crate::schema::{Consistency, Failover, Policy, Replication};

pub use metrics::of_replication;
pub use record::replication_record;

/// The consistency sets of a replication, each by the indices of its VMs in the list, with its priority.
pub fn sets(spec: &Replication) -> Vec<(Vec<usize>, u32)> {
    let count = spec.vms.len();
    match spec.consistency {
        Consistency::Group => vec![((0..count).collect(), 0)],
        Consistency::Each => (0..count).map(|vm| (vec![vm], 0)).collect(),
        Consistency::Ranked => (0..count).map(|vm| (vec![vm], (count - vm) as u32)).collect(),
    }
}

impl Maker<'_> {
    /// The source of a replication, with its guests.
    pub(super) fn replication_source(&mut self, index: usize) -> Result<Protocol, BuildError> {
        let scenario = self.scenario;
        let spec = &scenario.replications[index];
        let vms: Vec<_> = vms_of(scenario, spec).collect();
        let mut guests = Vec::new();
        for (members, priority) in sets(spec) {
            let mut set = Vec::new();
            for vm in members {
                set.push(Protected {
                    memory: self.guest(vms[vm])?,
                    random: self.streams.stream(&vms[vm].name, "real extents"),
                });
            }
            guests.push(SetGuests {
                guests: set,
                priority,
            });
        }
        let replica = self.cast.peer(Workload::Replication(index), Role::Replica);
        let encoding = encoder_options(spec.encoding);
        let options = SourceOptions {
            replica,
            policy: match spec.policy {
                Policy::Interval(interval) => replication::Policy::Interval(interval),
                Policy::Continuous { least } => replication::Policy::Continuous { least },
                Policy::Adaptive { least, most } => replication::Policy::Adaptive { least, most },
            },
            rpo_target: spec.rpo_target,
            snapshot_pause: spec.snapshot_pause,
            encoding,
            cost: spec.encode_threads.map(|threads| replication::Cost {
                codec: CostModel::measured(encoding.level),
                threads,
            }),
            payload: scenario.payload,
            transport: spec.transport.sender_options(),
            max_bandwidth: spec.max_bandwidth,
            heartbeat: heartbeat(spec),
            backoff: replication::Backoff {
                first: spec.backoff.first,
                most: spec.backoff.most,
            },
            failover: failover(spec),
        };
        replication::Source::new(options, guests)
            .map(|source| Protocol::ReplicationSource(Box::new(source)))
            .map_err(|error| refused(spec, &error))
    }

    /// The replica of a replication.
    pub(super) fn replica(&self, index: usize) -> Result<Protocol, BuildError> {
        let spec = &self.scenario.replications[index];
        let pages: Vec<u64> = vms_of(self.scenario, spec)
            .map(|vm| self.pages(vm))
            .collect::<Result<_, _>>()?;
        let sets = sets(spec)
            .into_iter()
            .map(|(members, priority)| ReplicaSetOptions {
                pages: members.into_iter().map(|vm| pages[vm]).collect(),
                priority,
            });
        let options = ReplicaOptions {
            sets: sets.collect(),
            window_bytes: spec.transport.window.as_bytes(),
            heartbeat: heartbeat(spec),
            failover: failover(spec),
            write_rate: spec.write_rate,
            restore_rate: spec.restore_rate,
            resume_time: spec.resume_time,
        };
        replication::Replica::new(options)
            .map(|replica| Protocol::Replica(Box::new(replica)))
            .map_err(|error| refused(spec, &error))
    }
}

fn heartbeat(spec: &Replication) -> replication::Heartbeat {
    replication::Heartbeat {
        interval: spec.heartbeat.interval,
        multiplier: spec.heartbeat.multiplier,
    }
}

fn failover(spec: &Replication) -> replication::Failover {
    match spec.failover {
        Failover::Automatic => replication::Failover::Automatic,
        Failover::Manual { at, after } => replication::Failover::Manual {
            at: at.map(|at: Span| Instant::ZERO.saturating_add(at)),
            after,
        },
    }
}

fn refused(spec: &Replication, error: &replication::OptionsError) -> BuildError {
    BuildError::Replication {
        replication: spec.name.clone(),
        reason: error.to_string(),
    }
}
