//! Streams of datagrams: their machines, their sockets, their records and metrics.

use longhaul_core::machine::PeerId;
use longhaul_core::record::{DatagramRecord, DelayRecord, Progress};
use longhaul_core::time::Span;
use longhaul_stream::{Receiver, ReceiverOptions, Report, Sender, SenderOptions, VoiceQuality};

use super::assertions::{Sample, quotient};
use super::build::BuildError;
use super::cast::{Role, Workload};
use super::endpoint::Protocol;
use super::machines::Maker;
use super::workload::DatagramRun;
use crate::schema::{DatagramStream, MILLIONTHS, Metric};

impl Maker<'_> {
    /// The sender of a stream.
    pub(super) fn datagram_sender(&self, index: usize) -> Result<Protocol, BuildError> {
        let spec = &self.scenario.datagrams[index];
        let peer = self.cast.peer(Workload::Datagrams(index), Role::DatagramReceiver);
        Sender::new(SenderOptions {
            peer,
            interval: spec.interval,
            payload_bytes: spec.payload_bytes,
            duration: spec.duration,
        })
        .map(Protocol::DatagramSender)
        .map_err(|error| BuildError::Datagrams {
            stream: spec.name.clone(),
            reason: error.to_string(),
        })
    }

    /// Its receiver.
    pub(super) fn datagram_receiver(&self, index: usize) -> Protocol {
        let spec = &self.scenario.datagrams[index];
        let peer: PeerId = self.cast.peer(Workload::Datagrams(index), Role::DatagramSender);
        let interval = spec.interval;
        Protocol::DatagramReceiver(Box::new(Receiver::new(ReceiverOptions { peer, interval })))
    }
}

/// The record of a stream by what its receiver has counted and its sender has sent.
pub fn datagram_record(
    spec: &DatagramStream,
    run: &DatagramRun,
    sent: u64,
    counted: &Report,
) -> DatagramRecord {
    let ns = Span::as_ns;
    // What was sent after the last that arrived is lost, too.
    let lost = sent.saturating_sub(counted.received);
    let report = Report {
        expected: sent,
        lost,
        ..*counted
    };
    let voice = VoiceQuality::of(&report, spec.interval);
    DatagramRecord {
        name: run.name.clone(),
        from: spec.from.clone(),
        to: spec.to.clone(),
        progress: run.stage.progress().clone(),
        sent,
        received: counted.received,
        lost,
        loss_bursts: counted.loss_bursts,
        longest_loss_burst: counted.longest_loss_burst,
        duplicates: counted.duplicates,
        reordered: counted.reordered,
        longest_gap_ns: counted.longest_gap.map(|gap| ns(gap.length)),
        longest_gap_at_ns: counted.longest_gap.map(|gap| gap.began.as_ns()),
        jitter_ns: ns(counted.jitter),
        delay: counted.delays.map(|delays| DelayRecord {
            min_ns: ns(delays.min),
            mean_ns: ns(delays.mean),
            median_ns: ns(delays.p50),
            p95_ns: ns(delays.p95),
            p99_ns: ns(delays.p99),
            max_ns: ns(delays.max),
        }),
        mos_thousandths: voice.map(|voice| u64::from(voice.mos_thousandths)),
    }
}

/// The sample that a stream gives a metric.
pub fn of_datagrams(metric: Metric, stream: &DatagramRecord) -> Sample {
    const PARTS: u64 = longhaul_core::units::Probability::PARTS;
    if stream.progress == Progress::NotStarted || stream.sent == 0 {
        return Sample::Missing;
    }
    let delay = |of: fn(&DelayRecord) -> u64| {
        let delay = stream.delay.as_ref().map(of);
        delay.map_or(Sample::Missing, Sample::Exact)
    };
    match metric {
        Metric::DatagramLoss => quotient(stream.lost, stream.sent, PARTS),
        // Without a gap none is longer than the interval: what was measured is nothing beyond it.
        Metric::DatagramGap => match (stream.longest_gap_ns, stream.received) {
            (Some(ns), _) => Sample::Exact(ns),
            (None, 0) => Sample::Missing,
            (None, _) => Sample::Exact(0),
        },
        Metric::DatagramJitter => Sample::Exact(stream.jitter_ns),
        Metric::DatagramDelayMedian => delay(|delay| delay.median_ns),
        Metric::DatagramDelayP99 => delay(|delay| delay.p99_ns),
        _ => stream.mos_thousandths.map_or(Sample::Missing, |mos| {
            Sample::Exact(mos.saturating_mul(MILLIONTHS / 1_000))
        }),
    }
}
