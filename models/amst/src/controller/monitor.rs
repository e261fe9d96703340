//! What the streams have done in the last round trips.

use std::collections::{BTreeMap, VecDeque};

use longhaul_core::machine::{PathInfo, StreamId};
use longhaul_core::time::{Instant, Span};

use crate::rules::Measured;

/// Ticks that are remembered; at least those of the optimiser's interval at the shortest tick.
const REMEMBERED: usize = 512;
/// What hosts and timers may add to a round trip, in nanoseconds.
const HOST_NS: u64 = 500_000;
/// How long a round trip is remembered as the shortest.
const SHORTEST_FOR: Span = Span::from_s(30);

/// What is known of a stream before it was looked at.
const NOTHING: PathInfo = PathInfo {
    srtt: Span::ZERO,
    segments_sent: 0,
    segments_retransmitted: 0,
    bytes_acked: 0,
    congestion_window_bytes: 0,
    buffer_window_bytes: 0,
};

/// What the sender has counted so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Totals {
    /// Bytes that the streams have taken over.
    pub taken_bytes: u64,
    /// How long a stream had room and there was nothing to send.
    pub starved: Span,
    /// How long a stream had room and the window had none.
    pub blocked: Span,
    /// Streams that are open.
    pub open: u32,
}

/// One look at the streams.
#[derive(Clone, Copy, Default, Debug)]
struct Tick {
    at: Instant,
    totals: Totals,
    /// Bytes that the peer's transport has acknowledged so far, on all streams together.
    acked_bytes: u64,
    /// Of all streams that were heard of.
    congestion_windows: u64,
    /// Sum of smoothed round trips in nanoseconds, and of how many streams.
    srtt_ns: u64,
    streams: u64,
    /// Segments sent, and sent again, since the tick before.
    segments: u64,
    retransmitted: u64,
    /// Smallest window that buffers leave a stream.
    buffer_window: u64,
    /// Of the streams that have been open for a round trip: bytes acknowledged since the tick before, and congestion
    /// windows.
    flowing: (u64, u64),
}

/// What the streams have done.
#[derive(Debug, Default)]
pub(crate) struct Monitor {
    /// The oldest first.
    ticks: VecDeque<Tick>,
    /// When each stream was opened.
    opened: BTreeMap<StreamId, Instant>,
    /// What was known last of each stream.
    known: BTreeMap<StreamId, PathInfo>,
    /// The shortest round trips, of this stretch of [`SHORTEST_FOR`] and of the one before.
    shortest: [Option<Span>; 2],
    stretch: u64,
    last_handshake: Span,
}

impl Monitor {
    pub fn on_opened(&mut self, now: Instant, stream: StreamId, handshake: Span) {
        self.last_handshake = handshake;
        self.note_round_trip(now, handshake);
        self.opened.insert(stream, now);
    }

    pub fn begin_tick(&mut self, now: Instant, totals: Totals) {
        if self.ticks.len() == REMEMBERED {
            self.ticks.pop_front();
        }
        self.ticks.push_back(Tick {
            at: now,
            totals,
            acked_bytes: self.ticks.back().map_or(0, |tick| tick.acked_bytes),
            buffer_window: u64::MAX,
            ..Tick::default()
        });
    }

    pub fn on_path(&mut self, now: Instant, stream: StreamId, info: &PathInfo) {
        if info.srtt > Span::ZERO {
            self.note_round_trip(now, info.srtt);
        }
        let before = self.known.insert(stream, *info);
        let shortest = self.shortest_round_trip();
        let opened = self.opened.get(&stream).copied().unwrap_or(now);
        let answered = now.saturating_since(opened) >= shortest;
        let Some(tick) = self.ticks.back_mut() else { return };
        if info.srtt > Span::ZERO {
            tick.srtt_ns += info.srtt.as_ns();
            tick.streams += 1;
        }
        tick.congestion_windows += info.congestion_window_bytes;
        tick.buffer_window = tick.buffer_window.min(info.buffer_window_bytes);
        let before = before.unwrap_or(NOTHING);
        if answered {
            tick.flowing.0 += info.bytes_acked.saturating_sub(before.bytes_acked);
            tick.flowing.1 += info.congestion_window_bytes;
        }
        tick.segments += info.segments_sent.saturating_sub(before.segments_sent);
        let again = before.segments_retransmitted;
        tick.retransmitted += info.segments_retransmitted.saturating_sub(again);
        tick.acked_bytes += info.bytes_acked.saturating_sub(before.bytes_acked);
    }

    pub fn forget(&mut self, stream: StreamId) {
        self.known.remove(&stream);
        self.opened.remove(&stream);
    }

    /// The shortest round trip of late.
    pub fn shortest_round_trip(&self) -> Span {
        self.shortest
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(self.last_handshake)
    }

    /// The mean round trip at the last tick that knows it, or that of the last handshake.
    pub fn round_trip(&self) -> Span {
        let known = self.ticks.iter().rev().find(|tick| tick.streams > 0);
        known.map_or(self.last_handshake, |tick| {
            Span::from_ns(tick.srtt_ns / tick.streams)
        })
    }

    /// Bytes per second in the last `ticks` ticks: what the peer's transport has acknowledged, or, where nobody tells, what
    /// the streams took over. That goes by buffers full.
    pub fn goodput_over(&self, ticks: usize) -> u64 {
        let Some((first, last)) = self.stretch_of(ticks) else {
            return 0;
        };
        let bytes = if last.streams > 0 && first.streams > 0 {
            last.acked_bytes - first.acked_bytes
        } else {
            last.totals.taken_bytes - first.totals.taken_bytes
        };
        let ns = u128::from(last.at.saturating_since(first.at).as_ns().max(1));
        (u128::from(bytes) * 1_000_000_000 / ns) as u64
    }

    /// The same in the last few ticks.
    pub fn goodput(&self) -> u64 {
        self.goodput_over(4)
    }

    /// Share of the last `ticks` ticks' time in which the application or the window, not the streams, set the pace.
    pub fn idle_share(&self, ticks: usize) -> f64 {
        let Some((first, last)) = self.stretch_of(ticks) else {
            return 0.0;
        };
        let idle = |totals: &Totals| (totals.starved.saturating_add(totals.blocked)).as_ns();
        let span = last.at.saturating_since(first.at).as_ns().max(1);
        (idle(&last.totals) - idle(&first.totals)) as f64 / span as f64
    }

    /// How much the congestion windows together have grown in the last `ticks` ticks, as a share of what they were: above
    /// zero while TCP itself still finds out what the path can carry. Without word from the transport below it is what
    /// the streams took over.
    pub fn growth(&self, ticks: usize) -> f64 {
        let Some((first, last)) = self.stretch_of(ticks) else {
            return 1.0;
        };
        let (before, after) = if last.streams > 0 && first.streams > 0 {
            (first.congestion_windows as f64, last.congestion_windows as f64)
        } else {
            let half = ticks / 2;
            let whole = self.goodput_over(ticks) as f64;
            let second = self.goodput_over(half.max(1)) as f64;
            (2.0 * whole - second, second)
        };
        if before <= 0.0 { 1.0 } else { after / before - 1.0 }
    }

    /// Whether a window's worth came through on every stream since the last look, a round trip ago: in slow start that is
    /// half of what the window has become by it. `None` if nobody knows.
    pub fn flows_freely(&self) -> Option<bool> {
        let last = self.ticks.back().filter(|tick| tick.streams > 0)?;
        let round_trip = self.shortest_round_trip().as_ns().max(1);
        let before = self.ticks.len().checked_sub(2).map(|index| self.ticks[index].at);
        let rounds = before.map_or(1, |at| last.at.saturating_since(at).as_ns() / round_trip);
        Some(last.flowing.0 * 5 > last.flowing.1 * 2 * rounds.max(1))
    }

    /// The mean round trip of the last `ticks` ticks, as a multiple of the shortest of late: beyond one by what waits in
    /// queues. `None` if nobody knows.
    pub fn inflation(&self, ticks: usize) -> Option<f64> {
        let last = self.ticks.iter().rev().take(ticks);
        let (mut srtt, mut streams) = (0, 0);
        for tick in last.filter(|tick| tick.streams > 0) {
            srtt += tick.srtt_ns;
            streams += tick.streams;
        }
        let mean = srtt.checked_div(streams)?;
        Some(mean as f64 / self.shortest_round_trip().as_ns().max(1) as f64)
    }

    /// Whether a queue stands somewhere on the path: frames wait for longer than a tenth of the shortest round trip, and
    /// for longer than a host takes to answer. `None` if nobody knows.
    pub fn queue_stands(&self, ticks: usize) -> Option<bool> {
        let inflation = self.inflation(ticks)?;
        let slack = HOST_NS as f64 / self.shortest_round_trip().as_ns().max(1) as f64;
        Some(inflation > 1.1 + slack)
    }

    /// Smallest window in bytes that the buffers leave a stream, if it is known.
    pub fn buffer_window(&self) -> Option<u64> {
        let last = self.ticks.iter().rev().find(|tick| tick.streams > 0)?;
        Some(last.buffer_window)
    }

    /// Streams open at the last tick.
    pub fn open(&self) -> u32 {
        self.ticks.back().map_or(0, |tick| tick.totals.open)
    }

    /// What was measured in about this time.
    pub fn since_last(&self, span: Span) -> Measured {
        let Some(last) = self.ticks.back() else {
            return Measured {
                bytes_per_s: 0,
                rtt: self.last_handshake,
                loss_millionths: 0,
            };
        };
        let recent = self.ticks.iter().rev();
        let recent = recent.take_while(|tick| last.at.saturating_since(tick.at) < span);
        let ticks = recent.clone().count();
        let (mut segments, mut retransmitted) = (0, 0);
        for tick in recent {
            segments += tick.segments;
            retransmitted += tick.retransmitted;
        }
        Measured {
            bytes_per_s: self.goodput_over(ticks),
            rtt: self.round_trip(),
            loss_millionths: (retransmitted * 1_000_000).checked_div(segments).unwrap_or(0),
        }
    }

    /// The last tick and the one so many ticks before it, or the oldest; `None` if there is none before.
    fn stretch_of(&self, ticks: usize) -> Option<(&Tick, &Tick)> {
        let last = self.ticks.len().checked_sub(1)?;
        let first = last.saturating_sub(ticks);
        (first < last).then(|| (&self.ticks[first], &self.ticks[last]))
    }

    fn note_round_trip(&mut self, now: Instant, round_trip: Span) {
        let stretch = now.as_ns() / SHORTEST_FOR.as_ns();
        if stretch != self.stretch {
            let before = (stretch == self.stretch + 1)
                .then_some(self.shortest[0])
                .flatten();
            self.shortest = [None, before];
            self.stretch = stretch;
        }
        let shortest = &mut self.shortest[0];
        *shortest = Some(shortest.map_or(round_trip, |shortest| shortest.min(round_trip)));
    }
}
