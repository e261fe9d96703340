//! What a run leaves behind. Reports see only these records, so a table or chart can be redrawn without
//! simulating. Times are integer nanoseconds, sizes bytes, counts integers; nothing here depends on the
//! machine or the time of day, so equal runs leave equal bytes.

use serde::{Deserialize, Serialize};

use crate::time::Span;
use crate::units::BitRate;

/// Version of the records; a reader refuses a newer one.
pub const RECORD_FORMAT: u32 = 3;

/// A whole run: the content of `summary.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`RECORD_FORMAT`].
    pub format: u32,
    /// Version of the program.
    pub tool_version: String,
    /// [`crate::MODEL_VERSION`].
    pub model_version: u32,
    /// Scenario name.
    pub scenario: String,
    /// What the scenario asks.
    pub question: String,
    /// The answer that its author expects.
    pub expect: String,
    /// BLAKE3 of the canonical resolved scenario, hexadecimal.
    pub scenario_hash: String,
    /// Files that the scenario names and the run has read.
    pub inputs: Vec<InputRecord>,
    /// Root seed.
    pub seed: u64,
    /// How the network was simulated.
    pub fidelity: Fidelity,
    /// Why so, if the scenario left it to the program.
    pub fidelity_reason: Option<String>,
    /// Why the run ended.
    pub ended: Ended,
    /// The verdict over all assertions.
    pub verdict: Verdict,
    /// Virtual time at the end.
    pub simulated_ns: u64,
    /// Events executed.
    pub events: u64,
    /// Digest of all events, 16 hexadecimal digits.
    pub digest: String,
    /// How much of the payload was real.
    pub payload: PayloadRecord,
    /// In the order of the scenario.
    pub migrations: Vec<MigrationRecord>,
    /// In the order of the scenario.
    pub transfers: Vec<TransferRecord>,
    /// In the order of the scenario.
    pub links: Vec<LinkRecord>,
    /// Frames lost in regions that had no route to where they were going; on no link.
    pub unrouted_packets: u64,
    /// In the order of the scenario.
    pub assertions: Vec<AssertionRecord>,
    /// What a reader should know before trusting the numbers.
    pub warnings: Vec<String>,
    /// The command that reproduces the run.
    pub reproduce: String,
}

/// A file that a run has read. The scenario's hash covers its name; this covers its content.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InputRecord {
    /// Its name in the scenario.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// BLAKE3 of its content, hexadecimal.
    pub blake3: String,
}

/// How the network was simulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Fidelity {
    /// Every segment crosses every hop.
    Packet,
    /// TCP by round trips, links by max-min fair shares.
    Flow,
}

/// Why a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ended {
    /// All migrations and transfers are done.
    Done,
    /// The scenario's horizon came first.
    Horizon,
    /// The event budget came first.
    EventBudget,
    /// The user interrupted it.
    Interrupted,
}

/// Verdict of an assertion or of a run. Missing data is never a pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Verdict {
    /// Holds.
    Pass,
    /// Does not hold.
    Fail,
    /// Too little data to tell.
    Inconclusive,
}

/// Real and synthetic payload of all migrations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PayloadRecord {
    /// Declared share of the pages that is real, in parts of 10^12.
    pub declared_share_parts: u64,
    /// Memory bytes that were generated, encoded, carried and decoded, every copy counted.
    pub real_bytes: u64,
    /// Memory bytes that were represented by a length.
    pub synthetic_bytes: u64,
    /// Pages compared with the source's memory at the end, all of them equal: a destination refuses others,
    /// and its migration fails.
    pub verified_pages: u64,
}

/// How far something got.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Progress {
    /// Its start never came.
    NotStarted,
    /// Under way at the end of the run.
    Unfinished,
    /// Done.
    Completed,
    /// Given up, and why.
    Failed(String),
}

/// A live migration, in QEMU's terms (`query-migrate`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MigrationRecord {
    /// Name.
    pub name: String,
    /// The VM.
    pub vm: String,
    /// Source region.
    pub from: String,
    /// Destination region.
    pub to: String,
    /// How far it got.
    pub progress: Progress,
    /// When it started.
    pub started_ns: Option<u64>,
    /// From the start to the guest running at the destination.
    pub total_time_ns: Option<u64>,
    /// How long the guest stood still.
    pub downtime_ns: Option<u64>,
    /// From the start to the first page.
    pub setup_time_ns: Option<u64>,
    /// The last prediction of the downtime before the guest was paused.
    pub expected_downtime_ns: Option<u64>,
    /// Real pages that the destination compared with the guest's memory before it ran, all of them equal.
    pub verified_pages: u64,
    /// Memory statistics.
    pub ram: RamRecord,
    /// What the encoder did.
    pub encoding: EncodingRecord,
    /// What the transport did.
    pub transport: TransportRecord,
}

/// QEMU's `ram` section.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RamRecord {
    /// Memory of the guest in bytes.
    pub total: u64,
    /// Bytes handed to the transport's streams.
    pub transferred: u64,
    /// Memory bytes still to be sent when the run or the migration ended.
    pub remaining: u64,
    /// Zero pages sent.
    pub duplicate: u64,
    /// Pages sent that were not zero.
    pub normal: u64,
    /// Synchronisations of the dirty bitmap.
    pub dirty_sync_count: u64,
    /// Dirty pages per second in the last round.
    pub dirty_pages_rate: u64,
}

/// Memory bytes in, frame bytes out, and what became of the pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct EncodingRecord {
    /// Memory bytes encoded, real and synthetic, every copy counted.
    pub raw_bytes: u64,
    /// Frame bytes that came out.
    pub encoded_bytes: u64,
    /// Of the raw bytes, those that were real.
    pub real_raw_bytes: u64,
    /// Of the frame bytes, those that were real.
    pub real_encoded_bytes: u64,
    /// Real pages found to be zero.
    pub zero_pages: u64,
    /// Real pages found elsewhere.
    pub duplicate_pages: u64,
    /// Real pages sent as a difference.
    pub delta_pages: u64,
    /// Real pages sent as they are.
    pub literal_pages: u64,
}

/// The multi-stream transport and the TCP connections under it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TransportRecord {
    /// TCP connections.
    pub streams: u32,
    /// Chunks sent.
    pub chunks: u64,
    /// Chunks sent again after a stream died.
    pub requeued_chunks: u64,
    /// TCP segments sent by the source.
    pub segments: u64,
    /// Of these, retransmissions.
    pub retransmits: u64,
}

/// A bulk transfer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TransferRecord {
    /// Name.
    pub name: String,
    /// Sender's region.
    pub from: String,
    /// Receiver's region.
    pub to: String,
    /// How far it got.
    pub progress: Progress,
    /// Bytes in all, of one that has a size.
    pub size: Option<u64>,
    /// How long it writes, of one that has a time.
    pub duration_ns: Option<u64>,
    /// Bytes that arrived.
    pub received: u64,
    /// Bytes that had arrived when its time was up.
    pub received_in_time: Option<u64>,
    /// Jain's index of what the streams had delivered when the first of them was finished or the time was up.
    pub fairness_millionths: Option<u64>,
    /// From the first SYN until the last stream has seen the peer's close.
    pub completion_ns: Option<u64>,
    /// The same for the first stream to finish.
    pub first_stream_ns: Option<u64>,
    /// The slowest handshake.
    pub handshake_ns: Option<u64>,
    /// TCP connections.
    pub streams: u32,
    /// TCP segments sent by the sender.
    pub segments: u64,
    /// Of these, retransmissions.
    pub retransmits: u64,
}

impl TransferRecord {
    /// What a completed transfer achieved: its size over its completion time, or what arrived in its time over
    /// that time.
    pub fn goodput(&self) -> Option<BitRate> {
        let completion = self.completion_ns?;
        match (self.size, self.duration_ns) {
            (Some(size), _) => BitRate::of(size, Span::from_ns(completion)),
            (None, Some(duration)) => BitRate::of(self.received_in_time?, Span::from_ns(duration)),
            (None, None) => None,
        }
    }
}

/// A directed link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkRecord {
    /// `from->to`.
    pub name: String,
    /// Rate in bit/s at the start; none if it is recorded in a file.
    pub rate_bits_per_s: Option<u64>,
    /// One-way propagation delay at the start.
    pub delay_ns: u64,
    /// Bytes of frames that reached the other end; at flow fidelity those of data alone.
    pub delivered_bytes: u64,
    /// Time spent transmitting.
    pub busy_ns: u64,
    /// From the first frame offered to the end of the last transmission; at flow fidelity to the end of the run.
    pub active_ns: u64,
    /// What only packet fidelity can tell.
    pub packets: Option<LinkPackets>,
}

/// What became of the frames of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LinkPackets {
    /// Frames offered to the link.
    pub offered_packets: u64,
    /// Their bytes.
    pub offered_bytes: u64,
    /// Frames that reached the other end.
    pub delivered_packets: u64,
    /// Frames lost by the loss law.
    pub lost_packets: u64,
    /// Copies that the link made of frames.
    pub duplicated_packets: u64,
    /// Frames that arrived damaged and were discarded.
    pub corrupted_packets: u64,
    /// Frames dropped by the full queue.
    pub queue_dropped_packets: u64,
    /// Frames dropped by CoDel to shorten the queue.
    pub early_dropped_packets: u64,
    /// Frames lost because the link failed: those inside it then, and those offered until it was back.
    pub down_lost_packets: u64,
    /// Frames marked instead.
    pub marked_packets: u64,
    /// Longest wait in the queue.
    pub queue_delay_max_ns: u64,
    /// Most bytes waiting in the queue.
    pub queue_bytes_max: u64,
    /// Frames of others that came; they share queue and rate and are in no other count.
    pub background_packets: u64,
    /// Of these, frames that were dropped.
    pub background_dropped_packets: u64,
}

/// An assertion and what became of it. Values carry their unit in text and their exact number.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AssertionRecord {
    /// Metric.
    pub metric: String,
    /// Statistic.
    pub statistic: String,
    /// `all` or a name.
    pub scope: String,
    /// `≤ 300 s` or `≥ 3.9`.
    pub bound: String,
    /// Whether a failure fails the run.
    pub critical: bool,
    /// Samples that went into the value.
    pub samples: u64,
    /// The value with its unit, if there is one.
    pub value: Option<String>,
    /// The value as an integer: ns, bytes, bit/s, parts of 10^12, or millionths of a plain number.
    pub value_exact: Option<u64>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub reason: String,
}

/// One row of `events.csv`: something worth telling, and the engine event that caused it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventRecord {
    /// When.
    pub at_ns: u64,
    /// Migration, transfer or link; `routing` for all routers.
    pub entity: String,
    /// What happened, in one word.
    pub kind: String,
    /// Details as JSON.
    pub detail: String,
    /// Index of the engine event in which it happened, as in the trace.
    pub during_event: u64,
}

/// One row of `series.csv`: a sample of a quantity at a time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SampleRecord {
    /// When.
    pub at_ns: u64,
    /// Migration, transfer or link.
    pub entity: String,
    /// What, with its unit at the end of the name.
    pub metric: String,
    /// The value.
    pub value: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_json_form_exactly() {
        let link = LinkRecord {
            name: "a->b".to_owned(),
            rate_bits_per_s: Some(u64::MAX),
            delay_ns: u64::MAX,
            delivered_bytes: u64::MAX,
            busy_ns: u64::MAX,
            active_ns: u64::MAX,
            packets: Some(LinkPackets {
                offered_packets: u64::MAX,
                ..LinkPackets::default()
            }),
        };
        let text = serde_json::to_string(&link).unwrap();
        assert_eq!(serde_json::from_str::<LinkRecord>(&text).unwrap(), link);
        assert!(text.contains("18446744073709551615"));
    }
}
