//! How many streams, how large a chunk, how fast: decided from what is measured.

use longhaul_core::machine::{PathInfo, StreamId};
use longhaul_core::time::{Instant, Span};
use longhaul_core::units::BitRate;

use crate::options::{LEAST_ADAPTIVE_CHUNK_BYTES, MOST_ADAPTIVE_CHUNK_BYTES};
use crate::rules::{self, Setting};
use crate::{ChunkSize, SenderOptions, Streams};

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
    /// Of the first handshake.
    rtt: Option<Span>,
    next_decision: Option<Instant>,
}

impl Controller {
    pub fn new(options: &SenderOptions) -> Controller {
        let streams = match options.streams {
            Streams::Fixed(streams) => streams,
            Streams::Adaptive { initial, .. } => initial,
            // One handshake tells the round trip, on which the number depends.
            Streams::SpecRule { .. } => 1,
            Streams::SeedOptimiser => rules::INITIAL_SEED_STREAMS,
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
            rtt: None,
            next_decision: None,
        }
    }

    pub fn aim(&self) -> Aim {
        self.aim
    }

    /// When to decide next.
    pub fn next_decision(&self) -> Option<Instant> {
        self.next_decision
    }

    /// A stream was opened, after one handshake.
    pub fn on_opened(&mut self, _now: Instant, handshake: Span) {
        if self.rtt.is_none() {
            self.rtt = Some(handshake);
            if let Streams::SpecRule { rate } = self.options.streams {
                self.aim.streams = rules::spec_streams(rate, handshake);
                self.aim.pace = Some(rules::spec_pace(rate));
                if self.options.chunk == ChunkSize::Adaptive {
                    self.aim.chunk_bytes = rules::spec_chunk_bytes(rate, handshake);
                }
            }
        }
    }

    pub fn on_acknowledged(&mut self, _now: Instant, _sent_at: Instant, _bytes: u64) {}

    pub fn on_path(&mut self, _stream: StreamId, _info: &PathInfo) {}
}
