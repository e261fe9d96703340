//! The receiving machine.
//!
//! | module | its subject |
//! | --- | --- |
//! | `streams` | which stream is whose, and what an attempt of the source leaves behind |
//! | `incoming` | messages, and the threads that decode them |
//! | `frames` | pages |
//! | `resumption` | when the guest runs here, and what the source is told |
//! | `guest` | a guest that runs while pages are missing |

mod frames;
mod guest;
mod incoming;
mod resumption;
mod streams;

use std::collections::VecDeque;

use longhaul_amst::{Receiver, ReceiverOptions, ReceiverOutput, ReceiverStats};
use longhaul_core::machine::{Input, Machine, Output};
use longhaul_core::time::{Instant, Span};
use longhaul_hde::{Decoder, PAGE_SIZE};
use longhaul_memory::GuestMemory;
use longhaul_memory::bitmap::DirtyBitmap;
use serde::{Deserialize, Serialize};

use crate::cost::Pipeline;
use crate::store::Store;
use crate::wire::data::End;
use crate::wire::return_path::Answer;
use crate::{DestinationEvent, DestinationFailure, DestinationOptions, GuestState};
use frames::Sequences;
use guest::Faults;
use incoming::Incoming;
use streams::Streams;

/// What a [`Destination`] has done so far.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct DestinationStatistics {
    /// Frames installed.
    pub frames: u64,
    /// Pages installed that came as real bytes, every copy counted.
    pub real_pages: u64,
    /// Pages that came as a length, every copy counted.
    pub synthetic_pages: u64,
    /// Times that a processor of the guest had to wait for a page.
    pub faults: u64,
    /// Pages that the source was asked for, again after a recovery not counted.
    pub requests: u64,
    /// QEMU's `postcopy-blocktime`: how long all processors together waited for pages.
    pub postcopy_blocktime: Span,
    /// QEMU's `postcopy-vcpu-blocktime`: how long each of them did.
    pub postcopy_vcpu_blocktime: Vec<Span>,
    /// The longest wait for a page.
    pub longest_fault: Span,
    /// Time that decoding took of all threads together.
    pub decoding_time: Span,
    /// The transport's counters of the last attempt.
    pub transport: ReceiverStats,
}

/// Where an arrival stands.
#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    /// The guest runs at the source, or nowhere.
    Receiving,
    /// Everything that the guest needs is here; it runs from then on.
    Loading { until: Instant, what: Loading },
    /// The guest runs here; pages are missing or not verified.
    Running { since: Instant },
    /// The guest runs here, and all its memory is right.
    Completed { since: Instant },
    /// The guest does not run here and never will: the source was told so.
    Abandoned,
    /// The guest does not run here and never will: what came is wrong.
    Refused,
    /// The guest ran here, and its memory is wrong.
    Lost,
}

/// What is being loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Loading {
    /// A guest with all its memory, verified, so many real pages.
    Whole { verified_pages: u64, guest: GuestState },
    /// A guest whose memory follows.
    Package,
}

/// Where a guest arrives. `M` is its memory, as described here: needed if it may run before all of it has come.
///
/// It has no commands. It waits for as long as the source may still open streams: that a migration has failed for
/// want of streams is the source's to say.
pub struct Destination<M> {
    options: DestinationOptions,
    now: Instant,
    state: State,
    streams: Streams,
    receiver: Receiver,
    /// Bulk messages that are being decoded, if that takes time, and those of the other lane.
    bulk: Option<Pipeline<Incoming>>,
    urgent: Option<Pipeline<Incoming>>,
    decoder: Decoder,
    sequences: Sequences,
    store: Store,
    /// Device state that has come and that nothing was said of yet.
    device_bytes: u64,
    /// Pages that were dirty when the guest was stopped, as far as the source has said.
    dirty: DirtyBitmap,
    guest: Option<M>,
    /// What the guest writes here, which nobody looks at; kept for its size.
    written: DirtyBitmap,
    faults: Faults,
    /// The last message of post-copy.
    end: Option<End>,
    outputs: VecDeque<Output<DestinationEvent>>,
    statistics: DestinationStatistics,
}

impl<M: GuestMemory> Destination<M> {
    /// A destination that waits for streams. With `guest`, which must not have been used, it can run the guest before
    /// all of its memory has come; without, it refuses to.
    ///
    /// # Panics
    /// If the guest has more pages than this computer can count, or other than the options say.
    pub fn new(options: DestinationOptions, guest: Option<M>) -> Destination<M> {
        if let Some(guest) = &guest {
            assert_eq!(guest.pages(), options.pages, "one guest has one size");
        }
        let vcpus = guest.as_ref().map_or(0, GuestMemory::vcpus);
        Destination {
            options,
            now: Instant::ZERO,
            state: State::Receiving,
            streams: Streams::default(),
            receiver: Receiver::new(ReceiverOptions {
                window_bytes: options.window_bytes,
            }),
            bulk: options.cost.map(|cost| Pipeline::new(cost.threads)),
            urgent: options.cost.map(|_| Pipeline::new(1)),
            // Frames have sequence numbers, which are checked here.
            decoder: Decoder::unordered(),
            sequences: Sequences::default(),
            store: Store::new(options.pages),
            device_bytes: 0,
            dirty: DirtyBitmap::new(options.pages),
            guest,
            written: DirtyBitmap::new(options.pages),
            faults: Faults::new(vcpus),
            end: None,
            outputs: VecDeque::new(),
            statistics: DestinationStatistics::default(),
        }
    }

    /// The content of a page that came as real bytes, before the guest wrote it here. After the verification only if
    /// the options say to keep pages.
    pub fn page(&self, number: u64) -> Option<&[u8; PAGE_SIZE]> {
        self.store.content(number)
    }

    /// Whether the guest runs here.
    pub fn runs_guest(&self) -> bool {
        matches!(self.state, State::Running { .. } | State::Completed { .. })
    }

    /// The guest's memory as it is described here, if it may run before all of it has come.
    pub fn guest(&self) -> Option<&M> {
        self.guest.as_ref()
    }

    /// Pages that are not here as the guest needs them.
    pub fn missing_pages(&self) -> u64 {
        self.store.missing().count()
    }

    /// What it has done so far.
    pub fn statistics(&self) -> DestinationStatistics {
        let busy = [&self.bulk, &self.urgent]
            .into_iter()
            .flatten()
            .map(Pipeline::busy);
        DestinationStatistics {
            decoding_time: busy.fold(Span::ZERO, |sum, busy| sum + busy),
            transport: *self.receiver.stats(),
            ..self.faults.counted(&self.statistics)
        }
    }

    fn event(&mut self, event: DestinationEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    fn on_output(&mut self, output: ReceiverOutput) {
        match output {
            ReceiverOutput::Send { stream, payload } => {
                self.outputs.push_back(Output::Send { stream, payload });
            }
            ReceiverOutput::Close { stream } => self.outputs.push_back(Output::Close { stream }),
            ReceiverOutput::StreamEnded { stream, why } => {
                self.streams.forget(stream);
                self.event(DestinationEvent::StreamEnded { stream, why });
                self.note_interruption();
            }
            ReceiverOutput::Delivered { message, content } => self.on_delivered(message.priority, content),
        }
    }

    /// What came is wrong.
    fn refuse(&mut self, reason: DestinationFailure) {
        let (state, answer) = match self.state {
            State::Running { .. } => (State::Lost, Answer::Lost),
            _ => (State::Refused, Answer::Refused),
        };
        self.state = state;
        self.event(DestinationEvent::Failed { reason });
        self.streams.answer(&mut self.receiver, answer);
        self.drop_contents();
    }

    /// Nobody will look at the pages any more.
    fn drop_contents(&mut self) {
        if !self.options.keep_pages {
            self.store.clear();
        }
    }

    /// Whether messages mean anything any more.
    fn is_over(&self) -> bool {
        matches!(
            self.state,
            State::Completed { .. } | State::Abandoned | State::Refused | State::Lost
        )
    }

    /// Does the next thing that is possible now; whether there was one.
    fn step(&mut self) -> bool {
        self.decode_next() || self.load() || self.send_requests()
    }

    fn next_wake(&mut self) -> Option<(Instant, &'static str)> {
        let pipelines = [&self.bulk, &self.urgent].into_iter().flatten();
        let decoded = pipelines.filter_map(Pipeline::next_done).min();
        let loading = match self.state {
            State::Loading { until, .. } => Some(until),
            _ => None,
        };
        let fault = self.next_fault();
        let at = |at: Option<Instant>, why| at.map(|at| (at, why));
        let wakes = [
            at(decoded, "a frame is decoded"),
            at(loading, "the guest runs"),
            at(fault, "the guest may touch a missing page"),
        ];
        wakes.into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

impl<M: GuestMemory> Machine for Destination<M> {
    type Command = ();
    type Event = DestinationEvent;

    fn handle(&mut self, now: Instant, input: Input<()>) {
        assert!(now >= self.now, "time ran backwards");
        self.now = now;
        // Up to now, with what was there so far.
        self.run_guest();
        match input {
            Input::Accepted { stream } => self.on_accepted(stream),
            Input::Received { stream, payload } => self.on_received(stream, payload),
            Input::Sent { stream, bytes } => self.on_sent(stream, bytes),
            Input::Closed { stream, reason } => self.on_closed(stream, reason),
            Input::Start
            | Input::Wake
            | Input::Command(())
            | Input::Opened { .. }
            | Input::Path { .. }
            | Input::Datagram { .. } => {}
        }
    }

    fn poll(&mut self) -> Output<DestinationEvent> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return output;
            }
            if let Some(output) = self.receiver.poll() {
                self.on_output(output);
            } else if !self.step() {
                break;
            }
        }
        match self.next_wake() {
            Some((at, why)) => Output::WakeAt { at, why },
            None => Output::Idle,
        }
    }
}
