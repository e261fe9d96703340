//! What is doubtful about replications.

use longhaul_core::time::Span;

use super::migrations::least_bytes;
use super::{Lint, in_flight};
use crate::diagnose::approximate;
use crate::run::cast::{source_region, vms_of};
use crate::schema::{Failover, Replication};

impl Lint<'_> {
    pub(super) fn replications(&mut self) {
        let scenario = self.scenario;
        for (index, replication) in scenario.replications.iter().enumerate() {
            let at = format!("replications[{index}]");
            let path = self.path(source_region(scenario, replication), &replication.to);
            let transport = replication.transport;
            let flight = in_flight(transport.streams.most(), transport.tcp).min(transport.window.as_bytes());
            let most = replication.max_bandwidth.unwrap_or(path.rate).min(path.rate);
            let limited = super::Path {
                rate: most,
                round_trip: path.round_trip,
            };
            self.fills(&format!("{at}.transport"), flight, &limited);
            let bytes = vms_of(scenario, replication).map(|vm| least_bytes(replication.encoding, &vm.memory));
            let seed = most.time_for(bytes.sum()).saturating_add(path.round_trip);
            let seeded = replication.at.saturating_add(seed);
            if seeded > scenario.horizon {
                let (seeded, horizon) = (approximate(seeded), scenario.horizon);
                let message =
                    format!("no VM can be protected before {seeded}, and the run ends at {horizon}");
                self.warn(&at, message);
            }
            self.notices_in_time(&at, replication, path.round_trip);
            self.idle_fields(index, replication);
        }
    }

    /// A side that counts as lost before it can answer is never there.
    fn notices_in_time(&mut self, at: &str, replication: &Replication, round_trip: Span) {
        let heartbeat = replication.heartbeat;
        let detection = heartbeat.interval.saturating_mul(u64::from(heartbeat.multiplier));
        if detection <= round_trip {
            let message =
                format!("silent for {detection} counts as lost, and an answer takes {round_trip} at least");
            self.warn(&format!("{at}.heartbeat"), message);
        }
    }

    fn idle_fields(&mut self, index: usize, replication: &Replication) {
        let horizon = self.scenario.horizon;
        if let Failover::Manual { at: Some(at), .. } = replication.failover
            && at >= horizon
        {
            let message = format!("never happens: the run ends at {horizon}");
            self.warn(&format!("replications[{index}].failover.at"), message);
        }
        let nobody = Failover::Manual {
            at: None,
            after: None,
        };
        if replication.failover == nobody {
            for field in ["restore_rate", "resume_time"] {
                if self.written("replications", index, &[field]) {
                    let message = format!("nobody fails over, so `{field}` has no effect");
                    self.warn(&format!("replications[{index}].{field}"), message);
                }
            }
        }
        if replication.vms.len() == 1 && self.written("replications", index, &["consistency"]) {
            let message = "one VM is consistent with itself, so this has no effect".to_owned();
            self.warn(&format!("replications[{index}].consistency"), message);
        }
    }
}
