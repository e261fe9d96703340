//! What a cluster holds for each neighbour, connected or not.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use longhaul_core::machine::{PeerId, StreamId};
use longhaul_core::time::{Instant, Span};
use longhaul_hde::baseline::{
    BaselineReceiver, BaselineSender, Cadence, ReceiverOptions, SenderOptions, StoreOptions,
};
use longhaul_hde::object::ObjectOptions;

use crate::connection::Connection;
use crate::options::MAX_VALUE_BYTES;
use crate::outbox::{Outbox, Priority};
use crate::reconcile::Reconciler;
use crate::{ClusterId, Key, Options};

/// How a connection stands.
pub(crate) enum Phase {
    /// This side dials, at this time.
    Waiting { dial_at: Instant },
    /// This side has dialled.
    Dialling {
        control: StreamId,
        connection: u64,
        reader: crate::wire::FrameReader,
        until: Instant,
    },
    /// The other side dials.
    Listening,
    /// It is up.
    Up(Box<Connection>),
}

/// A change that has left the outbox and is not acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct InFlight {
    /// The version of its object.
    pub version: u64,
}

/// A frame that the processor is done with at a time.
pub(crate) struct Encoded {
    pub ready: Instant,
    pub priority: Priority,
    pub frame: Bytes,
}

/// A synchronisation that goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Synchronisation {
    pub began: Instant,
    /// It is over when everything before this place in the outbox has been acknowledged.
    pub until_place: u64,
    pub changes: u64,
    pub value_bytes: u64,
    pub frame_bytes: u64,
}

/// A neighbour.
pub(crate) struct Peer {
    pub id: ClusterId,
    pub machine: PeerId,
    /// Of two neighbours the one with the lower number dials.
    pub dials: bool,
    pub phase: Phase,
    /// Attempts since the last connection.
    pub attempts: u32,
    /// The number of the newest connection.
    pub last_connection: u64,
    /// The newest life of the peer that was seen.
    pub incarnation: Option<u64>,
    pub outbox: Outbox,
    /// Everything before this place in the outbox may leave.
    pub released: u64,
    /// The version of the next object; it rises over all objects and lives.
    pub next_version: u64,
    pub sender: BaselineSender,
    pub receiver: BaselineReceiver,
    /// The highest version that came from the peer.
    pub newest_delivered: u64,
    pub hde_wake: Option<Instant>,
    pub in_flight: BTreeMap<Key, InFlight>,
    pub encoded: VecDeque<Encoded>,
    pub synchronisation: Option<Synchronisation>,
    pub reconciler: Reconciler,
    pub recovery: Option<Recovery>,
    pub next_comparison: Instant,
}

/// Agreeing again, since when and until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovery {
    pub began: Instant,
    pub late_at: Option<Instant>,
    /// What waited when it began is sent before the states are compared.
    pub until_place: u64,
}

impl Peer {
    pub fn new(
        options: &Options,
        own: ClusterId,
        id: ClusterId,
        machine: PeerId,
        incarnation: u64,
        now: Instant,
    ) -> Peer {
        let dials = own < id;
        Peer {
            id,
            machine,
            dials,
            phase: if dials {
                Phase::Waiting { dial_at: now }
            } else {
                Phase::Listening
            },
            attempts: 0,
            last_connection: 0,
            incarnation: None,
            outbox: Outbox::new(
                options.sync.outbox_messages,
                options.sync.outbox_bytes,
                options.sync.coalesce,
            ),
            released: 0,
            next_version: incarnation << 40,
            sender: Peer::new_sender(options),
            receiver: BaselineReceiver::new(
                ReceiverOptions {
                    // A record has a head of its own before the value.
                    max_object_bytes: MAX_VALUE_BYTES as usize + 8_192,
                    max_objects: options.sync.max_keys + 16,
                    store: store(options),
                },
                incarnation,
            ),
            newest_delivered: 0,
            hde_wake: None,
            in_flight: BTreeMap::new(),
            encoded: VecDeque::new(),
            synchronisation: None,
            reconciler: Reconciler::new(dials),
            recovery: None,
            next_comparison: Instant::MAX,
        }
    }

    pub fn new_sender(options: &Options) -> BaselineSender {
        BaselineSender::new(SenderOptions {
            encoding: ObjectOptions::with_level(i32::from(options.encoding.level)),
            cadence: Cadence {
                max_delta_chain: options.encoding.max_delta_chain,
                interval: options.encoding.baseline_interval,
            },
            similar: true,
            // Streams lose nothing while a connection is up; when it is up again everything in flight is sent anew.
            retry: options.connection.connect_timeout.saturating_mul(2),
            retry_max: options.connection.connect_timeout.saturating_mul(20),
            history: store(options),
        })
    }

    /// The connection, if it is up.
    pub fn connection(&mut self) -> Option<&mut Connection> {
        match &mut self.phase {
            Phase::Up(connection) => Some(connection),
            Phase::Waiting { .. } | Phase::Dialling { .. } | Phase::Listening => None,
        }
    }

    pub fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up(_))
    }

    /// Changes that the peer has not acknowledged.
    pub fn waiting(&self) -> u64 {
        (self.outbox.len() + self.in_flight.len()) as u64
    }

    /// How many keys may be put into the outbox beside what is there: half of its room.
    pub fn room(&self, options: &Options) -> usize {
        (options.sync.outbox_messages / 2)
            .max(1)
            .saturating_sub(self.outbox.len() + self.in_flight.len())
    }
}

/// Memory for baselines: 256 MiB per peer and direction, forgotten when they have not been used for two intervals.
fn store(options: &Options) -> StoreOptions {
    StoreOptions {
        max_bytes: 256 << 20,
        ttl: options
            .encoding
            .baseline_interval
            .saturating_mul(2)
            .max(Span::from_s(60)),
        ..StoreOptions::default()
    }
}
