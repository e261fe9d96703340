//! The streams of one connection: one for control, in both directions, and those of a multi-stream transport in each
//! direction for data.

use std::collections::{BTreeMap, BTreeSet};

use longhaul_amst as amst;
use longhaul_core::machine::{Output, StreamId};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::time::Instant;

use crate::wire::{DataStream, Frame, FrameReader};
use crate::{ClusterId, ConnectionOptions, Event};

/// More of the log than this does not wait on a control stream: it would be out of date.
const MAX_CONTROL_BACKLOG: u64 = 4 << 20;

/// A connection that is up.
pub(crate) struct Connection {
    /// Its number.
    pub number: u64,
    pub control: StreamId,
    pub reader: FrameReader,
    control_untaken: u64,
    sender: amst::Sender,
    receiver: amst::Receiver,
    /// The data streams that this side opened: their numbers here, by their numbers in the transport.
    out: BTreeMap<StreamId, OutStream>,
    /// The data streams that the peer opened.
    incoming: BTreeSet<StreamId>,
    /// When something came from the peer last.
    pub heard: Instant,
    /// Since when the peer owes an answer.
    pub owes_since: Option<Instant>,
    pub next_keepalive: Instant,
    /// The keepalive that is not answered.
    pub keepalive: Option<(u64, Instant)>,
    /// Since when data waits to be taken by streams, and how long it did since that was last asked.
    busy_since: Option<Instant>,
    busy_ns: u64,
}

/// A data stream that this side opened.
struct OutStream {
    here: StreamId,
    /// Bytes of its first frame that the stream has not taken over.
    preamble_untaken: u64,
}

/// What came of looking at the transport.
pub(crate) enum Carried {
    /// Bytes for a stream.
    Send(StreamId, Payload, bool),
    /// A message from the peer.
    Delivered(PayloadBuffer),
    /// The transport has failed.
    Failed,
}

/// Where new streams get their numbers.
pub(crate) struct StreamNumbers(pub u32);

impl StreamNumbers {
    pub fn next(&mut self) -> StreamId {
        let number = self.0;
        self.0 += 1;
        assert!(number < StreamId::FIRST_ACCEPTED, "streams without end");
        StreamId(number)
    }
}

impl Connection {
    pub fn new(
        number: u64,
        control: StreamId,
        reader: FrameReader,
        options: &ConnectionOptions,
        now: Instant,
    ) -> Connection {
        // Room for the largest value, and for every stream to have a few chunks on its way.
        let chunk = options.stream_buffer;
        let window_bytes = (4 * u64::from(options.streams) * u64::from(chunk)).max(24 << 20);
        let sender = amst::SenderOptions {
            patience: options.connect_timeout,
            ..amst::SenderOptions::fixed(options.streams, chunk, window_bytes)
        };
        let mut sender = amst::Sender::new(sender).expect("checked with the options");
        sender.advance(now);
        sender.start();
        Connection {
            number,
            control,
            reader,
            control_untaken: 0,
            sender,
            receiver: amst::Receiver::new(amst::ReceiverOptions { window_bytes }),
            out: BTreeMap::new(),
            incoming: BTreeSet::new(),
            heard: now,
            owes_since: None,
            next_keepalive: now + options.keepalive,
            keepalive: None,
            busy_since: None,
            busy_ns: 0,
        }
    }

    /// Something came from the peer.
    pub fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.owes_since = None;
    }

    /// The peer must answer from now on.
    pub fn expect_answer(&mut self, now: Instant) {
        self.owes_since.get_or_insert(now);
    }

    /// Whether the control stream takes more of the log.
    pub fn takes_control(&self) -> bool {
        self.control_untaken < MAX_CONTROL_BACKLOG
    }

    pub fn note_control(&mut self, bytes: u64) {
        self.control_untaken += bytes;
    }

    pub fn on_control_sent(&mut self, bytes: u64) {
        self.control_untaken = self.control_untaken.saturating_sub(bytes);
    }

    /// Whether the transport takes more data now.
    pub fn takes_data(&self) -> bool {
        self.sender.wants_more()
    }

    /// Hands a message to the transport.
    pub fn push(&mut self, now: Instant, message: PayloadBuffer) {
        self.sender.advance(now);
        match self.sender.push(message, amst::Priority::Bulk) {
            // A transport that has just failed says so at the next look.
            Ok(_) | Err(amst::PushError::Failed) => {}
            Err(error) => unreachable!("messages fit into the window: {error}"),
        }
        self.note_use(now);
        self.expect_answer(now);
    }

    /// For how long data has waited for streams since this was last asked.
    pub fn take_busy_ns(&mut self, now: Instant) -> u64 {
        self.note_use(now);
        if let Some(since) = &mut self.busy_since {
            self.busy_ns += (now - std::mem::replace(since, now)).as_ns();
        }
        std::mem::take(&mut self.busy_ns)
    }

    fn note_use(&mut self, now: Instant) {
        match (self.busy_since, self.sender.untaken_bytes() > 0) {
            (None, true) => self.busy_since = Some(now),
            (Some(since), false) => {
                self.busy_ns += (now - since).as_ns();
                self.busy_since = None;
            }
            _ => {}
        }
    }

    /// The peer opened a data stream, on which this came after its first frame.
    pub fn on_incoming(&mut self, stream: StreamId, mut rest: PayloadBuffer) {
        self.incoming.insert(stream);
        self.receiver.on_accepted(stream);
        while let Some(piece) = rest.pop(u64::MAX) {
            self.receiver.on_received(stream, piece);
        }
    }

    /// A data stream is ready; returns its first frame.
    pub fn on_out_opened(
        &mut self,
        now: Instant,
        stream: StreamId,
        from: ClusterId,
        to: ClusterId,
    ) -> Option<Frame> {
        let out = self.out.get_mut(&stream)?;
        let first = Frame::DataStream(DataStream {
            from,
            to,
            connection: self.number,
        });
        out.preamble_untaken = first.to_bytes().len() as u64;
        self.sender.advance(now);
        self.sender.on_opened(stream);
        Some(first)
    }

    pub fn on_data_sent(&mut self, now: Instant, transport: Option<StreamId>, here: StreamId, bytes: u64) {
        let Some(stream) = transport else {
            self.receiver.on_sent(here, bytes);
            return;
        };
        let Some(out) = self.out.get_mut(&stream) else {
            return;
        };
        let preamble = bytes.min(out.preamble_untaken);
        out.preamble_untaken -= preamble;
        self.sender.advance(now);
        if bytes > preamble {
            self.sender.on_sent(stream, bytes - preamble);
        }
        self.note_use(now);
    }

    pub fn on_data_received(
        &mut self,
        now: Instant,
        transport: Option<StreamId>,
        here: StreamId,
        piece: Payload,
    ) {
        match transport {
            Some(stream) => {
                self.sender.advance(now);
                self.sender.on_received(stream, piece);
            }
            None => self.receiver.on_received(here, piece),
        }
    }

    pub fn on_data_closed(
        &mut self,
        now: Instant,
        transport: Option<StreamId>,
        here: StreamId,
        reason: longhaul_core::machine::CloseReason,
    ) {
        match transport {
            Some(stream) => {
                self.out.remove(&stream);
                self.sender.advance(now);
                self.sender.on_closed(stream, reason);
            }
            None => {
                self.incoming.remove(&here);
                self.receiver.on_closed(here, reason);
            }
        }
    }

    pub fn on_path(&mut self, stream: StreamId, info: &longhaul_core::machine::PathInfo) {
        self.sender.on_path(stream, info);
    }

    /// When the transport wants to be looked at.
    pub fn wake_at(&self) -> Option<(Instant, &'static str)> {
        self.sender.next_wake()
    }

    /// Does what the transport wants done; streams to open and to close go to `outputs` at once.
    pub fn carry(
        &mut self,
        now: Instant,
        numbers: &mut StreamNumbers,
        peer: longhaul_core::machine::PeerId,
        outputs: &mut Vec<Output<Event>>,
        opened: &mut Vec<(StreamId, StreamId)>,
    ) -> Option<Carried> {
        self.sender.advance(now);
        while let Some(output) = self.sender.poll() {
            match output {
                amst::SenderOutput::Open { stream } => {
                    let here = numbers.next();
                    let out = OutStream {
                        here,
                        preamble_untaken: 0,
                    };
                    self.out.insert(stream, out);
                    opened.push((here, stream));
                    outputs.push(Output::Open { stream: here, peer });
                }
                amst::SenderOutput::Send { stream, payload } => {
                    if let Some(out) = self.out.get(&stream) {
                        return Some(Carried::Send(out.here, payload, true));
                    }
                }
                amst::SenderOutput::Close { stream } => {
                    if let Some(out) = self.out.remove(&stream) {
                        outputs.push(Output::Close { stream: out.here });
                    }
                }
                amst::SenderOutput::Abort { stream } => {
                    if let Some(out) = self.out.remove(&stream) {
                        outputs.push(Output::Abort { stream: out.here });
                    }
                }
                amst::SenderOutput::Inspect { stream } => {
                    if let Some(out) = self.out.get(&stream) {
                        outputs.push(Output::Inspect { stream: out.here });
                    }
                }
                amst::SenderOutput::Failed { .. } => return Some(Carried::Failed),
                amst::SenderOutput::StreamLost { .. }
                | amst::SenderOutput::Acked { .. }
                | amst::SenderOutput::Adapted { .. }
                | amst::SenderOutput::Drained
                | amst::SenderOutput::Reply { .. } => {}
            }
        }
        while let Some(output) = self.receiver.poll() {
            match output {
                amst::ReceiverOutput::Send { stream, payload } => {
                    return Some(Carried::Send(stream, payload, false));
                }
                amst::ReceiverOutput::Close { stream } => {
                    self.incoming.remove(&stream);
                    outputs.push(Output::Close { stream });
                }
                amst::ReceiverOutput::Delivered { content, .. } => return Some(Carried::Delivered(content)),
                amst::ReceiverOutput::StreamEnded { .. } => {}
            }
        }
        None
    }

    /// All its streams, by their numbers here.
    pub fn streams(&self) -> Vec<StreamId> {
        let out = self.out.values().map(|out| out.here);
        out.chain(self.incoming.iter().copied())
            .chain([self.control])
            .collect()
    }
}
