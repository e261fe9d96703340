//! How many streams, how large a chunk, how fast: decided from what is measured.
//!
//! Every round trip in which there is something to carry the controller asks the transport below what it knows of each
//! stream, and looks at what the streams have taken over since. What follows from it is the policy's: [`adaptive`]
//! follows the physics, the seed's rules follow their formulas, and a fixed number follows nothing.

mod adaptive;
mod monitor;

use longhaul_core::machine::{PathInfo, StreamId};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;

use crate::options::{LEAST_ADAPTIVE_CHUNK_BYTES, MOST_ADAPTIVE_CHUNK_BYTES};
use crate::rules::{self, OPTIMISER_INTERVAL, Setting};
use crate::{ChunkSize, SenderOptions, Streams};
use adaptive::Adaptive;
use monitor::Monitor;

pub(crate) use monitor::Totals;

/// Least time between two looks at the streams.
const LEAST_TICK: Span = Span::from_ms(50);
/// Looks by which the path is known to be free.
const FREE_TICKS: usize = 4;
/// Chunks are so large that a stream carries about one in this time.
const CHUNK_TIME: Span = Span::from_ms(50);

/// What the transport aims at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Aim {
    pub streams: u32,
    pub chunk_bytes: u32,
    /// What all streams together may be given; no limit without.
    pub pace: Option<BitRate>,
}

/// Decides what the transport aims at.
#[derive(Debug)]
pub(crate) struct Controller {
    options: SenderOptions,
    aim: Aim,
    policy: Policy,
    monitor: Monitor,
    /// When to look at the streams again, once one of them has been open.
    next_tick: Option<Instant>,
    /// Answers of the transport below that are still to come.
    awaited: usize,
}

#[derive(Debug)]
enum Policy {
    Fixed,
    Adaptive(Adaptive),
    SpecRule { rate: BitRate },
    SeedOptimiser { next: Option<Instant> },
}

impl Controller {
    pub fn new(options: &SenderOptions) -> Controller {
        let (policy, streams) = match options.streams {
            Streams::Fixed(streams) => (Policy::Fixed, streams),
            Streams::Adaptive {
                initial,
                most,
                contending,
            } => (Policy::Adaptive(Adaptive::new(most, contending)), initial),
            // One handshake tells the round trip, on which the number depends.
            Streams::SpecRule { rate } => (Policy::SpecRule { rate }, 1),
            Streams::SeedOptimiser => (Policy::SeedOptimiser { next: None }, rules::INITIAL_SEED_STREAMS),
        };
        let chunk_bytes = match (options.chunk, options.streams) {
            (ChunkSize::Fixed(bytes), _) => bytes,
            (ChunkSize::Adaptive, Streams::Fixed(_) | Streams::Adaptive { .. }) => LEAST_ADAPTIVE_CHUNK_BYTES,
            (ChunkSize::Adaptive, Streams::SpecRule { .. }) => rules::SEED_CHUNK_BYTES,
            (ChunkSize::Adaptive, Streams::SeedOptimiser) => rules::INITIAL_SEED_CHUNK_BYTES,
        };
        Controller {
            options: *options,
            aim: Aim {
                streams,
                chunk_bytes,
                pace: None,
            },
            policy,
            monitor: Monitor::default(),
            next_tick: None,
            awaited: 0,
        }
    }

    pub fn aim(&self) -> Aim {
        self.aim
    }

    /// The round trip as it was measured last.
    pub fn round_trip(&self) -> Span {
        self.monitor.round_trip()
    }

    /// Whether it is known that no queue stands on the path.
    pub fn path_is_free(&self) -> bool {
        self.monitor.queue_stands(FREE_TICKS) == Some(false)
    }

    /// When to look at the streams next.
    pub fn next_tick(&self) -> Option<Instant> {
        self.next_tick
    }

    /// A stream was opened, after one handshake.
    pub fn on_opened(&mut self, now: Instant, stream: StreamId, handshake: Span) {
        self.monitor.on_opened(now, stream, handshake);
        if self.next_tick.is_none() {
            self.schedule(now);
        }
        if let Policy::Adaptive(adaptive) = &mut self.policy {
            self.aim.streams = adaptive.on_opened(self.aim.streams, handshake);
        }
        if let Policy::SpecRule { rate } = self.policy
            && self.aim.pace.is_none()
        {
            self.aim.streams = rules::spec_streams(rate, handshake);
            self.aim.pace = Some(rules::spec_pace(rate));
            if self.options.chunk == ChunkSize::Adaptive {
                self.aim.chunk_bytes = rules::spec_chunk_bytes(rate, handshake);
            }
        }
        if let Policy::SeedOptimiser { next } = &mut self.policy {
            next.get_or_insert(now.saturating_add(OPTIMISER_INTERVAL));
        }
    }

    /// It is time to look at the streams, `inspected` of which the transport below is asked about.
    pub fn tick(&mut self, now: Instant, totals: Totals, inspected: usize) {
        self.monitor.begin_tick(now, totals);
        self.awaited = inspected;
        self.schedule(now);
        if inspected == 0 {
            self.decide(now);
        }
    }

    /// What the transport below knows of a stream.
    pub fn on_path(&mut self, now: Instant, stream: StreamId, info: &PathInfo) {
        if self.awaited > 0 {
            self.monitor.on_path(now, stream, info);
            self.awaited -= 1;
            if self.awaited == 0 {
                self.decide(now);
            }
        }
    }

    pub fn on_stream_ended(&mut self, stream: StreamId) {
        self.monitor.forget(stream);
    }

    fn adapts_chunks(&self) -> bool {
        self.options.chunk == ChunkSize::Adaptive
            && matches!(self.policy, Policy::Fixed | Policy::Adaptive(_))
    }

    fn schedule(&mut self, now: Instant) {
        // A little more than a round trip: what left at the last look has been answered.
        let tick = self.monitor.round_trip().saturating_mul(9) / 8;
        let tick = tick.max(LEAST_TICK);
        self.next_tick = Some(now.saturating_add(tick));
    }

    fn decide(&mut self, now: Instant) {
        match &mut self.policy {
            Policy::Fixed | Policy::SpecRule { .. } => {}
            Policy::Adaptive(adaptive) => {
                self.aim.streams = adaptive.decide(now, self.aim.streams, &self.monitor);
            }
            Policy::SeedOptimiser { next } => {
                if next.is_some_and(|next| next <= now) {
                    *next = Some(now.saturating_add(OPTIMISER_INTERVAL));
                    let before = Setting {
                        streams: self.aim.streams,
                        chunk_bytes: self.aim.chunk_bytes,
                    };
                    let after = rules::optimise(before, self.monitor.since_last(OPTIMISER_INTERVAL));
                    self.aim.streams = after.streams;
                    if self.options.chunk == ChunkSize::Adaptive {
                        self.aim.chunk_bytes = after.chunk_bytes;
                    }
                }
            }
        }
        if self.adapts_chunks() {
            self.aim.chunk_bytes = self.chunk_bytes();
        }
    }

    /// As much as a stream carries in [`CHUNK_TIME`], in steps of the smallest chunk, and small enough that every stream
    /// can have some in the window.
    fn chunk_bytes(&self) -> u32 {
        let step = u64::from(LEAST_ADAPTIVE_CHUNK_BYTES);
        let streams = u64::from(self.aim.streams);
        let by_rate = BitRate::from_bits_per_s(self.monitor.goodput() * 8).bytes_in(CHUNK_TIME) / streams;
        let by_window = self.options.window_bytes / streams / 8;
        let most = u64::from(MOST_ADAPTIVE_CHUNK_BYTES);
        ((by_rate.min(by_window) / step).max(1) * step).min(most) as u32
    }
}
