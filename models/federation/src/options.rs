//! How a cluster of a federation works, and the values that the original system documents.

use longhaul_core::time::Span;
use longhaul_core::units::Probability;
use longhaul_raft as raft;
use serde::{Deserialize, Serialize};

use crate::ClusterId;

/// The most bytes of a value.
pub const MAX_VALUE_BYTES: u64 = 8 << 20;

/// How a cluster works.
///
/// Three settings of the original system have no counterpart: the timeout of migration jobs and the share of
/// resources, which belong to other workloads, and the kind of consistency, which is not a matter of choice: state is
/// always synchronised eventually, with the last writer winning, and commands are always ordered by the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// How state is synchronised.
    pub sync: SyncOptions,
    /// How it is encoded.
    pub encoding: EncodingOptions,
    /// How clusters connect.
    pub connection: ConnectionOptions,
    /// The log in common, if there is one.
    pub consensus: Option<ConsensusOptions>,
    /// After a connection was lost, both sides must agree again within this; otherwise they say so and go on trying.
    pub recovery_timeout: Span,
    /// How often progress is reported and held against the objectives.
    pub metrics_interval: Span,
    /// What is to be reached.
    pub objectives: Objectives,
    /// Changes become durable this long after they are made; a crash takes back what is younger.
    pub durable_after: Span,
}

/// How state is synchronised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SyncOptions {
    /// How often. Changes of high priority do not wait for it.
    pub interval: Span,
    /// The most changes in one message, and on the way to one peer.
    pub batch: usize,
    /// The most changes that wait for one peer.
    pub outbox_messages: usize,
    /// The most bytes of changes that wait for one peer.
    pub outbox_bytes: u64,
    /// Whether a change replaces an earlier one of the same key that still waits.
    pub coalesce: bool,
    /// The most keys.
    pub max_keys: usize,
}

/// How state is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EncodingOptions {
    /// zstd level, 1 to 9.
    pub level: u8,
    /// Whether the level follows the use of the data streams: 3 while they are used less than half of the time, 9 while
    /// they are used more than `bandwidth_threshold`, else `level`.
    pub adaptive: bool,
    /// See `adaptive`.
    pub bandwidth_threshold: Probability,
    /// The largest trained dictionary, in bytes; `None` trains none.
    pub dictionary_bytes: Option<u32>,
    /// After this long a value travels whole again.
    pub baseline_interval: Span,
    /// After so many differences a value travels whole again.
    pub max_delta_chain: u32,
    /// Whether encoding takes processor time ([`longhaul_hde::CostModel::measured`]), one core for a cluster.
    pub costs_time: bool,
}

/// How clusters connect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConnectionOptions {
    /// Data streams to each peer.
    pub streams: u32,
    /// Bytes of a chunk on a data stream.
    pub stream_buffer: u32,
    /// The most peers.
    pub max_connections: u32,
    /// How long to wait for a connection with its handshake.
    pub connect_timeout: Span,
    /// How long to wait after an attempt that failed.
    pub retry_interval: Span,
    /// After so many attempts a peer is said to be out of reach; from then on one attempt is made per `keepalive`.
    pub max_retries: u32,
    /// A peer that says nothing for this long is asked whether it is there.
    pub keepalive: Span,
    /// A peer that owes an answer for this long is lost.
    pub answer_timeout: Span,
}

/// The log in common.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConsensusOptions {
    /// Who votes; all clusters, if empty.
    pub voters: Vec<ClusterId>,
    /// Commands that are not answered after this long have failed, and members that have not acknowledged an entry are
    /// named.
    pub timeout: Span,
    /// Entries in one batch.
    pub batch_entries: usize,
    /// How long a batch waits to become full.
    pub batch_interval: Span,
    /// An election begins after this to twice this without a leader. Above the longest round trip.
    pub election_timeout: Span,
    /// How often a leader tells that it is there.
    pub heartbeat: Span,
    /// Ask before an election whether it could be won.
    pub pre_vote: bool,
    /// A leader without a quorum steps down.
    pub check_quorum: bool,
    /// Reads by lease, relying on clocks that differ by at most so many parts per million.
    pub lease_drift_ppm: Option<u32>,
    /// Entries between snapshots.
    pub snapshot_after: u64,
    /// How long the disk takes to make a write durable.
    pub disk_sync: Span,
}

/// What the original system promises. Reported against what is measured; nothing else depends on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Objectives {
    /// Bytes of values over bytes on the wire, at least.
    pub compression_ratio: u32,
    /// Round trip to a peer, at most.
    pub latency: Span,
}

/// Why options were refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OptionsError {
    /// A federation without a name, or a cluster without one.
    #[error("an id is required")]
    Id,
    /// `dictionary_bytes` below 1,024 or above 1 MiB.
    #[error("a dictionary has 1024 bytes to 1 MiB")]
    Dictionary,
    /// `level` outside 1 to 9.
    #[error("the compression level is 1 to 9")]
    Level,
    /// No streams, or more than 256.
    #[error("a connection has 1 to 256 data streams")]
    Streams,
    /// `stream_buffer` outside 1 KiB to 16 MiB.
    #[error("a stream buffer has 1 KiB to 16 MiB")]
    StreamBuffer,
    /// The interval of synchronisation is below 1 s.
    #[error("the interval of synchronisation is at least 1 s")]
    SyncInterval,
    /// The timeout of consensus is below 1 s.
    #[error("the timeout of consensus is at least 1 s")]
    ConsensusTimeout,
    /// A time, count or size is zero that must not be.
    #[error("{0} must be above zero")]
    Zero(&'static str),
    /// More peers than `max_connections`.
    #[error("{peers} peers, but at most {most} connections")]
    Connections {
        /// Peers of the cluster.
        peers: usize,
        /// What is allowed.
        most: u32,
    },
    /// The log's own rules.
    #[error(transparent)]
    Consensus(#[from] raft::ConfigError),
    /// Members or topology.
    #[error(transparent)]
    Topology(#[from] crate::topology::TopologyError),
}

impl Default for Options {
    /// The original's documented default: level 6, dictionary of 100 KiB, whole values every 5 minutes, 4 streams of
    /// 64 KiB, up to 100 connections, 30 s to connect, retries every 5 s, 10 of them, keepalive 30 s, synchronisation
    /// every 10 s in batches of 100, up to 10,000 changes waiting, consensus within 5 s in batches of 100 or 10 ms,
    /// recovery within 5 minutes, metrics every 30 s, bandwidth threshold 60 %, objectives 10 and 100 ms.
    fn default() -> Options {
        Options {
            sync: SyncOptions {
                interval: Span::from_s(10),
                batch: 100,
                outbox_messages: 10_000,
                outbox_bytes: 64 << 20,
                coalesce: true,
                max_keys: 1_000_000,
            },
            encoding: EncodingOptions {
                level: 6,
                adaptive: true,
                bandwidth_threshold: percent(60),
                dictionary_bytes: Some(100 << 10),
                baseline_interval: Span::from_s(300),
                max_delta_chain: 10,
                costs_time: true,
            },
            connection: ConnectionOptions {
                streams: 4,
                stream_buffer: 64 << 10,
                max_connections: 100,
                connect_timeout: Span::from_s(30),
                retry_interval: Span::from_s(5),
                max_retries: 10,
                keepalive: Span::from_s(30),
                answer_timeout: Span::from_s(5),
            },
            consensus: Some(ConsensusOptions::default()),
            recovery_timeout: Span::from_s(300),
            metrics_interval: Span::from_s(30),
            objectives: Objectives {
                compression_ratio: 10,
                latency: Span::from_ms(100),
            },
            durable_after: Span::from_ms(5),
        }
    }
}

impl Default for ConsensusOptions {
    /// All clusters vote; elections after 1.5 to 3 s, which is far above a round trip round the world.
    fn default() -> ConsensusOptions {
        ConsensusOptions {
            voters: Vec::new(),
            timeout: Span::from_s(5),
            batch_entries: 100,
            batch_interval: Span::from_ms(10),
            election_timeout: Span::from_ms(1_500),
            heartbeat: Span::from_ms(250),
            pre_vote: true,
            check_quorum: true,
            lease_drift_ppm: None,
            snapshot_after: 10_000,
            disk_sync: Span::from_ms(1),
        }
    }
}

impl Options {
    /// Whether a write of a cluster takes time, so that its disk can be slow.
    pub fn writes_take_time(&self) -> bool {
        let log = self.consensus.as_ref();
        self.durable_after > Span::ZERO || log.is_some_and(|log| log.disk_sync > Span::ZERO)
    }

    /// The defaults of the original's adapter: those of [`Options::default`], but for a bandwidth threshold of 80 %.
    pub fn adapter() -> Options {
        let mut options = Options::default();
        options.encoding.bandwidth_threshold = percent(80);
        options
    }

    /// The original's production configuration.
    pub fn production() -> Options {
        let mut options = Options::default();
        options.encoding.level = 7;
        options.encoding.dictionary_bytes = Some(256 << 10);
        options.encoding.baseline_interval = Span::from_s(180);
        options.encoding.bandwidth_threshold = percent(50);
        options.connection.streams = 8;
        options.connection.stream_buffer = 128 << 10;
        options.connection.connect_timeout = Span::from_s(20);
        options.connection.keepalive = Span::from_s(20);
        options.connection.retry_interval = Span::from_s(3);
        options.connection.max_retries = 15;
        options.sync.outbox_messages = 50_000;
        options.recovery_timeout = Span::from_s(600);
        options.objectives.latency = Span::from_ms(50);
        options
    }

    /// The original's configuration for several regions.
    pub fn multi_region() -> Options {
        let mut options = Options::default();
        options.encoding.level = 9;
        options.encoding.baseline_interval = Span::from_s(120);
        options.encoding.bandwidth_threshold = percent(40);
        options.connection.streams = 16;
        options.objectives.latency = Span::from_ms(200);
        options.sync.interval = Span::from_s(30);
        if let Some(consensus) = &mut options.consensus {
            consensus.timeout = Span::from_s(10);
        }
        options
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// The first rule that is broken. Those of the log are checked when a cluster is made, for they depend on it.
    pub fn check(&self) -> Result<(), OptionsError> {
        let (sync, encoding, connection) = (&self.sync, &self.encoding, &self.connection);
        if encoding
            .dictionary_bytes
            .is_some_and(|bytes| !(1 << 10..=1 << 20).contains(&bytes))
        {
            return Err(OptionsError::Dictionary);
        }
        if !(1..=9).contains(&encoding.level) {
            return Err(OptionsError::Level);
        }
        if !(1..=longhaul_amst::MAX_STREAMS).contains(&connection.streams) {
            return Err(OptionsError::Streams);
        }
        if !(1 << 10..=longhaul_amst::MAX_CHUNK_BYTES).contains(&connection.stream_buffer) {
            return Err(OptionsError::StreamBuffer);
        }
        if sync.interval < Span::from_s(1) {
            return Err(OptionsError::SyncInterval);
        }
        if self
            .consensus
            .as_ref()
            .is_some_and(|consensus| consensus.timeout < Span::from_s(1))
        {
            return Err(OptionsError::ConsensusTimeout);
        }
        let counts = [
            ("the batch", sync.batch as u64),
            ("the room of the outbox in changes", sync.outbox_messages as u64),
            ("the room of the outbox in bytes", sync.outbox_bytes),
            ("the number of keys", sync.max_keys as u64),
            ("the number of connections", u64::from(connection.max_connections)),
            ("the number of retries", u64::from(connection.max_retries)),
            ("the time to connect", connection.connect_timeout.as_ns()),
            ("the time between retries", connection.retry_interval.as_ns()),
            ("the keepalive", connection.keepalive.as_ns()),
            ("the time to answer", connection.answer_timeout.as_ns()),
            ("the time to recover", self.recovery_timeout.as_ns()),
            ("the interval of metrics", self.metrics_interval.as_ns()),
        ];
        match counts.iter().find(|(_, value)| *value == 0) {
            Some((name, _)) => Err(OptionsError::Zero(name)),
            None => Ok(()),
        }
    }

    /// What the original's formula promises to save, in percent: the objective of compression, 30 points for HDE and 10
    /// for AMST, at most 90. It looks at no byte; what is really saved is measured
    /// ([`Statistics::savings_millionths`](crate::Statistics::savings_millionths)).
    pub fn legacy_estimate_percent(&self) -> u32 {
        let ratio = self.objectives.compression_ratio.max(1);
        (100 - 100 / ratio + 30 + 10).min(90)
    }

    /// The configuration of the log for one of its voters.
    pub(crate) fn raft_config(
        &self,
        consensus: &ConsensusOptions,
        id: ClusterId,
        voters: &[ClusterId],
    ) -> raft::Config {
        raft::Config {
            heartbeat: consensus.heartbeat,
            batch_entries: consensus.batch_entries,
            batch_interval: consensus.batch_interval,
            batch_bytes: 256 << 10,
            max_command_bytes: 128 << 10,
            pre_vote: consensus.pre_vote,
            check_quorum: consensus.check_quorum,
            lease: consensus
                .lease_drift_ppm
                .map(|drift_ppm| raft::config::Lease { drift_ppm }),
            snapshot_after: consensus.snapshot_after,
            snapshot_keep: consensus.snapshot_after / 10,
            snapshot_chunk: 64 << 10,
            acknowledgement_timeout: consensus.timeout,
            ..raft::Config::new(id, voters.to_vec(), consensus.election_timeout)
        }
    }
}

fn percent(percent: u64) -> Probability {
    Probability::from_ratio(percent, 100).expect("a share")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_have_the_values_that_are_documented() {
        let (default, production, regions) =
            (Options::default(), Options::production(), Options::multi_region());
        for options in [&default, &production, &regions, &Options::adapter()] {
            assert_eq!(options.check(), Ok(()));
        }
        let levels = [&default, &production, &regions].map(|options| options.encoding.level);
        assert_eq!(levels, [6, 7, 9]);
        let streams = [&default, &production, &regions].map(|options| options.connection.streams);
        assert_eq!(streams, [4, 8, 16]);
        let baselines = [&default, &production, &regions].map(|options| options.encoding.baseline_interval);
        assert_eq!(baselines, [300, 180, 120].map(Span::from_s));
        let shares = [&Options::adapter(), &default, &production, &regions]
            .map(|options| options.encoding.bandwidth_threshold);
        assert_eq!(shares, [80, 60, 50, 40].map(percent));
        assert_eq!(production.sync.outbox_messages, 50_000);
        assert_eq!(
            (
                production.connection.retry_interval,
                production.connection.max_retries
            ),
            (Span::from_s(3), 15)
        );
        assert_eq!(regions.sync.interval, Span::from_s(30));
        let timeout = |options: &Options| options.consensus.as_ref().map(|c| c.timeout);
        assert_eq!(timeout(&default), Some(Span::from_s(5)));
        assert_eq!(timeout(&regions), Some(Span::from_s(10)));
    }

    #[test]
    fn values_out_of_range_are_refused() {
        type Change = fn(&mut Options);
        let wrong: [(OptionsError, Change); 9] = [
            (OptionsError::Dictionary, |o| {
                o.encoding.dictionary_bytes = Some(1_023);
            }),
            (OptionsError::Level, |o| o.encoding.level = 0),
            (OptionsError::Level, |o| o.encoding.level = 10),
            (OptionsError::Streams, |o| o.connection.streams = 0),
            (OptionsError::Streams, |o| o.connection.streams = 257),
            (OptionsError::StreamBuffer, |o| o.connection.stream_buffer = 0),
            (OptionsError::SyncInterval, |o| {
                o.sync.interval = Span::from_ms(999);
            }),
            (OptionsError::ConsensusTimeout, |o| {
                o.consensus.as_mut().expect("consensus").timeout = Span::from_ms(999);
            }),
            (OptionsError::Zero("the batch"), |o| o.sync.batch = 0),
        ];
        for (error, change) in wrong {
            let mut options = Options::default();
            change(&mut options);
            assert_eq!(options.check(), Err(error));
        }
        let mut least = Options::default();
        least.encoding.dictionary_bytes = Some(1_024);
        assert_eq!(least.check(), Ok(()));
    }

    #[test]
    fn the_legacy_estimate_is_ninety_percent_whatever_happens() {
        assert_eq!(Options::default().legacy_estimate_percent(), 90);
        let mut modest = Options::default();
        modest.objectives.compression_ratio = 2;
        assert_eq!(modest.legacy_estimate_percent(), 90);
        modest.objectives.compression_ratio = 1;
        assert_eq!(modest.legacy_estimate_percent(), 40);
    }
}
