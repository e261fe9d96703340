//! What an ACK does, in the order of `tcp_ack`.

use longhaul_core::time::{Instant, Span};

use super::packet::Delivery;
use super::recovery::Phase;
use super::undo::Resume;
use super::{Probe, Sender, Turn};
use crate::config::Config;
use crate::congestion::PathSample;
use crate::rtt::rtt_by_timestamp;
use crate::segment::{Flags, MAX_SACK_BLOCKS, SackBlock, Segment};

/// What one ACK has shown so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Findings {
    pub(super) delivery: Delivery,
    /// The cumulative acknowledgement moved.
    pub(super) una_advanced: bool,
    /// Where it was.
    pub(super) prior_una: u64,
    /// The timestamp that the peer echoes.
    pub(super) echo: Instant,
    /// The segment says something besides repeating the last acknowledgement: data, a larger window.
    pub(super) not_duplicate: bool,
    /// A queue marked a packet.
    pub(super) congestion_echoed: bool,
    /// It reports a duplicate arrival.
    pub(super) duplicate_arrived: bool,
    /// It reports that a loss probe and its original arrived.
    probe_was_needless: bool,
    /// A retransmission was found to be lost.
    pub(super) retransmission_lost: bool,
    /// The reordering timer was set, so the timeout must not replace it.
    pub(super) timer_is_set: bool,
    /// The timeout starts again.
    restart_timer: bool,
    /// RTT of the latest packet that it delivered.
    pub(super) rtt: Option<Span>,
    /// Packets in flight before it.
    pub(super) prior_in_flight: u32,
}

impl Sender {
    /// An ACK arrived. One for bytes that were never sent is ignored.
    pub(crate) fn on_ack(&mut self, now: Instant, segment: &Segment) {
        if segment.ack > self.nxt {
            return;
        }
        let mut findings = Findings {
            una_advanced: segment.ack > self.una,
            prior_una: self.una,
            echo: segment.ts_ecr,
            not_duplicate: segment.len > 0,
            congestion_echoed: self.ecn && segment.flags.has(Flags::ECE),
            prior_in_flight: self.board.in_flight(),
            ..Findings::default()
        };
        findings.not_duplicate |= self.note_window(segment);
        let losses = self.board.losses();
        let had_outstanding = self.board.outstanding() > 0;
        if segment.has_sack() {
            self.take_sack(now, segment, &mut findings);
        }
        if findings.una_advanced {
            self.una = segment.ack;
            self.timeouts = 0;
            let min_rtt = self.rtt.min_rtt();
            self.board
                .acknowledge(self.una, now, min_rtt, &mut self.rack, &mut findings.delivery);
        }
        if had_outstanding {
            self.note_reordering(&findings);
            self.rack.adapt_window(self.board.last_order());
            self.take_rtt(now, segment, &mut findings);
        }
        self.settle_probe(now, &findings);
        self.persist.on_ack();
        if !had_outstanding {
            self.persist_or_go_on(now);
            self.start_turn(Turn::New);
            return;
        }
        let resume = if self.is_dubious(&findings) {
            self.follow_phase(now, &mut findings)
        } else {
            Resume::New
        };
        if findings.restart_timer && !findings.timer_is_set {
            self.restart_timer(now);
        }
        let delivered = findings.delivery.packets;
        self.counts.delivered += u64::from(delivered);
        let newly_lost = self.board.losses() - losses;
        if self.congestion.rules_window() {
            self.control(now, &findings, newly_lost);
        } else {
            self.adapt_window(now, &findings, newly_lost > 0);
        }
        self.start_turn(match resume {
            Resume::New => Turn::New,
            Resume::NewFirst => Turn::NewFirst,
            Resume::Lost => Turn::Lost,
        });
    }

    /// Marks what the peer holds. Blocks come newest first and are taken in ascending order, so that two new
    /// blocks in one ACK do not look like reordering.
    fn take_sack(&mut self, now: Instant, segment: &Segment, findings: &mut Findings) {
        let mut blocks = [SackBlock::default(); MAX_SACK_BLOCKS];
        let mut count = 0;
        let first = segment.sack_blocks().next().unwrap_or_default();
        for (position, block) in segment.sack_blocks().enumerate() {
            let within_second = |second: SackBlock| first.start >= second.start && first.end <= second.end;
            let duplicate = position == 0
                && (block.start < segment.ack || segment.sack_blocks().nth(1).is_some_and(within_second));
            if duplicate {
                self.take_duplicate(block, findings);
            }
            let una = self.una.max(segment.ack);
            let plausible = block.start < block.end && block.start >= una && block.end <= self.nxt;
            if plausible && !duplicate {
                blocks[count] = block;
                count += 1;
            }
        }
        let blocks = &mut blocks[..count];
        blocks.sort_unstable_by_key(|block| block.start);
        let min_rtt = self.rtt.min_rtt();
        for &block in blocks.iter() {
            self.board
                .sack(block, now, min_rtt, &mut self.rack, &mut findings.delivery);
        }
    }

    /// The peer received something twice (`tcp_dsack_seen`).
    fn take_duplicate(&mut self, block: SackBlock, findings: &mut Findings) {
        let len = block.end.saturating_sub(block.start);
        if len == 0 || len > Config::LARGEST_WINDOW {
            return;
        }
        let packets = len.div_ceil(u64::from(self.mss));
        self.duplicates += packets;
        // More than was sent again: the network duplicates.
        if self.duplicates > self.counts.retransmits {
            return;
        }
        let by_probe = |probe: Probe| packets == 1 && probe.high == block.end;
        findings.probe_was_needless = self.probe.is_some_and(by_probe);
        findings.duplicate_arrived = true;
        findings.delivery.packets += packets as u32;
        if !findings.probe_was_needless {
            self.rack.on_duplicate();
        }
        self.undo.on_duplicate(block.end, packets as u32);
    }

    fn note_reordering(&mut self, findings: &Findings) {
        if let Some(low) = findings.delivery.reordered {
            let high = self.board.highest_sacked().max(self.una);
            self.rack.on_reordering(low, high, self.mss);
        }
    }

    /// RTT samples (`tcp_ack_update_rtt`): from packets acknowledged in order, else from packets newly held, else
    /// from the timestamp, which alone can tell copies apart.
    fn take_rtt(&mut self, now: Instant, segment: &Segment, findings: &mut Findings) {
        let delivery = findings.delivery;
        let since =
            |(first, last): (Instant, Instant)| (now.saturating_since(first), now.saturating_since(last));
        let by_ack = delivery.acked_sent_at.filter(|_| !delivery.ambiguous).map(since);
        let by_sack = delivery.sacked_sent_at.map(since);
        let by_timestamp = || {
            let rtt = rtt_by_timestamp(now, segment.ts_ecr);
            (findings.una_advanced && segment.ts_ecr > Instant::ZERO).then_some((rtt, rtt))
        };
        let sample = by_ack.or(by_sack).or_else(by_timestamp);
        if let Some((first, _)) = sample {
            // The latest packet that this ACK delivered: what controllers look at.
            let latest = by_sack.or(sample).map_or(first, |(_, last)| last);
            findings.rtt = Some(latest);
            self.rtt.sample_minimum(now, latest);
            self.rtt.sample(first, self.una, self.nxt);
            let path = PathSample {
                now,
                rtt: latest,
                una: self.una,
                nxt: self.nxt,
                pace: self.pace(),
            };
            self.congestion.on_path_sample(&mut self.window, &path);
        }
        findings.restart_timer = if delivery.acked > 0 {
            true
        } else {
            // A sample from data sent after the oldest packet must not put its timeout off for ever.
            let oldest = self.board.oldest();
            let oldest_age = oldest.map(|packet| now.saturating_since(packet.sent_at));
            by_sack.is_some_and(|(first, _)| oldest_age.is_some_and(|age| first > age))
        };
    }

    /// Whether a loss probe has been answered, and what that says (`tcp_process_tlp_ack`).
    fn settle_probe(&mut self, now: Instant, findings: &Findings) {
        let Some(probe) = self.probe else { return };
        if self.una < probe.high {
            return;
        }
        if !probe.repeated || findings.probe_was_needless {
            self.probe = None;
        } else if self.una > probe.high {
            // The repeated packet filled a hole that nobody would have noticed: that was a loss.
            self.repair_by_probe(now);
        } else if !findings.una_advanced && !findings.not_duplicate && findings.delivery.sacked == 0 {
            self.probe = None;
        }
    }

    /// Whether the ACK needs more than the shortest path.
    fn is_dubious(&self, findings: &Findings) -> bool {
        let says_nothing = !findings.una_advanced && !findings.not_duplicate;
        says_nothing
            || findings.delivery.sacked > 0
            || findings.duplicate_arrived
            || findings.congestion_echoed
            || self.phase != Phase::Open
    }

    /// `tcp_cong_control`.
    fn adapt_window(&mut self, now: Instant, findings: &Findings, newly_lost: bool) {
        let delivered = findings.delivery.packets;
        if self.is_reducing() {
            self.reduce(delivered, newly_lost, findings.una_advanced);
            return;
        }
        let progress = if self.rack.expects_order() {
            findings.delivery.acked
        } else {
            delivered
        };
        if progress > 0 && delivered > 0 && self.is_window_limited() {
            self.congestion.grow(&mut self.window, now, delivered);
        }
    }
}
