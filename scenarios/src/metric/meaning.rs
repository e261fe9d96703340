//! What the values of a metric mean: which ones are better, and which metrics only say yes or no.

use crate::schema::Metric;

/// Which values of a metric are better.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Better {
    /// Small ones: times, losses, what something costs.
    Lower,
    /// Large ones: rates, shares of success, what something brings.
    Higher,
    /// That depends on what is asked: a busy link is well used, or nearly full.
    Either,
}

impl Metric {
    /// Which of its values are better.
    pub const fn better(self) -> Better {
        match self {
            Metric::MigrationTotalTime
            | Metric::MigrationDowntime
            | Metric::MigrationTransferred
            | Metric::MigrationJobTime
            | Metric::MigrationThrottledTime
            | Metric::MigrationThrottle
            | Metric::MigrationBlocktime
            | Metric::MigrationLongestFault
            | Metric::MigrationPostcopyRequests
            | Metric::MigrationInterruptions
            | Metric::MigrationStalls
            | Metric::TransferCompletionTime
            | Metric::ReplicationSeedTime
            | Metric::ReplicationRpoMedian
            | Metric::ReplicationRpoP95
            | Metric::ReplicationRpoP99
            | Metric::ReplicationRpoMax
            | Metric::ReplicationTransferred
            | Metric::ReplicationResyncs
            | Metric::ReplicationCatchUp
            | Metric::ReplicationRto
            | Metric::ReplicationDataLoss
            | Metric::ReplicationOverlap
            | Metric::FederationCommitLatencyMedian
            | Metric::FederationCommitLatencyP95
            | Metric::FederationCommitLatencyP99
            | Metric::FederationCommitLatencyMax
            | Metric::FederationReadLatencyP99
            | Metric::FederationPropagationMedian
            | Metric::FederationPropagationP99
            | Metric::FederationPropagationMax
            | Metric::FederationConvergenceTime
            | Metric::FederationReconcileTime
            | Metric::FederationLeaderless
            | Metric::FederationElections
            | Metric::FederationFailedCommands
            | Metric::FederationSent
            | Metric::FederationSyncFailures
            | Metric::FederationConflicts
            | Metric::FederationDropped
            | Metric::FederationLostChanges
            | Metric::FederationErrors
            | Metric::DatagramLoss
            | Metric::DatagramGap
            | Metric::DatagramJitter
            | Metric::DatagramDelayMedian
            | Metric::DatagramDelayP99
            | Metric::RouteChanges
            | Metric::RouteOutage
            | Metric::ClientAmplification
            | Metric::ClientRateLimited
            | Metric::ClientLatencyMedian
            | Metric::ClientLatencyP95
            | Metric::ClientLatencyP99
            | Metric::ClientLatencyP999
            | Metric::ClientDetectionTime
            | Metric::ClientRecoveryTime
            | Metric::ClientMetastable
            | Metric::ServiceRefused
            | Metric::ServiceRepeated
            | Metric::ServiceInVain
            | Metric::ServiceLost
            | Metric::ServiceLongestQueue
            | Metric::OverlaySwitches
            | Metric::OverlayFlaps
            | Metric::OverlayDetectionTime
            | Metric::OverlayFailoverTime
            | Metric::OverlayWrongDecisions
            | Metric::OverlayProbing
            | Metric::OverlayPathMtuTime
            | Metric::OverlayDiscoveryTime
            | Metric::LinkLoss
            | Metric::LinkQueueDrops
            | Metric::LinkQueueDelay => Better::Lower,
            Metric::MigrationCompressionRatio
            | Metric::MigrationSuccess
            | Metric::TransferGoodput
            | Metric::TransferFairness
            | Metric::ReplicationSeedRate
            | Metric::ReplicationRpoWithin
            | Metric::ReplicationCompressionRatio
            | Metric::ReplicationSuccess
            | Metric::FederationCommitted
            | Metric::FederationLinearizable
            | Metric::FederationSavings
            | Metric::FederationCompressionRatio
            | Metric::FederationSuccess
            | Metric::DatagramMos
            | Metric::ReservationSuccess
            | Metric::ReservationHeld
            | Metric::DemandArrived
            | Metric::ClientSuccess
            | Metric::ClientGoodput
            | Metric::ClientAvailability
            | Metric::OverlayPathMtu => Better::Higher,
            Metric::MigrationDirtySyncCount
            | Metric::MigrationProcessorBound
            | Metric::MigrationNetworkBound
            | Metric::ReplicationEpochs
            | Metric::ClientBreakerOpenings
            | Metric::ServiceUtilisation
            | Metric::OverlayRefusedAnnouncements
            | Metric::LinkUtilisation
            | Metric::LinkDelivered => Better::Either,
        }
    }

    /// Whether a sample says yes (1) or no (0) and nothing else: a mean of such samples is a share of runs.
    pub const fn says_yes_or_no(self) -> bool {
        matches!(
            self,
            Metric::MigrationSuccess
                | Metric::ReplicationSuccess
                | Metric::FederationLinearizable
                | Metric::FederationSuccess
                | Metric::ReservationSuccess
                | Metric::ClientMetastable
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{METRICS, Unit};

    #[test]
    fn what_says_yes_or_no_is_a_plain_number_that_its_name_tells() {
        for (name, metric) in METRICS {
            if metric.says_yes_or_no() {
                assert_eq!(metric.unit(), Unit::Number, "{name}");
                assert_ne!(metric.better(), Better::Either, "{name}");
            }
            // A share of requests is no answer of yes or no, though it is called a success.
            if name.ends_with("Success") {
                assert_eq!(metric.says_yes_or_no(), metric.unit() == Unit::Number, "{name}");
                assert_eq!(metric.better(), Better::Higher, "{name}");
            }
        }
    }

    #[test]
    fn losses_and_waits_are_better_small() {
        for (name, metric) in METRICS {
            let bad = [
                "Loss",
                "Drops",
                "ServiceRefused",
                "Downtime",
                "Latency",
                "Queue",
                "Wrong",
            ];
            if bad.iter().any(|bad| name.contains(bad)) && metric.better() != Better::Lower {
                panic!("{name} is better {:?}", metric.better());
            }
        }
        assert_eq!(Metric::TransferGoodput.better(), Better::Higher);
        assert_eq!(Metric::LinkUtilisation.better(), Better::Either);
    }
}
