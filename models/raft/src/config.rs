//! How a node works.

use longhaul_core::time::Span;

use crate::NodeId;
use crate::entry::ENTRY_HEADER_BYTES;

/// The most voters of a group.
pub const MAX_VOTERS: usize = 64;

/// The longest message body in bytes; a snapshot chunk or a batch is never longer.
pub const MAX_BODY_BYTES: u32 = 64 << 20;

/// How a [`Node`](crate::Node) works. All members must have the same, but for `id`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// This member.
    pub id: NodeId,
    /// All members, this one included.
    pub voters: Vec<NodeId>,
    /// A follower that hears no leader begins an election after a time drawn uniformly from this to twice this.
    pub election_timeout: Span,
    /// How often a leader tells that it is there. Below `election_timeout`.
    pub heartbeat: Span,
    /// Entries that make a batch full; also the most in one message.
    pub batch_entries: usize,
    /// How long a batch waits to become full. Reads wait as long for others to share their round of heartbeats.
    pub batch_interval: Span,
    /// Bytes of entries in one message, unless a single entry is longer.
    pub batch_bytes: u64,
    /// The longest command in bytes.
    pub max_command_bytes: u64,
    /// Messages with entries on the way to one follower.
    pub in_flight: usize,
    /// Bytes of entries that may wait for being committed; beyond it a leader refuses commands.
    pub uncommitted_bytes: u64,
    /// A snapshot is due when this many entries have been applied since the last.
    pub snapshot_after: u64,
    /// Entries before a snapshot that are kept for followers that are only a little behind.
    pub snapshot_keep: u64,
    /// Bytes of a snapshot in one message.
    pub snapshot_chunk: u32,
    /// Chunks on the way to one follower.
    pub snapshot_window: u32,
    /// The longest snapshot that a follower takes.
    pub max_snapshot_bytes: u64,
    /// Ask before an election whether it could be won, so that a member that was cut off disturbs nobody when it is back
    /// (thesis 9.6).
    pub pre_vote: bool,
    /// A leader that has not heard from a quorum for `election_timeout` steps down, and a follower that has heard from one
    /// within it does not vote (thesis 6.2, 4.2.3).
    pub check_quorum: bool,
    /// Reads without a round of heartbeats while a quorum has promised not to vote (thesis 6.4.1). Wants `check_quorum`.
    pub lease: Option<Lease>,
    /// Members that have not acknowledged an entry this long after it was proposed are named in an error.
    pub acknowledgement_timeout: Span,
}

/// What reads by lease rely on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// How much faster or slower than true time the clock of any member runs at most, in parts per million.
    pub drift_ppm: u32,
}

/// Why a configuration was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    /// No voters, more than [`MAX_VOTERS`], or one of them twice.
    #[error("a group has 1 to {MAX_VOTERS} members, each once")]
    Voters,
    /// `id` is none of the voters.
    #[error("this member is not in the group")]
    Stranger,
    /// `heartbeat` is zero or not below `election_timeout`.
    #[error("heartbeats come more often than elections")]
    Heartbeat,
    /// A count or size is zero or beyond what a message carries.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// `lease` without `check_quorum`.
    #[error("a lease wants check-quorum: without it a leader may be replaced at any time")]
    Lease,
}

impl Config {
    /// A group of `voters` with the given election timeout and a heartbeat ten times as often; batches of 100 entries or
    /// 10 ms; pre-vote and check-quorum; reads by heartbeats.
    pub fn new(id: NodeId, voters: Vec<NodeId>, election_timeout: Span) -> Config {
        Config {
            id,
            voters,
            election_timeout,
            heartbeat: election_timeout / 10,
            batch_entries: 100,
            batch_interval: Span::from_ms(10),
            batch_bytes: 1 << 20,
            max_command_bytes: 1 << 20,
            in_flight: 64,
            uncommitted_bytes: 64 << 20,
            snapshot_after: 10_000,
            snapshot_keep: 1_000,
            snapshot_chunk: 256 << 10,
            snapshot_window: 16,
            max_snapshot_bytes: 1 << 30,
            pre_vote: true,
            check_quorum: true,
            lease: None,
            acknowledgement_timeout: Span::from_s(5),
        }
    }

    /// How many members are a majority.
    pub fn quorum(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// All members but this one.
    pub fn peers(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.voters.iter().copied().filter(|voter| *voter != self.id)
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut sorted = self.voters.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != self.voters.len() || !(1..=MAX_VOTERS).contains(&sorted.len()) {
            return Err(ConfigError::Voters);
        }
        if !self.voters.contains(&self.id) {
            return Err(ConfigError::Stranger);
        }
        if self.heartbeat == Span::ZERO || self.heartbeat >= self.election_timeout {
            return Err(ConfigError::Heartbeat);
        }
        if self.lease.is_some() && !self.check_quorum {
            return Err(ConfigError::Lease);
        }
        let body = u64::from(MAX_BODY_BYTES);
        let ranges = [
            ("the batch in entries", self.batch_entries as u64, 1, 1 << 20),
            ("the batch in bytes", self.batch_bytes, 1, body / 2),
            (
                "the longest command",
                self.max_command_bytes,
                1,
                body / 2 - ENTRY_HEADER_BYTES,
            ),
            (
                "the number of messages in flight",
                self.in_flight as u64,
                1,
                1 << 20,
            ),
            (
                "the room for uncommitted entries",
                self.uncommitted_bytes,
                1,
                u64::MAX,
            ),
            ("the distance of snapshots", self.snapshot_after, 1, u64::MAX / 2),
            ("the snapshot chunk", u64::from(self.snapshot_chunk), 1, body / 2),
            ("the snapshot window", u64::from(self.snapshot_window), 1, 1 << 16),
            ("the longest snapshot", self.max_snapshot_bytes, 1, 1 << 40),
            (
                "the drift of clocks in ppm",
                self.lease.map_or(0, |lease| u64::from(lease.drift_ppm)),
                0,
                400_000,
            ),
        ];
        match ranges
            .iter()
            .find(|(_, value, least, most)| !(least..=most).contains(&value))
        {
            Some((name, ..)) => Err(ConfigError::Range(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_configuration_that_breaks_it() {
        let good = Config::new(
            NodeId(1),
            vec![NodeId(0), NodeId(1), NodeId(2)],
            Span::from_ms(1_000),
        );
        assert_eq!((good.check(), good.quorum()), (Ok(()), 2));
        type Change = fn(&mut Config);
        let wrong: [(ConfigError, Change); 8] = [
            (ConfigError::Voters, |c| c.voters.clear()),
            (ConfigError::Voters, |c| c.voters.push(NodeId(2))),
            (ConfigError::Voters, |c| c.voters = (0..65).map(NodeId).collect()),
            (ConfigError::Stranger, |c| c.id = NodeId(3)),
            (ConfigError::Heartbeat, |c| c.heartbeat = Span::from_ms(1_000)),
            (ConfigError::Lease, |c| {
                c.lease = Some(Lease { drift_ppm: 1 });
                c.check_quorum = false;
            }),
            (ConfigError::Range("the batch in entries"), |c| {
                c.batch_entries = 0;
            }),
            (ConfigError::Range("the snapshot chunk"), |c| {
                c.snapshot_chunk = MAX_BODY_BYTES;
            }),
        ];
        for (error, change) in wrong {
            let mut config = good.clone();
            change(&mut config);
            assert_eq!(config.check(), Err(error));
        }
    }
}
