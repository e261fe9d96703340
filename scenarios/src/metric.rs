//! What a metric measures and in which unit.

mod meaning;

pub use meaning::Better;

use crate::schema::{Demand, Link, Metric, Scenario, Statistic, Value, pairs};

/// What gives one sample each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// Every migration.
    Migration,
    /// Every transfer.
    Transfer,
    /// Every replication.
    Replication,
    /// Every federation.
    Federation,
    /// Every stream of datagrams.
    Datagrams,
    /// Every reservation.
    Reservation,
    /// Every demand.
    Demand,
    /// Every pair of regions whose routes a controller installs.
    Route,
    /// Every service.
    Service,
    /// Every client.
    Client,
    /// Every overlay.
    Overlay,
    /// Every directed link.
    Link,
}

/// The kind of a metric's values; one for each variant of [`Value`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// A time.
    Time,
    /// A size.
    Size,
    /// A rate.
    Rate,
    /// A share in [0, 1].
    Share,
    /// A plain number.
    Number,
}

/// Every metric by its name in a scenario.
pub const METRICS: [(&str, Metric); 104] = [
    ("MigrationTotalTime", Metric::MigrationTotalTime),
    ("MigrationDowntime", Metric::MigrationDowntime),
    ("MigrationTransferred", Metric::MigrationTransferred),
    ("MigrationCompressionRatio", Metric::MigrationCompressionRatio),
    ("MigrationDirtySyncCount", Metric::MigrationDirtySyncCount),
    ("MigrationSuccess", Metric::MigrationSuccess),
    ("MigrationJobTime", Metric::MigrationJobTime),
    ("MigrationThrottledTime", Metric::MigrationThrottledTime),
    ("MigrationThrottle", Metric::MigrationThrottle),
    ("MigrationBlocktime", Metric::MigrationBlocktime),
    ("MigrationLongestFault", Metric::MigrationLongestFault),
    ("MigrationPostcopyRequests", Metric::MigrationPostcopyRequests),
    ("MigrationInterruptions", Metric::MigrationInterruptions),
    ("MigrationStalls", Metric::MigrationStalls),
    ("MigrationProcessorBound", Metric::MigrationProcessorBound),
    ("MigrationNetworkBound", Metric::MigrationNetworkBound),
    ("TransferCompletionTime", Metric::TransferCompletionTime),
    ("TransferGoodput", Metric::TransferGoodput),
    ("TransferFairness", Metric::TransferFairness),
    ("ReplicationSeedTime", Metric::ReplicationSeedTime),
    ("ReplicationSeedRate", Metric::ReplicationSeedRate),
    ("ReplicationRpoMedian", Metric::ReplicationRpoMedian),
    ("ReplicationRpoP95", Metric::ReplicationRpoP95),
    ("ReplicationRpoP99", Metric::ReplicationRpoP99),
    ("ReplicationRpoMax", Metric::ReplicationRpoMax),
    ("ReplicationRpoWithin", Metric::ReplicationRpoWithin),
    ("ReplicationEpochs", Metric::ReplicationEpochs),
    ("ReplicationTransferred", Metric::ReplicationTransferred),
    ("ReplicationCompressionRatio", Metric::ReplicationCompressionRatio),
    ("ReplicationResyncs", Metric::ReplicationResyncs),
    ("ReplicationCatchUp", Metric::ReplicationCatchUp),
    ("ReplicationRto", Metric::ReplicationRto),
    ("ReplicationDataLoss", Metric::ReplicationDataLoss),
    ("ReplicationOverlap", Metric::ReplicationOverlap),
    ("ReplicationSuccess", Metric::ReplicationSuccess),
    (
        "FederationCommitLatencyMedian",
        Metric::FederationCommitLatencyMedian,
    ),
    ("FederationCommitLatencyP95", Metric::FederationCommitLatencyP95),
    ("FederationCommitLatencyP99", Metric::FederationCommitLatencyP99),
    ("FederationCommitLatencyMax", Metric::FederationCommitLatencyMax),
    ("FederationReadLatencyP99", Metric::FederationReadLatencyP99),
    ("FederationPropagationMedian", Metric::FederationPropagationMedian),
    ("FederationPropagationP99", Metric::FederationPropagationP99),
    ("FederationPropagationMax", Metric::FederationPropagationMax),
    ("FederationConvergenceTime", Metric::FederationConvergenceTime),
    ("FederationReconcileTime", Metric::FederationReconcileTime),
    ("FederationLeaderless", Metric::FederationLeaderless),
    ("FederationElections", Metric::FederationElections),
    ("FederationCommitted", Metric::FederationCommitted),
    ("FederationFailedCommands", Metric::FederationFailedCommands),
    ("FederationLinearizable", Metric::FederationLinearizable),
    ("FederationSavings", Metric::FederationSavings),
    ("FederationCompressionRatio", Metric::FederationCompressionRatio),
    ("FederationSent", Metric::FederationSent),
    ("FederationSyncFailures", Metric::FederationSyncFailures),
    ("FederationConflicts", Metric::FederationConflicts),
    ("FederationDropped", Metric::FederationDropped),
    ("FederationLostChanges", Metric::FederationLostChanges),
    ("FederationErrors", Metric::FederationErrors),
    ("FederationSuccess", Metric::FederationSuccess),
    ("DatagramLoss", Metric::DatagramLoss),
    ("DatagramGap", Metric::DatagramGap),
    ("DatagramJitter", Metric::DatagramJitter),
    ("DatagramDelayMedian", Metric::DatagramDelayMedian),
    ("DatagramDelayP99", Metric::DatagramDelayP99),
    ("DatagramMos", Metric::DatagramMos),
    ("ReservationSuccess", Metric::ReservationSuccess),
    ("ReservationHeld", Metric::ReservationHeld),
    ("DemandArrived", Metric::DemandArrived),
    ("RouteChanges", Metric::RouteChanges),
    ("RouteOutage", Metric::RouteOutage),
    ("ClientSuccess", Metric::ClientSuccess),
    ("ClientGoodput", Metric::ClientGoodput),
    ("ClientAvailability", Metric::ClientAvailability),
    ("ClientAmplification", Metric::ClientAmplification),
    ("ClientRateLimited", Metric::ClientRateLimited),
    ("ClientBreakerOpenings", Metric::ClientBreakerOpenings),
    ("ClientLatencyMedian", Metric::ClientLatencyMedian),
    ("ClientLatencyP95", Metric::ClientLatencyP95),
    ("ClientLatencyP99", Metric::ClientLatencyP99),
    ("ClientLatencyP999", Metric::ClientLatencyP999),
    ("ClientDetectionTime", Metric::ClientDetectionTime),
    ("ClientRecoveryTime", Metric::ClientRecoveryTime),
    ("ClientMetastable", Metric::ClientMetastable),
    ("ServiceRefused", Metric::ServiceRefused),
    ("ServiceRepeated", Metric::ServiceRepeated),
    ("ServiceInVain", Metric::ServiceInVain),
    ("ServiceLost", Metric::ServiceLost),
    ("ServiceUtilisation", Metric::ServiceUtilisation),
    ("ServiceLongestQueue", Metric::ServiceLongestQueue),
    ("OverlaySwitches", Metric::OverlaySwitches),
    ("OverlayFlaps", Metric::OverlayFlaps),
    ("OverlayDetectionTime", Metric::OverlayDetectionTime),
    ("OverlayFailoverTime", Metric::OverlayFailoverTime),
    ("OverlayWrongDecisions", Metric::OverlayWrongDecisions),
    ("OverlayProbing", Metric::OverlayProbing),
    ("OverlayPathMtu", Metric::OverlayPathMtu),
    ("OverlayPathMtuTime", Metric::OverlayPathMtuTime),
    ("OverlayDiscoveryTime", Metric::OverlayDiscoveryTime),
    ("OverlayRefusedAnnouncements", Metric::OverlayRefusedAnnouncements),
    ("LinkUtilisation", Metric::LinkUtilisation),
    ("LinkLoss", Metric::LinkLoss),
    ("LinkQueueDrops", Metric::LinkQueueDrops),
    ("LinkQueueDelay", Metric::LinkQueueDelay),
    ("LinkDelivered", Metric::LinkDelivered),
];

/// Every statistic by its name in a scenario.
pub const STATISTICS: [(&str, Statistic); 7] = [
    ("Min", Statistic::Min),
    ("Mean", Statistic::Mean),
    ("Median", Statistic::Median),
    ("P95", Statistic::P95),
    ("P99", Statistic::P99),
    ("Max", Statistic::Max),
    ("Sum", Statistic::Sum),
];

/// What is measured at every sample of a run, for [`AbortCondition`](crate::schema::AbortCondition)s.
pub fn watchable() -> impl Iterator<Item = Metric> {
    [
        Metric::ReplicationRpoMax,
        Metric::ClientSuccess,
        Metric::ClientGoodput,
        Metric::ClientAmplification,
        Metric::ServiceRefused,
        Metric::ServiceUtilisation,
        Metric::ServiceLongestQueue,
    ]
    .into_iter()
}

impl Subject {
    /// What one of them is called, in messages.
    pub fn noun(self) -> &'static str {
        match self {
            Subject::Migration => "migration",
            Subject::Transfer => "transfer",
            Subject::Replication => "replication",
            Subject::Federation => "federation",
            Subject::Datagrams => "stream of datagrams",
            Subject::Reservation => "reservation",
            Subject::Demand => "demand",
            Subject::Route => "pair of regions with controlled routes",
            Subject::Client => "client",
            Subject::Service => "service",
            Subject::Overlay => "overlay",
            Subject::Link => "link",
        }
    }

    /// The names of all of a scenario, in the order of the scenario.
    pub fn names(self, scenario: &Scenario) -> Vec<String> {
        fn names<T>(items: &[T], name: impl Fn(&T) -> String) -> Vec<String> {
            items.iter().map(name).collect()
        }
        match self {
            Subject::Migration => names(&scenario.migrations, |it| it.name.clone()),
            Subject::Transfer => names(&scenario.transfers, |it| it.name.clone()),
            Subject::Replication => names(&scenario.replications, |it| it.name.clone()),
            Subject::Federation => names(&scenario.federations, |it| it.name.clone()),
            Subject::Datagrams => names(&scenario.datagrams, |it| it.name.clone()),
            Subject::Reservation => names(&scenario.reservations, |it| it.name.clone()),
            Subject::Demand => names(&scenario.demands, Demand::name),
            Subject::Route if scenario.route_control.is_none() => Vec::new(),
            Subject::Route => pairs(scenario.regions.iter()),
            Subject::Client => names(&scenario.clients, |it| it.name.clone()),
            Subject::Service => names(&scenario.services, |it| it.name.clone()),
            Subject::Overlay => names(&scenario.overlays, |it| it.name.clone()),
            Subject::Link => names(&scenario.links, Link::name),
        }
    }
}

impl Metric {
    /// What gives one sample each.
    pub fn subject(self) -> Subject {
        match self {
            Metric::MigrationTotalTime
            | Metric::MigrationDowntime
            | Metric::MigrationTransferred
            | Metric::MigrationCompressionRatio
            | Metric::MigrationDirtySyncCount
            | Metric::MigrationSuccess
            | Metric::MigrationJobTime
            | Metric::MigrationThrottledTime
            | Metric::MigrationThrottle
            | Metric::MigrationBlocktime
            | Metric::MigrationLongestFault
            | Metric::MigrationPostcopyRequests
            | Metric::MigrationInterruptions
            | Metric::MigrationStalls
            | Metric::MigrationProcessorBound
            | Metric::MigrationNetworkBound => Subject::Migration,
            Metric::TransferCompletionTime | Metric::TransferGoodput | Metric::TransferFairness => {
                Subject::Transfer
            }
            Metric::ReplicationSeedTime
            | Metric::ReplicationSeedRate
            | Metric::ReplicationRpoMedian
            | Metric::ReplicationRpoP95
            | Metric::ReplicationRpoP99
            | Metric::ReplicationRpoMax
            | Metric::ReplicationRpoWithin
            | Metric::ReplicationEpochs
            | Metric::ReplicationTransferred
            | Metric::ReplicationCompressionRatio
            | Metric::ReplicationResyncs
            | Metric::ReplicationCatchUp
            | Metric::ReplicationRto
            | Metric::ReplicationDataLoss
            | Metric::ReplicationOverlap
            | Metric::ReplicationSuccess => Subject::Replication,
            Metric::FederationCommitLatencyMedian
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
            | Metric::FederationCommitted
            | Metric::FederationFailedCommands
            | Metric::FederationLinearizable
            | Metric::FederationSavings
            | Metric::FederationCompressionRatio
            | Metric::FederationSent
            | Metric::FederationSyncFailures
            | Metric::FederationConflicts
            | Metric::FederationDropped
            | Metric::FederationLostChanges
            | Metric::FederationErrors
            | Metric::FederationSuccess => Subject::Federation,
            Metric::DatagramLoss
            | Metric::DatagramGap
            | Metric::DatagramJitter
            | Metric::DatagramDelayMedian
            | Metric::DatagramDelayP99
            | Metric::DatagramMos => Subject::Datagrams,
            Metric::ReservationSuccess | Metric::ReservationHeld => Subject::Reservation,
            Metric::DemandArrived => Subject::Demand,
            Metric::RouteChanges | Metric::RouteOutage => Subject::Route,
            Metric::ClientSuccess
            | Metric::ClientGoodput
            | Metric::ClientAvailability
            | Metric::ClientAmplification
            | Metric::ClientRateLimited
            | Metric::ClientBreakerOpenings
            | Metric::ClientLatencyMedian
            | Metric::ClientLatencyP95
            | Metric::ClientLatencyP99
            | Metric::ClientLatencyP999
            | Metric::ClientDetectionTime
            | Metric::ClientRecoveryTime
            | Metric::ClientMetastable => Subject::Client,
            Metric::ServiceRefused
            | Metric::ServiceRepeated
            | Metric::ServiceInVain
            | Metric::ServiceLost
            | Metric::ServiceUtilisation
            | Metric::ServiceLongestQueue => Subject::Service,
            Metric::OverlaySwitches
            | Metric::OverlayFlaps
            | Metric::OverlayDetectionTime
            | Metric::OverlayFailoverTime
            | Metric::OverlayWrongDecisions
            | Metric::OverlayProbing
            | Metric::OverlayPathMtu
            | Metric::OverlayPathMtuTime
            | Metric::OverlayDiscoveryTime
            | Metric::OverlayRefusedAnnouncements => Subject::Overlay,
            Metric::LinkUtilisation
            | Metric::LinkLoss
            | Metric::LinkQueueDrops
            | Metric::LinkQueueDelay
            | Metric::LinkDelivered => Subject::Link,
        }
    }

    /// The kind of its values.
    pub fn unit(self) -> Unit {
        match self {
            Metric::MigrationTotalTime
            | Metric::MigrationDowntime
            | Metric::MigrationJobTime
            | Metric::MigrationThrottledTime
            | Metric::MigrationBlocktime
            | Metric::MigrationLongestFault
            | Metric::TransferCompletionTime
            | Metric::ReplicationSeedTime
            | Metric::ReplicationRpoMedian
            | Metric::ReplicationRpoP95
            | Metric::ReplicationRpoP99
            | Metric::ReplicationRpoMax
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
            | Metric::OverlayDetectionTime
            | Metric::OverlayFailoverTime
            | Metric::OverlayPathMtuTime
            | Metric::OverlayDiscoveryTime
            | Metric::ReservationHeld
            | Metric::RouteOutage
            | Metric::ClientLatencyMedian
            | Metric::ClientLatencyP95
            | Metric::ClientLatencyP99
            | Metric::ClientLatencyP999
            | Metric::ClientDetectionTime
            | Metric::ClientRecoveryTime
            | Metric::DatagramGap
            | Metric::DatagramJitter
            | Metric::DatagramDelayMedian
            | Metric::DatagramDelayP99
            | Metric::LinkQueueDelay => Unit::Time,
            Metric::MigrationTransferred
            | Metric::ReplicationTransferred
            | Metric::FederationSent
            | Metric::OverlayProbing
            | Metric::OverlayPathMtu
            | Metric::LinkDelivered => Unit::Size,
            Metric::TransferGoodput | Metric::ReplicationSeedRate => Unit::Rate,
            Metric::ReplicationRpoWithin
            | Metric::MigrationThrottle
            | Metric::MigrationProcessorBound
            | Metric::MigrationNetworkBound
            | Metric::LinkUtilisation
            | Metric::LinkLoss
            | Metric::FederationSavings
            | Metric::OverlayWrongDecisions
            | Metric::DatagramLoss
            | Metric::DemandArrived
            | Metric::ClientSuccess
            | Metric::ClientAvailability
            | Metric::ClientRateLimited
            | Metric::ServiceRefused
            | Metric::ServiceRepeated
            | Metric::ServiceInVain
            | Metric::ServiceUtilisation
            | Metric::LinkQueueDrops => Unit::Share,
            Metric::MigrationCompressionRatio
            | Metric::MigrationDirtySyncCount
            | Metric::MigrationSuccess
            | Metric::MigrationPostcopyRequests
            | Metric::MigrationInterruptions
            | Metric::MigrationStalls
            | Metric::TransferFairness
            | Metric::ReplicationEpochs
            | Metric::ReplicationCompressionRatio
            | Metric::ReplicationResyncs
            | Metric::FederationElections
            | Metric::FederationCommitted
            | Metric::FederationFailedCommands
            | Metric::FederationLinearizable
            | Metric::FederationCompressionRatio
            | Metric::FederationSyncFailures
            | Metric::FederationConflicts
            | Metric::FederationDropped
            | Metric::FederationLostChanges
            | Metric::FederationErrors
            | Metric::FederationSuccess
            | Metric::OverlaySwitches
            | Metric::RouteChanges
            | Metric::OverlayFlaps
            | Metric::OverlayRefusedAnnouncements
            | Metric::DatagramMos
            | Metric::ReservationSuccess
            | Metric::ClientGoodput
            | Metric::ClientAmplification
            | Metric::ClientBreakerOpenings
            | Metric::ClientMetastable
            | Metric::ServiceLost
            | Metric::ServiceLongestQueue
            | Metric::ReplicationSuccess => Unit::Number,
        }
    }
}

impl Statistic {
    /// Samples without which it says nothing.
    pub fn least_samples(self) -> usize {
        match self {
            Statistic::P95 => 20,
            Statistic::P99 => 100,
            Statistic::Min | Statistic::Mean | Statistic::Median | Statistic::Max | Statistic::Sum => 1,
        }
    }
}

impl Value {
    /// Its kind.
    pub fn unit(self) -> Unit {
        match self {
            Value::Time(_) => Unit::Time,
            Value::Size(_) => Unit::Size,
            Value::Rate(_) => Unit::Rate,
            Value::Share(_) => Unit::Share,
            Value::Number(_) => Unit::Number,
        }
    }
}

impl Unit {
    /// How a bound in it is written, for messages.
    pub fn example(self) -> &'static str {
        match self {
            Unit::Time => "a time such as \"300 s\"",
            Unit::Size => "a size such as \"4 GiB\"",
            Unit::Rate => "a rate such as \"1 Gbit/s\"",
            Unit::Share => "a share such as \"0.1 %\"",
            Unit::Number => "a plain number such as 3.9",
        }
    }
}

/// The name of a value in one of the tables above.
pub fn name_of<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    let entry = table.iter().find(|(_, known)| known == value);
    entry.expect("every variant is in its table").0
}
