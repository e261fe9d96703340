//! The receiving machine.

use std::collections::VecDeque;

use bytes::Bytes;
use longhaul_amst::{Receiver, ReceiverOptions, ReceiverOutput, ReceiverStats};
use longhaul_core::machine::{Input, Machine, Output};
use longhaul_core::payload::{Payload, PayloadBuffer};
use longhaul_core::time::Instant;
use longhaul_hde::{BodyForm, Decoder, FrameHeader, PAGE_SIZE, PageStore};
use serde::{Deserialize, Serialize};

use crate::message::{End, Reply};
use crate::store::Store;
use crate::{DestinationEvent, DestinationFailure, DestinationOptions};

/// What a [`Destination`] has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct DestinationStatistics {
    /// Frames installed.
    pub frames: u64,
    /// Pages installed that came as real bytes, every copy counted.
    pub real_pages: u64,
    /// Pages that came as a length, every copy counted.
    pub synthetic_pages: u64,
    /// The transport's counters.
    pub transport: ReceiverStats,
}

/// Where a guest arrives.
///
/// It has no commands. It waits for as long as the source may still open streams: that a migration has failed for
/// want of streams is the source's to say.
pub struct Destination {
    options: DestinationOptions,
    now: Instant,
    receiver: Receiver,
    decoder: Decoder,
    store: Store,
    /// No message is expected any more.
    done: bool,
    outputs: VecDeque<Output<DestinationEvent>>,
    statistics: DestinationStatistics,
    /// The real part of the message at hand, kept for its capacity.
    message: Vec<u8>,
}

impl Destination {
    /// A destination that waits for streams.
    ///
    /// # Panics
    /// If the guest has more pages than this computer can count.
    pub fn new(options: DestinationOptions) -> Destination {
        Destination {
            options,
            now: Instant::ZERO,
            receiver: Receiver::new(ReceiverOptions {
                window_bytes: options.window_bytes,
            }),
            // Frames have sequence numbers, which are checked here.
            decoder: Decoder::unordered(),
            store: Store::new(options.pages),
            done: false,
            outputs: VecDeque::new(),
            statistics: DestinationStatistics::default(),
            message: Vec::new(),
        }
    }

    /// The content of a page that came as real bytes. After the verification only if the options say to keep
    /// pages.
    pub fn page(&self, number: u64) -> Option<&[u8; PAGE_SIZE]> {
        self.store.page(number)
    }

    /// What it has done so far.
    pub fn statistics(&self) -> DestinationStatistics {
        DestinationStatistics {
            transport: *self.receiver.stats(),
            ..self.statistics
        }
    }

    fn on_output(&mut self, output: ReceiverOutput) {
        match output {
            ReceiverOutput::Send { stream, payload } => {
                self.outputs.push_back(Output::Send { stream, payload });
            }
            ReceiverOutput::Close { stream } => self.outputs.push_back(Output::Close { stream }),
            ReceiverOutput::StreamEnded { stream, why } => {
                self.outputs
                    .push_back(Output::Event(DestinationEvent::StreamEnded { stream, why }));
            }
            ReceiverOutput::Delivered { .. } if self.done => {}
            ReceiverOutput::Delivered { content, .. } => {
                if let Err(reason) = self.on_message(content) {
                    self.finish(Reply::Refused, DestinationEvent::Failed { reason });
                }
            }
        }
    }

    fn on_message(&mut self, mut content: PayloadBuffer) -> Result<(), DestinationFailure> {
        self.message.clear();
        let mut synthetic_bytes = 0;
        while let Some(piece) = content.pop(u64::MAX) {
            match piece {
                Payload::Real(bytes) if synthetic_bytes == 0 => self.message.extend_from_slice(&bytes),
                Payload::Real(_) => return Err(DestinationFailure::Message),
                Payload::Synthetic(bytes) => synthetic_bytes += bytes,
            }
        }
        if !End::is_meant(&self.message) {
            return self.on_frame(synthetic_bytes);
        }
        let end = End::parse(&self.message).filter(|_| synthetic_bytes == 0);
        self.on_end(end.ok_or(DestinationFailure::Message)?)
    }

    fn on_frame(&mut self, synthetic_bytes: u64) -> Result<(), DestinationFailure> {
        let refused = |error: longhaul_hde::DecodeError| DestinationFailure::Frame {
            error: error.to_string(),
        };
        let (header, header_len) = FrameHeader::parse(&self.message).map_err(refused)?;
        if header.sequence != self.statistics.frames {
            return Err(DestinationFailure::Sequence {
                expected: self.statistics.frames,
                found: header.sequence,
            });
        }
        // The runs ascend.
        if let Some(run) = header.runs.last().filter(|run| run.end() > self.options.pages) {
            return Err(DestinationFailure::NoSuchPage { page: run.end() - 1 });
        }
        let pages = header.page_count() as u64;
        if header.form == BodyForm::Synthetic {
            if header_len != self.message.len() || u64::from(header.body_len) != synthetic_bytes {
                return Err(DestinationFailure::Message);
            }
            header.pages().for_each(|page| self.store.install_synthetic(page));
            self.statistics.synthetic_pages += pages;
        } else {
            if synthetic_bytes > 0 {
                return Err(DestinationFailure::Message);
            }
            self.decoder
                .decode(&self.message, &mut self.store)
                .map_err(refused)?;
            self.statistics.real_pages += pages;
        }
        self.statistics.frames += 1;
        Ok(())
    }

    fn on_end(&mut self, end: End) -> Result<(), DestinationFailure> {
        if end.frames != self.statistics.frames {
            return Err(DestinationFailure::Sequence {
                expected: self.statistics.frames,
                found: end.frames,
            });
        }
        match self.store.missing_pages() {
            0 => {}
            pages => return Err(DestinationFailure::MissingPages { pages }),
        }
        let found = self.store.hash_real_pages();
        if found != end.real {
            return Err(DestinationFailure::Mismatch {
                expected_pages: end.real.pages,
                found_pages: found.pages,
            });
        }
        let resumed = DestinationEvent::Resumed {
            at: self.now,
            verified_pages: found.pages,
            verified_bytes: found.pages * PAGE_SIZE as u64,
        };
        self.finish(Reply::Resumed { at: self.now }, resumed);
        Ok(())
    }

    fn finish(&mut self, reply: Reply, event: DestinationEvent) {
        self.done = true;
        self.outputs.push_back(Output::Event(event));
        self.receiver.reply(Bytes::from(reply.to_bytes()));
        if !self.options.keep_pages {
            self.store.clear();
        }
    }
}

impl Machine for Destination {
    type Command = ();
    type Event = DestinationEvent;

    fn handle(&mut self, now: Instant, input: Input<()>) {
        assert!(now >= self.now, "time ran backwards");
        self.now = now;
        match input {
            Input::Accepted { stream } => self.receiver.on_accepted(stream),
            Input::Received { stream, payload } => self.receiver.on_received(stream, payload),
            Input::Sent { stream, bytes } => self.receiver.on_sent(stream, bytes),
            Input::Closed { stream, reason } => self.receiver.on_closed(stream, reason),
            Input::Start
            | Input::Wake
            | Input::Command(())
            | Input::Opened { .. }
            | Input::Path { .. }
            | Input::Datagram { .. } => {}
        }
    }

    fn poll(&mut self) -> Output<DestinationEvent> {
        while self.outputs.is_empty()
            && let Some(output) = self.receiver.poll()
        {
            self.on_output(output);
        }
        self.outputs.pop_front().unwrap_or(Output::Idle)
    }
}
